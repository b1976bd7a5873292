//! The decision: which windows of a chain are card numbers.
//!
//! A window of whole groups is a candidate if issuer, length and check digit hold; how it is written and what stands
//! around it then decide. Among the accepted windows those that cover most digits are taken. A rejected window
//! never hides another one.

mod lines;
mod windows;

use windows::{best, is_regular, is_thousands, is_usual, spelled, spread};

use std::cell::OnceCell;
use std::ops::Range;

use super::context;
use super::issuers::{self, LENGTHS, Strength, issuer, luhn};
use super::scan::{Chain, Group, kind};
use super::surroundings;

/// A number of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// Its digits, as indices into the chain.
    pub digits: Range<usize>,
    /// The issuer's name.
    pub brand: &'static str,
}

/// A window of whole groups that issuer, length and check digit allow.
#[derive(Clone, Copy)]
struct Window {
    first: usize,
    last: usize,
    brand: &'static str,
    strength: Strength,
}

/// The row of groups within one line (or the whole chain) that a window is seen in.
#[derive(Clone, Copy)]
struct Row {
    first: usize,
    last: usize,
}

/// What a window's form says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Accepted wherever it stands.
    Free,
    /// Accepted if it touches an end of its row, another number or a separator of another kind.
    Edge,
    /// Not without a card word near.
    CardWord,
    /// Not at all.
    Never,
}

/// Digits of two numbers written as one run.
pub const DOUBLED: std::ops::RangeInclusive<u32> = 28..=38;
/// Groups like a window's own beside it that make it a piece of a table's row.
const COLUMNS: usize = 3;

/// Judges one chain.
pub struct Judge<'t> {
    text: &'t str,
    chain: &'t Chain,
    allow: &'t dyn Fn(&str, usize, usize) -> bool,
    words: OnceCell<(Option<usize>, Option<usize>)>,
}

impl<'t> Judge<'t> {
    /// A judge of this chain; `allow` says which stretches of the text are some tenant's own numbers.
    pub fn new(text: &'t str, chain: &'t Chain, allow: &'t dyn Fn(&str, usize, usize) -> bool) -> Self {
        Self { text, chain, allow, words: OnceCell::new() }
    }

    /// The card numbers, ascending and disjoint.
    pub fn numbers(&self) -> Vec<Number> {
        let groups = &self.chain.groups;
        if !self.is_worth() {
            return Vec::new();
        }
        let mut rows = Vec::new();
        let mut first = 0;
        for (i, group) in groups.iter().enumerate().skip(1) {
            if group.before.kinds & (kind::LINE | kind::CELL) != 0 {
                rows.push(Row { first, last: i - 1 });
                first = i;
            }
        }
        rows.push(Row { first, last: groups.len() - 1 });
        let mut taken: Vec<Window> = rows.iter().flat_map(|row| self.row(*row)).collect();
        let mut out: Vec<Number> = Vec::new();
        self.doubled(&mut out);
        if rows.len() > 1 {
            self.across(&rows, &mut taken);
        }
        out.extend(
            taken.iter().map(|window| Number { digits: self.digits(window.first, window.last), brand: window.brand }),
        );
        out.sort_by_key(|number| number.digits.start);
        out
    }

    /// Is there any window that issuer and check digit allow, or a run that may hold two numbers? Most chains are
    /// dates, times and amounts and end here, before anything is collected.
    fn is_worth(&self) -> bool {
        let groups = &self.chain.groups;
        groups.iter().any(|group| DOUBLED.contains(&group.len))
            || (0..groups.len()).any(|first| {
                let mut digits = 0;
                for (last, group) in groups.iter().enumerate().skip(first) {
                    digits += group.len as usize;
                    if digits > *LENGTHS.end() {
                        break;
                    }
                    if digits >= *LENGTHS.start() && self.window(first, last).is_some() {
                        return true;
                    }
                }
                false
            })
    }

    fn digits(&self, first: usize, last: usize) -> Range<usize> {
        self.chain.groups[first].first as usize..self.chain.digits_end(last)
    }

