//! How long each state lasts.

use std::time::Duration;

const DAY: Duration = Duration::from_hours(24);

/// How much longer than a letter may wait in our queue a retiring key's record stays: receivers queue too.
pub const QUEUE_MARGIN: Duration = DAY;

/// The times of a domain's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a key signs.
    pub rotate_every: Duration,
    /// How long a record is at every server before its key signs; never less than twice its time to live.
    pub prepublish: Duration,
    /// How long a record stays after its key's last signature; see [`Policy::for_queue`].
    pub overlap: Duration,
    /// How long the private half of a retired key is kept.
    pub keep_retired: Duration,
    /// How long before a rotation the successor is made, beside the pre-publish time: a person may have to publish
    /// its record.
    pub notice: Duration,
    /// How long a signing key's record may be missing before a verified successor takes over early.
    pub grace: Duration,
    /// May private halves be published once their records are gone?
    pub disclose_retired: bool,
}

impl Default for Policy {
    /// 180 days (M3AAWG's half year), a day, two weeks, a month.
    fn default() -> Self {
        Self {
            rotate_every: 180 * DAY,
            prepublish: DAY,
            overlap: 14 * DAY,
            keep_retired: 30 * DAY,
            notice: 14 * DAY,
            grace: DAY,
            disclose_retired: false,
        }
    }
}

impl Policy {
    /// The same, with an overlap no shorter than letters live in the queue, and [`QUEUE_MARGIN`] more.
    #[must_use]
    pub fn for_queue(mut self, longest_wait: Duration) -> Self {
        self.overlap = self.overlap.max(longest_wait + QUEUE_MARGIN);
        self
    }

    /// How long a record with this time to live, in seconds, must be everywhere before its key signs.
    pub fn wait(&self, ttl: u32) -> Duration {
        self.prepublish.max(Duration::from_secs(u64::from(ttl) * 2))
    }

    /// How long before a rotation the successor is made; never more than half of a key's time.
    pub fn lead(&self) -> Duration {
        (self.prepublish + self.notice).min(self.rotate_every / 2)
    }
}
