//! The records that a sending domain publishes, as values.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::dkim::{DkimRecord, KeyType};
use crate::dmarc::{DmarcPolicy, DmarcRecord};
use crate::small::{BimiRecord, MtaStsRecord, TlsReportRecord};
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// Proof that the domain is the tenant's.
    Ownership,
    /// The public half of a signing key.
    DkimKey,
    /// The name of a signing key that the operator publishes.
    DkimDelegation,
    /// The public half of a signing key at the end of such a name, in the operator's zone.
    DelegatedKey,
    /// What receivers do with mail that is not ours.
    Dmarc,
    /// Who may send as the domain itself.
    Spf,
    /// Where notices about undelivered mail go.
    ReturnPathMx,
    /// Who may send as the return-path domain.
    ReturnPathSpf,
    /// Both of them, by way of the operator's name.
    ReturnPathAlias,
    /// A logo beside the mail.
    Bimi,
    /// The operator's consent to reports about the domain (RFC 9990 §4).
    ReportConsent,
    /// The name of an address that mail leaves from.
    Ptr,
    /// The addresses of the operator's host.
    HostAddress,
    /// That the bounce host takes mail over verified TLS only (RFC 8461).
    MtaSts,
    /// Where reports about TLS go (RFC 8460).
    TlsReports,
    /// The bounce host's certificate (RFC 7672).
    Tlsa,
}

impl Purpose {
    /// One sentence for the person who publishes the record.
    pub const fn explanation(self) -> &'static str {
        match self {
            Self::Ownership => "Proves that the domain is yours.",
            Self::DkimKey => "Receivers check the signatures of your mail with this key.",
            Self::DkimDelegation => {
                "Leads receivers to the key that signs your mail; we change keys behind it by ourselves."
            }
            Self::DelegatedKey => "The key that a delegated name of the domain leads to.",
            Self::Dmarc => "Tells receivers that your mail is signed, and what to do with mail that is not.",
            Self::Spf => {
                "Lets our servers send as your domain. One such record only: merge it into the one that is there."
            }
            Self::ReturnPathMx => "Notices about mail that could not be delivered come back here.",
            Self::ReturnPathSpf => "Lets our servers send with this return address, so that SPF aligns.",
            Self::ReturnPathAlias => "Notices come back to us, and our servers may send with this return address.",
            Self::Bimi => "Shows your logo beside your mail where the mailbox provider does that.",
            Self::ReportConsent => "Says that we take DMARC reports about the domain.",
            Self::Ptr => "Receivers want the sending address to have a name, and the name to have the address.",
            Self::HostAddress => "The addresses of the host that mail leaves from.",
            Self::MtaSts => "Senders of notices use verified TLS.",
            Self::TlsReports => "Senders of notices report failures of TLS here.",
            Self::Tlsa => "Senders of notices check our certificate by DNSSEC.",
        }
    }

    /// What breaks without the record.
    pub const fn breaks(self) -> &'static str {
        match self {
            Self::Ownership => "Another tenant could claim the domain; mail is not accepted for it.",
            Self::DkimKey | Self::DkimDelegation | Self::DelegatedKey => "Signatures made with this key fail, and with them DMARC.",
            Self::Dmarc => "Google, Yahoo and Microsoft refuse or junk bulk mail of a domain without a DMARC policy.",
            Self::Spf => "SPF fails for mail whose return address is in the domain.",
            Self::ReturnPathMx => {
                "Notices about undelivered mail are lost, and some receivers refuse the return address."
            }
            Self::ReturnPathSpf => {
                "SPF fails or does not align: DMARC then hangs on DKIM alone, and Microsoft refuses bulk mail."
            }
            Self::ReturnPathAlias => "Notices about undelivered mail are lost, and SPF fails.",
            Self::Bimi => "No logo; delivery is not touched.",
            Self::ReportConsent => "Receivers send no DMARC reports to an address in another domain.",
            Self::Ptr | Self::HostAddress => "Many receivers refuse mail from addresses without a matching name.",
            Self::MtaSts | Self::TlsReports | Self::Tlsa => {
                "Notices may come over unverified TLS; delivery is not touched."
            }
        }
    }

    /// Does the gateway's operator publish it, and not the domain's owner?
    pub const fn is_operators(self) -> bool {
        matches!(
            self,
            Self::DelegatedKey | Self::ReportConsent | Self::Ptr | Self::HostAddress | Self::MtaSts | Self::TlsReports | Self::Tlsa
        )
    }
}

