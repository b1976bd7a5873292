//! A remote server's replies, read from the octets as they come (RFC 5321 §4.2).
//!
//! Bounded whatever a server babbles: a line of 2,048 octets, a reply of 64 KB; the code is never lost, the text is
//! kept to its first 1,000 characters. Lenient where a code is clear (bare LF, missing text), strict where it is
//! not: the lines of one reply must carry one code.

use super::outcome::RemoteReply;

const LONGEST_LINE: usize = 2048;
const LONGEST_REPLY: usize = 64 * 1024;
const TEXT_KEPT: usize = 1000;

/// What came is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadReply {
    /// Not three digits and a space or hyphen.
    #[error("the server sent something that is no SMTP reply: \"{0}\"")]
    NotAReply(String),
    /// The lines of one reply carry different codes.
    #[error("the server mixed the codes {0} and {1} in one reply")]
    MixedCodes(u16, u16),
    /// No end in sight.
    #[error("the server's reply does not end")]
    Endless,
}

/// Octets that came and are not read yet.
#[derive(Debug, Default)]
pub struct ReplyReader {
    octets: Vec<u8>,
    read: usize,
    lines: Vec<String>,
    code: Option<u16>,
    size: usize,
}

impl ReplyReader {
    /// Takes octets in.
    pub fn feed(&mut self, octets: &[u8]) {
        if self.read > 0 {
            self.octets.drain(..self.read);
            self.read = 0;
        }
        self.octets.extend_from_slice(octets);
    }

    /// Octets that belong to no reply read so far.
    pub fn surplus(&self) -> usize {
        self.octets.len() - self.read + self.lines.len()
    }

    /// The next whole reply, if there is one.
    pub fn next_reply(&mut self) -> Result<Option<RemoteReply>, BadReply> {
        loop {
            let rest = &self.octets[self.read..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return if rest.len() > LONGEST_LINE { Err(BadReply::Endless) } else { Ok(None) };
            };
            let line = rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]);
            let (code, last, text) = parse_line(line)?;
            let text = text.to_owned();
            self.read += end + 1;
            self.size += end + 1;
            if let Some(first) = self.code
                && first != code
            {
                return Err(BadReply::MixedCodes(first, code));
            }
            self.code = Some(code);
            if self.size > LONGEST_REPLY {
                return Err(BadReply::Endless);
            }
            self.lines.push(text);
            if last {
                let lines = std::mem::take(&mut self.lines);
                self.code = None;
                self.size = 0;
                return Ok(Some(assemble(code, &lines)));
            }
        }
    }
}

/// Code, whether it is the last line, and the text.
fn parse_line(line: &[u8]) -> Result<(u16, bool, &str), BadReply> {
    let shown = || BadReply::NotAReply(clean(&String::from_utf8_lossy(&line[..line.len().min(80)])));
    let digits = line.get(..3).filter(|code| code.iter().all(u8::is_ascii_digit)).ok_or_else(shown)?;
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    if !(200..600).contains(&code) {
        return Err(shown());
    }
    let last = match line.get(3) {
        Some(b'-') => false,
        Some(b' ') | None => true,
        Some(_) => return Err(shown()),
    };
    let text = line.get(4..).unwrap_or_default();
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&text[..error.valid_up_to()]).unwrap_or_default(),
    };
    Ok((code, last, text))
}

fn assemble(code: u16, lines: &[String]) -> RemoteReply {
    let status = lines.first().and_then(|line| status_code(line)).filter(|status| u16::from(status.0) == code / 100);
    let text: String = clean(&lines.join("\n")).chars().take(TEXT_KEPT).collect();
    RemoteReply { code, status, text }
}

/// Control characters have no business in a log, a notice or a terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\n' { '\u{fffd}' } else { c }).collect()
}

/// The enhanced status code at the beginning of a text (RFC 2034 §4).
fn status_code(text: &str) -> Option<(u8, u16, u16)> {
    let mut parts = text.split([' ', '\t']).next()?.split('.');
    let class = parts.next()?.parse().ok().filter(|class| matches!(class, 2 | 4 | 5))?;
    let detail = |part: Option<&str>| part.filter(|p| (1..=3).contains(&p.len())).and_then(|p| p.parse::<u16>().ok());
    let status = (class, detail(parts.next())?, detail(parts.next())?);
    parts.next().is_none().then_some(status)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(octets: &[u8]) -> Vec<Result<RemoteReply, BadReply>> {
        let mut reader = ReplyReader::default();
        reader.feed(octets);
        let mut all = Vec::new();
        loop {
            match reader.next_reply() {
                Ok(Some(reply)) => all.push(Ok(reply)),
                Ok(None) => return all,
                Err(error) => {
                    all.push(Err(error));
                    return all;
                }
            }
        }
    }

    #[test]
    fn replies_are_read_as_servers_write_them() {
        let replies = read(b"250-a.example\r\n250 SIZE 1\r\n550 5.1.1 no such user\r\n354\r\n450 5.7.1 odd\n");
        let codes: Vec<_> = replies.iter().map(|r| r.as_ref().map(|r| (r.code, r.status)).unwrap()).collect();
        assert_eq!(codes, [(250, None), (550, Some((5, 1, 1))), (354, None), (450, None)]);
        assert_eq!(replies[0].as_ref().unwrap().text, "a.example\nSIZE 1");
    }

    #[test]
    fn nonsense_is_told_from_replies() {
        assert!(matches!(read(b"HTTP/1.1 400 Bad\r\n")[0], Err(BadReply::NotAReply(_))));
        assert_eq!(read(b"250-a\r\n550 b\r\n"), [Err(BadReply::MixedCodes(250, 550))]);
        assert_eq!(read(&b"250-babble\r\n".repeat(9000)), [Err(BadReply::Endless)]);
        assert_eq!(read(&[b'x'; 3000]), [Err(BadReply::Endless)]);
        assert_eq!(read("250 caf\u{e9}\u{7}\r\n".as_bytes())[0].as_ref().unwrap().text, "caf\u{e9}\u{fffd}");
        let long = [b"550 5.7.1 ".as_slice(), &[b'y'; 1900], b"\r\n"].concat();
        assert_eq!(read(&long)[0].as_ref().unwrap().status, Some((5, 7, 1)));
    }

    proptest! {
        #[test]
        fn any_octets_in_any_pieces_give_the_same_replies(octets in "(2[0-9]{2}[- ][a-z. 0-9]{0,9}\r?\n|.){0,30}", at in 0usize..200) {
            let octets = octets.as_bytes();
            let whole = read(octets);
            let mut reader = ReplyReader::default();
            let mut pieces = Vec::new();
            let (first, second) = octets.split_at(at.min(octets.len()));
            'all: for piece in [first, second] {
                reader.feed(piece);
                loop {
                    match reader.next_reply() {
                        Ok(Some(reply)) => pieces.push(Ok(reply)),
                        Ok(None) => break,
                        Err(error) => { pieces.push(Err(error)); break 'all; }
                    }
                }
            }
            prop_assert_eq!(whole, pieces);
        }
    }
}
