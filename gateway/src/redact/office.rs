//! The markup of Office Open XML (ECMA-376) and OpenDocument (ISO/IEC 26300).
//!
//! Runs within a paragraph are one text, cells never are. A number in a numeric cell becomes a text cell: an asterisk
//! in a number would break the file.

use std::cell::LazyCell;

use memchr::memmem;

use super::context;
use super::html::Markup;
use super::issuers::{issuer, luhn};
use super::scan::{Rules, Style, scan};
use super::stage::{Place, Stage};
use super::{Refusal, kind::Kind};
use crate::message::{EditSet, RawOffset, TextOffset, wipe};

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Package {
    /// An archive of files.
    None,
    /// docx, xlsx, pptx.
    OpenXml,
    /// odt, ods, odp.
    OpenDocument,
}

/// Tells a package by its members.
pub fn package(names: &[&[u8]]) -> Package {
    if names.contains(&&b"[Content_Types].xml"[..]) {
        Package::OpenXml
    } else if names.contains(&&b"META-INF/manifest.xml"[..]) && names.contains(&&b"content.xml"[..]) {
        Package::OpenDocument
    } else {
        Package::None
    }
}

/// Is the member markup of the package?
pub fn is_markup(name: &str) -> bool {
    [".xml", ".rels", ".vml", ".rdf"].iter().any(|end| name.to_ascii_lowercase().ends_with(end))
}

/// Redacts a member. `strings` are the texts that a workbook's sheets share.
pub fn redact(
    stage: &mut Stage<'_>,
    content: &[u8],
    name: &str,
    package: Package,
    strings: Option<&[u8]>,
    place: &Place,
) -> Result<EditSet, Refusal> {
    if package == Package::OpenDocument
        && name == "META-INF/manifest.xml"
        && memmem::find(content, b"encryption-data").is_some()
    {
        stage.unscannable(place, "encrypted document")?;
    }
    let cells = match package {
        Package::OpenXml if name.contains("worksheets/") => sheet_cells(stage, content, strings, place)?,
        Package::OpenDocument if name.ends_with("content.xml") => document_cells(stage, content, place)?,
        _ => EditSet::new(),
    };
    if cells.is_empty() {
        return stage.markup_content(content, Kind::Xml, Markup::Office, place);
    }
    // The text is read with the cells already changed, so that a number is found once.
    let changed = cells.apply(content);
    let rest = stage.markup_content(&changed, Kind::Xml, Markup::Office, place)?;
    let mut edits = EditSet::new();
    edits.replace(RawOffset(0)..RawOffset(content.len()), rest.apply(&changed));
    wipe(changed);
    Ok(edits)
}

/// Digits as a numeric cell stores them: plainly, or in scientific notation (what spreadsheets do from 16 digits on).
fn whole_number(value: &str) -> Option<String> {
    if value.len() >= 12 && value.bytes().all(|b| b.is_ascii_digit()) {
        return Some(value.to_owned());
    }
    let number: f64 = value.contains(['E', 'e', '.']).then(|| value.parse().ok())??;
    ((1e11..1e19).contains(&number) && number.fract() == 0.0).then(|| format!("{number:.0}"))
}

/// The masked form of a cell's number, if it is a card number, recorded as a hit.
fn masked(
    stage: &mut Stage<'_>,
    value: &str,
    of_cards: &LazyCell<bool, impl FnOnce() -> bool>,
    place: &Place,
) -> Result<Option<String>, Refusal> {
    let Some(digits) = whole_number(value) else { return Ok(None) };
    stage.cell(&digits, of_cards, place)
}

