//! The local store: journal, table and index together, and the keeper that checkpoints and gives space back.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::disk::{Disk, Folder, Segment};
use super::frame::{self, HEADER_LEN};
use super::inbox::Expected;
use super::index::Index;
use super::journal::{FrameKeys, Journal, SEGMENT_HEADER_LEN, Salt, TenantKeys, io_error, read_segment_header};
use super::record::Entry;
use super::recover::{self, DamagedRecord, Recovery};
use super::table::{Location, Table};
use super::{LetterRecord, NewLetter, Store, StoreError, Transition};
use crate::clock::Clock;
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
}

impl Default for Settings {
    fn default() -> Self {
        Self { reserve_free: 0, hot_octets: 64 << 20, segment_octets: 64 << 20, slack_octets: 256 << 20 }
    }
}

type OpenSegment = Arc<(Salt, Box<dyn Segment>)>;

/// Runs `work` on these many octets here, or, if they are many, where it does not hold up a reactor's thread.
fn off_reactor<T>(octets: usize, work: impl FnOnce() -> T) -> T {
    if octets > INLINE_OCTETS { crate::threads::off_reactor(work) } else { work() }
}

/// Who changes a letter right now: a letter is not moved while it settles, and does not settle while it moves,
/// since a moved letter is written again with the state that it had when the move began.
#[derive(Default)]
struct Traffic {
    settling: Mutex<(HashMap<LetterId, usize>, Option<LetterId>)>,
    moved: tokio::sync::Notify,
}

struct Settling<'t>(&'t Traffic, LetterId);

impl Traffic {
    async fn settle(&self, id: LetterId) -> Settling<'_> {
        loop {
            let moved = self.moved.notified();
            {
                let mut state = self.settling.lock();
                if state.1 != Some(id) {
                    *state.0.entry(id).or_default() += 1;
                    return Settling(self, id);
                }
            }
            moved.await;
        }
    }

    fn begin_move(&self, id: LetterId) -> bool {
        let mut state = self.settling.lock();
        let free = !state.0.contains_key(&id);
        if free {
            state.1 = Some(id);
        }
        free
    }

    fn end_move(&self) {
        self.settling.lock().1 = None;
        self.moved.notify_waiters();
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let mut state = self.0.settling.lock();
        if let Some(count) = state.0.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                state.0.remove(&self.1);
            }
        }
    }
}

