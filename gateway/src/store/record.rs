//! What a frame says, once it is opened: a versioned transaction of entries, then the bodies.
//!
//! ```text
//! version(1) meta-length(4) | meta: postcard of Vec<Entry> | bodies, one after the other
//! ```
//! Replaying is idempotent: an `Accept` sets the letter's whole state (a relocated letter is accepted again with
//! the state that it has by then), a `Settle` of an unknown letter is of one that ended before.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{LetterRecord, Transition};
use crate::ids::LetterId;

const VERSION: u8 = 1;
/// Octets before the meta part.
pub const PREFIX_LEN: usize = 5;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A letter is in the queue, with this state; its body is the next `body` octets of the frame.
    Accept {
        /// Everything but the body.
        record: Box<LetterRecord>,
        /// Octets of the body.
        body: u32,
    },
    /// Recipients changed their state.
    Settle {
        /// The letter.
        id: LetterId,
        /// The changes.
        transitions: Vec<Transition>,
        /// The delay notice has been sent.
        delay_notified: bool,
    },
}

/// The opened frame does not hold what it should; with a good seal this is a program error or another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the record's content is not readable: {0}")]
pub struct BadRecord(String);

/// Appends the plain form of a transaction to `out`, `bodies` in the order of the `Accept` entries, and returns
/// where in that form the first body begins.
pub fn encode(entries: &[Entry], bodies: &[Bytes], out: &mut Vec<u8>) -> Result<usize, BadRecord> {
    let prefix = out.len();
    out.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
    let meta = out.len();
    *out = postcard::to_extend(entries, std::mem::take(out)).map_err(|e| BadRecord(e.to_string()))?;
    let length = u32::try_from(out.len() - meta).map_err(|_| BadRecord("meta over 4 GB".into()))?;
    out[prefix + 1..prefix + PREFIX_LEN].copy_from_slice(&length.to_be_bytes());
    let first = out.len() - prefix;
    for body in bodies {
        out.extend_from_slice(body);
    }
    Ok(first)
}

/// The entries of a plain transaction, each `Accept` with the place of its body in `plain`.
pub fn decode(plain: &[u8]) -> Result<Vec<(Entry, std::ops::Range<usize>)>, BadRecord> {
    let bad = |what: &str| BadRecord(what.to_owned());
    let version = *plain.first().ok_or_else(|| bad("empty"))?;
    if version != VERSION {
        return Err(BadRecord(format!("version {version}, this program knows {VERSION}")));
    }
    let length = plain.get(1..PREFIX_LEN).and_then(|o| o.try_into().ok()).map(u32::from_be_bytes);
    let length = length.ok_or_else(|| bad("short"))? as usize;
    let meta = plain.get(PREFIX_LEN..).and_then(|rest| rest.get(..length)).ok_or_else(|| bad("short"))?;
    let entries: Vec<Entry> = postcard::from_bytes(meta).map_err(|e| BadRecord(e.to_string()))?;
    let mut at = PREFIX_LEN + length;
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        let body = if let Entry::Accept { body, record } = &entry {
            if record.states.len() != record.envelope.recipients.len() {
                return Err(bad("states and recipients differ in number"));
            }
            *body as usize
        } else {
            0
        };
        let end = at.checked_add(body).filter(|end| *end <= plain.len()).ok_or_else(|| bad("body is cut"))?;
        placed.push((entry, at..end));
        at = end;
    }
    Ok(placed)
}

/// Applies transitions to a record; those of recipients that do not exist or have ended are left out.
pub fn apply(record: &mut LetterRecord, transitions: Vec<Transition>, delay_notified: bool) {
    for transition in transitions {
        if let Some(state) = record.states.get_mut(transition.recipient as usize)
            && !state.is_final()
        {
            *state = transition.state;
        }
    }
    record.delay_notified |= delay_notified;
}

/// Has every recipient ended?
pub fn ended(record: &LetterRecord) -> bool {
    record.states.iter().all(super::RecipientState::is_final)
}
