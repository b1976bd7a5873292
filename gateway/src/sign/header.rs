//! A header as raw bytes: split without loss, edited field by field, written back.
//!
//! Promises: the fields, the separator and the body of any input put together are the input; a field that nobody
//! edits keeps its bytes. Lines that are no fields (no colon, white space first, an mbox "From " line) are kept
//! as nameless fields, for the caller to refuse. RFC 5322 §2.2.

use std::borrow::Cow;

/// One field, or one line that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field<'m> {
    raw: Cow<'m, [u8]>,
    /// Octets of the name; 0 for a line that is no field.
    name: usize,
    /// Where the value starts, after the colon.
    value: usize,
}

const fn is_name_octet(octet: u8) -> bool {
    matches!(octet, 33..=126) && octet != b':'
}

impl<'m> Field<'m> {
    fn parse(raw: Cow<'m, [u8]>) -> Self {
        let name = raw.iter().take_while(|&&octet| is_name_octet(octet)).count();
        let blank = raw[name..].iter().take_while(|&&octet| octet == b' ' || octet == b'\t').count();
        if name > 0 && raw.get(name + blank) == Some(&b':') {
            Self { raw, name, value: name + blank + 1 }
        } else {
            Self { raw, name: 0, value: 0 }
        }
    }

    /// A field `name: value`; `value` may be folded already and has no final CRLF.
    pub(super) fn new(name: &str, value: &[u8]) -> Field<'static> {
        let mut raw = Vec::with_capacity(name.len() + value.len() + 4);
        raw.extend_from_slice(name.as_bytes());
        raw.extend_from_slice(b": ");
        raw.extend_from_slice(value);
        raw.extend_from_slice(b"\r\n");
        Field::parse(Cow::Owned(raw))
    }

    /// The name as written; empty for a line that is no field.
    pub(super) fn name(&self) -> &[u8] {
        &self.raw[..self.name]
    }

    /// Is this its name? Names have no case.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name > 0 && self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// The name for a text to people.
    pub(super) fn shown_name(&self) -> String {
        String::from_utf8_lossy(self.name()).into_owned()
    }

    /// Everything after the colon, foldings and final CRLF included.
    pub(super) fn value(&self) -> &[u8] {
        &self.raw[self.value..]
    }

    /// The value on one line, white space at its ends removed.
    pub(super) fn unfolded(&self) -> Cow<'_, [u8]> {
        let value = self.value().trim_ascii();
        if value.contains(&b'\n') || value.contains(&b'\r') {
            Cow::Owned(value.iter().copied().filter(|&octet| octet != b'\r' && octet != b'\n').collect())
        } else {
            Cow::Borrowed(value)
        }
    }

    /// All bytes.
    pub(super) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Puts another value behind the same name; without final CRLF.
    pub(super) fn replace_value(&mut self, value: &[u8]) {
        *self = Field::new(&self.shown_name(), value);
    }

    /// Replaces the bytes after the colon, which end in CRLF.
    pub(super) fn replace_raw_value(&mut self, value: &[u8]) {
        let mut raw = self.raw[..self.value].to_vec();
        raw.extend_from_slice(value);
        self.raw = Cow::Owned(raw);
    }

    /// Gives the last field of a header that just stops its CRLF.
    pub(super) fn end_line(&mut self) {
        if !self.raw.ends_with(b"\r\n") {
            self.raw.to_mut().extend_from_slice(b"\r\n");
        }
    }

    /// Takes white space before the colon away (RFC 5322 §4.5 calls it obsolete, and verifiers disagree on it).
    /// Tells whether there was any.
    pub(super) fn tighten_colon(&mut self) -> bool {
        if self.name == 0 || self.value == self.name + 1 {
            return false;
        }
        let mut raw = self.raw[..self.name].to_vec();
        raw.push(b':');
        raw.extend_from_slice(&self.raw[self.value..]);
        self.raw = Cow::Owned(raw);
        self.value = self.name + 1;
        true
    }
}

/// A message, or a MIME part, split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Split<'m> {
    /// The fields in order.
    pub fields: Vec<Field<'m>>,
    /// The empty line, or nothing where the header is not ended.
    pub separator: &'m [u8],
    /// What follows.
    pub body: &'m [u8],
}

/// The end of the line that starts at `from`, after its LF.
fn line_end(text: &[u8], from: usize) -> usize {
    memchr::memchr(b'\n', &text[from..]).map_or(text.len(), |at| from + at + 1)
}

/// Splits at the first empty line.
pub(super) fn split(message: &[u8]) -> Split<'_> {
    let mut fields = Vec::with_capacity(24);
    let mut start = 0;
    while start < message.len() {
        if message[start..].starts_with(b"\r\n") {
            return Split { fields, separator: &message[start..start + 2], body: &message[start + 2..] };
        }
        let mut end = line_end(message, start);
        while matches!(message.get(end), Some(b' ' | b'\t')) {
            end = line_end(message, end);
        }
        fields.push(Field::parse(Cow::Borrowed(&message[start..end])));
        start = end;
    }
    Split { fields, separator: &[], body: &[] }
}

/// Writes fields one after the other.
pub(super) fn write(fields: &[Field<'_>], out: &mut Vec<u8>) {
    for field in fields {
        out.extend_from_slice(field.raw());
    }
}

/// The first field of this name.
pub(super) fn find<'a, 'm>(fields: &'a [Field<'m>], name: &str) -> Option<&'a Field<'m>> {
    fields.iter().find(|field| field.is(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_split_at_its_fields() {
        let split = split(b"From: a\r\n b\r\nSubject : x\r\nno field\r\n: y\r\n\r\nbody\r\n");
        let names: Vec<_> = split.fields.iter().map(Field::shown_name).collect();
        assert_eq!(names, ["From", "Subject", "", ""]);
        assert_eq!(&*split.fields[0].unfolded(), b"a b");
        assert_eq!(split.body, b"body\r\n");
        let mut subject = split.fields[1].clone();
        assert!(subject.tighten_colon() && !subject.tighten_colon());
        assert_eq!(subject.raw(), b"Subject: x\r\n");
    }

    proptest! {
        #[test]
        fn nothing_is_lost(message in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..300),
            "([A-Ca: \t]{0,6}(\r\n|\n|\r)?){0,30}".prop_map(String::into_bytes),
        ]) {
            let split = split(&message);
            let mut joined = Vec::new();
            write(&split.fields, &mut joined);
            joined.extend_from_slice(split.separator);
            joined.extend_from_slice(split.body);
            prop_assert_eq!(joined, message);
        }
    }
}
