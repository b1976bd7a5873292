//! The walk over one message: header fields, parts, what is in them; everything that is found ends in one edit set.

use std::collections::HashSet;
use std::ops::Range;

use super::allow::Allow;
use super::kind::{self, Kind};
use super::scan::{Findings, Rules, Style, scan};
use super::{
    Hit, Limits, Mode, Policy, Refusal, Report, SignedParts, Unscannable, Unscanned, escapes, header, html, prefilter,
};
use crate::message::{
    self, CharEdit, Charset, ContentType, EditSet, Field, RawOffset, TextOffset, Transfer, View, normalise, wipe,
};

/// What is known of the bytes at hand, for reports and decisions.
#[derive(Clone)]
pub struct Place {
    /// The MIME part.
    pub part: String,
    /// Where in it.
    pub place: String,
    /// The declared media type.
    pub media: String,
    /// Archives around it.
    pub archives: usize,
}

/// One pass over one message.
pub struct Stage<'p> {
    policy: &'p Policy,
    /// Bounds.
    pub limits: &'p Limits,
    allow: Allow,
    hits: Vec<Hit>,
    unscanned: Vec<Unscanned>,
    parts: usize,
    /// Bytes unpacked so far.
    pub expanded: usize,
    /// In mode reject a number under a signature is refused by the first reason that applies.
    signed: Vec<String>,
}

impl<'p> Stage<'p> {
    /// A stage that has seen nothing.
    pub fn new(policy: &'p Policy, limits: &'p Limits) -> Self {
        let allow = Allow::new(&policy.allow);
        Self {
            policy,
            limits,
            allow,
            hits: Vec::new(),
            unscanned: Vec::new(),
            parts: 0,
            expanded: 0,
            signed: Vec::new(),
        }
    }

    /// The report.
    pub fn finish(self) -> Report {
        Report { hits: self.hits, unscanned: self.unscanned }
    }

    /// The edits of a whole message.
    pub fn message(&mut self, bytes: &[u8]) -> Result<EditSet, Refusal> {
        let mut edits = EditSet::new();
        self.entity(
            bytes,
            0..bytes.len(),
            &Node { path: String::new(), depth: 0, is_message: true, archives: 0 },
            &mut edits,
        )?;
        Ok(edits)
    }

    /// A part that cannot be read.
    pub fn unscannable(&mut self, place: &Place, reason: impl Into<String>) -> Result<(), Refusal> {
        let reason = reason.into();
        match self.policy.unscannable {
            Unscannable::Reject => Err(Refusal::Unscannable { part: place.part.clone(), reason }),
            Unscannable::Deliver => {
                let entry = Unscanned { part: place.part.clone(), reason };
                if !self.unscanned.contains(&entry) {
                    self.unscanned.push(entry);
                }
                Ok(())
            }
        }
    }

    /// Counts bytes that an archive unpacked to.
    pub fn expand(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.expanded += bytes;
        if self.expanded > self.limits.expansion {
            return Err(Refusal::Limit(format!("archives unpack to more than {} bytes", self.limits.expansion)));
        }
        Ok(())
    }

    fn entity(&mut self, bytes: &[u8], range: Range<usize>, node: &Node, edits: &mut EditSet) -> Result<(), Refusal> {
        self.parts += 1;
        if node.depth > self.limits.mime_depth {
            return Err(Refusal::Limit(format!("parts nested more than {} deep", self.limits.mime_depth)));
        }
        if self.parts > self.limits.mime_parts {
            return Err(Refusal::Limit(format!("more than {} parts", self.limits.mime_parts)));
        }
        let (fields, body) = message::header(bytes, range.clone());
        let body = body.min(range.end)..range.end;
        let mut content_type = ContentType::plain();
        let mut type_field = None;
        let mut transfer = Transfer::Identity;
        let mut name = String::new();
        for field in &fields {
            let key = field.key(bytes);
            match key.as_str() {
                "content-type" if type_field.is_none() => {
                    content_type = ContentType::parse(bytes, field.value.clone());
                    type_field = Some(field.clone());
                }
                "content-transfer-encoding" => transfer = Transfer::from_label(&bytes[field.value.clone()]),
                "content-disposition" => {
                    name = ContentType::file_name(bytes, field.value.clone()).unwrap_or_default();
                }
                _ => {}
            }
            self.field(bytes, field, &key, node, edits)?;
        }
        if name.is_empty() {
            name = content_type.name.clone().unwrap_or_default();
        }
        if content_type.media.starts_with("multipart/") {
            if let Some(boundary) = content_type.boundary.clone().filter(|boundary| !boundary.is_empty()) {
                let multipart = MultipartBody {
                    bytes,
                    body,
                    transfer,
                    boundary: &boundary,
                    content_type: &content_type,
                    type_field,
                };
                return self.multipart(&multipart, node, edits);
            }
        }
        let part = if node.is_message { node.child(1) } else { node.path.clone() };
        let place = Place { part, place: "body".into(), media: content_type.media.clone(), archives: node.archives };
        let raw = &bytes[body.clone()];
        let found = self.leaf(raw, transfer, &content_type, &name, &place, node.depth)?;
        edits.absorb(found, RawOffset(body.start));
        Ok(())
    }

