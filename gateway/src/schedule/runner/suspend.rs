//! Suspensions at work: who is not lined up, and who is once they end.

use super::{Arc, LetterRecord, RecipientState, Scheduler, Timestamp};
use crate::schedule::suspension::{Scope, Suspension, SuspensionKeeper};

/// Letters that are looked at again at once when somebody resumes.
const WAKE_AT_ONCE: usize = 10_000;

impl Scheduler {
    /// Takes the suspensions that are kept there, and keeps there what comes.
    pub fn keep_suspensions_in(&self, keeper: Arc<dyn SuspensionKeeper>) -> Result<(), String> {
        self.suspensions.keep_in(keeper)
    }

    /// The suspensions that hold now.
    pub fn suspended_now(&self) -> Vec<Suspension> {
        self.suspensions.now(self.clock.now())
    }

    /// The suspension that covers a recipient, if one does and it waits for an attempt.
    pub(in crate::schedule) fn suspended(
        &self,
        record: &LetterRecord,
        at: usize,
        now: Timestamp,
    ) -> Option<Suspension> {
        let recipient = record.envelope.recipients.get(at)?;
        if self.suspensions.is_empty() || !matches!(record.states.get(at)?, RecipientState::Waiting { .. }) {
            return None;
        }
        let domain = recipient.address.domain();
        let site = self.delivery.destination(domain).site;
        self.suspensions.of(record.tenant, domain, site.as_deref(), now)
    }

    /// A job's turn came while it is suspended: it goes out of its lane and waits for the end.
    pub(super) fn step_aside(&self, lane: &str, record: &LetterRecord, recipients: &[u32]) {
        {
            let mut board = self.board.lock();
            board.give_back(lane, self.clock.now());
            board.done(record.id, recipients);
            board.park(record.id);
        }
        let next = self.next_event(record, true);
        self.board.lock().set_event(record.id, next);
    }

    /// Suspends; durable when it returns.
    pub(in crate::schedule) fn suspend(&self, suspension: &Suspension) -> Result<(), String> {
        self.suspensions.add(suspension)
    }

    /// Ends suspensions; durable when it returns. What waited for it is looked at at once.
    pub(in crate::schedule) fn resume(&self, asked: &Scope, by: &str) -> Result<Vec<Suspension>, String> {
        let ended = self.suspensions.end(asked, by, self.clock.now())?;
        if !ended.is_empty() {
            // In pieces: the board is needed by others meanwhile.
            while self.board.lock().wake_parked(self.clock.now(), WAKE_AT_ONCE) == WAKE_AT_ONCE {}
            self.nudge();
        }
        Ok(ended)
    }
}
