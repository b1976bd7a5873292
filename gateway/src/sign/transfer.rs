//! Bodies made fit for every hop before signing: no octet above 127, no line over 998, no NUL, no bare CR or LF
//! (RFC 5322 §2.3, RFC 2045 §2.7, RFC 6376 §5.3).
//!
//! Promises: a body without such a flaw keeps every byte; otherwise only the parts that have one are encoded
//! anew (quoted-printable or base64), and their Content-Transfer-Encoding says so. A `multipart/signed` is never
//! touched: its octets above 127 stay, and the letter needs 8BITMIME; any other flaw in it is refused.
//! Gives up: text before the first and after the last boundary, where it has a flaw; nobody is meant to read it.

use std::borrow::Cow;

use super::SealError;
use super::encode::{self, MAX_LINE};
use super::header::{Field, find, split, write};
use super::mime::{self, Multipart, Shape, TransferEncoding, shape, transfer_encoding};
use super::recode;

/// Parts in parts, deeper than which nothing is encoded anew.
const MAX_DEPTH: usize = 50;

/// What in a text a hop could trip over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "four findings that do not exclude each other")]
pub(super) struct Flaws {
    /// Octets above 127.
    pub eight_bit: bool,
    /// NUL octets.
    pub nul: bool,
    /// CR without LF or LF without CR.
    pub bare: bool,
    /// A line over 998 octets.
    pub long: bool,
}

impl Flaws {
    pub(super) fn any(self) -> bool {
        self.eight_bit || self.not_8bit()
    }

    /// Flaws that 8BITMIME does not carry either.
    pub(super) fn not_8bit(self) -> bool {
        self.nul || self.bare || self.long
    }

    pub(super) fn of(text: &[u8]) -> Self {
        let mut flaws = Self { eight_bit: !text.is_ascii(), nul: memchr::memchr(0, text).is_some(), ..Self::default() };
        let (mut start, mut line_feeds) = (0, 0);
        for lf in memchr::memchr_iter(b'\n', text) {
            let line = &text[start..lf];
            let content = line.strip_suffix(b"\r");
            flaws.bare |= content.is_none();
            flaws.long |= content.unwrap_or(line).len() > MAX_LINE;
            start = lf + 1;
            line_feeds += 1;
        }
        flaws.long |= text.len() - start > MAX_LINE;
        // Where every LF has its CR, a CR too many is one without an LF.
        flaws.bare = flaws.bare || memchr::memchr_iter(b'\r', text).count() != line_feeds;
        flaws
    }

    fn describe(self) -> &'static str {
        if self.nul {
            "NUL octets"
        } else if self.bare {
            "a CR or LF that is not part of a CRLF"
        } else if self.long {
            "lines over 998 octets"
        } else {
            "octets outside ASCII"
        }
    }
}

/// A body as it may travel.
pub(super) struct SafeBody<'m> {
    /// The bytes.
    pub body: Cow<'m, [u8]>,
    /// Must the next hop take 8BITMIME?
    pub eight_bit: bool,
    /// Was the whole of it seen to have no flaw? What was walked through part by part has to be looked at again.
    pub seen_clean: bool,
}

impl<'m> SafeBody<'m> {
    fn clean(body: &'m [u8]) -> Self {
        Self { body: Cow::Borrowed(body), eight_bit: false, seen_clean: true }
    }

    fn walked(body: Cow<'m, [u8]>, eight_bit: bool) -> Self {
        Self { body, eight_bit, seen_clean: false }
    }
}

/// Makes a message's body safe; `fields` is its header, whose Content fields may be changed.
/// `binary` says that the body was announced as BINARYMIME, so that no `binary` label may stay.
pub(super) fn make_safe<'m>(
    fields: &mut Vec<Field<'m>>,
    body: &'m [u8],
    smtputf8: bool,
    binary: bool,
) -> Result<SafeBody<'m>, SealError> {
    let walker = Walker { smtputf8, binary };
    walker.entity(fields, body, false, 0)
}

struct Walker {
    smtputf8: bool,
    binary: bool,
}

fn refused(flaws: Flaws, place: &str) -> SealError {
    SealError::BadHeader(format!("{place} has {}, and it may not be encoded anew", flaws.describe()))
}