    fn multipart(&mut self, it: &MultipartBody<'_>, node: &Node, edits: &mut EditSet) -> Result<(), Refusal> {
        let place = Place {
            part: node.part(),
            place: "body".into(),
            media: it.content_type.media.clone(),
            archives: node.archives,
        };
        if it.transfer != Transfer::Identity {
            // Forbidden by RFC 2045 §6.4, and read by some programs all the same.
            let raw = &it.bytes[it.body.clone()];
            let content = it.transfer.decode(raw).into_owned();
            let mut inner = EditSet::new();
            let again = MultipartBody {
                bytes: &content,
                body: 0..content.len(),
                transfer: Transfer::Identity,
                type_field: None,
                ..*it
            };
            self.multipart(&again, &node.deeper(), &mut inner)?;
            edits.absorb(write_back(it.transfer, raw, &content, &inner), RawOffset(it.body.start));
            return Ok(());
        }
        let Some(cut) = message::parts(it.bytes, it.body.clone(), it.boundary, self.limits.mime_parts) else {
            let found = self.text_content(&it.bytes[it.body.clone()], None, Kind::Text, &place)?;
            edits.absorb(found, RawOffset(it.body.start));
            return Ok(());
        };
        for outside in [cut.preamble, cut.epilogue] {
            let found = self.text_content(&it.bytes[outside.clone()], None, Kind::Text, &place)?;
            edits.absorb(found, RawOffset(outside.start));
        }
        if it.content_type.media == "multipart/encrypted" {
            self.unscannable(&place, "encrypted")?;
        }
        let signed = it.content_type.media == "multipart/signed" && cut.parts.len() >= 2;
        let before = self.hits.len();
        for (i, part) in cut.parts.iter().enumerate() {
            let child =
                Node { path: node.child(i + 1), depth: node.depth + 1, is_message: false, archives: node.archives };
            if signed && i == 0 && self.policy.mode == Mode::Redact {
                let mut inner = EditSet::new();
                self.signed.push(child.path.clone());
                self.entity(it.bytes, part.clone(), &child, &mut inner)?;
                self.signed.pop();
                if !inner.is_empty() || self.hits.len() > before {
                    if self.policy.signed_parts == SignedParts::Reject {
                        return Err(Refusal::SignedPart { part: child.path });
                    }
                    drop_signature(it, &cut.parts, edits);
                    edits.absorb(inner, RawOffset(0));
                    return Ok(());
                }
                continue;
            }
            self.entity(it.bytes, part.clone(), &child, edits)?;
        }
        Ok(())
    }

    fn field(
        &mut self,
        bytes: &[u8],
        field: &Field,
        key: &str,
        node: &Node,
        edits: &mut EditSet,
    ) -> Result<(), Refusal> {
        if header::is_identifier(key) || field.value.len() < 12 {
            return Ok(());
        }
        let raw = &bytes[field.value.clone()];
        let encoded = memchr::memmem::find(raw, b"=?").is_some();
        if !encoded && !prefilter::any_escaped(raw) {
            return Ok(());
        }
        let with_parameters = matches!(key, "content-type" | "content-disposition");
        let text = if with_parameters {
            header::Text::of_parameters(bytes, key, field.value.clone())
        } else {
            header::Text::of_field(bytes, key, field.value.clone())
        };
        let name = String::from_utf8_lossy(&bytes[field.name.clone()]).trim().to_owned();
        let part = if node.path.is_empty() { "header".to_owned() } else { node.path.clone() };
        let place = Place { part, place: name, media: String::new(), archives: node.archives };
        let style = if with_parameters { Style::FileName } else { Style::Text };
        let found = self.readings(text.text(), Kind::Text, style, &place)?;
        if !found.is_empty() {
            edits.absorb(text.write(bytes, &found), RawOffset(0));
        }
        Ok(())
    }

