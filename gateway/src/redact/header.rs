//! Text in header fields: folds, encoded words and parameters, read as one text and written back in place.
//!
//! A field is a list of pieces, each with its own transfer encoding and charset; what a mail program shows joined is
//! joined here (RFC 2047 §6.2, RFC 2231 §3), so that a number that is cut by a fold or by the end of an encoded word is whole.

use std::ops::Range;

use memchr::{memchr, memmem};

use super::chars::CELL;
use crate::message::{CharEdit, Charset, EditSet, Parameter, RawOffset, TextOffset, Transfer, parameters, wipe};

/// Fields that hold no text of people: identifiers, trace, signatures.
pub fn is_identifier(key: &str) -> bool {
    matches!(
        key,
        "message-id"
            | "resent-message-id"
            | "references"
            | "in-reply-to"
            | "date"
            | "resent-date"
            | "dkim-signature"
            | "x-google-dkim-signature"
            | "domainkey-signature"
            | "authentication-results"
            | "received"
            | "received-spf"
            | "content-id"
            | "content-transfer-encoding"
            | "mime-version"
            | "feedback-id"
            | "content-md5"
            | "thread-index"
            | "autocrypt"
            | "x-ms-exchange-organization-network-message-id"
    ) || key.starts_with("arc-")
}

/// A stretch of text in one charset. Its bytes may come from several places: encoders cut a character in two.
struct Piece {
    /// In the joined text.
    text: Range<usize>,
    charset: Charset,
    content: Vec<u8>,
    sources: Vec<Source>,
}

/// Bytes of a piece that another may still join: joining reads the whole piece again.
const MOST_JOINED: usize = 256;

impl Piece {
    /// Does the last character of the joined text end in the next piece?
    fn is_cut(&self, text: &str) -> bool {
        let tail = &self.content[self.content.len().saturating_sub(4)..];
        let start = tail.iter().position(|byte| *byte & 0xc0 != 0x80).unwrap_or(0);
        let cut = match self.charset {
            Charset::Utf8 => std::str::from_utf8(&tail[start..]).is_err_and(|error| error.error_len().is_none()),
            Charset::Multi(..) => text.ends_with('\u{fffd}'),
            _ => false,
        };
        cut && self.content.len() < MOST_JOINED && self.text.end == text.len()
    }
}

/// Where some bytes of a piece stand in the message.
struct Source {
    /// In the piece's content.
    content: Range<usize>,
    raw: Range<usize>,
    transfer: Transfer,
}

/// A field's text and where it came from.
pub struct Text {
    text: String,
    pieces: Vec<Piece>,
}

impl Text {
    fn new(label: &str) -> Self {
        Self { text: format!("{label}: "), pieces: Vec::new() }
    }

    /// The text of an unstructured field, or of any field that is read as one. The field's name stands before it.
    pub fn of_field(bytes: &[u8], key: &str, value: Range<usize>) -> Self {
        let mut out = Self::new(key);
        out.words(bytes, value);
        out
    }

    /// The texts of a field with parameters; what is syntax (the boundary, the charset) is left out.
    pub fn of_parameters(bytes: &[u8], key: &str, value: Range<usize>) -> Self {
        let mut out = Self::new(key);
        // A comment before the parameters; what else stands there is the type itself.
        let head = value.start..memchr(b';', &bytes[value.clone()]).map_or(value.end, |at| value.start + at);
        if memchr(b'(', &bytes[head.clone()]).is_some() {
            out.words(bytes, head);
        }
        let mut found = parameters(bytes, value);
        found.sort_by(|a, b| (&a.name, a.section, a.extended).cmp(&(&b.name, b.section, b.extended)));
        let mut last: Option<(String, usize, Charset)> = None;
        for parameter in found {
            if matches!(
                parameter.name.as_str(),
                "boundary"
                    | "charset"
                    | "protocol"
                    | "micalg"
                    | "type"
                    | "start"
                    | "smime-type"
                    | "size"
                    | "format"
                    | "delsp"
                    | "method"
                    | "report-type"
                    | "id"
                    | "creation-date"
                    | "modification-date"
                    | "read-date"
            ) {
                continue;
            }
            let follows =
                last.as_ref().filter(|(name, section, _)| *name == parameter.name && parameter.section == section + 1);
            let charset = follows.map_or(Charset::Utf8, |(_, _, charset)| *charset);
            if follows.is_none() {
                out.text.push(CELL);
                out.text.push_str("x ");
            }
            let charset = out.parameter(bytes, &parameter, charset, follows.is_none());
            last = Some((parameter.name, parameter.section, charset));
        }
        out
    }

    fn parameter(&mut self, bytes: &[u8], parameter: &Parameter, charset: Charset, first: bool) -> Charset {
        let mut raw = parameter.value.clone();
        let mut charset = charset;
        if !parameter.extended {
            self.words(bytes, raw);
            return charset;
        }
        if first {
            let mut quotes = memchr::memchr_iter(b'\'', &bytes[raw.clone()]);
            if let (Some(one), Some(two)) = (quotes.next(), quotes.next()) {
                charset = Charset::from_label(&bytes[raw.start..raw.start + one]);
                raw.start += two + 1;
            }
        }
        self.piece(bytes, raw, Transfer::Percent, charset, !first);
        charset
    }

