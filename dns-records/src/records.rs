//! The records that a sending domain publishes, as values.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::dkim::{DkimRecord, KeyType};
use crate::dmarc::{DmarcPolicy, DmarcRecord};
use crate::spf::{Mechanism, Qualifier, SpfRecord, SpfTerm};

/// The types that are used here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum RecordType {
    /// TXT.
    Txt,
    /// MX; the value is `preference host`.
    Mx,
    /// CNAME.
    Cname,
    /// A.
    A,
    /// AAAA.
    Aaaa,
    /// NS.
    Ns,
    /// PTR.
    Ptr,
    /// TLSA; the value is `usage selector matching hex`.
    Tlsa,
}

impl RecordType {
    /// The name in zone files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Txt => "TXT",
            Self::Mx => "MX",
            Self::Cname => "CNAME",
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Ns => "NS",
            Self::Ptr => "PTR",
            Self::Tlsa => "TLSA",
        }
    }
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The public half of a signing key.
    DkimKey,
    /// What receivers do with mail that is not ours.
    Dmarc,
    /// Where notices about undelivered mail go.
    ReturnPathMx,
    /// Who may send as the return-path domain.
    ReturnPathSpf,
}

impl Purpose {
    /// One sentence for the person who publishes the record.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::DkimKey => "Receivers check the signatures of your mail with this key.",
            Self::Dmarc => "Tells receivers that your mail is signed, and what to do with mail that is not.",
            Self::ReturnPathMx => "Notices about mail that could not be delivered come back here.",
            Self::ReturnPathSpf => "Lets our servers send with this return address, so that SPF aligns.",
        }
    }
}

/// One record to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DnsRecord {
    /// The whole name, without a dot at its end.
    pub owner: String,
    /// The type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// The value in one piece, unquoted.
    pub value: String,
    /// Seconds.
    pub ttl: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// Does sending wait for it?
    pub required: bool,
}

/// All records of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordSet {
    /// The domain.
    pub domain: String,
    /// Its records, in the order in which people publish them.
    pub records: Vec<DnsRecord>,
}

/// A key whose record is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedKey {
    /// `s=` of its signatures.
    pub selector: String,
    /// The record.
    pub record: DkimRecord,
}

/// What the operator of the gateway brings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Operator {
    /// The host that takes notices in.
    pub hostname: String,
    /// The addresses that mail leaves from.
    pub egress: Vec<IpAddr>,
    /// A name whose SPF record lists the addresses; used instead of them.
    pub spf_include: Option<String>,
    /// Where aggregate reports go, `mailto:…`.
    pub aggregate_reports: Option<String>,
}

/// Short, so that a mistake is mended soon; DNS hosts seldom take less.
const TTL: u32 = 300;

/// The records that `domain` needs for these keys, its return-path domain and this operator.
///
/// A domain without an RSA key requires its Ed25519 record; beside RSA it is welcome and no more, since many
/// receivers do not look at it (RFC 8463 §5). The DMARC record starts at `p=none`: the domain's owner raises it.
pub fn records_for(
    domain: &str,
    keys: &[PublishedKey],
    return_path: Option<&str>,
    operator: &Operator,
) -> Vec<DnsRecord> {
    let record = |owner: String, record_type, value, purpose, required| DnsRecord {
        owner,
        record_type,
        value,
        ttl: TTL,
        purpose,
        required,
    };
    let has_rsa = keys.iter().any(|key| key.record.key_type == KeyType::Rsa);
    let mut records: Vec<DnsRecord> = keys
        .iter()
        .map(|key| {
            let owner = format!("{}._domainkey.{domain}", key.selector);
            let required = key.record.key_type == KeyType::Rsa || !has_rsa;
            record(owner, RecordType::Txt, key.record.to_string(), Purpose::DkimKey, required)
        })
        .collect();
    if let Some(return_path) = return_path {
        let mx = format!("10 {}", operator.hostname);
        records.push(record(return_path.to_owned(), RecordType::Mx, mx, Purpose::ReturnPathMx, true));
        let spf = return_path_spf(operator).to_string();
        records.push(record(return_path.to_owned(), RecordType::Txt, spf, Purpose::ReturnPathSpf, true));
    }
    let dmarc = DmarcRecord {
        policy: Some(DmarcPolicy::None),
        aggregate_reports: operator.aggregate_reports.iter().cloned().collect(),
        ..DmarcRecord::default()
    };
    records.push(record(format!("_dmarc.{domain}"), RecordType::Txt, dmarc.to_string(), Purpose::Dmarc, false));
    records
}

fn return_path_spf(operator: &Operator) -> SpfRecord {
    let include = operator.spf_include.as_deref().and_then(|name| name.parse().ok()).map(Mechanism::Include);
    let addresses = operator.egress.iter().map(|address| match address {
        IpAddr::V4(address) => Mechanism::Ip4(*address, None),
        IpAddr::V6(address) => Mechanism::Ip6(*address, None),
    });
    let mut mechanisms: Vec<Mechanism> = include.map_or_else(|| addresses.collect(), |include| vec![include]);
    if mechanisms.is_empty() {
        // With no address known, the host that the MX names is the best guess at who sends.
        mechanisms.push(Mechanism::Mx(None, None, None));
    }
    let mut terms: Vec<SpfTerm> =
        mechanisms.into_iter().map(|mechanism| SpfTerm::Directive(Qualifier::Pass, mechanism)).collect();
    terms.push(SpfTerm::Directive(Qualifier::Fail, Mechanism::All));
    SpfRecord { terms }
}