/// The store of one gateway on one machine.
pub struct LocalStore {
    journal: Journal,
    table: Arc<Mutex<Table>>,
    pub(super) index: Mutex<Index>,
    pub(super) disk: Arc<dyn Disk>,
    keys: Arc<FrameKeys>,
    readers: Mutex<HashMap<u64, OpenSegment>>,
    clock: Arc<dyn Clock>,
    traffic: Traffic,
    settings: Settings,
    free: AtomicU64,
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
        let disk = Folder::open(&path.join("journal")).map_err(|e| io_error("opening the journal", &e))?;
        Self::open_on(Arc::new(disk), &path.join("index"), keys, clock, settings)
    }

    /// The same on any disk.
    pub fn open_on(
        disk: Arc<dyn Disk>,
        index: &Path,
        keys: Arc<dyn TenantKeys>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<(Arc<Self>, Recovery), StoreError> {
        let keys = Arc::new(FrameKeys::new(keys));
        let (index, table, recovery) = recover::recover(&*disk, index, &keys, settings.hot_octets, clock.now())?;
        let table = Arc::new(Mutex::new(table));
        let journal = {
            let size = settings.segment_octets;
            Journal::start(disk.clone(), keys.clone(), table.clone(), recovery.next_segment, size)?
        };
        let store = Self {
            journal,
            table,
            index: Mutex::new(index),
            free: AtomicU64::new(disk.free().unwrap_or(u64::MAX)),
            disk,
            keys,
            readers: Mutex::default(),
            clock,
            traffic: Traffic::default(),
            settings,
            pins: AtomicUsize::new(0),
        };
        Ok((Arc::new(store), recovery))
    }

    /// Checkpoints once a second until `stop` is set; then once more.
    pub async fn keep(self: Arc<Self>, mut stop: tokio::sync::watch::Receiver<bool>) {
        while !*stop.borrow() {
            // A closed channel ends the wait as `true` does.
            let _ = tokio::time::timeout(TICK, stop.wait_for(|stop| *stop)).await;
            let store = self.clone();
            let tick = tokio::task::spawn_blocking(move || store.tick());
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
        let index = self.index.lock();
        let (changes, old_keys) = {
            let mut table = self.table.lock();
            let old_keys = table.expire_keys(self.clock.now());
            if !table.is_dirty() && old_keys.is_empty() {
                return Ok(());
            }
            (table.take_changes(), old_keys)
        };
        let tenants = &**self.keys.tenants();
        if let Err(error) = index.forget_keys(tenants, &old_keys).and_then(|()| index.write(tenants, &changes)) {
            self.table.lock().untake(changes);
            return Err(error);
        }
        if self.pins.load(Ordering::Acquire) > 0 {
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

    /// Runs `look` on every letter's record, oldest first, without copying them; `false` ends the walk.
    pub fn walk(&self, after: Option<LetterId>, mut look: impl FnMut(&LetterRecord) -> bool) {
        let table = self.table.lock();
        for live in table.after(after) {
            if !look(&live.record) {
                break;
            }
        }
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

    fn reader(&self, number: u64) -> Result<OpenSegment, StoreError> {
        if let Some(open) = self.readers.lock().get(&number) {
            return Ok(open.clone());
        }
        let failed = |e: io::Error| io_error("opening a journal segment", &e);
        let segment = self.disk.open(number).map_err(failed)?;
        let mut header = [0; SEGMENT_HEADER_LEN];
        segment.read_at(&mut header, 0).map_err(failed)?;
        let salt = read_segment_header(&header, number)
            .ok_or_else(|| StoreError::Damaged(format!("the header of segment {number}")))?;
        let open = Arc::new((salt, segment));
        self.readers.lock().insert(number, open.clone());
        Ok(open)
    }

    fn read(&self, id: LetterId, location: Location) -> Result<Bytes, StoreError> {
        let open = self.reader(location.at.segment)?;
        let mut octets = vec![0; location.frame as usize];
        open.1.read_at(&mut octets, location.at.offset).map_err(|e| io_error("reading a letter", &e))?;
        let damaged = || StoreError::Damaged(format!("letter {id}: the frame does not pass its checksum"));
        let (header, payload) = frame::parse(&octets).ok_or_else(damaged)?;
        if payload.len() + HEADER_LEN != octets.len() {
            return Err(damaged());
        }
        let plain = self.keys.open(&open.0, &header, payload)?;
        let from = location.body_at as usize;
        let until = from + location.body as usize;
        if plain.len() < until {
            return Err(damaged());
        }
        Ok(Bytes::from(plain).slice(from..until))
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
        let tenant = self.table.lock().get(id).map(|live| live.record.tenant).ok_or(StoreError::Unknown(id))?;
        // No look at the reserve here: what was accepted must be able to end on a full disk.
        let notices = notices.into_iter().map(|new| (new.record, new.letter.message().clone())).collect();
        self.append(tenant, id, vec![Entry::Settle { id, transitions, delay_notified }], notices, None).await
    }

    async fn message(&self, id: LetterId) -> Result<Bytes, StoreError> {
        let location = {
            let table = self.table.lock();
            let live = table.get(id).ok_or(StoreError::Unknown(id))?;
            if let Some(hot) = &live.hot {
                return Ok(hot.clone());
            }
            live.location
        };
        off_reactor(location.frame as usize, || self.read(id, location))
    }

    fn find(&self, id: LetterId) -> Option<LetterRecord> {
        self.table.lock().get(id).map(|live| live.record.clone())
    }

    fn scan(&self, after: Option<LetterId>, limit: usize) -> Vec<LetterRecord> {
        self.table.lock().after(after).take(limit).map(|live| live.record.clone()).collect()
    }
}
