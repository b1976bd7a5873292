//! What a run of digits is part of: an address of some kind, an identifier, or plain text.
//!
//! Looks a bounded way around the digits, so that a hostile line costs no more than its length.

use super::chars;
use super::context::is_card_word;

/// How far a token is followed to either side, in bytes.
const REACH: usize = 1024;

/// What the digits stand in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Text like any other.
    Text,
    /// A path or a tagged number: only with a card word near.
    Doubtful,
    /// An identifier: a URL's path, a mail address, a UUID, an IBAN, a long token of letters and digits.
    Identifier,
}

/// Looks around `text[start..end]`.
pub fn of(text: &str, start: usize, end: usize) -> Place {
    let bytes = text.as_bytes();
    let left = token_start(bytes, start);
    let right = token_end(bytes, end);
    let head = &bytes[left..start];
    let tail = &bytes[end..right];
    if is_mail_address(head, tail) {
        return Place::Identifier;
    }
    if let Some(place) = in_url(text, left, start) {
        return place;
    }
    if is_uuid(bytes, start, end) || is_long_token(bytes, start, end) || is_iban(bytes, start, end) {
        return Place::Identifier;
    }
    // A path such as /orders/4111...: a letter before the slash, a slash before the digits.
    if let [.., b, b'/'] = head
        && b.is_ascii_alphanumeric()
        && head.iter().any(u8::is_ascii_alphabetic)
        && memchr::memchr(b'/', &head[..head.len() - 1]).is_some()
    {
        return Place::Doubtful;
    }
    Place::Text
}

/// Does a plus sign stand directly before, as before a telephone number?
pub fn after_plus(text: &str, start: usize) -> bool {
    let head = text[..start].trim_end_matches(['(', ' ', '\u{a0}']);
    // A plus between digits is a separator, and one after letters is a tag or an encoded space.
    (head.ends_with('+') || head.ends_with('\u{ff0b}')) && text.len() - head.len() <= text.len() - start + 2 && {
        let before = head.trim_end_matches(['+', '\u{ff0b}']).chars().next_back();
        !before.is_some_and(char::is_alphanumeric)
    }
}

fn ends_token(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'<' | b'>' | b'"' | b'\'' | b'(' | b')' | b'`' | 0x1f | 0x1d)
}

fn token_start(bytes: &[u8], start: usize) -> usize {
    let floor = start.saturating_sub(REACH);
    let mut at = start;
    while at > floor && !ends_token(bytes[at - 1]) {
        at -= 1;
    }
    at
}

fn token_end(bytes: &[u8], end: usize) -> usize {
    let ceiling = (end + REACH).min(bytes.len());
    let mut at = end;
    while at < ceiling && !ends_token(bytes[at]) {
        at += 1;
    }
    at
}

/// The digits as (part of) a local part or a domain.
fn is_mail_address(head: &[u8], tail: &[u8]) -> bool {
    let local = |byte: &u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_{|}~-".contains(byte) || *byte >= 0x80;
    let domain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || *byte >= 0x80;
    let skipped = tail.iter().take_while(|b| local(b)).count();
    if tail.get(skipped) == Some(&b'@') && tail.get(skipped + 1).is_some_and(domain) {
        return true;
    }
    let back = head.iter().rev().take_while(|b| domain(b)).count();
    let at = head.len() - back;
    at >= 2 && head[at - 1] == b'@' && local(&head[at - 2])
}

/// In a URL only the value of a parameter that speaks of cards is text.
fn in_url(text: &str, left: usize, start: usize) -> Option<Place> {
    let bytes = text.as_bytes();
    let head = &bytes[left..start];
    let marked = left > 0 && bytes[left - 1] == chars::URL as u8 || head.contains(&(chars::URL as u8));
    let scheme = memchr::memmem::find(head, b"://").is_some()
        || [&b"www."[..], b"mailto:", b"cid:", b"mid:", b"data:", b"urn:", b"tel:", b"sms:", b"callto:"]
            .iter()
            .any(|scheme| head.len() >= scheme.len() && head[..scheme.len()].eq_ignore_ascii_case(scheme));
    if !marked && !scheme {
        return None;
    }
    let name_start = head.iter().rposition(|b| matches!(b, b'?' | b'&' | b';' | b'#')).map(|at| at + 1);
    let name = name_start.and_then(|from| {
        let rest = &head[from..];
        rest.iter().position(|b| *b == b'=').map(|equals| String::from_utf8_lossy(&rest[..equals]).to_ascii_lowercase())
    });
    let about_cards = name.is_some_and(|name| {
        matches!(name.as_str(), "cc" | "ccn" | "cn" | "num" | "number" | "acct" | "account_number" | "n")
            && name != "n"
            && name != "num"
            || is_card_word(&name.replace(['_', '-', '.', '[', ']'], ""))
            || name.split(['_', '-', '.', '[', ']']).any(is_card_word)
    });
    Some(if about_cards { Place::Text } else { Place::Identifier })
}

