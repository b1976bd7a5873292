//! Transfer encodings: bytes on the wire to content and, for single bytes of the content, back again in place.
//!
//! Promises: decoding never fails (what is broken is read as mail programs read it), a patch changes only the
//! encoded characters of the bytes that it is given, and keeps every length. RFC 2045 §6, RFC 2047 §4, RFC 2231 §4,
//! RFC 3461 §4 (xtext).

use std::borrow::Cow;

use memchr::{memchr, memchr2};

use super::{EditSet, RawOffset, uuencode};

/// How content is written into the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// `7bit`, `8bit`, `binary`, and whatever is unknown.
    Identity,
    /// `quoted-printable`.
    QuotedPrintable,
    /// `base64`, also of B encoded words.
    Base64,
    /// The Q encoding of encoded words: `_` is a space.
    QWord,
    /// `%41` of RFC 2231 parameters.
    Percent,
    /// `+41` of ENVID and ORCPT.
    Xtext,
    /// `x-uuencode` of old programs.
    Uuencode,
}

impl Transfer {
    /// The encoding that a Content-Transfer-Encoding field names.
    pub fn from_label(label: &[u8]) -> Self {
        // What follows is a comment, or the semicolon of somebody who took the field for one with parameters.
        let label = label.split(|byte| matches!(byte, b'(' | b';')).next().unwrap_or(label).trim_ascii();
        if label.eq_ignore_ascii_case(b"quoted-printable") {
            Self::QuotedPrintable
        } else if label.eq_ignore_ascii_case(b"base64") {
            Self::Base64
        } else if [&b"x-uuencode"[..], b"uuencode", b"x-uue", b"uue"]
            .iter()
            .any(|name| label.eq_ignore_ascii_case(name))
        {
            Self::Uuencode
        } else {
            Self::Identity
        }
    }

    /// The content.
    pub fn decode(self, raw: &[u8]) -> Cow<'_, [u8]> {
        match self {
            Self::Identity => Cow::Borrowed(raw),
            Self::Base64 => Cow::Owned(decode_base64(raw)),
            Self::Uuencode => Cow::Owned(uuencode::decode(raw)),
            _ => self.decode_escaped(raw),
        }
    }

    /// Puts new bytes in place of the content's bytes at the given offsets (ascending), as edits of `raw`.
    pub fn patch(self, raw: &[u8], changes: &[(usize, u8)]) -> EditSet {
        let mut edits = EditSet::new();
        match self {
            Self::Identity => {
                for &(at, byte) in changes {
                    edits.put(RawOffset(at), byte);
                }
            }
            Self::Base64 => patch_base64(raw, changes, &mut edits),
            Self::Uuencode => uuencode::patch(raw, changes, &mut edits),
            _ => self.patch_escaped(raw, changes, &mut edits),
        }
        edits
    }

    /// Other content in the same encoding, with the line length of `raw`.
    pub fn encode_like(self, raw: &[u8], content: &[u8]) -> Vec<u8> {
        match self {
            Self::Base64 => encode_base64(raw, content),
            Self::QuotedPrintable => encode_quoted_printable(content),
            Self::Uuencode => uuencode::encode(raw, content),
            _ => content.to_vec(),
        }
    }

    fn escape(self) -> u8 {
        match self {
            Self::Percent => b'%',
            Self::Xtext => b'+',
            _ => b'=',
        }
    }

    /// What stands at `at`: the content byte, if any, and how many raw bytes it takes.
    fn step(self, raw: &[u8], at: usize) -> (Option<u8>, usize) {
        let byte = raw[at];
        if byte == b'_' && self == Self::QWord {
            return (Some(b' '), 1);
        }
        if byte != self.escape() {
            return (Some(byte), 1);
        }
        if let (Some(high), Some(low)) = (hex(raw.get(at + 1)), hex(raw.get(at + 2))) {
            return (Some(high << 4 | low), 3);
        }
        if self == Self::QuotedPrintable {
            // A soft line break; trailing white space before the line end is padding by a relay (RFC 2045 §6.7).
            let blanks = raw[at + 1..].iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
            match raw[at + 1 + blanks..] {
                [b'\r', b'\n', ..] => return (None, blanks + 3),
                [b'\n', ..] => return (None, blanks + 2),
                [] => return (None, blanks + 1),
                _ => {}
            }
        }
        (Some(byte), 1)
    }

    fn next_special(self, raw: &[u8], from: usize) -> usize {
        let found =
            if self == Self::QWord { memchr2(b'=', b'_', &raw[from..]) } else { memchr(self.escape(), &raw[from..]) };
        found.map_or(raw.len(), |found| from + found)
    }

    fn decode_escaped(self, raw: &[u8]) -> Cow<'_, [u8]> {
        let mut at = self.next_special(raw, 0);
        if at == raw.len() {
            return Cow::Borrowed(raw);
        }
        let mut content = Vec::with_capacity(raw.len());
        content.extend_from_slice(&raw[..at]);
        while at < raw.len() {
            let (byte, len) = self.step(raw, at);
            content.extend(byte);
            at += len;
            let next = self.next_special(raw, at);
            content.extend_from_slice(&raw[at..next]);
            at = next;
        }
        Cow::Owned(content)
    }

    fn patch_escaped(self, raw: &[u8], changes: &[(usize, u8)], edits: &mut EditSet) {
        let (mut at, mut content) = (0, 0);
        // Kept until it is passed: looking for it at every change would take quadratic time.
        let mut special = self.next_special(raw, 0);
        let mut changes = changes.iter().peekable();
        while let Some(&&(wanted, to)) = changes.peek() {
            if at >= raw.len() {
                return;
            }
            if special < at {
                special = self.next_special(raw, at);
            }
            let plain = special - at;
            if wanted < content + plain {
                let place = at + (wanted - content);
                let safe =
                    (0x21..0x7f).contains(&to) && to != self.escape() || self == Self::QuotedPrintable && to >= 0x80;
                if safe {
                    edits.put(RawOffset(place), to);
                }
                changes.next();
                continue;
            }
            at += plain;
            content += plain;
            if at >= raw.len() {
                return;
            }
            let (byte, len) = self.step(raw, at);
            if byte.is_some() {
                if content == wanted {
                    if len == 3 {
                        let upper = !raw[at + 1..at + 3].iter().any(u8::is_ascii_lowercase);
                        let digits = if upper { b"0123456789ABCDEF" } else { b"0123456789abcdef" };
                        let new = [digits[usize::from(to >> 4)], digits[usize::from(to & 15)]];
                        edits.replace(RawOffset(at + 1)..RawOffset(at + 3), new);
                    } else {
                        edits.put(RawOffset(at), to);
                    }
                    changes.next();
                }
                content += 1;
            }
            at += len;
        }
    }
}

