//! PDF (ISO 32000-1): the text of pages, forms, annotations, metadata and embedded files, in every revision that the
//! file holds.
//!
//! Objects are found by reading the file from front to back, not through its tables, so that earlier revisions and
//! orphans are read too. Every change has the length of what it replaces: offsets, tables and object streams stay
//! true. A compressed stream is packed again and filled up to its old length; one that does not fit refuses the
//! letter, because there is no other way to keep the number out.

mod fonts;
mod lex;
mod text;

use std::collections::HashMap;
use std::ops::Range;

use flate2::{Compress, Compression, FlushCompress};

use self::fonts::Font;
use self::lex::{Lexer, Value};
use self::text::Drawn;
use super::archive::{Packed, inflate};
use super::stage::{Place, Stage};
use super::{Refusal, SignedParts, kind::Kind};
use crate::message::{EditSet, RawOffset, wipe};

/// Objects of one file.
const MOST_OBJECTS: usize = 200_000;
/// Streams up to this size are packed by the slow and tight way if zlib's result does not fit.
const TIGHT: usize = 1 << 20;

struct Object {
    number: u32,
    value: Value,
    stream: Option<Range<usize>>,
}

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
    for index in 0..file.objects.len() {
        file.object(stage, index, &fonts, place, &mut edits)?;
    }
    if stage.hits() > hits
        && memchr::memmem::find(content, b"/ByteRange").is_some()
        && stage.signed_parts() == SignedParts::Reject
        && stage.redacts()
    {
        return Err(Refusal::SignedPart { part: place.part.clone() });
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

/// Every object in the file, from front to back.
fn objects(content: &[u8]) -> Vec<Object> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&content[at..], b"obj").map(|found| at + found) {
        at = found + 3;
        let Some(number) = object_number(&content[..found]) else { continue };
        let mut lexer = Lexer::new(content, at);
        let Some(value) = lexer.value() else { continue };
        at = lexer.at.max(at);
        let stream = stream_range(content, &mut lexer, &value);
        if let Some(range) = &stream {
            at = range.end;
        }
        out.push(Object { number, value, stream });
        if out.len() >= MOST_OBJECTS {
            break;
        }
    }
    out
}

/// The number in `12 0 ` before `obj`.
fn object_number(head: &[u8]) -> Option<u32> {
    let tail = &head[head.len().saturating_sub(24)..];
    let text = std::str::from_utf8(tail).ok().or_else(|| {
        let start = tail.iter().rposition(|byte| *byte >= 0x80)? + 1;
        std::str::from_utf8(&tail[start..]).ok()
    })?;
    let mut words = text.split_ascii_whitespace().rev();
    let (generation, number) = (words.next()?, words.next()?);
    generation.parse::<u32>().ok()?;
    let digits = number.len() - number.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    number[number.len() - digits..].parse().ok()
}

