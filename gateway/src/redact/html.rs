//! HTML and XML as a person sees them and as a program does.
//!
//! Two readings of one text: [`visible`] drops tags (inline ones leave no trace, block ones end a line, cells end a
//! cell) and resolves entities; [`source`] keeps everything, resolves entities and escapes, and hides identifiers
//! (class, id) that no one reads as text. Both take linear time whatever they are given.

mod tags;

use std::borrow::Cow;

use memchr::{memchr, memchr3, memmem};

use self::tags::TAGS;
use super::chars::{CELL, URL};
use super::escapes;
use crate::message::{View, ViewBuilder};

/// Whose markup it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Markup {
    /// HTML: tags that are not known leave no trace.
    Html,
    /// XML: they end a field.
    Xml,
    /// Office documents: what shows is known by local names.
    Office,
}

/// How a tag shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    Nothing,
    Line,
    Cell,
    /// One character.
    Character(char),
    /// Its content is for programs.
    Program,
}

fn shows_in_office(name: &str) -> Shows {
    match name.rsplit(':').next().unwrap_or(name) {
        "p" | "h" | "si" | "row" | "tr" | "table-row" | "br" | "cr" | "line-break" | "comment" | "footnote"
        | "endnote" | "sp" => Shows::Line,
        "tc" | "c" | "v" | "f" | "is" | "table-cell" | "covered-table-cell" | "instrtext" | "annotation" => Shows::Cell,
        "tab" => Shows::Character('\t'),
        "s" => Shows::Character(' '),
        "nobreakhyphen" => Shows::Character('-'),
        _ => Shows::Nothing,
    }
}

fn shows(name: &str, markup: Markup) -> Shows {
    if markup == Markup::Office {
        return shows_in_office(name);
    }
    match (TAGS.binary_search_by(|(known, _)| (*known).cmp(name)), markup) {
        (Ok(at), _) => TAGS[at].1,
        (Err(_), Markup::Xml) => Shows::Cell,
        (Err(_), _) => Shows::Nothing,
    }
}

/// The end of the tag that begins at `start` (behind its `>`), quotes respected; `None` if it has none.
fn tag_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = start + 1;
    loop {
        let found = at + memchr3(b'>', b'"', b'\'', bytes.get(at..)?)?;
        if bytes[found] == b'>' {
            return Some(found + 1);
        }
        // A quote counts only as the beginning of an attribute's value.
        let value = bytes[..found].trim_ascii_end().ends_with(b"=");
        at = found + 1;
        if value {
            match memchr(bytes[found], &bytes[at..]) {
                Some(close) => at += close + 1,
                None => return memchr(b'>', &bytes[at..]).map(|end| at + end + 1),
            }
        }
    }
}

/// Name of the tag at `start`, in lower case, without slash.
fn tag_name(text: &str, start: usize) -> Cow<'_, str> {
    let slash = usize::from(text.as_bytes().get(start + 1) == Some(&b'/'));
    lower(&text[start + 1 + slash..], 24)
}

/// The name that `text` begins with, of at most so many bytes, in lower case.
fn lower(text: &str, most: usize) -> Cow<'_, str> {
    let part = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b':' | b'-' | b'_');
    let len = text.as_bytes().iter().take(most).take_while(part).count();
    let name = &text[..len];
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

fn begins_tag(bytes: &[u8], at: usize) -> bool {
    matches!(bytes.get(at + 1), Some(b'/' | b'!' | b'?')) || bytes.get(at + 1).is_some_and(u8::is_ascii_alphabetic)
}

/// The text between the tags.
pub fn visible(text: &str, markup: Markup) -> View<'_> {
    let mut reader = Reader {
        text,
        builder: ViewBuilder::new(text),
        markup,
        comments: Vec::new(),
        no_tag_after: usize::MAX,
        inline: Vec::new(),
    };
    reader.read(0, text.len());
    // What Outlook alone sees stands in comments; it is read as text of its own.
    for (start, end) in std::mem::take(&mut reader.comments) {
        reader.builder.invent(start, '\n');
        reader.builder.invent(start, CELL);
        reader.builder.invent(start, '\n');
        reader.builder.invent(start, 'x');
        reader.builder.invent(start, '\n');
        reader.read(start, end);
    }
    reader.builder.finish()
}

