//! A lane: the letters for one destination, and what holds for it. Part of the board.

use std::time::Duration;

use super::board::Job;
use super::limit::LaneView;
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
    pub(super) jobs: Turns<Job>,
    pub(super) workers: usize,
    pub(super) failures: usize,
    /// When the next message may begin, by the destination's rate.
    pub(super) next_start: Timestamp,
    /// What is left of the workers' shift.
    pub(super) shift: u32,
    /// Its place in the line of those that want a worker.
    pub(super) ticket: Option<u64>,
    /// When it wakes, if its rate made it sleep.
    pub(super) wakes: Option<Timestamp>,
}

impl Lane {
    pub(super) fn new(limits: DestinationLimits) -> Self {
        Self {
            limits,
            jobs: Turns::default(),
            workers: 0,
            failures: 0,
            next_start: Timestamp::from_millis(0),
            shift: SHIFT,
            ticket: None,
            wakes: None,
        }
    }

    /// Not one worker a job: a new connection is worth its handshake only if the queue grows beyond what the workers
    /// that there are take anyway; half their number waiting is the sign of that.
    pub(super) fn wants_worker(&self) -> bool {
        self.wakes.is_none() && self.workers < self.limits.connections && self.jobs.len() > self.workers / 2
    }

    /// One worker more.
    pub(super) fn begin_shift(&mut self) {
        self.workers += 1;
        self.shift = SHIFT;
    }

    /// A job of this cost begins now.
    pub(super) fn began(&mut self, cost: u32, now: Timestamp) {
        self.shift = self.shift.saturating_sub(cost);
        if let Some(rate) = self.limits.rate {
            let gap = Duration::from_secs_f64(1.0 / rate.max(0.0001));
            let late = if gap < CATCH_UP { CATCH_UP } else { Duration::ZERO };
            let earliest = Timestamp::from_millis(now.millis().saturating_sub(late.as_millis() as u64));
            self.next_start = self.next_start.max(earliest) + gap;
        }
    }

    pub(super) fn view(&self, tenant: TenantId) -> LaneView {
        let (tenants, of_tenant) = self.jobs.standing(tenant);
        LaneView {
            ready: self.jobs.len(),
            of_tenant,
            tenants,
            workers: self.workers,
            connections: self.limits.connections,
            until: self.wakes,
            crowded_out: self.ticket.is_some(),
        }
    }
}
