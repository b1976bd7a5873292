//! The scanner: text to digit groups to chains, and chains to numbers that are struck out.
//!
//! A chain is a row of digit groups with short separators between. It is judged as a whole ([`super::judge`]); the
//! scanner itself only collects. Work and memory are linear in the text whatever it holds: a chain is cut after
//! [`MOST_GROUPS`], of a digit run only the first digits are kept.

mod separator;

pub use separator::{Separator, kind};

use zeroize::Zeroize;

use super::chars::{self, Class};
use super::issuers::{self, LENGTHS};
use super::judge::{DOUBLED, Judge, Number};
use super::{Keep, runs};
use crate::message::{CharEdit, TextOffset, normalise};

/// Groups of one chain that are looked at together.
const MOST_GROUPS: usize = 512;
/// Digits of one run that are kept: two numbers of nineteen written together, and one more to know it is longer.
const MOST_DIGITS: u32 = 39;
/// Digits of the shortest number.
const FEWEST: u32 = *LENGTHS.start() as u32;

/// How a text is to be read and written.
#[derive(Clone, Copy)]
pub struct Rules<'p> {
    /// What stays readable.
    pub keep: Keep,
    /// Numbers that are never struck out.
    pub allow: &'p dyn Fn(&str, usize, usize) -> bool,
    /// What is written in place of a digit.
    pub style: Style,
}

/// What is written in place of a digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `*`, and wider marks for wider digits.
    Text,
    /// `x`: an asterisk is no character of a file name everywhere.
    FileName,
    /// JSON: a number becomes a string of the same length.
    Json,
}

/// What was found in a text.
#[derive(Default)]
pub struct Findings {
    /// The characters to change, ascending.
    pub edits: Vec<CharEdit>,
    /// The numbers.
    pub numbers: Vec<Found>,
}

/// One number in a text, as it will be.
pub struct Found {
    /// Its first digit.
    pub at: TextOffset,
    /// The issuer's name.
    pub brand: &'static str,
    /// Asterisks and the digits that stay.
    pub masked: String,
}

/// A run of digits.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Index of the first digit in the chain.
    pub first: u32,
    /// Digits.
    pub len: u32,
    /// Where it begins in the text.
    pub start: u32,
    /// Where it ends.
    pub end: u32,
    /// What stands before it, if a group does.
    pub before: Separator,
}

/// Groups with short separators between.
#[derive(Default)]
pub struct Chain {
    /// The groups.
    pub groups: Vec<Group>,
    /// The digits' values.
    pub values: Vec<u8>,
    /// Where the digits are in the text.
    pub places: Vec<u32>,
    /// Were groups before the first one cut off?
    pub continued: bool,
    /// Do groups follow the last one?
    pub continues: bool,
    /// Digits of all groups, of each at most what is kept.
    digits: u32,
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.values.zeroize();
    }
}

impl Chain {
    fn clear(&mut self) {
        self.groups.clear();
        self.digits = 0;
        (self.continued, self.continues) = (false, false);
    }

    /// May any window of whole groups be a number, by its length and first three digits, or a group be two? Most
    /// chains are dates, times and amounts, and end here before anything is collected.
    fn may_hold(&self, text: &str) -> bool {
        let bytes = text.as_bytes();
        let odd = |group: &Group| group.end - group.start != group.len || DOUBLED.contains(&group.len);
        if self.groups.iter().any(odd) {
            return true;
        }
        let digit = |byte: u8| u32::from(byte.wrapping_sub(b'0'));
        // Behind this group fewer digits are left than a number has.
        let last = self.groups.partition_point(|group| group.first + FEWEST <= self.digits);
        (0..last).any(|first| {
            let groups = &self.groups[first..];
            let run = &bytes[groups[0].start as usize..groups[0].end as usize];
            let prefix = if let [one, two, three, ..] = run {
                digit(*one) * 100 + digit(*two) * 10 + digit(*three)
            } else {
                let digits = groups.iter().flat_map(|group| &bytes[group.start as usize..group.end as usize]);
                digits.take(3).fold(0, |value, byte| value * 10 + digit(*byte))
            };
            let allowed = issuers::lengths(prefix);
            if allowed == 0 {
                return false;
            }
            // Over the edge of a cell only digits and the shorter groups of a card are read together.
            let joins = matches!(groups[0].len, 1 | 3..=6 | 8);
            let mut sum = 0;
            let within = |(i, group): &(usize, &Group)| *i == 0 || joins || group.before.kinds & kind::CELL == 0;
            let lengths = groups.iter().enumerate().take_while(within).map(|(_, group)| {
                sum += group.len;
                sum
            });
            lengths.take_while(|len| *len <= *LENGTHS.end() as u32).any(|len| allowed >> len & 1 == 1)
        })
    }