    /// The numbers within one line.
    fn row(&self, row: Row) -> Vec<Window> {
        let mut windows: Vec<(Window, bool)> = Vec::new();
        let mut by_word: Vec<Window> = Vec::new();
        let total: u32 = self.chain.groups[row.first..=row.last].iter().map(|group| group.len).sum();
        if total < 12 {
            return Vec::new();
        }
        for first in row.first..=row.last {
            let mut digits = 0;
            for last in first..=row.last {
                digits += self.chain.groups[last].len;
                if digits > 19 {
                    break;
                }
                if let Some(window) = self.window(first, last) {
                    match self.judge(window, row) {
                        Form::Free => windows.push((window, true)),
                        Form::Edge => {
                            let edge = self.at_edge(window, row) || self.card_word(&window);
                            windows.push((window, edge));
                        }
                        Form::CardWord if self.card_word(&window) => by_word.push(window),
                        _ => {}
                    }
                }
            }
        }
        // What stands by itself is not the head of something longer that a word alone would allow: in a row of a
        // table, `4111111111111111,42` is a number and an amount.
        let free: Vec<Window> = windows.iter().filter(|(_, accepted)| *accepted).map(|(window, _)| *window).collect();
        let holds = |wide: &Window| free.iter().any(|one| wide.first <= one.first && one.last <= wide.last);
        windows.extend(by_word.into_iter().filter(|window| !holds(window)).map(|window| (window, true)));
        if windows.is_empty() {
            return Vec::new();
        }
        // Two numbers side by side vouch for each other: one by chance is common in a table, two are not.
        let ends: Vec<(usize, usize)> = windows.iter().map(|(window, _)| (window.first, window.last)).collect();
        for (window, accepted) in &mut windows {
            *accepted |= ends.iter().any(|(first, last)| {
                let apart = *first == window.last + 1 || window.first == last + 1;
                apart && (*first.min(&window.first) == row.first || *last.max(&window.last) == row.last)
            });
        }
        spread(&mut windows);
        best(
            windows.into_iter().filter(|(_, accepted)| *accepted).map(|(window, _)| window).collect(),
            &self.chain.groups,
        )
    }

    fn window(&self, first: usize, last: usize) -> Option<Window> {
        let values = self.chain.values.get(self.digits(first, last))?;
        // The rows are searched last: the check digit alone ends nine windows in ten.
        if !issuers::allows(values) || !luhn(values) {
            return None;
        }
        let issuer = issuer(values)?;
        Some(Window { first, last, brand: issuer.brand, strength: issuer.strength })
    }

    fn span(&self, window: &Window) -> (usize, usize) {
        (self.chain.groups[window.first].start as usize, self.chain.groups[window.last].end as usize)
    }

    /// Is there a card word within reach? Found once for the chain: inside it there are no letters.
    fn card_word(&self, window: &Window) -> bool {
        let groups = &self.chain.groups;
        let (chain_start, chain_end) = (groups[0].start as usize, groups[groups.len() - 1].end as usize);
        let (left, right) = *self
            .words
            .get_or_init(|| (context::word_before(self.text, chain_start), context::word_after(self.text, chain_end)));
        let (start, end) = self.span(window);
        left.is_some_and(|left| start - chain_start + left <= context::BEFORE * 2)
            || right.is_some_and(|right| chain_end - end + right <= context::AFTER * 2)
            || context::column_word(self.text, start)
    }

    /// What the window's form and surroundings ask for.
    fn judge(&self, window: Window, row: Row) -> Form {
        let (start, end) = self.span(&window);
        let form = if window.first == window.last { self.single(window, row) } else { self.several(window, row) };
        // The words are found once for a chain, the surroundings for each window.
        if form == Form::Never || form == Form::CardWord && !self.card_word(&window) {
            return Form::Never;
        }
        let form = match surroundings::of(self.text, start, end) {
            surroundings::Place::Identifier => return Form::Never,
            surroundings::Place::Doubtful => Form::CardWord,
            surroundings::Place::Text => form,
        };
        if window.strength == Strength::Weak && !(self.is_plain(window) && self.card_word(&window)) {
            return Form::Never;
        }
        if (self.allow)(self.text, start, end) {
            return Form::Never;
        }
        form
    }

