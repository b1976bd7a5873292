//! The queue in memory: of every living letter a summary (where its body lies, when it is due), the record itself only
//! while it changes, what the index does not know yet, and how much of each segment still lives. The journal's writer
//! changes it, in the journal's order and only after the sync, so that a checkpoint of the table is a state that the
//! journal really went through.

mod space;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;

use super::catalogue::{Catalogue, Marks};
use super::record::{self, Entry};
pub use super::summary::{Agenda, Location, Position, Summary, Waits};
use super::tally::Tally;
use super::{LetterRecord, Transition};
use crate::clock::Timestamp;
use crate::ids::{LetterId, TenantId};

/// How long an idempotency key is remembered (INTERFACES §3).
pub const KEY_LIFE: Duration = Duration::from_hours(24);
/// How often it is looked whether keys have become too old; they mean nothing from their end on, whenever they go.
const KEY_SWEEP: Duration = Duration::from_mins(10);

/// The parts of a letter that are in memory only while they are needed.
#[derive(Debug)]
struct Loaded {
    record: LetterRecord,
    /// The body, while it is worth the memory.
    hot: Option<Bytes>,
}

/// A letter with something left to do.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) summary: Summary,
    /// What its recipients are found by.
    pub(super) marks: Marks,
    loaded: Option<Box<Loaded>>,
    /// Has the index heard of it?
    indexed: bool,
}

/// What the table knows of a letter's record.
#[derive(Debug)]
pub enum Look<T> {
    /// Here it is.
    Here(T),
    /// It has not changed since the last checkpoint: the index has it.
    InIndex,
    /// There is no such living letter.
    Gone,
}

/// How much of a segment lives.
#[derive(Debug, Clone, Copy, Default)]
pub struct SegmentUse {
    /// Living letters whose body is in it.
    pub letters: usize,
    /// Octets of their frames.
    pub octets: u64,
    /// Octets of the segment.
    pub length: u64,
}

/// What one entry of a committed frame does to the table.
#[derive(Debug)]
pub enum Effect {
    /// See [`Entry::Accept`].
    Accept {
        /// The letter.
        record: Box<LetterRecord>,
        /// Its body's first octet in the opened frame.
        body_at: u32,
        /// Octets of the body.
        body: u32,
        /// The body, for a delivery that starts from memory.
        hot: Option<Bytes>,
    },
    /// See [`Entry::Settle`].
    Settle {
        /// The letter.
        id: LetterId,
        /// The changes.
        transitions: Vec<Transition>,
        /// The delay notice has been sent.
        delay_notified: bool,
    },
}

impl Effect {
    /// The effect of an entry whose body lies at `body` in the opened frame.
    pub fn of(entry: Entry, body: &std::ops::Range<usize>, hot: Option<Bytes>) -> Self {
        match entry {
            Entry::Accept { record, body: octets } => {
                Self::Accept { record, body_at: body.start as u32, body: octets, hot }
            }
            Entry::Settle { id, transitions, delay_notified } => Self::Settle { id, transitions, delay_notified },
        }
    }
}

/// What the index must write to catch up.
#[derive(Debug, Default)]
pub struct Changes {
    /// Letters that live, as they are.
    pub upserts: Vec<(LetterRecord, Summary)>,
    /// Letters that ended.
    pub removals: Vec<LetterId>,
    /// New idempotency keys.
    pub keys: Vec<((TenantId, String), (LetterId, Timestamp))>,
    /// The place up to which this is the whole truth.
    pub position: Position,
}

/// The queue in memory.
#[derive(Debug, Default)]
pub struct Table {
    letters: BTreeMap<LetterId, Live>,
    pub(super) catalogue: Catalogue,
    tally: Tally,
    segments: BTreeMap<u64, SegmentUse>,
    dirty: HashSet<LetterId>,
    removed: Vec<LetterId>,
    keys: HashMap<(TenantId, String), (LetterId, Timestamp)>,
    fresh_keys: Vec<(TenantId, String)>,
    /// Not before this is it looked again whether keys have become too old.
    keys_due: Timestamp,
    /// How far the look for living letters of this segment has come.
    looked: Option<(u64, LetterId)>,
    position: Position,
    hot_octets: usize,
    hot_budget: usize,
}

impl Table {
    /// An empty table that keeps at most `hot_budget` octets of bodies in memory.
    pub fn new(hot_budget: usize) -> Self {
        Self { hot_budget, ..Self::default() }
    }

    /// Puts a letter of the index in, at the start.
    pub fn restore(&mut self, id: LetterId, summary: Summary) {
        self.count(&summary.location, true);
        self.tally.add(id, summary.waits);
        self.letters.insert(id, Live { summary, marks: Marks::default(), loaded: None, indexed: true });
    }

