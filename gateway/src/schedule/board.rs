//! The board: which letter has its next event when, which recipients wait for a connection or are under way, and
//! whose turn it is. Pure: times come in, jobs go out; nothing here knows a socket or the store.
//!
//! Every living letter has exactly one entry in the order of events (its next attempt, its delay notice or its
//! expiry, whichever is first), so that an event costs the logarithm of the queue and expiry is enforced wherever a
//! letter rests, also while it waits for a connection (see KumoMTA #539 for what happens otherwise).
//!
//! Turns are taken twice. Inside a lane (the letters for one destination) tenants take turns ([`super::turns`]).
//! Between lanes, where the limit of all connections stands in the way, workers do: a lane with more workers than the
//! hungriest one lends it one after its next letter; of lanes with equally many each keeps a worker for a shift
//! and goes to the end of the line. No step looks at more than the lanes and letters that it is about.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::lane::Lane;
use super::limit::LaneView;
use crate::clock::Timestamp;
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
}

/// Whose a job is and what it takes.
#[derive(Debug, Clone, Copy)]
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
    /// Lanes that the limit of all connections keeps from one more worker: fewest workers first, then the longest wait.
    wanting: BTreeSet<(usize, u64, LaneKey)>,
    /// Lanes that their rate keeps from the next job, by when it does not.
    sleeping: BTreeSet<(Timestamp, LaneKey)>,
    tickets: u64,
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
        share: Share,
        now: Timestamp,
        limits: impl FnOnce() -> DestinationLimits,
    ) -> bool {
        let Some(entry) = self.letters.get_mut(&job.id) else { return false };
        entry.busy.extend(job.recipients.iter().map(|recipient| (*recipient, Busy::Ready)));
        let key = destination.key.as_str();
        if !self.lanes.contains_key(key) {
            self.lanes.insert(key.into(), Lane::new(limits()));
        }
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.jobs.push(share.tenant, share.stream, share.cost, job);
        }
        self.staff(key, now)
    }

    /// Should one more worker be started for this lane? If so, it is counted as started. If only the limit of all
    /// connections is in the way, the lane gets in line for the next one that is free; if only its rate is, it sleeps.
    pub fn staff(&mut self, key: &str, now: Timestamp) -> bool {
        let Some((name, lane)) = self.lanes.get_key_value(key) else { return false };
        let name = name.clone();
        if self.draining || !lane.wants_worker() {
            self.place(&name, None);
            return false;
        }
        if now < lane.next_start {
            self.place(&name, None);
            self.sleep(&name);
            return false;
        }
        if self.workers >= self.most_workers {
            if lane.ticket.is_none() {
                self.tickets += 1;
                self.place(&name, Some(self.tickets));
            }
            return false;
        }
        self.workers += 1;
        self.lend(&name);
        true
    }

    /// One worker more at a lane.
    fn lend(&mut self, name: &LaneKey) {
        self.place(name, None);
        if let Some(lane) = self.lanes.get_mut(name) {
            lane.begin_shift();
        }
    }

    /// Moves a lane in, to, or out of the line of those that want workers.
    fn place(&mut self, name: &LaneKey, ticket: Option<u64>) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        if let Some(old) = lane.ticket {
            self.wanting.remove(&(lane.workers, old, name.clone()));
        }
        lane.ticket = ticket;
        if let Some(new) = ticket {
            self.wanting.insert((lane.workers, new, name.clone()));
        }
    }

    /// No job of this lane begins before its rate allows it.
    fn sleep(&mut self, name: &LaneKey) {
        if let Some(lane) = self.lanes.get_mut(name)
            && lane.wakes.is_none()
        {
            lane.wakes = Some(lane.next_start);
            self.sleeping.insert((lane.next_start, name.clone()));
        }
    }

    /// Lanes whose rate allows the next job by now and that need a worker, each counted as started.
    pub fn wake(&mut self, now: Timestamp) -> Vec<LaneKey> {
        let mut started = Vec::new();
        while let Some((at, name)) = self.sleeping.first().cloned()
            && at <= now
        {
            self.sleeping.pop_first();
            let Some(lane) = self.lanes.get_mut(&name) else { continue };
            lane.wakes = None;
            if lane.jobs.is_empty() && lane.workers == 0 {
                self.lanes.remove(&name);
            } else if self.staff(&name, now) {
                started.push(name);
            }
        }
        started
    }

    /// Does a worker of this lane have to go on to one that is worse off?
    fn must_yield(&self, key: &str, lane: &Lane) -> bool {
        let Some((workers, _, hungriest)) = self.wanting.first() else { return false };
        let equal = lane.workers == workers + 1;
        self.workers >= self.most_workers
            && &**hungriest != key
            && (lane.workers > workers + 1 || (equal && lane.shift == 0))
    }

    /// A worker asks for its next job. On [`Turn::Move`] it is counted at the other lane, on [`Turn::Rest`] no more.
    pub fn turn(&mut self, key: &str, now: Timestamp) -> Turn {
        loop {
            let Some(lane) = self.lanes.get(key) else { return Turn::Rest };
            let done = self.draining || lane.jobs.is_empty() || lane.workers > lane.limits.connections;
            let early = now < lane.next_start;
            if done || early || self.must_yield(key, lane) {
                return self.leave(key, early && !lane.jobs.is_empty(), now);
            }
            let Some(lane) = self.lanes.get_mut(key) else { return Turn::Rest };
            let Some((cost, mut job)) = lane.jobs.pop() else { continue };
            let Some(entry) = self.letters.get_mut(&job.id) else { continue };
            entry.take(&mut job.recipients);
            if !job.recipients.is_empty() {
                lane.began(cost, now);
                return Turn::Job(job);
            }
        }
    }

    /// A worker leaves a lane, for the one that needs it most.
    fn leave(&mut self, key: &str, sleeps: bool, now: Timestamp) -> Turn {
        let Some((name, lane)) = self.lanes.get_key_value(key) else { return Turn::Rest };
        // Also a lane without jobs sleeps: its rate must not be forgotten with it.
        let sleeps = sleeps || (lane.jobs.is_empty() && lane.workers == 1 && now < lane.next_start);
        let name = name.clone();
        self.place(&name, None);
        if sleeps {
            self.sleep(&name);
        }
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.workers -= 1;
            if lane.jobs.is_empty() && lane.workers == 0 && lane.wakes.is_none() {
                self.lanes.remove(&name);
            } else if !self.draining && lane.wants_worker() {
                // At the end of the line, whatever its place was: it had its shift.
                self.tickets += 1;
                self.place(&name, Some(self.tickets));
            }
        }
        while let Some((_, _, next)) = self.wanting.first().cloned() {
            if self.draining || self.lanes.get(&next).is_some_and(|lane| !lane.wants_worker()) {
                self.place(&next, None);
                continue;
            }
            self.lend(&next);
            return Turn::Move(next);
        }
        self.workers -= 1;
        Turn::Rest
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

    /// The destination answered.
    pub fn reachable(&mut self, key: &str) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.failures = 0;
        }
    }

    /// How things stand at a lane, for `queue why`.
    pub fn lane(&self, key: &str, tenant: TenantId) -> Option<LaneView> {
        self.lanes.get(key).map(|lane| lane.view(tenant))
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