/// One record to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The operator's name that the owner's leads to, where the operator publishes the record.
    pub delegated_to: Option<String>,
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
    /// What the domain's owner publishes at `_waxseal-challenge` as proof.
    pub ownership_token: Option<String>,
    /// `id=` of the bounce host's MTA-STS policy.
    pub mta_sts_id: Option<String>,
    /// Where reports about TLS to the bounce host go, `mailto:…` or `https:…`.
    pub tls_reports: Option<String>,
    /// TLSA values of the bounce host, for a zone that is signed.
    pub tlsa: Vec<String>,
    /// The URI of the domain's logo.
    pub logo: Option<String>,
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
    let mut records = Vec::new();
    if let Some(token) = &operator.ownership_token {
        let owner = format!("_waxseal-challenge.{domain}");
        records.push(record(owner, RecordType::Txt, token.clone(), Purpose::Ownership, true));
    }
    records.extend(keys.iter().map(|key| {
        let owner = format!("{}._domainkey.{domain}", key.selector);
        let required = key.record.key_type == KeyType::Rsa || !has_rsa;
        match &key.delegated_to {
            Some(target) => record(owner, RecordType::Cname, target.clone(), Purpose::DkimDelegation, required),
            None => record(owner, RecordType::Txt, key.record.to_string(), Purpose::DkimKey, required),
        }
    }));
    if let Some(return_path) = return_path {
        let mx = format!("10 {}", operator.hostname);
        records.push(record(return_path.to_owned(), RecordType::Mx, mx, Purpose::ReturnPathMx, true));
        let spf = sending_spf(operator, Qualifier::Fail).to_string();
        records.push(record(return_path.to_owned(), RecordType::Txt, spf, Purpose::ReturnPathSpf, true));
    } else if !operator.egress.is_empty() || operator.spf_include.is_some() {
        // The return address is what the service gave: most often in the domain itself. Other senders may be there, so
        // the record ends softly.
        let spf = sending_spf(operator, Qualifier::SoftFail).to_string();
        records.push(record(domain.to_owned(), RecordType::Txt, spf, Purpose::Spf, false));
    }
    let dmarc = DmarcRecord {
        policy: Some(DmarcPolicy::None),
        aggregate_reports: operator.aggregate_reports.iter().cloned().collect(),
        ..DmarcRecord::default()
    };
    records.push(record(format!("_dmarc.{domain}"), RecordType::Txt, dmarc.to_string(), Purpose::Dmarc, false));
    if let Some(logo) = &operator.logo {
        let value = BimiRecord { logo: logo.clone(), evidence: None }.to_string();
        records.push(record(format!("default._bimi.{domain}"), RecordType::Txt, value, Purpose::Bimi, false));
    }
    records
}

/// The records that the operator publishes: names of the sending addresses, and what goes with the bounce host.
pub fn operator_records(domain: &str, operator: &Operator) -> Vec<DnsRecord> {
    let host = &operator.hostname;
    let record = |owner, record_type, value, purpose| DnsRecord {
        owner,
        record_type,
        value,
        ttl: TTL,
        purpose,
        required: false,
    };
    let mut records = Vec::new();
    for address in &operator.egress {
        records.push(record(crate::reverse_name(*address), RecordType::Ptr, host.clone(), Purpose::Ptr));
        let record_type = if address.is_ipv4() { RecordType::A } else { RecordType::Aaaa };
        records.push(record(host.clone(), record_type, address.to_string(), Purpose::HostAddress));
    }
    let reports = operator.aggregate_reports.as_deref().and_then(crate::dmarc::host_of);
    if let Some(reports) = reports.filter(|reports| !is_within(reports, domain)) {
        let owner = format!("{domain}._report._dmarc.{reports}");
        records.push(record(owner, RecordType::Txt, "v=DMARC1".to_owned(), Purpose::ReportConsent));
    }
    if let Some(id) = &operator.mta_sts_id {
        let value = MtaStsRecord { id: id.clone() }.to_string();
        records.push(record(format!("_mta-sts.{host}"), RecordType::Txt, value, Purpose::MtaSts));
    }
    if let Some(uri) = &operator.tls_reports {
        let value = TlsReportRecord { uris: vec![uri.clone()] }.to_string();
        records.push(record(format!("_smtp._tls.{host}"), RecordType::Txt, value, Purpose::TlsReports));
    }
    for value in &operator.tlsa {
        records.push(record(format!("_25._tcp.{host}"), RecordType::Tlsa, value.clone(), Purpose::Tlsa));
    }
    records
}

/// Is `name` `domain` or below it?
pub(crate) fn is_within(name: &str, domain: &str) -> bool {
    name == domain || name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
}

fn sending_spf(operator: &Operator, otherwise: Qualifier) -> SpfRecord {
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
    terms.push(SpfTerm::Directive(otherwise, Mechanism::All));
    SpfRecord { terms }
}
