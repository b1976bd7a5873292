//! Notices to senders: failure, delay and success (RFC 3461, RFC 3464, RFC 6522; RFC 6533 for addresses in UTF-8).
//!
//! Promises: never about a notice, never to the null reverse-path, never against NOTIFY; the body of mail that asked
//! for REQUIRETLS is not in it (RFC 8689 §5), nor one larger than [`RETURNED_OCTETS`]; the words say what happened,
//! with the other server's own reply, and what the sender can do. The message goes through redaction and sealing
//! like every other.

use std::fmt::Write;

use bytes::Bytes;
use mail_send::mail_builder::MessageBuilder;
use mail_send::mail_builder::headers::content_type::ContentType;
use mail_send::mail_builder::headers::raw::Raw;
use mail_send::mail_builder::mime::{BodyPart, MimePart};

use super::outcome::Evidence;
use crate::clock::Timestamp;
use crate::message::{DomainName, Envelope, Recipient, ReturnContent, ReversePath};
use crate::schedule::NoticeKind;
use crate::store::LetterRecord;

/// A message up to this size is returned whole if the sender did not say otherwise.
pub const RETURNED_OCTETS: usize = 50 * 1024;

/// What a notice is made of.
pub struct Request<'r> {
    /// Which.
    pub kind: NoticeKind,
    /// The letter that it is about.
    pub record: &'r LetterRecord,
    /// The recipients that it is about, and what is known of each.
    pub about: &'r [(u32, Evidence)],
    /// The letter's bytes, where they may be returned.
    pub original: Option<&'r Bytes>,
    /// Our own name.
    pub hostname: &'r DomainName,
    /// The domain that the notice is sent from: one whose keys can sign it.
    pub from_domain: &'r DomainName,
    /// The time.
    pub now: Timestamp,
}

/// A notice, before redaction and sealing.
pub struct Composed {
    /// From the null reverse-path to the sender.
    pub envelope: Envelope,
    /// The message.
    pub message: Vec<u8>,
}

/// Why there is no notice.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoticeError {
    /// The letter came from `<>`.
    #[error("the letter has the null reverse-path: nobody is told")]
    NullReversePath,
    /// Writing to memory failed.
    #[error("composing the notice: {0}")]
    Compose(String),
}

/// May the sender be told this about this recipient?
pub fn wanted(kind: NoticeKind, record: &LetterRecord, recipient: usize) -> bool {
    if record.notice || record.envelope.reverse_path == ReversePath::Null {
        return false;
    }
    record.envelope.recipients.get(recipient).is_some_and(|recipient| match kind {
        NoticeKind::Failure => recipient.notify.failure(),
        NoticeKind::Delay => recipient.notify.delay(),
        NoticeKind::Success => recipient.notify.success(),
    })
}

/// Composes a notice.
pub fn compose(request: &Request<'_>) -> Result<Composed, NoticeError> {
    let record = request.record;
    let ReversePath::Mailbox(sender) = &record.envelope.reverse_path else {
        return Err(NoticeError::NullReversePath);
    };
    let utf8 = needs_utf8(request);
    let status_type = if utf8 { "message/global-delivery-status" } else { "message/delivery-status" };
    let status = delivery_status(request);
    let status_encoding = if status.is_ascii() { "7bit" } else { "8bit" };
    let mut parts = vec![
        MimePart::new(
            ContentType::new("text/plain").attribute("charset", "utf-8"),
            BodyPart::Text(words(request).into()),
        ),
        MimePart::new(ContentType::new(status_type), BodyPart::Binary(status.into_bytes().into()))
            .transfer_encoding(status_encoding),
    ];
    parts.extend(returned(request));
    let report = ContentType::new("multipart/report").attribute("report-type", "delivery-status");
    let subject = match request.kind {
        NoticeKind::Failure => "Undelivered mail returned to sender",
        NoticeKind::Delay => "Delayed mail (still being retried)",
        NoticeKind::Success => "Successful mail delivery report",
    };
    let mut message = MessageBuilder::new()
        .from(("Mail Delivery System".to_owned(), format!("mailer-daemon@{}", request.from_domain)))
        .to(sender.to_string())
        .subject(subject)
        .date(i64::try_from(request.now.seconds()).unwrap_or_default())
        .message_id(format!("{}.{:x}@{}", record.id, request.now.millis(), request.from_domain))
        .header("Auto-Submitted", Raw::new("auto-replied"));
    if let Some(original) = request.original.and_then(message_id) {
        message = message.header("References", Raw::new(original));
    }
    let message = message.body(MimePart::new(report, parts)).write_to_vec();
    let mut envelope = Envelope::new(ReversePath::Null, vec![Recipient::new(sender.clone())]);
    envelope.smtputf8 = utf8 || sender.needs_smtputf8();
    envelope.require_tls = record.envelope.require_tls;
    if envelope.smtputf8 {
        envelope.body = crate::message::BodyKind::EightBitMime;
    }
    Ok(Composed { envelope, message: message.map_err(|e| NoticeError::Compose(e.to_string()))? })
}

