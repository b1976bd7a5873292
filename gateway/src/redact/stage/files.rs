//! Content that is more than text: signed, in a format that is not read, a file's name.

use super::{
    CharEdit, Charset, ClearSigned, EditSet, Kind, Mode, Place, Range, RawOffset, Refusal, SignedParts, Stage, Style,
    prefilter,
};

impl Stage<'_> {
    /// Text under a PGP signature of its own (RFC 9580 §7): changing it takes the signature.
    pub(super) fn signed_text(
        &mut self,
        content: &[u8],
        label: Option<&[u8]>,
        kind: Kind,
        signed: &ClearSigned,
        place: &Place,
    ) -> Result<EditSet, Refusal> {
        let mut edits = self.text_content(content, label, kind, place)?;
        let inside = |range: Range<usize>| range.start < signed.end.end && range.end > signed.head.start;
        if self.redacts() && edits.ranges().any(|(range, _)| inside(range.start.0..range.end.0)) {
            if self.policy.signed_parts == SignedParts::Reject {
                return Err(Refusal::SignedPart { part: place.part.clone() });
            }
            for cut in [&signed.head, &signed.end] {
                edits.replace(RawOffset(cut.start)..RawOffset(cut.end), b"");
            }
        }
        Ok(edits)
    }

    /// Bytes of a format that is not read: what stands in it as plain text is struck out all the same. Zero bytes show
    /// nothing, so that two-byte text is read too.
    pub fn opaque(&mut self, content: &[u8], reason: &str, place: &Place) -> Result<EditSet, Refusal> {
        self.unscannable(place, reason)?;
        self.scattered(content, place)
    }

    /// Text that stands here and there in bytes of another kind.
    pub fn scattered(&mut self, content: &[u8], place: &Place) -> Result<EditSet, Refusal> {
        let mut edits = EditSet::new();
        for range in prefilter::dense(content) {
            let piece = &content[range.clone()];
            let text = Charset::Utf8.decode(piece);
            let found = self.readings(&text, Kind::Rtf, None, Style::Text, place)?;
            if !found.is_empty() {
                edits.absorb(Charset::Utf8.patch(piece, &text, &found), RawOffset(range.start));
            }
        }
        Ok(edits)
    }

    /// Opaque S/MIME: a number under the signature cannot be taken out without it.
    pub(super) fn opaque_signed(&mut self, content: &[u8], place: &Place) -> Result<EditSet, Refusal> {
        let before = self.hits.len();
        let text = Charset::Utf8.decode(content);
        let found = self.readings(&text, Kind::Rtf, None, Style::Text, place)?;
        if !found.is_empty() && self.policy.mode == Mode::Redact {
            self.hits.truncate(before);
            return Err(Refusal::SignedPart { part: place.part.clone() });
        }
        Ok(EditSet::new())
    }

    /// A file's name with its numbers struck out, if it holds any.
    pub fn file_name(&mut self, name: &[u8], place: &Place) -> Result<Option<Vec<u8>>, Refusal> {
        let text = Charset::Utf8.decode(name);
        let place = Place { place: "file name".into(), ..place.clone() };
        let found = self.readings(&text, Kind::Rtf, None, Style::FileName, &place)?;
        Ok((!found.is_empty()).then(|| Charset::Utf8.patch(name, &text, &found).apply(name)))
    }

    /// The edits of a text without markup.
    pub fn plain(&mut self, text: &str, place: &Place) -> Result<Vec<CharEdit>, Refusal> {
        self.readings(text, Kind::Rtf, None, Style::Text, place)
    }
}
