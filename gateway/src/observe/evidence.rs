//! A delivery attempt's evidence as events and lists show it: times in RFC 3339, status codes with dots.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::deliver::outcome::{DialogueStage, Evidence, TlsFacts};
use crate::returns::class::{Again, Category, Class, of_evidence};

/// [`Evidence`] in its stable JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceView {
    /// When, in RFC 3339.
    pub at: String,
    /// Where in the dialogue.
    pub stage: DialogueStage,
    /// The host that was spoken to.
    pub host: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// The enhanced status code, `5.1.1`.
    pub status: String,
    /// The reply's three digits.
    pub code: Option<u16>,
    /// The reply's text.
    pub reply: Option<String>,
    /// What the connection had; `null` is plain text or no connection.
    pub tls: Option<TlsFacts>,
    /// In our words, where no reply decided.
    pub note: String,
    /// What a failure is about, and whether trying again helps; `null` for a success.
    #[serde(default)]
    pub class: Option<ClassView>,
}

/// What a refusal is about, by the rules of `returns::class`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassView {
    /// `bad-mailbox`, `mailbox-full`, `policy`…
    pub category: Category,
    /// `yes`, `after-repair`, `never`.
    pub again: Again,
    /// Where the rule is written down.
    pub source: String,
}

impl From<Class> for ClassView {
    fn from(class: Class) -> Self {
        Self { category: class.category, again: class.again, source: class.source.to_owned() }
    }
}

impl EvidenceView {
    /// What the other side said, or what we saw, with whom and over which TLS.
    pub fn in_one_line(&self) -> String {
        let said = match (self.code, &self.reply) {
            (Some(code), Some(reply)) => format!("{code} {}", reply.replace('\n', " ")),
            _ => self.note.clone(),
        };
        let whom = match (&self.host, self.address) {
            (Some(host), Some(address)) => format!("{host} [{address}]: "),
            (Some(host), None) => format!("{host}: "),
            (None, _) => String::new(),
        };
        let tls = match &self.tls {
            Some(tls) => {
                let proven = if tls.verified { "verified" } else { "not verified" };
                format!(" ({} {}, {proven}, policy {})", tls.version, tls.cipher, tls.policy.text())
            }
            None if self.address.is_some() => " (not encrypted)".to_owned(),
            None => String::new(),
        };
        format!("{whom}{said}{tls}")
    }
}

impl From<&Evidence> for EvidenceView {
    fn from(evidence: &Evidence) -> Self {
        let (class, subject, detail) = evidence.status;
        Self {
            at: evidence.at.to_rfc3339(),
            stage: evidence.stage,
            host: evidence.host.clone(),
            address: evidence.address,
            status: format!("{class}.{subject}.{detail}"),
            code: evidence.reply.as_ref().map(|reply| reply.code),
            reply: evidence.reply.as_ref().map(|reply| reply.text.clone()),
            tls: evidence.tls.clone(),
            note: evidence.note.clone(),
            class: (class != 2).then(|| of_evidence(evidence).into()),
        }
    }
}
