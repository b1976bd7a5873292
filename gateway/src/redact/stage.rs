//! The walk over one message: header fields, parts, what is in them; everything that is found ends in one edit set.

mod files;
mod nodes;
mod texts;

pub use nodes::xtext;
use nodes::{ClearSigned, MultipartBody, Node, Readings, armored, clear_signed, describe, drop_signature, write_back};

use std::collections::HashSet;
use std::ops::Range;

use memchr::memmem;

use super::allow::Allow;
use super::html::Markup;
use super::kind::{self, Kind};
use super::scan::{Found, Rules, Style, scan};
use super::{
    Hit, Limits, Mode, Policy, Refusal, Report, SignedParts, Unscannable, Unscanned, archive, escapes, header, html,
    pdf, prefilter, rtf, tnef, zip,
};
use crate::message::{
    self, CharEdit, Charset, ContentType, EditSet, Field, RawOffset, TextOffset, Transfer, View, normalise, wipe,
};

/// What is known of the bytes at hand, for reports and decisions.
#[derive(Clone)]
#[allow(clippy::struct_field_names)] // the report calls it the place too
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

impl Place {
    /// A file in what this is.
    pub fn inside(&self, name: &str) -> Self {
        let place = if self.place == "body" { format!("file {name}") } else { format!("{}/{name}", self.place) };
        Self { place, ..self.clone() }
    }

    /// One archive further down.
    fn deeper(&self) -> Self {
        Self { archives: self.archives + 1, ..self.clone() }
    }
}

/// A name as reports may show it: without digits if it could hold a number.
fn safe(name: &str) -> String {
    if name.chars().filter(|c| c.is_numeric()).count() < 12 {
        return name.to_owned();
    }
    name.chars().map(|c| if c.is_numeric() { 'x' } else { c }).collect()
}

