//! The content of DATA as a byte machine (RFC 5321 §4.1.1.4, §4.5.2).
//!
//! Only CRLF `.` CRLF ends it. A dot is taken away only at the start of a line, and lines start only behind CRLF.
//! A bare CR, a bare LF and a NUL refuse the message, after it was drained to its real end. Whole stretches are
//! found with vector instructions and copied at once; no octet is looked at one by one but at line ends.

use memchr::memchr3;

use super::content::{Content, ContentFault};

/// Where the machine stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    LineStart,
    Middle,
    /// Behind a CR in a line.
    Cr,
    /// Behind a dot that started a line.
    Dot,
    /// Behind a CR that follows such a dot.
    DotCr,
}

/// Reads the content of one DATA command.
#[derive(Debug)]
pub struct DataReader {
    at: At,
    content: Content,
}

impl DataReader {
    /// A reader that fills `content`.
    pub fn new(content: Content) -> Self {
        Self { at: At::LineStart, content }
    }

    /// Takes octets; how many, and whether the end was reached. Without the end all of them are taken.
    pub fn read(&mut self, input: &[u8]) -> (usize, bool) {
        // `from` is where the stretch begins that is not copied yet.
        let (mut here, mut from) = (0, 0);
        while let Some(&octet) = input.get(here) {
            match self.at {
                At::LineStart if octet == b'.' => {
                    self.content.push(&input[from..here]);
                    self.at = At::Dot;
                    here += 1;
                    from = here;
                }
                At::LineStart | At::Middle => here = self.middle(input, from, here),
                At::Cr if octet == b'\n' => {
                    self.at = At::LineStart;
                    here += 1;
                }
                At::Cr => {
                    self.refuse(ContentFault::BareCr, here as u64 - from as u64, 1);
                    self.at = At::Middle;
                }
                At::Dot if octet == b'\r' => {
                    self.at = At::DotCr;
                    here += 1;
                }
                At::Dot => self.at = At::Middle,
                At::DotCr if octet == b'\n' => return (here + 1, true),
                At::DotCr => {
                    // The CR was held back, so it is not in the count yet.
                    self.refuse(ContentFault::BareCr, 0, 0);
                    from = here;
                    self.content.push(b"\r");
                    self.at = At::Middle;
                }
            }
        }
        if !matches!(self.at, At::Dot | At::DotCr) {
            self.content.push(&input[from..]);
        }
        (input.len(), false)
    }

    /// From `here` to the end of the line, or of the input.
    fn middle(&mut self, input: &[u8], from: usize, here: usize) -> usize {
        self.at = At::Middle;
        let Some(found) = memchr3(b'\r', b'\n', 0, &input[here..]) else { return input.len() };
        let found = here + found;
        match (input[found], input.get(found + 1)) {
            (b'\r', Some(b'\n')) => {
                self.at = At::LineStart;
                return found + 2;
            }
            (b'\r', _) => self.at = At::Cr,
            (b'\n', _) => self.refuse(ContentFault::BareLf, (found - from) as u64, 0),
            _ => self.refuse(ContentFault::Nul, (found - from) as u64, 0),
        }
        found + 1
    }

    fn refuse(&mut self, fault: fn(u64) -> ContentFault, ahead: u64, back: u64) {
        let at = self.content.seen() + ahead - back;
        self.content.refuse(fault(at));
    }

    /// What was read, once the end was reached.
    pub fn finish(self) -> Content {
        self.content
    }
}

#[cfg(test)]
#[path = "data_tests.rs"]
mod tests;
