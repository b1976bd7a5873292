//! What goes with a number: the rest of a magnetic track, and the card verification value beside it (PCI DSS 3.3.1:
//! neither may be kept at all).

use std::sync::LazyLock;

use regex::Regex;

use super::chars::{self, Class};
use super::judge::Number;
use super::scan::{Chain, Findings};
use crate::message::{CharEdit, TextOffset};

/// How far from a number a verification value is looked for, in bytes.
const NEAR: usize = 200;
/// How long a track is at most (ISO/IEC 7813).
const TRACK: usize = 110;

/// Words for the three or four digits.
const NAMES: &[&str] = &[
    "cvv2",
    "cvc2",
    "cvv",
    "cvc",
    "csc",
    "cvn",
    "cid",
    "card verification value",
    "card verification code",
    "security code",
    "verification code",
    "prüfziffer",
    "prüfnummer",
    "sicherheitscode",
    "kartenprüfnummer",
    "cryptogramme",
    "código de seguridad",
    "codigo de seguridad",
    "código de segurança",
    "codice di sicurezza",
    "beveiligingscode",
    "kod bezpieczeństwa",
    "код безопасности",
    "güvenlik kodu",
    "セキュリティコード",
    "安全码",
    "보안 코드",
];

/// Strikes out what stands with the numbers of a chain.
pub fn strike_companions(text: &str, chain: &Chain, numbers: &[Number], found: &mut Findings) {
    for number in numbers {
        let start = chain.places[number.digits.start] as usize;
        let last = chain.places[number.digits.end - 1] as usize;
        let end = last + text[last..].chars().next().map_or(1, char::len_utf8);
        track(text, start, end, found);
        values(text, start.saturating_sub(NEAR), end + NEAR, start..end, found);
    }
}

/// `%B number ^ name ^ data ?` and `; number = data ?`.
fn track(text: &str, start: usize, end: usize, found: &mut Findings) {
    let head = text[..start].trim_end();
    let one = text[end..].starts_with('^') && (head.ends_with('B') || head.ends_with('b'));
    let two =
        text[end..].starts_with(['=', 'D']) && text[end + 1..].bytes().take_while(u8::is_ascii_digit).count() >= 7;
    if !one && !two {
        return;
    }
    for (at, c) in text[end + 1..].char_indices().take(TRACK) {
        if matches!(c, '?' | '\n' | '\r' | '"' | '<') {
            break;
        }
        if c.is_ascii_alphanumeric() && (one || c.is_ascii_digit()) {
            found.edits.push(CharEdit { at: TextOffset(end + 1 + at), to: '*' });
        }
    }
}

fn boundary(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The names, in upper or lower case. They are constants, so that they compile.
#[allow(clippy::expect_used)]
static NAMED: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("(?i){}", NAMES.join("|"))).expect("constant names"));

/// Three or four digits behind a name for them.
fn values(text: &str, from: usize, to: usize, number: std::ops::Range<usize>, found: &mut Findings) {
    let (from, to) = (boundary(text, from), boundary(text, to));
    for name in NAMED.find_iter(&text[from..to]) {
        let (start, end) = (from + name.start(), from + name.end());
        let inside = |c: Option<char>| c.is_some_and(char::is_alphabetic);
        if name.as_str().is_ascii() && (inside(text[..start].chars().next_back()) || inside(text[end..].chars().next()))
        {
            continue;
        }
        if let Some(places) = short_run(text, end, to)
            && !number.contains(&places[0].0)
        {
            let struck = places.into_iter().map(|(at, c)| CharEdit { at: TextOffset(at), to: chars::mask(c) });
            found.edits.extend(struck);
        }
    }
}

/// The first digits behind `from`, if they follow closely and are three or four.
fn short_run(text: &str, from: usize, to: usize) -> Option<Vec<(usize, char)>> {
    let mut run: Vec<(usize, char)> = Vec::new();
    let mut skipped = 0;
    for (at, c) in text.get(from..)?.char_indices().map(|(at, c)| (from + at, c)) {
        if at > to + 8 {
            break;
        }
        match chars::of(c) {
            Class::Digit(_) => run.push((at, c)),
            Class::Nothing => {}
            _ if !run.is_empty() => break,
            Class::Newline if skipped > 3 => return None,
            _ => {
                skipped += 1;
                if skipped > 14 {
                    return None;
                }
            }
        }
        if run.len() > 4 {
            return None;
        }
    }
    (run.len() >= 3).then_some(run)
}
