//! Our `Received` field (RFC 5321 §4.4, RFC 3848 for the protocol's name).
//!
//! `for` is written only where there is exactly one recipient: with several it would tell one of the others.

use std::fmt::Write;
use std::net::IpAddr;

use super::{SealRequest, TraceFacts};
use crate::message::{DomainName, Envelope};

/// Appends the field. A letter of our own has no client, and its field no `from`.
pub(super) fn write(out: &mut Vec<u8>, envelope: &Envelope, request: &SealRequest<'_>) {
    let mut field = String::with_capacity(320);
    // Writing to a string cannot fail.
    let _ = match request.trace {
        Some(trace) => write!(field, "Received: {}\r\n\tby {} with {}", from(trace), request.hostname, trace.protocol),
        None => write!(field, "Received: by {}", request.hostname),
    };
    let _ = write!(field, " id {}", request.id);
    if let Some(tls) = request.trace.and_then(|trace| trace.tls.as_deref()) {
        let _ = write!(field, "\r\n\t({})", comment(tls));
    }
    if let [only] = envelope.recipients.as_slice()
        && (envelope.smtputf8 || !only.address.needs_smtputf8())
    {
        let _ = write!(field, "\r\n\tfor <{}>", only.address);
    }
    let _ = write!(field, ";\r\n\t{}\r\n", request.now.to_rfc5322());
    out.extend_from_slice(field.as_bytes());
}

fn from(trace: &TraceFacts) -> String {
    let address = match trace.client.to_canonical() {
        IpAddr::V4(address) => format!("[{address}]"),
        IpAddr::V6(address) => format!("[IPv6:{address}]"),
    };
    // What a client calls itself is its own invention: only a name or a literal may stand in the field.
    let helo = trace.helo.trim();
    let literal = helo.strip_prefix('[').and_then(|helo| helo.strip_suffix(']')).is_some_and(|inner| {
        inner.len() <= 60 && inner.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b':'))
    });
    let helo = if literal {
        helo.to_owned()
    } else {
        helo.parse::<DomainName>().map_or_else(|_| "unknown".to_owned(), |name| name.to_string())
    };
    format!("from {helo} ({address})")
}

/// A text that may stand inside parentheses.
fn comment(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii() && !c.is_ascii_control() && !"()\\".contains(*c)).take(120).collect()
}
