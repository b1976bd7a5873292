//! Replies: the only place where a refusal of any room becomes an SMTP reply.
//!
//! Each refusal says what happened and what to do, and ends in the session's name, which events carry too. Texts
//! are printable ASCII, one line of at most 512 octets (RFC 5321 §4.5.3.1.5), and never hold a run of digits long
//! enough to be a card number, whoever wrote it. Enhanced codes follow RFC 3463 and RFC 5248.

use std::borrow::Cow;

use super::addressees::{ReceiveError, Unwanted};
use super::command::SyntaxError;
use super::content::ContentFault;
use super::line::LineFault;
use crate::ids::{LetterId, SessionId};
use crate::message::AddressError;
use crate::pipeline::AcceptError;
use crate::redact::Refusal;
use crate::sign::SealError;
use crate::store::StoreError;

/// A reply of one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: u16,
    status: &'static str,
    text: Cow<'static, str>,
    reason: Option<&'static str>,
}

impl Reply {
    /// A positive reply.
    pub const fn good(code: u16, status: &'static str, text: &'static str) -> Self {
        Self { code, status, text: Cow::Borrowed(text), reason: None }
    }

    /// A positive reply with a text made for it.
    pub fn done(code: u16, status: &'static str, text: String) -> Self {
        Self { code, status, text: Cow::Owned(text), reason: None }
    }

    /// A refusal; `reason` is its label in metrics and events.
    pub fn refusal(code: u16, status: &'static str, reason: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { code, status, text: text.into(), reason: Some(reason) }
    }

    /// `250 2.0.0 queued as <id>`.
    pub fn queued(id: LetterId) -> Self {
        Self::done(250, "2.0.0", format!("queued as {id}"))
    }

    /// The label of a refusal.
    pub fn reason(&self) -> Option<&'static str> {
        self.reason
    }

    /// The code.
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The line without its CRLF.
    pub fn line(&self, session: SessionId) -> String {
        let status = if self.status.is_empty() { String::new() } else { format!("{} ", self.status) };
        if self.reason.is_some() {
            let mut text = clean(&self.text);
            text.truncate(LINE - TAIL);
            format!("{} {status}{text} [{session}]", self.code)
        } else {
            // Our own words and ids: a ULID may hold twelve digits in a row, and has to stay what it is.
            format!("{} {status}{}", self.code, self.text)
        }
    }
}

/// What a text may have of the 512 octets beside code, status and CRLF.
const LINE: usize = 490;
/// What the session's name takes.
const TAIL: usize = 20;

/// Printable ASCII, with every run that could be a card number masked: twelve digits or more, however they are
/// separated by spaces, dots or hyphens. A sender who puts one into an address must not find it in a log.
pub fn clean(text: &str) -> String {
    let mut out: Vec<u8> =
        text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c as u8 } else { b'?' }).collect();
    let joins = |octet: u8| octet.is_ascii_digit() || b" -.".contains(&octet);
    let mut from = 0;
    while from < out.len() {
        let end = out[from..].iter().position(|octet| !joins(*octet)).map_or(out.len(), |n| from + n);
        let run = &mut out[from..end];
        if run.iter().filter(|octet| octet.is_ascii_digit()).count() >= 12 {
            run.iter_mut().filter(|octet| octet.is_ascii_digit()).for_each(|octet| *octet = b'*');
        }
        from = end + 1;
    }
    // Every octet was made ASCII above.
    String::from_utf8(out).unwrap_or_default()
}

/// A number of octets as people read it.
pub fn octets(n: u64) -> String {
    let tenths = |unit: u64| format!("{}.{}", n / unit, n % unit * 10 / unit);
    match n {
        0..1_000 => format!("{n} octets"),
        1_000..1_000_000 => format!("{} kB", tenths(1_000)),
        _ => format!("{} MB", tenths(1_000_000)),
    }
}

impl From<Unwanted> for Reply {
    fn from(unwanted: Unwanted) -> Self {
        let text = unwanted.to_string();
        match unwanted {
            Unwanted::Suppressed { .. } => {
                let text = format!("{text} - send to the others, or take it off: waxseal suppression remove");
                Self::refusal(550, "5.7.1", "suppressed", text)
            }
            Unwanted::NotOurs(_) => Self::refusal(550, "5.1.1", "not-ours", text),
        }
    }
}

impl From<&ReceiveError> for Reply {
    fn from(error: &ReceiveError) -> Self {
        match error {
            ReceiveError::NotTaken(text) => Self::refusal(550, "5.7.1", "not-taken", text.clone()),
            ReceiveError::Later(text) => Self::refusal(451, "4.3.0", "later", format!("{text} - try again later")),
        }
    }
}

