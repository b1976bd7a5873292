//! The history: what happened to each letter, kept for a while after it has left the queue.
//!
//! It answers "why is it not there?" and "what became of it?", and it knows whom a letter went to when a bounce comes back
//! days later. No promise to a sender rests on it: what happened in the last second before a crash may be missing, and a
//! database that does not open is put aside and begun anew, loudly. Everything is sealed under the tenant's data key
//! with its place bound in. Nothing is written while the disk is short: the queue's room comes first.
//!
//! One key a letter and second: its id, then a number that ascends. So a letter's history is one short range, and what is
//! too old is the beginning of the whole.

mod moment;
mod place;
#[cfg(test)]
mod tests;
mod timeline;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};
use crate::ids::{LetterId, TenantId};
use crate::observe::{Event, emit};
use crate::store::journal::TenantKeys;

pub use moment::{Acceptance, Attempt, End, Happening, Moment, Return, of_event};
pub use place::{HistoryError, Place, SledPlace};
pub use timeline::{RecipientTimeline, Step, Timeline, timeline};

/// How often what happened is written down.
const EVERY: Duration = Duration::from_secs(1);
/// How often what is too old is removed, and how many keys at once.
const SWEEP: Duration = Duration::from_mins(10);
const SWEEP_KEYS: usize = 20_000;
/// Moments that may wait for the disk; past this the oldest letters' are let go of, and that is told.
const WAITING: usize = 100_000;
const VERSION: u8 = 1;

/// What is known of a letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// Whose it is.
    pub tenant: TenantId,
    /// What happened, in the order of time.
    pub moments: Vec<Moment>,
}

impl Past {
    /// How it was accepted, if that is still known.
    pub fn acceptance(&self) -> Option<&Acceptance> {
        self.moments.iter().find_map(|moment| match &moment.what {
            Happening::Accepted(acceptance) => Some(&**acceptance),
            _ => None,
        })
    }
}

/// Who remembers letters. Implemented by [`History`]; one that knows nothing serves tests.
pub trait Remembers: Send + Sync + 'static {
    /// Everything that is known of a letter. Blocks on the disk.
    fn past(&self, id: LetterId) -> Option<Past>;
}

impl Remembers for History {
    fn past(&self, id: LetterId) -> Option<Past> {
        self.of(id).ok().flatten()
    }
}

/// Nobody remembers anything.
#[derive(Debug, Clone, Copy)]
pub struct NoHistory;

impl Remembers for NoHistory {
    fn past(&self, _: LetterId) -> Option<Past> {
        None
    }
}

#[derive(Default)]
struct Waiting {
    letters: BTreeMap<LetterId, Past>,
    moments: usize,
    lost: usize,
}

/// See the module. Share it in an `Arc`.
pub struct History {
    place: Box<dyn Place>,
    keys: Arc<dyn TenantKeys>,
    clock: Arc<dyn Clock>,
    keep: Duration,
    /// Is there room beside the queue?
    room: Box<dyn Fn() -> bool + Send + Sync>,
    waiting: Mutex<Waiting>,
    /// One writer at a time, so that what is being written can still be read.
    writing: Mutex<BTreeMap<LetterId, Past>>,
    number: AtomicU64,
}

fn key(id: LetterId, number: u64) -> Vec<u8> {
    [id.to_bytes().as_slice(), &number.to_be_bytes()].concat()
}

