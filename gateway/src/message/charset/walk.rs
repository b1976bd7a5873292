//! Octets to characters, one at a time, with the place of each.

use super::{Charset, EditSet, Encoding, Family, Place, RawOffset, State, Step};

pub(super) fn encode(encoding: &'static Encoding, character: char) -> Vec<u8> {
    let mut buffer = [0; 4];
    let (bytes, _, failed) = encoding.encode(character.encode_utf8(&mut buffer));
    if failed { Vec::new() } else { bytes.into_owned() }
}

/// One pass over content.
pub(super) struct Walk {
    pub(super) charset: Charset,
    pub(super) state: State,
    /// The upper half of a single-byte charset.
    pub(super) table: Vec<char>,
}

impl Walk {
    pub(super) fn new(charset: Charset) -> Self {
        let table = match charset {
            Charset::Single(encoding) => (0x80..=0xffu8).map(|byte| decode_one(encoding, &[byte])).collect(),
            _ => Vec::new(),
        };
        Self { charset, state: State::default(), table }
    }

    pub(super) fn step(&mut self, bytes: &[u8], at: usize) -> Step {
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

    pub(super) fn step_iso2022(&mut self, bytes: &[u8], at: usize) -> Step {
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

    pub(super) fn step_hz(&mut self, bytes: &[u8], at: usize) -> Step {
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

    pub(super) fn step_utf7(&mut self, bytes: &[u8], at: usize) -> Step {
        let skip = |len| Step { character: None, len, place: Place::Bytes };
        let in_run = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        if let Some((run, unit)) = self.state.run.clone() {
            let (start, len) = (run.start, run.len());
            if unit < len * 6 / 16 {
                let first = unit_at(bytes, start, unit);
                let second = (unit + 1 < len * 6 / 16).then(|| unit_at(bytes, start, unit + 1));
                let pair = [first, second.unwrap_or(0)];
                let character = char::decode_utf16(pair).next().and_then(Result::ok).unwrap_or('\u{fffd}');
                self.state.run = Some((run, unit + character.len_utf16()));
                return Step { character: Some(character), len: 0, place: Place::Unit { run: start, unit } };
            }
            self.state.run = None;
            let end = run.end;
            return skip(end - at + usize::from(bytes.get(end) == Some(&b'-')));
        }
        match bytes[at..] {
            [b'+', b'-', ..] => Step { character: Some('+'), len: 2, place: Place::Bytes },
            [b'+', next, ..] if in_run(&next) => {
                let len = bytes[at + 1..].iter().take_while(|b| in_run(b)).count();
                self.state.run = Some((at + 1..at + 1 + len, 0));
                skip(1)
            }
            _ => step_utf8(&bytes[at..]),
        }
    }
}

pub(super) fn decode_one(encoding: &'static Encoding, bytes: &[u8]) -> char {
    encoding
        .decode_without_bom_handling_and_without_replacement(bytes)
        .and_then(|text| text.chars().next())
        .unwrap_or('\u{fffd}')
}

pub(super) fn step_utf8(rest: &[u8]) -> Step {
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

pub(super) fn step_utf16(rest: &[u8], big: bool) -> Step {
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

pub(super) fn length(family: Family, rest: &[u8]) -> usize {
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

pub(super) fn ebcdic(byte: u8) -> char {
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

pub(super) fn sextet(byte: u8) -> u32 {
    u32::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        _ => 63,
    })
}

/// The 16-bit unit of a UTF-7 run.
pub(super) fn unit_at(bytes: &[u8], run: usize, unit: usize) -> u16 {
    let bit = unit * 16;
    let first = run + bit / 6;
    let window = (0..4).fold(0u32, |acc, i| acc << 6 | bytes.get(first + i).map_or(0, |b| sextet(*b)));
    (window >> (24 - bit % 6 - 16)) as u16
}

/// The characters of a UTF-7 run while units of it are changed; neighbours share characters.
pub(super) struct Utf7Run {
    pub(super) start: usize,
    pub(super) sextets: Vec<u8>,
}

impl Utf7Run {
    pub(super) fn read(content: &[u8], start: usize) -> Self {
        let in_run = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        Self { start, sextets: content[start..].iter().take_while(in_run).map(|b| sextet(*b) as u8).collect() }
    }

    pub(super) fn set(&mut self, unit: usize, new: char, old: char) {
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

    pub(super) fn write(&self, content: &[u8], out: &mut EditSet) {
        const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for (i, value) in self.sextets.iter().enumerate() {
            let new = ALPHABET[usize::from(*value)];
            if content[self.start + i] != new {
                out.put(RawOffset(self.start + i), new);
            }
        }
    }
}