impl From<LineFault> for Reply {
    fn from(fault: LineFault) -> Self {
        match fault {
            LineFault::BareLf | LineFault::BareCr => {
                Self::refusal(500, "5.5.2", "line-end", format!("{fault} - end each line with CRLF"))
            }
            LineFault::TooLong => Self::refusal(500, "5.5.2", "line-length", fault.to_string()),
        }
    }
}

impl From<SyntaxError> for Reply {
    fn from(error: SyntaxError) -> Self {
        let text = error.to_string();
        match error {
            SyntaxError::NotText => Self::refusal(500, "5.5.2", "syntax", text),
            SyntaxError::Address(address) => address.into(),
            SyntaxError::Parameter(_) | SyntaxError::Misplaced(..) => Self::refusal(555, "5.5.4", "parameter", text),
            SyntaxError::Value(_) | SyntaxError::Twice(_) => Self::refusal(501, "5.5.4", "parameter", text),
            SyntaxError::NeedsSmtpUtf8 => Self::refusal(553, "5.6.7", "smtputf8", text),
            SyntaxError::Missing(..)
            | SyntaxError::Superfluous(_)
            | SyntaxError::Name(_)
            | SyntaxError::Space(_)
            | SyntaxError::Brackets(_)
            | SyntaxError::Chunk => Self::refusal(501, "5.5.4", "syntax", text),
        }
    }
}

impl From<AddressError> for Reply {
    fn from(error: AddressError) -> Self {
        // The local part is not repeated: replies are logged, and who is written to is not the log's business.
        let text = match &error {
            AddressError::Shape(_) => "the address is not of the form <local-part@domain>".to_owned(),
            AddressError::LocalPart(_) => "the part of the address before \"@\" is not valid".to_owned(),
            AddressError::Domain(domain) => format!("\"{domain}\" is not a valid domain name"),
            AddressError::Literal(_) => "address literals are not served here - use a domain name".to_owned(),
        };
        Self::refusal(501, "5.1.3", "address", text)
    }
}

impl From<ContentFault> for Reply {
    fn from(fault: ContentFault) -> Self {
        let text = fault.to_string();
        match fault {
            ContentFault::BareLf(_) | ContentFault::BareCr(_) => {
                Self::refusal(550, "5.5.2", "line-end", format!("{text} - end each line of the message with CRLF"))
            }
            ContentFault::Nul(_) => {
                Self::refusal(550, "5.6.0", "nul", format!("{text} - encode binary content in base64"))
            }
            ContentFault::TooLarge(limit) => {
                Self::refusal(552, "5.3.4", "size", format!("message exceeds {}", octets(limit as u64)))
            }
            ContentFault::TooManyChunks(_) => {
                Self::refusal(552, "5.3.4", "chunks", format!("{text} - send fewer, larger chunks"))
            }
            ContentFault::NoMemory => {
                Self::refusal(452, "4.3.1", "memory", "short of memory for messages - try again later")
            }
        }
    }
}

impl From<&AcceptError> for Reply {
    fn from(error: &AcceptError) -> Self {
        match error {
            AcceptError::Redaction(refusal) => refusal.into(),
            AcceptError::Seal(error) => error.into(),
            AcceptError::Store(error) => error.into(),
            AcceptError::NoTenant => {
                Self::refusal(550, "5.7.1", "tenant", "the tenant of this credential no longer exists")
            }
            AcceptError::OverQuota(over) => {
                let free = over.free.written("%H:%MZ on %d %b");
                Self::refusal(452, "4.7.1", "quota", format!("{over} - try again after {free}"))
            }
            AcceptError::KeyBusy => Self::refusal(451, "4.3.0", "idempotency", format!("{error} - try again shortly")),
            AcceptError::ShuttingDown => {
                Self::refusal(421, "4.3.2", "shutdown", "the gateway is shutting down - try again shortly")
            }
        }
    }
}

impl From<&Refusal> for Reply {
    fn from(refusal: &Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::CardNumber { .. } => {
                Self::refusal(554, "5.7.1", "card-number", format!("{text} - remove it and send again"))
            }
            Refusal::SignedPart { .. } => {
                Self::refusal(550, "5.7.1", "signed-part", format!("{text} - remove it and sign again"))
            }
            Refusal::Unscannable { .. } => Self::refusal(550, "5.7.1", "unscannable", text),
            Refusal::Limit(_) => Self::refusal(552, "5.3.4", "structure", text),
            // The cause may name what was in the message: it stays inside.
            Refusal::Internal(_) => {
                Self::refusal(451, "4.3.0", "redaction", "the message could not be checked - try again later")
            }
        }
    }
}

