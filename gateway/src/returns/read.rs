//! Reading what came back: delivery status notifications (RFC 3464, RFC 6533), complaints (RFC 5965), answers of
//! machines (RFC 3834), and the notices that keep to no standard ([`super::odd`]).
//!
//! Pure, and total: any octets give a [`Comeback`]; what is not understood is [`Kind::Other`], which changes nothing.
//! Bounded: so many recipients of a report, so many characters of a diagnostic are kept. What is kept of foreign texts is
//! printable and holds no run of digits that may be a card number, since a notice may quote the mail it is about.

use mail_auth::report::{Feedback, FeedbackType};
use mail_parser::{Message, MessageParser, MimeHeaders, PartType};
use serde::{Deserialize, Serialize};

use super::odd::ODD;
use crate::smtp::reply::clean;

/// Recipients of one report that are looked at.
const MOST_RECIPIENTS: usize = 100;
/// Characters of a diagnostic that are kept.
const DIAGNOSTIC: usize = 500;
/// Octets of a text in which the words of [`ODD`] are looked for, and a reply to quote.
const LOOKED_AT: usize = 8 * 1024;

/// What came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It was not delivered, and will not be.
    Failed,
    /// It is not delivered yet.
    Delayed,
    /// It was delivered, or passed on to where no notices come from.
    Delivered,
    /// The recipient called it spam.
    Complaint,
    /// A machine answered: out of office, a receipt.
    AutoReply,
    /// None of these: a person's answer, perhaps.
    Other,
}

impl Kind {
    /// The name in JSON and events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Complaint => "complaint",
            Self::AutoReply => "auto-reply",
            Self::Other => "other",
        }
    }
}

/// What a report says of one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct About {
    /// The addresses that it names: `Original-Recipient` before `Final-Recipient`, without their type.
    pub addresses: Vec<String>,
    /// The kind, from `Action`.
    pub kind: Option<Kind>,
    /// `Status`.
    pub status: Option<(u8, u16, u16)>,
    /// The three digits that the diagnostic begins with.
    pub code: Option<u16>,
    /// The diagnostic, cleaned.
    pub diagnostic: String,
    /// `Remote-MTA`.
    pub remote: Option<String>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comeback {
    /// What it is.
    pub kind: Kind,
    /// One entry a recipient of the report; at least one for a failure or a delay.
    pub about: Vec<About>,
    /// Who reports: `Reporting-MTA`, or the `User-Agent` of a complaint.
    pub reporter: Option<String>,
    /// By what it was recognised.
    pub source: &'static str,
}

impl Comeback {
    /// What is said of `recipient`; the address that it came to names one, so the only entry is its own.
    pub fn about(&self, recipient: Option<&str>) -> Option<&About> {
        let named = |about: &&About| {
            recipient.is_some_and(|wanted| about.addresses.iter().any(|found| found.eq_ignore_ascii_case(wanted)))
        };
        let failed = || self.about.iter().find(|about| about.kind == Some(Kind::Failed));
        self.about.iter().find(named).or_else(failed).or_else(|| self.about.first())
    }
}

/// A foreign text as it may be kept: printable, of one line, short.
fn kept(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    clean(&line.chars().take(DIAGNOSTIC).collect::<String>())
}

/// Reads a message.
pub fn read(octets: &[u8]) -> Comeback {
    let nothing = Comeback { kind: Kind::Other, about: Vec::new(), reporter: None, source: "" };
    let Some(message) = MessageParser::default().parse(octets) else { return nothing };
    complaint(octets, &message).or_else(|| status(&message)).or_else(|| odd(&message)).unwrap_or(nothing)
}

/// RFC 5965 §3: a part of the type `message/feedback-report`.
fn complaint(octets: &[u8], message: &Message<'_>) -> Option<Comeback> {
    message.parts.iter().find(|part| part.is_content_type("message", "feedback-report"))?;
    let feedback = Feedback::parse_rfc5322(octets).ok()?;
    let kind = match feedback.feedback_type() {
        FeedbackType::Abuse | FeedbackType::Fraud | FeedbackType::Virus => Kind::Complaint,
        // "This is no spam", reports of failed authentication (RFC 6591): nobody complains.
        FeedbackType::NotSpam | FeedbackType::AuthFailure | FeedbackType::Other => Kind::Other,
    };
    let address = feedback.original_rcpt_to().map(|to| kept(to.trim().trim_matches(['<', '>'])));
    let about = About { addresses: address.into_iter().collect(), kind: Some(kind), ..About::default() };
    let reporter = feedback.user_agent().or(feedback.reporting_mta()).map(kept);
    Some(Comeback { kind, about: vec![about], reporter, source: "RFC 5965" })
}

