//! What outlives a run of the gateway: the disk, the hosts' mailboxes, the clock, and the ledger of what was promised.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::network::Takes;
use crate::chance::seeded::Dice;
use crate::clock::{Clock, Timestamp};
use crate::ids::LetterId;
use crate::store::pretend::PretendDisk;
use crate::store::{LetterRecord, NewLetter, RecipientState, Transition};

/// How a recipient ended, and in which run that was answered for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct End {
    pub(super) state: &'static str,
    pub(super) run: usize,
    pub(super) at: Timestamp,
}

/// A letter that somebody was promised.
#[derive(Debug, Clone)]
pub(super) struct Promise {
    pub(super) recipients: Vec<String>,
    pub(super) ends: Vec<Option<End>>,
    pub(super) notice: bool,
    /// Were notices about it promised?
    pub(super) noticed: bool,
    pub(super) run: usize,
    pub(super) at: Timestamp,
}

impl Promise {
    pub(super) fn of(record: &LetterRecord, run: usize, at: Timestamp) -> Self {
        Self {
            recipients: record.envelope.recipients.iter().map(|one| one.address.to_string()).collect(),
            ends: vec![None; record.states.len()],
            notice: record.notice,
            noticed: false,
            run,
            at,
        }
    }
}

/// A settlement that was asked for and whose answer did not come.
#[derive(Debug, Clone)]
pub(super) struct Attempted {
    pub(super) id: LetterId,
    pub(super) transitions: Vec<Transition>,
    pub(super) notices: Vec<(LetterRecord, Bytes)>,
}

/// What was promised, and what became of it.
#[derive(Default)]
pub(super) struct Ledger {
    pub(super) promises: BTreeMap<LetterId, Promise>,
    pub(super) attempted: Vec<Attempted>,
    /// Which letter has these octets.
    pub(super) by_octets: HashMap<Bytes, LetterId>,
    pub(super) problems: Vec<String>,
    early: HashMap<LetterId, Vec<(Attempted, usize, Timestamp)>>,
}

impl Ledger {
    /// A sender was told that its letter is safe. The letter may have ended before its sender read that.
    pub(super) fn promise(&mut self, id: LetterId, promise: Promise) {
        let early = self.early.remove(&id).unwrap_or_default();
        self.promises.insert(id, promise);
        for (done, run, at) in early {
            self.settled(&done, run, at);
        }
    }

    /// A settlement is durable.
    pub(super) fn settled(&mut self, done: &Attempted, run: usize, at: Timestamp) {
        let gives_up =
            done.transitions.iter().any(|t| matches!(t.state, RecipientState::Bounced(_) | RecipientState::Expired(_)));
        for (record, octets) in &done.notices {
            self.promises.entry(record.id).or_insert_with(|| Promise::of(record, run, at));
            self.by_octets.insert(octets.clone(), record.id);
        }
        let Some(promise) = self.promises.get_mut(&done.id) else {
            let bare = Attempted { notices: Vec::new(), ..done.clone() };
            self.early.entry(done.id).or_default().push((
                if done.notices.is_empty() { done.clone() } else { bare },
                run,
                at,
            ));
            return;
        };
        promise.noticed |= !done.notices.is_empty();
        if gives_up && !promise.notice && done.notices.is_empty() {
            self.problems.push(format!("{}: given up without a notice", done.id));
        }
        for transition in &done.transitions {
            if transition.state.is_final() {
                let end = &mut promise.ends[transition.recipient as usize];
                let new = End { state: transition.state.name(), run, at };
                if let Some(old) = end.replace(new) {
                    self.problems.push(format!("{} ended twice: {old:?}, {end:?}", done.id));
                }
            }
        }
    }
}

/// See the module.
pub(super) struct World {
    pub(super) dice: Mutex<Dice>,
    pub(super) disk: PretendDisk,
    pub(super) takes: Takes,
    pub(super) ledger: Mutex<Ledger>,
    base: Mutex<(Timestamp, Option<Instant>)>,
    mended: AtomicBool,
    restart: AtomicBool,
    run: AtomicUsize,
    /// Runs whose disk failed now and then.
    ill: Mutex<Vec<usize>>,
}

impl World {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            dice: Mutex::new(Dice::new(seed)),
            disk: PretendDisk::default(),
            takes: Takes::default(),
            ledger: Mutex::default(),
            base: Mutex::new((Timestamp::from_millis(1_795_000_000_000), None)),
            mended: AtomicBool::new(false),
            restart: AtomicBool::new(false),
            ill: Mutex::default(),
            run: AtomicUsize::new(0),
        })
    }

    pub(super) fn below(&self, end: u64) -> u64 {
        self.dice.lock().below(end)
    }

    /// Does something go wrong now, that does so `of_1000` times in a thousand?
    pub(super) fn mishap(&self, of_1000: u64) -> bool {
        !self.is_mended() && self.dice.lock().chance(of_1000)
    }

    /// From now on nothing goes wrong.
    pub(super) fn mend(&self) {
        self.mended.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_mended(&self) -> bool {
        self.mended.load(Ordering::SeqCst)
    }

    pub(super) fn run(&self) -> usize {
        self.run.load(Ordering::SeqCst)
    }

    /// The run has failed in a way that only a new one mends.
    pub(super) fn ask_for_restart(&self) {
        self.restart.store(true, Ordering::SeqCst);
    }

    pub(super) fn wants_restart(&self) -> bool {
        self.restart.load(Ordering::SeqCst)
    }

    /// Decides how the disk fails in the run that begins; in the last one it does not.
    pub(super) fn plan_faults(&self, last: bool) {
        self.restart.store(false, Ordering::SeqCst);
        if last {
            return self.mend();
        }
        let mut dice = self.dice.lock();
        let mut disk = self.disk.0.lock();
        if dice.below(2) == 0 {
            disk.dies_at = Some(disk.operations + 1 + dice.below(120) as usize);
        }
        if dice.below(4) == 0 {
            disk.faults = Some((20, Dice::new(dice.next())));
            self.ill.lock().push(self.run());
        }
        disk.full = dice.below(12) == 0;
    }

    pub(super) fn disk_was_ill(&self, run: usize) -> bool {
        self.ill.lock().contains(&run)
    }

    /// A run begins, inside of its runtime.
    pub(super) fn begin_run(&self) {
        self.base.lock().1 = Some(Instant::now());
    }

    /// It ends, still inside; some time passes until the next one.
    pub(super) fn end_run(&self, pause: Duration) {
        let mut base = self.base.lock();
        if let Some(began) = base.1.take() {
            base.0 = base.0 + began.elapsed() + pause;
        }
        self.run.fetch_add(1, Ordering::SeqCst);
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        let base = self.base.lock();
        base.1.map_or(base.0, |began| base.0 + began.elapsed())
    }
}

/// A letter with its octets, before they are handed over.
pub(super) fn octets_of(letter: &NewLetter) -> (LetterRecord, Bytes) {
    (letter.record.clone(), letter.letter.message().clone())
}
