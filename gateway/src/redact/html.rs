//! HTML and XML as a person sees them and as a program does.
//!
//! Two readings of one text: [`visible`] drops tags (inline ones leave no trace, block ones end a line, cells end a
//! cell) and resolves entities; [`mod@source`] keeps everything, resolves entities and escapes, and hides identifiers
//! (class, id) that no one reads as text. Both take linear time whatever they are given.

mod source;
mod tags;

pub use source::source;

use std::borrow::Cow;
use std::sync::LazyLock;

use memchr::{memchr, memchr3, memmem};

use super::chars::CELL;
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

impl Markup {
    /// Markup without a package around it: an Office document in one file (`.fodt`, `.fods`, Word's XML), or any other.
    pub fn of_xml(text: &str) -> Self {
        let head = &text.as_bytes()[..text.len().min(2048)];
        let office = [&b"<office:document"[..], b"<w:wordDocument", b"<pkg:package", b"<w:document"];
        if office.iter().any(|root| memmem::find(head, root).is_some()) { Self::Office } else { Self::Xml }
    }
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

/// How the tag at `at` shows.
fn shows(text: &str, at: usize, markup: Markup) -> Shows {
    if markup == Markup::Office {
        return shows_in_office(&tag_name(text, at));
    }
    let slash = usize::from(text.as_bytes().get(at + 1) == Some(&b'/'));
    match (tags::find(&text.as_bytes()[at + 1 + slash..]), markup) {
        (Some(shows), _) => shows,
        (None, Markup::Xml) => Shows::Cell,
        (None, _) => Shows::Nothing,
    }
}

/// Bytes of a tag that are looked at one by one.
const SHORT_TAG: usize = 12;

/// The end of the tag that begins at `start` (behind its `>`), quotes respected; `None` if it has none.
fn tag_end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    // Most tags are short and have no attributes: no search is set up for them.
    let short = &bytes[start + 1..bytes.len().min(start + 1 + SHORT_TAG)];
    let mut at = start + 1;
    match short.iter().position(|byte| matches!(byte, b'>' | b'"' | b'\'')) {
        Some(found) if short[found] == b'>' => return Some(start + 1 + found + 1),
        Some(found) => at += found,
        None => at += short.len(),
    }
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
        builder: ViewBuilder::with_room(text),
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

/// The next byte that is more than text. The first bytes are looked at one by one: the next tag is often near.
fn special(bytes: &[u8], at: usize) -> Option<usize> {
    let near = &bytes[at..bytes.len().min(at + SHORT_TAG)];
    if let Some(found) = near.iter().position(|byte| matches!(byte, b'<' | b'&' | b'\n')) {
        return Some(at + found);
    }
    let at = at + near.len();
    memchr3(b'<', b'&', b'\n', &bytes[at..]).map(|found| at + found)
}

/// Open blocks whose names are kept.
const MOST_INLINE: usize = 64;

impl Reader<'_> {
    fn read(&mut self, mut at: usize, end: usize) {
        let bytes = self.text.as_bytes();
        while at < end {
            let Some(found) = special(&bytes[..end], at) else {
                self.builder.copy(at, end);
                return;
            };
            match bytes[found] {
                b'\n' => {
                    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
                    let begin = found - bytes[at..found].iter().rev().take_while(|byte| blank(byte)).count();
                    self.builder.copy(at, begin);
                    let blanks = bytes[found..end].iter().take_while(|byte| blank(byte) || **byte == b'\n').count();
                    if !self.builder.ends_with(' ') && !self.builder.ends_with('\n') {
                        self.builder.invent(begin, ' ');
                    }
                    at = found + blanks;
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
        let declared = bytes[at + 1] == b'!';
        if declared && bytes[at..].starts_with(b"<![CDATA[") {
            return at + 9;
        }
        if declared && bytes[at..].starts_with(b"<!--") {
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
        match shows(self.text, at, self.markup) {
            Shows::Nothing => {}
            Shows::Line | Shows::Cell if self.in_line(at, close) => {}
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
                    return self.program_end(close, end, &tag_name(self.text, at));
                }
            }
        }
        close
    }

    /// Is this the begin of a block that its own style keeps in the line, or the end of one?
    fn in_line(&mut self, at: usize, close: usize) -> bool {
        if self.text.as_bytes().get(at + 1) == Some(&b'/') {
            let open = self.inline.last().is_some_and(|open| *open == tag_name(self.text, at));
            if open {
                self.inline.pop();
            }
            return open;
        }
        let inline = is_inline(&self.text[at..close]);
        if inline && self.inline.len() < MOST_INLINE {
            self.inline.push(tag_name(self.text, at).into_owned());
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

static DISPLAY: LazyLock<memmem::Finder<'static>> = LazyLock::new(|| memmem::Finder::new("display"));

/// Does a style in the tag itself keep what would be a block in the line?
fn is_inline(tag: &str) -> bool {
    const SHORTEST: usize = "<p style=display:inline>".len();
    if tag.len() < SHORTEST {
        return false;
    }
    DISPLAY.find_iter(tag.as_bytes()).any(|at| {
        let rest = tag[at + 7..].trim_start();
        rest.strip_prefix(':').is_some_and(|value| value.trim_start().starts_with("inline"))
    })
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
        assert!(tags::TAGS.is_sorted_by_key(|(name, _)| name));
        for (name, _) in tags::TAGS {
            assert!(name.len() <= 10 && tags::find(format!("{name} x").as_bytes()).is_some());
            assert!(tags::find(name.to_ascii_uppercase().as_bytes()).is_some());
        }
        for name in ["", "x", "tdx", "blockquotex", "1", "</"] {
            assert!(tags::find(name.as_bytes()).is_none(), "{name}");
        }
    }

    #[test]
    fn a_program_sees_attributes_but_no_class_names() {
        let view = source("<a class='411111111111' href=\"/x?card=%34111111111111\" title=\"4&#49;\">t\\u0034</a>");
        assert_eq!(view.text(), "<a class='x' href=\"\u{1d}/x?card=4111111111111\" title=\"41\">t4</a>");
        assert_eq!(source("<p title='49.90'>2026-11-23 14:05</p>").text(), "");
        let text = format!("<p>{}</p><b alt='4111111111111'>x</b>{}", "word ".repeat(99), "<i>y</i>".repeat(99));
        let view = source(&text);
        assert!(view.text().contains("<b alt='4111111111111'>x</b>") && view.text().len() < 400 + 5 * 99);
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
