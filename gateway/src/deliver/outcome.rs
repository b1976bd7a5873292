//! What became of one recipient in one attempt: the only place where a remote reply gets a meaning.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::sign::TlsLevel;

/// Where in the dialogue something happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DialogueStage {
    /// Looking up MX and addresses.
    Dns,
    /// Opening the connection.
    Connect,
    /// The greeting.
    Greeting,
    /// EHLO or HELO.
    Ehlo,
    /// STARTTLS and the handshake.
    Tls,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA or BDAT, up to the last octet.
    Data,
    /// After the last octet: the final reply.
    FinalReply,
    /// Not sent at all: a policy or a missing extension stood in the way, or time ran out.
    Policy,
}

/// A remote server's reply, as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemoteReply {
    /// The three digits.
    pub code: u16,
    /// The enhanced status code (RFC 3463), if the server sent one.
    pub status: Option<(u8, u16, u16)>,
    /// The text, its lines joined by `\n`; control characters and non-UTF-8 bytes replaced, at most 1,000 characters.
    pub text: String,
}

/// What TLS a connection had.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TlsFacts {
    /// `TLSv1.3`.
    pub version: String,
    /// The cipher suite.
    pub cipher: String,
    /// Was the host's name proven by its certificate?
    pub verified: bool,
    /// The level that was asked for.
    pub policy: TlsLevel,
}

/// What is known of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// When.
    pub at: Timestamp,
    /// Where in the dialogue.
    pub stage: DialogueStage,
    /// The host that was spoken to.
    pub host: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Its reply, if that is what decided.
    pub reply: Option<RemoteReply>,
    /// The TLS of the connection; `None` is plain text or no connection.
    pub tls: Option<TlsFacts>,
    /// In our words, where no reply decided: `connection refused`, `no MX host answered`…
    pub note: String,
    /// The enhanced status code for notices and events (from the reply, or ours).
    pub status: (u8, u16, u16),
    /// Did the server take over the sending of success notices (it offers DSN and was asked)?
    pub dsn_relayed: bool,
}

/// What became of a recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The other side took responsibility.
    Delivered(Evidence),
    /// Not now.
    TryLater(Evidence),
    /// Never.
    Refused(Evidence),
}

impl Outcome {
    /// The evidence, whatever it says.
    pub fn evidence(&self) -> &Evidence {
        match self {
            Self::Delivered(evidence) | Self::TryLater(evidence) | Self::Refused(evidence) => evidence,
        }
    }
}
