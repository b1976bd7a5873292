//! The scheduler at work: watches the board, starts workers, turns outcomes into states, and answers for every
//! letter until it has ended.
//!
//! Promises: a recipient is attempted by one worker at a time; an outcome is durable before the recipient may be
//! touched again; a letter expires wherever it rests; a destination that cannot be reached is tried once for all
//! that wait for it. A clock that jumps ahead expires nothing until it has stood the test of [`CLOCK_GRACE`]; one
//! that jumps back does not leave letters waiting for a time that no policy would have set.

mod after;
mod ports;
mod restore;
mod suspend;
mod watch;
mod work;

use after::never_asked;
pub use ports::{Delivery, SchedulerParts, Sender, Settings};
use watch::ClockWatch;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::board::Board;
use super::report::{self, Settlement};
use super::retry::RetryPolicy;
use super::suspension::Suspensions;
use super::turns;
use crate::clock::{Clock, Timestamp};
use crate::deliver::notice::NoticeKind;
use crate::deliver::outcome::{DialogueStage, Evidence, Outcome};
use crate::deliver::{Destination, DestinationLimits, Transaction};
use crate::ids::LetterId;
use crate::message::{DomainName, Mailbox, ReversePath};
use crate::observe::{Event, emit};
use crate::sign::TlsLevel;
use crate::store::{LetterRecord, NewLetter, RecipientState, Store, StoreError, Transition};

/// How long a clock that jumped ahead must go on before anything expires by it.
pub const CLOCK_GRACE: Duration = Duration::from_mins(10);
/// A difference between the wall clock and the steady one that counts as a jump.
const CLOCK_JUMP: Duration = Duration::from_mins(5);
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
const EVENTS_AT_ONCE: usize = 1000;

/// See the module.
pub struct Scheduler {
    pub(super) store: Arc<dyn Store>,
    pub(super) delivery: Arc<dyn Delivery>,
    pub(super) sender: Arc<dyn Sender>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: RwLock<Settings>,
    pub(super) board: Mutex<Board>,
    pub(super) suspensions: Suspensions,
    wake: Notify,
    idle: Notify,
    watch: Mutex<ClockWatch>,
}

impl Scheduler {
    /// A scheduler with an empty board.
    pub fn new(parts: SchedulerParts) -> Arc<Self> {
        let watch = ClockWatch { wall: parts.clock.now(), steady: Instant::now(), distrusted_until: None };
        Arc::new(Self {
            store: parts.store,
            delivery: parts.delivery,
            sender: parts.sender,
            clock: parts.clock,
            settings: RwLock::new(parts.settings),
            board: Mutex::new(Board::new(parts.connections)),
            suspensions: Suspensions::default(),
            wake: Notify::new(),
            idle: Notify::new(),
            watch: Mutex::new(watch),
        })
    }

    /// Replaces the policy.
    pub fn reconfigure(&self, settings: Settings) {
        *self.settings.write() = settings;
        self.board.lock().reconfigured();
    }

    /// Sites that get less mail now because they asked for it.
    pub fn sites_slowed(&self) -> usize {
        self.board.lock().slowed(self.clock.now())
    }

    /// A letter was just accepted.
    pub fn admit(self: &Arc<Self>, record: &LetterRecord) {
        self.board.lock().set_event(record.id, record.expires);
        self.advance(record);
    }