    /// Takes in what recovery read, while this table already took new letters: their ids are all new.
    pub fn absorb(&mut self, mut recovered: Self) {
        for live in recovered.letters.values_mut() {
            // Its numbers are those of the other catalogue.
            live.marks = Marks::default();
        }
        self.letters.append(&mut recovered.letters);
        self.tally.absorb(recovered.tally);
        for (number, usage) in recovered.segments {
            let here = self.segments.entry(number).or_default();
            here.letters += usage.letters;
            here.octets += usage.octets;
            here.length = here.length.max(usage.length);
        }
        self.dirty.extend(recovered.dirty);
        self.removed.extend(recovered.removed);
        self.keys.extend(recovered.keys);
        self.fresh_keys.extend(recovered.fresh_keys);
        self.position = self.position.max(recovered.position);
    }

    /// Puts an idempotency key of the index in, at the start.
    pub fn restore_key(&mut self, key: (TenantId, String), value: (LetterId, Timestamp)) {
        self.keys.insert(key, value);
    }

    fn count(&mut self, location: &Location, living: bool) {
        let segment = self.segments.entry(u64::from(location.segment)).or_default();
        if living {
            segment.letters += 1;
            segment.octets += u64::from(location.frame);
        } else {
            segment.letters = segment.letters.saturating_sub(1);
            segment.octets = segment.octets.saturating_sub(u64::from(location.frame));
        }
    }

    /// A segment is this long now.
    pub fn set_length(&mut self, segment: u64, length: u64) {
        self.segments.entry(segment).or_default().length = length;
    }

