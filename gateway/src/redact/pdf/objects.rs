//! The objects of a file (ISO 32000-1 §7.3, §7.5.7), found by reading it from front to back.
//!
//! Tables of cross references are not believed: what they leave out is read too.

use std::ops::Range;

use super::lex::{Lexer, Value};

/// Objects of one file.
const MOST_OBJECTS: usize = 200_000;

/// An object, and where its stream's bytes stand in the file.
pub(super) struct Object {
    pub(super) number: u32,
    pub(super) generation: u32,
    /// Where its value begins in the file, or in the object stream.
    pub(super) body: usize,
    pub(super) value: Value,
    pub(super) stream: Option<Range<usize>>,
}

/// Every object in the file, from front to back.
pub(super) fn objects(content: &[u8]) -> Vec<Object> {
    let mut out = Vec::new();
    let mut at = 0;
    let last_end = memchr::memmem::rfind(content, b"endstream").unwrap_or(0);
    while let Some(found) = memchr::memmem::find(&content[at..], b"obj").map(|found| at + found) {
        at = found + 3;
        let Some((number, generation)) = object_number(&content[..found]) else { continue };
        let body = at;
        let mut lexer = Lexer::new(content, at);
        let Some(value) = lexer.value() else { continue };
        at = lexer.at.max(at);
        let stream = stream_range(content, &mut lexer, &value, last_end);
        if let Some(range) = &stream {
            at = range.end;
        }
        out.push(Object { number, generation, body, value, stream });
        if out.len() >= MOST_OBJECTS {
            break;
        }
    }
    out
}

/// Number and generation in `12 0 ` before `obj`.
fn object_number(head: &[u8]) -> Option<(u32, u32)> {
    let tail = &head[head.len().saturating_sub(24)..];
    let text = std::str::from_utf8(tail).ok().or_else(|| {
        let start = tail.iter().rposition(|byte| *byte >= 0x80)? + 1;
        std::str::from_utf8(&tail[start..]).ok()
    })?;
    let mut words = text.split_ascii_whitespace().rev();
    let (generation, number) = (words.next()?, words.next()?);
    let generation = generation.parse().ok()?;
    let digits = number.len() - number.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    Some((number[number.len() - digits..].parse().ok()?, generation))
}

fn stream_range(content: &[u8], lexer: &mut Lexer<'_>, value: &Value, last_end: usize) -> Option<Range<usize>> {
    if !matches!(value, Value::Dict(_)) {
        return None;
    }
    let before = lexer.at;
    if lexer.value() != Some(Value::Keyword(b"stream".to_vec())) {
        lexer.at = before;
        return None;
    }
    let mut start = lexer.at;
    start += match content.get(start..) {
        Some([b'\r', b'\n', ..]) => 2,
        Some([b'\n' | b'\r', ..]) => 1,
        _ => 0,
    };
    let ends_at = |end: usize| {
        content.get(end..).is_some_and(|rest| rest[..rest.len().min(16)].trim_ascii_start().starts_with(b"endstream"))
    };
    let declared =
        value.get("Length").and_then(Value::index).and_then(|len| start.checked_add(len)).filter(|end| ends_at(*end));
    let end = declared.or_else(|| {
        // Behind the last one nothing is looked for: each look would go to the file's end.
        if start > last_end {
            return None;
        }
        let found = start + memchr::memmem::find(&content[start..], b"endstream")?;
        let line_end = match &content[start..found] {
            [.., b'\r', b'\n'] => 2,
            [.., b'\n' | b'\r'] => 1,
            _ => 0,
        };
        Some(found - line_end)
    })?;
    Some(start..end)
}

/// The objects in an object stream (ISO 32000-1 §7.5.7).
pub(super) fn inner_objects(value: &Value, data: &[u8]) -> Vec<Object> {
    let count = value.get("N").and_then(Value::index).unwrap_or(0).min(MOST_OBJECTS);
    let first = value.get("First").and_then(Value::index).unwrap_or(0);
    let mut head = Lexer::new(data, 0);
    let mut out = Vec::new();
    // Objects that overlap are read again and again: only so often.
    let mut budget = data.len() * 4;
    for _ in 0..count {
        let (Some(Value::Number(number)), Some(Value::Number(offset))) = (head.value(), head.value()) else { break };
        let body = first.saturating_add(offset as usize);
        let mut lexer = Lexer::new(data, body);
        let value = lexer.value();
        let Some(left) = budget.checked_sub(lexer.at.saturating_sub(body)) else { break };
        budget = left;
        if let Some(value) = value {
            out.push(Object { number: number as u32, generation: 0, body, value, stream: None });
        }
    }
    out
}
