//! Just enough of Rust's lexical structure to count lines: comments, strings and characters, and braces.
//!
//! Not a parser. It refuses nothing; text that is not Rust gives a wrong count, not a panic.

/// A function with a body.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// The line of its `fn`, from 1.
    pub line: usize,
    /// Lines from its `fn` to its closing brace.
    pub lines: usize,
}

/// The text with comments and the contents of literals turned into spaces; line ends stay where they are.
pub fn blank(text: &str) -> String {
    let octets = text.as_bytes();
    let mut out = octets.to_vec();
    let mut at = 0;
    while at < octets.len() {
        let end = literal_end(octets, at);
        if end > at {
            for octet in &mut out[at..end] {
                if *octet != b'\n' {
                    *octet = b' ';
                }
            }
            at = end;
        } else {
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that starts here ends; `at` itself if none starts here.
fn literal_end(octets: &[u8], at: usize) -> usize {
    let rest = &octets[at..];
    let before = at.checked_sub(1).map_or(b' ', |before| octets[before]);
    let in_word = before.is_ascii_alphanumeric() || before == b'_';
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|octet| *octet == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest),
        [b'r', b'"' | b'#', ..] if !in_word || before == b'b' => at + raw_string(rest),
        [b'\'', b'\\', _, tail @ ..] => {
            at + 3 + tail.iter().position(|octet| *octet == b'\'').map_or(tail.len(), |n| n + 1)
        }
        [b'\'', ..] => at + character(rest),
        _ => at,
    }
}

fn block_comment(rest: &[u8]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        match &rest[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] if depth == 1 => return at + 2,
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    rest.len()
}

fn quoted(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

fn raw_string(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|octet| **octet == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let mut close = vec![b'"'];
    close.extend(std::iter::repeat_n(b'#', hashes));
    let body = &rest[2 + hashes..];
    body.windows(close.len()).position(|window| window == close).map_or(rest.len(), |at| 2 + hashes + at + close.len())
}

/// A character literal of one character; 0 for a lifetime.
fn character(rest: &[u8]) -> usize {
    let width = match rest.get(1) {
        Some(0xf0..) => 4,
        Some(0xe0..) => 3,
        Some(0xc0..) => 2,
        _ => 1,
    };
    if rest.get(1 + width) == Some(&b'\'') { 2 + width } else { 0 }
}

/// Where the block that opens at or after `from` closes, as an offset after its brace; `None` at a `;` before any
/// brace, or if it never closes.
fn block_end(blanked: &str, from: usize) -> Option<usize> {
    let mut depth = 0_usize;
    // `[u8; 4]` in a signature is no end of a declaration.
    let mut brackets = 0_usize;
    for (at, octet) in blanked.bytes().enumerate().skip(from) {
        match octet {
            b'[' | b'(' if depth == 0 => brackets += 1,
            b']' | b')' if depth == 0 => brackets = brackets.saturating_sub(1),
            b';' if depth == 0 && brackets == 0 => return None,
            b'{' => depth += 1,
            b'}' if depth == 1 => return Some(at + 1),
            b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

/// The text without its `#[cfg(test)] mod … { … }` blocks.
pub fn without_tests(text: &str) -> String {
    let blanked = blank(text);
    let mut kept = String::with_capacity(text.len());
    let mut from = 0;
    while let Some(found) = blanked[from..].find("#[cfg(test)]") {
        let start = from + found;
        kept.push_str(&text[from..start]);
        from = block_end(&blanked, start + "#[cfg(test)]".len()).unwrap_or(start + "#[cfg(test)]".len());
    }
    kept.push_str(&text[from..]);
    kept
}

/// Every function with a body; those inside others as well.
pub fn functions(text: &str) -> Vec<Function> {
    let blanked = blank(text);
    let mut found = Vec::new();
    for (at, _) in blanked.match_indices("fn ") {
        let begins_word = blanked[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let name: String = blanked[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !begins_word || name.is_empty() {
            continue;
        }
        if let Some(end) = block_end(&blanked, at) {
            let line = blanked[..at].matches('\n').count() + 1;
            let lines = blanked[at..end].matches('\n').count() + 1;
            found.push(Function { name, line, lines });
        }
    }
    found
}