fn wide(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// Numbers of one message that the report names one by one; all others are struck out like them.
const MOST_HITS: usize = 10_000;

/// One pass over one message.
pub struct Stage<'p> {
    policy: &'p Policy,
    /// Bounds.
    pub limits: &'p Limits,
    allow: Allow,
    hits: Vec<Hit>,
    /// Numbers found, those included that the report has no room for.
    found: usize,
    unscanned: Vec<Unscanned>,
    parts: usize,
    /// How deep the part at hand is nested.
    depth: usize,
    /// Bytes unpacked so far.
    pub expanded: usize,
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
            found: 0,
            unscanned: Vec::new(),
            parts: 0,
            depth: 0,
            expanded: 0,
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
            &Node { path: String::new(), depth: 0, is_message: true, in_digest: false, archives: 0 },
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
        let mut transfer = None;
        let mut name = String::new();
        for field in &fields {
            let key = field.key(bytes);
            match key.as_str() {
                "content-type" if type_field.is_none() => {
                    content_type = ContentType::parse(bytes, field.value.clone());
                    type_field = Some(field.clone());
                }
                "content-transfer-encoding" if transfer.is_none() => {
                    transfer = Some(Transfer::from_label(&bytes[field.value.clone()]));
                }
                "content-disposition" => {
                    name = ContentType::file_name(bytes, field.value.clone()).unwrap_or_default();
                }
                _ => {}
            }
            self.field(bytes, field, &key, node, edits)?;
        }
        let transfer = transfer.unwrap_or(Transfer::Identity);
        if node.in_digest && type_field.is_none() {
            // RFC 2046 §5.1.5.
            "message/rfc822".clone_into(&mut content_type.media);
        }
        if name.is_empty() {
            name = content_type.name.clone().unwrap_or_default();
        }
        if content_type.media.starts_with("multipart/")
            && let Some(boundary) = content_type.boundary.clone().filter(|boundary| !boundary.is_empty())
        {
            let multipart =
                MultipartBody { bytes, body, transfer, boundary: &boundary, content_type: &content_type, type_field };
            return self.multipart(&multipart, node, edits);
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
            edits.absorb(write_back(it.transfer, raw, &content, inner), RawOffset(it.body.start));
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
        let before = self.found;
        for (i, part) in cut.parts.iter().enumerate() {
            let child = Node {
                path: node.child(i + 1),
                depth: node.depth + 1,
                is_message: false,
                in_digest: it.content_type.media == "multipart/digest",
                archives: node.archives,
            };
            if signed && i == 0 && self.policy.mode == Mode::Redact {
                let mut inner = EditSet::new();
                self.entity(it.bytes, part.clone(), &child, &mut inner)?;
                if !inner.is_empty() || self.found > before {
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
        let encoded = memmem::find(raw, b"=?").is_some();
        if !encoded && !prefilter::any_escaped(raw, prefilter::Reach::Text) {
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
        let found = self.readings(text.text(), Kind::Text, None, style, &place)?;
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
            && match declared.charset.as_deref().map_or(Charset::Utf8, Charset::from_label) {
                Charset::Utf8 => true,
                // Wide digits of these have bytes that are no digits.
                other => other.is_ascii_superset() && raw.is_ascii(),
            };
        let reach = match declared.media.as_str() {
            "text/plain" => prefilter::Reach::Text,
            _ => prefilter::Reach::Markup,
        };
        if plain && !prefilter::any_escaped(raw, reach) && memchr::memchr3(0, 0x1b, 0xff, raw).is_none() {
            return Ok(EditSet::new());
        }
        let content = transfer.decode(raw);
        let label = declared.charset.as_deref();
        let kind = kind::of(&declared.media, name, &content);
        let inner = if kind == Kind::Message {
            self.depth = depth;
            self.nested_message(&content, place)?
        } else {
            self.depth = depth;
            self.file(&content, label, kind, declared, name, place)?
        };
        let changed = !inner.is_empty();
        let edits = write_back(transfer, raw, &content, inner);
        if let std::borrow::Cow::Owned(content) = content
            && changed
        {
            wipe(content);
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
        name: &str,
        place: &Place,
    ) -> Result<EditSet, Refusal> {
        match kind {
            Kind::Text | Kind::Html | Kind::Xml | Kind::Json | Kind::Rtf | Kind::Message => {
                if armored(content) {
                    self.unscannable(place, "PGP encrypted")?;
                    return Ok(EditSet::new());
                }
                if declared.media == "message/partial" {
                    self.unscannable(place, "piece of a message")?;
                }
                if let Some(signed) = clear_signed(content) {
                    return self.signed_text(content, label, kind, &signed, place);
                }
                self.text_content(content, label, kind, place)
            }
            Kind::Media => Ok(EditSet::new()),
            Kind::Zip => zip::redact(self, content, &place.deeper()),
            Kind::Gzip => archive::gzip(self, content, name, &place.deeper()),
            Kind::Tar => archive::tar(self, content, &place.deeper()),
            Kind::Smime if declared.smime.as_deref() != Some("signed-data") => {
                self.unscannable(place, "S/MIME encrypted")?;
                Ok(EditSet::new())
            }
            Kind::Ole if memmem::find(content, &wide("EncryptedPackage")).is_some() => {
                self.unscannable(place, "encrypted Office file")?;
                Ok(EditSet::new())
            }
            Kind::Ole => self.opaque(content, "old Office format, read as plain text only", place),
            Kind::Tnef => tnef::redact(self, content, place),
            Kind::Smime => self.opaque_signed(content, place),
            Kind::Closed(what) => self.opaque(content, what, place),
            Kind::Pdf => pdf::redact(self, content, place),
            Kind::Unknown => self.opaque(content, "unknown binary format, read as plain text only", place),
        }
    }

    /// A message inside a part or an archive.
    pub fn nested_message(&mut self, content: &[u8], place: &Place) -> Result<EditSet, Refusal> {
        let mut inner = EditSet::new();
        let depth = self.depth + 1;
        let node =
            Node { path: place.part.clone(), depth, is_message: true, in_digest: false, archives: place.archives };
        self.entity(content, 0..content.len(), &node, &mut inner)?;
        self.depth = depth - 1;
        Ok(inner)
    }

    /// How many numbers were found so far.
    pub fn hits(&self) -> usize {
        self.found
    }

    /// Does this pass change what it finds?
    pub fn redacts(&self) -> bool {
        self.policy.mode == Mode::Redact
    }

    /// What becomes of parts under a signature.
    pub fn signed_parts(&self) -> SignedParts {
        self.policy.signed_parts
    }

    /// What stays readable.
    pub fn keep(&self) -> super::Keep {
        self.policy.keep
    }

    /// Is this a number of the tenant's own?
    pub fn allows(&self, text: &str) -> bool {
        self.allow.covers(text, 0, text.len())
    }

    /// Notes a number, or refuses the message for it.
    pub fn hit(
        &mut self,
        place: &Place,
        brand: &str,
        masked: String,
        text: &str,
        at: TextOffset,
    ) -> Result<(), Refusal> {
        if self.policy.mode == Mode::Reject {
            return Err(Refusal::CardNumber { place: describe(place, text, at) });
        }
        self.found += 1;
        if self.hits.len() < MOST_HITS {
            let (part, place) = (place.part.clone(), safe(&place.place));
            self.hits.push(Hit { part, place, brand: brand.to_owned(), masked });
        }
        Ok(())
    }
}
