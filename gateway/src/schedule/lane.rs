//! A lane: the letters for one site, and what holds for it. Part of the board.

use std::time::Duration;

use super::board::Job;
use super::limit::LaneView;
use super::pace::Pace;
use super::turns::Turns;
use crate::clock::Timestamp;
use crate::deliver::DestinationLimits;
use crate::ids::TenantId;

/// What a worker may send (as [`super::turns::cost`] counts) before it goes on to a lane that has none.
const SHIFT: u32 = 8;
/// A rate is kept over such a span: timers are not exact, and what one was late is caught up with.
const CATCH_UP: Duration = Duration::from_millis(50);

pub(super) struct Lane {
    pub(super) limits: DestinationLimits,
    /// The generation of the configuration that `limits` are from.
    pub(super) generation: u64,
    pub(super) pace: Pace,
    pub(super) jobs: Turns<Job>,
    pub(super) workers: usize,
    pub(super) failures: usize,
    /// When the next message may begin, by the site's rate.
    pub(super) next_start: Timestamp,
    /// What is left of the workers' shift.
    pub(super) shift: u32,
    /// Its place in the line of those that want a worker.
    pub(super) ticket: Option<u64>,
    /// When the board looks at it by itself.
    pub(super) wakes: Option<Timestamp>,
}

impl Lane {
    pub(super) fn new(limits: DestinationLimits, generation: u64) -> Self {
        Self {
            limits,
            generation,
            pace: Pace::default(),
            jobs: Turns::default(),
            workers: 0,
            failures: 0,
            next_start: Timestamp::from_millis(0),
            shift: SHIFT,
            ticket: None,
            wakes: None,
        }
    }

    pub(super) fn connections(&self, now: Timestamp) -> usize {
        self.pace.connections(&self.limits, now)
    }

    /// Not one worker a job: a new connection is worth its handshake only if the queue grows beyond what the workers
    /// that there are take anyway; half their number waiting is the sign of that.
    pub(super) fn wants_worker(&self, now: Timestamp) -> bool {
        self.workers < self.connections(now) && self.jobs.len() > self.workers / 2
    }

    /// Is there nothing about it that must be remembered? If not: until when.
    pub(super) fn remembered_until(&self, now: Timestamp) -> Option<Timestamp> {
        let rate = (now < self.next_start).then_some(self.next_start);
        self.pace.relents(now).into_iter().chain(rate).max()
    }

    /// One worker more.
    pub(super) fn begin_shift(&mut self) {
        self.workers += 1;
        self.shift = SHIFT;
    }

    /// A job of this cost begins now.
    pub(super) fn began(&mut self, cost: u32, now: Timestamp) {
        self.shift = self.shift.saturating_sub(cost);
        if let Some(gap) = self.pace.gap(&self.limits, now) {
            let late = if gap < CATCH_UP { CATCH_UP } else { Duration::ZERO };
            self.next_start = self.next_start.max(now.before(late)) + gap;
        }
    }

    pub(super) fn view(&self, tenant: TenantId, now: Timestamp) -> LaneView {
        let (tenants, of_tenant) = self.jobs.standing(tenant);
        LaneView {
            ready: self.jobs.len(),
            of_tenant,
            tenants,
            workers: self.workers,
            connections: self.connections(now),
            limit: self.limits.connections,
            rate: self.pace.gap(&self.limits, now).map(|gap| 1.0 / gap.as_secs_f64().max(0.000_001)),
            until: (now < self.next_start && !self.jobs.is_empty()).then_some(self.next_start),
            crowded_out: self.ticket.is_some(),
            slowed: self.pace.said(now).cloned(),
            relents: self.pace.relents(now),
        }
    }
}
