//! How a post is put together, word by word: the classes of neighbouring tokens, so that a disguise that hides what is
//! said still shows that something is hidden.

use super::hash::{Hash, Kind};
use super::{Feature, Features, Source};
use crate::text::{Class, Token};

/// The class of a token as shape features see it; 0 is an ordinary word, which alone makes no shape.
fn class(token: &Token, first: char) -> u32 {
    match token.class {
        _ if token.disguised => 1,
        _ if token.spaced => 2,
        _ if token.stretched => 3,
        Class::Url => 4,
        Class::Mail => 5,
        Class::Handle => 6,
        Class::Tag => 7,
        Class::Number => 8,
        Class::Mixed => 9,
        Class::Emoji => 10,
        Class::Money => 11,
        Class::Word if token.capitals => 12,
        Class::Word | Class::Run => 0,
        Class::Sign if first == '!' => 13,
        Class::Sign => 0x100 + first as u32,
    }
}

/// Shapes that say nothing alone: words and the ordinary signs between them.
fn plain(class: u32) -> bool {
    class == 0 || (0x100..0x180).contains(&class)
}

/// Adds the shapes of two and three tokens in a row.
pub(super) fn emit(features: &mut Features) {
    let classes: Vec<u32> = features
        .tokens
        .list
        .iter()
        .map(|token| class(token, features.tokens.chars.get(token.start as usize).copied().unwrap_or(' ')))
        .collect();
    let mut repeats = 0;
    for at in 0..classes.len() {
        // The same shape over and over adds nothing but time.
        repeats = if at > 0 && classes[at] == classes[at - 1] { repeats + 1 } else { 0 };
        if repeats > 3 {
            continue;
        }
        for size in 1..=3 {
            let Some(window) = classes.get(at..at + size) else { break };
            if window.iter().all(|&class| plain(class)) {
                continue;
            }
            let hash = window.iter().fold(Hash::new(Kind::Shape).add(size as u32), |hash, &class| hash.add(class));
            features.list.push(Feature { hash: hash.finish(), source: Source::Token(at as u32) });
        }
    }
}

/// Whether a text looks written backwards: links from their ends, or sentences that begin with their full stop.
pub(super) fn looks_reversed(text: &str) -> bool {
    let sample = &text[..crate::text::floor(text, text.len().min(4096))];
    if ["//:sptth", "//:ptth", ".www"].iter().any(|mark| sample.contains(mark)) {
        return true;
    }
    let (mut leading, mut trailing, mut upper_first, mut upper_last) = (0, 0, 0, 0);
    for word in sample.split_whitespace() {
        let (first, last) = (word.chars().next(), word.chars().next_back());
        leading += usize::from(matches!(first, Some('.' | ',' | '!' | '?' | '।' | '。')));
        trailing += usize::from(matches!(last, Some('.' | ',' | '!' | '?' | '。')));
        let upper = |c: Option<char>| c.is_some_and(char::is_uppercase);
        let lower = |c: Option<char>| c.is_some_and(char::is_lowercase);
        upper_first += usize::from(upper(first) && lower(last));
        upper_last += usize::from(upper(last) && lower(first));
    }
    leading + upper_last > trailing + upper_first
}
