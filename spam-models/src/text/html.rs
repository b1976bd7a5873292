//! HTML to text, as a reader sees it.
//!
//! Promises: linear time; the text of hidden elements is set apart, not lost, since a sanitiser may yet show it;
//! links keep their targets beside the text they show; tags inside a word vanish, tags that break lines break them;
//! character references are undone; long base64 runs that hold text are read as that text. Text without tags passes
//! through. It is no full HTML parser on purpose: html5ever builds a tree, ten times the work, to answer the same.

use base64::Engine as _;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::{capped, entities};

/// A link of the markup: where it goes and what it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The target as written.
    pub href: String,
    /// The text between the tags, at most 200 octets.
    pub shown: String,
}

/// What a post says and how it hides it.
#[derive(Debug, Default)]
pub(crate) struct Extract {
    /// What a reader sees.
    pub text: String,
    /// What the markup hides.
    pub hidden: String,
    pub anchors: Vec<Anchor>,
    /// Character references undone.
    pub entities: usize,
    /// Tags between two letters.
    pub split_words: usize,
    /// Images.
    pub images: usize,
    /// Base64 runs read.
    pub encoded: usize,
    /// Parts of a very long post were not read.
    pub cut: bool,
}

const BLOCKS: &[&str] = &[
    "p",
    "div",
    "br",
    "li",
    "ul",
    "ol",
    "td",
    "tr",
    "th",
    "table",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "pre",
    "blockquote",
    "section",
    "article",
    "header",
    "footer",
    "dd",
    "dt",
    "dl",
    "figure",
    "option",
];
const VOID: &[&str] = &["br", "img", "hr", "input", "meta", "link", "wbr", "area", "base", "col", "embed", "source"];
/// Elements whose content is never shown.
const UNSHOWN: &[&str] = &["script", "style", "template", "noscript", "head", "iframe", "object", "textarea"];
/// The longest tag that is read as one; a `<` without `>` within it is a character.
const LONGEST_TAG: usize = 4096;

/// Reads a post: markup, references, base64.
pub(crate) fn extract(post: &str) -> Extract {
    let (source, cut) = capped(post);
    let mut reader =
        Reader { out: Extract { cut, ..Extract::default() }, hidden_in: None, depth: 0, anchor: None, seam: false };
    if source.contains(['<', '&']) {
        reader.read(&source);
    } else {
        reader.out.text = source.into_owned();
    }
    let mut out = reader.out;
    if out.text.len() >= SHORTEST_RUN {
        decode_runs(&mut out);
    }
    out
}

struct Reader {
    out: Extract,
    /// The hidden element we are in, and the depth of elements of its name.
    hidden_in: Option<String>,
    depth: usize,
    /// Where the text of the open link begins.
    anchor: Option<usize>,
    /// A tag that breaks no line was the last thing read.
    seam: bool,
}

impl Reader {
    fn read(&mut self, source: &str) {
        let mut at = 0;
        while let Some(offset) = source[at..].find(['<', '&']) {
            self.push(&source[at..at + offset]);
            at += offset;
            let rest = &source[at..];
            if rest.starts_with('&') {
                if let Some((character, length)) = entities::decode(rest) {
                    self.out.entities += 1;
                    self.push(character.encode_utf8(&mut [0; 4]));
                    at += length;
                } else {
                    self.push("&");
                    at += 1;
                }
            } else if let Some(length) = comment(rest) {
                self.seam = true;
                at += length;
            } else if let Some(length) = tag_length(rest) {
                self.tag(source, at, at + length);
                at += length;
            } else {
                self.push("<");
                at += 1;
            }
        }
        self.push(&source[at..]);
        self.close_anchor();
    }

    fn push(&mut self, text: &str) {
        if self.hidden_in.is_some() {
            self.out.hidden.push_str(text);
            return;
        }
        let Some(first) = text.chars().next() else { return };
        if std::mem::take(&mut self.seam) && first.is_alphanumeric() && self.out.text.ends_with(char::is_alphanumeric) {
            self.out.split_words += 1;
        }
        self.out.text.push_str(text);
    }

    fn tag(&mut self, source: &str, from: usize, to: usize) {
        let inside = &source[from + 1..to - 1];
        let closing = inside.starts_with('/');
        let name_text = inside.trim_start_matches('/');
        let end = name_text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name_text.len());
        let name = name_text[..end].to_ascii_lowercase();
        let attributes = &name_text[end..];
        if let Some(hidden) = &self.hidden_in {
            if *hidden == name {
                if !closing {
                    self.depth += 1;
                } else if self.depth > 0 {
                    self.depth -= 1;
                } else {
                    self.hidden_in = None;
                    self.out.hidden.push('\n');
                }
            }
            return;
        }
        if BLOCKS.contains(&name.as_str()) {
            self.out.text.push('\n');
        } else {
            self.seam = true;
        }
        match (name.as_str(), closing) {
            ("a", false) => {
                self.close_anchor();
                if let Some(href) = attribute(attributes, "href") {
                    self.anchor = Some(self.out.text.len());
                    self.out.anchors.push(Anchor { href, shown: String::new() });
                }
            }
            ("a", true) => self.close_anchor(),
            ("img", _) => self.out.images += 1,
            _ => {}
        }
        let void = VOID.contains(&name.as_str()) || inside.ends_with('/');
        if !closing && !void && (UNSHOWN.contains(&name.as_str()) || hides(attributes)) {
            self.hidden_in = Some(name);
            self.depth = 0;
        }
    }

    fn close_anchor(&mut self) {
        if let (Some(from), Some(anchor)) = (self.anchor.take(), self.out.anchors.last_mut()) {
            let shown = &self.out.text[from..];
            shown[..super::floor(shown, shown.len().min(200))].trim().clone_into(&mut anchor.shown);
        }
    }
}

