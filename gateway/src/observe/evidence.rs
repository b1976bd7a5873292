//! A delivery attempt's evidence as events and lists show it: times in RFC 3339, status codes with dots.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::deliver::outcome::{DialogueStage, Evidence, TlsFacts};

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
        }
    }
}
