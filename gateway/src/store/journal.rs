//! The journal: append-only segments of sealed frames, one sync a batch.
//!
//! Promises: [`Journal::commit`] answers after `fdatasync`; everybody who waits meanwhile shares the next one
//! (group commit: the writer takes all that has gathered while it synced, see [`super::inbox`]). The
//! table changes after the sync and before the answer, in the journal's order. Refuses everything after a failed
//! sync: what the kernel kept of it is unknown, so only a restart, which reads the disk, may go on.
//!
//! A segment is never appended to by a later run, so a run's frames are sealed under keys derived from the
//! segment's salt and numbered by a counter: no nonce twice (NIST SP 800-38D §8.2.1).

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use tokio::sync::oneshot;
use waxseal_keys::sealing::{DataKey, RecordKey, SealingError};

use super::StoreError;
use super::disk::{Disk, Segment};
use super::frame::{FrameHeader, HEADER_LEN};
use super::inbox::{Expected, Inbox};
use super::record::{self, Entry};
use super::table::{Effect, Position, Table};
use crate::ids::{LetterId, TenantId};

/// The octets of a batch.
const BATCH_OCTETS: usize = 16 << 20;
const SEGMENT_MARK: &[u8; 8] = b"WAXSEAL\x01";
/// Octets of a segment's header: mark, number, salt, checksum.
pub const SEGMENT_HEADER_LEN: usize = 8 + 8 + 32 + 4;

/// Where the tenants' data keys come from.
pub trait TenantKeys: Send + Sync + 'static {
    /// The key of a tenant, also of one that was removed while its letters are still queued.
    fn data_key(&self, tenant: TenantId) -> Option<Arc<DataKey>>;
}

/// A run's salt.
pub type Salt = [u8; 32];

/// The header of a segment.
pub fn segment_header(number: u64, salt: &Salt) -> Vec<u8> {
    let mut header = Vec::with_capacity(SEGMENT_HEADER_LEN);
    header.extend_from_slice(SEGMENT_MARK);
    header.extend_from_slice(&number.to_be_bytes());
    header.extend_from_slice(salt);
    header.extend_from_slice(&crc32fast::hash(&header).to_be_bytes());
    header
}

/// The salt that a segment's header names, if the header is whole and is this segment's.
pub fn read_segment_header(octets: &[u8], number: u64) -> Option<Salt> {
    let header = octets.get(..SEGMENT_HEADER_LEN)?;
    let salt: Salt = header[16..48].try_into().ok()?;
    (segment_header(number, &salt) == header).then_some(salt)
}

/// The frame keys, by salt and tenant; derived once each.
pub struct FrameKeys {
    tenants: Arc<dyn TenantKeys>,
    derived: RwLock<HashMap<(Salt, TenantId), Arc<RecordKey>>>,
}

impl FrameKeys {
    /// Derives from these tenants' keys.
    pub fn new(tenants: Arc<dyn TenantKeys>) -> Self {
        Self { tenants, derived: RwLock::default() }
    }

    /// The tenants' keys.
    pub fn tenants(&self) -> &Arc<dyn TenantKeys> {
        &self.tenants
    }

    /// The key of a tenant's frames under a salt.
    pub fn get(&self, salt: &Salt, tenant: TenantId) -> Result<Arc<RecordKey>, StoreError> {
        if let Some(key) = self.derived.read().get(&(*salt, tenant)) {
            return Ok(key.clone());
        }
        let data_key = self.tenants.data_key(tenant);
        let data_key = data_key.ok_or_else(|| StoreError::Damaged(format!("no data key of tenant {}", tenant.0)))?;
        let key = Arc::new(data_key.derive(salt, b"waxseal journal v1").record_key());
        self.derived.write().insert((*salt, tenant), key.clone());
        Ok(key)
    }

    /// Opens a frame's payload.
    pub fn open(&self, salt: &Salt, header: &FrameHeader, payload: &[u8]) -> Result<Vec<u8>, StoreError> {
        let key = self.get(salt, header.tenant)?;
        let mut plain = payload.to_vec();
        let opened = key.open_in_place(header.counter, &[&header.associated()], &mut plain);
        let length = opened.map_err(|e| StoreError::Damaged(format!("letter {}: {e}", header.letter)))?.len();
        plain.truncate(length);
        Ok(plain)
    }
}

/// A frame that is ready to be written, and what it does.
pub struct Prepared {
    frame: Vec<u8>,
    effects: Vec<Effect>,
}

