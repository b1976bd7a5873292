//! What letters are found by: of every recipient the domain's number and a fingerprint of the address, and one of the
//! sender's, in memory only.
//!
//! Promises: a letter that is sought is never passed over; one that is not may be offered now and then (fingerprints
//! have 31 bits), so whoever asks looks at its record too. Nothing lies on the disk for the sake of searching, and a start
//! reads no records: what the index had is unknown here until somebody looks at it.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use super::summary::Summary;
use super::{LetterRecord, RecipientState};
use crate::clock::Timestamp;
use crate::ids::{LetterId, TenantId};

/// What is looked for; what is `None` may be anything.
#[derive(Debug, Clone, Default)]
pub struct Sought {
    /// Whose.
    pub tenant: Option<TenantId>,
    /// A recipient's domain, in lower case.
    pub domain: Option<String>,
    /// A recipient's address, in lower case.
    pub recipient: Option<String>,
    /// The reverse-path's address in lower case, or `<>`.
    pub sender: Option<String>,
    /// The name of a state that some recipient is in.
    pub state: Option<String>,
    /// Accepted at this time or before.
    pub accepted_until: Option<Timestamp>,
}

/// The number of a domain that nobody has: there are never so many.
const NOBODYS: u32 = u32::MAX;

/// One recipient: the domain's number; the address's fingerprint, its lowest bit set while the recipient waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The domain's number in the [`Catalogue`].
    pub domain: u32,
    address: u32,
}

impl Mark {
    /// Is the recipient not at an end?
    pub fn waits(self) -> bool {
        self.address & 1 == 1
    }

    fn set_waits(&mut self, state: &RecipientState) {
        self.address = (self.address & !1) | u32::from(!state.is_final());
    }
}

#[derive(Debug, Default)]
enum Recipients {
    /// The record was not looked at since it was read from the index.
    #[default]
    Unknown,
    /// Most letters have one.
    One(Mark),
    /// The others, in the envelope's order.
    Many(Box<[Mark]>),
}

/// What a letter is found by.
#[derive(Debug, Default)]
pub struct Marks {
    recipients: Recipients,
    /// The fingerprint of the reverse-path.
    sender: u32,
}

impl Marks {
    /// The recipients; `None` if they are not known.
    pub fn known(&self) -> Option<&[Mark]> {
        match &self.recipients {
            Recipients::Unknown => None,
            Recipients::One(mark) => Some(std::slice::from_ref(mark)),
            Recipients::Many(marks) => Some(marks),
        }
    }

    /// Takes over who of the same recipients still waits.
    pub fn refresh(&mut self, states: &[RecipientState]) {
        let marks = match &mut self.recipients {
            Recipients::Unknown => return,
            Recipients::One(mark) => std::slice::from_mut(mark),
            Recipients::Many(marks) => marks,
        };
        for (mark, state) in marks.iter_mut().zip(states) {
            mark.set_waits(state);
        }
    }
}

#[derive(Debug)]
struct Domain {
    name: Arc<str>,
    recipients: usize,
}

/// The domains of the queue's recipients by number. A number is given again when its last letter is gone.
#[derive(Debug, Default)]
pub struct Catalogue {
    numbers: HashMap<Arc<str>, u32>,
    domains: Vec<Domain>,
    free: Vec<u32>,
    hashing: RandomState,
}

/// [`Sought`] in the catalogue's terms.
#[derive(Debug)]
pub struct Wanted {
    tenant: Option<TenantId>,
    domain: Option<u32>,
    address: Option<u32>,
    sender: Option<u32>,
    /// The place in [`Summary::waits`].
    place: Option<usize>,
    accepted_until: Option<Timestamp>,
}

impl Catalogue {
    /// The marks of a record.
    pub fn mark(&mut self, record: &LetterRecord) -> Marks {
        let recipients = record.envelope.recipients.iter().zip(&record.states);
        let mut marks = Vec::with_capacity(record.states.len());
        for (recipient, state) in recipients {
            let address = &recipient.address;
            let domain = self.number(address.domain().as_str());
            let mut mark = Mark { domain, address: self.fingerprint(&address.to_string().to_lowercase()) };
            mark.set_waits(state);
            marks.push(mark);
        }
        let recipients = match marks[..] {
            [mark] => Recipients::One(mark),
            _ => Recipients::Many(marks.into()),
        };
        let sender = record.envelope.reverse_path.mailbox().map_or_else(|| "<>".to_owned(), ToString::to_string);
        Marks { recipients, sender: self.fingerprint(&sender.to_lowercase()) }
    }

