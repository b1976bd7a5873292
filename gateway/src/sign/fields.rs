//! The header completed (RFC 5322 §3.6, RFC 6409 §8): what has no business leaving goes, what is missing comes,
//! what is valid stays byte for byte.
//!
//! Refuses: lines that are no fields; over 50 Received fields (RFC 5321 §6.3); two different instances of a field
//! that may stand once, because readers and verifiers choose differently among them and a signature would vouch
//! for both. Two instances with the same value are no such choice: the second one goes.

use super::align::ascii;
use super::encode;
use super::header::{Field, find};
use super::options::is_control;
use super::{SealError, SealRequest};
use crate::message::DomainName;

const MAX_RECEIVED: usize = 50;

/// From stands in this list for completeness; [`super::align`] has refused it before.
const ONCE: [&str; 14] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
];

/// Fields that never leave: blind recipients, and the trace of a final delivery that has not happened.
const REMOVED: [&str; 3] = ["Bcc", "Resent-Bcc", "Return-Path"];

/// Takes the fields away that may not leave. Tells whether one went that somebody may have signed.
pub(super) fn remove(fields: &mut Vec<Field<'_>>) -> bool {
    let before = fields.len();
    let mut controls = 0;
    fields.retain(|field| {
        let control = is_control(field);
        controls += usize::from(control);
        !control && !REMOVED.iter().any(|name| field.is(name))
    });
    before - controls != fields.len()
}

/// Checks the shape of the header and mends what can be. Tells whether anything was changed.
pub(super) fn mend(fields: &mut Vec<Field<'_>>, smtputf8: bool) -> Result<bool, SealError> {
    let received = fields.iter().filter(|field| field.is("Received")).count();
    if received > MAX_RECEIVED {
        return Err(SealError::Loop(received));
    }
    let mut changed = false;
    for (index, field) in fields.iter_mut().enumerate() {
        if field.name().is_empty() {
            let shown: String = String::from_utf8_lossy(field.raw()).trim_end().chars().take(40).collect();
            return Err(SealError::BadHeader(format!(
                "field {} of the header is none: \"{}\"",
                index + 1,
                ascii(&shown)
            )));
        }
        changed |= field.tighten_colon();
        changed |= encode::make_safe(field, smtputf8)?;
    }
    changed |= drop_repeated(fields)?;
    Ok(changed)
}

fn drop_repeated(fields: &mut Vec<Field<'_>>) -> Result<bool, SealError> {
    let before = fields.len();
    for name in ONCE {
        let mut instances = fields.iter().filter(|field| field.is(name));
        let Some(first) = instances.next() else { continue };
        let first = first.unfolded().into_owned();
        let mut repeated = false;
        for other in instances {
            if *other.unfolded() != *first {
                return Err(SealError::BadHeader(format!("the {name} field stands more than once, with two values")));
            }
            repeated = true;
        }
        if repeated {
            let mut kept = false;
            fields.retain(|field| !field.is(name) || !std::mem::replace(&mut kept, true));
        }
    }
    Ok(fields.len() != before)
}

/// Adds Date, Message-ID and MIME-Version where they are missing, and replaces a Date or Message-ID that is none.
pub(super) fn complete(fields: &mut Vec<Field<'_>>, author: &DomainName, request: &SealRequest<'_>) -> bool {
    let date = || request.now.to_rfc5322();
    let mut changed = ensure(fields, "Date", valid_date, date);
    changed |= ensure(fields, "Message-ID", valid_message_id, || format!("<{}@{author}>", request.id));
    let mime = |field: &Field<'_>| field.name().get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"));
    if fields.iter().any(mime) && find(fields, "MIME-Version").is_none() {
        fields.push(Field::new("MIME-Version", b"1.0"));
        changed = true;
    }
    changed
}

fn ensure(fields: &mut Vec<Field<'_>>, name: &str, valid: fn(&[u8]) -> bool, new: impl Fn() -> String) -> bool {
    match fields.iter_mut().find(|field| field.is(name)) {
        Some(field) if valid(&field.unfolded()) => false,
        Some(field) => {
            field.replace_value(new().as_bytes());
            true
        }
        None => {
            fields.push(Field::new(name, new().as_bytes()));
            true
        }
    }
}

/// RFC 5322 §3.3 with its obsolete forms; a wrong day of the week is the sender's slip and no reason to touch it.
fn valid_date(value: &[u8]) -> bool {
    const PARSER: jiff::fmt::rfc2822::DateTimeParser = jiff::fmt::rfc2822::DateTimeParser::new().relaxed_weekday(true);
    PARSER.parse_timestamp(value).is_ok()
}

/// `<…>` of visible ASCII: less than RFC 5322 §3.6.4 asks, enough for every reader, so that the ids of odd
/// senders survive and their notices can be matched.
fn valid_message_id(value: &[u8]) -> bool {
    let inner = value.strip_prefix(b"<").and_then(|value| value.strip_suffix(b">"));
    inner.is_some_and(|inner| {
        !inner.is_empty() && inner.iter().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'<' | b'>'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_ids_are_judged_by_what_readers_understand() {
        for good in
            ["Mon, 23 Nov 2026 14:05:09 +0000", "23 Nov 2026 14:05 GMT", "Tue, 23 Nov 2026 14:05:09 +0900 (JST)"]
        {
            assert!(valid_date(good.as_bytes()), "{good}");
        }
        for bad in ["", "2026-11-23T14:05:09Z", "yesterday", "Mon, 32 Nov 2026 14:05:09 +0000", "\u{e9}"] {
            assert!(!valid_date(bad.as_bytes()), "{bad}");
        }
        for (id, expected) in
            [("<a@b>", true), ("<a>", true), ("a@b", false), ("<>", false), ("<a b>", false), ("", false)]
        {
            assert_eq!(valid_message_id(id.as_bytes()), expected, "{id}");
        }
    }
}
