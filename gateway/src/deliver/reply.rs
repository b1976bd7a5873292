//! Replies of the other side, read octet by octet from an untrusted server.
//!
//! Promises: bounded memory whatever is sent (a line is kept up to 2,048 octets, a reply may have 64 KB, its text
//! keeps 1,000 characters), and the code survives all cutting. RFC 5321 §4.2.1; RFC 2034 for the enhanced status.
//! Refuses: text without a code, codes outside 200..=599, and replies whose lines disagree on the code's class;
//! none of them may decide anything, so the connection ends. A bare LF ends a line as well: strictness here would
//! only lose replies.

use super::outcome::RemoteReply;

/// Octets of a line that are looked at.
const LINE_KEPT: usize = 2_048;
/// Octets of one reply, all lines together.
const REPLY_LIMIT: usize = 64 * 1024;
/// Octets of replies that wait to be taken; a server that sends more unasked is babbling.
const WAITING_LIMIT: usize = 256 * 1024;
/// Characters of the text that are kept.
const TEXT_KEPT: usize = 1_000;

/// The server does not speak SMTP; the connection is of no further use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// A line that has no reply code.
    #[error("not an SMTP reply: \"{0}\"")]
    NoCode(String),
    /// The lines of one reply bear codes of different classes.
    #[error("the lines of one reply contradict each other ({0} and {1})")]
    Contradiction(u16, u16),
    /// More than 64 KB of one reply, or 256 KB of replies that nobody asked for.
    #[error("endless reply{}", .0.map(|code| format!(" that begins with {code}")).unwrap_or_default())]
    Endless(Option<u16>),
}

/// Turns octets into replies.
#[derive(Debug, Default)]
pub struct ReplyReader {
    waiting: Vec<u8>,
    taken: usize,
    partial: Option<Partial>,
    /// Octets of the unfinished line that were thrown away because it is too long.
    overlong: Option<Vec<u8>>,
    reply_octets: usize,
    whole_text: bool,
}

#[derive(Debug)]
struct Partial {
    code: u16,
    status: Option<(u8, u16, u16)>,
    text: String,
    characters: usize,
}

impl ReplyReader {
    /// Adds octets that came in.
    pub fn feed(&mut self, octets: &[u8]) -> Result<(), ReplyError> {
        if self.waiting.len() - self.taken + octets.len() > WAITING_LIMIT {
            return Err(ReplyError::Endless(self.partial.as_ref().map(|partial| partial.code)));
        }
        if self.taken == self.waiting.len() {
            self.waiting.clear();
            self.taken = 0;
        } else if self.taken > WAITING_LIMIT / 2 {
            self.waiting.drain(..self.taken);
            self.taken = 0;
        }
        self.waiting.extend_from_slice(octets);
        Ok(())
    }

    /// Is there anything that was not yet taken? After the 220 to STARTTLS this must be `false`.
    pub fn has_leftovers(&self) -> bool {
        self.taken < self.waiting.len() || self.partial.is_some() || self.overlong.is_some()
    }

    /// Forgets everything, as a client must when TLS begins (RFC 3207 §4.2).
    pub fn forget(&mut self) {
        *self = Self::default();
    }

    /// Keeps the text of coming replies up to the limit of the reply itself: an EHLO reply is data, and an extension
    /// past the thousandth character must not be overlooked.
    pub fn keep_whole_text(&mut self, whole: bool) {
        self.whole_text = whole;
    }

    /// The next whole reply, or `None` until more octets have come.
    pub fn next_reply(&mut self) -> Result<Option<RemoteReply>, ReplyError> {
        loop {
            let rest = &self.waiting[self.taken..];
            let Some(end) = memchr::memchr(b'\n', rest) else {
                return self.keep_unfinished().map(|()| None);
            };
            let line_octets = end + 1;
            let line = match self.overlong.take() {
                // The beginning is what counts: it has the code.
                Some(beginning) => beginning,
                None => rest[..end.min(LINE_KEPT)].to_vec(),
            };
            self.taken += line_octets;
            self.reply_octets += line_octets;
            if let Some(reply) = self.take_line(&line)? {
                return Ok(Some(reply));
            }
            self.bound()?;
        }
    }

