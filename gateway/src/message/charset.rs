//! Charsets: content bytes to text, and single characters of the text back to bytes of the same width.
//!
//! Promises: decoding never fails and never loses a byte's place. No offset map is kept: decoding and patching walk
//! the bytes with the same step function, so that a map can neither grow large nor disagree with the text.
//! A label that lies is expected: UTF-8 is read leniently, with bytes that are none taken as windows-1252.

mod walk;

use walk::{Utf7Run, Walk, encode};

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
    /// UTF-7: the base64 run (found once: looking for its end at every unit would take quadratic time) and the next
    /// unit in it.
    run: Option<(std::ops::Range<usize>, usize)>,
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

    /// The same charset in the byte order that a mark at the content's beginning shows.
    #[must_use]
    pub fn in_order_of(self, content: &[u8]) -> Self {
        match self {
            Self::Utf16 { .. } | Self::Utf32 { .. } => match Self::detect(None, content) {
                wide @ (Self::Utf16 { .. } | Self::Utf32 { .. }) => wide,
                _ => self,
            },
            other => other,
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
                // Only up to the next edit: looking further for each would take quadratic time.
                let ahead = content.len().min(at + (next.at.0 - offset));
                let run = Encoding::ascii_valid_up_to(&content[at..ahead]);
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
