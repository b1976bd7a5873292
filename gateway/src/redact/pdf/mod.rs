//! PDF (ISO 32000-1): the text of pages, forms, annotations, metadata and embedded files, in every revision that the
//! file holds.
//!
//! Objects are found by reading the file from front to back, not through its tables, so that earlier revisions and
//! orphans are read too. Every change has the length of what it replaces: offsets, tables and object streams stay
//! true. A compressed stream is packed again and filled up to its old length; one that does not fit is emptied and
//! written behind the file's end as an incremental update.

mod fonts;
mod lex;
mod objects;
mod resources;
mod streams;
mod text;
mod update;

use std::collections::HashMap;

use self::fonts::Font;
use self::lex::{Lexer, Value};
use self::objects::{Object, inner_objects, objects};
use self::resources::Fonts;
use self::streams::{Filter, ascii_hex, ascii85, pack, pack_larger};
use self::text::Drawn;
use self::update::{Grown, update};
use super::archive::{Packed, inflate};
use super::stage::{Place, Stage};
use super::{Refusal, SignedParts, kind::Kind};
use crate::message::{EditSet, RawOffset, wipe};

/// Redacts a PDF file.
pub fn redact(stage: &mut Stage<'_>, content: &[u8], place: &Place) -> Result<EditSet, Refusal> {
    let mut edits = EditSet::new();
    let objects = objects(content);
    if objects.iter().any(|object| object.value.get("Encrypt").is_some()) || trailer_encrypts(content) {
        stage.unscannable(place, "encrypted PDF")?;
        return Ok(edits);
    }
    let mut file = File { content, objects, packed: HashMap::new(), inner: Vec::new(), latest: HashMap::new() };
    file.unpack(stage, place)?;
    let fonts = file.fonts();
    let hits = stage.hits();
    let mut grown = Vec::new();
    for index in 0..file.objects.len() {
        grown.extend(file.object(stage, index, &fonts, place, &mut edits)?);
    }
    if stage.hits() > hits
        && memchr::memmem::find(content, b"/ByteRange").is_some()
        && stage.signed_parts() == SignedParts::Reject
        && stage.redacts()
    {
        return Err(Refusal::SignedPart { part: place.part.clone() });
    }
    if !grown.is_empty() {
        let Some(more) = update(content, &grown) else {
            return Err(fixed(place, "PDF stream that cannot be packed again"));
        };
        edits.replace(RawOffset(content.len())..RawOffset(content.len()), more);
    }
    Ok(edits)
}

/// A number that cannot be taken out keeps the letter from going.
fn fixed(place: &Place, why: &str) -> Refusal {
    Refusal::CardNumber { place: format!("part {} ({why})", place.part) }
}

fn trailer_encrypts(content: &[u8]) -> bool {
    memchr::memmem::find_iter(content, b"trailer")
        .take(100)
        .any(|at| Lexer::new(content, at + 7).value().is_some_and(|value| value.get("Encrypt").is_some()))
}

struct File<'c> {
    content: &'c [u8],
    objects: Vec<Object>,
    /// Unpacked streams by the index of their object.
    packed: HashMap<usize, Vec<u8>>,
    /// Objects inside object streams: the stream's index and the object.
    inner: Vec<(usize, Object)>,
    /// The last object of each number.
    latest: HashMap<u32, Where>,
}

#[derive(Clone, Copy)]
enum Where {
    File(usize),
    Inner(usize),
}