    /// An xtext value of the envelope (RFC 3461 §4).
    pub fn of_xtext(value: &str) -> Self {
        let mut out = Self { text: String::new(), pieces: Vec::new() };
        out.piece(value.as_bytes(), 0..value.len(), Transfer::Xtext, Charset::Utf8, false);
        out
    }

    /// Adds a stretch; one that `joins` goes on in the piece before it if that has its charset.
    fn piece(&mut self, bytes: &[u8], raw: Range<usize>, transfer: Transfer, charset: Charset, joins: bool) {
        if raw.is_empty() {
            return;
        }
        let mut more = transfer.decode(&bytes[raw.clone()]).into_owned();
        let charset = charset.in_order_of(&more);
        let cut = self.pieces.last().is_some_and(|last| joins && last.charset == charset && last.is_cut(&self.text));
        if let Some(last) = self.pieces.last_mut().filter(|_| cut) {
            let from = last.content.len();
            last.content.append(&mut more);
            last.sources.push(Source { content: from..last.content.len(), raw, transfer });
            self.text.truncate(last.text.start);
            self.text.push_str(&charset.decode(&last.content));
            last.text.end = self.text.len();
            return;
        }
        let start = self.text.len();
        self.text.push_str(&charset.decode(&more));
        let sources = vec![Source { content: 0..more.len(), raw, transfer }];
        self.pieces.push(Piece { text: start..self.text.len(), charset, content: more, sources });
    }

    /// Literal text up to `end`, without the line ends of folds.
    fn literal(&mut self, bytes: &[u8], mut at: usize, end: usize) {
        while at < end {
            let stop = memchr::memchr2(b'\r', b'\n', &bytes[at..end]).map_or(end, |found| at + found);
            self.piece(bytes, at..stop, Transfer::Identity, Charset::Utf8, false);
            at = stop;
            while at < end && matches!(bytes[at], b'\r' | b'\n') {
                at += 1;
            }
        }
    }

    fn words(&mut self, bytes: &[u8], value: Range<usize>) {
        let mut at = value.start;
        let mut search = at;
        let mut after_word = false;
        while let Some(found) = memmem::find(&bytes[search..value.end], b"=?").map(|found| search + found) {
            let Some(word) = encoded_word(bytes, found, value.end) else {
                search = found + 2;
                continue;
            };
            // White space between two encoded words is not shown (RFC 2047 §6.2).
            let joins = after_word && bytes[at..found].iter().all(u8::is_ascii_whitespace);
            if !joins {
                self.literal(bytes, at, found);
            }
            self.piece(bytes, word.payload, word.transfer, word.charset, joins);
            (at, search, after_word) = (word.end, word.end, true);
        }
        self.literal(bytes, at, value.end);
    }

    /// The joined text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Edits of the joined text as edits of the bytes that it was read from.
    pub fn write(&self, bytes: &[u8], edits: &[CharEdit]) -> EditSet {
        let mut out = EditSet::new();
        for piece in &self.pieces {
            let from = edits.partition_point(|edit| edit.at.0 < piece.text.start);
            let to = edits.partition_point(|edit| edit.at.0 < piece.text.end);
            if from == to {
                continue;
            }
            let local: Vec<CharEdit> = edits[from..to]
                .iter()
                .map(|edit| CharEdit { at: TextOffset(edit.at.0 - piece.text.start), to: edit.to })
                .collect();
            let changes = piece.charset.patch(&piece.content, &self.text[piece.text.clone()], &local);
            let changes = changes.bytes().unwrap_or_default();
            for source in &piece.sources {
                let own = source.content.clone();
                let (from, to) =
                    (changes.partition_point(|c| c.0 < own.start), changes.partition_point(|c| c.0 < own.end));
                let local: Vec<(usize, u8)> = changes[from..to].iter().map(|(at, to)| (at - own.start, *to)).collect();
                out.absorb(source.transfer.patch(&bytes[source.raw.clone()], &local), RawOffset(source.raw.start));
            }
        }
        out
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        wipe(std::mem::take(&mut self.text).into_bytes());
        for piece in &mut self.pieces {
            wipe(std::mem::take(&mut piece.content));
        }
    }
}

struct EncodedWord {
    payload: Range<usize>,
    transfer: Transfer,
    charset: Charset,
    end: usize,
}

/// How far the end of an encoded word is looked for: the RFC's 75 characters are often exceeded, but not so far.
const LONGEST: usize = 1 << 16;

/// The encoded word at `at` (RFC 2047 §2), read as leniently as mail programs do: white space inside Q is taken.
fn encoded_word(bytes: &[u8], at: usize, end: usize) -> Option<EncodedWord> {
    let label = at + 2;
    let mark = |from: usize, most: usize| {
        memchr::memchr(b'?', &bytes[from.min(end)..end.min(from + most)]).map(|found| from + found)
    };
    let first = mark(label, 60)?;
    let transfer = match bytes.get(first + 1)? {
        b'q' | b'Q' => Transfer::QWord,
        b'b' | b'B' => Transfer::Base64,
        _ => return None,
    };
    if bytes.get(first + 2) != Some(&b'?') || first + 3 > end {
        return None;
    }
    let start = first + 3;
    let stop = memmem::find(&bytes[start..end.min(start + LONGEST)], b"?=").map(|found| start + found)?;
    let charset = bytes[label..first].split(|b| *b == b'*').next().unwrap_or_default();
    Some(EncodedWord { payload: start..stop, transfer, charset: Charset::from_label(charset), end: stop + 2 })
}