    /// Reads the digits of the groups: most chains are too short to be looked at and never get here.
    fn read(&mut self, text: &str) {
        self.values.clear();
        self.places.clear();
        for group in &self.groups {
            let first = self.values.len();
            let (start, run) = (group.start as usize, &text[group.start as usize..group.end as usize]);
            if run.len() == group.len as usize {
                let kept = &run.as_bytes()[..run.len().min(MOST_DIGITS as usize)];
                self.values.extend(kept.iter().map(|digit| digit.wrapping_sub(b'0')));
                self.places.extend((start..start + kept.len()).map(|at| at as u32));
                continue;
            }
            for (at, c) in run.char_indices() {
                if let Class::Digit(value) = chars::of(c)
                    && self.values.len() - first < MOST_DIGITS as usize
                {
                    self.values.push(value);
                    self.places.push((start + at) as u32);
                }
            }
        }
    }

    /// Index behind the last kept digit of a group.
    pub fn digits_end(&self, group: usize) -> usize {
        (self.groups[group].first + self.groups[group].len.min(MOST_DIGITS)) as usize
    }
}

/// Can a digit of any script begin with this byte? None of two or more bytes begins below C2.
fn begins_digit(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10 || byte >= 0xc2
}

/// Finds the numbers in a text.
pub fn scan(text: &str, rules: &Rules<'_>) -> Findings {
    let mut runs =
        runs::runs(text.as_bytes(), runs::Breaks::Letters).filter(|run| run.may_hold(text.as_bytes())).peekable();
    let mut found = Findings::default();
    if runs.peek().is_none() {
        return found;
    }
    let mut scanner =
        Scanner { text, rules, chain: Chain::default(), open: false, pending: Separator::default(), at: 0 };
    for run in runs {
        scanner.run(run.range.start, run.range.end, &mut found);
    }
    normalise(&mut found.edits);
    found
}

struct Scanner<'t, 'r> {
    text: &'t str,
    rules: &'t Rules<'r>,
    chain: Chain,
    /// Is the last group still growing?
    open: bool,
    pending: Separator,
    /// Everything before is done.
    at: usize,
}

impl Scanner<'_, '_> {
    fn run(&mut self, start: usize, end: usize, found: &mut Findings) {
        let bytes = self.text.as_bytes();
        let mut at = self.chain_start(start);
        while at < bytes.len() {
            if self.chain.groups.is_empty() {
                // Between chains nothing counts but the next digit.
                at += bytes[at..].iter().take_while(|byte| !begins_digit(**byte)).count();
                if at >= end.max(start + 1) || at == bytes.len() {
                    break;
                }
                self.pending = Separator::default();
            }
            let byte = bytes[at];
            if byte.is_ascii_digit() {
                let len = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                self.digits(at, len, len, found);
                at += len;
                continue;
            }
            let (class, c, len) = if byte < 0x80 {
                (chars::of_ascii(byte), char::from(byte), 1)
            } else {
                let c = self.text[at..].chars().next().unwrap_or('\u{fffd}');
                (chars::of(c), c, c.len_utf8())
            };
            match class {
                Class::Digit(_) => self.digits(at, len, 1, found),
                Class::Nothing => {}
                Class::Other => {
                    self.flush(found);
                    if at >= end {
                        break;
                    }
                }
                separator => {
                    self.open = false;
                    self.pending.add(separator, c);
                    if at >= end && (self.chain.groups.is_empty() || !self.pending.links()) {
                        break;
                    }
                }
            }
            at += len;
        }
        self.flush(found);
        self.at = at;
    }

    /// Where the chain that a run begins in begins; looks back a bounded way.
    fn chain_start(&self, start: usize) -> usize {
        let mut at = start.max(self.at);
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let floor = at.saturating_sub(512).max(self.at);
        for (index, c) in self.text[..at].char_indices().rev() {
            if index < floor || chars::of(c) == Class::Other {
                break;
            }
            at = index;
        }
        at
    }