/// RFC 3464 §2.1: a part of the type `message/delivery-status`, wherever it stands; RFC 6533 §3 has another name.
fn status(message: &Message<'_>) -> Option<Comeback> {
    let is_status = |part: &&mail_parser::MessagePart<'_>| {
        part.is_content_type("message", "delivery-status") || part.is_content_type("message", "global-delivery-status")
    };
    let part = message.parts.iter().find(is_status)?;
    let text = String::from_utf8_lossy(part.contents());
    let mut groups = groups(&text).into_iter();
    let first = groups.next()?;
    // The first group is about the message. Some writers leave the empty line out, or the group itself.
    let reporter = first.get("reporting-mta").map(|name| kept(without_type(name)));
    let mut about: Vec<About> = if first.get("final-recipient").is_some() || first.get("action").is_some() {
        vec![recipient(&first)]
    } else {
        Vec::new()
    };
    about.extend(groups.take(MOST_RECIPIENTS - about.len()).map(|group| recipient(&group)));
    about.retain(|about| about.kind.is_some() || about.status.is_some());
    let kind = [Kind::Failed, Kind::Delayed, Kind::Delivered].into_iter();
    let kind = kind.into_iter().find(|kind| about.iter().any(|about| about.kind == Some(*kind)))?;
    Some(Comeback { kind, about, reporter, source: "RFC 3464" })
}

/// Fields of a group by their names in lower case; of several of one name the first.
struct Group(Vec<(String, String)>);

