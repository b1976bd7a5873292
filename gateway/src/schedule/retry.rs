//! When to try again: a pure function of the policy, the count of attempts and a random number.

use std::time::Duration;

use crate::clock::Timestamp;

/// The waits between attempts. Cannot be built empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    waits: Vec<Duration>,
}

/// A policy without a single wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a retry policy needs at least one wait")]
pub struct EmptyPolicy;

impl RetryPolicy {
    /// The first wait follows the first attempt; the last one repeats.
    pub fn new(waits: Vec<Duration>) -> Result<Self, EmptyPolicy> {
        if waits.is_empty() { Err(EmptyPolicy) } else { Ok(Self { waits }) }
    }

    /// When the next attempt is due after `attempts` attempts, the last at `now`.
    ///
    /// `random` in 0..1 spreads the attempts over ±10 %, so that what failed together does not come back together.
    pub fn next(&self, now: Timestamp, attempts: u16, random: f64) -> Timestamp {
        let step = usize::from(attempts.max(1) - 1).min(self.waits.len() - 1);
        now + self.waits[step].mul_f64(0.9 + 0.2 * random.clamp(0.0, 1.0))
    }

    /// No honest clock makes a wait longer than this.
    pub fn longest(&self) -> Duration {
        self.waits.iter().max().copied().unwrap_or_default().mul_f64(1.1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waits_are_taken_in_turn_and_the_last_repeats() {
        let policy = RetryPolicy::new([60, 300, 900].map(Duration::from_secs).to_vec()).unwrap();
        let now = Timestamp::from_millis(0);
        for (attempts, seconds) in [(0, 60), (1, 60), (2, 300), (3, 900), (4, 900), (u16::MAX, 900)] {
            assert_eq!(policy.next(now, attempts, 0.5), now + Duration::from_secs(seconds), "{attempts}");
        }
        assert_eq!(policy.next(now, 1, 0.0), now + Duration::from_secs(54));
        assert_eq!(policy.next(now, 1, 1.0), now + Duration::from_secs(66));
        assert_eq!(policy.longest(), Duration::from_secs(990));
        assert!(RetryPolicy::new(vec![]).is_err());
    }
}