fn stream_range(content: &[u8], lexer: &mut Lexer<'_>, value: &Value) -> Option<Range<usize>> {
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

/// A filter chain that is read here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filter {
    Flate,
    Ascii85,
    AsciiHex,
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

    /// The fonts of each font object, by object number, and by resource name for streams whose resources are unknown.
    fn fonts(&self) -> Fonts {
        let mut fonts =
            Fonts { by_number: HashMap::new(), resources: HashMap::new(), plain: Font::plain(), all: HashMap::new() };
        let values = || {
            self.objects.iter().map(|object| &object.value).chain(self.inner.iter().map(|(_, object)| &object.value))
        };
        for (number, at) in &self.latest {
            let value = match at {
                Where::File(index) => &self.objects[*index].value,
                Where::Inner(index) => &self.inner[*index].1.value,
            };
            if value.get("Type").and_then(Value::name) == Some("Font") || value.get("ToUnicode").is_some() {
                let unicode = value.get("ToUnicode").and_then(|reference| match reference {
                    Value::Reference(number) => match self.latest.get(number)? {
                        Where::File(index) => self.packed.get(index).map(Vec::as_slice),
                        Where::Inner(_) => None,
                    },
                    _ => None,
                });
                fonts.by_number.insert(*number, Font::new(value, self.follow(value, "Encoding"), unicode));
            }
        }
        for value in values() {
            let Some(Value::Dict(entries)) =
                self.follow(value, "Resources").and_then(|resources| self.follow(resources, "Font"))
            else {
                if let Some(Value::Dict(entries)) = self.follow(value, "Font") {
                    fonts.name(entries);
                }
                continue;
            };
            fonts.name(entries);
        }
        for object in &self.objects {
            self.page_resources(&object.value, &mut fonts);
            if object.stream.is_some() && object.value.get("Resources").is_some() {
                fonts.resources.insert(object.number, self.font_numbers(&object.value));
            }
        }
        for (_, object) in &self.inner {
            self.page_resources(&object.value, &mut fonts);
        }
        fonts
    }

    /// Notes the fonts of a page under the numbers of its content streams.
    fn page_resources(&self, page: &Value, fonts: &mut Fonts) {
        if page.get("Type").and_then(Value::name) != Some("Page") {
            return;
        }
        let mut holder = page;
        for _ in 0..20 {
            if holder.get("Resources").is_some() {
                break;
            }
            let Some(parent) = self.follow(holder, "Parent") else { break };
            holder = parent;
        }
        let numbers = self.font_numbers(holder);
        let streams = match page.get("Contents") {
            Some(Value::Reference(number)) => match self.value(*number) {
                Some(Value::Array(items)) => items.clone(),
                _ => vec![Value::Reference(*number)],
            },
            Some(Value::Array(items)) => items.clone(),
            _ => Vec::new(),
        };
        for stream in streams {
            if let Value::Reference(number) = stream {
                fonts.resources.insert(number, numbers.clone());
            }
        }
    }

    fn font_numbers(&self, holder: &Value) -> HashMap<String, u32> {
        let entries = self.follow(holder, "Resources").and_then(|resources| self.follow(resources, "Font"));
        match entries {
            Some(Value::Dict(entries)) => entries
                .iter()
                .filter_map(
                    |(name, value)| {
                        if let Value::Reference(number) = value { Some((name.clone(), *number)) } else { None }
                    },
                )
                .collect(),
            _ => HashMap::new(),
        }
    }

    /// Redacts one object of the file: its strings, and its stream.
    fn object(
        &self,
        stage: &mut Stage<'_>,
        index: usize,
        fonts: &Fonts,
        place: &Place,
        edits: &mut EditSet,
    ) -> Result<(), Refusal> {
        let object = &self.objects[index];
        let mut drawn = Drawn::of_strings(&object.value, &fonts.plain);
        self.strings(stage, self.content, &mut drawn, place, edits)?;
        let (Some(range), Some(data)) = (object.stream.clone(), self.packed.get(&index)) else { return Ok(()) };
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
            return Ok(());
        }
        let new = inner.apply(data);
        let filters = self.filters(&object.value).unwrap_or_default();
        let packed = pack(&new, &filters, range.len());
        wipe(new);
        let Some(packed) = packed else {
            return Err(fixed(place, "PDF stream that cannot be packed again"));
        };
        edits.replace(RawOffset(range.start)..RawOffset(range.end), packed);
        Ok(())
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

struct Fonts {
    by_number: HashMap<u32, Font>,
    /// Names of fonts by the number of the stream that uses them.
    resources: HashMap<u32, HashMap<String, u32>>,
    plain: Font,
    /// Any font of that name.
    all: HashMap<String, u32>,
}

impl Fonts {
    fn name(&mut self, entries: &[(String, Value)]) {
        for (name, value) in entries {
            if let Value::Reference(number) = value {
                self.all.insert(name.clone(), *number);
            }
        }
    }

    fn of(&self, stream: u32) -> HashMap<String, &Font> {
        let own = self.resources.get(&stream).into_iter().flatten();
        self.all
            .iter()
            .chain(own)
            .filter_map(|(name, number)| Some((name.clone(), self.by_number.get(number)?)))
            .collect()
    }
}

/// The objects in an object stream (ISO 32000-1 §7.5.7).
fn inner_objects(value: &Value, data: &[u8]) -> Vec<Object> {
    let count = value.get("N").and_then(Value::index).unwrap_or(0).min(MOST_OBJECTS);
    let first = value.get("First").and_then(Value::index).unwrap_or(0);
    let mut head = Lexer::new(data, 0);
    let mut out = Vec::new();
    for _ in 0..count {
        let (Some(Value::Number(number)), Some(Value::Number(offset))) = (head.value(), head.value()) else { break };
        if let Some(value) = Lexer::new(data, first.saturating_add(offset as usize)).value() {
            out.push(Object { number: number as u32, value, stream: None });
        }
    }
    out
}

fn ascii_hex(data: &[u8]) -> Vec<u8> {
    let digits: Vec<u8> = data
        .iter()
        .take_while(|byte| **byte != b'>')
        .filter_map(|byte| char::from(*byte).to_digit(16))
        .map(|d| d as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair.get(1).copied().unwrap_or(0)).collect()
}

fn ascii85(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len());
    let mut group: Vec<u32> = Vec::new();
    let mut flush = |group: &mut Vec<u32>| {
        let len = group.len();
        if len < 2 {
            return;
        }
        group.resize(5, 84);
        let value = group.iter().fold(0u32, |acc, digit| acc.wrapping_mul(85).wrapping_add(*digit));
        out.extend_from_slice(&value.to_be_bytes()[..len - 1]);
        group.clear();
    };
    for byte in data {
        match byte {
            b'~' => break,
            b'z' if group.is_empty() => {
                group.resize(5, 0);
                flush(&mut group);
            }
            b'!'..=b'u' => {
                group.push(u32::from(byte - b'!'));
                if group.len() == 5 {
                    flush(&mut group);
                }
            }
            _ => {}
        }
    }
    flush(&mut group);
    out
}