impl Walker {
    fn entity<'m>(
        &self,
        fields: &mut Vec<Field<'m>>,
        body: &'m [u8],
        in_digest: bool,
        depth: usize,
    ) -> Result<SafeBody<'m>, SealError> {
        let flaws = Flaws::of(body);
        if !flaws.any() && !self.binary {
            return Ok(SafeBody::clean(body));
        }
        let encoding = transfer_encoding(fields);
        let encoded = matches!(encoding, TransferEncoding::QuotedPrintable | TransferEncoding::Base64);
        match shape(fields, in_digest) {
            Shape::Signed => {
                if flaws.not_8bit() {
                    return Err(refused(flaws, "a multipart/signed part"));
                }
                relabel(fields, flaws.eight_bit);
                Ok(SafeBody::walked(Cow::Borrowed(body), flaws.eight_bit))
            }
            _ if depth >= MAX_DEPTH && flaws.any() => Err(refused(flaws, "a part nested too deeply")),
            Shape::Multipart { boundary, digest } if !encoded => {
                let parts = boundary.and_then(|boundary| mime::split_parts(body, &boundary));
                match parts {
                    Some(parts) => self.multipart(fields, &parts, digest, depth),
                    None if flaws.any() => Err(refused(flaws, "a multipart without its boundary")),
                    None => Ok(SafeBody::clean(body)),
                }
            }
            Shape::Message if !encoded => {
                let inner = self.part(body, false, depth + 1)?;
                relabel(fields, inner.eight_bit);
                Ok(SafeBody { seen_clean: false, ..inner })
            }
            Shape::Rigid if flaws.any() => Err(refused(flaws, "a part of a type that is 7bit always")),
            kind => leaf(fields, body, flaws, encoding, kind == Shape::Text),
        }
    }

    fn multipart<'m>(
        &self,
        fields: &mut Vec<Field<'m>>,
        whole: &Multipart<'m>,
        digest: bool,
        depth: usize,
    ) -> Result<SafeBody<'m>, SealError> {
        let mut out = Vec::new();
        let mut eight_bit = false;
        if !Flaws::of(whole.preamble).any() {
            out.extend_from_slice(whole.preamble);
        }
        for piece in &whole.parts {
            let part = self.part(piece.content, digest, depth + 1)?;
            eight_bit |= part.eight_bit;
            out.extend_from_slice(piece.delimiter);
            out.extend_from_slice(&part.body);
            let last = piece.end.is_empty() && whole.close.is_empty();
            out.extend_from_slice(if last || piece.content.is_empty() { piece.end } else { b"\r\n" });
        }
        out.extend_from_slice(whole.close);
        if !Flaws::of(whole.epilogue).any() {
            out.extend_from_slice(whole.epilogue);
        }
        relabel(fields, eight_bit);
        Ok(SafeBody::walked(Cow::Owned(out), eight_bit))
    }

    /// A part, or a message inside a message, with its own header.
    fn part<'m>(&self, part: &'m [u8], in_digest: bool, depth: usize) -> Result<SafeBody<'m>, SealError> {
        if !Flaws::of(part).any() && !self.binary {
            return Ok(SafeBody::clean(part));
        }
        let parsed = split(part);
        let mut fields = parsed.fields;
        let mut changed = false;
        for field in &mut fields {
            changed |= encode::make_safe(field, self.smtputf8)?;
        }
        let before: Vec<Field<'_>> = fields.clone();
        let body = self.entity(&mut fields, parsed.body, in_digest, depth)?;
        let eight_bit = body.eight_bit || fields.iter().any(|field| !field.raw().is_ascii());
        if !changed && fields == before && matches!(body.body, Cow::Borrowed(_)) {
            return Ok(SafeBody::walked(Cow::Borrowed(part), eight_bit));
        }
        if parsed.separator.is_empty() {
            fields.iter_mut().for_each(Field::end_line);
        }
        let mut out = Vec::with_capacity(part.len() + part.len() / 2);
        write(&fields, &mut out);
        out.extend_from_slice(if parsed.separator.is_empty() { b"\r\n" } else { parsed.separator });
        out.extend_from_slice(&body.body);
        Ok(SafeBody::walked(Cow::Owned(out), eight_bit))
    }
}

/// Gives a container the label that its parts ask for now (RFC 2045 §6.4).
fn relabel(fields: &mut Vec<Field<'_>>, eight_bit: bool) {
    match transfer_encoding(fields) {
        TransferEncoding::SevenBit if eight_bit => set_encoding(fields, "8bit"),
        TransferEncoding::EightBit if !eight_bit => set_encoding(fields, "7bit"),
        TransferEncoding::Binary => set_encoding(fields, if eight_bit { "8bit" } else { "7bit" }),
        _ => {}
    }
}

fn set_encoding(fields: &mut Vec<Field<'_>>, encoding: &str) {
    const NAME: &str = "Content-Transfer-Encoding";
    let at = fields.iter().position(|field| field.is(NAME)).unwrap_or(fields.len());
    fields.retain(|field| !field.is(NAME));
    fields.insert(at.min(fields.len()), Field::new(NAME, encoding.as_bytes()));
}

fn leaf<'m>(
    fields: &mut Vec<Field<'m>>,
    body: &'m [u8],
    flaws: Flaws,
    encoding: TransferEncoding,
    text: bool,
) -> Result<SafeBody<'m>, SealError> {
    if !flaws.any() {
        if encoding == TransferEncoding::Binary {
            set_encoding(fields, "7bit");
        }
        return Ok(SafeBody::clean(body));
    }
    let content = match encoding {
        TransferEncoding::Unknown => return Err(refused(flaws, "a part with an unknown transfer encoding")),
        TransferEncoding::QuotedPrintable => Cow::Owned(recode::decode_quoted_printable(body)),
        TransferEncoding::Base64 => Cow::Owned(recode::decode_base64(body)),
        // RFC 5321 §4.5.2 has no place for NUL in text; only a part that calls itself binary may hold one.
        TransferEncoding::SevenBit | TransferEncoding::EightBit if flaws.nul => return Err(refused(flaws, "a part")),
        TransferEncoding::SevenBit | TransferEncoding::EightBit | TransferEncoding::Binary => Cow::Borrowed(body),
    };
    if find(fields, "Content-Type").is_none() {
        // Unlabelled octets above 127 mean nothing (RFC 2045 §5.2); those that are UTF-8 are meant as it.
        let utf8 = std::str::from_utf8(&content).is_ok();
        let charset = if utf8 { "utf-8" } else { "unknown-8bit" };
        fields.push(Field::new("Content-Type", format!("text/plain; charset={charset}").as_bytes()));
    }
    let (body, label) = if text && recode::reads_better_as_quoted_printable(&content) {
        (recode::quoted_printable(&content), "quoted-printable")
    } else {
        (recode::base64(&content), "base64")
    };
    set_encoding(fields, label);
    Ok(SafeBody::walked(Cow::Owned(body), false))
}
