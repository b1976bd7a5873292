//! DNS records as values: what a sending domain publishes, read, written, and rendered for people and programs.
//!
//! Promises: reading is the inverse of writing; a record that claims to be of a kind and is broken is told from
//! one that is of another kind. Touches no network: looking records up and publishing them is the caller's.

mod answers;
pub mod check;
mod dkim;
mod dmarc;
pub mod plan;
mod records;
mod render;
mod small;
mod spf;
mod tags;

pub use answers::{Answer, Reply, SeenRecord, Vantage, VantageKind};
pub use dkim::{DkimRecord, KeyType};
pub use dmarc::{DmarcPolicy, DmarcRecord, PublicSuffix};
pub use records::{DnsRecord, Operator, PublishedKey, Purpose, RecordSet, RecordType, operator_records, records_for};
pub use render::{Format, UnknownFormat, chunks, render};
pub use small::{BimiRecord, MtaStsRecord, TlsReportRecord, TlsaRecord};
pub use spf::{
    DomainSpec, Evaluation, LOOKUPS_MAX, Lookup, Mechanism, Modifier, Qualifier, SpfQuery, SpfRecord, SpfResult,
    SpfTerm, evaluate, merge, weigh,
};

/// The name under which an address' PTR record stands (RFC 1035 §3.5, RFC 3596 §2.5).
pub fn reverse_name(address: std::net::IpAddr) -> String {
    match address.to_canonical() {
        std::net::IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        std::net::IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            nibbles.map(|nibble| format!("{nibble:x}")).collect::<Vec<_>>().join(".") + ".ip6.arpa"
        }
    }
}

/// Why a TXT value is not a record of the kind that was looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It does not claim to be one: another use of the same name, to be passed over.
    #[error("not a {0} record")]
    OtherKind(&'static str),
    /// It claims to be one and breaks its rules: receivers act as if it were not there, or refuse.
    #[error("a broken {kind} record: {problem}")]
    Broken {
        /// `DKIM`, `DMARC`, `SPF`…
        kind: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}