struct Request {
    prepared: Prepared,
    done: oneshot::Sender<Result<(), StoreError>>,
}

/// Where the writer runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WriterPlace {
    /// On a thread of its own: a sync holds up nobody else.
    #[default]
    Thread,
    /// Where the first of a batch waits, after this pause: under a simulated clock a sync takes time, and what happens
    /// meanwhile happens in the same order every time.
    Caller(std::time::Duration),
}

/// Who holds the pen.
enum Pen {
    Thread(Mutex<Option<std::thread::JoinHandle<()>>>),
    Caller(Mutex<Writer>, std::time::Duration),
}

/// The handle that sessions and deliveries share.
pub struct Journal {
    inbox: Arc<Inbox<Request>>,
    pen: Pen,
    counter: AtomicU64,
    salt: Salt,
    keys: Arc<FrameKeys>,
    closed: Arc<OnceLock<String>>,
}

impl Journal {
    /// Starts the writer; its first segment is `next_segment`, made with the first frame.
    pub fn start(
        disk: Arc<dyn Disk>,
        keys: Arc<FrameKeys>,
        table: Arc<Mutex<Table>>,
        next_segment: u64,
        segment_octets: u64,
        place: WriterPlace,
    ) -> Result<Self, StoreError> {
        let salt: Salt = rand::random();
        let inbox = Inbox::new(BATCH_OCTETS);
        let closed: Arc<OnceLock<String>> = Arc::default();
        let mut writer =
            Writer { disk, table, salt, next_segment, segment_octets, current: None, closed: closed.clone() };
        let pen = match place {
            WriterPlace::Caller(pause) => Pen::Caller(Mutex::new(writer), pause),
            WriterPlace::Thread => {
                let thread = std::thread::Builder::new().name("journal".into()).spawn({
                    let inbox = inbox.clone();
                    move || writer.run(&inbox)
                });
                Pen::Thread(Mutex::new(Some(thread.map_err(|e| io_error("starting the journal's writer", &e))?)))
            }
        };
        Ok(Self { inbox, pen, counter: AtomicU64::new(0), salt, keys, closed })
    }

    /// Seals a transaction of one tenant; `bodies` in the order of the `Accept` entries. CPU-bound: a copy and an
    /// encryption of the bodies.
    pub fn prepare(
        &self,
        tenant: TenantId,
        letter: LetterId,
        entries: Vec<Entry>,
        bodies: Vec<Bytes>,
    ) -> Result<Prepared, StoreError> {
        let damaged = |e: &dyn std::fmt::Display| StoreError::Damaged(format!("letter {letter}: {e}"));
        let octets: usize = bodies.iter().map(Bytes::len).sum();
        let mut frame = Vec::with_capacity(HEADER_LEN + octets + 1024);
        frame.resize(HEADER_LEN, 0);
        let mut at = record::encode(&entries, &bodies, &mut frame).map_err(|e| damaged(&e))?;
        let length = frame.len() - HEADER_LEN + waxseal_keys::sealing::TAG_LEN;
        let header = FrameHeader {
            length: u32::try_from(length).map_err(|e| damaged(&e))?,
            tenant,
            counter: self.counter.fetch_add(1, Ordering::Relaxed),
            letter,
        };
        let key = self.keys.get(&self.salt, tenant)?;
        let sealed: Result<_, SealingError> =
            key.seal_in_place(header.counter, &[&header.associated()], &mut frame[HEADER_LEN..]);
        frame.extend_from_slice(&sealed.map_err(|e| damaged(&e))?);
        header.finish(&mut frame);
        let mut bodies = bodies.into_iter();
        let mut effect = |entry: Entry| {
            let hot = matches!(entry, Entry::Accept { .. }).then(|| bodies.next()).flatten();
            let body = at..at + hot.as_ref().map_or(0, Bytes::len);
            at = body.end;
            Effect::of(entry, &body, hot)
        };
        let effects = entries.into_iter().map(&mut effect).collect();
        Ok(Prepared { frame, effects })
    }

    /// Says that a frame will be committed soon, so that a batch may wait for it a moment.
    pub fn expect(&self) -> Expected {
        self.inbox.expect()
    }