    /// Runs until `stop` is set.
    pub async fn run(self: Arc<Self>, mut stop: tokio::sync::watch::Receiver<bool>) {
        while !*stop.borrow() {
            let now = self.clock.now();
            if self.watch.lock().look(now) {
                self.after_a_jump_back();
            }
            let due = self.board.lock().due(now, EVENTS_AT_ONCE);
            let more = due.len() == EVENTS_AT_ONCE;
            for id in due {
                self.event(id).await;
            }
            let awake = self.board.lock().wake(now);
            for lane in awake {
                self.start_worker(lane);
            }
            if more {
                tokio::task::yield_now().await;
                continue;
            }
            let next = self.board.lock().next_event().map_or(LONGEST_SLEEP, |at| at.since(self.clock.now()));
            let nap = next.clamp(Duration::from_millis(1), LONGEST_SLEEP);
            tokio::select! {
                () = tokio::time::sleep(nap) => {}
                () = self.wake.notified() => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
    }

    /// Looks at the board at once.
    pub(super) fn nudge(&self) {
        self.wake.notify_one();
    }

    /// A recipient's next attempt, mended if no policy can have set it (the clock went back meanwhile).
    fn sound(&self, record: &LetterRecord, next: Timestamp, now: Timestamp) -> Timestamp {
        let longest = self.settings.read().retry.longest();
        let latest = record.options.not_before.unwrap_or(now).max(now) + longest;
        if next > latest { now } else { next }
    }

    /// When something is to be done about a letter next. `busy` recipients are answered for by their worker.
    pub(super) fn next_event(&self, record: &LetterRecord, busy: bool) -> Timestamp {
        let now = self.clock.now();
        let mut next = record.expires;
        let taken = if busy { self.board.lock().busy(record.id) } else { HashSet::new() };
        let attempts = record.states.iter().enumerate().filter_map(|(at, state)| match state {
            RecipientState::Waiting { next, .. } if !taken.contains(&(at as u32)) => {
                let next = self.sound(record, *next, now);
                let suspended = if next <= now { self.suspended(record, at, now) } else { None };
                Some(suspended.map_or(next, |one| one.until.unwrap_or(record.expires)))
            }
            _ => None,
        });
        next = attempts.min().map_or(next, |attempt| attempt.min(next));
        if Self::may_warn(record) {
            next = next.min(record.accepted + self.settings.read().warn_after);
        }
        next
    }

    fn may_warn(record: &LetterRecord) -> bool {
        let waits = |(state, recipient): (&RecipientState, &crate::message::Recipient)| {
            matches!(state, RecipientState::Waiting { attempts: 1.., .. }) && recipient.notify.delay()
        };
        !record.delay_notified
            && !record.notice
            && record.envelope.reverse_path != ReversePath::Null
            && record.states.iter().zip(&record.envelope.recipients).any(waits)
    }

    fn after_a_jump_back(&self) {
        let ids = self.board.lock().ids();
        for id in ids {
            if let Some(record) = self.store.find(id) {
                let next = self.next_event(&record, true);
                self.board.lock().set_event(id, next);
            }
        }
    }

    async fn event(self: &Arc<Self>, id: LetterId) {
        let Some(record) = self.store.find(id) else {
            self.board.lock().forget(id);
            return;
        };
        let now = self.clock.now();
        if now >= record.expires {
            if self.watch.lock().trusted() {
                self.expire(&record, now).await;
            } else {
                self.board.lock().set_event(id, now + CLOCK_GRACE);
            }
            return;
        }
        if Self::may_warn(&record) && now >= record.accepted + self.settings.read().warn_after {
            self.warn(&record).await;
        }
        self.advance(&record);
    }

    /// Hands every recipient that is due to its destination, and sets the letter's next event.
    pub(super) fn advance(self: &Arc<Self>, record: &LetterRecord) {
        let now = self.clock.now();
        let mut groups: BTreeMap<String, (Destination, Vec<u32>)> = BTreeMap::new();
        let busy = self.board.lock().busy(record.id);
        for (at, (state, recipient)) in record.states.iter().zip(&record.envelope.recipients).enumerate() {
            let RecipientState::Waiting { next, .. } = state else { continue };
            if self.sound(record, *next, now) > now || busy.contains(&(at as u32)) {
                continue;
            }
            if self.suspended(record, at, now).is_some() {
                self.board.lock().park(record.id);
                continue;
            }
            let destination = self.delivery.destination(recipient.address.domain());
            groups.entry(destination.key.clone()).or_insert((destination, Vec::new())).1.push(at as u32);
        }
        for (destination, recipients) in groups.into_values() {
            self.line_up(record, &destination, &recipients, now);
        }
        let next = self.next_event(record, true);
        self.board.lock().set_event(record.id, next);
    }

    /// Turns outcomes into states, notices and events, and makes them durable.
    async fn conclude(
        self: &Arc<Self>,
        record: &LetterRecord,
        outcomes: Vec<(u32, Outcome)>,
        original: Option<&bytes::Bytes>,
    ) {
        let recipients: Vec<u32> = outcomes.iter().map(|(at, _)| *at).collect();
        let settlement = self.judge(record, outcomes, original);
        self.settle(record, &recipients, settlement, false).await;
    }

    async fn expire(self: &Arc<Self>, record: &LetterRecord, now: Timestamp) {
        let open: Vec<u32> =
            (0..record.states.len() as u32).filter(|at| !record.states[*at as usize].is_final()).collect();
        let free = self.board.lock().withdraw(record.id, &open);
        if free.is_empty() {
            // All under way: their worker concludes, and expires what is left.
            self.board.lock().set_event(record.id, now + LONGEST_SLEEP);
            return;
        }
        let original = self.store.message(record.id).await.ok();
        let settlement = self.judge_expired(record, &free, original.as_ref(), now);
        self.settle(record, &free, settlement, false).await;
    }

    async fn warn(self: &Arc<Self>, record: &LetterRecord) {
        let original = self.store.message(record.id).await.ok();
        let settlement = self.judge_delayed(record, original.as_ref());
        self.settle(record, &[], settlement, true).await;
    }

    /// Makes a settlement durable, however long that takes: the mail has gone, or a person was told so.
    pub(super) async fn settle(
        self: &Arc<Self>,
        record: &LetterRecord,
        recipients: &[u32],
        settlement: Settlement,
        delay_notified: bool,
    ) {
        let id = record.id;
        let Settlement { transitions, notices, events } = settlement;
        let admitted: Vec<LetterRecord> = notices.iter().map(|notice| notice.record.clone()).collect();
        let mut notices = notices;
        let mut pause = Duration::from_millis(250);
        loop {
            // A letter is cloned for a second try only if there are notices, and those are rare and small.
            let again = notices.iter().map(|n| NewLetter { record: n.record.clone(), letter: n.letter.clone() });
            let again = again.collect();
            match self.store.settle(id, transitions.clone(), notices, delay_notified).await {
                Ok(()) | Err(StoreError::Unknown(_)) => break,
                Err(error) => {
                    emit(&Event::Gateway { state: "store-error", detail: format!("settling {id}: {error}") });
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_mins(1));
                    notices = again;
                }
            }
        }
        events.iter().for_each(emit);
        self.sender.happened(record, &events);
        if record.is_tls_report() {
            self.tell_of_report(record, &transitions);
        }
        self.board.lock().done(id, recipients);
        match self.store.find(id) {
            Some(record) => {
                let next = self.next_event(&record, true);
                self.board.lock().set_event(id, next);
                self.nudge();
            }
            None => self.board.lock().forget(id),
        }
        for notice in &admitted {
            self.admit(notice);
        }
    }

    /// Starts no further attempt and waits for those that run, at most this long; true if all have ended.
    pub async fn drain(&self, at_most: Duration) -> bool {
        self.board.lock().start_draining();
        self.wait_idle(at_most).await
    }

    /// Waits until no worker runs, at most this long; true if none does.
    async fn wait_idle(&self, at_most: Duration) -> bool {
        let until = Instant::now() + at_most;
        loop {
            let idle = self.idle.notified();
            if self.board.lock().workers() == 0 {
                return true;
            }
            if tokio::time::timeout_at(until, idle).await.is_err() {
                return self.board.lock().workers() == 0;
            }
        }
    }
}
