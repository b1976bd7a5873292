//! The local store: journal, table and index together, and the keeper that checkpoints and gives space back.
//!
//! It takes letters from the moment that it is begun ([`LocalStore::begin`]), while what the last run left is still
//! being read ([`LocalStore::finish`]): new letters go to new segments, and neither touches what the other knows.
//! Until then older letters are not to be seen, no checkpoint is written and no segment unlinked.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::disk::{Disk, Folder, Segment};
use super::inbox::Expected;
use super::index::Index;
use super::journal::{FrameKeys, Journal, Salt, TenantKeys, WriterPlace, io_error};
use super::record::Entry;
use super::recover::{self, DamagedRecord, Recovery};
use super::search::Noted;
use super::shelf::ShelfPlace;
use super::summary::Waits;
use super::table::{Agenda, Look, Table};
use super::traffic::Traffic;
use super::{Census, LetterRecord, NewLetter, Sought, Store, StoreError, Transition};
use crate::clock::{Clock, Timestamp};
use crate::ids::{LetterId, TenantId};

/// A letter larger than this is copied and sealed off the reactor's threads.
const INLINE_OCTETS: usize = 256 << 10;
/// Letters moved at one tick.
const MOVED_AT_ONCE: usize = 500;
const TICK: Duration = Duration::from_secs(1);

/// How the store is set up.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Free disk below which nothing is accepted.
    pub reserve_free: u64,
    /// Octets of bodies kept in memory for their first delivery.
    pub hot_octets: usize,
    /// A segment is closed when it is longer than this.
    pub segment_octets: u64,
    /// Dead octets that the journal may hold before living letters are moved to give them back.
    pub slack_octets: u64,
    /// Where the journal's writer runs.
    pub writer: WriterPlace,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            reserve_free: 0,
            hot_octets: 64 << 20,
            segment_octets: 64 << 20,
            slack_octets: 256 << 20,
            writer: WriterPlace::Thread,
        }
    }
}

pub(super) type OpenSegment = Arc<(Salt, Box<dyn Segment>)>;

/// Runs `work` on these many octets here, or, if they are many, where it does not hold up a reactor's thread.
fn off_reactor<T>(octets: usize, work: impl FnOnce() -> T) -> T {
    if octets > INLINE_OCTETS { crate::threads::off_reactor(work) } else { work() }
}

/// The store of one gateway on one machine.
pub struct LocalStore {
    journal: Journal,
    pub(super) table: Arc<Mutex<Table>>,
    /// There once what the last run left has been read.
    index: OnceLock<Index>,
    /// One checkpoint, or one copy of the index, at a time.
    pub(super) checkpoint: Mutex<()>,
    pub(super) disk: Arc<dyn Disk>,
    place: Box<dyn ShelfPlace>,
    pub(super) keys: Arc<FrameKeys>,
    pub(super) readers: Mutex<HashMap<u64, OpenSegment>>,
    clock: Arc<dyn Clock>,
    traffic: Traffic,
    settings: Settings,
    free: AtomicU64,
    closing: AtomicBool,
    /// May segments be unlinked?
    unlinks: AtomicBool,
    /// This run's first segment.
    first_segment: u64,
    /// Octets of the torn tail that the last run left.
    torn: u64,
    /// Whose recipients are known for searches.
    pub(super) noted: Mutex<Noted>,
    /// Copies under way: no segment is unlinked meanwhile.
    pub(super) pins: AtomicUsize,
}