    /// One run, or groups with blanks, hyphens or the underscores of file names between: all that a weak issuer is
    /// believed in.
    fn is_plain(&self, window: Window) -> bool {
        let inner = &self.chain.groups[window.first + 1..=window.last];
        inner.iter().all(|group| {
            let plain = group.before.kinds & !(kind::SPACE | kind::HYPHEN) == 0 || group.before.first == '_';
            plain && group.before.is_like(inner[0].before)
        })
    }

    /// One run of digits.
    fn single(&self, window: Window, row: Row) -> Form {
        let groups = &self.chain.groups;
        let group = groups[window.first];
        let dot = |c: char| matches!(c, '.' | '\u{66b}');
        if window.first > row.first {
            let (previous, separator) = (groups[window.first - 1], group.before);
            // More commas around it make a zero before the comma a field of its own.
            let comma = |at: usize| at <= row.last && groups[at].before.first == ',';
            let listed = comma(window.last + 1) || window.first > row.first + 1 && comma(window.first - 1);
            let zero = previous.len == 1 && self.chain.values[previous.first as usize] == 0;
            let fraction = separator.width == 1
                && (dot(separator.first) && previous.len <= 3 || separator.first == ',' && zero && !listed);
            if fraction {
                return Form::CardWord;
            }
        }
        if window.last < row.last {
            let separator = groups[window.last + 1].before;
            let zeros =
                self.chain.values[self.digits(window.last + 1, window.last + 1)].iter().all(|value| *value == 0);
            if separator.width == 1 && dot(separator.first) && !zeros {
                return Form::CardWord;
            }
        }
        let start = group.start as usize;
        if surroundings::after_plus(self.text, start) || context::other_label(self.text, start) {
            return Form::CardWord;
        }
        Form::Free
    }

    /// Several groups with separators between.
    fn several(&self, window: Window, row: Row) -> Form {
        let groups = &self.chain.groups[window.first..=window.last];
        let lengths: Vec<u32> = groups.iter().map(|group| group.len).collect();
        let inner = &groups[1..];
        let kinds = inner.iter().fold(0, |kinds, group| kinds | group.before.kinds);
        let uniform = inner.iter().all(|group| group.before.is_like(inner[0].before));
        let whole = window.first == row.first && window.last == row.last && !self.cut_off(window);
        let usual = is_usual(&lengths);
        let phone = window.first == row.first && self.is_phone(row);
        if phone || is_thousands(&lengths, groups) || self.is_decimal(window, row) {
            return Form::CardWord;
        }
        if context::other_label(self.text, groups[0].start as usize) && !(usual && lengths.len() >= 3 && uniform) {
            return Form::CardWord;
        }
        let whole_or_word = if whole { Form::Free } else { Form::CardWord };
        if kinds & kind::ODD != 0 {
            let printed = usual || uniform && spelled(&lengths);
            return if printed && (whole || self.is_bounded(window, row)) { Form::CardWord } else { Form::Never };
        }
        if kinds & kind::WEAK != 0 {
            return match (usual, uniform) {
                (true, true) if self.is_bounded(window, row) => Form::Free,
                (true, true) => whole_or_word,
                (true, false) if whole && lengths.len() >= 3 => Form::Free,
                (true, false) => Form::CardWord,
                (false, true)
                    if (whole || self.is_bounded(window, row))
                        && spelled(&lengths)
                        && matches!(inner[0].before.first, '.' | '_' | '·' | '•') =>
                {
                    Form::Free
                }
                (false, true) if whole && is_regular(&lengths) => Form::CardWord,
                _ => Form::Never,
            };
        }
        match (usual, uniform) {
            (true, true) => Form::Edge,
            (true, false) => {
                if self.is_bounded(window, row) {
                    Form::Free
                } else {
                    whole_or_word
                }
            }
            (false, true) if is_regular(&lengths) && self.is_bounded(window, row) => Form::Free,
            (false, true) if is_regular(&lengths) => whole_or_word,
            (false, true) if whole => Form::CardWord,
            (false, false) if whole && is_regular(&lengths) => Form::CardWord,
            _ => Form::Never,
        }
    }

