//! A second reading of a text (tags dropped, entities and escapes resolved) that remembers where each character
//! came from, so that a character of the reading can be changed in the text.
//!
//! The map is a list of segments, one for each place where the reading departs from the text; a stretch that is
//! copied costs nothing.

use std::borrow::Cow;

use super::{CharEdit, TextOffset, normalise};

/// How one character was written in the text below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Copied, with everything up to the next segment.
    Copied,
    /// By an escape of this many bytes.
    Escape(u32),
    /// It stands for something that is no text (a tag, a cell's edge).
    Invented,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    text: u32,
    source: u32,
    written: Written,
}

/// A reading of a text.
#[derive(Debug, Clone)]
pub struct View<'t> {
    text: Cow<'t, str>,
    segments: Vec<Segment>,
}

impl<'t> View<'t> {
    /// The text as it is.
    pub fn same(text: &'t str) -> Self {
        Self { text: Cow::Borrowed(text), segments: Vec::new() }
    }

    /// What is read.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Is it the text below, unchanged?
    pub fn is_same(&self) -> bool {
        matches!(self.text, Cow::Borrowed(_))
    }

    fn segment(&self, at: usize) -> Option<&Segment> {
        let index = self.segments.partition_point(|segment| segment.text as usize <= at);
        index.checked_sub(1).map(|index| &self.segments[index])
    }

    /// Where a character of the reading begins in the text below.
    pub fn source(&self, at: TextOffset) -> TextOffset {
        match self.segment(at.0) {
            None => at,
            Some(Segment { text, source, written: Written::Copied }) => {
                TextOffset(*source as usize + (at.0 - *text as usize))
            }
            Some(segment) => TextOffset(segment.source as usize),
        }
    }

    /// The edits of the reading as edits of the text below.
    pub fn lower(&self, below: &str, edits: &[CharEdit]) -> Vec<CharEdit> {
        let mut out = Vec::with_capacity(edits.len());
        for edit in edits {
            match self.segment(edit.at.0).map(|segment| (segment.written, segment.source as usize)) {
                Some((Written::Invented, _)) => {}
                Some((Written::Escape(len), source)) => {
                    let Some(old) = below.get(source..source + len as usize) else { continue };
                    let new = rewrite_escape(old, edit.to);
                    for ((at, before), after) in old.char_indices().zip(new.chars()) {
                        if before != after {
                            out.push(CharEdit { at: TextOffset(source + at), to: after });
                        }
                    }
                }
                _ => out.push(CharEdit { at: self.source(edit.at), to: edit.to }),
            }
        }
        normalise(&mut out);
        out
    }
}

/// The same kind of escape, as long as the old one, for another character.
fn rewrite_escape(old: &str, to: char) -> String {
    let width_of = |prefix: usize| old[prefix..].chars().take_while(char::is_ascii_hexdigit).count();
    let upper = old.chars().any(|c| c.is_ascii_uppercase() && c.is_ascii_hexdigit())
        && !old.chars().any(|c| matches!(c, 'a'..='f'));
    let hex = |value: u32, width: usize| if upper { format!("{value:0width$X}") } else { format!("{value:0width$x}") };
    let lower = old.to_ascii_lowercase();
    if lower.starts_with("&#x") {
        let width = width_of(3);
        // A stand-in of the same number of significant digits, so that the width is kept.
        let value = if hex(u32::from(to), 0).len() <= width { u32::from(to) } else { u32::from('*') };
        return format!("{}{}{}", &old[..3], hex(value, width), &old[3 + width..]);
    }
    if lower.starts_with("&#") {
        let width = old[2..].chars().take_while(char::is_ascii_digit).count();
        // Not 42: a row of `&#42;` reads as 4242 4242 to a scanner of raw bytes, this one included.
        let wanted = if to.is_ascii() { u32::from('X') } else { u32::from(to) };
        let value = if wanted.to_string().len() <= width { wanted } else { u32::from('X') };
        return format!("{}{value:0width$}{}", &old[..2], &old[2 + width..]);
    }
    if lower.starts_with('%') {
        let mut buffer = [0; 4];
        let bytes = to.encode_utf8(&mut buffer).as_bytes();
        let escapes = old.len() / 3;
        return if bytes.len() == escapes {
            bytes.iter().flat_map(|byte| [String::from("%"), hex(u32::from(*byte), 2).clone()]).collect()
        } else {
            format!("%{}", hex(0x2a, 2)).repeat(escapes)
        };
    }
    if is_rtf(&lower) {
        return rewrite_rtf(old, to);
    }
    if lower.starts_with("\\u") || lower.starts_with("\\x") {
        let brace = usize::from(lower[2..].starts_with('{'));
        let width = width_of(2 + brace);
        let value = if hex(u32::from(to), 0).len() <= width { u32::from(to) } else { u32::from('*') };
        return format!("{}{}{}", &old[..2 + brace], hex(value, width), &old[2 + brace + width..]);
    }
    if let Some(hex_digits) = lower.strip_prefix("\\'") {
        return format!("\\'{}{}", hex(0x2a, 2), &hex_digits[2.min(hex_digits.len())..]);
    }
    old.chars().map(|c| if c.is_ascii_digit() { '*' } else { c }).collect()
}

