//! Charsets: content bytes to text, and single characters of the text back to bytes of the same width.
//!
//! Promises: decoding never fails and never loses a byte's place. No offset map is kept: decoding and patching walk
//! the bytes with the same step function, so that a map can neither grow large nor disagree with the text.
//! A label that lies is expected: UTF-8 is read leniently, with bytes that are none taken as windows-1252.

use std::borrow::Cow;

use encoding_rs::Encoding;

use super::{CharEdit, EditSet, RawOffset};

/// Multi-byte families, by how a character's length shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Shift_JIS and windows-31j.
    ShiftJis,
    /// EUC-JP.
    EucJp,
    /// GB2312, GBK and GB18030.
    Gb18030,
    /// Big5 and its Hong Kong set.
    Big5,
    /// EUC-KR and its windows extension.
    EucKr,
}

/// How content bytes stand for characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// UTF-8, ASCII and everything unlabelled; bytes that are not UTF-8 are windows-1252.
    Utf8,
    /// UTF-7 (RFC 2152).
    Utf7,
    /// UTF-16.
    Utf16 {
        /// Big-endian.
        big: bool,
    },
    /// UTF-32.
    Utf32 {
        /// Big-endian.
        big: bool,
    },
    /// One byte, one character.
    Single(&'static Encoding),
    /// One to four bytes, one character.
    Multi(Family, &'static Encoding),
    /// ISO-2022-JP and ISO-2022-KR: escapes switch between ASCII and two-byte sets.
    Iso2022,
    /// HZ (RFC 1843): `~{` and `~}` switch.
    Hz,
    /// EBCDIC (code pages 037, 500, 1047: digits, letters and common separators are the same in all).
    Ebcdic,
}

/// Where a character's bits are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Whole bytes.
    Bytes,
    /// In a UTF-7 base64 run that begins at `run`, from this 16-bit unit on.
    Unit { run: usize, unit: usize },
}

struct Step {
    character: Option<char>,
    len: usize,
    place: Place,
}

/// What a walk remembers between characters.
#[derive(Default)]
struct State {
    /// ISO-2022: the two-byte set in use.
    two_byte: Option<&'static Encoding>,
    /// ISO-2022-KR: what shift-out selects.
    shifted: bool,
    /// UTF-7: start of the base64 run and the next unit in it.
    run: Option<(usize, usize)>,
}

impl Charset {
    /// The charset of content with this label, after a look at the content: a byte order mark wins over the label.
    pub fn detect(label: Option<&[u8]>, content: &[u8]) -> Self {
        match content {
            [0xff, 0xfe, 0, 0, ..] => return Self::Utf32 { big: false },
            [0, 0, 0xfe, 0xff, ..] => return Self::Utf32 { big: true },
            [0xff, 0xfe, ..] => return Self::Utf16 { big: false },
            [0xfe, 0xff, ..] => return Self::Utf16 { big: true },
            [0xef, 0xbb, 0xbf, ..] => return Self::Utf8,
            _ => {}
        }
        let declared = Self::from_label(label.unwrap_or(b"utf-8"));
        match (declared, Self::guess_wide(content)) {
            (Self::Utf16 { .. } | Self::Utf32 { .. }, Some(seen)) => seen,
            // A wide label on content without a single zero byte is a lie, unless it is all CJK: see `also`.
            (other, Some(seen)) if other.is_ascii_superset() => seen,
            (other, _) => other,
        }
    }

    /// Further readings of the same content that somebody's program may choose.
    pub fn also(self, content: &[u8]) -> Vec<Self> {
        let mut more = Vec::new();
        let high = !content.is_ascii();
        match self {
            Self::Utf8 => {}
            Self::Utf16 { .. } | Self::Utf32 { .. } => {
                if memchr::memchr(0, content).is_none() {
                    more.push(Self::Utf8);
                }
            }
            Self::Single(_) | Self::Multi(..) if !high => {}
            _ => more.push(Self::Utf8),
        }
        if self != Self::Iso2022 && memchr::memmem::find(content, b"\x1b$").is_some() {
            more.push(Self::Iso2022);
        }
        more
    }

