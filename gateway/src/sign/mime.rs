//! What sealing reads of MIME (RFC 2045, RFC 2046): types with parameters, transfer encodings, the parts of a
//! multipart. Works on raw bytes, since what is not changed has to stay as it is.

use super::header::{Field, find};

/// A field value with parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Parameters {
    /// What stands before the first `;`, trimmed.
    pub value: String,
    /// Names (as written) and values (unquoted).
    pub list: Vec<(String, Vec<u8>)>,
}

impl Parameters {
    fn get(&self, name: &str) -> Option<&[u8]> {
        self.list.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }
}

/// Reads an unfolded value, tolerantly: comments go, a parameter without `=` is skipped.
pub(super) fn parameters(value: &[u8]) -> Parameters {
    let mut pieces = vec![Vec::new()];
    let (mut quoted, mut depth) = (false, 0_usize);
    let mut octets = value.iter().copied();
    while let Some(octet) = octets.next() {
        let last = pieces.len() - 1;
        match octet {
            b'"' if depth == 0 => {
                quoted = !quoted;
                pieces[last].push(octet);
            }
            b'\\' if quoted => {
                pieces[last].push(octet);
                pieces[last].extend(octets.next());
            }
            b'(' if !quoted => depth += 1,
            b')' if !quoted && depth > 0 => depth -= 1,
            b';' if !quoted && depth == 0 => pieces.push(Vec::new()),
            _ if depth > 0 => {}
            _ => pieces[last].push(octet),
        }
    }
    let mut pieces = pieces.into_iter();
    let value = pieces.next().unwrap_or_default();
    let list = pieces.filter_map(|piece| {
        let equals = piece.iter().position(|&octet| octet == b'=')?;
        let name = String::from_utf8_lossy(piece[..equals].trim_ascii()).into_owned();
        (!name.is_empty()).then(|| (name, unquoted(piece[equals + 1..].trim_ascii())))
    });
    Parameters { value: String::from_utf8_lossy(value.trim_ascii()).into_owned(), list: list.collect() }
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    let Some(inner) = text.strip_prefix(b"\"") else { return text.to_vec() };
    let mut out = Vec::with_capacity(inner.len());
    let mut octets = inner.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'"' => break,
            b'\\' => out.extend(octets.next()),
            _ => out.push(octet),
        }
    }
    out
}

/// How a part is treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// Parts between boundaries; `None` where the boundary is missing.
    Multipart {
        /// `boundary=`.
        boundary: Option<Vec<u8>>,
        /// Parts without a type are messages.
        digest: bool,
    },
    /// `multipart/signed`: not a byte of it may change (RFC 1847 §2.1).
    Signed,
    /// `message/rfc822`, `message/global`.
    Message,
    /// Types that may not be encoded (RFC 2046 §5.2.2, §5.2.3; RFC 3464 §2.1).
    Rigid,
    /// Text, of which a reader may want to see the source.
    Text,
    /// Anything else.
    Opaque,
}

/// The shape of a part with this header; `in_digest` changes the default (RFC 2046 §5.1.5).
pub(super) fn shape(fields: &[Field<'_>], in_digest: bool) -> Shape {
    let Some(field) = find(fields, "Content-Type") else {
        return if in_digest { Shape::Message } else { Shape::Text };
    };
    let parsed = parameters(&field.unfolded());
    let media = parsed.value.to_ascii_lowercase();
    match media.split_once('/') {
        Some(("multipart", "signed")) => Shape::Signed,
        Some(("multipart", kind)) => Shape::Multipart {
            boundary: parsed.get("boundary").map(<[u8]>::to_vec).filter(|text| !text.is_empty()),
            digest: kind.trim() == "digest",
        },
        Some(("message", "rfc822" | "global")) => Shape::Message,
        Some(("message", "partial" | "external-body" | "delivery-status" | "disposition-notification")) => Shape::Rigid,
        Some(("text", _)) | None => Shape::Text,
        Some(_) => Shape::Opaque,
    }
}

/// Content-Transfer-Encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TransferEncoding {
    /// `7bit`, or none.
    SevenBit,
    /// `8bit`.
    EightBit,
    /// `binary`.
    Binary,
    /// `quoted-printable`.
    QuotedPrintable,
    /// `base64`.
    Base64,
    /// Something that nobody knows.
    Unknown,
}

/// The transfer encoding that a header declares.
pub(super) fn transfer_encoding(fields: &[Field<'_>]) -> TransferEncoding {
    let Some(field) = find(fields, "Content-Transfer-Encoding") else { return TransferEncoding::SevenBit };
    match parameters(&field.unfolded()).value.to_ascii_lowercase().as_str() {
        "7bit" | "" => TransferEncoding::SevenBit,
        "8bit" => TransferEncoding::EightBit,
        "binary" => TransferEncoding::Binary,
        "quoted-printable" => TransferEncoding::QuotedPrintable,
        "base64" => TransferEncoding::Base64,
        _ => TransferEncoding::Unknown,
    }
}

/// One part of a multipart.
pub(super) struct Piece<'m> {
    /// The delimiter line before it.
    pub delimiter: &'m [u8],
    /// Header and body.
    pub content: &'m [u8],
    /// The CRLF that belongs to the next delimiter (RFC 2046 §5.1.1), where there is one.
    pub end: &'m [u8],
}

/// A multipart's body in pieces that put together give it back.
pub(super) struct Multipart<'m> {
    /// Before the first delimiter.
    pub preamble: &'m [u8],
    /// The parts.
    pub parts: Vec<Piece<'m>>,
    /// From the closing delimiter line on; empty where it is missing.
    pub close: &'m [u8],
    /// After the closing delimiter line.
    pub epilogue: &'m [u8],
}

/// Splits a multipart's body; nothing if there is no delimiter in it.
pub(super) fn split_parts<'m>(body: &'m [u8], boundary: &[u8]) -> Option<Multipart<'m>> {
    let mut preamble = None;
    let mut parts = Vec::new();
    // The open part: its delimiter line and where its content starts.
    let mut open: Option<(&[u8], usize)> = None;
    let mut at = 0;
    while at < body.len() {
        let end = memchr::memchr(b'\n', &body[at..]).map_or(body.len(), |lf| at + lf + 1);
        let line = &body[at..end];
        if let Some(rest) = line.strip_prefix(b"--").and_then(|line| line.strip_prefix(boundary)) {
            let rest = rest.trim_ascii_end();
            if rest.is_empty() || rest == b"--" {
                match open.take() {
                    None => preamble = Some(&body[..at]),
                    Some((delimiter, start)) => parts.push(piece(delimiter, &body[start..at])),
                }
                if rest == b"--" {
                    let (close, epilogue) = (line, &body[end..]);
                    return Some(Multipart { preamble: preamble?, parts, close, epilogue });
                }
                open = Some((line, end));
            }
        }
        at = end;
    }
    let (delimiter, start) = open?;
    parts.push(Piece { delimiter, content: &body[start..], end: &[] });
    Some(Multipart { preamble: preamble?, parts, close: &[], epilogue: &[] })
}

fn piece<'m>(delimiter: &'m [u8], part: &'m [u8]) -> Piece<'m> {
    let content = part.strip_suffix(b"\r\n").unwrap_or(part);
    Piece { delimiter, content, end: &part[content.len()..] }
}
