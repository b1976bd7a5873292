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
    // Behind `@` a domain or a service's name has a letter: `4111…@12/27` is a number and its date.
    let named = |from: usize| tail[from..].iter().take_while(|b| domain(b)).any(|b| !b.is_ascii_digit() && *b != b'.');
    if tail.get(skipped) == Some(&b'@') && named(skipped + 1) {
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
        matches!(name.as_str(), "cc" | "ccn" | "cn" | "number" | "acct" | "account_number" | "account")
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

/// Countries and how long their IBANs are (the registry of ISO 13616). With any two letters and any length, one number
/// in fifty behind a short word (`to 51…`) would pass the check.
#[rustfmt::skip] // a line a country would hide the code
const IBANS: &[([u8; 2], usize)] = &[
    (*b"AD", 24), (*b"AE", 23), (*b"AL", 28), (*b"AT", 20), (*b"AZ", 28), (*b"BA", 20), (*b"BE", 16), (*b"BG",
    22), (*b"BH", 22), (*b"BI", 27), (*b"BR", 29), (*b"BY", 28), (*b"CH", 21), (*b"CR", 22), (*b"CY", 28),
    (*b"CZ", 24), (*b"DE", 22), (*b"DJ", 27), (*b"DK", 18), (*b"DO", 28), (*b"EE", 20), (*b"EG", 29), (*b"ES",
    24), (*b"FI", 18), (*b"FK", 18), (*b"FO", 18), (*b"FR", 27), (*b"GB", 22), (*b"GE", 22), (*b"GI", 23),
    (*b"GL", 18), (*b"GR", 27), (*b"GT", 28), (*b"HN", 28), (*b"HR", 21), (*b"HU", 28), (*b"IE", 22), (*b"IL",
    23), (*b"IQ", 23), (*b"IS", 26), (*b"IT", 27), (*b"JO", 30), (*b"KW", 30), (*b"KZ", 20), (*b"LB", 28),
    (*b"LC", 32), (*b"LI", 21), (*b"LT", 20), (*b"LU", 20), (*b"LV", 21), (*b"LY", 25), (*b"MC", 27), (*b"MD",
    24), (*b"ME", 22), (*b"MK", 19), (*b"MN", 20), (*b"MR", 27), (*b"MT", 31), (*b"MU", 30), (*b"NI", 28),
    (*b"NL", 18), (*b"NO", 15), (*b"OM", 23), (*b"PK", 24), (*b"PL", 28), (*b"PS", 29), (*b"PT", 25), (*b"QA",
    29), (*b"RO", 24), (*b"RS", 22), (*b"RU", 33), (*b"SA", 24), (*b"SC", 31), (*b"SD", 18), (*b"SE", 24),
    (*b"SI", 19), (*b"SK", 24), (*b"SM", 27), (*b"SO", 23), (*b"ST", 25), (*b"SV", 28), (*b"TL", 23), (*b"TN",
    24), (*b"TR", 26), (*b"UA", 29), (*b"VA", 22), (*b"VG", 24), (*b"XK", 20), (*b"YE", 30),
];

/// Country, check digits and what the country's banks say, with the check of ISO 13616 (remainder 1 modulo 97).
fn is_iban(bytes: &[u8], start: usize, end: usize) -> bool {
    let part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b' ' || *byte == b'-';
    let left = start - bytes[..start].iter().rev().take(44).take_while(|b| part(b)).count();
    let right = end + bytes[end..].iter().take(44).take_while(|b| part(b)).count();
    let joined: Vec<(usize, u8)> = (left..right)
        .filter(|at| bytes[*at].is_ascii_alphanumeric())
        .map(|at| (at, bytes[at].to_ascii_uppercase()))
        .collect();
    (0..joined.len().saturating_sub(14)).take_while(|i| joined[*i].0 <= start).any(|i| {
        let at = joined[i].0;
        let token_begins = at == 0 || !bytes[at - 1].is_ascii_alphanumeric();
        // Country and check digits are never parted.
        if !token_begins || joined[i + 3].0 != at + 3 || !joined[i + 2..i + 4].iter().all(|(_, c)| c.is_ascii_digit()) {
            return false;
        }
        let country = [joined[i].1, joined[i + 1].1];
        let Some((_, len)) = IBANS.iter().find(|(code, _)| *code == country) else { return false };
        let Some(code) = joined.get(i..i + len) else { return false };
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
        // The same check holds for this one, but no country is called so and nobody writes it so.
        let word = "to 5183565419544507";
        assert_eq!(of(word, 3, word.len()), Place::Text);
    }

    #[test]
    fn plus_signs() {
        for (text, expected) in [("+#", true), ("(+#", true), ("a+#", false), ("1 + 1 #", false)] {
            let at = text.find('#').unwrap();
            assert_eq!(after_plus(&text.replace('#', N), at), expected, "{text}");
        }
    }
}