    /// The charset of a label; an unknown one is read as UTF-8 (leniently, so as windows-1252 at worst).
    pub fn from_label(label: &[u8]) -> Self {
        let label = label.trim_ascii().to_ascii_lowercase();
        match label.as_slice() {
            b"utf-7" | b"utf7" | b"unicode-1-1-utf-7" | b"csunicode11utf7" => return Self::Utf7,
            b"utf-16be" | b"utf-16" | b"utf16" | b"ucs-2" | b"iso-10646-ucs-2" | b"ucs-2be" => {
                return Self::Utf16 { big: true };
            }
            b"utf-16le" | b"ucs-2le" => return Self::Utf16 { big: false },
            b"utf-32" | b"utf-32be" | b"ucs-4" | b"utf32" => return Self::Utf32 { big: true },
            b"utf-32le" | b"ucs-4le" => return Self::Utf32 { big: false },
            b"hz-gb-2312" | b"hz" => return Self::Hz,
            b"ibm037" | b"cp037" | b"ibm500" | b"cp500" | b"ibm1047" | b"cp1047" | b"ibm-1047" | b"ebcdic-cp-us" => {
                return Self::Ebcdic;
            }
            label if label.starts_with(b"iso-2022-") || label == b"csiso2022jp" || label == b"csiso2022kr" => {
                return Self::Iso2022;
            }
            _ => {}
        }
        let Some(encoding) = Encoding::for_label(&label) else { return Self::Utf8 };
        match encoding.name() {
            "UTF-8" | "windows-1252" | "replacement" => Self::Utf8,
            "Shift_JIS" => Self::Multi(Family::ShiftJis, encoding),
            "EUC-JP" => Self::Multi(Family::EucJp, encoding),
            "GBK" | "gb18030" => Self::Multi(Family::Gb18030, encoding_rs::GB18030),
            "Big5" => Self::Multi(Family::Big5, encoding),
            "EUC-KR" => Self::Multi(Family::EucKr, encoding),
            _ if encoding.is_single_byte() => Self::Single(encoding),
            _ => Self::Utf8,
        }
    }

    /// Is an ASCII byte always itself, so that digits can be counted on the bytes?
    pub fn is_ascii_superset(self) -> bool {
        matches!(self, Self::Utf8 | Self::Single(_) | Self::Multi(..))
    }

    /// UTF-16 and UTF-32 without a mark show by where their zero bytes stand.
    fn guess_wide(content: &[u8]) -> Option<Self> {
        let head = &content[..content.len().min(512) & !3];
        if head.len() < 16 {
            return None;
        }
        let mut zeros = [0usize; 4];
        for (i, byte) in head.iter().enumerate() {
            zeros[i % 4] += usize::from(*byte == 0);
        }
        let most = head.len() / 4 * 3 / 4;
        match zeros.map(|count| count >= most) {
            [true, true, true, false] => Some(Self::Utf32 { big: true }),
            [false, true, true, true] => Some(Self::Utf32 { big: false }),
            [true, false, true, false] => Some(Self::Utf16 { big: true }),
            [false, true, false, true] => Some(Self::Utf16 { big: false }),
            _ => None,
        }
    }