impl From<&SealError> for Reply {
    fn from(error: &SealError) -> Self {
        let text = error.to_string();
        match error {
            SealError::NotYourDomain { .. } => Self::refusal(550, "5.7.1", "from-domain", text),
            SealError::BadFrom(_) => Self::refusal(550, "5.6.0", "from", text),
            SealError::BadControlField { .. } => Self::refusal(550, "5.6.0", "control-field", text),
            SealError::BadHeader(_) => Self::refusal(550, "5.6.0", "header", text),
            SealError::Loop(_) => Self::refusal(554, "5.4.6", "loop", text),
            SealError::NoActiveKey(_) => Self::refusal(451, "4.7.5", "dkim-key", text),
            SealError::Internal(_) => {
                Self::refusal(451, "4.3.0", "signing", "the message could not be signed - try again later")
            }
        }
    }
}

impl From<&StoreError> for Reply {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::DiskShort { .. } => {
                Self::refusal(452, "4.3.1", "disk", "short of disk space - try again later")
            }
            StoreError::Io { .. } | StoreError::Damaged(_) | StoreError::Unknown(_) | StoreError::Closed(_) => {
                Self::refusal(451, "4.3.0", "store", "the message could not be stored - try again later")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;
    use crate::tenants::quota::OverQuota;
    use proptest::prelude::*;

    fn start(error: &AcceptError) -> String {
        let line = Reply::from(error).line(SessionId::new());
        let (text, session) = line.rsplit_once(" [s-").unwrap();
        assert!(session.ends_with(']') && session.len() == 13, "{line}");
        text.to_owned()
    }

    #[test]
    fn every_refusal_of_the_pipeline_has_its_reply() {
        let domain = SealError::NotYourDomain {
            field: "From",
            domain: "examp1e.com".into(),
            tenant: "acme".into(),
            allowed: "example.com, mail.example.com".into(),
        };
        let io = StoreError::Io { what: "write /var/lib/x".into(), why: "EIO".into() };
        for (error, expected) in [
            (
                domain.into(),
                "550 5.7.1 From domain \"examp1e.com\" is not one of tenant acme (example.com, mail.example.com)",
            ),
            (SealError::NoActiveKey("example.com".into()).into(), "451 4.7.5 example.com has no active DKIM key"),
            (SealError::Loop(51).into(), "554 5.4.6 mail loop: 51 Received fields"),
            (
                Refusal::Internal("4111111111111111".into()).into(),
                "451 4.3.0 the message could not be checked - try again later",
            ),
            (
                Refusal::CardNumber { place: "part 2 line 14".into() }.into(),
                "554 5.7.1 message contains a payment card number in part 2 line 14 - policy \"reject\" - remove it and send again",
            ),
            (io.into(), "451 4.3.0 the message could not be stored - try again later"),
            (StoreError::DiskShort { free: 1, reserve: 2 }.into(), "452 4.3.1 short of disk space - try again later"),
            (
                OverQuota {
                    tenant: "acme".into(),
                    limit: 1000,
                    span: "an hour",
                    used: 990,
                    free: Timestamp::from_millis(1_795_442_709_123),
                }
                .into(),
                "452 4.7.1 tenant acme may submit 1000 recipients in an hour and has used 990 - try again after 14:05Z on 23 Nov",
            ),
            (AcceptError::ShuttingDown, "421 4.3.2 the gateway is shutting down - try again shortly"),
        ] {
            assert_eq!(start(&error), expected);
        }
    }

    #[test]
    fn digits_that_could_be_a_card_are_masked_and_ids_are_not() {
        assert_eq!(clean("n 4111 1111-1111.1111 x"), "n **** ****-****.**** x");
        assert_eq!(clean("byte 12345678901"), "byte 12345678901");
        let id = LetterId::from_bytes([7; 16]);
        assert_eq!(Reply::queued(id).line(SessionId::new()), format!("250 2.0.0 queued as {id}"));
    }

    proptest! {
        #[test]
        fn a_line_is_ascii_and_short_whatever_went_in(text in "\\PC{0,700}", digits in "[0-9]{13,19}") {
            let reply = Reply::refusal(550, "5.7.1", "x", format!("{text}{digits}"));
            let line = reply.line(SessionId::new());
            prop_assert!(line.len() <= 510 && line.bytes().all(|b| (b' '..=b'~').contains(&b)));
            prop_assert!(!line.contains(&digits));
        }
    }
}
