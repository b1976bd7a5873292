//! From what was sent to what a reader sees: HTML to text, characters to letters, letters to tokens.
//!
//! Every stage is linear in its input, and the input is capped ([`MOST_OCTETS`]), so that any post is read in bounded
//! time. Nothing is thrown away silently: what is hidden, encoded or disguised is undone and counted, because the
//! disguise is itself evidence.

mod entities;
mod fold;
mod html;
pub(crate) mod links;
mod tokens;

pub(crate) use html::{Extract, extract};
pub(crate) use tokens::{Class, Gap, Token, Tokens, tokenize};

/// Octets of a post that are read. Longer posts are read at both ends, and a person is asked ([`Extract::cut`]).
pub const MOST_OCTETS: usize = 256 * 1024;
/// Octets of the end that are read of a longer post: spam likes to be last.
const TAIL_OCTETS: usize = 64 * 1024;

/// The part of the text that is read, and whether anything was left out.
fn capped(text: &str) -> (std::borrow::Cow<'_, str>, bool) {
    if text.len() <= MOST_OCTETS {
        return (text.into(), false);
    }
    let head = floor(text, MOST_OCTETS - TAIL_OCTETS);
    let tail = floor(text, text.len() - TAIL_OCTETS);
    (format!("{}\n{}", &text[..head], &text[tail..]).into(), true)
}

/// The last character boundary at or before `at`.
pub(crate) fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
