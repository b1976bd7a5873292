//! The board: which letter has its next event when, which recipients wait for a connection or are under way, and
//! whose turn it is. Pure: times come in, jobs go out; nothing here knows a socket or the store.
//!
//! Every living letter has exactly one entry in the order of events (its next attempt, its delay notice or its
//! expiry, whichever is first), so that an event costs the logarithm of the queue and expiry is enforced wherever a
//! letter rests, also while it waits for a connection (see KumoMTA #539 for what happens otherwise).
//!
//! Turns are taken twice. Inside a lane (the letters for one site) tenants take turns ([`super::turns`]).
//! Between lanes, where the limit of all connections stands in the way, workers do: a lane with more workers than the
//! hungriest one lends it one after its next letter; of lanes with equally many each keeps a worker for a shift
//! and goes to the end of the line. No step looks at more than the lanes and letters that it is about.

mod crew;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::lane::Lane;
use super::limit::LaneView;
use crate::clock::Timestamp;
use crate::deliver::shaping::SlowDown;
use crate::deliver::{Destination, DestinationLimits};
use crate::ids::{LetterId, TenantId};
use crate::sign::MailStream;

/// Recipients of one letter that go to one destination together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The letter.
    pub id: LetterId,
    /// Its recipients, by their places in the envelope.
    pub recipients: Vec<u32>,
    /// Whose it is and what it takes.
    pub share: Share,
}

/// Whose a job is and what it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// The tenant.
    pub tenant: TenantId,
    /// Before or after others.
    pub stream: MailStream,
    /// As [`super::turns::cost`] says.
    pub cost: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Busy {
    Ready,
    UnderWay,
}

#[derive(Debug)]
struct Entry {
    event: Timestamp,
    busy: Vec<(u32, Busy)>,
}

impl Entry {
    /// Of a job that is taken out of its lane, those recipients that were not withdrawn meanwhile.
    fn take(&mut self, recipients: &mut Vec<u32>) {
        let ready = |at: &u32| self.busy.contains(&(*at, Busy::Ready));
        recipients.retain(ready);
        for (at, busy) in &mut self.busy {
            if recipients.contains(at) {
                *busy = Busy::UnderWay;
            }
        }
    }
}

/// The name of a lane.
pub type LaneKey = Arc<str>;

/// What a worker gets that asks for its next job.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// This one.
    Job(Job),
    /// Its lane needs it no more, this one does.
    Move(LaneKey),
    /// Nothing to do: the worker ends.
    Rest,
}

/// See the module.
#[derive(Default)]
pub struct Board {
    letters: HashMap<LetterId, Entry>,
    events: BTreeSet<(Timestamp, LetterId)>,
    lanes: HashMap<LaneKey, Lane>,
    /// Letters with a recipient that a suspension keeps from being lined up.
    parked: HashSet<LetterId>,
    /// Lanes that the limit of all connections keeps from one more worker: fewest workers first, then the longest wait.
    wanting: BTreeSet<(usize, u64, LaneKey)>,
    /// Lanes that the board looks at by itself: their rate allows the next job then, or nothing about them need be
    /// remembered any more.
    sleeping: BTreeSet<(Timestamp, LaneKey)>,
    tickets: u64,
    generation: u64,
    workers: usize,
    most_workers: usize,
    draining: bool,
}

impl Board {
    /// A board for at most `most_workers` connections in all.
    pub fn new(most_workers: usize) -> Self {
        Self { most_workers, ..Self::default() }
    }

    /// A letter's next event is at `event`; it is on the board from now on.
    pub fn set_event(&mut self, id: LetterId, event: Timestamp) {
        let entry = self.letters.entry(id).or_insert_with(|| Entry { event, busy: Vec::new() });
        self.events.remove(&(entry.event, id));
        entry.event = event;
        self.events.insert((event, id));
    }