fn recipients<'r>(request: &'r Request<'_>) -> impl Iterator<Item = (&'r Recipient, &'r Evidence)> {
    let all = &request.record.envelope.recipients;
    request.about.iter().filter_map(|(at, evidence)| all.get(*at as usize).map(|recipient| (recipient, evidence)))
}

fn needs_utf8(request: &Request<'_>) -> bool {
    recipients(request).any(|(recipient, _)| recipient.address.needs_smtputf8())
}

/// The part for people.
fn words(request: &Request<'_>) -> String {
    let record = request.record;
    let mut text = match request.kind {
        NoticeKind::Failure => "Your message could not be delivered to the following recipients, and will not be \
                                tried again.\r\n"
            .to_owned(),
        NoticeKind::Delay => format!(
            "Your message has not been delivered to the following recipients yet. It will be tried until {}; you \
             need not send it again.\r\n",
            record.expires.to_rfc5322()
        ),
        NoticeKind::Success => "Your message was handed to the following recipients' server, which sends no \
                                reports of its own.\r\n"
            .to_owned(),
    };
    for (recipient, evidence) in recipients(request) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\r\n<{}>\r\n", recipient.address);
        let (major, minor, detail) = evidence.status;
        match (&evidence.reply, &evidence.host) {
            (Some(reply), Some(host)) => {
                let said = reply.text.replace('\n', "\r\n        ");
                let _ = write!(text, "    {host} said: {} {said}\r\n", reply.code);
            }
            (_, Some(host)) => {
                let _ = write!(text, "    {host}: {} ({major}.{minor}.{detail})\r\n", evidence.note);
            }
            _ => {
                let _ = write!(text, "    {} ({major}.{minor}.{detail})\r\n", evidence.note);
            }
        }
        if let Some(advice) = advice(request.kind, evidence) {
            let _ = write!(text, "    {advice}\r\n");
        }
    }
    let _ = write!(
        text,
        "\r\nSubject: {}\r\nAccepted: {}\r\nId: {}\r\n",
        record.subject,
        record.accepted.to_rfc5322(),
        record.id
    );
    text
}

/// The one thing that the sender can do.
fn advice(kind: NoticeKind, evidence: &Evidence) -> Option<&'static str> {
    if kind != NoticeKind::Failure {
        return None;
    }
    match evidence.status {
        (5, 1, 1 | 0 | 6) => Some("The address does not exist there: correct it, or stop sending to it."),
        (5, 1, 2) => Some("The domain does not exist or takes no mail: check its spelling."),
        (5, 1, 10) => Some("The domain says that it takes no mail at all (RFC 7505)."),
        (_, 2, 2) => Some("The mailbox is full: try again in a few days, or reach the person otherwise."),
        (_, 3, 4) => Some("The message is too large for that server: send a smaller one, or a link."),
        (_, 7, 30) => Some("The message asked for REQUIRETLS, which that server cannot promise."),
        (_, 4, 7) => Some("The time ran out; the last answer stands above."),
        _ => None,
    }
}