    /// The text.
    pub fn decode(self, content: &[u8]) -> Cow<'_, str> {
        if self == Self::Utf8 {
            if let Ok(text) = std::str::from_utf8(content) {
                return Cow::Borrowed(text);
            }
        } else if self.is_ascii_superset()
            && content.is_ascii()
            && let Ok(text) = std::str::from_utf8(content)
        {
            return Cow::Borrowed(text);
        }
        let mut text = String::with_capacity(content.len() + content.len() / 4);
        let mut walk = Walk::new(self);
        let mut at = 0;
        while at < content.len() {
            if self.is_ascii_superset() {
                let run = Encoding::ascii_valid_up_to(&content[at..]);
                text.push_str(std::str::from_utf8(&content[at..at + run]).unwrap_or_default());
                at += run;
                if at == content.len() {
                    break;
                }
            }
            let step = walk.step(content, at);
            text.extend(step.character);
            at += step.len;
        }
        Cow::Owned(text)
    }

    /// Writes the edits of `text` (which is `self.decode(content)`), ascending, as edits of the content.
    pub fn patch(self, content: &[u8], text: &str, edits: &[CharEdit]) -> EditSet {
        let mut out = EditSet::new();
        let Some(last) = edits.last() else { return out };
        let mut edits = edits.iter().peekable();
        let mut units: Option<Utf7Run> = None;
        let mut walk = Walk::new(self);
        let (mut at, mut offset) = (0, 0);
        while at < content.len() && offset <= last.at.0 {
            let Some(next) = edits.peek() else { break };
            if self.is_ascii_superset() && content[at] < 0x80 {
                let run = Encoding::ascii_valid_up_to(&content[at..]).min(next.at.0 - offset);
                if run > 0 {
                    at += run;
                    offset += run;
                    continue;
                }
            }
            let step = walk.step(content, at);
            if let Some(character) = step.character {
                if next.at.0 == offset {
                    match step.place {
                        Place::Bytes => {
                            let new = self.encode_in(next.to, character, &content[at..at + step.len], &walk.state);
                            for (i, byte) in new.into_iter().enumerate() {
                                out.put(RawOffset(at + i), byte);
                            }
                        }
                        Place::Unit { run, unit } => {
                            if units.as_ref().is_some_and(|open| open.start != run)
                                && let Some(done) = units.take()
                            {
                                done.write(content, &mut out);
                            }
                            units.get_or_insert_with(|| Utf7Run::read(content, run)).set(unit, next.to, character);
                        }
                    }
                    edits.next();
                }
                offset += character.len_utf8();
            }
            at += step.len;
        }
        if let Some(done) = units {
            done.write(content, &mut out);
        }
        debug_assert!(text.len() >= last.at.0);
        out
    }

    /// The new character in exactly as many bytes as the old one; asterisks where the charset has no such character.
    fn encode_in(self, new: char, old: char, bytes: &[u8], state: &State) -> Vec<u8> {
        let width = bytes.len();
        let encoded = match self {
            Self::Utf8 => {
                // A byte that was not UTF-8 was read as one windows-1252 character.
                let mut buffer = [0; 4];
                if width == old.len_utf8() { new.encode_utf8(&mut buffer).as_bytes().to_vec() } else { Vec::new() }
            }
            Self::Utf16 { big } => {
                let mut buffer = [0; 2];
                let units = new.encode_utf16(&mut buffer);
                units.iter().flat_map(|unit| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
            }
            Self::Utf32 { big } => {
                let value = u32::from(new);
                if big { value.to_be_bytes().to_vec() } else { value.to_le_bytes().to_vec() }
            }
            Self::Iso2022 if width == 2 => state
                .two_byte
                .map_or_else(Vec::new, |set| encode(set, '\u{ff0a}').into_iter().map(|byte| byte & 0x7f).collect()),
            Self::Hz if width == 2 => {
                encode(encoding_rs::GBK, '\u{ff0a}').into_iter().map(|byte| byte & 0x7f).collect()
            }
            Self::Ebcdic => vec![if new == 'x' { 0xa7 } else { 0x5c }],
            Self::Single(encoding) | Self::Multi(_, encoding) => {
                let exact = encode(encoding, new);
                if exact.len() == width { exact } else { encode(encoding, '\u{ff0a}') }
            }
            _ => vec![new as u8; usize::from(new.is_ascii())],
        };
        if encoded.len() == width {
            return encoded;
        }
        match self {
            Self::Utf16 { big } => [if big { [0, b'*'] } else { [b'*', 0] }; 2].concat()[..width.min(4)].to_vec(),
            _ => vec![b'*'; width],
        }
    }
}

fn encode(encoding: &'static Encoding, character: char) -> Vec<u8> {
    let mut buffer = [0; 4];
    let (bytes, _, failed) = encoding.encode(character.encode_utf8(&mut buffer));
    if failed { Vec::new() } else { bytes.into_owned() }
}

/// One pass over content.
struct Walk {
    charset: Charset,
    state: State,
    /// The upper half of a single-byte charset.
    table: Vec<char>,
}

impl Walk {
    fn new(charset: Charset) -> Self {
        let table = match charset {
            Charset::Single(encoding) => (0x80..=0xffu8).map(|byte| decode_one(encoding, &[byte])).collect(),
            _ => Vec::new(),
        };
        Self { charset, state: State::default(), table }
    }

