//! DNS records as values: what a sending domain publishes, read, written, and rendered for people and programs.
//!
//! Promises: reading is the inverse of writing; a record that claims to be of a kind and is broken is told from
//! one that is of another kind. Touches no network: looking records up and publishing them is the caller's.

mod answers;
mod dkim;
mod dmarc;
mod records;
mod render;
mod spf;
mod tags;

pub use answers::{Answer, Reply, SeenRecord, Vantage, VantageKind};
pub use dkim::{DkimRecord, KeyType};
pub use dmarc::{DmarcPolicy, DmarcRecord, PublicSuffix};
pub use records::{DnsRecord, Operator, PublishedKey, Purpose, RecordSet, RecordType, records_for};
pub use render::{Format, UnknownFormat, chunks, render};
pub use spf::{DomainSpec, Mechanism, Modifier, Qualifier, SpfRecord, SpfTerm};

/// Why a TXT value is not a record of the kind that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not claim to be one: another use of the same name, to be passed over.
    #[error("not a {0} record")]
    OtherKind(&'static str),
    /// It claims to be one and breaks its rules: receivers act as if it were not there, or refuse.
    #[error("a broken {kind} record: {problem}")]
    Broken {
        /// `DKIM`, `DMARC` or `SPF`.
        kind: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}
