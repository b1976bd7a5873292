//! What a check found, in one shape for the command line, the web and the log.

use serde::{Deserialize, Serialize};

use super::difference::Difference;
use crate::answers::{Reply, Vantage};
use crate::records::RecordType;

/// How it stands with one record or rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// As it should be, at every server that answered.
    Ok,
    /// Not there.
    Missing,
    /// There, with another value.
    Mismatch,
    /// There more than once, where receivers accept one only.
    Duplicate,
    /// Something else stands in its place or in its way.
    Conflict,
    /// The servers could not be asked; [`Finding::error`] says how.
    DnsError,
    /// Right at the zone's own servers; a resolver still remembers the old answer.
    Stale,
    /// Nobody can see it from here. Never to be read as passed.
    NotChecked,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing to do.
    None,
    /// Good to know.
    Info,
    /// Mail goes out; some of it will be trusted less.
    Warning,
    /// Mail fails authentication, or cannot be sent.
    Error,
}

/// Whose business it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The domain's owner must publish it.
    Required,
    /// The domain's owner should publish it.
    Recommended,
    /// The gateway's operator publishes it.
    Operator,
    /// Google's rules for bulk senders.
    Google,
    /// Yahoo's.
    Yahoo,
    /// Microsoft's.
    Microsoft,
}

/// The ways in which asking fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DnsErrorKind {
    /// The name does not exist (with status `missing`: an answer, and the only code that proves absence).
    Nxdomain,
    /// SERVFAIL.
    Servfail,
    /// REFUSED.
    Refused,
    /// No answer in time.
    Timeout,
    /// DNSSEC validation fails.
    Bogus,
    /// Anything else.
    Other,
}

impl DnsErrorKind {
    /// Of a reply; `None` if it has records.
    pub const fn of(reply: &Reply) -> Option<Self> {
        match reply {
            Reply::Records { .. } | Reply::Elsewhere | Reply::NoData { .. } => None,
            Reply::NoSuchName { .. } => Some(Self::Nxdomain),
            Reply::ServFail => Some(Self::Servfail),
            Reply::Refused => Some(Self::Refused),
            Reply::Timeout => Some(Self::Timeout),
            Reply::Bogus => Some(Self::Bogus),
            Reply::Failed { .. } => Some(Self::Other),
        }
    }
}

/// What one server has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The server.
    #[serde(rename = "where")]
    pub vantage: Vantage,
    /// The values that it has; empty if none.
    pub values: Vec<String>,
    /// The aliases (CNAME) that were followed to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// The answer in words, where there are no values.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
}

/// One record or rule, and how it stands with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The record or rule, the same from check to check: `dkim:SELECTOR`, `dmarc`, `google:dmarc`…
    pub id: String,
    /// Whose business it is.
    pub group: Group,
    /// How it stands.
    pub status: Status,
    /// How much it matters.
    pub severity: Severity,
    /// The reason by a fixed word: `ok`, `missing`, `smart-quotes`, `doubled-suffix`, `truncated`…
    pub reason: String,
    /// The name that was looked up; empty for a rule that is no record.
    pub name: String,
    /// The record's type, if it is a record.
    #[serde(rename = "type")]
    pub record_type: Option<RecordType>,
    /// What should be there; empty for a rule.
    pub expected: String,
    /// What is there, server by server.
    pub found: Vec<Sighting>,
    /// Where expected and found differ.
    pub difference: Option<Difference>,
    /// What is the case, for a person.
    pub message: String,
    /// What breaks without it.
    pub breaks: String,
    /// The one thing to do; empty if there is nothing.
    pub remedy: String,
    /// How asking failed, for `dns_error`; `nxdomain` with `missing` where the name does not exist at all.
    pub error: Option<DnsErrorKind>,
    /// Until when a resolver may give the old answer, in RFC 3339.
    pub stale_until: Option<String>,
}

impl Finding {
    /// A finding that everything is well, to be changed where it is not.
    pub(super) fn new(id: impl Into<String>, group: Group, name: &str, record_type: Option<RecordType>) -> Self {
        Self {
            id: id.into(),
            group,
            status: Status::Ok,
            severity: Severity::None,
            reason: "ok".to_owned(),
            name: name.to_owned(),
            record_type,
            expected: String::new(),
            found: Vec::new(),
            difference: None,
            message: String::new(),
            breaks: String::new(),
            remedy: String::new(),
            error: None,
            stale_until: None,
        }
    }

    /// Is there something to do?
    pub fn is_problem(&self) -> bool {
        self.severity >= Severity::Warning
    }

    /// Says what is wrong. The severity follows from the group: a required record's trouble is an error.
    pub(super) fn fail(&mut self, status: Status, reason: &str, message: impl Into<String>, remedy: impl Into<String>) {
        self.status = status;
        reason.clone_into(&mut self.reason);
        self.message = message.into();
        self.remedy = remedy.into();
        self.severity = match (status, self.group) {
            (Status::Ok, _) => Severity::None,
            (Status::NotChecked | Status::Stale, _) => Severity::Info,
            (_, Group::Required) => Severity::Error,
            _ => Severity::Warning,
        };
    }

    /// Says what is well.
    pub(super) fn pass(&mut self, message: impl Into<String>) {
        self.message = message.into();
    }

    /// Marks where `expected` and `found` differ.
    pub(super) fn differ(&mut self, found: &str) {
        self.difference = Some(Difference::between(&self.expected, found));
    }
}