    /// Writes a prepared frame, which was expected or not; returns when it is durable and the table knows.
    pub async fn commit(&self, prepared: Prepared, expected: Option<Expected>) -> Result<(), StoreError> {
        let closed = || StoreError::Closed("the journal's writer has stopped".into());
        let (done, answer) = oneshot::channel();
        if self.inbox.push(prepared.frame.len(), Request { prepared, done }).is_err() {
            return Err(closed());
        }
        drop(expected);
        if let Pen::Caller(writer, pause) = &self.pen {
            tokio::time::sleep(*pause).await;
            writer.lock().write(self.inbox.take_now());
        }
        answer.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Why nothing can be written any more until the next start, if that is so.
    pub fn closed(&self) -> Option<&str> {
        self.closed.get().map(String::as_str)
    }

    /// Stops the writer after what was handed to it.
    pub fn stop(&self) {
        self.inbox.close();
        if let Pen::Thread(writer) = &self.pen
            && let Some(writer) = writer.lock().take()
        {
            // A panic of the writer was already answered to everybody who waited, as a closed store.
            let _ = writer.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.stop();
    }
}

struct Current {
    number: u64,
    segment: Box<dyn Segment>,
    length: u64,
}

struct Writer {
    disk: Arc<dyn Disk>,
    table: Arc<Mutex<Table>>,
    salt: Salt,
    next_segment: u64,
    segment_octets: u64,
    current: Option<Current>,
    /// Set once: only a new start, which reads what the disk really holds, can make it good.
    closed: Arc<OnceLock<String>>,
}

/// An I/O error of the store.
pub(super) fn io_error(what: &str, error: &io::Error) -> StoreError {
    StoreError::Io { what: what.to_owned(), why: error.to_string() }
}

impl Writer {
    fn run(&mut self, inbox: &Inbox<Request>) {
        while let Some(batch) = inbox.take() {
            self.write(batch);
        }
    }

    fn write(&mut self, batch: Vec<Request>) {
        if batch.is_empty() {
            return;
        }
        let (prepared, waiting): (Vec<_>, Vec<_>) = batch.into_iter().map(|r| (r.prepared, r.done)).unzip();
        let result = match self.closed.get() {
            Some(reason) => Err(StoreError::Closed(reason.clone())),
            None => self.append(prepared),
        };
        for done in waiting {
            // A session that went away meanwhile does not hear of it; its letter is in the queue all the same.
            let _ = done.send(result.clone());
        }
    }

    fn append(&mut self, batch: Vec<Prepared>) -> Result<(), StoreError> {
        if self.current.as_ref().is_some_and(|current| current.length >= self.segment_octets) {
            self.current = None;
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => self.current.insert(new_segment(&*self.disk, &self.salt, &mut self.next_segment)?),
        };
        let slices: Vec<IoSlice<'_>> = batch.iter().map(|prepared| IoSlice::new(&prepared.frame)).collect();
        if let Err(error) = current.segment.append(&slices) {
            // The part that was written is cut off again; if even that fails, the file's end is unknown.
            if let Err(worse) = current.segment.truncate(current.length) {
                self.closed.get_or_init(|| format!("cannot cut a half-written segment: {worse}"));
            }
            return Err(match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    StoreError::DiskShort { free: self.disk.free().unwrap_or(0), reserve: 0 }
                }
                _ => io_error("writing the journal", &error),
            });
        }
        let started = std::time::Instant::now();
        if let Err(error) = current.segment.sync() {
            // After a failed sync the kernel may have dropped the pages and calls the next sync good.
            self.closed.get_or_init(|| format!("fdatasync failed: {error}"));
            return Err(io_error("syncing the journal", &error));
        }
        metrics::histogram!("waxseal_queue_fsync_duration_seconds").record(started.elapsed().as_secs_f64());
        let mut table = self.table.lock();
        for prepared in batch {
            let at = Position { segment: current.number, offset: current.length };
            let frame = prepared.frame.len() as u32;
            current.length += u64::from(frame);
            table.apply(at, frame, prepared.effects);
        }
        Ok(())
    }
}

fn new_segment(disk: &dyn Disk, salt: &Salt, next: &mut u64) -> Result<Current, StoreError> {
    let number = *next;
    let fail = |e: io::Error| match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            StoreError::DiskShort { free: disk.free().unwrap_or(0), reserve: 0 }
        }
        _ => io_error("making a journal segment", &e),
    };
    let segment = disk.create(number).map_err(fail)?;
    // A segment whose header fails to be written keeps its number: recovery reads it as an empty one.
    *next += 1;
    segment.append(&[IoSlice::new(&segment_header(number, salt))]).map_err(fail)?;
    Ok(Current { number, segment, length: SEGMENT_HEADER_LEN as u64 })
}
