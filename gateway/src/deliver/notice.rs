//! Notices to senders: failure, delay and relay reports (RFC 3461, RFC 3464, RFC 6522).
//!
//! Promises: to the reverse-path and from `<>`; never about a notice, never where `NOTIFY` says no; the first part
//! says in plain words what happened and what to do, the second says it to programs, the third returns the message
//! or its header as `RET` asks. Everything is 7-bit: UTF-8 addresses are written `\x{…}` (RFC 6533 §3), original
//! messages in UTF-8 or with 8-bit octets ride as base64 in `message/global` (RFC 6532 §3.7).
//! Refuses to return a body under REQUIRETLS (RFC 8689 §5), about mere delays, and over 50 KB.

use std::fmt::Write as _;

use bytes::Bytes;
use mail_send::mail_builder::MessageBuilder;
use mail_send::mail_builder::headers::content_type::ContentType;
use mail_send::mail_builder::headers::raw::Raw;
use mail_send::mail_builder::mime::{BodyPart, MimePart};

use super::outcome::Evidence;
use crate::clock::Timestamp;
use crate::ids::LetterId;
use crate::message::{DomainName, Envelope, Mailbox, Recipient, ReturnContent, ReversePath};
use crate::store::LetterRecord;

/// A larger message is not returned whole, whatever `RET` says (RFC 3461 §4.3 leaves that to us).
const WHOLE_LIMIT: usize = 50 * 1024;
/// A larger header is cut after a whole field.
const HEADER_LIMIT: usize = 64 * 1024;

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeKind {
    /// Refused for good.
    Failure,
    /// Not delivered in time.
    Expired,
    /// Not delivered yet.
    Delay,
    /// Handed on to a server that sends no notices itself, and success was to be reported.
    Relayed,
}

impl NoticeKind {
    const fn action(self) -> &'static str {
        match self {
            Self::Failure | Self::Expired => "failed",
            Self::Delay => "delayed",
            Self::Relayed => "relayed",
        }
    }

    const fn subject(self) -> &'static str {
        match self {
            Self::Failure => "Undelivered mail returned to sender",
            Self::Expired => "Undelivered mail: delivery time expired",
            Self::Delay => "Delayed mail (still being retried)",
            Self::Relayed => "Mail handed on",
        }
    }
}

/// Is a notice about this recipient (its place in the envelope) wanted?
pub fn wanted(kind: NoticeKind, record: &LetterRecord, recipient: usize, evidence: &Evidence) -> bool {
    let Some(recipient) = record.envelope.recipients.get(recipient) else { return false };
    if record.notice || record.envelope.reverse_path.mailbox().is_none() {
        return false;
    }
    match kind {
        NoticeKind::Failure | NoticeKind::Expired => recipient.notify.failure(),
        NoticeKind::Delay => recipient.notify.delay() && !record.delay_notified,
        NoticeKind::Relayed => recipient.notify.success() && !evidence.notices_come_from_the_next_server(),
    }
}

/// What a notice is made of.
pub struct Request<'a> {
    /// What it is about.
    pub kind: NoticeKind,
    /// The id that the notice itself will have.
    pub id: LetterId,
    /// The letter.
    pub record: &'a LetterRecord,
    /// The recipients, by their place in the envelope, and what is known of each.
    pub recipients: &'a [(usize, Evidence)],
    /// The letter's sealed bytes; empty where they are not to be quoted.
    pub original: &'a Bytes,
    /// Our name.
    pub hostname: &'a DomainName,
    /// Now.
    pub now: Timestamp,
    /// The domain of the notice's From: one of the tenant's with DKIM keys, or it could not be sealed.
    pub from_domain: &'a DomainName,
}

/// A notice, ready for the sealing stage.
#[derive(Debug, Clone)]
pub struct Composed {
    /// From `<>` to the letter's reverse-path.
    pub envelope: Envelope,
    /// The message, CRLF line ends, 7-bit but for a To address in UTF-8.
    pub message: Vec<u8>,
}