    fn step(&mut self, bytes: &[u8], at: usize) -> Step {
        let byte = bytes[at];
        let plain = |character, len| Step { character: Some(character), len, place: Place::Bytes };
        match self.charset {
            Charset::Utf8 => step_utf8(&bytes[at..]),
            Charset::Utf7 => self.step_utf7(bytes, at),
            Charset::Utf16 { big } => step_utf16(&bytes[at..], big),
            Charset::Utf32 { big } => {
                let Some(unit) = bytes[at..].first_chunk::<4>() else { return plain('\u{fffd}', bytes.len() - at) };
                let value = if big { u32::from_be_bytes(*unit) } else { u32::from_le_bytes(*unit) };
                plain(char::from_u32(value).unwrap_or('\u{fffd}'), 4)
            }
            _ if byte < 0x80 && self.charset.is_ascii_superset() => plain(char::from(byte), 1),
            Charset::Single(_) => plain(self.table[usize::from(byte - 0x80)], 1),
            Charset::Multi(family, encoding) => {
                let len = length(family, &bytes[at..]);
                plain(decode_one(encoding, &bytes[at..at + len]), len)
            }
            Charset::Iso2022 => self.step_iso2022(bytes, at),
            Charset::Hz => self.step_hz(bytes, at),
            Charset::Ebcdic => plain(ebcdic(byte), 1),
        }
    }

    fn step_iso2022(&mut self, bytes: &[u8], at: usize) -> Step {
        let rest = &bytes[at..];
        let skip = |len| Step { character: None, len, place: Place::Bytes };
        if rest[0] == 0x1b {
            let (len, set) = match rest {
                [_, b'$', b'@' | b'B', ..] => (3, Some(encoding_rs::EUC_JP)),
                [_, b'$', b'(', ..] => (rest.len().min(4), Some(encoding_rs::EUC_JP)),
                [_, b'$', b'A', ..] => (3, Some(encoding_rs::GBK)),
                [_, b'$', b')', b'C', ..] => return skip(4),
                [_, b'(', _, ..] => (3, None),
                _ => (1, self.state.two_byte),
            };
            self.state.two_byte = set;
            return skip(len);
        }
        match rest[0] {
            0x0e => {
                (self.state.shifted, self.state.two_byte) = (true, Some(encoding_rs::EUC_KR));
                return skip(1);
            }
            0x0f => {
                (self.state.shifted, self.state.two_byte) = (false, None);
                return skip(1);
            }
            // A line end returns to ASCII whether or not the escape was forgotten.
            b'\n' => self.state.two_byte = None,
            _ => {}
        }
        match (self.state.two_byte, rest) {
            (Some(set), [first @ 0x21..0x7f, second @ 0x21..0x7f, ..]) => {
                Step { character: Some(decode_one(set, &[first | 0x80, second | 0x80])), len: 2, place: Place::Bytes }
            }
            _ => step_utf8(rest),
        }
    }

    fn step_hz(&mut self, bytes: &[u8], at: usize) -> Step {
        let rest = &bytes[at..];
        let skip = |len| Step { character: None, len, place: Place::Bytes };
        match (self.state.shifted, rest) {
            (false, [b'~', b'{', ..]) => {
                self.state.shifted = true;
                skip(2)
            }
            (true, [b'~', b'}', ..]) => {
                self.state.shifted = false;
                skip(2)
            }
            (true, [first @ 0x21..0x7f, second @ 0x21..0x7f, ..]) => Step {
                character: Some(decode_one(encoding_rs::GBK, &[first | 0x80, second | 0x80])),
                len: 2,
                place: Place::Bytes,
            },
            _ => {
                self.state.shifted &= rest[0] != b'\n';
                step_utf8(rest)
            }
        }
    }

    fn step_utf7(&mut self, bytes: &[u8], at: usize) -> Step {
        let skip = |len| Step { character: None, len, place: Place::Bytes };
        let in_run = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        if let Some((start, unit)) = self.state.run {
            let len = bytes[start..].iter().take_while(|b| in_run(b)).count();
            if unit < len * 6 / 16 {
                let first = unit_at(bytes, start, unit);
                let second = (unit + 1 < len * 6 / 16).then(|| unit_at(bytes, start, unit + 1));
                let pair = [first, second.unwrap_or(0)];
                let character = char::decode_utf16(pair).next().and_then(Result::ok).unwrap_or('\u{fffd}');
                self.state.run = Some((start, unit + character.len_utf16()));
                return Step { character: Some(character), len: 0, place: Place::Unit { run: start, unit } };
            }
            self.state.run = None;
            let end = start + len;
            return skip(end - at + usize::from(bytes.get(end) == Some(&b'-')));
        }
        match bytes[at..] {
            [b'+', b'-', ..] => Step { character: Some('+'), len: 2, place: Place::Bytes },
            [b'+', next, ..] if in_run(&next) => {
                self.state.run = Some((at + 1, 0));
                skip(1)
            }
            _ => step_utf8(&bytes[at..]),
        }
    }
}

