//! RTF (Microsoft's specification 1.9.1) as a word processor shows it: groups and control words dropped, characters
//! written by `\'hh` and `\uN` resolved.
//!
//! Refuses nothing: what is no RTF is read as text. Pictures in hexadecimal are skipped, other hidden groups are read
//! like shown ones, because a number in a document's properties is a number too.

use memchr::memchr3;

use super::chars::CELL;
use crate::message::{View, ViewBuilder};

/// The text between the control words.
pub fn shown(text: &str) -> View<'_> {
    let mut builder = ViewBuilder::new(text);
    let bytes = text.as_bytes();
    let mut at = 0;
    // Characters that stand in for a \u before them, as many as the last \uc said.
    let mut stand_ins = 1;
    while at < bytes.len() {
        let Some(found) = memchr3(b'\\', b'{', b'}', &bytes[at..]).map(|found| at + found) else {
            lines(text, at, bytes.len(), &mut builder);
            break;
        };
        lines(text, at, found, &mut builder);
        at = found + 1;
        if bytes[found] != b'\\' {
            continue;
        }
        at = match bytes.get(at) {
            Some(b'\'') => hexadecimal(bytes, found, &mut builder),
            Some(b'~') => escape(found, 2, '\u{a0}', &mut builder),
            Some(b'_') => escape(found, 2, '\u{2011}', &mut builder),
            Some(b'-') => escape(found, 2, '\u{ad}', &mut builder),
            Some(byte) if byte.is_ascii_alphabetic() => control(text, found, &mut stand_ins, &mut builder),
            Some(b'\n' | b'\r') => escape(found, 2, '\n', &mut builder),
            Some(byte) if byte.is_ascii() => {
                builder.copy(at, at + 1);
                at + 1
            }
            _ => at,
        };
    }
    builder.finish()
}

fn escape(at: usize, len: usize, character: char, builder: &mut ViewBuilder<'_>) -> usize {
    builder.invent(at, character);
    at + len
}

/// Line ends of the file are not shown.
fn lines(text: &str, start: usize, end: usize, builder: &mut ViewBuilder<'_>) {
    let mut at = start;
    while let Some(found) = memchr::memchr2(b'\r', b'\n', &text.as_bytes()[at..end]).map(|found| at + found) {
        builder.copy(at, found);
        at = found + 1;
    }
    builder.copy(at, end);
}

/// `\'34`.
fn hexadecimal(bytes: &[u8], at: usize, builder: &mut ViewBuilder<'_>) -> usize {
    let digit = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let (Some(high), Some(low)) = (digit(bytes.get(at + 2)), digit(bytes.get(at + 3))) else { return at + 2 };
    let byte = (high << 4 | low) as u8;
    // Above ASCII the code page decides; a digit never stands there, separators are those of windows-1252.
    let character = match byte {
        0xa0 => '\u{a0}',
        0x96 => '\u{2013}',
        0x97 => '\u{2014}',
        0x95 => '\u{2022}',
        0xad => '\u{ad}',
        0xb7 => '\u{b7}',
        0..0x80 => char::from(byte),
        _ => 'x',
    };
    builder.escape(at, 4, character);
    at + 4
}

/// A control word with its number and the space that ends it.
fn control(text: &str, at: usize, stand_ins: &mut usize, builder: &mut ViewBuilder<'_>) -> usize {
    let bytes = text.as_bytes();
    let letters = bytes[at + 1..].iter().take(32).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = &text[at + 1..=at + letters];
    let number_at = at + 1 + letters;
    let signed = usize::from(bytes.get(number_at) == Some(&b'-'));
    let digits = bytes[number_at + signed..].iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    let has_number = digits > 0;
    let mut end = if has_number { number_at + signed + digits } else { number_at };
    let number: Option<i64> = text[number_at..end].parse().ok();
    if bytes.get(end) == Some(&b' ') {
        end += 1;
    }
    match word {
        "u" if has_number => {
            let code = number.map_or(0, |number| number.rem_euclid(0x1_0000)) as u32;
            let surrogate = (0xd800..0xe000).contains(&code);
            let stop = stand_in(bytes, end, *stand_ins);
            if (0xd800..0xdc00).contains(&code) {
                return pair(text, at, stop, code, *stand_ins, builder);
            }
            if !surrogate {
                builder.escape(at, stop - at, char::from_u32(code).unwrap_or('\u{fffd}'));
            }
            stop
        }
        "uc" => {
            *stand_ins = number.map_or(1, |number| number.clamp(0, 8)) as usize;
            end
        }
        "bin" => end.saturating_add(number.unwrap_or(0).max(0) as usize).min(bytes.len()),
        "par" | "line" | "sect" | "page" | "row" => escape(at, end - at, '\n', builder),
        "cell" | "nestcell" => escape(at, end - at, CELL, builder),
        "tab" => escape(at, end - at, '\t', builder),
        "emspace" | "enspace" | "qmspace" => escape(at, end - at, ' ', builder),
        "emdash" | "endash" => escape(at, end - at, '\u{2013}', builder),
        "bullet" => escape(at, end - at, '\u{2022}', builder),
        "zwj" | "zwnj" | "zwbo" | "zwnbo" => end,
        _ => end,
    }
}

/// The end of what stands in for a character where Unicode is not read.
fn stand_in(bytes: &[u8], mut at: usize, count: usize) -> usize {
    for _ in 0..count {
        at += match bytes.get(at..) {
            Some([b'\\', b'\'', _, _, ..]) => 4,
            Some([b'\\' | b'{' | b'}', ..] | []) | None => 0,
            Some([byte, ..]) if byte.is_ascii() => 1,
            _ => 0,
        };
    }
    at.min(bytes.len())
}

/// Two halves of a character beyond the BMP.
fn pair(text: &str, at: usize, from: usize, high: u32, stand_ins: usize, builder: &mut ViewBuilder<'_>) -> usize {
    let bytes = text.as_bytes();
    let Some(rest) = text.get(from..).and_then(|rest| rest.strip_prefix("\\u-")) else { return from };
    let digits = rest.bytes().take(5).take_while(u8::is_ascii_digit).count();
    let Ok(number) = rest[..digits].parse::<i64>() else { return from };
    let low = (-number).rem_euclid(0x1_0000) as u32;
    let mut end = from + 3 + digits;
    if bytes.get(end) == Some(&b' ') {
        end += 1;
    }
    let end = stand_in(bytes, end, stand_ins);
    if (0xdc00..0xe000).contains(&low) {
        let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        builder.escape(at, end - at, char::from_u32(code).unwrap_or('\u{fffd}'));
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_processor_sees_text_without_control_words() {
        for (rtf, text) in [
            (r"{\rtf1\ansi Card 4{\b 1}1\'31\~1111\par}", "Card 411\u{31}\u{a0}1111\n"),
            (r"{\rtf1 \u8211?a\u-246 ?b\uc0\u65297 c}", "\u{2013}a\u{ff0a}b\u{ff11}c"),
            (r"{\rtf1 \u-10187?\u-9138?}", "\u{1d44e}"),
            ("{\\rtf1 a\r\nb\\\nc\\{d\\}}", "ab\nc{d}"),
            (r"{\rtf1 x\cell y\row}", "x\u{1f}y\n"),
            (r"{\rtf1 a\bin3 }}}b}", "ab"),
        ] {
            assert_eq!(shown(rtf).text(), text, "{rtf}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_upsets_it(text in "[\\\\{}'a-z0-9 \\-u\n\\PC]{0,120}") {
            shown(&text);
        }
    }
}