    fn leaf(
        &mut self,
        raw: &[u8],
        transfer: Transfer,
        declared: &ContentType,
        name: &str,
        place: &Place,
        depth: usize,
    ) -> Result<EditSet, Refusal> {
        // Every encoded digit has an ASCII digit in its escape, so that text without digits is never decoded.
        let plain = matches!(transfer, Transfer::Identity | Transfer::QuotedPrintable)
            && declared.media.starts_with("text/")
            && declared.charset.as_deref().is_none_or(|label| Charset::from_label(label).is_ascii_superset());
        if plain && !prefilter::any_escaped(raw) && memchr::memchr3(0, 0x1b, 0xff, raw).is_none() {
            return Ok(EditSet::new());
        }
        let content = transfer.decode(raw);
        let label = declared.charset.as_deref();
        let kind = kind::of(&declared.media, name, &content);
        let is_message = kind == Kind::Message;
        let inner = if is_message && transfer == Transfer::Identity || is_message {
            let mut inner = EditSet::new();
            let node = Node { path: place.part.clone(), depth: depth + 1, is_message: true, archives: place.archives };
            self.entity(&content, 0..content.len(), &node, &mut inner)?;
            inner
        } else {
            self.file(&content, label, kind, declared, name, place)?
        };
        let edits = write_back(transfer, raw, &content, &inner);
        if let std::borrow::Cow::Owned(content) = content {
            if !inner.is_empty() {
                wipe(content);
            }
        }
        Ok(edits)
    }

    /// Content of any kind but messages.
    pub fn file(
        &mut self,
        content: &[u8],
        label: Option<&[u8]>,
        kind: Kind,
        declared: &ContentType,
        _name: &str,
        place: &Place,
    ) -> Result<EditSet, Refusal> {
        match kind {
            Kind::Text | Kind::Html | Kind::Xml | Kind::Json | Kind::Rtf | Kind::Message => {
                if armored(content) {
                    self.unscannable(place, "PGP encrypted")?;
                    return Ok(EditSet::new());
                }
                self.text_content(content, label, kind, place)
            }
            Kind::Media => Ok(EditSet::new()),
            Kind::Smime if declared.smime.as_deref() != Some("signed-data") => {
                self.unscannable(place, "S/MIME encrypted")?;
                Ok(EditSet::new())
            }
            Kind::Closed(what) => self.opaque(content, what, place),
            _ => self.opaque(content, "unknown binary format", place),
        }
    }

    /// Bytes of a format that is not read: what stands in it as plain text is struck out all the same.
    fn opaque(&mut self, content: &[u8], reason: &str, place: &Place) -> Result<EditSet, Refusal> {
        self.unscannable(place, reason)?;
        Ok(EditSet::new())
    }

    /// Text in a charset: every reading that a program may make of it.
    pub fn text_content(
        &mut self,
        content: &[u8],
        label: Option<&[u8]>,
        kind: Kind,
        place: &Place,
    ) -> Result<EditSet, Refusal> {
        let charset = Charset::detect(label, content);
        let also = charset.also(content);
        let mut edits = EditSet::new();
        for charset in std::iter::once(charset).chain(also) {
            let text = charset.decode(content);
            let style = if kind == Kind::Json { Style::Json } else { Style::Text };
            let found = self.readings(&text, kind, style, place)?;
            if !found.is_empty() {
                edits.absorb(charset.patch(content, &text, &found), RawOffset(0));
            }
            if let std::borrow::Cow::Owned(text) = text {
                if !found.is_empty() {
                    wipe(text.into_bytes());
                }
            }
        }
        Ok(edits)
    }

    /// The edits of a text, from each way to read it.
    fn readings(&mut self, text: &str, kind: Kind, style: Style, place: &Place) -> Result<Vec<CharEdit>, Refusal> {
        let mut readings = Readings { edits: Vec::new(), known: HashSet::new() };
        let markup = match kind {
            Kind::Html | Kind::Xml => true,
            Kind::Json | Kind::Rtf => false,
            _ => memchr::memchr_iter(b'<', text.as_bytes())
                .take(64)
                .any(|at| text.as_bytes().get(at + 1).is_some_and(u8::is_ascii_alphabetic)),
        };
        if !prefilter::any_escaped(text.as_bytes()) && text.is_ascii() {
            return Ok(readings.edits);
        }
        if markup {
            self.reading(&html::visible(text, kind == Kind::Xml), text, style, place, &mut readings)?;
            self.reading(&html::source(text), text, style, place, &mut readings)?;
        } else {
            self.reading(&View::same(text), text, style, place, &mut readings)?;
            let view = escapes::view(text);
            if !view.is_same() {
                self.reading(&view, text, style, place, &mut readings)?;
            }
        }
        normalise(&mut readings.edits);
        Ok(readings.edits)
    }

