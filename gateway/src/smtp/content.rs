//! A message while it comes in, and why it may be refused.
//!
//! Holds the octets, their share of the memory budget, and the first fault. From the first fault on nothing is
//! kept, only counted: the rest is drained so that it is never read as commands.

use super::budget::Share;

/// Why a message is refused while it is read. Offsets count the message's octets from 0, without the dots that
/// transparency added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentFault {
    /// LF without CR before it.
    #[error("bare LF at byte {0}")]
    BareLf(u64),
    /// CR without LF behind it.
    #[error("bare CR at byte {0}")]
    BareCr(u64),
    /// A NUL octet.
    #[error("NUL at byte {0}")]
    Nul(u64),
    /// More than so many octets.
    #[error("message over {0} octets")]
    TooLarge(usize),
    /// More than so many chunks.
    #[error("more than {0} chunks")]
    TooManyChunks(usize),
    /// The memory budget is used up.
    #[error("short of memory")]
    NoMemory,
}

/// The least step in which a message's buffer grows.
const STEP: usize = 8 * 1024;
/// Up to here a buffer is made as large as the client's SIZE says; beyond, it grows as octets arrive.
const TRUSTED_SIZE: usize = 256 * 1024;

/// The octets of a message so far.
#[derive(Debug)]
pub struct Content {
    octets: Vec<u8>,
    seen: u64,
    share: Share,
    limit: usize,
    fault: Option<ContentFault>,
}

impl Content {
    /// An empty message that may grow to `limit` octets, of which the client announced `announced`.
    pub fn new(share: Share, limit: usize, announced: usize) -> Self {
        let mut content = Self { octets: Vec::new(), seen: 0, share, limit, fault: None };
        if announced > 0 {
            content.reserve(announced.min(limit).min(TRUSTED_SIZE));
        }
        content
    }

    /// How many octets of the message have passed, kept or not.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Takes octets of the message.
    pub fn push(&mut self, octets: &[u8]) {
        self.seen += octets.len() as u64;
        if self.fault.is_some() || octets.is_empty() {
            return;
        }
        let needed = self.octets.len() + octets.len();
        if needed > self.limit {
            return self.refuse(ContentFault::TooLarge(self.limit));
        }
        if needed > self.octets.capacity() {
            // Doubling keeps the copies linear; the limit keeps the last doubling honest.
            self.reserve(needed.max(self.octets.capacity() * 2).max(STEP).min(self.limit.max(needed)));
        }
        if self.fault.is_none() {
            self.octets.extend_from_slice(octets);
        }
    }

    /// Refuses the message; the first fault stands. What was kept is dropped. A fault beyond the limit is no news: the
    /// message is too large, however its octets came in pieces.
    pub fn refuse(&mut self, fault: ContentFault) {
        use ContentFault::{BareCr, BareLf, Nul, TooLarge};
        if self.fault.is_none() {
            let beyond = matches!(fault, BareLf(at) | BareCr(at) | Nul(at) if at >= self.limit as u64);
            self.fault = Some(if beyond { TooLarge(self.limit) } else { fault });
            self.octets = Vec::new();
        }
    }

    /// Is it refused already?
    pub fn fault(&self) -> Option<ContentFault> {
        self.fault
    }

    /// The message, with the share of memory that must live as long as it does.
    pub fn finish(self) -> Result<(Vec<u8>, Share), ContentFault> {
        match self.fault {
            None => Ok((self.octets, self.share)),
            Some(fault) => Err(fault),
        }
    }

    fn reserve(&mut self, capacity: usize) {
        if self.share.grow_to(capacity) {
            self.octets.reserve_exact(capacity - self.octets.len());
        } else {
            self.refuse(ContentFault::NoMemory);
        }
    }
}