fn to_ascii85(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / 4 * 5 + 7);
    for chunk in data.chunks(4) {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        let mut value = u32::from_be_bytes(word);
        if value == 0 && chunk.len() == 4 {
            out.push(b'z');
            continue;
        }
        let mut digits = [0; 5];
        for digit in digits.iter_mut().rev() {
            *digit = b'!' + (value % 85) as u8;
            value /= 85;
        }
        out.extend_from_slice(&digits[..=chunk.len()]);
    }
    out
}

/// Data packed by a filter chain into exactly `room` bytes, if it can be done.
fn pack(data: &[u8], filters: &[Filter], room: usize) -> Option<Vec<u8>> {
    match filters {
        [] => (data.len() == room).then(|| data.to_vec()),
        [Filter::Flate] => zlib_of_length(data, room),
        [outer, rest @ ..] => {
            // What the text form adds is not known beforehand: from tight to loose, filled with white space.
            let inner = match rest {
                [Filter::Flate] => {
                    // Four bytes become five characters, or two.
                    let most = if *outer == Filter::Ascii85 { (room - 2.min(room)) / 5 * 4 } else { room / 2 };
                    let plain = zlib(data, false);
                    if plain.len() <= most { plain } else { zlib_of_length(data, most)? }
                }
                [] => data.to_vec(),
                _ => return None,
            };
            let (mut out, end): (Vec<u8>, &[u8]) = match outer {
                Filter::Ascii85 => (to_ascii85(&inner), b"~>"),
                Filter::AsciiHex => (inner.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect(), b">"),
                Filter::Flate => return None,
            };
            if out.len() + end.len() > room {
                return None;
            }
            out.resize(room - end.len(), b'\n');
            out.extend_from_slice(end);
            Some(out)
        }
    }
}

/// A zlib stream; with `open` its last block is empty and stored, so that more empty ones can be put before it.
fn zlib(data: &[u8], open: bool) -> Vec<u8> {
    let mut compress = Compress::new(Compression::best(), true);
    let mut out = Vec::with_capacity(data.len() + data.len() / 100 + 64);
    let flush = if open { FlushCompress::Sync } else { FlushCompress::Finish };
    loop {
        let consumed = compress.total_in() as usize;
        let before = out.len();
        out.reserve(1024);
        if compress.compress_vec(&data[consumed..], &mut out, flush).is_err() {
            return out;
        }
        if compress.total_in() as usize == data.len() && (out.len() < out.capacity() || out.len() == before) {
            break;
        }
    }
    if open {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
        out.extend_from_slice(&adler32(data).to_be_bytes());
    }
    out
}

fn adler32(data: &[u8]) -> u32 {
    let (mut a, mut b) = (1u32, 0u32);
    for chunk in data.chunks(5552) {
        for byte in chunk {
            a += u32::from(*byte);
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    b << 16 | a
}

/// A zlib stream of exactly `room` bytes: filled with empty blocks, which every reader takes, or behind its end.
fn zlib_of_length(data: &[u8], room: usize) -> Option<Vec<u8>> {
    let open = zlib(data, true);
    if open.len() <= room {
        let fill = room - open.len();
        // Five bytes are an empty stored block, six a stored one after an empty block of fixed codes (RFC 1951 §3.2).
        if let Some(sixes) = (0..5).find(|sixes| sixes * 6 <= fill && (fill - sixes * 6).is_multiple_of(5)) {
            let cut = open.len() - 9;
            let mut out = open[..cut].to_vec();
            for _ in 0..sixes {
                out.extend_from_slice(&[0x02, 0x00, 0x00, 0x00, 0xff, 0xff]);
            }
            for _ in 0..(fill - sixes * 6) / 5 {
                out.extend_from_slice(&[0, 0, 0, 0xff, 0xff]);
            }
            out.extend_from_slice(&open[cut..]);
            return Some(out);
        }
    }
    let mut closed = zlib(data, false);
    if closed.len() > room && room > 0 && data.len() <= TIGHT {
        closed.clear();
        let options = zopfli::Options {
            iteration_count: std::num::NonZeroU64::new(5).unwrap_or(std::num::NonZeroU64::MIN),
            ..zopfli::Options::default()
        };
        zopfli::compress(options, zopfli::Format::Zlib, data, &mut closed).ok()?;
    }
    if closed.len() > room {
        return None;
    }
    closed.resize(room, b'\n');
    Some(closed)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    proptest::proptest! {
        #[test]
        fn a_stream_is_filled_to_any_length(data in proptest::collection::vec(proptest::num::u8::ANY, 0..300), more in 0usize..60) {
            let room = zlib(&data, false).len() + more;
            let packed = zlib_of_length(&data, room).unwrap();
            proptest::prop_assert_eq!(packed.len(), room);
            let mut out = Vec::new();
            flate2::read::ZlibDecoder::new(&packed[..]).read_to_end(&mut out).unwrap();
            proptest::prop_assert_eq!(&out, &data);
            proptest::prop_assert_eq!(ascii85(&to_ascii85(&data)), data);
        }
    }
}