    /// A letter is gone, and its marks with it.
    pub fn unmark(&mut self, marks: &Marks) {
        for mark in marks.known().unwrap_or_default() {
            let Some(domain) = self.domains.get_mut(mark.domain as usize) else { continue };
            domain.recipients -= 1;
            if domain.recipients == 0 {
                self.numbers.remove(&domain.name);
                self.free.push(mark.domain);
            }
        }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            self.domains[*number as usize].recipients += 1;
            return *number;
        }
        let domain = Domain { name: name.into(), recipients: 1 };
        let number = self.free.pop().unwrap_or(self.domains.len() as u32);
        self.numbers.insert(domain.name.clone(), number);
        match self.domains.get_mut(number as usize) {
            Some(old) => *old = domain,
            None => self.domains.push(domain),
        }
        number
    }

    fn fingerprint(&self, address: &str) -> u32 {
        (self.hashing.hash_one(address) >> 32) as u32 & !1
    }

    /// A domain's name.
    pub fn name(&self, number: u32) -> Option<Arc<str>> {
        self.domains.get(number as usize).map(|domain| domain.name.clone())
    }

    /// What is looked for, in the catalogue's terms.
    pub fn wanted(&self, sought: &Sought) -> Wanted {
        Wanted {
            tenant: sought.tenant,
            domain: sought.domain.as_deref().map(|domain| self.numbers.get(domain).copied().unwrap_or(NOBODYS)),
            address: sought.recipient.as_deref().map(|address| self.fingerprint(address)),
            sender: sought.sender.as_deref().map(|sender| self.fingerprint(sender)),
            place: match sought.state.as_deref() {
                Some("queued") => Some(0),
                Some("deferred") => Some(1),
                Some("held") => Some(2),
                _ => None,
            },
            accepted_until: sought.accepted_until,
        }
    }
}

impl Wanted {
    /// Is every letter from this one on too young?
    pub fn ends_before(&self, id: LetterId) -> bool {
        self.accepted_until.is_some_and(|until| id.accepted_at() > until)
    }

    /// May this letter be meant?
    pub fn admits(&self, summary: &Summary, marks: &Marks) -> bool {
        let by_summary = self.tenant.is_none_or(|tenant| tenant == summary.tenant)
            && self.place.is_none_or(|place| summary.waits[place] > 0);
        let fits = |mark: &Mark| {
            self.domain.is_none_or(|domain| domain == mark.domain)
                && self.address.is_none_or(|address| address == mark.address & !1)
        };
        let by_sender = || self.sender.is_none_or(|sender| sender == marks.sender);
        by_summary && marks.known().is_none_or(|known| known.iter().any(fits) && by_sender())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::letter_to;
    use super::super::table::Location;
    use super::*;

    fn place() -> Location {
        Location { segment: 1, offset: 0, frame: 10, body_at: 0, body: 1 }
    }

    #[test]
    fn a_letter_is_found_by_each_of_its_recipients_and_by_nobody_elses() {
        let mut catalogue = Catalogue::default();
        let record = letter_to(TenantId(1), 7, 3).record;
        let (summary, marks) = (Summary::of(&record, place()), catalogue.mark(&record));
        let admits = |catalogue: &Catalogue, sought: &Sought| catalogue.wanted(sought).admits(&summary, &marks);
        for recipient in &record.envelope.recipients {
            let recipient = Some(recipient.address.to_string().to_lowercase());
            assert!(admits(&catalogue, &Sought { recipient, ..Sought::default() }));
        }
        let sender = record.envelope.reverse_path.mailbox().map(ToString::to_string);
        assert!(admits(&catalogue, &Sought { sender, ..Sought::default() }));
        let domain = Some(record.envelope.recipients[0].address.domain().to_string());
        assert!(admits(&catalogue, &Sought { domain, ..Sought::default() }));
        for other in [
            Sought { domain: Some("elsewhere.example".into()), ..Sought::default() },
            Sought { recipient: Some("nobody@elsewhere.example".into()), ..Sought::default() },
            Sought { tenant: Some(TenantId(2)), ..Sought::default() },
            Sought { sender: Some("nobody@elsewhere.example".into()), ..Sought::default() },
            Sought { state: Some("held".into()), ..Sought::default() },
        ] {
            assert!(!admits(&catalogue, &other), "{other:?}");
        }
        // What is not known yet cannot be ruled out.
        let domain = Some("elsewhere.example".into());
        assert!(catalogue.wanted(&Sought { domain, ..Sought::default() }).admits(&summary, &Marks::default()));
    }

    #[test]
    fn a_domains_number_is_free_again_when_its_last_recipient_is_gone() {
        let mut catalogue = Catalogue::default();
        let record = letter_to(TenantId(1), 7, 2).record;
        let (first, second) = (catalogue.mark(&record), catalogue.mark(&record));
        assert_eq!(catalogue.domains[0].recipients, 4);
        catalogue.unmark(&first);
        assert!(catalogue.free.is_empty());
        catalogue.unmark(&second);
        assert_eq!((catalogue.free.len(), catalogue.numbers.len()), (1, 0));
        let third = catalogue.mark(&record);
        assert_eq!(third.known().map(|marks| marks[0].domain), Some(0));
        assert_eq!(catalogue.domains.len(), 1);
    }
}