struct Reader<'t> {
    text: &'t str,
    builder: ViewBuilder<'t>,
    markup: Markup,
    comments: Vec<(usize, usize)>,
    /// From here on no `<` has an end.
    no_tag_after: usize,
    /// Blocks that are open and kept in the line by their style.
    inline: Vec<String>,
}

/// Open blocks whose names are kept.
const MOST_INLINE: usize = 64;

impl Reader<'_> {
    fn read(&mut self, mut at: usize, end: usize) {
        let bytes = self.text.as_bytes();
        while at < end {
            let Some(found) = memchr3(b'<', b'&', b'\n', &bytes[at..end]) else {
                self.builder.copy(at, end);
                return;
            };
            let found = at + found;
            match bytes[found] {
                b'\n' => {
                    let begin = at + self.text[at..found].trim_end_matches([' ', '\t', '\r']).len();
                    self.builder.copy(at, begin);
                    let blank = self.text[found..end].len()
                        - self.text[found..end].trim_start_matches([' ', '\t', '\r', '\n']).len();
                    if !self.builder.ends_with(' ') && !self.builder.ends_with('\n') {
                        self.builder.invent(begin, ' ');
                    }
                    at = found + blank;
                }
                b'&' => {
                    self.builder.copy(at, found);
                    at = if let Some((character, len)) = escapes::entity(&self.text[found..end]) {
                        self.builder.escape(found, len, character);
                        found + len
                    } else {
                        self.builder.copy(found, found + 1);
                        found + 1
                    };
                }
                _ => {
                    self.builder.copy(at, found);
                    at = self.tag(found, end);
                }
            }
        }
    }

    /// Reads the tag, comment or stray `<` at `at`; the offset behind it.
    fn tag(&mut self, at: usize, end: usize) -> usize {
        let bytes = self.text.as_bytes();
        if !begins_tag(bytes, at) || at >= self.no_tag_after {
            self.builder.copy(at, at + 1);
            return at + 1;
        }
        if bytes[at..].starts_with(b"<![CDATA[") {
            return at + 9;
        }
        if bytes[at..].starts_with(b"<!--") {
            let inner = at + 4;
            let close = memmem::find(&bytes[inner.min(end)..end], b"-->").map(|close| inner + close);
            let stop = close.unwrap_or(end);
            if stop > inner {
                self.comments.push((inner, stop));
            }
            return close.map_or(end, |close| close + 3);
        }
        let Some(close) = tag_end(&self.text[..end], at) else {
            self.no_tag_after = at;
            self.builder.copy(at, at + 1);
            return at + 1;
        };
        let name = tag_name(self.text, at);
        match shows(&name, self.markup) {
            Shows::Nothing => {}
            Shows::Line | Shows::Cell if self.in_line(&name, at, close) => {}
            Shows::Character(c) => self.builder.invent(at, c),
            Shows::Line => {
                if !self.builder.ends_with('\n') {
                    self.builder.invent(at, '\n');
                }
            }
            Shows::Cell => {
                if !self.builder.ends_with(CELL) {
                    self.builder.invent(at, CELL);
                }
            }
            Shows::Program => {
                self.builder.invent(at, '\n');
                if bytes[at + 1] != b'/' && !self.text[..close].ends_with("/>") {
                    return self.program_end(close, end, &name);
                }
            }
        }
        close
    }

    /// Is this the begin of a block that its own style keeps in the line, or the end of one?
    fn in_line(&mut self, name: &str, at: usize, close: usize) -> bool {
        if self.text.as_bytes().get(at + 1) == Some(&b'/') {
            let open = self.inline.last().is_some_and(|open| open == name);
            if open {
                self.inline.pop();
            }
            return open;
        }
        let inline = is_inline(&self.text[at..close]);
        if inline && self.inline.len() < MOST_INLINE {
            self.inline.push(name.to_owned());
        }
        inline
    }

    fn program_end(&self, from: usize, end: usize, name: &str) -> usize {
        let bytes = &self.text.as_bytes()[..end];
        let mut at = from;
        while let Some(found) = memmem::find(&bytes[at..], b"</") {
            let begin = at + found;
            if bytes[begin + 2..].len() >= name.len()
                && bytes[begin + 2..begin + 2 + name.len()].eq_ignore_ascii_case(name.as_bytes())
            {
                return begin;
            }
            at = begin + 2;
        }
        end
    }
}

