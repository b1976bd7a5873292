//! Canonicalization (RFC 6376 §3.4) and the splitting of a message into header fields.

use aws_lc_rs::digest;

/// One header field as it stands in the message.
#[derive(Debug, Clone, Copy)]
pub struct HeaderField<'m> {
    /// The name, without white space or colon.
    pub name: &'m [u8],
    /// Everything after the colon, foldings and the final CRLF included.
    pub value: &'m [u8],
}

const fn is_wsp(octet: u8) -> bool {
    octet == b' ' || octet == b'\t'
}

/// Splits a message into its fields and its body. Lines without a colon are left out: they are not fields, and
/// nothing that signs them could be verified.
pub(super) fn split(message: &[u8]) -> (Vec<HeaderField<'_>>, &[u8]) {
    let mut fields = Vec::with_capacity(24);
    let mut rest = message;
    loop {
        if let Some(body) = rest.strip_prefix(b"\r\n") {
            return (fields, body);
        }
        if rest.is_empty() {
            return (fields, rest);
        }
        let mut end = 0;
        loop {
            end = rest[end..].windows(2).position(|w| w == b"\r\n").map_or(rest.len(), |at| end + at + 2);
            if !rest.get(end).copied().is_some_and(is_wsp) {
                break;
            }
        }
        let (field, after) = rest.split_at(end);
        if let Some(colon) = field.iter().position(|&octet| octet == b':') {
            fields.push(HeaderField { name: field[..colon].trim_ascii_end(), value: &field[colon + 1..] });
        }
        rest = after;
    }
}

/// Appends a field in the relaxed form of §3.4.2, final CRLF included.
pub(super) fn relax_field(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend(name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    relax_value(out, value);
    out.extend_from_slice(b"\r\n");
}

/// Unfolds, makes runs of white space one space, trims both ends.
pub(super) fn relax_value(out: &mut Vec<u8>, value: &[u8]) {
    let start = out.len();
    let mut gap = false;
    for &octet in value {
        match octet {
            b' ' | b'\t' => gap = true,
            b'\r' | b'\n' => {}
            _ => {
                if gap && out.len() > start {
                    out.push(b' ');
                }
                gap = false;
                out.push(octet);
            }
        }
    }
}

/// Does the body end in a line of nothing but spaces and tabs (empty lines after it aside)?
pub fn has_blank_tail(body: &[u8]) -> bool {
    let mut end = body;
    while let Some(shorter) = end.strip_suffix(b"\r\n") {
        end = shorter;
    }
    let line = end.len() - end.iter().rev().take_while(|&&octet| is_wsp(octet)).count();
    line < end.len() && (line == 0 || end[..line].ends_with(b"\r\n"))
}

/// How a body is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyForm {
    /// §3.4.3.
    Simple,
    /// §3.4.4.
    Relaxed,
}

impl BodyForm {
    pub(super) const fn tag(self) -> &'static str {
        match self {
            Self::Simple => "relaxed/simple",
            Self::Relaxed => "relaxed/relaxed",
        }
    }
}

/// The SHA-256 of the canonical body.
pub(super) fn body_hash(body: &[u8], form: BodyForm) -> digest::Digest {
    let mut hash = digest::Context::new(&digest::SHA256);
    match form {
        BodyForm::Simple => {
            let mut end = body;
            while let Some(shorter) = end.strip_suffix(b"\r\n") {
                end = shorter;
            }
            hash.update(end);
            hash.update(b"\r\n");
        }
        BodyForm::Relaxed => relaxed_body(body, &mut |piece| hash.update(piece)),
    }
    hash.finish()
}

/// Canonical octets gathered before they are hashed, so that short lines do not cost a call each.
const CHUNK: usize = 16 * 1024;

/// Is the body its own relaxed form, but for the empty lines at its end? Three quick looks tell so for most
/// mail, base64 above all, and spare it the copying.
fn already_relaxed(body: &[u8]) -> bool {
    let has = |needle: &[u8]| memchr::memmem::find(body, needle).is_some();
    memchr::memchr(b'\t', body).is_none() && !has(b"  ") && !has(b" \r\n") && !body.ends_with(b" ")
}

fn relaxed_body(body: &[u8], sink: &mut dyn FnMut(&[u8])) {
    if already_relaxed(body) {
        let mut end = body;
        while let Some(shorter) = end.strip_suffix(b"\r\n") {
            end = shorter;
        }
        if !end.is_empty() {
            sink(end);
            sink(b"\r\n");
        }
        return;
    }
    let mut out = Vec::with_capacity(body.len().min(CHUNK) + 1024);
    let mut empty_lines = 0_usize;
    let mut rest = body;
    while !rest.is_empty() {
        // A lone LF ends no line (bodies with one are refused long before); it is content like any other octet.
        let (line, after) = match find_crlf(rest) {
            Some(at) => (&rest[..at], &rest[at + 2..]),
            None => (rest, &rest[rest.len()..]),
        };
        rest = after;
        let end = line.len() - line.iter().rev().take_while(|&&octet| is_wsp(octet)).count();
        let line = &line[..end];
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            out.extend_from_slice(b"\r\n");
        }
        relax_line(&mut out, line);
        out.extend_from_slice(b"\r\n");
        if out.len() >= CHUNK {
            sink(&out);
            out.clear();
        }
    }
    sink(&out);
}

/// Makes runs of white space in a line one space.
fn relax_line(out: &mut Vec<u8>, line: &[u8]) {
    let mut from = 0;
    let mut at = 0;
    while at < line.len() {
        if !is_wsp(line[at]) {
            at += 1;
            continue;
        }
        let run = line[at..].iter().take_while(|&&octet| is_wsp(octet)).count();
        if run == 1 && line[at] == b' ' {
            at += 1;
            continue;
        }
        out.extend_from_slice(&line[from..at]);
        out.push(b' ');
        at += run;
        from = at;
    }
    out.extend_from_slice(&line[from..]);
}

fn find_crlf(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = memchr::memchr(b'\n', &text[from..]) {
        let at = from + at;
        if at > 0 && text[at - 1] == b'\r' {
            return Some(at - 1);
        }
        from = at + 1;
    }
    None
}
