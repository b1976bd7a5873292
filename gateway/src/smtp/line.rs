//! Command lines out of a byte stream (RFC 5321 §2.3.8).
//!
//! A line ends at CRLF and nowhere else. A line with a bare CR or LF, or one over its bound, is refused whole:
//! it is skipped up to its LF, so that its tail is never read as another command. How the bytes were split into
//! reads makes no difference.

use memchr::{memchr, memchr2};

/// The longest command line, CRLF included. RFC 5321 §4.5.3.1.4 asks for 512, the extensions that are served
/// (SIZE, SMTPUTF8, DSN's ENVID and ORCPT) for about 1,200 more.
pub const COMMAND_LINE: usize = 2_048;
/// The longest AUTH line and the longest answer in an AUTH exchange, CRLF included (RFC 4954 §4).
pub const AUTH_LINE: usize = 12_288;

/// Why a line is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// LF without CR before it.
    #[error("bare LF in a command line")]
    BareLf,
    /// CR without LF behind it.
    #[error("bare CR in a command line")]
    BareCr,
    /// No line end within the bound.
    #[error("command line too long")]
    TooLong,
}

/// What is at the front of the input.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// A line without its CRLF, and how many octets of input it took.
    Complete(&'a [u8], usize),
    /// A refused line, and how many octets of input it took.
    Refused(LineFault, usize),
    /// These octets belong to a line that is already too long; its verdict follows with its end.
    Skipped(usize),
    /// No line end yet: nothing is taken.
    Incomplete,
}

/// Finds lines. Remembers only whether it is inside an overlong one.
#[derive(Debug, Default)]
pub struct LineReader {
    skipping: bool,
}

impl LineReader {
    /// Looks at the front of `input`; a line may have `bound` octets with its CRLF.
    pub fn read<'a>(&mut self, input: &'a [u8], bound: usize) -> Line<'a> {
        let Some(end) = memchr(b'\n', input) else {
            if self.skipping || input.len() >= bound {
                self.skipping = true;
                return Line::Skipped(input.len());
            }
            return Line::Incomplete;
        };
        let taken = end + 1;
        if std::mem::take(&mut self.skipping) || taken > bound {
            return Line::Refused(LineFault::TooLong, taken);
        }
        match memchr2(b'\r', b'\n', input) {
            Some(first) if first == end => Line::Refused(LineFault::BareLf, taken),
            Some(first) if first + 1 == end => Line::Complete(&input[..first], taken),
            _ => Line::Refused(LineFault::BareCr, taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_crlf_ends_a_line() {
        let read = |input: &'static [u8]| LineReader::default().read(input, 16);
        assert_eq!(read(b"NOOP\r\nQUIT"), Line::Complete(b"NOOP", 6));
        assert_eq!(read(b"\r\n"), Line::Complete(b"", 2));
        assert_eq!(read(b"NOOP\r"), Line::Incomplete);
        assert_eq!(read(b"NOOP\nQUIT\r\n"), Line::Refused(LineFault::BareLf, 5));
        assert_eq!(read(b"NO\rOP\r\n"), Line::Refused(LineFault::BareCr, 7));
        assert_eq!(read(b"NOOP\r\r\n"), Line::Refused(LineFault::BareCr, 7));
        assert_eq!(read(b"0123456789abcd\r\n"), Line::Complete(b"0123456789abcd", 16));
        assert_eq!(read(b"0123456789abcde\r\n"), Line::Refused(LineFault::TooLong, 17));
    }

    fn verdicts(input: &[u8], step: usize) -> Vec<Result<Vec<u8>, LineFault>> {
        let (mut reader, mut pending, mut found) = (LineReader::default(), Vec::new(), Vec::new());
        for piece in input.chunks(step) {
            pending.extend_from_slice(piece);
            loop {
                let taken = match reader.read(&pending, 12) {
                    Line::Complete(text, taken) => {
                        found.push(Ok(text.to_vec()));
                        taken
                    }
                    Line::Refused(fault, taken) => {
                        found.push(Err(fault));
                        taken
                    }
                    Line::Skipped(taken) => taken,
                    Line::Incomplete => break,
                };
                pending.drain(..taken);
                if pending.is_empty() {
                    break;
                }
            }
            assert!(pending.len() < 12, "an unfinished line stays under its bound");
        }
        found
    }

    proptest! {
        #[test]
        fn the_split_into_reads_does_not_matter(input in "[a\r\n]{0,80}", step in 1_usize..9) {
            prop_assert_eq!(verdicts(input.as_bytes(), step), verdicts(input.as_bytes(), 100));
        }
    }
}