/// Writes the notice; `None` if the letter has no reverse-path to send it to, or it is about nobody.
pub fn compose(request: &Request<'_>) -> Option<Composed> {
    let to = request.record.envelope.reverse_path.mailbox()?;
    if request.recipients.is_empty() {
        return None;
    }
    let status = MimePart::new(ContentType::new("message/delivery-status"), binary(delivery_status(request)))
        .transfer_encoding("7bit");
    let text = MimePart::new(ContentType::new("text/plain").attribute("charset", "utf-8"), explanation(request));
    let mut parts = vec![text, status];
    // RFC 6522 §3 lets the third part be missing: the message may be lost, or not fit to be quoted.
    if !request.original.is_empty() {
        parts.push(returned(request));
    }
    let report = ContentType::new("multipart/report").attribute("report-type", "delivery-status");
    let mut builder = MessageBuilder::new()
        .header("From", Raw::new(format!("Mail Delivery System <mailer-daemon@{}>", request.from_domain)))
        .header("To", Raw::new(format!("<{to}>")))
        .header("Subject", Raw::new(request.kind.subject()))
        .header("Date", Raw::new(request.now.to_rfc5322()))
        .header("Message-ID", Raw::new(format!("<{}@{}>", request.id, request.hostname)))
        .header("Auto-Submitted", Raw::new("auto-replied"));
    if let Some(id) = original_message_id(request.original) {
        builder = builder.header("In-Reply-To", Raw::new(id.clone())).header("References", Raw::new(id));
    }
    let message = builder.body(MimePart::new(report, parts)).write_to_vec().ok()?;
    let mut envelope = Envelope::new(ReversePath::Null, vec![Recipient::new(to.clone())]);
    envelope.smtputf8 = to.needs_smtputf8();
    // The notice tells of a letter that asked for it; so it asks too (RFC 8689 §5).
    envelope.require_tls = request.record.envelope.require_tls;
    Some(Composed { envelope, message })
}

fn binary(octets: Vec<u8>) -> BodyPart<'static> {
    BodyPart::Binary(octets.into())
}

// ---- the part for people ----

fn explanation(request: &Request<'_>) -> String {
    let record = request.record;
    let mut text = String::with_capacity(1_024);
    let opening = match request.kind {
        NoticeKind::Failure => {
            "Your message could not be delivered to the recipients below. It will not be tried again."
        }
        NoticeKind::Expired => {
            "Your message could not be delivered to the recipients below in the time allowed. It will not be tried again."
        }
        NoticeKind::Delay => {
            "Your message has not been delivered to the recipients below yet. It is still being retried: \
             you need not do anything, and do not need to send it again."
        }
        NoticeKind::Relayed => {
            "Your message was handed to the recipients' mail servers. Those servers do not report further, \
             so this is the last notice about it."
        }
    };
    let _ = writeln!(text, "This is the mail gateway {}.\n\n{opening}\n", request.hostname);
    if !record.subject.is_empty() {
        let _ = writeln!(text, "Subject: {}", one_line(&record.subject));
    }
    let _ = writeln!(text, "Accepted: {}\nReference: {}", record.accepted.to_rfc5322(), record.id);
    if request.kind == NoticeKind::Delay {
        let _ = writeln!(text, "Tried until: {}", record.expires.to_rfc5322());
    }
    for (place, evidence) in request.recipients {
        let Some(recipient) = record.envelope.recipients.get(*place) else { continue };
        let _ = writeln!(text, "\n<{}>", recipient.address);
        explain_one(&mut text, request.kind, evidence);
    }
    text.replace('\n', "\r\n")
}

fn explain_one(text: &mut String, kind: NoticeKind, evidence: &Evidence) {
    let who = match (&evidence.host, evidence.address) {
        (Some(host), Some(address)) if *host != address.to_string() => format!("{host} ({address})"),
        (Some(host), _) => host.clone(),
        _ => "the gateway".into(),
    };
    if let Some(reply) = &evidence.reply {
        let _ = writeln!(text, "    {who} answered: {} {}", reply.code, one_line(&reply.text));
    }
    if !evidence.note.is_empty() && kind != NoticeKind::Relayed {
        let _ = writeln!(text, "    {}", one_line(&evidence.note));
    }
    if kind == NoticeKind::Failure || kind == NoticeKind::Expired {
        let _ = writeln!(text, "    What to do: {}", advice(kind, evidence.status));
    }
}