fn hex(byte: Option<&u8>) -> Option<u8> {
    (*byte? as char).to_digit(16).map(|value| value as u8)
}

/// The value of a base64 character, of the standard and the URL alphabet; 64 stands for anything else.
const SEXTET: [u8; 256] = {
    let mut table = [64; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut i = 0;
    while i < 64 {
        table[alphabet[i] as usize] = i as u8;
        i += 1;
    }
    table[b'-' as usize] = 62;
    table[b'_' as usize] = 63;
    table
};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

fn decode_base64(raw: &[u8]) -> Vec<u8> {
    // Lines are joined first, because the vector decoder takes no white space.
    let mut joined = Vec::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(end) = memchr(b'\n', rest) {
        let line = &rest[..end];
        joined.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        rest = &rest[end + 1..];
    }
    joined.extend_from_slice(rest);
    match base64_simd::STANDARD.decode_inplace(&mut joined).map(|decoded| decoded.len()) {
        Ok(len) => {
            joined.truncate(len);
            joined
        }
        Err(_) => decode_base64_leniently(raw),
    }
}

/// Base64 as mail programs read it: what is not of the alphabet is skipped, padding closes a run and another may
/// follow.
fn decode_base64_leniently(raw: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(raw.len() / 4 * 3 + 3);
    walk_base64(raw, |_, bits, filled| {
        let bytes = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        content.extend_from_slice(&bytes[..filled * 6 / 8]);
    });
    content
}

/// Calls `quantum(positions, bits, characters)` for every group of up to four characters.
fn walk_base64(raw: &[u8], mut quantum: impl FnMut([usize; 4], u32, usize)) {
    let (mut places, mut bits, mut filled) = ([0; 4], 0u32, 0);
    for (at, &byte) in raw.iter().enumerate() {
        let value = SEXTET[usize::from(byte)];
        if value < 64 {
            places[filled] = at;
            bits |= u32::from(value) << (18 - 6 * filled);
            filled += 1;
        }
        if filled == 4 || byte == b'=' && filled > 0 {
            quantum(places, bits, filled);
            (bits, filled) = (0, 0);
        }
    }
    if filled > 0 {
        quantum(places, bits, filled);
    }
}

fn patch_base64(raw: &[u8], changes: &[(usize, u8)], edits: &mut EditSet) {
    let mut content = 0;
    let mut changes = changes.iter().peekable();
    let url_alphabet = memchr2(b'-', b'_', raw).is_some();
    walk_base64(raw, |places, old, filled| {
        let bytes = filled * 6 / 8;
        let mut new = old;
        while let Some(&&(wanted, to)) = changes.peek() {
            if wanted >= content + bytes {
                break;
            }
            if wanted >= content {
                let shift = 16 - 8 * (wanted - content);
                new = new & !(0xff << shift) | u32::from(to) << shift;
            }
            changes.next();
        }
        content += bytes;
        for (i, place) in places.iter().enumerate().take(filled) {
            let sextet = |bits: u32| bits >> (18 - 6 * i) & 63;
            if sextet(old) != sextet(new) {
                let character = match (ALPHABET[sextet(new) as usize], url_alphabet) {
                    (b'+', true) => b'-',
                    (b'/', true) => b'_',
                    (other, _) => other,
                };
                edits.put(RawOffset(*place), character);
            }
        }
    });
}

fn encode_base64(raw: &[u8], content: &[u8]) -> Vec<u8> {
    let first = memchr(b'\n', raw).map_or(76, |end| raw[..end].trim_ascii_end().len());
    let width = if first >= 4 { (first / 4 * 4).min(996) } else { 76 };
    let line_end: &[u8] =
        if memchr::memmem::find(raw, b"\r\n").is_some() || memchr(b'\n', raw).is_none() { b"\r\n" } else { b"\n" };
    let encoded = base64_simd::STANDARD.encode_to_string(content).into_bytes();
    let mut out = Vec::with_capacity(encoded.len() + encoded.len() / width * 2 + 2);
    for (i, line) in encoded.chunks(width).enumerate() {
        if i > 0 {
            out.extend_from_slice(line_end);
        }
        out.extend_from_slice(line);
    }
    if raw.ends_with(b"\n") {
        out.extend_from_slice(line_end);
    }
    out
}

fn encode_quoted_printable(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() * 2);
    let mut column = 0;
    let mut at = 0;
    while at < content.len() {
        let byte = content[at];
        if content[at..].starts_with(b"\r\n") {
            out.extend_from_slice(b"\r\n");
            (column, at) = (0, at + 2);
            continue;
        }
        let last_on_line = matches!(content.get(at + 1), None | Some(b'\r' | b'\n'));
        let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || matches!(byte, b' ' | b'\t') && !last_on_line;
        let width = if plain { 1 } else { 3 };
        if column + width > 75 {
            out.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            out.push(byte);
        } else {
            let digits = b"0123456789ABCDEF";
            out.extend_from_slice(&[b'=', digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]);
        }
        column += width;
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Transfer; 6] = [
        Transfer::Identity,
        Transfer::QuotedPrintable,
        Transfer::Base64,
        Transfer::QWord,
        Transfer::Percent,
        Transfer::Xtext,
    ];

    #[test]
    fn soft_breaks_and_broken_escapes_are_read_as_mail_programs_do() {
        let cases: [(&[u8], &[u8]); 6] = [
            (b"41=31=31 \r\n", b"4111 \r\n"),
            (b"41=\r\n11", b"4111"),
            (b"41= \t\r\n11", b"4111"),
            (b"a=zz=4", b"a=zz=4"),
            (b"end=", b"end"),
            (b"a=e4b", b"a\xe4b"),
        ];
        for (raw, content) in cases {
            assert_eq!(Transfer::QuotedPrintable.decode(raw), content);
        }
        assert_eq!(Transfer::QWord.decode(b"a_b=20c"), &b"a b c"[..]);
    }

    #[test]
    fn base64_with_rubbish_and_inner_padding_is_read() {
        assert_eq!(Transfer::Base64.decode(b"NDEx\r\nMTE=\r\n"), &b"41111"[..]);
        assert_eq!(Transfer::Base64.decode(b"ND Ex!MTE=NA=="), &b"411114"[..]);
    }

    #[test]
    fn re_encoding_keeps_the_line_length() {
        let raw = b"AAAAAAAA\r\nAAAA\r\n";
        assert_eq!(Transfer::Base64.encode_like(raw, b"hello, world"), b"aGVsbG8s\r\nIHdvcmxk\r\n");
        let text = "Größe = 5 \r\n".repeat(20);
        let again = Transfer::QuotedPrintable.encode_like(b"", text.as_bytes());
        assert_eq!(Transfer::QuotedPrintable.decode(&again), text.as_bytes());
        assert!(again.split(|b| *b == b'\n').all(|line| line.len() <= 77));
    }

    proptest! {
        #[test]
        fn a_patch_changes_what_it_names_and_nothing_else(raw in "[0-9a-zA-Z=_%+ \r\n/]{0,120}", picks in prop::collection::vec(0usize..100, 0..6)) {
            for transfer in ALL {
                let content = transfer.decode(raw.as_bytes()).into_owned();
                let mut picks: Vec<usize> = picks.iter().copied().filter(|at| content.get(*at).is_some_and(u8::is_ascii_digit)).collect();
                picks.sort_unstable();
                picks.dedup();
                let changes: Vec<_> = picks.iter().map(|at| (*at, b'*')).collect();
                let edits = transfer.patch(raw.as_bytes(), &changes);
                prop_assert!(edits.keeps_length());
                let after = transfer.decode(&edits.apply(raw.as_bytes())).into_owned();
                let mut expected = content.clone();
                for (at, byte) in changes {
                    expected[at] = byte;
                }
                prop_assert_eq!(after, expected, "{:?}", transfer);
            }
        }

        #[test]
        fn fast_and_lenient_base64_agree(content in prop::collection::vec(any::<u8>(), 0..300)) {
            let raw = encode_base64(b"", &content);
            prop_assert_eq!(decode_base64(&raw), content.clone());
            prop_assert_eq!(decode_base64_leniently(&raw), content);
        }
    }
}
