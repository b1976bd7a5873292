//! What became of one recipient in one attempt: the only place where a remote reply gets a meaning.
//!
//! Promises: only a definite "no" ends a recipient. A greeting, EHLO or STARTTLS that is refused says something about
//! the host or the connection, never about the recipient, so it defers, whatever its first digit (RFC 7504's 521 at
//! every host is the one exception, see [`HostVerdict`]); 421 and 503 always defer; 552 to RCPT means "too many
//! recipients" (RFC 5321 §4.5.3.1.10). A connection that breaks says nothing at all.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::tls_policy::PolicyName;
use crate::clock::Timestamp;

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
    /// Did the certificate prove the host, by its name or by DANE?
    pub verified: bool,
    /// The policy that was kept to.
    pub policy: PolicyName,
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

/// A verdict without its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The other side took it.
    Delivered,
    /// Not now.
    TryLater,
    /// Never.
    Refused,
}

/// What a host that could not be used says about the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostVerdict {
    /// Nothing for good: another time it may work.
    Unavailable,
    /// It takes no mail at all (521 or 556 as greeting, RFC 7504 §3). 554 is not enough: it is also how hosts greet
    /// addresses on a block list, and those get off it.
    TakesNoMail,
    /// It cannot take this letter, and will not be able to; the status says why.
    Unsuitable((u8, u16, u16)),
}

/// The meaning of a reply at a stage.
pub fn verdict(stage: DialogueStage, code: u16) -> Verdict {
    match (stage, code / 100) {
        (DialogueStage::FinalReply, 2) => Verdict::Delivered,
        // A 2xx or 3xx where it makes no sense decides nothing.
        (_, 0..=4 | 6..) => Verdict::TryLater,
        (DialogueStage::Mail | DialogueStage::Rcpt | DialogueStage::Data | DialogueStage::FinalReply, _) => {
            // 503 is about the order of commands, that is about the two programs, not about the letter.
            let not_the_letter = code == 503 || (code == 552 && stage == DialogueStage::Rcpt);
            if not_the_letter { Verdict::TryLater } else { Verdict::Refused }
        }
        _ => Verdict::TryLater,
    }
}

/// The meaning of a greeting that is not 220.
pub fn greeting_verdict(code: u16) -> HostVerdict {
    if matches!(code, 521 | 556) { HostVerdict::TakesNoMail } else { HostVerdict::Unavailable }
}

/// The status code for notices and events: the reply's if its class fits the verdict, else the best that the stage
/// tells (RFC 3463 §3).
fn status_for(verdict: Verdict, stage: DialogueStage, reply: Option<&RemoteReply>) -> (u8, u16, u16) {
    let class = match verdict {
        Verdict::Delivered => 2,
        Verdict::TryLater => 4,
        Verdict::Refused => 5,
    };
    if let Some(status) = reply.and_then(|reply| reply.status)
        && status.0 == class
    {
        return status;
    }
    if verdict == Verdict::Delivered {
        return (2, 0, 0);
    }
    let code = reply.map_or(0, |reply| reply.code);
    let (subject, detail) = match (stage, code) {
        (DialogueStage::Rcpt, 452 | 552) => (5, 3),
        (DialogueStage::Rcpt, 550 | 551) => (1, 1),
        (DialogueStage::Mail | DialogueStage::FinalReply, 552) => (3, 4),
        (_, 556) => (1, 10),
        (DialogueStage::Dns, _) => (4, 3),
        (DialogueStage::Connect, _) => (4, 1),
        (DialogueStage::Greeting | DialogueStage::Ehlo, _) => (3, 2),
        (DialogueStage::Tls, _) => (7, 5),
        // No reply at all: the connection broke.
        (_, 0) => (4, 2),
        _ => (0, 0),
    };
    (class, subject, detail)
}

/// Who was spoken to and how: what all evidence of one connection has in common.
#[derive(Debug, Clone)]
pub struct Scene {
    /// When the attempt began.
    pub at: Timestamp,
    /// The host.
    pub host: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// The TLS of the connection.
    pub tls: Option<TlsFacts>,
    /// What is worth remembering of the connection (a handshake that failed before); empty if nothing.
    pub note: String,
}

impl Scene {
    /// A scene without a host.
    pub fn nowhere(at: Timestamp) -> Self {
        Self { at, host: None, address: None, tls: None, note: String::new() }
    }

    /// What a reply means.
    pub fn by_reply(&self, stage: DialogueStage, reply: RemoteReply) -> Outcome {
        let verdict = verdict(stage, reply.code);
        let status = status_for(verdict, stage, Some(&reply));
        self.outcome(verdict, stage, Some(reply), "", status)
    }