/// Eight, four, four, four and twelve hexadecimal digits.
fn is_uuid(bytes: &[u8], start: usize, end: usize) -> bool {
    let part = |byte: &u8| byte.is_ascii_hexdigit() || *byte == b'-';
    let left = start - bytes[..start].iter().rev().take(40).take_while(|b| part(b)).count();
    let right = end + bytes[end..].iter().take(40).take_while(|b| part(b)).count();
    let token = &bytes[left..right];
    let lengths: Vec<usize> = token.split(|b| *b == b'-').map(<[u8]>::len).collect();
    lengths.windows(5).any(|five| five == [8, 4, 4, 4, 12])
}

/// A token of 32 or more letters and digits: a hash, a key, an encoded id.
fn is_long_token(bytes: &[u8], start: usize, end: usize) -> bool {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let left = start - bytes[..start].iter().rev().take(REACH).take_while(|b| part(b)).count();
    let right = end + bytes[end..].iter().take(REACH).take_while(|b| part(b)).count();
    let letters = |range: &[u8]| range.iter().filter(|b| b.is_ascii_alphabetic()).count();
    let (head, tail) = (&bytes[left..start], &bytes[end..right]);
    // Words glued on with hyphens or underscores are words; letters and digits mixed are not.
    let mixed = |side: &[u8]| side.iter().any(u8::is_ascii_digit) && letters(side) > 0;
    right - left >= 32 && bytes[start..end].iter().all(u8::is_ascii_digit) && (mixed(head) || mixed(tail))
}

/// Country, check digits and up to thirty characters, with the check of ISO 13616 (remainder 1 modulo 97).
fn is_iban(bytes: &[u8], start: usize, end: usize) -> bool {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b' ' || *byte == b'-';
    let left = start - bytes[..start].iter().rev().take(44).take_while(|b| part(b)).count();
    let right = end + bytes[end..].iter().take(44).take_while(|b| part(b)).count();
    let joined: Vec<(usize, u8)> = (left..right)
        .filter(|at| bytes[*at].is_ascii_alphanumeric())
        .map(|at| (at, bytes[at].to_ascii_uppercase()))
        .collect();
    (0..joined.len().saturating_sub(14)).take_while(|i| joined[*i].0 <= start).any(|i| {
        let token_begins = joined[i].0 == 0 || !bytes[joined[i].0 - 1].is_ascii_alphanumeric();
        let head = joined[i].1.is_ascii_alphabetic()
            && joined[i + 1].1.is_ascii_alphabetic()
            && joined[i + 2].1.is_ascii_digit()
            && joined[i + 3].1.is_ascii_digit();
        token_begins
            && head
            && (15..=34.min(joined.len() - i)).any(|len| {
                let code = &joined[i..i + len];
                let covers = code[len - 1].0 + 1 >= end;
                covers
                    && code[4..].iter().chain(&code[..4]).fold(0u32, |rest, (_, c)| {
                        if c.is_ascii_digit() {
                            (rest * 10 + u32::from(c - b'0')) % 97
                        } else {
                            (rest * 100 + u32::from(c - b'A' + 10)) % 97
                        }
                    }) == 1
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: &str = "4111111111111111";

    fn place(pattern: &str) -> Place {
        let text = pattern.replace('#', N);
        let start = text.find(N).unwrap();
        of(&text, start, start + N.len())
    }

    #[test]
    fn identifiers_are_told_from_text() {
        for text in [
            "https://shop.example/o/#?x=1",
            "see www.shop.example/#.",
            "#@mail.example",
            "id-#.x@mail.example",
            "x@#.example",
            "<cid:#>",
            "https://x.example/?order=#",
            "a1b2c3d4e5f6a7b8-#-9f8e7d",
        ] {
            assert_eq!(place(text), Place::Identifier, "{text}");
        }
        for text in
            ["#", "card # ok", "PAN#EXP", "https://x.example/pay?card_number=#&y", "(#)", "Visa/#", "x@y.example, #"]
        {
            assert_eq!(place(text), Place::Text, "{text}");
        }
        assert_eq!(place("/orders/list/#"), Place::Doubtful);
        let uuid = "12345678-1234-4111-1111-111111111111";
        assert_eq!(of(uuid, 19, 36), Place::Identifier);
        let iban = "IBAN DE89 3704 0044 0532 0130 00";
        assert_eq!(of(iban, 10, 29), Place::Identifier);
    }

    #[test]
    fn plus_signs() {
        for (text, expected) in [("+#", true), ("(+#", true), ("a+#", false), ("1 + 1 #", false)] {
            let at = text.find('#').unwrap();
            assert_eq!(after_plus(&text.replace('#', N), at), expected, "{text}");
        }
    }
}
