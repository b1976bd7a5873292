//! Time, behind a trait, so that whole conversations, retries over days and clocks that jump run in tests at once.
//!
//! Nothing else in the crate asks the system for the time of day.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A moment: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// The time from `earlier` to `self`, zero if `earlier` is the later one (clocks jump).
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment this much earlier, at most the epoch.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }

    fn calendar(self) -> jiff::Timestamp {
        // Every u64 that comes from a clock fits; an absurd one (year 9999 and later) is shown as the epoch.
        i64::try_from(self.0)
            .ok()
            .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// The `date-time` of RFC 5322 §3.3, in UTC: `Mon, 23 Nov 2026 14:05:09 +0000`.
    pub fn to_rfc5322(self) -> String {
        self.calendar().strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
    }

    /// RFC 3339 in UTC with milliseconds: `2026-11-23T14:05:09.123Z`.
    pub fn to_rfc3339(self) -> String {
        self.calendar().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
    }

    /// In UTC, by a `strftime` format of ours.
    pub fn written(self, format: &str) -> String {
        self.calendar().strftime(format).to_string()
    }

    /// Reads RFC 3339 with any offset; `None` if it is not one.
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let stamp: jiff::Timestamp = text.trim().parse().ok()?;
        u64::try_from(stamp.as_millisecond()).ok().map(Self)
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// The time of day. Waiting is tokio's business (its test clock can be paused), telling the time is this trait's.
pub trait Clock: Send + Sync + 'static {
    /// Now, by the wall clock; may jump either way.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }
}

/// A clock that stands still until it is told to move, for tests.
#[derive(Debug)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that shows `start`.
    pub fn new(start: Timestamp) -> Self {
        Self(AtomicU64::new(start.0))
    }

    /// Moves the clock forward.
    pub fn advance(&self, span: Duration) {
        self.0.fetch_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX), Ordering::SeqCst);
    }

    /// Sets the clock, backwards too.
    pub fn set(&self, to: Timestamp) {
        self.0.store(to.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_forms_are_those_of_the_standards() {
        let at = Timestamp::from_millis(1_795_442_709_123);
        assert_eq!(at.to_rfc3339(), "2026-11-23T14:05:09.123Z");
        assert_eq!(at.to_rfc5322(), "Mon, 23 Nov 2026 14:05:09 +0000");
        assert_eq!(Timestamp::parse_rfc3339("2026-11-23T23:05:09.123+09:00"), Some(at));
        assert_eq!(Timestamp::parse_rfc3339("yesterday"), None);
    }
}
