//! Searching a long queue: most letters that a filter does not want are passed over without reading their records.
//!
//! What stays in memory of a letter says its tenant, its states and its age exactly; of addresses it has a mask of a few
//! bits under a key of this process, which says "surely not" or "perhaps". A letter that was read from the index at the
//! start has no mask until it is looked at: the first search for an address after a start reads records, later ones do not.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use super::summary::Summary;
use super::{LetterRecord, RecipientState};
use crate::clock::Timestamp;
use crate::ids::{LetterId, TenantId};

static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);

fn bits(kind: u8, text: &str) -> u64 {
    let hash = KEY.hash_one((kind, text.to_lowercase()));
    1 << (hash & 63) | 1 << (hash >> 6 & 63)
}

/// Which addresses a letter may have to do with; 0 where nobody looked yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Mask(u64);

impl Mask {
    /// The mask of a letter.
    pub(super) fn of(record: &LetterRecord) -> Self {
        let from = record.envelope.reverse_path.mailbox().map_or_else(|| "<>".to_owned(), ToString::to_string);
        let recipients = &record.envelope.recipients;
        let one = |address: &crate::message::Mailbox| {
            bits(b'd', address.domain().as_str()) | bits(b'r', &address.to_string())
        };
        Self(recipients.iter().fold(bits(b's', &from), |mask, recipient| mask | one(&recipient.address)))
    }

    pub(super) const fn is_unknown(self) -> bool {
        self.0 == 0
    }
}

/// What is looked for. Whoever gets through is still to be compared exactly.
#[derive(Debug, Clone, Default)]
pub struct Sieve {
    tenant: Option<TenantId>,
    state: Option<usize>,
    accepted_until: Option<Timestamp>,
    mask: u64,
}

impl Sieve {
    /// Only a tenant's letters.
    #[must_use]
    pub fn tenant(mut self, tenant: Option<TenantId>) -> Self {
        self.tenant = tenant;
        self
    }

    /// Only letters with a recipient in this state; an unknown name stops nobody.
    #[must_use]
    pub fn state(mut self, state: Option<&str>) -> Self {
        self.state = state.and_then(|state| {
            ["queued", "deferred", "held"].iter().position(|known| known.eq_ignore_ascii_case(state))
        });
        self
    }

    /// Only letters accepted until then.
    #[must_use]
    pub fn accepted_until(mut self, until: Option<Timestamp>) -> Self {
        self.accepted_until = until;
        self
    }

    /// Only letters to this domain, to this recipient, from this sender.
    #[must_use]
    pub fn addresses(mut self, domain: Option<&str>, recipient: Option<&str>, sender: Option<&str>) -> Self {
        let wanted = [(b'd', domain), (b'r', recipient), (b's', sender)];
        let masks = wanted.into_iter().filter_map(|(kind, text)| text.map(|text| bits(kind, text)));
        self.mask = masks.fold(self.mask, |mask, bits| mask | bits);
        self
    }

    /// May the letter be one that is looked for?
    pub(super) fn lets_through(&self, id: LetterId, summary: &Summary, mask: Mask) -> bool {
        self.tenant.is_none_or(|tenant| tenant == summary.tenant)
            && self.state.is_none_or(|place| summary.waits[place] > 0)
            && self.accepted_until.is_none_or(|until| id.accepted_at() <= until)
            && (mask.is_unknown() || mask.0 & self.mask == self.mask)
    }

    /// The same of a whole record, for stores that keep no summaries.
    pub fn may_want(&self, record: &LetterRecord) -> bool {
        let at = |state: &RecipientState| match state {
            RecipientState::Waiting { attempts: 0, .. } => Some(0),
            RecipientState::Waiting { .. } => Some(1),
            RecipientState::Held { .. } => Some(2),
            _ => None,
        };
        self.tenant.is_none_or(|tenant| tenant == record.tenant)
            && self.state.is_none_or(|place| record.states.iter().any(|state| at(state) == Some(place)))
            && self.accepted_until.is_none_or(|until| record.id.accepted_at() <= until)
            && Mask::of(record).0 & self.mask == self.mask
    }
}

/// A part of a search.
#[derive(Debug, Default)]
pub struct Sifted {
    /// Letters that got through, oldest first.
    pub records: Vec<LetterRecord>,
    /// Where to go on; `None` at the end of the queue.
    pub next: Option<LetterId>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sample_letter;
    use crate::store::table::Location;

    #[test]
    fn a_sieve_never_stops_what_is_looked_for_and_stops_most_of_the_rest() {
        let location = Location { segment: 1, offset: 0, frame: 10, body_at: 0, body: 10 };
        let through = |sieve: &Sieve, record: &LetterRecord| {
            let summary = Summary::of(record, location);
            assert_eq!(sieve.lets_through(record.id, &summary, Mask::of(record)), sieve.may_want(record));
            assert!(!sieve.may_want(record) || sieve.lets_through(record.id, &summary, Mask::default()));
            sieve.may_want(record)
        };
        let mut passed = 0;
        for number in 0..200 {
            let record = sample_letter(TenantId(1), number).record;
            let to = record.envelope.recipients[0].address.to_string().to_uppercase();
            let domain = record.envelope.recipients[0].address.domain().to_string();
            let from = record.envelope.reverse_path.mailbox().map_or_else(|| "<>".to_owned(), ToString::to_string);
            let all = Sieve::default().addresses(Some(&domain), Some(&to), Some(&from)).state(Some("queued"));
            assert!(through(&all.tenant(Some(TenantId(1))).accepted_until(Some(record.id.accepted_at())), &record));
            let older =
                Sieve::default().accepted_until(Some(Timestamp::from_millis(record.id.accepted_at().millis() - 1)));
            assert!(!through(&older, &record));
            assert!(!through(&Sieve::default().tenant(Some(TenantId(2))), &record));
            assert!(!through(&Sieve::default().state(Some("held")), &record));
            let nobody = format!("nobody-{number}@elsewhere.example");
            passed += usize::from(through(&Sieve::default().addresses(None, Some(&nobody), None), &record));
        }
        assert!(passed < 20, "{passed} of 200 letters pass for an address that none of them has");
    }
}