    /// The same for a letter that was in the store before this run; one that is on the board stays as it is.
    pub fn restore_event(&mut self, id: LetterId, event: Timestamp) {
        if !self.letters.contains_key(&id) {
            self.set_event(id, event);
        }
    }

    /// A letter has ended.
    pub fn forget(&mut self, id: LetterId) {
        if let Some(entry) = self.letters.remove(&id) {
            self.events.remove(&(entry.event, id));
        }
        self.parked.remove(&id);
    }

    /// A suspension keeps a recipient of this letter from being lined up.
    pub fn park(&mut self, id: LetterId) {
        self.parked.insert(id);
    }

    /// Letters that were parked are looked at again now, at most `limit`; how many were.
    pub fn wake_parked(&mut self, now: Timestamp, limit: usize) -> usize {
        let some: Vec<LetterId> = self.parked.iter().take(limit).copied().collect();
        for id in &some {
            self.parked.remove(id);
            if self.letters.contains_key(id) {
                self.set_event(*id, now);
            }
        }
        some.len()
    }

    /// A job was not begun after all: what its site's rate counted is taken back.
    pub fn give_back(&mut self, key: &str, now: Timestamp) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.next_start = lane.next_start.min(now);
        }
    }

    /// The letters whose event is due, oldest event first, at most `limit`; the caller sets their next one.
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<LetterId> {
        self.events.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, id)| *id).collect()
    }

    /// When the next event is, or a lane wakes.
    pub fn next_event(&self) -> Option<Timestamp> {
        let wakes = self.sleeping.first().map(|(at, _)| *at);
        self.events.first().map(|(at, _)| *at).into_iter().chain(wakes).min()
    }

    /// Every letter on the board.
    pub fn ids(&self) -> Vec<LetterId> {
        self.letters.keys().copied().collect()
    }

    /// A letter's recipients that wait for a connection or are under way.
    pub fn busy(&self, id: LetterId) -> HashSet<u32> {
        self.letters.get(&id).map(|entry| entry.busy.iter().map(|(at, _)| *at).collect()).unwrap_or_default()
    }

    /// Is this recipient under way right now?
    pub fn is_under_way(&self, id: LetterId, recipient: u32) -> bool {
        self.letters.get(&id).is_some_and(|entry| entry.busy.contains(&(recipient, Busy::UnderWay)))
    }

    /// Puts a job into its lane; `true` if a worker should be started there.
    pub fn enqueue(
        &mut self,
        job: Job,
        destination: &Destination,
        now: Timestamp,
        limits: impl Fn() -> DestinationLimits,
    ) -> bool {
        let Some(entry) = self.letters.get_mut(&job.id) else { return false };
        entry.busy.extend(job.recipients.iter().map(|recipient| (*recipient, Busy::Ready)));
        let key = destination.lane();
        self.open(key, limits).jobs.push(job.share.tenant, job.share.stream, job.share.cost, job);
        self.staff(key, now)
    }

    /// The lane of this name, with the limits of the present configuration.
    fn open(&mut self, key: &str, limits: impl Fn() -> DestinationLimits) -> &mut Lane {
        let generation = self.generation;
        let lane = self.lanes.entry(key.into()).or_insert_with(|| Lane::new(limits(), generation));
        if lane.generation != generation {
            (lane.limits, lane.generation) = (limits(), generation);
        }
        lane
    }

    /// It turned out that a job, and if `all` everything beside it, belongs into another lane: `true` if a worker should
    /// be started there.
    pub fn relocate(
        &mut self,
        (from, all): (&str, bool),
        mut job: Job,
        to: &Destination,
        now: Timestamp,
        limits: impl Fn() -> DestinationLimits,
    ) -> bool {
        match self.letters.get_mut(&job.id) {
            Some(entry) => entry.busy.iter_mut().filter(|(at, _)| job.recipients.contains(at)).for_each(|(_, busy)| {
                *busy = Busy::Ready;
            }),
            None => job.recipients.clear(),
        }
        let others = if all { self.lanes.get_mut(from).map(|lane| lane.jobs.drain()) } else { None };
        let jobs: Vec<Job> = std::iter::once(job).chain(others.into_iter().flatten()).collect();
        let lane = self.open(to.lane(), limits);
        for job in jobs {
            lane.jobs.push(job.share.tenant, job.share.stream, job.share.cost, job);
        }
        self.staff(to.lane(), now)
    }

    /// The limits may have been configured anew.
    pub fn reconfigured(&mut self) {
        self.generation += 1;
    }

    /// Recipients are neither waiting for a connection nor under way any more.
    pub fn done(&mut self, id: LetterId, recipients: &[u32]) {
        if let Some(entry) = self.letters.get_mut(&id) {
            entry.busy.retain(|(recipient, _)| !recipients.contains(recipient));
        }
    }

    /// Takes recipients out of the line (a person or expiry decided otherwise); those that are under way stay. Returns
    /// those that may be changed now, which count as under way until [`Board::done`]. Their places in the lanes are
    /// skipped when their turn comes.
    pub fn withdraw(&mut self, id: LetterId, recipients: &[u32]) -> Vec<u32> {
        let Some(entry) = self.letters.get_mut(&id) else { return recipients.to_vec() };
        let under_way = |recipient: &u32| entry.busy.contains(&(*recipient, Busy::UnderWay));
        let free: Vec<u32> = recipients.iter().copied().filter(|recipient| !under_way(recipient)).collect();
        entry.busy.retain(|(recipient, _)| !free.contains(recipient));
        entry.busy.extend(free.iter().map(|recipient| (*recipient, Busy::UnderWay)));
        free
    }

    /// An attempt failed before the destination was asked anything. If as many failed in a row as workers are at
    /// it (one refused connection of many is not a dead host), every job that waits there is handed back, its
    /// recipients under way until [`Board::done`].
    pub fn unreachable(&mut self, key: &str) -> Vec<Job> {
        let Some(lane) = self.lanes.get_mut(key) else { return Vec::new() };
        lane.failures += 1;
        if lane.failures < lane.workers {
            return Vec::new();
        }
        let mut jobs: Vec<Job> = lane.jobs.drain().collect();
        for job in &mut jobs {
            match self.letters.get_mut(&job.id) {
                Some(entry) => entry.take(&mut job.recipients),
                None => job.recipients.clear(),
            }
        }
        jobs.retain(|job| !job.recipients.is_empty());
        jobs
    }

    /// The site answered; `took` a letter or not.
    pub fn reachable(&mut self, key: &str, took: bool) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.failures = 0;
            if took {
                lane.pace.succeeded(&lane.limits);
            }
        }
    }

    /// The site asked for less, in an attempt that began at `began`. How it is served from now on, if that is news.
    pub fn asked_for_less(&mut self, key: &str, began: Timestamp, now: Timestamp, said: SlowDown) -> Option<LaneView> {
        let lane = self.lanes.get_mut(key)?;
        lane.pace.asked_for_less(began, now, said).then(|| lane.view(TenantId(0), now))
    }

    /// How things stand at a lane, for `queue why`.
    pub fn lane(&self, key: &str, tenant: TenantId, now: Timestamp) -> Option<LaneView> {
        self.lanes.get(key).map(|lane| lane.view(tenant, now))
    }

    /// Sites that are served more slowly because they asked for it.
    pub fn slowed(&self, now: Timestamp) -> usize {
        self.lanes.values().filter(|lane| lane.pace.steps(now) > 0).count()
    }

    /// No worker takes another job.
    pub fn start_draining(&mut self) {
        self.draining = true;
    }

    /// Workers that run.
    pub fn workers(&self) -> usize {
        self.workers
    }
}

#[cfg(test)]
#[path = "board_tests.rs"]
mod tests;
