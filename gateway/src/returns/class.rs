//! What a remote server's words mean, by rules that are data (`rules`).
//!
//! Promises: the same words, the same class; a reply that no rule knows is [`Category::Unknown`], never a guess, since
//! a guess of "no such mailbox" would end mail to somebody who is there. Whether a letter is tried again does not hang
//! on this (`deliver::outcome` decides that by the protocol alone); the class explains, and decides who is suppressed.

use serde::{Deserialize, Serialize};

use super::rules::{STATUSES, WORDS};
use crate::deliver::outcome::{DialogueStage, Evidence};

/// What a refusal is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Category {
    /// There is no such mailbox.
    BadMailbox,
    /// There is no such domain, or it takes no mail.
    BadDomain,
    /// The mailbox is closed or disabled.
    Inactive,
    /// The mailbox is full.
    MailboxFull,
    /// A rule of the other side.
    Policy,
    /// The message looks like spam.
    Spam,
    /// Its content: a virus, an attachment, a format.
    Content,
    /// It is too large.
    TooLarge,
    /// SPF, DKIM, DMARC, reverse DNS: records that the sending side publishes.
    Authentication,
    /// The bad name of an address or a domain.
    Reputation,
    /// Too much in too short a time.
    Rate,
    /// Not seen before: come back.
    Greylisted,
    /// The server does not take mail for this domain, or mail goes in circles.
    Relay,
    /// TLS is missing or does not satisfy.
    Tls,
    /// The two programs do not understand each other.
    Protocol,
    /// No connection, a server in trouble.
    Network,
    /// No rule knows these words.
    Unknown,
}

impl Category {
    /// The name in JSON and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BadMailbox => "bad-mailbox",
            Self::BadDomain => "bad-domain",
            Self::Inactive => "inactive",
            Self::MailboxFull => "mailbox-full",
            Self::Policy => "policy",
            Self::Spam => "spam",
            Self::Content => "content",
            Self::TooLarge => "too-large",
            Self::Authentication => "authentication",
            Self::Reputation => "reputation",
            Self::Rate => "rate",
            Self::Greylisted => "greylisted",
            Self::Relay => "relay",
            Self::Tls => "tls",
            Self::Protocol => "protocol",
            Self::Network => "network",
            Self::Unknown => "unknown",
        }
    }
}

/// Will trying again help?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Again {
    /// By itself, in time.
    Yes,
    /// Only when the sending side has put something right.
    AfterRepair,
    /// No.
    Never,
}

/// What words mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Class {
    /// What it is about.
    pub category: Category,
    /// Will trying again help?
    pub again: Again,
    /// Where the rule is written down; empty where none knew the words.
    pub source: &'static str,
}

impl Class {
    const UNKNOWN_LATER: Self = Self { category: Category::Unknown, again: Again::Yes, source: "" };
    const UNKNOWN_NEVER: Self = Self { category: Category::Unknown, again: Again::Never, source: "" };

    /// Does it say that nobody is there, so that nothing should be sent to the address again?
    pub const fn is_hard(self) -> bool {
        matches!(self.category, Category::BadMailbox | Category::BadDomain | Category::Inactive)
            && matches!(self.again, Again::Never)
    }
}

/// Words in one writing: lower case, every run of white space one space.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.extend(word.chars().flat_map(char::to_lowercase).map(|c| if c == '’' { '\'' } else { c }));
    }
    out
}

/// Does `word` stand in `text` where a word begins? "rbl" is in "terribly" as well.
fn stands_in(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        !word.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text[..at].ends_with(|c: char| c.is_alphanumeric())
    })
}

/// The class of a reply or of a notice's diagnostic: its three digits, its enhanced status code, its text.
pub fn classify(code: Option<u16>, status: Option<(u8, u16, u16)>, text: &str) -> Class {
    // A reply of 4xx says "not now", whatever it is about.
    let for_now = match (status, code) {
        (Some((class, _, _)), _) => class == 4,
        (None, Some(code)) => code / 100 == 4,
        (None, None) => false,
    };
    let made = |category, again, source| Class { category, again: if for_now { Again::Yes } else { again }, source };
    let text = plain(text);
    let known = WORDS.iter().find(|rule| rule.all.iter().all(|word| stands_in(&text, word)));
    if let Some(rule) = known {
        return made(rule.category, rule.again, rule.source);
    }
    let by_status = status.and_then(|(_, subject, detail)| {
        STATUSES.iter().find(|rule| rule.0 == subject && rule.1.is_none_or(|wanted| wanted == detail))
    });
    if let Some(rule) = by_status {
        return made(rule.2, rule.3, rule.4);
    }
    match (for_now, code) {
        (_, Some(421)) => Class { category: Category::Network, again: Again::Yes, source: "RFC 5321 §3.8" },
        (_, Some(552)) => made(Category::MailboxFull, Again::Yes, "RFC 5321 §4.2.3"),
        (_, Some(500..=504 | 555)) => made(Category::Protocol, Again::AfterRepair, "RFC 5321 §4.2.2"),
        (true, _) => Class::UNKNOWN_LATER,
        (false, _) => Class::UNKNOWN_NEVER,
    }
}

/// The class of a failed attempt: of the reply where one decided, else of the stage that it failed at.
pub fn of_evidence(evidence: &Evidence) -> Class {
    if let Some(reply) = &evidence.reply {
        return classify(Some(reply.code), reply.status, &reply.text);
    }
    let made = |category, again, source| Class { category, again, source };
    let never = evidence.status.0 == 5;
    match (evidence.stage, evidence.status) {
        (DialogueStage::Dns, (5, 1, 10)) => made(Category::BadDomain, Again::Never, "RFC 7505 §4.2"),
        (DialogueStage::Dns, _) if never => made(Category::BadDomain, Again::Never, "RFC 5321 §5.1"),
        (DialogueStage::Tls, _) => made(Category::Tls, Again::AfterRepair, "RFC 3207"),
        (DialogueStage::Policy, (_, 7, _)) => made(Category::Tls, Again::AfterRepair, "RFC 8689, RFC 8461, RFC 7672"),
        (DialogueStage::Policy, _) if never => made(Category::Protocol, Again::Never, "RFC 5321 §2.2"),
        _ => made(Category::Network, Again::Yes, "RFC 5321 §4.5.4"),
    }
}

#[cfg(test)]
#[path = "class_tests.rs"]
mod tests;