impl History {
    /// Opens the database in `path`; the text says why the old one was put aside, if it was.
    pub fn open(
        path: &Path,
        keys: Arc<dyn TenantKeys>,
        clock: Arc<dyn Clock>,
        keep: Duration,
        room: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Result<(Arc<Self>, Option<String>), HistoryError> {
        let (place, told) = SledPlace::open(path, clock.now())?;
        Ok((Self::at(Box::new(place), keys, clock, keep, room), told))
    }

    /// The same at any place.
    pub fn at(
        place: Box<dyn Place>,
        keys: Arc<dyn TenantKeys>,
        clock: Arc<dyn Clock>,
        keep: Duration,
        room: Box<dyn Fn() -> bool + Send + Sync>,
    ) -> Arc<Self> {
        // Numbers go on where an earlier run may have stopped.
        let number = AtomicU64::new(clock.now().millis() << 16);
        let (waiting, writing) = (Mutex::default(), Mutex::default());
        Arc::new(Self { place, keys, clock, keep, room, waiting, writing, number })
    }

    /// How long it goes back.
    pub const fn keeps(&self) -> Duration {
        self.keep
    }

    /// Notes what happened to a letter. Costs no disk now.
    pub fn note(&self, tenant: TenantId, id: LetterId, moments: Vec<Moment>) {
        if self.keep.is_zero() || moments.is_empty() {
            return;
        }
        let mut waiting = self.waiting.lock();
        waiting.moments += moments.len();
        waiting.letters.entry(id).or_insert_with(|| Past { tenant, moments: Vec::new() }).moments.extend(moments);
        while waiting.moments > WAITING {
            let Some((_, oldest)) = waiting.letters.pop_first() else { break };
            waiting.moments -= oldest.moments.len();
            waiting.lost += oldest.moments.len();
        }
    }

    /// Everything that is known of a letter. Blocks on the disk.
    pub fn of(&self, id: LetterId) -> Result<Option<Past>, HistoryError> {
        let mut past: Option<Past> = None;
        let mut add = |tenant, moments: Vec<Moment>| {
            past.get_or_insert_with(|| Past { tenant, moments: Vec::new() }).moments.extend(moments);
        };
        // The lock keeps what is on its way to the disk from being seen twice, or not at all.
        let writing = self.writing.lock();
        for (key, value) in self.place.range(&id.to_bytes())? {
            if let Some((tenant, moments)) = self.open_value(&key, &value) {
                add(tenant, moments);
            }
        }
        for letters in [&*writing, &self.waiting.lock().letters] {
            if let Some(past) = letters.get(&id) {
                add(past.tenant, past.moments.clone());
            }
        }
        drop(writing);
        Ok(past.map(|mut past| {
            past.moments.sort_by_key(|moment| moment.at);
            past
        }))
    }

    fn open_value(&self, key: &[u8], value: &[u8]) -> Option<(TenantId, Vec<Moment>)> {
        let (version, rest) = value.split_first()?;
        let (tenant, sealed) = rest.split_first_chunk::<4>()?;
        let tenant = TenantId(u32::from_be_bytes(*tenant));
        let plain = self.keys.data_key(tenant)?.open(&context(key), sealed).ok()?;
        (*version == VERSION).then(|| postcard::from_bytes(&plain).ok()).flatten().map(|moments| (tenant, moments))
    }

    fn sealed(&self, key: &[u8], past: &Past) -> Option<Vec<u8>> {
        let plain = postcard::to_stdvec(&past.moments).ok()?;
        let sealed = self.keys.data_key(past.tenant)?.seal(&context(key), &plain).ok()?;
        Some([&[VERSION], past.tenant.0.to_be_bytes().as_slice(), &sealed].concat())
    }

    /// Writes down what waits. Blocks on the disk.
    pub fn write(&self) -> Result<(), HistoryError> {
        let mut writing = self.writing.lock();
        let (letters, lost) = {
            let mut waiting = self.waiting.lock();
            waiting.moments = 0;
            (std::mem::take(&mut waiting.letters), std::mem::take(&mut waiting.lost))
        };
        if lost > 0 {
            let detail = format!("{lost} moments of letters were let go of: the disk does not keep up");
            emit(&Event::Gateway { state: "history-lost", detail });
        }
        if letters.is_empty() || !(self.room)() {
            return Ok(());
        }
        *writing = letters;
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let batch = writing.iter().filter_map(|(id, past)| {
            let key = key(*id, number);
            let sealed = self.sealed(&key, past)?;
            Some((key, sealed))
        });
        let written = self.place.write(batch.collect());
        writing.clear();
        written
    }

    /// Removes what is too old, so many keys at most; true if there may be more.
    pub fn sweep(&self) -> Result<bool, HistoryError> {
        let bound = LetterId::first_at(self.clock.now().before(self.keep));
        self.place.remove_before(&bound.to_bytes(), SWEEP_KEYS)
    }

    /// Writes and sweeps until `stop`, and once more at the end.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut swept: Option<tokio::time::Instant> = None;
        loop {
            let stopping = tokio::time::timeout(EVERY, stop.wait_for(|stop| *stop)).await.is_ok();
            let due = swept.is_none_or(|at| at.elapsed() >= SWEEP);
            let history = self.clone();
            let work = move || history.write().and_then(|()| if due { history.sweep() } else { Ok(false) });
            match tokio::task::spawn_blocking(work).await {
                Ok(Ok(more)) if due && !more => swept = Some(tokio::time::Instant::now()),
                Ok(Err(error)) => emit(&Event::Gateway { state: "history", detail: error.to_string() }),
                _ => {}
            }
            if stopping {
                return;
            }
        }
    }

    /// Copies everything into the new folder `target`, for a backup. Blocks on the disk.
    pub fn copy_into(&self, target: &Path) -> Result<(), String> {
        self.write().map_err(|error| error.to_string())?;
        self.place.copy_into(target)
    }

    /// The time, as everything here knows it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn context(key: &[u8]) -> Vec<u8> {
    [b"waxseal history v1\0", key].concat()
}
