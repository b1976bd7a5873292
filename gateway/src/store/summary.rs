//! What stays in memory of a letter while nothing happens to it: some sixty octets, so that a million of them are no
//! burden. Numbers are narrow, times are in seconds and never late.

use serde::{Deserialize, Serialize};

use super::{LetterRecord, RecipientState};
use crate::clock::Timestamp;
use crate::ids::{LetterId, TenantId};

/// A place in the journal: everything before it is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Position {
    /// The segment's number.
    pub segment: u64,
    /// The octet in it.
    pub offset: u64,
}

/// Where a letter's body lies. Narrow numbers: there is one for each letter in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Location {
    /// The segment.
    pub segment: u32,
    /// The frame's first octet in it.
    pub offset: u32,
    /// Octets of the whole frame.
    pub frame: u32,
    /// The body's first octet in the opened frame.
    pub body_at: u32,
    /// Octets of the body.
    pub body: u32,
}

/// What stays in memory of a letter while nothing happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Whose it is.
    pub tenant: TenantId,
    /// Where its body lies.
    pub location: Location,
    /// The first attempt that is due, in seconds, rounded down; `u32::MAX` if nobody waits for one.
    next: u32,
    /// When it is given up, in seconds, rounded down.
    expires: u32,
    /// Recipients that are queued, deferred and held.
    pub(super) waits: [u16; 3],
    /// Was a delay notice sent?
    delay_notified: bool,
}

/// When something is to be done about a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agenda {
    /// The letter.
    pub id: LetterId,
    /// Its first attempt that is due; never later than the true one, at most a second earlier.
    pub next: Option<Timestamp>,
    /// When it is given up, as exactly.
    pub expires: Timestamp,
    /// Is somebody deferred whose sender has no delay notice yet?
    pub may_warn: bool,
}

fn seconds(at: Timestamp) -> u32 {
    u32::try_from(at.seconds()).unwrap_or(u32::MAX - 1)
}

impl Summary {
    /// The summary of a record whose body lies at `location`.
    pub fn of(record: &LetterRecord, location: Location) -> Self {
        let (mut next, mut waits) = (u32::MAX, [0u16; 3]);
        for state in &record.states {
            let place = match state {
                RecipientState::Waiting { next: at, attempts, .. } => {
                    next = next.min(seconds(*at));
                    usize::from(*attempts > 0)
                }
                RecipientState::Held { .. } => 2,
                _ => continue,
            };
            waits[place] = waits[place].saturating_add(1);
        }
        let (expires, delay_notified) = (seconds(record.expires), record.delay_notified);
        Self { tenant: record.tenant, location, next, expires, waits, delay_notified }
    }

    pub(super) fn agenda(&self, id: LetterId) -> Agenda {
        let at = |seconds: u32| Timestamp::from_millis(u64::from(seconds) * 1000);
        Agenda {
            id,
            next: (self.next != u32::MAX).then(|| at(self.next)),
            expires: at(self.expires),
            may_warn: self.waits[1] > 0 && !self.delay_notified,
        }
    }
}

/// Recipients in the three states that are no end, and since when the oldest letter waits in each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waits {
    /// Queued, deferred, held.
    pub recipients: [usize; 3],
    /// The acceptance of the oldest letter with one.
    pub oldest: [Option<Timestamp>; 3],
}