/// `\u65297?`: decimal, of five digits or with something behind that stands in for it; not `\u0034` or `\u{34}`.
fn is_rtf(escape: &str) -> bool {
    let Some(rest) = escape.strip_prefix("\\u") else { return false };
    let digits = rest.trim_start_matches('-').bytes().take_while(u8::is_ascii_digit).count();
    digits > 0 && (rest.starts_with('-') || rest.len() > 4) && !rest.starts_with('{')
}

/// RTF's `\uN` and what stands in for it, each as long as before: the number of another character, filled with zeros.
fn rewrite_rtf(old: &str, to: char) -> String {
    let mut out = String::with_capacity(old.len());
    let mut rest = old;
    while let Some(tail) = rest.strip_prefix("\\u") {
        let signed = tail.starts_with('-');
        let width = tail[usize::from(signed)..].bytes().take_while(u8::is_ascii_digit).count();
        let code = u32::from(to);
        let value = if signed { 0x1_0000u32.saturating_sub(code) } else { code };
        let single = old.len() == rest.len() && !tail.contains("\\u");
        if single && code < 0x1_0000 && value > 0 && value.to_string().len() <= width {
            let number = format!("{value:0width$}");
            out.extend(["\\u", if signed { "-" } else { "" }, &number]);
        } else {
            let width = width + usize::from(signed);
            out.extend(["\\u", &format!("{:0width$}", u32::from('*'))]);
        }
        rest = &tail[usize::from(signed) + width..];
        let end = rest.find("\\u").unwrap_or(rest.len());
        let stand_in = &rest[..end];
        if let Some(digit) = stand_in.find("\\'3") {
            // A digit in hexadecimal; `\'3f` is the usual question mark.
            let code = stand_in.get(digit + 2..digit + 4).unwrap_or_default();
            let masked = if code.bytes().all(|byte| byte.is_ascii_digit()) { "2a" } else { code };
            out.push_str(&stand_in[..digit + 2]);
            out.push_str(masked);
            out.push_str(stand_in.get(digit + 4..).unwrap_or_default());
        } else {
            out.extend(stand_in.chars().map(|c| if c.is_ascii_digit() { '*' } else { c }));
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Puts a reading together from front to back.
pub struct ViewBuilder<'t> {
    source: &'t str,
    text: String,
    segments: Vec<Segment>,
    /// Where the copied stretch would go on.
    next: Option<usize>,
}

impl<'t> ViewBuilder<'t> {
    /// Nothing read yet.
    pub fn new(source: &'t str) -> Self {
        Self { source, text: String::new(), segments: Vec::new(), next: Some(0) }
    }

    /// The same with memory for most of the source, where a reading of little else is expected.
    pub fn with_room(source: &'t str) -> Self {
        let room = source.len() / 4 * 3;
        Self { text: String::with_capacity(room), segments: Vec::with_capacity(source.len() / 32), ..Self::new(source) }
    }

    fn mark(&mut self, source: usize, written: Written) {
        self.segments.push(Segment { text: self.text.len() as u32, source: source as u32, written });
    }

    /// Takes over `source[start..end]` as it is; both must be character boundaries.
    pub fn copy(&mut self, start: usize, end: usize) {
        let Some(piece) = self.source.get(start..end) else { return };
        if piece.is_empty() {
            return;
        }
        if self.next != Some(start) {
            self.mark(start, Written::Copied);
        }
        self.text.push_str(piece);
        self.next = Some(end);
    }

    /// `source[start..start + len]` is an escape for one character.
    pub fn escape(&mut self, start: usize, len: usize, character: char) {
        self.mark(start, Written::Escape(len as u32));
        self.text.push(character);
        self.next = None;
    }

    /// Something at `source[start]` that reads as this character but is no text.
    pub fn invent(&mut self, start: usize, character: char) {
        self.mark(start, Written::Invented);
        self.text.push(character);
        self.next = None;
    }

    /// Does the reading end with this character of ASCII?
    pub fn ends_with(&self, character: char) -> bool {
        self.text.as_bytes().last().is_some_and(|last| char::from(*last) == character && character.is_ascii())
    }

    /// Is the reading empty so far?
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The reading.
    pub fn finish(self) -> View<'t> {
        if self.segments.is_empty() && self.text.len() == self.source.len() {
            return View::same(self.source);
        }
        View { text: Cow::Owned(self.text), segments: self.segments }
    }
}

impl Drop for View<'_> {
    fn drop(&mut self) {
        if let Cow::Owned(text) = &mut self.text {
            wipe(std::mem::take(text).into_bytes());
        }
    }
}

