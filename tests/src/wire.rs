//! The octets of SMTP as both ends of the harness see them: lines, data up to `CRLF.CRLF`, counted chunks.
//!
//! Strict as RFC 5321 §2.3.8 wants it: nothing but CRLF ends a line and nothing but `CRLF.CRLF` ends the data, so
//! that a peer under test cannot pass by the harness's leniency.

use std::io::{self, Read, Write};

use memchr::memmem;

/// A socket, clear or under TLS.
pub trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// Reads a stream by SMTP's units; keeps what came early.
pub struct Wire<S> {
    stream: S,
    buffer: Vec<u8>,
    start: usize,
}

impl<S: Read + Write> Wire<S> {
    /// A reader around `stream`.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::with_capacity(16 * 1024), start: 0 }
    }

    /// The stream below, for writing.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Gives the stream back; octets that came early are dropped, as RFC 3207 §4.2 demands before a handshake.
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// Writes all octets at once.
    pub fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        self.stream.write_all(octets)?;
        self.stream.flush()
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.start > 0 && self.start == self.buffer.len() {
            self.buffer.clear();
            self.start = 0;
        }
        let mut chunk = [0_u8; 16 * 1024];
        let count = self.stream.read(&mut chunk)?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.buffer.extend_from_slice(&chunk[..count]);
        Ok(())
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.buffer[self.start..self.start + count].to_vec();
        self.start += count;
        if self.start > 1 << 20 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        taken
    }

    /// Everything up to and with `needle`.
    fn until(&mut self, needle: &[u8]) -> io::Result<Vec<u8>> {
        let mut searched = self.start;
        loop {
            if let Some(at) = memmem::find(&self.buffer[searched..], needle) {
                let count = searched + at + needle.len() - self.start;
                return Ok(self.take(count));
            }
            let unread = self.buffer.len() - self.start;
            self.fill()?;
            // `fill` may have moved the unread octets to the front.
            searched = self.start + unread.saturating_sub(needle.len() - 1);
        }
    }

    /// One line, without its CRLF; octets that are not UTF-8 are replaced.
    pub fn line(&mut self) -> io::Result<String> {
        let mut line = self.until(b"\r\n")?;
        line.truncate(line.len() - 2);
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// A reply of any number of lines: its code and its lines without their codes.
    pub fn reply(&mut self) -> io::Result<Reply> {
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            let bad = || io::Error::new(io::ErrorKind::InvalidData, format!("not an SMTP reply: {line:?}"));
            let code: u16 = line.get(..3).and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
            lines.push(line.get(4..).unwrap_or_default().to_owned());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(Reply { code, lines });
            }
        }
    }

    /// The content of DATA as it crossed the wire, dots still stuffed, without the final `.CRLF`.
    pub fn data(&mut self) -> io::Result<Vec<u8>> {
        while self.buffer.len() - self.start < 3 {
            self.fill()?;
        }
        if self.buffer[self.start..].starts_with(b".\r\n") {
            self.take(3);
            return Ok(Vec::new());
        }
        let mut content = self.until(b"\r\n.\r\n")?;
        content.truncate(content.len() - 3);
        Ok(content)
    }

    /// Exactly `count` octets.
    pub fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.buffer.len() - self.start < count {
            self.fill()?;
        }
        Ok(self.take(count))
    }

    /// Has the other side sent something that was not yet read? Only what already came is seen.
    pub fn has_early_octets(&self) -> bool {
        self.start < self.buffer.len()
    }
}

/// An SMTP reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The three digits.
    pub code: u16,
    /// The text of each line.
    pub lines: Vec<String>,
}

impl Reply {
    /// The text, lines joined by a space.
    pub fn text(&self) -> String {
        self.lines.join(" ")
    }
}

/// The lines of a reply of class 2 to EHLO, with their CRLF.
pub fn ehlo_reply(name: &str, extensions: &[impl AsRef<str>]) -> String {
    let mut reply = String::new();
    let mut lines = std::iter::once(name).chain(extensions.iter().map(AsRef::as_ref)).peekable();
    while let Some(line) = lines.next() {
        reply.push_str(if lines.peek().is_some() { "250-" } else { "250 " });
        reply.push_str(line);
        reply.push_str("\r\n");
    }
    reply
}

/// Removes the stuffed dots (RFC 5321 §4.5.2).
pub fn unstuff(content: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(content.len());
    for line in content.split_inclusive(|octet| *octet == b'\n') {
        plain.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    plain
}

/// Stuffs leading dots, makes sure of a final CRLF and adds the final dot.
pub fn stuff(message: &[u8]) -> Vec<u8> {
    let mut stuffed = Vec::with_capacity(message.len() + 16);
    for line in message.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !stuffed.ends_with(b"\r\n") && !stuffed.is_empty() {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stuffed
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Pieces(Vec<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            into[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    impl Write for Pieces {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            Ok(octets.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn data_ends_only_at_the_strict_sequence_wherever_the_packets_are_cut() {
        let all = b"a: b\r\n\r\nx\n.\ny\r\n.\nz\r\n..dot\r\n.\r\nQUIT\r\n";
        for cut in 1..all.len() - 1 {
            let mut wire = Wire::new(Pieces(vec![all[..cut].to_vec(), all[cut..].to_vec()]));
            let content = wire.data().unwrap();
            assert_eq!(content, b"a: b\r\n\r\nx\n.\ny\r\n.\nz\r\n..dot\r\n", "cut at {cut}");
            assert_eq!(wire.line().unwrap(), "QUIT");
        }
    }

    #[test]
    fn stuffing_and_unstuffing_are_inverse() {
        let message = b".\r\n..\r\na.b\r\n".to_vec();
        let stuffed = stuff(&message);
        assert_eq!(unstuff(&stuffed[..stuffed.len() - 3]), message);
    }

    #[test]
    fn replies_of_several_lines_are_read_whole() {
        let mut wire = Wire::new(Pieces(vec![b"250-a\r\n250-b c\r\n250 d\r\n".to_vec()]));
        assert_eq!(wire.reply().unwrap(), Reply { code: 250, lines: vec!["a".into(), "b c".into(), "d".into()] });
    }
}