fn comment(rest: &str) -> Option<usize> {
    rest.strip_prefix("<!--").map(|inside| inside.find("-->").map_or(rest.len(), |end| 4 + end + 3))
}

/// The length of the tag at the start of `rest`, which begins with `<`.
fn tag_length(rest: &str) -> Option<usize> {
    let bytes = rest.as_bytes();
    let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphabetic);
    let opens = letter(1) || (bytes.get(1) == Some(&b'/') && letter(2)) || matches!(bytes.get(1), Some(b'!' | b'?'));
    if !opens {
        return None;
    }
    let mut quote = None;
    for (at, &octet) in bytes.iter().enumerate().take(LONGEST_TAG).skip(1) {
        match (quote, octet) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') if bytes[at - 1] == b'=' => quote = Some(octet),
            (Some(open), _) if open == octet => quote = None,
            _ => {}
        }
    }
    // A quote that never closes: take the first end.
    bytes.iter().take(LONGEST_TAG).position(|&octet| octet == b'>').map(|at| at + 1)
}

/// The value of an attribute, references undone.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    let lower = attributes.to_ascii_lowercase();
    let mut from = 0;
    while let Some(found) = lower[from..].find(name) {
        let start = from + found;
        from = start + name.len();
        let bordered =
            start == 0 || matches!(lower.as_bytes()[start - 1], b' ' | b'\t' | b'\n' | b'\r' | b'"' | b'\'' | b'/');
        let Some(value) = attributes[from..].trim_start().strip_prefix('=') else { continue };
        if !bordered {
            continue;
        }
        let value = value.trim_start();
        let raw = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or_default(),
            _ => value.split([' ', '\t', '\n', '\r']).next().unwrap_or_default(),
        };
        return Some(undo(raw));
    }
    None
}

fn undo(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (character, length) = entities::decode(rest).unwrap_or(('&', 1));
        out.push(character);
        rest = &rest[length..];
    }
    out.push_str(rest);
    out
}

/// Whether the attributes keep the element from being seen.
fn hides(attributes: &str) -> bool {
    if attributes.is_empty() {
        return false;
    }
    let style = attribute(attributes, "style").unwrap_or_default().to_ascii_lowercase();
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect();
    let zero = |property: &str| {
        style.split(';').any(|declaration| {
            declaration.strip_prefix(property).and_then(|value| value.strip_prefix(':')).is_some_and(|value| {
                let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic() || c == '%' || c == '!');
                number.parse::<f64>().is_ok_and(|number| number.abs() < 0.1)
            })
        })
    };
    ["display:none", "visibility:hidden", "left:-9", "text-indent:-9", "top:-9", "color:transparent"]
        .iter()
        .any(|mark| style.contains(mark))
        || ["font-size", "opacity", "max-height", "height", "width"].iter().any(|property| zero(property))
        || attributes.split_ascii_whitespace().any(|word| word.eq_ignore_ascii_case("hidden"))
}

/// Shortest run of base64 letters that is tried: below this, long words and identifiers pass for it.
const SHORTEST_RUN: usize = 20;
/// Padding is forgiven: whoever hides text does not follow RFC 4648 §3.2.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Puts the text that base64 runs hold in their place.
fn decode_runs(out: &mut Extract) {
    let text = &out.text;
    let bytes = text.as_bytes();
    let in_run = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=');
    let mut decoded = String::new();
    let (mut copied, mut at) = (0, 0);
    while at < bytes.len() {
        if !in_run(bytes[at]) {
            at += 1;
            continue;
        }
        let from = at;
        // A run may be broken over lines, as mail breaks it.
        while at < bytes.len() && (in_run(bytes[at]) || (bytes[at] == b'\n' && at - from >= SHORTEST_RUN)) {
            at += 1;
        }
        if at - from >= SHORTEST_RUN
            && let Some(plain) = plain_of(&text[from..at])
        {
            decoded.push_str(&text[copied..from]);
            decoded.push(' ');
            decoded.push_str(&plain);
            decoded.push(' ');
            copied = at;
            out.encoded += 1;
        }
    }
    if copied > 0 {
        decoded.push_str(&text[copied..]);
        out.text = decoded;
    }
}

fn plain_of(run: &str) -> Option<String> {
    let letters: String = run.chars().filter(|&c| c != '\n').collect();
    // Text in base64 mixes cases and digits; a path or a long word does not.
    let (upper, lower) =
        (letters.bytes().any(|o| o.is_ascii_uppercase()), letters.bytes().any(|o| o.is_ascii_lowercase()));
    if !(upper && lower) {
        return None;
    }
    let plain = String::from_utf8(BASE64.decode(letters.trim_end_matches('=')).ok()?).ok()?;
    let strange = plain.chars().filter(|c| c.is_control() && !c.is_whitespace()).count();
    (strange == 0 && plain.chars().filter(|c| c.is_alphanumeric()).count() * 2 > plain.chars().count()).then_some(plain)
}

#[cfg(test)]
#[path = "html_tests.rs"]
mod tests;