/// What a sender can do about a status (RFC 3463 §3.2 to §3.8).
fn advice(kind: NoticeKind, status: (u8, u16, u16)) -> &'static str {
    match (status.1, status.2) {
        (1, 2) => "the part of the address after the @ does not exist; check its spelling.",
        (1, 10) => "the recipient's domain takes no mail; ask for another address.",
        (1, 7 | 8) => "the sender's address was refused; the administrator of the sending domain should look into it.",
        (1, _) => "check the address, and take it off your list if it is no longer in use.",
        (2, 2) => "the recipient's mailbox is full; try again in some days or ask for another address.",
        (2, _) => "the recipient's mailbox takes no mail at present; reach the recipient another way.",
        (3, 4) => "the message is too large for the recipient's server; send it smaller, or a link instead.",
        (4, 6) => "mail for this domain loops; its administrator must correct the domain's MX records.",
        (4, 4) => "the domain's DNS records name no usable mail server; its administrator must correct them.",
        (6, 7) => "the recipient's server cannot take addresses or header fields in UTF-8; use ASCII ones.",
        (6, _) => "the recipient's server cannot take this form of message; send it as plain text.",
        (7, 30) => "the message asks for encryption all the way, which the recipient's server cannot do.",
        (7, _) => {
            "the recipient's server refused the message by its policy; its answer above may say how to mend that."
        }
        _ if kind == NoticeKind::Expired => "the recipient's server could not be reached; try again later.",
        _ => "the answer above may say why; if not, ask the recipient's administrator and name the reference.",
    }
}

// ---- the part for programs ----

fn delivery_status(request: &Request<'_>) -> Vec<u8> {
    let record = request.record;
    let mut out = String::with_capacity(1_024);
    if let Some(id) = record.envelope.envelope_id.as_deref() {
        field(&mut out, "Original-Envelope-Id", &ascii(&decode_xtext(id)));
    }
    field(&mut out, "Reporting-MTA", &format!("dns; {}", request.hostname));
    field(&mut out, "Arrival-Date", &record.accepted.to_rfc5322());
    for (place, evidence) in request.recipients {
        let Some(recipient) = record.envelope.recipients.get(*place) else { continue };
        out.push_str("\r\n");
        recipient_status(&mut out, request, recipient, evidence);
    }
    out.into_bytes()
}

fn recipient_status(out: &mut String, request: &Request<'_>, recipient: &Recipient, evidence: &Evidence) {
    if let Some((kind, address)) = recipient.original.as_deref().and_then(|original| original.split_once(';')) {
        field(out, "Original-Recipient", &format!("{};{}", ascii(kind), unitext(&decode_xtext(address))));
    }
    field(out, "Final-Recipient", &final_recipient(&recipient.address));
    field(out, "Action", request.kind.action());
    let (class, subject, detail) = match request.kind {
        // The time ran out (RFC 3463 §3.5); what was in the way stands in Diagnostic-Code.
        NoticeKind::Expired => (4, 4, 7),
        _ => evidence.status,
    };
    field(out, "Status", &format!("{class}.{subject}.{detail}"));
    if let Some(host) = &evidence.host {
        field(out, "Remote-MTA", &format!("dns; {}", ascii(host)));
    }
    match &evidence.reply {
        Some(reply) => {
            field(out, "Diagnostic-Code", &format!("smtp; {} {}", reply.code, ascii(&one_line(&reply.text))));
        }
        None if !evidence.note.is_empty() => {
            field(out, "Diagnostic-Code", &format!("x-waxseal; {}", ascii(&one_line(&evidence.note))));
        }
        None => {}
    }
    field(out, "Last-Attempt-Date", &evidence.at.to_rfc5322());
    field(out, "Final-Log-ID", &request.record.id.to_string());
    if request.kind == NoticeKind::Delay {
        field(out, "Will-Retry-Until", &request.record.expires.to_rfc5322());
    }
}

fn final_recipient(address: &Mailbox) -> String {
    if address.needs_smtputf8() {
        format!("utf-8; {}", unitext(&address.to_string()))
    } else {
        format!("rfc822; {address}")
    }
}