/// Do these texts, of which a cell is one, speak of cards?
fn names_card(content: &[u8]) -> bool {
    std::str::from_utf8(content).is_ok_and(context::document_names_card)
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<(usize, &'a str)> {
    let pattern = format!(" {name}=\"");
    let start = tag.find(&pattern)? + pattern.len();
    Some((start, &tag[start..start + tag[start..].find('"')?]))
}

/// Numeric cells of a worksheet: `<c r="A1"><v>4111…</v></c>` becomes a cell of type `str`; and texts that formulas give,
/// which stand far from the sheet's words for cards.
fn sheet_cells(
    stage: &mut Stage<'_>,
    content: &[u8],
    strings: Option<&[u8]>,
    place: &Place,
) -> Result<EditSet, Refusal> {
    let of_cards = LazyCell::new(|| names_card(content) || strings.is_some_and(names_card));
    let mut edits = EditSet::new();
    let Ok(text) = std::str::from_utf8(content) else { return Ok(edits) };
    let mut at = 0;
    while let Some(open) = text[at..].find("<v>").map(|found| at + found) {
        let start = open + 3;
        let Some(end) = text[start..].find('<').map(|found| start + found) else { break };
        at = end;
        let Some(value) = masked_candidate(&text[start..end]) else { continue };
        // A cell's tag stands before its value, with at most a formula between.
        let Some(cell) = rfind(text, open, "<c ") else { continue };
        let Some(close) = text[cell..].find('>').map(|found| cell + found) else { continue };
        let tag = &text[cell..close];
        let kind = attribute(tag, "t");
        if !matches!(kind, None | Some((_, "n" | "str"))) {
            continue;
        }
        let Some(new) = masked(stage, value, &of_cards, place)? else { continue };
        match kind {
            // A formula's text, and the formula that holds it.
            Some((_, "str")) => {
                let formula = text.get(close..open).and_then(|formula| formula.find(value));
                if let Some(found) = formula.filter(|_| new.len() == value.len()) {
                    let formula = close + found;
                    edits.replace(RawOffset(formula)..RawOffset(formula + value.len()), &new);
                }
            }
            Some((offset, old)) => {
                edits.replace(RawOffset(cell + offset)..RawOffset(cell + offset + old.len()), b"str");
            }
            None => {
                edits.replace(RawOffset(cell + 2)..RawOffset(cell + 2), b" t=\"str\"");
            }
        }
        edits.replace(RawOffset(start)..RawOffset(end), new.into_bytes());
    }
    Ok(edits)
}

/// How far a tag is looked for before its value.
const NEAR: usize = 4096;

/// Where `wanted` stands last before `at`, at most so far away.
fn rfind(text: &str, at: usize, wanted: &str) -> Option<usize> {
    let floor = at.saturating_sub(NEAR);
    memmem::rfind(&text.as_bytes()[floor..at], wanted.as_bytes()).map(|found| floor + found)
}

fn masked_candidate(value: &str) -> Option<&str> {
    (value.len() >= 5 && value.len() <= 32 && value.starts_with(|c: char| c.is_ascii_digit())).then_some(value)
}

/// Cells of OpenDocument: `office:value-type="float" office:value="4111…"` becomes a text.
fn document_cells(stage: &mut Stage<'_>, content: &[u8], place: &Place) -> Result<EditSet, Refusal> {
    let of_cards = LazyCell::new(|| names_card(content));
    let mut edits = EditSet::new();
    let Ok(text) = std::str::from_utf8(content) else { return Ok(edits) };
    let mut at = 0;
    while let Some(found) = text[at..].find(" office:value=\"").map(|found| at + found) {
        let start = found + " office:value=\"".len();
        let Some(end) = text[start..].find('"').map(|found| start + found) else { break };
        at = end;
        let Some(value) = masked_candidate(&text[start..end]) else { continue };
        let Some(new) = masked(stage, value, &of_cards, place)? else { continue };
        let Some(open) = rfind(text, found, "<") else { continue };
        let close = text[end..].find('>').map_or(text.len(), |found| end + found);
        let tag = &text[open..close];
        for name in ["office:value-type", "calcext:value-type"] {
            if let Some((offset, old)) = attribute(tag, name) {
                edits.replace(RawOffset(open + offset)..RawOffset(open + offset + old.len()), *b"string");
            }
        }
        edits.replace(RawOffset(found)..RawOffset(end + 1), format!(" office:string-value=\"{new}\"").into_bytes());
    }
    Ok(edits)
}

impl Stage<'_> {
    /// The masked form of a numeric cell that holds a card number; of a weak issuer only where the document is
    /// `of_cards`.
    fn cell(
        &mut self,
        digits: &str,
        of_cards: &LazyCell<bool, impl FnOnce() -> bool>,
        place: &Place,
    ) -> Result<Option<String>, Refusal> {
        let none = |_: &str, _: usize, _: usize| false;
        let rules = Rules { keep: self.keep(), allow: &none, style: Style::Text };
        let mut found = scan(digits, &rules);
        let values: Vec<u8> = digits.bytes().map(|digit| digit - b'0').collect();
        if found.numbers.is_empty() && issuer(&values).is_some() && luhn(&values) && **of_cards {
            found = scan(&format!("card {digits}"), &rules);
        }
        let Some(number) = found.numbers.first() else { return Ok(None) };
        if self.allows(digits) {
            return Ok(None);
        }
        self.hit(place, number.brand, number.masked.clone(), digits, TextOffset(0))?;
        Ok(Some(number.masked.clone()))
    }
}
