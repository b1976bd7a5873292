//! What is known of a domain's records: expected against found, as pages and API show it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use waxseal_dns::check::{Difference, Status};

use crate::admin::ports::AdminError;
use crate::message::DomainName;

/// Who a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Mail is not sent, or not trusted, without it.
    Required,
    /// Better with it.
    Recommended,
    /// The operator of the gateway publishes it.
    Operator,
    /// A rule of a large mailbox provider.
    Receivers,
}

/// A value that was seen, and where.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// A server.
    pub place: String,
    /// The value in one piece; empty where there is none.
    pub value: String,
    /// What it said in place of a value; empty where it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedRecord {
    /// The whole name.
    pub name: String,
    /// `TXT`, `MX`, `CNAME`…
    #[serde(rename = "type")]
    pub record_type: String,
    /// Who it is for.
    pub group: Group,
    /// What it is for: one sentence.
    pub purpose: String,
    /// The value to publish, in one piece.
    pub expected: String,
    /// How it stands.
    pub status: Status,
    /// What was found.
    pub found: Vec<Seen>,
    /// Where expected and found differ.
    pub difference: Option<Difference>,
    /// What does not work without it; empty: nothing.
    pub breaks: String,
    /// The one thing to do; empty: nothing.
    pub remedy: String,
}

/// All records of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainReport {
    /// The domain.
    pub domain: String,
    /// When it was checked last, in RFC 3339.
    pub checked: Option<String>,
    /// When it is checked next by itself, in RFC 3339.
    pub next: Option<String>,
    /// The records, in the order in which people publish them.
    pub records: Vec<CheckedRecord>,
}

impl DomainReport {
    /// How many required records are as expected, and how many there are.
    pub fn required(&self) -> (usize, usize) {
        let required = self.records.iter().filter(|record| record.group == Group::Required);
        (required.clone().filter(|record| record.status == Status::Ok).count(), required.count())
    }
}

/// Checks domains against DNS, now and by itself.
#[async_trait]
pub trait DomainChecks: Send + Sync + 'static {
    /// What is known now, without asking anybody.
    fn last(&self, domain: &DomainName) -> Result<DomainReport, AdminError>;

    /// Asks now, within a deadline of its own.
    async fn check(&self, domain: &DomainName) -> Result<DomainReport, AdminError>;
}