impl File<'_> {
    fn value(&self, number: u32) -> Option<&Value> {
        match self.latest.get(&number)? {
            Where::File(index) => Some(&self.objects[*index].value),
            Where::Inner(index) => Some(&self.inner[*index].1.value),
        }
    }

    /// The value itself, or what a reference points to.
    fn resolve<'v>(&'v self, value: &'v Value) -> &'v Value {
        match value {
            Value::Reference(number) => self.value(*number).unwrap_or(value),
            other => other,
        }
    }

    /// Follows keys.
    fn follow<'v>(&'v self, value: &'v Value, key: &str) -> Option<&'v Value> {
        Some(self.resolve(self.resolve(value).get(key)?))
    }

    fn filters(&self, value: &Value) -> Option<Vec<Filter>> {
        let list = match self.follow(value, "Filter") {
            None => return Some(Vec::new()),
            Some(Value::Array(items)) => items.iter().map(|item| self.resolve(item)).collect(),
            Some(one) => vec![one],
        };
        let parameters = self.follow(value, "DecodeParms").or_else(|| self.follow(value, "DP"));
        let predicted = |value: &Value| {
            self.follow(value, "Predictor").and_then(Value::index).is_some_and(|predictor| predictor > 1)
        };
        if parameters.is_some_and(|parameters| match parameters {
            Value::Array(items) => items.iter().any(predicted),
            one => predicted(one),
        }) {
            return None;
        }
        list.into_iter()
            .map(|filter| match filter.name() {
                Some("FlateDecode" | "Fl") => Some(Filter::Flate),
                Some("ASCII85Decode" | "A85") => Some(Filter::Ascii85),
                Some("ASCIIHexDecode" | "AHx") => Some(Filter::AsciiHex),
                _ => None,
            })
            .collect()
    }

    /// Unpacks every stream that may hold text or objects.
    fn unpack(&mut self, stage: &mut Stage<'_>, place: &Place) -> Result<(), Refusal> {
        for (index, object) in self.objects.iter().enumerate() {
            self.latest.insert(object.number, Where::File(index));
        }
        for index in 0..self.objects.len() {
            let object = &self.objects[index];
            let Some(range) = object.stream.clone() else { continue };
            let name = |key: &str| self.follow(&object.value, key).and_then(Value::name).unwrap_or_default();
            let binary = matches!(name("Type"), "XRef")
                || matches!(name("Subtype"), "Image" | "Type1C" | "CIDFontType0C" | "OpenType")
                || object.value.get("Length1").is_some()
                || object.value.get("FunctionType").is_some();
            if binary {
                continue;
            }
            let Some(filters) = self.filters(&object.value) else {
                stage.unscannable(place, "PDF stream with an unknown filter")?;
                continue;
            };
            let mut data = self.content[range].to_vec();
            for filter in filters {
                data = match filter {
                    Filter::Flate => {
                        if let Some((unpacked, _)) = inflate(stage, &data, Packed::Zlib)? {
                            unpacked
                        } else {
                            stage.unscannable(place, "damaged PDF stream")?;
                            Vec::new()
                        }
                    }
                    Filter::Ascii85 => ascii85(&data),
                    Filter::AsciiHex => ascii_hex(&data),
                };
            }
            if name("Type") == "ObjStm" {
                let inner = inner_objects(&object.value, &data);
                for object in inner {
                    if !self.latest.contains_key(&object.number) {
                        self.latest.insert(object.number, Where::Inner(self.inner.len()));
                    }
                    self.inner.push((index, object));
                }
            }
            self.packed.insert(index, data);
        }
        Ok(())
    }

    /// Redacts one object of the file: its strings, and its stream.
    fn object(
        &self,
        stage: &mut Stage<'_>,
        index: usize,
        fonts: &Fonts,
        place: &Place,
        edits: &mut EditSet,
    ) -> Result<Option<Grown<'_>>, Refusal> {
        let object = &self.objects[index];
        let mut drawn = Drawn::of_strings(&object.value, &fonts.plain);
        self.strings(stage, self.content, &mut drawn, place, edits)?;
        let (Some(range), Some(data)) = (object.stream.clone(), self.packed.get(&index)) else { return Ok(None) };
        let name = |key: &str| self.follow(&object.value, key).and_then(Value::name).unwrap_or_default();
        let mut inner = EditSet::new();
        if name("Type") == "ObjStm" {
            let first = self.inner.partition_point(|(stream, _)| *stream < index);
            for (_, object) in self.inner[first..].iter().take_while(|(stream, _)| *stream == index) {
                let mut drawn = Drawn::of_strings(&object.value, &fonts.plain);
                self.strings(stage, data, &mut drawn, place, &mut inner)?;
            }
        } else if name("Type") == "Metadata" || name("Subtype") == "XML" {
            inner = stage.text_content(data, None, Kind::Xml, &place.inside("metadata"))?;
        } else if name("Type") == "EmbeddedFile" {
            let inside = Place { archives: place.archives + 1, ..place.inside("embedded file") };
            inner = stage.member(data, "", &inside)?;
        } else if memchr::memmem::find(data, b"Tj").is_some()
            || memchr::memmem::find(data, b"TJ").is_some()
            || memchr::memmem::find(data, b"BDC").is_some()
            || data.contains(&b'\'')
        {
            let names = fonts.of(object.number);
            let mut drawn = text::content(data, &names, &fonts.plain);
            self.strings(stage, data, &mut drawn, place, &mut inner)?;
        } else if memchr::memmem::find(data, b"begincmap").is_none() && super::kind::looks_like_text(data) {
            inner = stage.text_content(data, None, Kind::Rtf, &place.inside("stream"))?;
        }
        if inner.is_empty() {
            return Ok(None);
        }
        let new = inner.apply(data);
        let filters = self.filters(&object.value).unwrap_or_default();
        let raw = RawOffset(range.start)..RawOffset(range.end);
        if let Some(packed) = pack(&new, &filters, range.len()) {
            edits.replace(raw, packed);
            wipe(new);
            return Ok(None);
        }
        // The old bytes go in any case; what is of an earlier revision needs no successor.
        edits.replace(raw, pack(b"", &filters, range.len()).unwrap_or_else(|| vec![b' '; range.len()]));
        let is_latest = matches!(self.latest.get(&object.number), Some(Where::File(last)) if *last == index);
        let packed = if is_latest { pack_larger(&new, &filters, range.len()) } else { Some(Vec::new()) };
        wipe(new);
        match packed {
            Some(packed) => Ok(is_latest.then_some(Grown { object, packed })),
            None => Err(fixed(place, "PDF stream that cannot be packed again")),
        }
    }

    #[allow(clippy::unused_self)] // a step of the walk like its neighbours, which need it
    fn strings(
        &self,
        stage: &mut Stage<'_>,
        bytes: &[u8],
        drawn: &mut Drawn<'_>,
        place: &Place,
        edits: &mut EditSet,
    ) -> Result<(), Refusal> {
        if drawn.text.len() < 12 {
            return Ok(());
        }
        let found = stage.plain(&drawn.text, &place.inside("text"))?;
        if !found.is_empty() {
            let Some(written) = drawn.write(bytes, &found) else {
                return Err(fixed(place, "PDF text that cannot be written over"));
            };
            edits.absorb(written, RawOffset(0));
        }
        wipe(std::mem::take(&mut drawn.text).into_bytes());
        Ok(())
    }
}

impl<'f> Drawn<'f> {
    fn of_strings(value: &Value, plain: &'f Font) -> Self {
        let mut drawn = text::content(b"", &HashMap::new(), plain);
        let mut all = Vec::new();
        text::strings(value, &mut all, 0);
        for one in all {
            drawn.string(&one);
        }
        drawn
    }
}
