//! Escapes in text of any kind: character references, percent encoding, and the backslash escapes of programs.

use memchr::memchr3;

use crate::message::{View, ViewBuilder};

/// The text with escapes resolved; the text itself where there are none.
pub fn view(text: &str) -> View<'_> {
    let mut builder = ViewBuilder::new(text);
    read(text, 0, text.len(), &mut builder);
    builder.finish()
}

/// The text with the folds of its lines undone (RFC 5545 §3.1, RFC 6350 §3.2): a line end and the blank after it.
pub fn unfolded(text: &str) -> View<'_> {
    let bytes = text.as_bytes();
    let mut builder = ViewBuilder::new(text);
    let mut copied = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        if matches!(bytes.get(end + 1), Some(b' ' | b'\t')) {
            let start = if end > 0 && bytes[end - 1] == b'\r' { end - 1 } else { end };
            builder.copy(copied, start.max(copied));
            copied = end + 2;
        }
    }
    builder.copy(copied, text.len());
    builder.finish()
}

/// Adds `text[start..end]` with its escapes resolved.
pub fn read(text: &str, start: usize, end: usize, builder: &mut ViewBuilder<'_>) {
    let bytes = text.as_bytes();
    let (mut at, mut copied) = (start, start);
    while let Some(found) = memchr3(b'&', b'%', b'\\', &bytes[at..end]).map(|found| at + found) {
        let escape = match bytes[found] {
            b'&' => entity(&text[found..end]),
            b'%' => percent(&bytes[found..end]),
            _ => backslash(&bytes[found..end]),
        };
        if let Some((character, len)) = escape {
            builder.copy(copied, found);
            builder.escape(found, len, character);
            (at, copied) = (found + len, found + len);
        } else {
            at = found + 1;
        }
    }
    builder.copy(copied, end);
}

/// The character reference at the beginning of `text`, and its length; the semicolon may be missing.
pub fn entity(text: &str) -> Option<(char, usize)> {
    let bytes = text.as_bytes();
    if bytes.get(1) == Some(&b'#') {
        let (radix, start) = if matches!(bytes.get(2), Some(b'x' | b'X')) { (16, 3) } else { (10, 2) };
        let digits = bytes[start..].iter().take(9).take_while(|b| char::from(**b).is_digit(radix)).count();
        let value = u32::from_str_radix(text.get(start..start + digits)?, radix).ok()?;
        let end = start + digits;
        return Some((char::from_u32(value)?, end + usize::from(bytes.get(end) == Some(&b';'))));
    }
    let len = bytes[1..].iter().take(24).take_while(|b| b.is_ascii_alphanumeric()).count();
    let name = text.get(1..=len)?;
    let character = match name {
        "nbsp" | "NonBreakingSpace" => '\u{a0}',
        "ensp" => '\u{2002}',
        "emsp" => '\u{2003}',
        "emsp13" | "emsp14" | "numsp" | "puncsp" => '\u{2007}',
        "thinsp" | "ThinSpace" => '\u{2009}',
        "hairsp" => '\u{200a}',
        "shy" => '\u{ad}',
        "zwnj" => '\u{200c}',
        "zwj" => '\u{200d}',
        "lrm" => '\u{200e}',
        "rlm" => '\u{200f}',
        "NoBreak" | "af" | "ApplyFunction" | "it" | "InvisibleTimes" | "ic" | "InvisibleComma" => '\u{2060}',
        "ZeroWidthSpace"
        | "NegativeVeryThinSpace"
        | "NegativeThinSpace"
        | "NegativeMediumSpace"
        | "NegativeThickSpace" => '\u{200b}',
        "MediumSpace" => '\u{205f}',
        "horbar" => '\u{2015}',
        "boxh" | "HorizontalLine" => '\u{2500}',
        "hyphen" | "dash" => '\u{2010}',
        "ndash" => '\u{2013}',
        "mdash" => '\u{2014}',
        "minus" => '\u{2212}',
        "middot" | "centerdot" => '\u{b7}',
        "bull" | "bullet" => '\u{2022}',
        "period" => '.',
        "sol" => '/',
        "lowbar" => '_',
        "comma" => ',',
        "colon" => ':',
        "Tab" => '\t',
        "NewLine" => '\n',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "plus" => '+',
        "equals" => '=',
        "lpar" => '(',
        "rpar" => ')',
        "num" => '#',
        "semi" => ';',
        "ast" | "midast" => '*',
        "vert" | "verbar" | "VerticalLine" => '|',
        "bsol" => '\\',
        _ => return None,
    };
    Some((character, len + 1 + usize::from(bytes.get(len + 1) == Some(&b';'))))
}

fn hex(bytes: &[u8]) -> Option<u8> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    Some((digit(bytes.first()?)? * 16 + digit(bytes.get(1)?)?) as u8)
}

/// One character in percent encoding, of one to four bytes.
fn percent(bytes: &[u8]) -> Option<(char, usize)> {
    let first = hex(&bytes[1..])?;
    let count = match first {
        0x20..=0x7e | b'\t' | b'\n' | b'\r' => return Some((char::from(first), 3)),
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    let mut decoded = [0; 4];
    for (i, byte) in decoded.iter_mut().enumerate().take(count) {
        let piece = bytes.get(i * 3..i * 3 + 3)?;
        *byte = (piece[0] == b'%').then(|| hex(&piece[1..]))??;
    }
    Some((std::str::from_utf8(&decoded[..count]).ok()?.chars().next()?, count * 3))
}

/// `\t`, `\n`, `\u0034`, `\u{34}`, `\x34`, and `\'34` of RTF.
fn backslash(bytes: &[u8]) -> Option<(char, usize)> {
    let number =
        |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().and_then(char::from_u32);
    let all_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
    match bytes {
        // White space of a program's string, between digits; elsewhere it is a path (`C:\temp`).
        [_, letter @ (b't' | b'n' | b'r'), next, ..] if next.is_ascii_digit() || *next == b'\\' => {
            Some((if *letter == b't' { '\t' } else { '\n' }, 2))
        }
        [_, b'u', b'{', rest @ ..] => {
            let len = rest.iter().take(6).take_while(|b| b.is_ascii_hexdigit()).count();
            (len > 0 && rest.get(len) == Some(&b'}')).then(|| number(&rest[..len]).map(|c| (c, len + 4)))?
        }
        [_, b'u', a, b, c, d, ..] => {
            let digits = [*a, *b, *c, *d];
            all_hex(&digits).then(|| number(&digits).map(|c| (c, 6)))?
        }
        [_, b'x' | b'\'', a, b, ..] => {
            let digits = [*a, *b];
            all_hex(&digits).then(|| number(&digits).map(|c| (c, 4)))?
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_every_kind() {
        let text = "&#52;&#x31 %34%EF%BC%94 \\u0034\\x31\\u{31}\\'34 100% \\n &foo; &nbsp";
        assert_eq!(view(text).text(), "41 4\u{ff14} 4114 100% \\n &foo; \u{a0}");
        assert!(view("nothing here").is_same());
    }
}
