//! Searching and counting the queue: from memory, a few thousand letters at a time, so that nobody waits long for the
//! table. Letters whose recipients are not known yet are looked at in the index, once.

use std::collections::{BTreeMap, HashMap};

use super::catalogue::{Mark, Sought};
use super::table::{Live, Table};
use super::{LetterRecord, LocalStore, Store};
use crate::clock::Timestamp;
use crate::ids::LetterId;

/// Letters that are walked over under one lock of the table: about a millisecond.
const WALK: usize = 10_000;
/// Letters of which the recipients are read at one tick after a start.
const NOTED_A_TICK: usize = 10_000;

/// How far the walk over the letters that a start found has come.
#[derive(Debug)]
pub(super) enum Noted {
    /// The recipients up to this letter are known.
    UpTo(Option<LetterId>),
    /// All are.
    All,
}

impl Default for Noted {
    fn default() -> Self {
        Self::UpTo(None)
    }
}

/// Recipients by domain and class.
pub type Census = BTreeMap<(String, usize), usize>;

/// A piece of a walk.
struct Piece<T> {
    found: T,
    /// Where the next piece begins; `None` at the end.
    rest: Option<LetterId>,
}

impl Table {
    /// The next `limit` letters.
    fn page(&self, after: Option<LetterId>, limit: usize) -> Piece<Vec<(LetterId, &Live)>> {
        let found: Vec<_> = self.from(after).take(limit).map(|(id, live)| (*id, live)).collect();
        let rest = found.last().filter(|_| found.len() == limit).map(|(id, _)| *id);
        Piece { found, rest }
    }

    fn candidates(&self, sought: &Sought, after: Option<LetterId>, limit: usize) -> Piece<Vec<LetterId>> {
        let wanted = self.catalogue.wanted(sought);
        let page = self.page(after, WALK);
        let mut found = Vec::new();
        for (id, live) in page.found {
            if wanted.ends_before(id) {
                return Piece { found, rest: None };
            }
            if wanted.admits(&live.summary, &live.marks) {
                found.push(id);
                if found.len() == limit {
                    return Piece { found, rest: Some(id) };
                }
            }
        }
        Piece { found, rest: page.rest }
    }

    /// Counts into `census`; the letters that it cannot count come back.
    fn count_into(
        &self,
        census: &mut Census,
        after: Option<LetterId>,
        class: &dyn Fn(Timestamp) -> usize,
    ) -> Piece<Vec<LetterId>> {
        let page = self.page(after, WALK);
        let (mut counts, mut unknown) = (HashMap::<(u32, usize), usize>::new(), Vec::new());
        for (id, live) in page.found {
            let Some(marks) = live.marks.known() else {
                unknown.push(id);
                continue;
            };
            let class = class(id.accepted_at());
            for mark in marks.iter().copied().filter(|mark: &Mark| mark.waits()) {
                *counts.entry((mark.domain, class)).or_default() += 1;
            }
        }
        for ((domain, class), count) in counts {
            if let Some(name) = self.catalogue.name(domain) {
                *census.entry((name.to_string(), class)).or_default() += count;
            }
        }
        Piece { found: unknown, rest: page.rest }
    }

    fn unnoted(&self, after: Option<LetterId>) -> Piece<Vec<LetterId>> {
        let page = self.page(after, NOTED_A_TICK);
        let unknown = page.found.into_iter().filter(|(_, live)| live.marks.known().is_none());
        Piece { found: unknown.map(|(id, _)| id).collect(), rest: page.rest }
    }
}

fn count_record(census: &mut Census, record: &LetterRecord, class: usize) {
    for (recipient, state) in record.envelope.recipients.iter().zip(&record.states) {
        if !state.is_final() {
            *census.entry((recipient.address.domain().to_string(), class)).or_default() += 1;
        }
    }
}

impl LocalStore {
    pub(super) fn find_candidates(&self, sought: &Sought, after: Option<LetterId>, limit: usize) -> Vec<LetterId> {
        let (mut found, mut after) = (Vec::new(), after);
        while found.len() < limit {
            let piece = self.table.lock().candidates(sought, after, limit - found.len());
            found.extend(piece.found);
            match piece.rest {
                Some(last) => after = Some(last),
                None => break,
            }
        }
        found
    }

    pub(super) fn take_census(&self, class: &dyn Fn(Timestamp) -> usize) -> Census {
        let (mut census, mut after) = (Census::new(), None);
        loop {
            let piece = self.table.lock().count_into(&mut census, after, class);
            for record in piece.found.into_iter().filter_map(|id| self.find(id)) {
                count_record(&mut census, &record, class(record.id.accepted_at()));
            }
            match piece.rest {
                Some(last) => after = Some(last),
                None => return census,
            }
        }
    }

    /// Notes the recipients of some letters that the index has and nobody looked at yet. After a start this is called
    /// until all are known; where it ended is kept in `noted`.
    pub(super) fn note_recipients(&self) {
        let mut noted = self.noted.lock();
        let Noted::UpTo(after) = *noted else { return };
        if !self.is_whole() {
            return;
        }
        let piece = self.table.lock().unnoted(after);
        for id in piece.found {
            // Finding it notes them.
            self.find(id);
        }
        *noted = piece.rest.map_or(Noted::All, |last| Noted::UpTo(Some(last)));
    }
}