    /// A line without an end: keep its beginning, drop what is beyond any use.
    fn keep_unfinished(&mut self) -> Result<(), ReplyError> {
        let rest = &self.waiting[self.taken..];
        if rest.len() > LINE_KEPT || (self.overlong.is_some() && !rest.is_empty()) {
            if self.overlong.is_none() {
                self.overlong = Some(rest[..LINE_KEPT].to_vec());
            }
            self.reply_octets += rest.len();
            self.waiting.clear();
            self.taken = 0;
        }
        self.bound()
    }

    fn bound(&self) -> Result<(), ReplyError> {
        if self.reply_octets <= REPLY_LIMIT {
            return Ok(());
        }
        let begun = self.overlong.as_deref().and_then(|line| read_code(line).map(|(code, _, _)| code));
        Err(ReplyError::Endless(self.partial.as_ref().map(|partial| partial.code).or(begun)))
    }

    fn take_line(&mut self, line: &[u8]) -> Result<Option<RemoteReply>, ReplyError> {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let Some((code, last, text)) = read_code(line) else {
            return Err(ReplyError::NoCode(printable(&String::from_utf8_lossy(line), 80)));
        };
        let partial = match &mut self.partial {
            Some(partial) => {
                if partial.code / 100 != code / 100 {
                    return Err(ReplyError::Contradiction(partial.code, code));
                }
                // Same class, another code: the last line is the one that every client looks at.
                partial.code = code;
                partial
            }
            None => self.partial.insert(Partial {
                code,
                status: read_status(text, code),
                text: String::new(),
                characters: 0,
            }),
        };
        partial.add(text, if self.whole_text { REPLY_LIMIT } else { TEXT_KEPT });
        if !last {
            return Ok(None);
        }
        self.reply_octets = 0;
        Ok(self.partial.take().map(|whole| RemoteReply { code: whole.code, status: whole.status, text: whole.text }))
    }
}

impl Partial {
    fn add(&mut self, line: &[u8], limit: usize) {
        if self.characters >= limit {
            return;
        }
        if !self.text.is_empty() {
            self.text.push('\n');
            self.characters += 1;
        }
        let kept = printable(&String::from_utf8_lossy(line), limit - self.characters.min(limit));
        self.characters += kept.chars().count();
        self.text.push_str(&kept);
    }
}

/// At most `limit` characters, none of them a control character.
fn printable(text: &str, limit: usize) -> String {
    text.chars().take(limit).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim_end().to_owned()
}

/// The code, whether this is the last line, and the text.
fn read_code(line: &[u8]) -> Option<(u16, bool, &[u8])> {
    let digits = line.get(..3)?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0_u16, |code, digit| code * 10 + u16::from(digit - b'0'));
    if !(200..=599).contains(&code) {
        return None;
    }
    match line.get(3) {
        None => Some((code, true, &[])),
        Some(b' ') => Some((code, true, &line[4..])),
        Some(b'-') => Some((code, false, &line[4..])),
        Some(_) => None,
    }
}