    /// Something that is no reply: broken connections, time limits, DNS. Never final.
    pub fn broken(&self, stage: DialogueStage, note: &str) -> Outcome {
        self.outcome(Verdict::TryLater, stage, None, note, status_for(Verdict::TryLater, stage, None))
    }

    /// A reply that does not decide, with our reason.
    pub fn deferred(&self, stage: DialogueStage, reply: Option<RemoteReply>, note: &str) -> Outcome {
        let status = status_for(Verdict::TryLater, stage, reply.as_ref());
        self.outcome(Verdict::TryLater, stage, reply, note, status)
    }

    /// Our own decision that it can never work.
    pub fn refused(
        &self,
        stage: DialogueStage,
        reply: Option<RemoteReply>,
        note: &str,
        status: (u8, u16, u16),
    ) -> Outcome {
        self.outcome(Verdict::Refused, stage, reply, note, status)
    }

    /// Our own decision that it cannot work now.
    pub fn postponed(&self, stage: DialogueStage, note: &str, status: (u8, u16, u16)) -> Outcome {
        self.outcome(Verdict::TryLater, stage, None, note, status)
    }

    fn outcome(
        &self,
        verdict: Verdict,
        stage: DialogueStage,
        reply: Option<RemoteReply>,
        note: &str,
        status: (u8, u16, u16),
    ) -> Outcome {
        let note = match (note.is_empty(), self.note.is_empty()) {
            (_, true) => note.to_owned(),
            (true, false) => self.note.clone(),
            (false, false) => format!("{note}; {}", self.note),
        };
        let evidence = Evidence {
            at: self.at,
            stage,
            host: self.host.clone(),
            address: self.address,
            reply,
            tls: self.tls.clone(),
            note,
            status,
        };
        match verdict {
            Verdict::Delivered => Outcome::Delivered(evidence),
            Verdict::TryLater => Outcome::TryLater(evidence),
            Verdict::Refused => Outcome::Refused(evidence),
        }
    }
}

/// Stands in the note of a delivery to a server that does not send success notices itself (no DSN extension).
pub const NO_DSN_BEYOND: &str = "the next server does not send delivery notices";

impl Evidence {
    /// Was the letter handed to a server that offers DSN, and so sends success notices itself (RFC 3461 §5.2.1)?
    pub fn notices_come_from_the_next_server(&self) -> bool {
        !self.note.contains(NO_DSN_BEYOND)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: u16, status: Option<(u8, u16, u16)>) -> RemoteReply {
        RemoteReply { code, status, text: "text".into() }
    }

    #[test]
    fn every_stage_and_code_has_its_meaning() {
        use DialogueStage::{Connect, Data, Dns, Ehlo, FinalReply, Greeting, Mail, Rcpt, Tls};
        for code in 200..600 {
            for stage in [Dns, Connect, Greeting, Ehlo, Tls] {
                assert_eq!(verdict(stage, code), Verdict::TryLater, "{stage:?} {code}: a host is not a recipient");
            }
            for stage in [Mail, Rcpt, Data] {
                assert_ne!(verdict(stage, code), Verdict::Delivered, "{stage:?} {code}");
            }
            assert_eq!(verdict(FinalReply, code) == Verdict::Delivered, code < 300);
        }
        let table = [
            (Mail, 550, Verdict::Refused),
            (Mail, 503, Verdict::TryLater),
            (Mail, 421, Verdict::TryLater),
            (Rcpt, 550, Verdict::Refused),
            (Rcpt, 552, Verdict::TryLater),
            (Rcpt, 452, Verdict::TryLater),
            (Data, 554, Verdict::Refused),
            (Data, 250, Verdict::TryLater),
            (FinalReply, 552, Verdict::Refused),
            (FinalReply, 451, Verdict::TryLater),
            (FinalReply, 354, Verdict::TryLater),
        ];
        for (stage, code, expected) in table {
            assert_eq!(verdict(stage, code), expected, "{stage:?} {code}");
        }
    }

    #[test]
    fn the_status_always_has_the_class_of_the_verdict() {
        let scene = Scene::nowhere(Timestamp::from_millis(0));
        for (code, status, expected) in [
            (550, Some((5, 7, 1)), (5, 7, 1)),
            (550, None, (5, 1, 1)),
            (552, Some((5, 2, 2)), (4, 5, 3)),
            (451, Some((4, 3, 0)), (4, 3, 0)),
            (451, None, (4, 0, 0)),
        ] {
            let outcome = scene.by_reply(DialogueStage::Rcpt, reply(code, status));
            assert_eq!(outcome.evidence().status, expected, "{code} {status:?}");
        }
    }
}