/// Does a style in the tag itself keep what would be a block in the line?
fn is_inline(tag: &str) -> bool {
    const SHORTEST: usize = "<p style=display:inline>".len();
    if tag.len() < SHORTEST {
        return false;
    }
    memmem::find_iter(tag.as_bytes(), b"display").any(|at| {
        let rest = tag[at + 7..].trim_start();
        rest.strip_prefix(':').is_some_and(|value| value.trim_start().starts_with("inline"))
    })
}

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

/// Everything, with entities and escapes resolved.
pub fn source(text: &str) -> View<'_> {
    let mut builder = ViewBuilder::new(text);
    let bytes = text.as_bytes();
    let (mut at, mut no_tag_after) = (0, usize::MAX);
    while at < text.len() {
        let Some(found) = memchr(b'<', &bytes[at..]).map(|found| at + found) else { break };
        if found >= no_tag_after || !bytes.get(found + 1).is_some_and(u8::is_ascii_alphabetic) {
            escapes::read(text, at, found + 1, &mut builder);
            at = found + 1;
            continue;
        }
        escapes::read(text, at, found, &mut builder);
        let Some(close) = tag_end(text, found) else {
            no_tag_after = found;
            at = found;
            continue;
        };
        attributes(text, found, close, &mut builder);
        at = close;
        if bytes[found + 1..].len() > 5 && bytes[found + 1..found + 6].eq_ignore_ascii_case(b"style") {
            at = memmem::find(&bytes[close..], b"</").map_or(text.len(), |end| close + end);
            style_sheet(text, close, at, &mut builder);
        }
    }
    escapes::read(text, at, text.len(), &mut builder);
    builder.finish()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_sees_text_without_tags() {
        for (html, text) in [
            ("4111<b>1111</b><wbr>11&#49;1&nbsp;x", "4111111111\u{a0}x"[..0].to_owned() + "411111111111\u{a0}x"),
            ("<p>a</p><p>b</p>", "\na\nb\n".into()),
            ("<td>1</td><td>2</td>", "\u{1f}1\u{1f}2\u{1f}".into()),
            ("a<script>var x = '<b>';</script>b", "a\n\nb".into()),
            ("1 < 2 <3 <a href='>'>x</a>", "1 < 2 <3 x".into()),
            ("a\r\n   b", "a b".into()),
            ("x<!-- hidden -->y", "xy\n\u{1f}\nx\n hidden ".into()),
            ("unclosed <a href=\"x", "unclosed <a href=\"x".into()),
        ] {
            assert_eq!(visible(html, Markup::Html).text(), text, "{html}");
        }
    }

    #[test]
    fn the_table_of_tags_is_sorted() {
        assert!(TAGS.is_sorted_by_key(|(name, _)| name));
    }

    #[test]
    fn a_program_sees_attributes_but_no_class_names() {
        let view = source("<a class='4111' href=\"/x?card=%34\" title=\"4&#49;\">t\\u0034</a>");
        assert_eq!(view.text(), "<a class='x' href=\"\u{1d}/x?card=4\" title=\"41\">t4</a>");
    }

    #[test]
    fn hostile_markup_takes_linear_time() {
        let start = std::time::Instant::now();
        for piece in ["<", "<a ", "<!--", "<a href=\"", "&", "&#", "<script>", "</", "<a b=c ", "='"] {
            let text = piece.repeat(200_000);
            visible(&text, Markup::Html);
            source(&text);
        }
        assert!(start.elapsed().as_secs() < 20);
    }

    proptest::proptest! {
        #[test]
        fn no_markup_upsets_it(text in "[<>a-c/!\\-&#;=\"'0-9 \n\\\\u%\\PC]{0,120}") {
            visible(&text, Markup::Html);
            visible(&text, Markup::Office);
            source(&text);
        }
    }
}
