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

/// Everything that is known about a connection, for the evidence of what happens on it.
#[derive(Debug, Clone)]
pub struct Scene {
    /// When.
    pub at: Timestamp,
    /// The host.
    pub host: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// The connection's TLS.
    pub tls: Option<TlsFacts>,
    /// Does the server send success notices itself?
    pub dsn: bool,
}

impl Scene {
    /// Evidence in our words.
    pub fn note(&self, stage: DialogueStage, status: (u8, u16, u16), note: impl Into<String>) -> Evidence {
        Evidence {
            at: self.at,
            stage,
            host: self.host.clone(),
            address: self.address,
            reply: None,
            tls: self.tls.clone(),
            note: note.into(),
            status,
            dsn_relayed: false,
        }
    }

    /// Evidence in the server's words.
    pub fn reply(&self, stage: DialogueStage, reply: &RemoteReply) -> Evidence {
        let class = (reply.code / 100) as u8;
        let status = reply.status.unwrap_or(match (class, stage) {
            (5, DialogueStage::Rcpt) => (5, 1, 0),
            _ => (class, 0, 0),
        });
        Evidence { reply: Some(reply.clone()), ..self.note(stage, status, "") }
    }

    /// The meaning of a reply at a stage of the dialogue.
    ///
    /// A 5xx is for good only where it speaks of the mail: at MAIL, RCPT, DATA and after the last octet. In the
    /// greeting, at EHLO or STARTTLS it speaks of the host, and another attempt may meet another one. 552 at RCPT
    /// is temporary by RFC 5321 §4.5.3.1.10; 421 and 521 anywhere end the connection, not the mail.
    pub fn judge(&self, stage: DialogueStage, reply: &RemoteReply) -> Outcome {
        let evidence = self.reply(stage, reply);
        let about_the_mail = matches!(
            stage,
            DialogueStage::Mail | DialogueStage::Rcpt | DialogueStage::Data | DialogueStage::FinalReply
        );
        match (reply.code, stage) {
            (250..=259, DialogueStage::FinalReply) => {
                Outcome::Delivered(Evidence { dsn_relayed: self.dsn, ..evidence })
            }
            // 503 says that we lost step with the server, which no sender can help.
            (421 | 503 | 521, _) | (552, DialogueStage::Rcpt) => Outcome::TryLater(evidence),
            (500..=599, _) if about_the_mail => Outcome::Refused(evidence),
            _ => Outcome::TryLater(evidence),
        }
    }
}