fn decode_one(encoding: &'static Encoding, bytes: &[u8]) -> char {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .and_then(|text| text.chars().next())
        .unwrap_or('\u{fffd}')
}

fn step_utf8(rest: &[u8]) -> Step {
    let len = match rest[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let whole = rest.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()).and_then(|text| text.chars().next());
    match whole {
        Some(character) => Step { character: Some(character), len, place: Place::Bytes },
        None => {
            Step { character: Some(decode_one(encoding_rs::WINDOWS_1252, &rest[..1])), len: 1, place: Place::Bytes }
        }
    }
}

fn step_utf16(rest: &[u8], big: bool) -> Step {
    let unit = |at: usize| {
        rest.get(at..at + 2).map(|pair| {
            let pair = [pair[0], pair[1]];
            if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        })
    };
    let Some(first) = unit(0) else {
        return Step { character: Some('\u{fffd}'), len: rest.len(), place: Place::Bytes };
    };
    let pair = [first, unit(2).unwrap_or(0)];
    let character = char::decode_utf16(pair).next().and_then(Result::ok).unwrap_or('\u{fffd}');
    Step { character: Some(character), len: character.len_utf16() * 2, place: Place::Bytes }
}

fn length(family: Family, rest: &[u8]) -> usize {
    let second = rest.get(1).copied().unwrap_or(0);
    let len = match (family, rest[0]) {
        (Family::ShiftJis, 0x81..=0x9f | 0xe0..=0xfc) if matches!(second, 0x40..=0x7e | 0x80..=0xfc) => 2,
        (Family::EucJp, 0x8f) if second >= 0xa1 && rest.len() > 2 => 3,
        (Family::EucJp, 0x8e | 0xa1..=0xfe) if second >= 0xa1 => 2,
        (Family::Gb18030, 0x81..=0xfe)
            if second.is_ascii_digit() && matches!(rest, [_, _, 0x81..=0xfe, b'0'..=b'9', ..]) =>
        {
            4
        }
        (Family::Gb18030 | Family::Big5, 0x81..=0xfe) if matches!(second, 0x40..=0x7e | 0x80..=0xfe) => 2,
        (Family::EucKr, 0x81..=0xfe) if second >= 0x41 => 2,
        _ => 1,
    };
    len.min(rest.len())
}

fn ebcdic(byte: u8) -> char {
    match byte {
        0xf0..=0xf9 => char::from(b'0' + (byte - 0xf0)),
        0x81..=0x89 => char::from(b'a' + (byte - 0x81)),
        0x91..=0x99 => char::from(b'j' + (byte - 0x91)),
        0xa2..=0xa9 => char::from(b's' + (byte - 0xa2)),
        0xc1..=0xc9 => char::from(b'A' + (byte - 0xc1)),
        0xd1..=0xd9 => char::from(b'J' + (byte - 0xd1)),
        0xe2..=0xe9 => char::from(b'S' + (byte - 0xe2)),
        0x40 => ' ',
        0x41 => '\u{a0}',
        0x4b => '.',
        0x5c => '*',
        0x60 => '-',
        0x61 => '/',
        0x6b => ',',
        0x6d => '_',
        0x7a => ':',
        0x05 => '\t',
        0x0d => '\r',
        0x15 | 0x25 => '\n',
        _ => '\u{fffd}',
    }
}

fn sextet(byte: u8) -> u32 {
    u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    })
}

/// The 16-bit unit of a UTF-7 run.
fn unit_at(bytes: &[u8], run: usize, unit: usize) -> u16 {
    let bit = unit * 16;
    let first = run + bit / 6;
    let window = (0..4).fold(0u32, |acc, i| acc << 6 | bytes.get(first + i).map_or(0, |b| sextet(*b)));
    (window >> (24 - bit % 6 - 16)) as u16
}

/// The characters of a UTF-7 run while units of it are changed; neighbours share characters.
struct Utf7Run {
    start: usize,
    sextets: Vec<u8>,
}

