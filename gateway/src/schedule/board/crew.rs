//! Workers and lanes: who starts, who goes on to whom, who sleeps.

use super::{Board, LaneKey, Turn};
use crate::clock::Timestamp;
use crate::schedule::lane::Lane;

impl Board {
    /// Should one more worker be started for this lane? If so, it is counted as started. If only the limit of all
    /// connections is in the way, the lane gets in line for the next one that is free; if only its rate is, it sleeps.
    pub fn staff(&mut self, key: &str, now: Timestamp) -> bool {
        let Some((name, lane)) = self.lanes.get_key_value(key) else { return false };
        let name = name.clone();
        if self.draining || !lane.wants_worker(now) {
            self.place(&name, None);
            return false;
        }
        if now < lane.next_start {
            let until = lane.next_start;
            self.place(&name, None);
            self.sleep(&name, until);
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

    /// The board looks at this lane again at `until`.
    fn sleep(&mut self, name: &LaneKey, until: Timestamp) {
        let Some(lane) = self.lanes.get_mut(name) else { return };
        if let Some(old) = lane.wakes {
            if old <= until {
                return;
            }
            self.sleeping.remove(&(old, name.clone()));
        }
        lane.wakes = Some(until);
        self.sleeping.insert((until, name.clone()));
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
                self.close(&name, now);
            } else if self.staff(&name, now) {
                started.push(name);
            }
        }
        started
    }

    /// Nothing is left to do at a lane: it goes, or sleeps while something about it must be remembered.
    fn close(&mut self, name: &LaneKey, now: Timestamp) {
        match self.lanes.get(name).and_then(|lane| lane.remembered_until(now)) {
            Some(until) => self.sleep(name, until),
            None => {
                if let Some(at) = self.lanes.remove(name).and_then(|lane| lane.wakes) {
                    self.sleeping.remove(&(at, name.clone()));
                }
            }
        }
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
            let done = self.draining || lane.jobs.is_empty() || lane.workers > lane.connections(now);
            let early = now < lane.next_start;
            if done || early || self.must_yield(key, lane) {
                return self.leave(key, now);
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
    fn leave(&mut self, key: &str, now: Timestamp) -> Turn {
        let Some((name, _)) = self.lanes.get_key_value(key) else { return Turn::Rest };
        let name = name.clone();
        self.place(&name, None);
        if let Some(lane) = self.lanes.get_mut(&name) {
            lane.workers -= 1;
            if lane.jobs.is_empty() && lane.workers == 0 {
                self.close(&name, now);
            } else if !self.draining && lane.wants_worker(now) {
                let until = lane.next_start;
                if now < until {
                    self.sleep(&name, until);
                } else {
                    // At the end of the line, whatever its place was: it had its shift.
                    self.tickets += 1;
                    self.place(&name, Some(self.tickets));
                }
            }
        }
        while let Some((_, _, next)) = self.wanting.first().cloned() {
            if self.draining || self.lanes.get(&next).is_some_and(|lane| !lane.wants_worker(now)) {
                self.place(&next, None);
                continue;
            }
            self.lend(&next);
            return Turn::Move(next);
        }
        self.workers -= 1;
        Turn::Rest
    }
}