/// The part for programs (RFC 3464 §2).
fn delivery_status(request: &Request<'_>) -> String {
    let record = request.record;
    let mut text = String::new();
    if let Some(id) = &record.envelope.envelope_id {
        let _ = write!(text, "Original-Envelope-Id: {}\r\n", unxtext(id));
    }
    let _ =
        write!(text, "Reporting-MTA: dns; {}\r\nArrival-Date: {}\r\n", request.hostname, record.accepted.to_rfc5322());
    for (recipient, evidence) in recipients(request) {
        text.push_str("\r\n");
        if let Some(original) = &recipient.original {
            let (kind, address) = original.split_once(';').unwrap_or(("rfc822", original));
            let _ = write!(text, "Original-Recipient: {kind}; {}\r\n", unxtext(address));
        }
        let kind = if recipient.address.needs_smtputf8() { "utf-8" } else { "rfc822" };
        let action = match request.kind {
            NoticeKind::Failure => "failed",
            NoticeKind::Delay => "delayed",
            NoticeKind::Success => "relayed",
        };
        let (major, minor, detail) = status_of(request.kind, evidence.status);
        let _ = write!(
            text,
            "Final-Recipient: {kind}; {}\r\nAction: {action}\r\nStatus: {major}.{minor}.{detail}\r\n",
            recipient.address
        );
        if let Some(host) = &evidence.host {
            let _ = write!(text, "Remote-MTA: dns; {host}\r\n");
        }
        if let Some(reply) = &evidence.reply {
            let said: String =
                reply.text.replace('\n', " ").chars().map(|c| if c.is_ascii() { c } else { '?' }).collect();
            let _ = write!(text, "Diagnostic-Code: smtp; {} {}\r\n", reply.code, folded(&said));
        }
        let _ = write!(text, "Last-Attempt-Date: {}\r\n", evidence.at.to_rfc5322());
        if request.kind == NoticeKind::Delay {
            let _ = write!(text, "Will-Retry-Until: {}\r\n", record.expires.to_rfc5322());
        }
    }
    text
}

/// The class must fit the action: an expired 4.x.x has failed for good (RFC 3464 §2.3.4).
fn status_of(kind: NoticeKind, status: (u8, u16, u16)) -> (u8, u16, u16) {
    match kind {
        NoticeKind::Failure => (5, status.1, status.2),
        NoticeKind::Delay => (4, status.1, status.2),
        NoticeKind::Success => (2, status.1, status.2),
    }
}

/// Folds a long text, so that no line comes near 998 octets.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    let mut width = 0;
    for word in text.split(' ') {
        if width > 0 && width + word.len() > 70 {
            out.push_str("\r\n ");
            width = 0;
        } else if width > 0 {
            out.push(' ');
        }
        // A single endless word is cut: it says nothing at that length.
        let word: String = word.chars().take(500).collect();
        width += word.len() + 1;
        out.push_str(&word);
    }
    out
}

