//! A tenant's own numbers (order numbers, gift cards of its own) that are never struck out, as regular expressions.
//!
//! Matched in linear time. A pattern that does not compile is left out, so that a mistake in it strikes out more
//! and never less.

use std::sync::Arc;

use parking_lot::Mutex;
use regex::Regex;

/// Compiled patterns are kept, because each letter of a tenant brings the same ones.
static COMPILED: Mutex<Vec<Compiled>> = Mutex::new(Vec::new());
/// The patterns as written, and compiled.
type Compiled = (Vec<String>, Arc<Vec<Regex>>);
const KEPT: usize = 64;
/// Bytes around a number that a pattern may look at.
const AROUND: usize = 64;

/// The patterns of one policy.
#[derive(Clone)]
pub struct Allow {
    patterns: Arc<Vec<Regex>>,
}

impl Allow {
    /// Compiles the patterns, or finds them compiled.
    pub fn new(patterns: &[String]) -> Self {
        if patterns.is_empty() {
            return Self { patterns: Arc::default() };
        }
        let mut compiled = COMPILED.lock();
        if let Some((_, known)) = compiled.iter().find(|(known, _)| known == patterns) {
            return Self { patterns: Arc::clone(known) };
        }
        let build = |pattern: &String| regex::RegexBuilder::new(pattern).size_limit(1 << 20).build().ok();
        let new = Arc::new(patterns.iter().filter_map(build).collect::<Vec<_>>());
        if compiled.len() >= KEPT {
            compiled.remove(0);
        }
        compiled.push((patterns.to_vec(), Arc::clone(&new)));
        Self { patterns: new }
    }

    /// Does a match of some pattern cover all of `text[start..end]`?
    pub fn covers(&self, text: &str, start: usize, end: usize) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let mut from = start.saturating_sub(AROUND);
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        let mut to = (end + AROUND).min(text.len());
        while !text.is_char_boundary(to) {
            to += 1;
        }
        let window = &text[from..to];
        let covers = |found: regex::Match<'_>| from + found.start() <= start && from + found.end() >= end;
        self.patterns.iter().any(|pattern| pattern.find_iter(window).any(covers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_match_must_cover_the_number_and_a_bad_pattern_allows_nothing() {
        let text = "Order ORD-4111111111111111 of today";
        let (start, end) = (10, 26);
        let covers = |pattern: &str| Allow::new(&[pattern.to_owned()]).covers(text, start, end);
        assert!(covers(r"ORD-\d{16}"));
        assert!(!covers(r"ORD-\d{4}"));
        assert!(!covers("ORD-(\\d"));
        assert!(!Allow::new(&[]).covers(text, start, end));
    }
}