impl Group {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

fn groups(text: &str) -> Vec<Group> {
    let mut all = Vec::new();
    let mut group: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() {
            if !group.is_empty() {
                all.push(Group(std::mem::take(&mut group)));
            }
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = group.last_mut()
                && value.len() < 2 * DIAGNOSTIC
            {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            group.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
        if all.len() > MOST_RECIPIENTS || group.len() > 100 {
            break;
        }
    }
    if !group.is_empty() {
        all.push(Group(group));
    }
    all
}

/// `rfc822; a@b.example` without its type; a writer may leave that out.
fn without_type(value: &str) -> &str {
    match value.split_once(';') {
        Some((kind, rest)) if !kind.contains(['@', ' ']) => rest.trim(),
        _ => value.trim(),
    }
}

fn recipient(group: &Group) -> About {
    let address = |name| group.get(name).map(|value| kept(without_type(value).trim_matches(['<', '>'])));
    let status = group.get("status").and_then(|status| read_status(status.split_whitespace().next()?));
    let kind = match group.get("action").map(str::to_ascii_lowercase).as_deref() {
        Some("failed") => Some(Kind::Failed),
        Some("delayed") => Some(Kind::Delayed),
        Some("delivered" | "relayed" | "expanded") => Some(Kind::Delivered),
        // RFC 3464 §2.3.3 makes it mandatory, and some leave it out; the status says as much.
        _ => status.and_then(|(class, _, _)| match class {
            2 => Some(Kind::Delivered),
            4 => Some(Kind::Delayed),
            5 => Some(Kind::Failed),
            _ => None,
        }),
    };
    let diagnostic = group.get("diagnostic-code").map(without_type).unwrap_or_default();
    let (code, in_text) = read_reply(diagnostic);
    About {
        addresses: [address("original-recipient"), address("final-recipient")].into_iter().flatten().collect(),
        kind,
        // Postfix and Exchange write 5.0.0 where the server's own code says more.
        status: match (status, in_text) {
            (Some((_, 0, 0)) | None, Some(better)) => Some(better),
            (status, _) => status,
        },
        code,
        diagnostic: kept(diagnostic),
        remote: group.get("remote-mta").map(|name| kept(without_type(name))),
    }
}

/// `5.1.1`, with whatever stands around it.
fn read_status(word: &str) -> Option<(u8, u16, u16)> {
    let word = word.trim_matches(|c: char| !c.is_ascii_digit());
    let mut numbers = word.split('.').map(|number| {
        let plain = (1..=3).contains(&number.len()) && number.bytes().all(|b| b.is_ascii_digit());
        plain.then(|| number.parse::<u16>().ok()).flatten()
    });
    let (class, subject, detail) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let whole = numbers.next().is_none() && matches!(class, 2 | 4 | 5);
    whole.then_some((u8::try_from(class).ok()?, subject, detail))
}

/// The three digits of a reply and its status code, from a text that begins with them.
fn read_reply(text: &str) -> (Option<u16>, Option<(u8, u16, u16)>) {
    let mut words = text
        .split([' ', '-', '\t'])
        .filter(|word| !word.is_empty())
        .map(|word| word.trim_matches(['<', '>', '#', ':', ',', ';']));
    let (mut code, mut status) = (None, None);
    for word in words.by_ref().take(4) {
        if code.is_none() && word.len() == 3 && word.starts_with(['4', '5']) && word.bytes().all(|b| b.is_ascii_digit())
        {
            code = word.parse().ok();
        } else if status.is_none() {
            status = read_status(word);
        }
    }
    (code, status)
}

/// The beginning of what a person would read.
fn beginning(message: &Message<'_>) -> String {
    let mut text = String::new();
    for part in &message.parts {
        let body = match &part.body {
            PartType::Text(body) => body.as_ref(),
            // The returned mail is not the notice's own text.
            PartType::Message(_) => break,
            _ => continue,
        };
        let end = (0..=LOOKED_AT.min(body.len())).rev().find(|end| body.is_char_boundary(*end)).unwrap_or(0);
        text.push_str(&body[..end]);
        if text.len() >= LOOKED_AT {
            break;
        }
        text.push('\n');
    }
    text
}

/// A notice that keeps to no standard, or the answer of a machine.
fn odd(message: &Message<'_>) -> Option<Comeback> {
    let text = beginning(message);
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let field = |name: &str| -> Option<String> {
        // The Subject may be encoded words.
        let decoded = if name == "Subject" { message.subject() } else { message.header_raw(name) };
        decoded.map(|value| value.trim().to_lowercase())
    };
    let fits = |rule: &&super::odd::Odd| {
        let by_field = rule.field.is_none_or(|(name, wanted)| field(name).is_some_and(|value| value.contains(wanted)));
        by_field && rule.text.iter().all(|words| plain.contains(words))
    };
    let rule = ODD.iter().find(fits)?;
    let mut about = About { kind: Some(rule.kind), ..About::default() };
    if matches!(rule.kind, Kind::Failed | Kind::Delayed) {
        about.addresses = field("X-Failed-Recipients").map(|value| kept(&value)).into_iter().collect();
        if let Some(line) = quoted_reply(&text) {
            (about.code, about.status) = read_reply(line);
            about.diagnostic = kept(line);
        }
    }
    let about = if matches!(rule.kind, Kind::Failed | Kind::Delayed) { vec![about] } else { Vec::new() };
    Some(Comeback { kind: rule.kind, about, reporter: None, source: rule.source })
}

/// From the first line that quotes a server's reply, what the server said: `550 5.1.1 …`, after whatever words.
fn quoted_reply(text: &str) -> Option<&str> {
    for line in text.lines() {
        let bytes = line.as_bytes();
        for at in 0..bytes.len().saturating_sub(3) {
            let begins = at == 0 || matches!(bytes[at - 1], b' ' | b'\t' | b':' | b'(' | b'"' | b'<' | b'\'');
            let digits = matches!(bytes[at], b'4' | b'5') && bytes[at + 1..at + 3].iter().all(u8::is_ascii_digit);
            if begins && digits && matches!(bytes[at + 3], b' ' | b'-') && (b'0'..=b'5').contains(&bytes[at + 1]) {
                return line.get(at..);
            }
            // "#5.1.1" of Exchange and IronPort.
            if begins && bytes[at] == b'#' && read_status(line.get(at..)?.split([' ', '>', ')']).next()?).is_some() {
                return line.get(at..);
            }
        }
    }
    None
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
