//! The wall clock, watched.

use super::{CLOCK_GRACE, CLOCK_JUMP, Event, Instant, Timestamp, emit};

/// Compares the wall clock with the steady one.
pub(super) struct ClockWatch {
    pub(super) wall: Timestamp,
    pub(super) steady: Instant,
    pub(super) distrusted_until: Option<Instant>,
}

impl ClockWatch {
    /// Looks at both clocks: has the wall clock jumped back since the last look? Jumps ahead start the grace.
    pub(super) fn look(&mut self, now: Timestamp) -> bool {
        let steady = Instant::now();
        let expected = self.wall + steady.duration_since(self.steady);
        let ahead = now.since(expected) > CLOCK_JUMP;
        let back = expected.since(now) > CLOCK_JUMP;
        (self.wall, self.steady) = (now, steady);
        if ahead {
            self.distrusted_until = Some(steady + CLOCK_GRACE);
        } else if back {
            self.distrusted_until = None;
        }
        if ahead || back {
            let detail = format!("clock jumped {}: expected {expected}", if ahead { "ahead" } else { "back" });
            emit(&Event::Gateway { state: "clock-jump", detail });
        }
        back
    }

    pub(super) fn trusted(&self) -> bool {
        self.distrusted_until.is_none_or(|until| Instant::now() >= until)
    }
}