    /// `count` digits in the `len` bytes at `at`.
    fn digits(&mut self, at: usize, len: usize, count: usize, found: &mut Findings) {
        if !self.open {
            if !self.chain.groups.is_empty() && !self.pending.links() {
                self.flush(found);
            } else if self.chain.groups.len() >= MOST_GROUPS {
                self.cut(found);
            }
            let before = if self.chain.groups.is_empty() { Separator::default() } else { self.pending.closed() };
            let first = self.chain.digits;
            self.chain.groups.push(Group { first, len: 0, start: at as u32, end: 0, before });
            self.open = true;
            self.pending = Separator::default();
        }
        if let Some(group) = self.chain.groups.last_mut() {
            let kept = group.len.min(MOST_DIGITS);
            group.len += count as u32;
            group.end = (at + len) as u32;
            self.chain.digits += group.len.min(MOST_DIGITS) - kept;
        }
    }

    fn flush(&mut self, found: &mut Findings) {
        if self.chain.digits >= FEWEST {
            self.judge(found);
        }
        self.chain.clear();
        self.open = false;
        self.pending = Separator::default();
    }

    /// Judges what there is of a very long chain and keeps its last groups as the beginning of the rest.
    fn cut(&mut self, found: &mut Findings) {
        self.chain.continues = true;
        self.judge(found);
        let kept = self.chain.groups.split_off(self.chain.groups.len() - 19);
        let base = kept[0].first;
        let digits = self.chain.digits - base;
        self.chain.clear();
        self.chain.continued = true;
        self.chain.digits = digits;
        self.chain.groups = kept.into_iter().map(|group| Group { first: group.first - base, ..group }).collect();
    }

    fn judge(&mut self, found: &mut Findings) {
        if !self.chain.may_hold(self.text) {
            return;
        }
        self.chain.read(self.text);
        let numbers = Judge::new(self.text, &self.chain, self.rules.allow).numbers();
        for number in &numbers {
            if !found.numbers.iter().rev().take(20).any(|known| known.at == self.first_place(number)) {
                self.strike(number, found);
            }
        }
        if !numbers.is_empty() {
            super::extras::strike_companions(self.text, &self.chain, &numbers, found);
        }
    }

    fn first_place(&self, number: &Number) -> TextOffset {
        TextOffset(self.chain.places[number.digits.start] as usize)
    }

    fn strike(&self, number: &Number, found: &mut Findings) {
        let places = &self.chain.places[number.digits.clone()];
        let len = places.len();
        let (first, last) = (usize::from(self.rules.keep.first.min(6)), usize::from(self.rules.keep.last.min(4)));
        let stays = |i: usize| i < first || i + last >= len;
        let character = |i: usize| self.text[places[i] as usize..].chars().next().unwrap_or('0');
        let masked = (0..len)
            .map(|i| if stays(i) { char::from(b'0' + self.chain.values[number.digits.start + i]) } else { '*' })
            .collect();
        let span = places[len - 1] as usize - places[0] as usize;
        if self.rules.style == Style::Json && span + 1 == len && is_json_number(self.text, places[0] as usize, len) {
            self.strike_json(places, first, last, found);
        } else {
            for (i, place) in places.iter().enumerate().filter(|(i, _)| !stays(*i)) {
                let to = match chars::mask(character(i)) {
                    '*' if self.rules.style == Style::FileName => 'x',
                    other => other,
                };
                found.edits.push(CharEdit { at: TextOffset(*place as usize), to });
            }
        }
        found.numbers.push(Found { at: self.first_place(number), brand: number.brand, masked });
    }

    /// `4111111111111111` becomes `"**********1111"`: as long, and still JSON.
    fn strike_json(&self, places: &[u32], first: usize, last: usize, found: &mut Findings) {
        let digits: Vec<char> = places.iter().map(|at| char::from(self.text.as_bytes()[*at as usize])).collect();
        let len = digits.len();
        let kept = |i: usize| {
            if i == 0 || i == len - 1 {
                '"'
            } else if i <= first {
                digits[i - 1]
            } else if i + 1 + last >= len {
                digits[i + 1]
            } else {
                '*'
            }
        };
        let edits = places.iter().enumerate().map(|(i, at)| CharEdit { at: TextOffset(*at as usize), to: kept(i) });
        found.edits.extend(edits);
    }
}

/// Does a bare number stand here as a JSON value?
fn is_json_number(text: &str, start: usize, len: usize) -> bool {
    let before = text[..start].trim_end().chars().next_back();
    let after = text[start + len..].trim_start().chars().next();
    matches!(before, Some(':' | '[' | ',')) && matches!(after, Some(',' | ']' | '}'))
}