/// Overwrites bytes that held digits before their memory is given back.
pub fn wipe(mut bytes: Vec<u8>) {
    use zeroize::Zeroize;
    bytes.zeroize();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_keep_their_kind_and_length() {
        for (old, to, new) in [
            ("&#52;", '*', "&#88;"),
            ("&#0052;", '*', "&#0088;"),
            ("&#x34;", '*', "&#x2a;"),
            ("&#X34", '*', "&#X2a"),
            ("&#xFF14;", '\u{ff0a}', "&#xFF0A;"),
            ("&#65300;", '\u{ff0a}', "&#65290;"),
            ("%34", '*', "%2a"),
            ("%EF%BC%94", '\u{ff0a}', "%EF%BC%8A"),
            ("\\u0034", '*', "\\u002a"),
            ("\\x34", '*', "\\x2a"),
            ("\\'34", '*', "\\'2a"),
            ("\\u65300?", '\u{ff0a}', "\\u65290?"),
            ("\\u-236\\'34", '\u{ff0a}', "\\u-246\\'2a"),
            ("\\u178 2", '\u{d7}', "\\u215 *"),
            ("\\u-10187?\\u-9138?", '\u{1f7b6}', "\\u000042?\\u00042?"),
        ] {
            assert_eq!(rewrite_escape(old, to), new, "{old}");
        }
    }

    #[test]
    fn edits_find_their_way_down() {
        let below = "a<b>4&#49;c";
        let mut builder = ViewBuilder::new(below);
        builder.copy(0, 1);
        builder.invent(1, '\n');
        builder.copy(4, 5);
        builder.escape(5, 5, '1');
        builder.copy(10, 11);
        let view = builder.finish();
        assert_eq!(view.text(), "a\n41c");
        let edits: Vec<_> = (0..5).map(|at| CharEdit { at: TextOffset(at), to: '*' }).collect();
        let lowered = view.lower(below, &edits);
        let mut chars: Vec<char> = below.chars().collect();
        for edit in lowered {
            chars[edit.at.0] = edit.to;
        }
        assert_eq!(chars.into_iter().collect::<String>(), "*<b>*&#88;*");
    }
}