/// RFC 2034 §4: `class.subject.detail` and a space. One whose class contradicts the code is a lie and ignored.
fn read_status(text: &[u8], code: u16) -> Option<(u8, u16, u16)> {
    let word = text.split(|octet| *octet == b' ').next()?;
    let word = std::str::from_utf8(word).ok()?;
    let mut numbers = word.split('.');
    let (class, subject, detail) = (numbers.next()?, numbers.next()?, numbers.next()?);
    if numbers.next().is_some() {
        return None;
    }
    let number = |text: &str| (text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok());
    let class: u16 = number(class).flatten()?;
    (class == code / 100).then_some((class as u8, number(subject).flatten()?, number(detail).flatten()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(octets: &[u8]) -> Result<Vec<RemoteReply>, ReplyError> {
        let mut reader = ReplyReader::default();
        reader.feed(octets)?;
        std::iter::from_fn(|| reader.next_reply().transpose()).collect()
    }

    #[test]
    fn replies_are_read_with_their_status() {
        let replies = read(b"250-mx.test\r\n250 SIZE 10\r\n550 5.1.1 no such user\r\n354\r\n").unwrap();
        assert_eq!(replies[0], RemoteReply { code: 250, status: None, text: "mx.test\nSIZE 10".into() });
        assert_eq!(replies[1].status, Some((5, 1, 1)));
        assert_eq!(replies[2], RemoteReply { code: 354, status: None, text: String::new() });
    }

    #[test]
    fn a_status_of_another_class_is_ignored() {
        assert_eq!(read(b"550 4.1.1 odd\r\n").unwrap()[0].status, None);
        for odd in ["5.1", "5.1.1.1", "5.1.1x", "5..1", "5.1.1000", "five"] {
            assert_eq!(read(format!("550 {odd} t\r\n").as_bytes()).unwrap()[0].status, None, "{odd}");
        }
    }

    #[test]
    fn a_huge_reply_keeps_its_code() {
        let mut huge = Vec::new();
        for _ in 0..100 {
            huge.extend_from_slice(b"550-5.7.1 ");
            huge.extend_from_slice(&[b'x'; 500]);
            huge.extend_from_slice(b"\r\n");
        }
        huge.extend_from_slice(b"550 5.7.1 end\r\n");
        let replies = read(&huge).unwrap();
        assert_eq!((replies.len(), replies[0].code, replies[0].status), (1, 550, Some((5, 7, 1))));
        assert!(replies[0].text.chars().count() <= 1_000);
        let mut long_line = b"552 5.3.4 ".to_vec();
        long_line.extend_from_slice(&[b'y'; 10_000]);
        long_line.extend_from_slice(b"\r\n250 next\r\n");
        let codes: Vec<u16> = read(&long_line).unwrap().iter().map(|reply| reply.code).collect();
        assert_eq!(codes, [552, 250]);
    }

    #[test]
    fn an_endless_reply_ends() {
        let mut reader = ReplyReader::default();
        let mut outcome = Ok(None);
        for _ in 0..10_000 {
            outcome = reader.feed(b"550-more and more and more\r\n").and_then(|()| reader.next_reply());
            if outcome.is_err() {
                break;
            }
        }
        assert_eq!(outcome, Err(ReplyError::Endless(Some(550))));
        let mut reader = ReplyReader::default();
        let mut line = Ok(None);
        for _ in 0..100 {
            line = reader.feed(&[b'4'; 1_000]).and_then(|()| reader.next_reply());
            if line.is_err() {
                break;
            }
        }
        assert!(matches!(line, Err(ReplyError::Endless(_))));
    }

    #[test]
    fn nonsense_and_contradiction_are_refused() {
        assert!(matches!(read(b"hello\r\n"), Err(ReplyError::NoCode(_))));
        assert!(matches!(read(b"650 no\r\n"), Err(ReplyError::NoCode(_))));
        assert!(matches!(read(b"\xff\xfe\r\n"), Err(ReplyError::NoCode(_))));
        assert_eq!(read(b"250-fine\r\n550 no\r\n"), Err(ReplyError::Contradiction(250, 550)));
        assert_eq!(read(b"250-a\r\n251 b\r\n").unwrap()[0].code, 251);
        assert_eq!(read(b"250 \xff\x07ok\r\n").unwrap()[0].text, "\u{fffd} ok");
    }

    proptest! {
        #[test]
        fn never_panics_and_never_depends_on_the_cuts(octets: Vec<u8>, cut in 1_usize..9) {
            let whole = read(&octets);
            let mut reader = ReplyReader::default();
            let mut pieces = Ok(Vec::new());
            'feeding: for piece in octets.chunks(cut) {
                reader.feed(piece).unwrap();
                loop {
                    match reader.next_reply() {
                        Ok(Some(reply)) => pieces.as_mut().unwrap().push(reply),
                        Ok(None) => break,
                        Err(error) => { pieces = Err(error); break 'feeding; }
                    }
                }
            }
            prop_assert_eq!(whole, pieces);
        }

        #[test]
        fn what_is_written_is_read(code in 200_u16..600, lines in prop::collection::vec("[ -~]{0,60}", 1..5)) {
            use std::fmt::Write;
            let mut octets = String::new();
            for (number, line) in lines.iter().enumerate() {
                let separator = if number + 1 == lines.len() { ' ' } else { '-' };
                write!(octets, "{code}{separator}{line}\r\n").unwrap();
            }
            let replies = read(octets.as_bytes()).unwrap();
            prop_assert_eq!(replies.len(), 1);
            prop_assert_eq!(replies[0].code, code);
        }
    }
}