    /// Do the groups read as the two sides of a decimal, or does one of them reach into the window?
    fn is_decimal(&self, window: Window, row: Row) -> bool {
        let groups = &self.chain.groups;
        let point = |group: &Group| group.before.width == 1 && matches!(group.before.first, '.' | '\u{66b}');
        let inner = &groups[window.first + 1];
        let pair = window.last == window.first + 1;
        let column = matches!(inner.before.first, ',' | '/' | ':' | '|' | '\t');
        if pair && (point(inner) || inner.before.width == 1 && column) {
            return true;
        }
        let left = window.first > row.first && point(&groups[window.first]);
        let right = window.last < row.last && point(&groups[window.last + 1]);
        (left || right) && !point(inner)
    }

    fn cut_off(&self, window: Window) -> bool {
        self.chain.continued && window.first == 0 || self.chain.continues && window.last + 1 == self.chain.groups.len()
    }

    /// A plus sign before a row of at most fifteen digits: a telephone number (E.164).
    fn is_phone(&self, row: Row) -> bool {
        let digits: u32 = self.chain.groups[row.first..=row.last].iter().map(|group| group.len).sum();
        digits <= 16 && surroundings::after_plus(self.text, self.chain.groups[row.first].start as usize)
    }

    /// Is the boundary on this side clear: the row's end, a separator of another kind, an expiry date, a list number?
    fn clear_sides(&self, window: Window, row: Row) -> (bool, bool) {
        let groups = &self.chain.groups;
        let inner = groups.get(window.first + 1).map(|group| group.before).unwrap_or_default();
        let continued = self.chain.continued && window.first == 0;
        // A date, a time or an amount is a token of its own: its groups hang together by something else.
        let apart = |group: usize| {
            let before = groups[group].before;
            before.kinds & (kind::WEAK | kind::HYPHEN) != 0 && before.width == 1 && !before.is_like(inner)
        };
        let left = if window.first == row.first {
            !continued
        } else {
            let own = window.first - 1 > row.first && apart(window.first - 1);
            own || !groups[window.first].before.is_like(inner)
        };
        let right = if window.last == row.last {
            !(self.chain.continues && window.last + 1 == groups.len())
        } else {
            let own = window.last + 1 < row.last && apart(window.last + 2);
            own || !groups[window.last + 1].before.is_like(inner) || self.is_expiry(window.last + 1, row)
        };
        (left, right)
    }

    fn at_edge(&self, window: Window, row: Row) -> bool {
        let (left, right) = self.clear_sides(window, row);
        (left || right || self.between_others(window, row)) && self.alike(window, row) < COLUMNS
    }

    /// A printed number between two others whose form is not its own: `12 4111 1111 1111 1111 99`,
    /// `20261123 4111 1111 1111 1111 150`.
    fn between_others(&self, window: Window, row: Row) -> bool {
        let groups = &self.chain.groups;
        if window.last - window.first < 2 || window.first == row.first || window.last == row.last {
            return false;
        }
        let (left, right) = (groups[window.first - 1].len, groups[window.last + 1].len);
        let few = window.first - row.first <= 2 && row.last - window.last <= 2;
        few && left != groups[window.first].len && right != groups[window.first].len && right != groups[window.last].len
    }

    /// How many groups beside the window look like its own: the columns of a table, a longer number.
    fn alike(&self, window: Window, row: Row) -> usize {
        let groups = &self.chain.groups;
        let (model, inner) = (groups[window.first].len, groups[window.first + 1].before);
        let right = (window.last + 1..=row.last)
            .take_while(|at| groups[*at].len == model && groups[*at].before.is_like(inner))
            .count();
        let left = (row.first..window.first)
            .rev()
            .take_while(|at| groups[*at].len == model && groups[*at + 1].before.is_like(inner))
            .count();
        left + right
    }

    fn is_bounded(&self, window: Window, row: Row) -> bool {
        let (left, right) = self.clear_sides(window, row);
        left && right
    }

    /// Do two groups from `first` on read as month and year?
    fn is_expiry(&self, first: usize, row: Row) -> bool {
        let groups = &self.chain.groups;
        if first + 1 > row.last || groups[first].len > 2 || !matches!(groups[first + 1].len, 2 | 4) {
            return false;
        }
        let month = self.chain.values[self.digits(first, first)].iter().fold(0, |acc, d| acc * 10 + u32::from(*d));
        (1..=12).contains(&month)
            && matches!(groups[first + 1].before.first, '/' | '-' | '.')
            && groups[first + 1].before.width == 1
    }
}