    /// Applies the effects of the frame of `frame` octets at `at`; the table's position is then behind it. The record
    /// of a letter that settles is in memory by now ([`Table::reload`]).
    pub fn apply(&mut self, at: Position, frame: u32, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Accept { record, body_at, body, hot } => {
                    // A segment is closed long before 4 GB, and is numbered once in 64 MB: both fit for ever.
                    let (segment, offset) = (at.segment as u32, at.offset as u32);
                    self.insert(*record, Location { segment, offset, frame, body_at, body }, hot);
                }
                Effect::Settle { id, transitions, delay_notified } => self.settle(id, transitions, delay_notified),
            }
        }
        self.advance(Position { segment: at.segment, offset: at.offset + u64::from(frame) });
    }

    /// Everything before `position` is applied.
    pub fn advance(&mut self, position: Position) {
        self.position = position;
        let segment = self.segments.entry(position.segment).or_default();
        segment.length = segment.length.max(position.offset);
    }

    fn insert(&mut self, record: LetterRecord, location: Location, hot: Option<Bytes>) {
        let id = record.id;
        if let Some(key) = &record.options.idempotency_key {
            let key = (record.tenant, key.clone());
            self.fresh_keys.push(key.clone());
            self.keys.insert(key, (id, record.accepted + KEY_LIFE));
        }
        let old = self.remove(id);
        let indexed = old.is_some_and(|old| old.indexed);
        if record::ended(&record) {
            if indexed {
                self.removed.push(id);
            }
            return;
        }
        let hot = hot.filter(|hot| self.hot_octets + hot.len() <= self.hot_budget);
        self.hot_octets += hot.as_ref().map_or(0, Bytes::len);
        self.count(&location, true);
        let (summary, marks) = (Summary::of(&record, location), self.catalogue.mark(&record));
        self.tally.add(id, summary.waits);
        self.letters.insert(id, Live { summary, marks, loaded: Some(Box::new(Loaded { record, hot })), indexed });
        self.dirty.insert(id);
    }

    fn cool(&mut self, loaded: Option<&Loaded>) {
        self.hot_octets -= loaded.and_then(|loaded| loaded.hot.as_ref()).map_or(0, Bytes::len);
    }

    fn remove(&mut self, id: LetterId) -> Option<Live> {
        let old = self.letters.remove(&id)?;
        self.cool(old.loaded.as_deref());
        self.count(&old.summary.location, false);
        self.tally.remove(id, old.summary.waits);
        self.catalogue.unmark(&old.marks);
        self.dirty.remove(&id);
        Some(old)
    }

    fn settle(&mut self, id: LetterId, transitions: Vec<Transition>, delay_notified: bool) {
        let Some(live) = self.letters.get_mut(&id) else { return };
        let Some(loaded) = live.loaded.as_deref_mut() else { return };
        record::apply(&mut loaded.record, transitions, delay_notified);
        let before = live.summary.waits;
        live.summary = Summary::of(&loaded.record, live.summary.location);
        live.marks.refresh(&loaded.record.states);
        let (after, ended) = (live.summary.waits, record::ended(&loaded.record));
        self.hot_octets -= loaded.hot.take().map_or(0, |hot| hot.len());
        self.dirty.insert(id);
        self.tally.remove(id, before);
        self.tally.add(id, after);
        if ended
            && let Some(old) = self.remove(id)
            && old.indexed
        {
            self.removed.push(id);
        }
    }

    /// Notes the recipients of a letter whose record was read.
    pub fn note(&mut self, record: &LetterRecord) {
        if let Some(live) = self.letters.get_mut(&record.id)
            && live.marks.known().is_none()
        {
            live.marks = self.catalogue.mark(record);
        }
    }

    /// Puts the record of a letter, as the index has it, back into memory: it is about to change.
    pub fn reload(&mut self, record: LetterRecord) {
        self.note(&record);
        if let Some(live) = self.letters.get_mut(&record.id)
            && live.loaded.is_none()
        {
            live.loaded = Some(Box::new(Loaded { record, hot: None }));
        }
    }

    /// Lets go of records that the index has by now, but for those that are about to change or whose body is here.
    pub fn let_go(&mut self, written: impl Iterator<Item = LetterId>, busy: impl Fn(LetterId) -> bool) {
        for id in written {
            if self.dirty.contains(&id) || busy(id) {
                continue;
            }
            if let Some(live) = self.letters.get_mut(&id)
                && live.loaded.as_ref().is_some_and(|loaded| loaded.hot.is_none())
            {
                live.loaded = None;
            }
        }
    }

    /// A letter's summary, and its body if that is in memory.
    pub fn get(&self, id: LetterId) -> Option<(Summary, Option<Bytes>)> {
        let live = self.letters.get(&id)?;
        Some((live.summary, live.loaded.as_ref().and_then(|loaded| loaded.hot.clone())))
    }

    /// A letter's record.
    pub fn record(&self, id: LetterId) -> Look<&LetterRecord> {
        match self.letters.get(&id) {
            None => Look::Gone,
            Some(Live { loaded: None, .. }) => Look::InIndex,
            Some(Live { loaded: Some(loaded), .. }) => Look::Here(&loaded.record),
        }
    }

    /// Living letters after `after`, oldest first.
    pub fn after(&self, after: Option<LetterId>) -> impl Iterator<Item = LetterId> {
        self.from(after).map(|(id, _)| *id)
    }

    pub(super) fn from(&self, after: Option<LetterId>) -> impl Iterator<Item = (&LetterId, &Live)> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.letters.range((from, Bound::Unbounded))
    }

    /// When something is to be done about letters after `after`, oldest letter first.
    pub fn agenda(&self, after: Option<LetterId>, limit: usize) -> Vec<Agenda> {
        self.from(after).take(limit).map(|(id, live)| live.summary.agenda(*id)).collect()
    }

    /// Counts for the gauges.
    pub fn waits(&self) -> Waits {
        self.tally.waits()
    }

    /// How many letters live.
    pub fn len(&self) -> usize {
        self.letters.len()
    }

    /// The letter that was accepted under this key, unless the key is too old.
    pub fn by_key(&self, tenant: TenantId, key: &str, now: Timestamp) -> Option<LetterId> {
        let (id, end) = self.keys.get(&(tenant, key.to_owned()))?;
        (now < *end).then_some(*id)
    }

    /// Forgets idempotency keys that are too old; those that the index may know.
    pub fn expire_keys(&mut self, now: Timestamp) -> Vec<(TenantId, String)> {
        if now < self.keys_due {
            return Vec::new();
        }
        self.keys_due = now + KEY_SWEEP;
        let old: Vec<_> = self.keys.iter().filter(|(_, (_, end))| *end <= now).map(|(key, _)| key.clone()).collect();
        for key in &old {
            self.keys.remove(key);
        }
        old
    }

    /// Where the journal is applied up to.
    pub fn position(&self) -> Position {
        self.position
    }

    /// How many letters the index does not know as they are.
    pub fn changed(&self) -> usize {
        self.dirty.len() + self.removed.len()
    }

    /// Is there something that the index does not know?
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.removed.is_empty() || !self.fresh_keys.is_empty()
    }

    /// Takes what the index does not know; the caller writes all of it or closes the store.
    pub fn take_changes(&mut self) -> Changes {
        let mut changes = Changes { position: self.position, ..Changes::default() };
        for id in std::mem::take(&mut self.dirty) {
            if let Some(live) = self.letters.get_mut(&id)
                && let Some(loaded) = &live.loaded
            {
                live.indexed = true;
                changes.upserts.push((loaded.record.clone(), live.summary));
            }
        }
        changes.removals = std::mem::take(&mut self.removed);
        for key in std::mem::take(&mut self.fresh_keys) {
            if let Some(value) = self.keys.get(&key) {
                changes.keys.push((key, *value));
            }
        }
        changes
    }

    /// Takes changes back that could not be written, so that the next checkpoint has them.
    pub fn untake(&mut self, changes: Changes) {
        self.dirty
            .extend(changes.upserts.iter().map(|(record, _)| record.id).filter(|id| self.letters.contains_key(id)));
        let ended = changes.upserts.iter().map(|(record, _)| record.id).filter(|id| !self.letters.contains_key(id));
        self.removed.extend(changes.removals.iter().copied().chain(ended));
        self.fresh_keys.extend(changes.keys.into_iter().map(|(key, _)| key));
    }
}
