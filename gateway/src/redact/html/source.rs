//! Markup as a program reads it: everything, with entities and escapes resolved, but for names that nobody reads as
//! text.

use std::borrow::Cow;
use std::ops::Range;

use memchr::{memchr, memchr3, memmem, memrchr};

use super::{lower, tag_end};
use crate::message::{View, ViewBuilder};
use crate::redact::chars::{CELL, URL};
use crate::redact::escapes;
use crate::redact::runs::{Breaks, runs};

/// Attributes whose values are names for programs.
fn is_identifier(name: &str) -> bool {
    matches!(
        name,
        "class"
            | "id"
            | "for"
            | "headers"
            | "style"
            | "integrity"
            | "nonce"
            | "d"
            | "points"
            | "viewbox"
            | "transform"
            | "usemap"
            | "xmlns"
    ) || name.starts_with("xmlns:")
}

/// Attributes whose values are addresses.
fn is_address(name: &str) -> bool {
    matches!(
        name,
        "href"
            | "src"
            | "action"
            | "formaction"
            | "background"
            | "poster"
            | "cite"
            | "srcset"
            | "xlink:href"
            | "longdesc"
            | "data-href"
            | "data-src"
            | "ping"
    )
}

/// What is read before and behind a place that may hold a number, for the words that stand there.
const AROUND: usize = 160;
/// How far back from there the beginning of a tag is looked for.
const FARTHEST: usize = 4096;

/// The stretches that may hold a number, with what is around them: ascending and apart. Between two tags, and within
/// one, a number stands alone: letters of tags' names are no part of it.
fn places(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let mut out: Vec<Range<usize>> = Vec::new();
    for run in runs(bytes, Breaks::Brackets) {
        let escaped = || memchr3(b'&', b'%', b'\\', &bytes[run.range.clone()]).is_some();
        if !run.may_hold(bytes) && !escaped() {
            continue;
        }
        // Read from the beginning of a tag: its quotes say where its attributes end.
        let near = run.range.start.saturating_sub(AROUND);
        let floor = near.saturating_sub(FARTHEST);
        let mut from = memrchr(b'<', &bytes[floor..near]).map_or(floor, |found| floor + found);
        let mut to = (run.range.end + AROUND).min(bytes.len());
        while !text.is_char_boundary(from) {
            from -= 1;
        }
        while !text.is_char_boundary(to) {
            to += 1;
        }
        match out.last_mut() {
            Some(last) if last.end >= from => last.end = to,
            _ => out.push(from..to),
        }
    }
    out
}

/// Everything that may hold a number, with entities and escapes resolved.
pub fn source(text: &str) -> View<'_> {
    let mut builder = ViewBuilder::new(text);
    for place in places(text) {
        if place.start > 0 {
            for apart in ['\n', CELL, '\n', 'x', '\n'] {
                builder.invent(place.start, apart);
            }
        }
        read(text, place, &mut builder);
    }
    builder.finish()
}

fn read(text: &str, place: Range<usize>, builder: &mut ViewBuilder<'_>) {
    let end = place.end;
    let bytes = &text.as_bytes()[..end];
    let (mut at, mut no_tag_after) = (place.start, usize::MAX);
    while at < end {
        let Some(found) = memchr(b'<', &bytes[at..]).map(|found| at + found) else { break };
        if found >= no_tag_after || !bytes.get(found + 1).is_some_and(u8::is_ascii_alphabetic) {
            escapes::read(text, at, found + 1, builder);
            at = found + 1;
            continue;
        }
        escapes::read(text, at, found, builder);
        let Some(close) = tag_end(&text[..end], found) else {
            no_tag_after = found;
            at = found;
            continue;
        };
        attributes(text, found, close, builder);
        at = close;
        if bytes[found + 1..].len() > 5 && bytes[found + 1..found + 6].eq_ignore_ascii_case(b"style") {
            at = memmem::find(&bytes[close..], b"</").map_or(end, |stop| close + stop);
            style_sheet(text, close, at, builder);
        }
    }
    escapes::read(text, at, end, builder);
}

/// Reads a style sheet without its selectors of classes and identifiers, which nobody reads as text.
fn style_sheet(text: &str, start: usize, end: usize, builder: &mut ViewBuilder<'_>) {
    let bytes = text.as_bytes();
    let (mut at, mut search) = (start, start);
    while let Some(found) = memchr::memchr2(b'.', b'#', &bytes[search..end]).map(|found| search + found) {
        search = found + 1;
        if bytes.get(search).is_some_and(u8::is_ascii_alphabetic) {
            escapes::read(text, at, search, builder);
            builder.invent(search, 'x');
            while search < end && (bytes[search].is_ascii_alphanumeric() || matches!(bytes[search], b'-' | b'_')) {
                search += 1;
            }
            at = search;
        }
    }
    escapes::read(text, at, end, builder);
}

/// Reads one tag with its attributes.
fn attributes(text: &str, start: usize, close: usize, builder: &mut ViewBuilder<'_>) {
    let bytes = text.as_bytes();
    let mut at = start;
    while let Some(equals) = memchr(b'=', &bytes[at..close]).map(|found| at + found) {
        let head = bytes[at..equals].trim_ascii_end();
        let ends_name = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'"' | b'\'');
        let name_start = at + head.iter().rposition(ends_name).map_or(0, |i| i + 1);
        let name = text.get(name_start..equals).map_or(Cow::Borrowed(""), |name| lower(name, 40));
        let blank = bytes[equals + 1..close].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let mut value = equals + 1 + blank;
        let quote = bytes.get(value).copied().filter(|b| matches!(b, b'"' | b'\'') && value < close);
        let end = match quote {
            Some(quote) => {
                value += 1;
                memchr(quote, &bytes[value.min(close)..close]).map_or(close, |end| value + end)
            }
            None => bytes[value..close]
                .iter()
                .position(|byte| byte.is_ascii_whitespace() || *byte == b'>')
                .map_or(close, |end| value + end),
        };
        escapes::read(text, at, value, builder);
        if is_identifier(&name) {
            builder.invent(value, 'x');
        } else {
            if is_address(&name) {
                builder.invent(value, URL);
            }
            escapes::read(text, value, end, builder);
        }
        at = end;
    }
    escapes::read(text, at, close, builder);
}