/// A field, folded at spaces; a word longer than a line may be is cut into several lines.
fn field(out: &mut String, name: &str, value: &str) {
    let mut column = name.len() + 1;
    out.push_str(name);
    out.push(':');
    for word in value.split(' ').filter(|word| !word.is_empty()) {
        if column + 1 + word.len() > 78 && column > name.len() + 1 {
            out.push_str("\r\n");
            column = 0;
        }
        out.push(' ');
        column += 1;
        for (number, piece) in word.as_bytes().chunks(900).enumerate() {
            if number > 0 {
                out.push_str("\r\n ");
                column = 1;
            }
            // `value` is ASCII (see the callers), so no cut is inside a character.
            out.push_str(&String::from_utf8_lossy(piece));
            column += piece.len();
        }
    }
    out.push_str("\r\n");
}

/// ASCII without control characters; the rest becomes `?`.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect()
}

/// `utf-8-addr-xtext` (RFC 6533 §3): characters beyond ASCII as `\x{HEX}`.
fn unitext(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_graphic() && c != '\\' {
            out.push(c);
        } else {
            let _ = write!(out, "\\x{{{:02X}}}", u32::from(c));
        }
    }
    out
}

/// RFC 3461 §4: `+` and two upper-case hexadecimal digits. What is no such pair stays.
fn decode_xtext(text: &str) -> String {
    let octets = text.as_bytes();
    let mut decoded = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        let pair = (octets[at] == b'+').then(|| octets.get(at + 1..at + 3)).flatten();
        let pair = pair.filter(|pair| pair.iter().all(u8::is_ascii_hexdigit));
        let value =
            pair.and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        decoded.push(value.unwrap_or(octets[at]));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control()).filter(|piece| !piece.is_empty()).collect::<Vec<_>>().join(" ")
}

// ---- the returned message ----

fn returned(request: &Request<'_>) -> MimePart<'static> {
    let asked_whole = match request.record.envelope.return_content {
        Some(ReturnContent::Headers) => false,
        Some(ReturnContent::Full) | None => true,
    };
    let failed = matches!(request.kind, NoticeKind::Failure | NoticeKind::Expired);
    let small = request.original.len() <= WHOLE_LIMIT;
    let whole = failed && asked_whole && small && !request.record.envelope.require_tls;
    let octets = if whole { &request.original[..] } else { header_of(request.original) };
    // The part that carries it ends in CRLF of its own only if the octets do not.
    let octets = octets.to_vec();
    match (octets.is_ascii(), whole) {
        (true, true) => MimePart::new(ContentType::new("message/rfc822"), binary(octets)).transfer_encoding("7bit"),
        (true, false) => {
            MimePart::new(ContentType::new("text/rfc822-headers"), binary(octets)).transfer_encoding("7bit")
        }
        (false, true) => MimePart::new(ContentType::new("message/global"), binary(octets)),
        (false, false) => MimePart::new(ContentType::new("message/global-headers"), binary(octets)),
    }
}

/// The header with its last CRLF, cut after a whole field if it is huge.
fn header_of(message: &[u8]) -> &[u8] {
    let end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 2);
    if end <= HEADER_LIMIT {
        return &message[..end];
    }
    let mut cut = 0;
    for at in memchr::memmem::find_iter(&message[..HEADER_LIMIT], b"\r\n") {
        let continued = matches!(message.get(at + 2), Some(b' ' | b'\t'));
        if !continued {
            cut = at + 2;
        }
    }
    &message[..cut]
}

/// The letter's Message-ID, if it is one that can be repeated: so that mail programs show the notice beside it.
fn original_message_id(message: &[u8]) -> Option<String> {
    header_of(message).split(|octet| *octet == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(11)?;
        if !name.eq_ignore_ascii_case(b"message-id:") {
            return None;
        }
        let value = std::str::from_utf8(value).ok()?.trim();
        let plain = value.bytes().all(|b| b.is_ascii_graphic()) && value.len() <= 250;
        (plain && value.starts_with('<') && value.ends_with('>')).then(|| value.to_owned())
    })
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;