/// Undoes xtext (RFC 3461 §4); what is no xtext stays as it is. Control characters are not let out.
fn unxtext(text: &str) -> String {
    let octets = text.as_bytes();
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        let pair = (octets[at] == b'+').then(|| octets.get(at + 1..at + 3)).flatten();
        let decoded = pair.and_then(|pair| std::str::from_utf8(pair).ok()).and_then(|p| u8::from_str_radix(p, 16).ok());
        if let Some(octet) = decoded {
            out.push(octet);
            at += 3;
        } else {
            out.push(octets[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The third part: the message, or its header.
fn returned<'x>(request: &Request<'_>) -> Option<MimePart<'x>> {
    let original = request.original?;
    let envelope = &request.record.envelope;
    let whole = request.kind == NoticeKind::Failure
        && !envelope.require_tls
        && match envelope.return_content {
            Some(ReturnContent::Full) => true,
            Some(ReturnContent::Headers) => false,
            None => original.len() <= RETURNED_OCTETS,
        };
    let header = memchr::memmem::find(original, b"\r\n\r\n").map_or(original.len(), |end| end + 2);
    let (octets, plain, global) = if whole {
        (&original[..], "message/rfc822", "message/global")
    } else {
        (&original[..header], "text/rfc822-headers", "message/global-headers")
    };
    let eight_bit_header = !original[..header].is_ascii();
    let kind = if eight_bit_header { global } else { plain };
    let encoding = if octets.is_ascii() { "7bit" } else { "8bit" };
    let part = MimePart::new(ContentType::new(kind), BodyPart::Binary(octets.to_vec().into()));
    Some(part.transfer_encoding(encoding))
}

/// The Message-ID, for threading.
fn message_id(original: &Bytes) -> Option<String> {
    let parsed = mail_parser::MessageParser::new().parse_headers(&original[..])?;
    parsed.message_id().map(|id| format!("<{id}>"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::outcome::{DialogueStage, RemoteReply, Scene};
    use crate::ids::{LetterId, TenantId};
    use crate::message::Notify;
    use crate::sign::SendOptions;
    use crate::store::RecipientState;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_795_442_709_123)
    }

    fn record(recipients: &[&str]) -> LetterRecord {
        let recipients: Vec<_> = recipients.iter().map(|to| Recipient::new(to.parse().unwrap())).collect();
        let states = vec![RecipientState::Waiting { next: now(), attempts: 1, last: None }; recipients.len()];
        LetterRecord {
            id: LetterId::new(now()),
            tenant: TenantId(1),
            accepted: now(),
            expires: now() + std::time::Duration::from_hours(120),
            envelope: Envelope::new(ReversePath::Mailbox("s@acme.example".parse().unwrap()), recipients),
            states,
            options: SendOptions::default(),
            return_path: None,
            subject: "Ihre Rechnung für März".into(),
            from_domain: "acme.example".into(),
            size: 100,
            eight_bit: false,
            delay_notified: false,
            notice: false,
        }
    }

    fn evidence(code: u16, text: &str) -> Evidence {
        let scene = Scene { at: now(), host: Some("mx.there.example".into()), address: None, tls: None, dsn: false };
        scene.reply(DialogueStage::Rcpt, &RemoteReply { code, status: Some((5, 1, 1)), text: text.into() })
    }

    fn notice(kind: NoticeKind, record: &LetterRecord, original: &str) -> String {
        let original = Bytes::from(original.to_owned());
        let about = vec![(0, evidence(550, "5.1.1 no such user\nask the postmaster"))];
        let composed = compose(&Request {
            kind,
            record,
            about: &about,
            original: Some(&original),
            hostname: &"mx.relay.example".parse().unwrap(),
            from_domain: &"acme.example".parse().unwrap(),
            now: now(),
        });
        let composed = composed.unwrap();
        assert_eq!(composed.envelope.reverse_path, ReversePath::Null);
        String::from_utf8(composed.message).unwrap()
    }

    const LETTER: &str = "From: a@acme.example\r\nMessage-ID: <m1@acme.example>\r\nSubject: x\r\n\r\nsecret body\r\n";

    #[test]
    fn a_failure_notice_has_three_parts_that_say_what_happened() {
        let mut record = record(&["gone@there.example"]);
        record.envelope.recipients[0].original = Some("rfc822;gone+2Bplus@there.example".into());
        record.envelope.envelope_id = Some("QQ+2B314".into());
        let text = notice(NoticeKind::Failure, &record, LETTER);
        let parsed = mail_parser::MessageParser::new().parse(&text).unwrap();
        assert_eq!(parsed.parts.len(), 4, "the report and its three parts");
        for wanted in [
            "report-type=\"delivery-status\"",
            "Auto-Submitted: auto-replied",
            "References: <m1@acme.example>",
            "mx.there.example said: 550 5.1.1 no such user",
            "Original-Envelope-Id: QQ+314",
            "Original-Recipient: rfc822; gone+plus@there.example",
            "Final-Recipient: rfc822; gone@there.example\r\nAction: failed\r\nStatus: 5.1.1",
            "Diagnostic-Code: smtp; 550 5.1.1 no such user ask the postmaster",
            "Content-Type: message/rfc822",
            "secret body",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        assert!(!text.contains("message/delivery-status; charset"));
    }

    #[test]
    fn the_body_stays_home_where_it_was_asked_to() {
        let mut headers_only = record(&["gone@there.example"]);
        headers_only.envelope.return_content = Some(ReturnContent::Headers);
        let mut secret = record(&["gone@there.example"]);
        secret.envelope.require_tls = true;
        secret.envelope.return_content = Some(ReturnContent::Full);
        for (kind, record) in [
            (NoticeKind::Failure, &headers_only),
            (NoticeKind::Failure, &secret),
            (NoticeKind::Delay, &record(&["late@there.example"])),
        ] {
            let text = notice(kind, record, LETTER);
            assert!(text.contains("text/rfc822-headers") && !text.contains("secret body"), "{text}");
        }
    }

    #[test]
    fn addresses_in_utf8_take_the_types_of_rfc_6533() {
        let text = notice(NoticeKind::Failure, &record(&["用户@there.example"]), LETTER);
        assert!(text.contains("message/global-delivery-status") && text.contains("Final-Recipient: utf-8; 用户@there"));
    }

    use NoticeKind::{Delay, Failure, Success};

    #[test]
    fn nobody_is_told_what_they_did_not_want_to_hear() {
        let mut record = record(&["a@b.example", "c@b.example"]);
        record.envelope.recipients[0].notify = Notify::Never;
        record.envelope.recipients[1].notify = Notify::On { success: true, failure: false, delay: false };
        let wants = |record: &LetterRecord, at| [Failure, Delay, Success].map(|kind| wanted(kind, record, at));
        assert_eq!(wants(&record, 0), [false, false, false]);
        assert_eq!(wants(&record, 1), [false, false, true]);
        record.notice = true;
        assert_eq!(wants(&record, 1), [false, false, false]);
        record.notice = false;
        record.envelope.reverse_path = ReversePath::Null;
        assert_eq!(wants(&record, 1), [false, false, false]);
    }
}