impl LocalStore {
    /// Opens (or makes) the store in `path`; reads what a crash left.
    pub fn open(
        path: &Path,
        keys: Arc<dyn TenantKeys>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<(Arc<Self>, Recovery), StoreError> {
        let store = Self::begin(path, keys, clock, settings)?;
        let recovery = store.finish()?;
        Ok((store, recovery))
    }

    /// Begins the store in `path`: it takes letters; [`LocalStore::finish`] is still to be called.
    pub fn begin(
        path: &Path,
        keys: Arc<dyn TenantKeys>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Arc<Self>, StoreError> {
        let disk = Folder::open(&path.join("journal")).map_err(|e| io_error("opening the journal", &e))?;
        Self::begin_on(Arc::new(disk), Box::new(path.join("index")), keys, clock, settings)
    }

    /// The same on any disk.
    pub fn begin_on(
        disk: Arc<dyn Disk>,
        place: Box<dyn ShelfPlace>,
        keys: Arc<dyn TenantKeys>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<Arc<Self>, StoreError> {
        let keys = Arc::new(FrameKeys::new(keys));
        let segments = disk.list().map_err(|e| io_error("listing the journal", &e))?;
        let first_segment = segments.last().map_or(1, |last| last + 1);
        let torn = segments.last().map_or(Ok(0), |last| recover::cut_torn_tail(&*disk, *last))?;
        let table = Arc::new(Mutex::new(Table::new(settings.hot_octets)));
        let journal = {
            let (disk, keys, table) = (disk.clone(), keys.clone(), table.clone());
            Journal::start(disk, keys, table, first_segment, settings.segment_octets, settings.writer)?
        };
        Ok(Arc::new(Self {
            journal,
            table,
            index: OnceLock::new(),
            checkpoint: Mutex::default(),
            free: AtomicU64::new(disk.free().unwrap_or(u64::MAX)),
            disk,
            place,
            keys,
            readers: Mutex::default(),
            clock,
            traffic: Traffic::default(),
            settings,
            closing: AtomicBool::new(false),
            unlinks: AtomicBool::new(true),
            first_segment,
            torn,
            noted: Mutex::default(),
            pins: AtomicUsize::new(0),
        }))
    }

    /// Reads what the last run left: the index, then the journal's tail. Blocks for as long as that takes. Call it
    /// once.
    pub fn finish(&self) -> Result<Recovery, StoreError> {
        let _one = self.checkpoint.lock();
        let go_on = || !self.closing.load(Ordering::Acquire);
        let (index, table, mut recovery) =
            recover::recover(&*self.disk, &*self.place, &self.keys, self.first_segment, self.clock.now(), &go_on)?;
        recovery.torn += self.torn;
        let mut here = self.table.lock();
        here.absorb(table);
        // Under the table's lock: whoever sees a letter of the index finds the index.
        if self.index.set(index).is_err() {
            return Err(StoreError::Closed("the store was opened twice".into()));
        }
        Ok(recovery)
    }

    /// Has what the last run left been read?
    pub fn is_whole(&self) -> bool {
        self.index.get().is_some()
    }

    pub(super) fn index(&self) -> Result<&Index, StoreError> {
        self.index.get().ok_or_else(|| StoreError::Closed("the queue is still being read".into()))
    }

    /// Checkpoints once a second until `stop` is set; then once more.
    pub async fn keep(self: Arc<Self>, mut stop: tokio::sync::watch::Receiver<bool>) {
        while !*stop.borrow() {
            // A closed channel ends the wait as `true` does.
            let _ = tokio::time::timeout(TICK, stop.wait_for(|stop| *stop)).await;
            let store = self.clone();
            let tick = tokio::task::spawn_blocking(move || {
                store.note_recipients();
                store.tick()
            });
            if let Ok(Err(error)) = tick.await {
                crate::observe::emit(&crate::observe::Event::Gateway {
                    state: "store-error",
                    detail: format!("checkpoint: {error}"),
                });
            }
            if let Err(error) = self.move_living().await {
                crate::observe::emit(&crate::observe::Event::Gateway {
                    state: "store-error",
                    detail: format!("giving space back: {error}"),
                });
            }
        }
    }

    /// Writes a checkpoint and unlinks what holds nothing alive.
    pub fn tick(&self) -> Result<(), StoreError> {
        if let Ok(free) = self.disk.free() {
            self.free.store(free, Ordering::Relaxed);
            crate::observe::metrics::disk_free(free);
        }
        let Some(index) = self.index.get() else { return Ok(()) };
        let _one = self.checkpoint.lock();
        let (changes, old_keys) = {
            let mut table = self.table.lock();
            let old_keys = table.expire_keys(self.clock.now());
            if !table.is_dirty() && old_keys.is_empty() {
                return Ok(());
            }
            (table.take_changes(), old_keys)
        };
        if let Err(error) = index.write(&**self.keys.tenants(), &changes, &old_keys) {
            self.table.lock().untake(changes);
            // What a failed sync left of the index is unknown, whatever the next one says: the journal stays whole.
            self.unlinks.store(false, Ordering::Release);
            return Err(error);
        }
        let written = changes.upserts.iter().map(|(record, _)| record.id);
        self.table.lock().let_go(written, |id| self.traffic.is_settling(id));
        if self.pins.load(Ordering::Acquire) > 0 || !self.unlinks.load(Ordering::Acquire) {
            return Ok(());
        }
        let dead = self.table.lock().dead_prefix(changes.position);
        for number in dead {
            self.disk.remove(number).map_err(|e| io_error("unlinking a dead segment", &e))?;
            self.readers.lock().remove(&number);
            self.table.lock().forget_segment(number);
        }
        Ok(())
    }

    /// Appends living letters of a mostly dead oldest segment again, so that it can be unlinked.
    pub async fn move_living(&self) -> Result<(), StoreError> {
        if !self.is_whole() {
            return Ok(());
        }
        let worth = self.table.lock().worth_moving(self.settings.slack_octets, MOVED_AT_ONCE);
        for id in worth {
            let Ok(body) = self.message(id).await else { continue };
            if !self.traffic.begin_move(id) {
                continue;
            }
            let moved = match self.find(id) {
                Some(record) => self.append(record.tenant, id, vec![], vec![(record, body)], None).await,
                None => Ok(()),
            };
            self.traffic.end_move();
            moved?;
        }
        Ok(())
    }

    /// Stops the writer and writes the last checkpoint.
    pub fn close(&self) -> Result<(), StoreError> {
        self.closing.store(true, Ordering::Release);
        self.journal.stop();
        self.tick()
    }

    /// Says that a letter will come to [`Self::take_in`] soon, so that others may share its sync.
    pub fn expect(&self) -> Expected {
        self.journal.expect()
    }

    /// [`Store::accept`] of letters that were expected.
    pub async fn take_in(&self, letters: Vec<NewLetter>, expected: Option<Expected>) -> Result<(), StoreError> {
        let Some(first) = letters.first() else { return Ok(()) };
        let (tenant, about) = (first.record.tenant, first.record.id);
        let octets: usize = letters.iter().map(|new| new.letter.message().len()).sum();
        self.room_for(octets)?;
        let letters = letters.into_iter().map(|new| (new.record, new.letter.message().clone())).collect();
        self.append(tenant, about, vec![], letters, expected).await
    }

    /// Is there room for a message of this size?
    pub fn room_for(&self, octets: usize) -> Result<(), StoreError> {
        let free = self.free.load(Ordering::Relaxed);
        if free < self.settings.reserve_free.saturating_add(octets as u64) {
            return Err(StoreError::DiskShort { free, reserve: self.settings.reserve_free });
        }
        Ok(())
    }

    /// Why nothing can be written until the next start (a sync that failed), if that is so.
    pub fn closed(&self) -> Option<&str> {
        self.journal.closed()
    }

    /// Verifies every record on disk; how many there are, and those that are damaged.
    pub fn check(&self) -> Result<(u64, Vec<DamagedRecord>), StoreError> {
        let until = self.table.lock().position();
        recover::check(&*self.disk, &self.keys, until)
    }

    /// The letter accepted under an idempotency key within the last 24 hours.
    pub fn accepted_under(&self, tenant: TenantId, key: &str) -> Option<LetterId> {
        self.table.lock().by_key(tenant, key, self.clock.now())
    }

    /// Letters in the queue.
    pub fn len(&self) -> usize {
        self.table.lock().len()
    }

    /// Is the queue empty?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Octets of the journal, and those of living letters.
    pub fn octets(&self) -> (u64, u64) {
        self.table.lock().octets()
    }

    /// Is this letter's record not in memory?
    #[cfg(test)]
    pub(super) fn is_in_index_only(&self, id: LetterId) -> bool {
        matches!(self.table.lock().record(id), Look::InIndex)
    }

    /// Counts for the gauges.
    pub fn waits(&self) -> Waits {
        self.table.lock().waits()
    }

    async fn append(
        &self,
        tenant: TenantId,
        about: LetterId,
        mut entries: Vec<Entry>,
        letters: Vec<(LetterRecord, Bytes)>,
        expected: Option<Expected>,
    ) -> Result<(), StoreError> {
        if letters.iter().any(|(record, _)| record.tenant != tenant) {
            // One frame is sealed under one tenant's key; nothing in the product mixes them.
            return Err(StoreError::Damaged("letters of two tenants in one transaction".into()));
        }
        let octets: usize = letters.iter().map(|(_, body)| body.len()).sum();
        let mut bodies = Vec::with_capacity(letters.len());
        for (record, body) in letters {
            let length = u32::try_from(body.len()).map_err(|e| StoreError::Damaged(e.to_string()))?;
            entries.push(Entry::Accept { record: Box::new(record), body: length });
            bodies.push(body);
        }
        let prepared = off_reactor(octets, || self.journal.prepare(tenant, about, entries, bodies))?;
        self.journal.commit(prepared, expected).await
    }
}

#[async_trait]
impl Store for LocalStore {
    async fn accept(&self, letters: Vec<NewLetter>) -> Result<(), StoreError> {
        self.take_in(letters, None).await
    }

    async fn settle(
        &self,
        id: LetterId,
        transitions: Vec<Transition>,
        notices: Vec<NewLetter>,
        delay_notified: bool,
    ) -> Result<(), StoreError> {
        let _settling = self.traffic.settle(id).await;
        let tenant = self.table.lock().get(id).map(|(summary, _)| summary.tenant).ok_or(StoreError::Unknown(id))?;
        let in_index = matches!(self.table.lock().record(id), Look::InIndex);
        if in_index {
            // It stays in memory while it settles; the writer changes it there.
            let record = self.index()?.record(&**self.keys.tenants(), id)?.ok_or(StoreError::Unknown(id))?;
            self.table.lock().reload(record);
        }
        // No look at the reserve here: what was accepted must be able to end on a full disk.
        let notices = notices.into_iter().map(|new| (new.record, new.letter.message().clone())).collect();
        self.append(tenant, id, vec![Entry::Settle { id, transitions, delay_notified }], notices, None).await
    }

    async fn message(&self, id: LetterId) -> Result<Bytes, StoreError> {
        let location = {
            let (summary, hot) = self.table.lock().get(id).ok_or(StoreError::Unknown(id))?;
            if let Some(hot) = hot {
                return Ok(hot);
            }
            summary.location
        };
        off_reactor(location.frame as usize, || self.read(id, location))
    }

    fn find(&self, id: LetterId) -> Option<LetterRecord> {
        let in_index = match self.table.lock().record(id) {
            Look::Here(record) => return Some(record.clone()),
            Look::InIndex => true,
            Look::Gone => false,
        };
        let record = in_index.then(|| self.record_in_index(id)).flatten()?;
        self.table.lock().note(&record);
        Some(record)
    }

    fn scan(&self, after: Option<LetterId>, limit: usize) -> Vec<LetterRecord> {
        let mut after = after;
        let mut found = Vec::new();
        while found.len() < limit {
            let ids: Vec<LetterId> = self.table.lock().after(after).take(limit - found.len()).collect();
            let Some(last) = ids.last() else { break };
            after = Some(*last);
            found.extend(ids.into_iter().filter_map(|id| self.find(id)));
        }
        found
    }

    fn agenda(&self, after: Option<LetterId>, limit: usize) -> Vec<Agenda> {
        self.table.lock().agenda(after, limit)
    }

    fn candidates(&self, sought: &Sought, after: Option<LetterId>, limit: usize) -> Vec<LetterId> {
        self.find_candidates(sought, after, limit)
    }

    fn census(&self, class: &dyn Fn(Timestamp) -> usize) -> Census {
        self.take_census(class)
    }
}