    fn reading(
        &mut self,
        view: &View<'_>,
        below: &str,
        style: Style,
        place: &Place,
        out: &mut Readings,
    ) -> Result<(), Refusal> {
        let allow = |text: &str, start: usize, end: usize| self.allow.covers(text, start, end);
        let found = scan(view.text(), &Rules { keep: self.policy.keep, allow: &allow, style });
        if found.numbers.is_empty() {
            return Ok(());
        }
        self.record(view, below, &found, place, out)?;
        out.edits.extend(view.lower(below, &found.edits));
        Ok(())
    }

    fn record(
        &mut self,
        view: &View<'_>,
        below: &str,
        found: &Findings,
        place: &Place,
        out: &mut Readings,
    ) -> Result<(), Refusal> {
        for number in &found.numbers {
            let at = view.source(number.at);
            if !out.known.insert(at) {
                continue;
            }
            if self.policy.mode == Mode::Reject {
                return Err(Refusal::CardNumber { place: describe(place, below, at) });
            }
            self.hits.push(Hit {
                part: place.part.clone(),
                place: place.place.clone(),
                brand: number.brand.to_owned(),
                masked: number.masked.clone(),
            });
        }
        Ok(())
    }
}

/// `part 2 (text/plain) line 14`, `header field Subject`.
fn describe(place: &Place, text: &str, at: TextOffset) -> String {
    if place.media.is_empty() {
        let of = if place.part == "header" { String::new() } else { format!(" of part {}", place.part) };
        return format!("header field {}{of}", place.place);
    }
    let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..at.0.min(text.len())]).count() + 1;
    let inside = if place.place == "body" { String::new() } else { format!(" {}", place.place) };
    format!("part {} ({}){inside} line {line}", place.part, place.media)
}

/// Edits from several readings of one text.
struct Readings {
    edits: Vec<CharEdit>,
    /// Where numbers begin that are known already.
    known: HashSet<TextOffset>,
}

/// Where in the tree of parts.
struct Node {
    path: String,
    depth: usize,
    is_message: bool,
    archives: usize,
}

impl Node {
    fn child(&self, number: usize) -> String {
        if self.path.is_empty() { number.to_string() } else { format!("{}.{number}", self.path) }
    }

    fn part(&self) -> String {
        if self.path.is_empty() { "1".into() } else { self.path.clone() }
    }

    fn deeper(&self) -> Self {
        Self { path: self.path.clone(), depth: self.depth + 1, is_message: self.is_message, archives: self.archives }
    }
}

struct MultipartBody<'a> {
    bytes: &'a [u8],
    body: Range<usize>,
    transfer: Transfer,
    boundary: &'a [u8],
    content_type: &'a ContentType,
    type_field: Option<Field>,
}

/// Edits of content as edits of its encoded form.
fn write_back(transfer: Transfer, raw: &[u8], content: &[u8], inner: &EditSet) -> EditSet {
    if inner.is_empty() {
        return EditSet::new();
    }
    if let Some(changes) = inner.bytes() {
        return transfer.patch(raw, &changes);
    }
    let changed = inner.apply(content);
    let mut edits = EditSet::new();
    edits.replace(RawOffset(0)..RawOffset(raw.len()), transfer.encode_like(raw, &changed));
    wipe(changed);
    edits
}

/// A signed multipart becomes a mixed one with the signed part alone.
fn drop_signature(it: &MultipartBody<'_>, parts: &[Range<usize>], edits: &mut EditSet) {
    edits.replace(RawOffset(parts[0].end)..RawOffset(parts[1].end), Vec::new());
    if let Some(field) = &it.type_field {
        let boundary = String::from_utf8_lossy(it.boundary);
        let value = format!(" multipart/mixed; boundary=\"{boundary}\"");
        edits.replace(RawOffset(field.value.start)..RawOffset(field.value.end), value.into_bytes());
    }
}

/// An encrypted PGP message in ASCII armor.
fn armored(content: &[u8]) -> bool {
    content.trim_ascii_start().starts_with(b"-----BEGIN PGP MESSAGE-----")
}

/// Redacts a value of the envelope.
pub fn xtext(place: &str, value: &mut String, policy: &Policy, hits: &mut Vec<Hit>) -> Result<(), Refusal> {
    let limits = Limits::default();
    let mut stage = Stage::new(policy, &limits);
    let text = header::Text::of_xtext(value);
    let at = Place { part: "envelope".into(), place: place.to_owned(), media: String::new(), archives: 0 };
    let found = stage.readings(text.text(), Kind::Text, Style::Text, &at)?;
    hits.append(&mut stage.hits);
    if !found.is_empty() && policy.mode != Mode::Report {
        let changed = text.write(value.as_bytes(), &found).apply(value.as_bytes());
        *value = String::from_utf8_lossy(&changed).into_owned();
    }
    Ok(())
}