impl Utf7Run {
    fn read(content: &[u8], start: usize) -> Self {
        let in_run = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        Self { start, sextets: content[start..].iter().take_while(in_run).map(|b| sextet(*b) as u8).collect() }
    }

    fn set(&mut self, unit: usize, new: char, old: char) {
        let mut buffer = [0; 2];
        let units = new.encode_utf16(&mut buffer);
        let units =
            if units.len() == old.len_utf16() { units.to_vec() } else { vec![u16::from(b'*'); old.len_utf16()] };
        for (i, value) in units.into_iter().enumerate() {
            for bit in 0..16 {
                let place = (unit + i) * 16 + bit;
                let mask = 1 << (5 - place % 6);
                let Some(sextet) = self.sextets.get_mut(place / 6) else { return };
                if value >> (15 - bit) & 1 == 1 { *sextet |= mask } else { *sextet &= !mask }
            }
        }
    }

    fn write(&self, content: &[u8], out: &mut EditSet) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (i, value) in self.sextets.iter().enumerate() {
            let new = ALPHABET[usize::from(*value)];
            if content[self.start + i] != new {
                out.put(RawOffset(self.start + i), new);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::TextOffset;

    fn strike(charset: Charset, content: &[u8]) -> (String, Vec<u8>) {
        let text = charset.decode(content).into_owned();
        let edits: Vec<_> = text
            .char_indices()
            .filter(|(_, c)| c.is_numeric())
            .map(|(at, c)| CharEdit { at: TextOffset(at), to: if c.is_ascii() { '*' } else { '\u{ff0a}' } })
            .collect();
        let after = charset.patch(content, &text, &edits).apply(content);
        (charset.decode(&after).into_owned(), after)
    }

    #[test]
    fn every_charset_writes_masks_of_the_same_width() {
        let text = "カード 4111 １２３４ 番号";
        for label in ["utf-8", "shift_jis", "euc-jp", "gb18030", "utf-16le", "utf-16be"] {
            let charset = Charset::from_label(label.as_bytes());
            let content: Vec<u8> = match charset {
                Charset::Utf16 { big } => {
                    text.encode_utf16().flat_map(|u| if big { u.to_be_bytes() } else { u.to_le_bytes() }).collect()
                }
                _ => Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned(),
            };
            let (masked, after) = strike(charset, &content);
            assert_eq!(masked, "カード **** ＊＊＊＊ 番号", "{label}");
            assert_eq!(after.len(), content.len(), "{label}");
        }
    }

    #[test]
    fn iso_2022_jp_keeps_its_escapes() {
        let content = b"No. \x1b$B#1#2#3\x1b(B 45";
        let (masked, after) = strike(Charset::from_label(b"iso-2022-jp"), content);
        assert_eq!(masked, "No. ＊＊＊ **");
        assert!(after.starts_with(b"No. \x1b$B") && after.len() == content.len());
    }

    #[test]
    fn utf_7_changes_bits_inside_its_runs() {
        // "Hi +12 " with the digits 1 and 2 as base64 of UTF-16, between two letters.
        let content = b"+AGEAMQAyAGI- +- 7";
        let (masked, after) = strike(Charset::Utf7, content);
        assert_eq!(masked, "a**b + *");
        assert_eq!(after.len(), content.len());
    }

    #[test]
    fn lies_are_seen_through() {
        let wide: Vec<u8> = "Card 4111 1111".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(Charset::detect(Some(b"utf-8"), &wide), Charset::Utf16 { big: false });
        assert_eq!(Charset::Utf8.decode(b"4111\xa01111\x96"), "4111\u{a0}1111\u{2013}");
        assert_eq!(Charset::detect(Some(b"iso-8859-1"), b"\xef\xbb\xbfx"), Charset::Utf8);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_upset_any_charset(content in proptest::collection::vec(proptest::num::u8::ANY, 0..200)) {
            for label in ["utf-8", "utf-7", "utf-16", "utf-32", "koi8-r", "shift_jis", "euc-jp", "gbk", "big5", "euc-kr",
                          "iso-2022-jp", "iso-2022-kr", "hz-gb-2312", "ibm037"] {
                let charset = Charset::from_label(label.as_bytes());
                let (_, after) = strike(charset, &content);
                proptest::prop_assert_eq!(after.len(), content.len());
            }
        }
    }
}
