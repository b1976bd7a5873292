//! Why a text's digits are or are not taken for a card number: what an admin tries allow patterns and doubts on.

use super::issuers::{LENGTHS, issuer, luhn};
use super::scan::{Rules, Style, scan};
use super::{Policy, allow::Allow, chars};

/// One row of digits and what was decided. Never holds more digits than the policy keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The line of the text, from 1.
    pub line: usize,
    /// The digits as asterisks, with the kept ones.
    pub masked: String,
    /// `struck out`, `kept` or `allowed`.
    pub verdict: &'static str,
    /// Why.
    pub reason: String,
}

/// Explains every row of 12 to 19 digits in a text.
pub fn explain(text: &str, policy: &Policy) -> Vec<Explanation> {
    let allow = Allow::new(&policy.allow);
    let none = |_: &str, _: usize, _: usize| false;
    let found = scan(text, &Rules { keep: policy.keep, allow: &none, style: Style::Text });
    let mut out: Vec<(usize, Explanation)> = Vec::new();
    let mut struck: Vec<usize> = Vec::new();
    for number in &found.numbers {
        let (_, end) = row(text, number.at.0, number.masked.len());
        let (verdict, reason) = if allow.covers(text, number.at.0, end) {
            ("allowed", "a pattern of the policy covers it".to_owned())
        } else {
            ("struck out", format!("{}: issuer, length, check digit and grouping hold", number.brand))
        };
        struck.push(number.at.0);
        out.push((
            number.at.0,
            Explanation { line: line(text, number.at.0), masked: number.masked.clone(), verdict, reason },
        ));
    }
    let mut at = 0;
    while let Some(start) =
        text[at..].find(|c: char| matches!(chars::of(c), chars::Class::Digit(_))).map(|found| at + found)
    {
        let (values, end) = row(text, start, usize::MAX);
        at = end.max(start + 1);
        if values.len() < *LENGTHS.start() || struck.iter().any(|place| (start..end).contains(place)) {
            continue;
        }
        let reason = if values.len() > *LENGTHS.end() {
            "more digits in a row than a card number has"
        } else if issuer(&values).is_none() {
            "no issuer has such numbers of this length"
        } else if !luhn(&values) {
            "the check digit is wrong"
        } else {
            "its surroundings or its grouping say that it is something else"
        };
        let keep = usize::from(policy.keep.last.min(4));
        let masked = values
            .iter()
            .enumerate()
            .map(|(i, v)| if i + keep >= values.len() { char::from(b'0' + v) } else { '*' })
            .collect();
        out.push((start, Explanation { line: line(text, start), masked, verdict: "kept", reason: reason.to_owned() }));
    }
    out.sort_by_key(|(at, _)| *at);
    out.into_iter().map(|(_, explanation)| explanation).collect()
}

fn line(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

/// The digits from `start` on, over separators within the line, at most `most`; and where they end.
fn row(text: &str, start: usize, most: usize) -> (Vec<u8>, usize) {
    let (mut values, mut end, mut gap) = (Vec::new(), start, 0);
    for (at, c) in text[start..].char_indices() {
        match chars::of(c) {
            chars::Class::Digit(value) => {
                values.push(value);
                (end, gap) = (start + at + c.len_utf8(), 0);
                if values.len() == most {
                    break;
                }
            }
            chars::Class::Nothing => {}
            chars::Class::Space | chars::Class::Hyphen | chars::Class::Weak if gap < 3 => gap += 1,
            _ => break,
        }
    }
    (values, end)
}
