//! The nodes of a message, and small steps of the walk over it.

use memchr::memmem;

use super::{
    CharEdit, ContentType, EditSet, Field, HashSet, Hit, Kind, Limits, Mode, Place, Policy, Range, RawOffset, Refusal,
    Stage, Style, TextOffset, Transfer, header, safe, wipe,
};

/// `part 2 (text/plain) line 14`, `header field Subject`.
pub(super) fn describe(place: &Place, text: &str, at: TextOffset) -> String {
    let name = safe(&place.place);
    if place.media.is_empty() {
        let of = if place.part == "header" { String::new() } else { format!(" of part {}", place.part) };
        return format!("header field {name}{of}");
    }
    let line = memchr::memchr_iter(b'\n', &text.as_bytes()[..at.0.min(text.len())]).count() + 1;
    let inside = if place.place == "body" { String::new() } else { format!(" {name}") };
    format!("part {} ({}){inside} line {line}", place.part, safe(&place.media))
}

/// Edits from several readings of one text.
pub(super) struct Readings {
    pub(super) edits: Vec<CharEdit>,
    /// Where numbers begin that are known already.
    pub(super) known: HashSet<TextOffset>,
}

/// Where in the tree of parts.
pub(super) struct Node {
    pub(super) path: String,
    pub(super) depth: usize,
    pub(super) is_message: bool,
    /// A part of a digest: without a type of its own it is a message.
    pub(super) in_digest: bool,
    pub(super) archives: usize,
}

impl Node {
    pub(super) fn child(&self, number: usize) -> String {
        if self.path.is_empty() { number.to_string() } else { format!("{}.{number}", self.path) }
    }

    pub(super) fn part(&self) -> String {
        if self.path.is_empty() { "1".into() } else { self.path.clone() }
    }

    pub(super) fn deeper(&self) -> Self {
        Self {
            path: self.path.clone(),
            depth: self.depth + 1,
            is_message: self.is_message,
            in_digest: self.in_digest,
            archives: self.archives,
        }
    }
}

pub(super) struct MultipartBody<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) body: Range<usize>,
    pub(super) transfer: Transfer,
    pub(super) boundary: &'a [u8],
    pub(super) content_type: &'a ContentType,
    pub(super) type_field: Option<Field>,
}

/// Edits of content as edits of its encoded form.
pub(super) fn write_back(transfer: Transfer, raw: &[u8], content: &[u8], inner: EditSet) -> EditSet {
    if inner.is_empty() || transfer == Transfer::Identity {
        return inner;
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
pub(super) fn drop_signature(it: &MultipartBody<'_>, parts: &[Range<usize>], edits: &mut EditSet) {
    edits.replace(RawOffset(parts[0].end)..RawOffset(parts[1].end), b"");
    if let Some(field) = &it.type_field {
        let boundary = String::from_utf8_lossy(it.boundary);
        let value = format!(" multipart/mixed; boundary=\"{boundary}\"");
        edits.replace(RawOffset(field.value.start)..RawOffset(field.value.end), value.into_bytes());
    }
}

/// Nothing but an encrypted PGP message in ASCII armor?
pub(super) fn armored(content: &[u8]) -> bool {
    content.trim_ascii_start().starts_with(b"-----BEGIN PGP MESSAGE-----")
}

/// A clear-signed PGP text: what stands before it and behind it.
pub(super) struct ClearSigned {
    /// From the first dashes to the empty line behind the hash's name.
    pub(super) head: Range<usize>,
    /// The signature, dashes included.
    pub(super) end: Range<usize>,
}

/// The first clear-signed text in `content`.
pub(super) fn clear_signed(content: &[u8]) -> Option<ClearSigned> {
    const HEAD: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
    const SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";
    const END: &[u8] = b"-----END PGP SIGNATURE-----";
    let start = memmem::find(content, HEAD)?;
    let empty = |line: &[u8]| memmem::find(&content[start..], line).map(|at| start + at + line.len());
    let text = empty(b"\r\n\r\n").into_iter().chain(empty(b"\n\n")).min()?;
    let signature = text + memmem::find(&content[text..], SIGNATURE)?;
    let end = memmem::find(&content[signature..], END).map_or(content.len(), |at| signature + at + END.len());
    Some(ClearSigned { head: start..text, end: signature..end })
}

/// Redacts a value of the envelope.
pub fn xtext(place: &str, value: &mut String, policy: &Policy, hits: &mut Vec<Hit>) -> Result<(), Refusal> {
    let limits = Limits::default();
    let mut stage = Stage::new(policy, &limits);
    let text = header::Text::of_xtext(value);
    let at = Place { part: "envelope".into(), place: place.to_owned(), media: String::new(), archives: 0 };
    let found = stage.readings(text.text(), Kind::Text, None, Style::Text, &at)?;
    hits.append(&mut stage.hits);
    if !found.is_empty() && policy.mode != Mode::Report {
        let changed = text.write(value.as_bytes(), &found).apply(value.as_bytes());
        *value = String::from_utf8_lossy(&changed).into_owned();
    }
    Ok(())
}
