//! The content of BDAT chunks (RFC 3030 §2): octets by count, no dots taken away.
//!
//! Line ends are held to CRLF across chunks as under DATA, for the whole message or, with BODY=BINARYMIME, for the
//! header only: bare CR, LF and NUL are legal in a binary body, and sealing makes them safe before they go on.

use memchr::memchr3;

use super::content::{Content, ContentFault};
use crate::message::BodyKind;

/// Where the check of line ends stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    Middle,
    /// Behind a CR; was it the first octet of its line?
    Cr {
        empty: bool,
    },
    /// In a binary body: everything goes.
    Anything,
}

/// Reads the chunks of one message.
#[derive(Debug)]
pub struct ChunkReader {
    content: Content,
    at: At,
    binary: bool,
    chunks: usize,
    remaining: u64,
    last: bool,
}

impl ChunkReader {
    /// A reader that fills `content`; no chunk has come yet.
    pub fn new(content: Content, body: BodyKind) -> Self {
        let binary = body == BodyKind::BinaryMime;
        Self { content, at: At::LineStart, binary, chunks: 0, remaining: 0, last: false }
    }

    /// A chunk of `size` octets follows; a message may have `most` chunks and `limit` octets.
    pub fn begin(&mut self, size: u64, last: bool, most: usize, limit: usize) {
        self.chunks += 1;
        self.remaining = size;
        self.last = last;
        if self.chunks > most {
            self.content.refuse(ContentFault::TooManyChunks(most));
        }
        if self.content.seen().saturating_add(size) > limit as u64 {
            self.content.refuse(ContentFault::TooLarge(limit));
        }
    }

    /// Takes octets of the present chunk; how many.
    pub fn read(&mut self, input: &[u8]) -> usize {
        let taken = input.len().min(usize::try_from(self.remaining).unwrap_or(usize::MAX));
        let octets = &input[..taken];
        if self.content.fault().is_none() {
            self.check(octets);
        }
        self.content.push(octets);
        self.remaining -= taken as u64;
        taken
    }

    /// Octets of the present chunk that are still to come.
    pub fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Is the present chunk the last?
    pub fn last(&self) -> bool {
        self.last
    }

    /// The message's fault, if it has one.
    pub fn fault(&self) -> Option<ContentFault> {
        self.content.fault()
    }

    /// What was read, once the last chunk has come.
    pub fn finish(mut self) -> Content {
        if matches!(self.at, At::Cr { .. }) {
            self.content.refuse(ContentFault::BareCr(self.content.seen() - 1));
        }
        self.content
    }

    fn check(&mut self, octets: &[u8]) {
        let base = self.content.seen();
        let mut here = 0;
        while here < octets.len() {
            match self.at {
                At::Anything => return,
                At::Cr { empty } if octets[here] == b'\n' => {
                    self.at = if empty && self.binary { At::Anything } else { At::LineStart };
                    here += 1;
                }
                At::Cr { .. } => return self.content.refuse(ContentFault::BareCr(base + here as u64 - 1)),
                At::LineStart | At::Middle => {
                    let Some(found) = memchr3(b'\r', b'\n', 0, &octets[here..]) else {
                        self.at = At::Middle;
                        return;
                    };
                    let position = base + (here + found) as u64;
                    match octets[here + found] {
                        b'\r' => self.at = At::Cr { empty: found == 0 && self.at == At::LineStart },
                        b'\n' => return self.content.refuse(ContentFault::BareLf(position)),
                        _ => return self.content.refuse(ContentFault::Nul(position)),
                    }
                    here += found + 1;
                }
            }
        }
    }
}
