//! The records that a sending domain publishes, as values.

use std::collections::{BTreeMap, BTreeSet};
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
    /// SOA; the value is the name of the zone's primary server.
    Soa,
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
            Self::Soa => "SOA",
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
    /// Where notices go that come to the operator's name.
    OperatorMx,
    /// Who may send as a name of the operator's.
    OperatorSpf,
    /// A logo beside the mail.
    Bimi,
    /// The operator's consent to reports about the domain (RFC 9990 §4).
    ReportConsent,
    /// The name of an address that mail leaves from.
    Ptr,
    /// The addresses of the operator's host.
    HostAddress,
    /// That the return-path domain takes mail over verified TLS only (RFC 8461).
    MtaSts,
    /// The host that the return-path domain's MTA-STS policy is fetched from.
    MtaStsHost,
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
            Self::OperatorMx => "Notices come back to this host.",
            Self::OperatorSpf => "Lists the addresses that mail leaves from, for the domains that lead here.",
            Self::Bimi => "Shows your logo beside your mail where the mailbox provider does that.",
            Self::ReportConsent => "Says that we take DMARC reports about the domain.",
            Self::Ptr => "Receivers want the sending address to have a name, and the name to have the address.",
            Self::HostAddress => "The addresses of the host that mail leaves from.",
            Self::MtaSts => "Senders of notices use verified TLS.",
            Self::MtaStsHost => "Leads senders of notices to the policy that says so.",
            Self::TlsReports => "Senders of notices report failures of TLS here.",
            Self::Tlsa => "Senders of notices check our certificate by DNSSEC.",
        }
    }

    /// What breaks without the record.
    pub const fn breaks(self) -> &'static str {
        match self {
            Self::Ownership => "Another tenant could claim the domain; mail is not accepted for it.",
            Self::DkimKey | Self::DkimDelegation | Self::DelegatedKey => {
                "Signatures made with this key fail, and with them DMARC."
            }
            Self::Dmarc => "Google, Yahoo and Microsoft refuse or junk bulk mail of a domain without a DMARC policy.",
            Self::Spf => "SPF fails for mail whose return address is in the domain.",
            Self::ReturnPathMx => {
                "Notices about undelivered mail are lost, and some receivers refuse the return address."
            }
            Self::ReturnPathSpf => {
                "SPF fails or does not align: DMARC then hangs on DKIM alone, and Microsoft refuses bulk mail."
            }
            Self::ReturnPathAlias => "Notices about undelivered mail are lost, and SPF fails.",
            Self::OperatorMx => "Notices about undelivered mail are lost, for every domain that leads here.",
            Self::OperatorSpf => "SPF fails for every domain that leads here.",
            Self::Bimi => "No logo; delivery is not touched.",
            Self::ReportConsent => "Receivers send no DMARC reports to an address in another domain.",
            Self::Ptr | Self::HostAddress => "Many receivers refuse mail from addresses without a matching name.",
            Self::MtaSts | Self::MtaStsHost | Self::TlsReports | Self::Tlsa => {
                "Notices may come over unverified TLS; delivery is not touched."
            }
        }
    }

    /// Does the gateway's operator publish it, and not the domain's owner?
    pub const fn is_operators(self) -> bool {
        matches!(
            self,
            Self::DelegatedKey
                | Self::OperatorMx
                | Self::OperatorSpf
                | Self::ReportConsent
                | Self::Ptr
                | Self::HostAddress
                | Self::Tlsa
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
    /// EHLO names of addresses that say another than [`Operator::hostname`].
    pub names: BTreeMap<IpAddr, String>,
    /// A name of the operator's whose SPF record lists the addresses; used instead of them.
    pub spf_include: Option<String>,
    /// A name of the operator's with MX and SPF record, which return-path domains are aliases of.
    pub return_path_host: Option<String>,
    /// Where aggregate reports about DMARC go, `mailto:…`.
    pub aggregate_reports: Option<String>,
    /// Where failure reports about DMARC go, `mailto:…`.
    pub failure_reports: Option<String>,
    /// What the domain's owner publishes at `_waxseal-challenge` as proof.
    pub ownership_token: Option<String>,
    /// `id=` of the MTA-STS policy of return-path domains.
    pub mta_sts_id: Option<String>,
    /// The host that serves that policy.
    pub mta_sts_host: Option<String>,
    /// Where reports about TLS to return-path domains go, `mailto:…` or `https:…`.
    pub tls_reports: Option<String>,
    /// TLSA values of the bounce host, for a zone that is signed.
    pub tlsa: Vec<String>,
    /// The URI of the domain's logo.
    pub logo: Option<String>,
}

/// Short, so that a mistake is mended soon; DNS hosts seldom take less.
const TTL: u32 = 300;

fn record(owner: String, record_type: RecordType, value: String, purpose: Purpose, required: bool) -> DnsRecord {
    DnsRecord { owner, record_type, value, ttl: TTL, purpose, required }
}

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
        records.extend(return_path_records(return_path, operator));
    } else if !operator.egress.is_empty() || operator.spf_include.is_some() {
        // The return address is what the service gave: most often in the domain itself. Other senders may be there, so
        // the record ends softly.
        let spf = sending_spf(operator, Qualifier::SoftFail).to_string();
        records.push(record(domain.to_owned(), RecordType::Txt, spf, Purpose::Spf, false));
    }
    let dmarc = DmarcRecord {
        policy: Some(DmarcPolicy::None),
        aggregate_reports: operator.aggregate_reports.iter().cloned().collect(),
        failure_reports: operator.failure_reports.iter().cloned().collect(),
        ..DmarcRecord::default()
    };
    records.push(record(format!("_dmarc.{domain}"), RecordType::Txt, dmarc.to_string(), Purpose::Dmarc, false));
    if let Some(logo) = &operator.logo {
        let value = BimiRecord { logo: logo.clone(), evidence: None }.to_string();
        records.push(record(format!("default._bimi.{domain}"), RecordType::Txt, value, Purpose::Bimi, false));
    }
    records
}

/// The return path's records. An alias of the operator's name takes MX and SPF from there (RFC 1034 §3.6.2); the policies
/// around TLS belong to the domain of the notice's address and not to the name that it leads to (RFC 8461 §3.1, RFC 8460
/// §3), so that they are the domain owner's to publish in either case.
fn return_path_records(return_path: &str, operator: &Operator) -> Vec<DnsRecord> {
    let here = || return_path.to_owned();
    let mut records = Vec::new();
    if let Some(host) = &operator.return_path_host {
        records.push(record(here(), RecordType::Cname, host.clone(), Purpose::ReturnPathAlias, true));
    } else {
        let mx = format!("10 {}", operator.hostname);
        records.push(record(here(), RecordType::Mx, mx, Purpose::ReturnPathMx, true));
        let spf = sending_spf(operator, Qualifier::Fail).to_string();
        records.push(record(here(), RecordType::Txt, spf, Purpose::ReturnPathSpf, true));
    }
    // A policy without a host that serves it would be fetched in vain.
    if let (Some(id), Some(host)) = (&operator.mta_sts_id, &operator.mta_sts_host) {
        let value = MtaStsRecord { id: id.clone() }.to_string();
        records.push(record(format!("_mta-sts.{return_path}"), RecordType::Txt, value, Purpose::MtaSts, false));
        let owner = format!("mta-sts.{return_path}");
        records.push(record(owner, RecordType::Cname, host.clone(), Purpose::MtaStsHost, false));
    }
    if let Some(uri) = &operator.tls_reports {
        let value = TlsReportRecord { uris: vec![uri.clone()] }.to_string();
        records.push(record(format!("_smtp._tls.{return_path}"), RecordType::Txt, value, Purpose::TlsReports, false));
    }
    records
}

/// The records that the operator publishes: names of the sending addresses, the names that domains lead to, consent to
/// reports, and the bounce host's certificates.
pub fn operator_records(domain: &str, operator: &Operator) -> Vec<DnsRecord> {
    let host = &operator.hostname;
    let operators = |owner, record_type, value, purpose| record(owner, record_type, value, purpose, false);
    let mut records = Vec::new();
    for address in &operator.egress {
        let name = operator.names.get(address).unwrap_or(host);
        records.push(operators(crate::reverse_name(*address), RecordType::Ptr, name.clone(), Purpose::Ptr));
        let record_type = if address.is_ipv4() { RecordType::A } else { RecordType::Aaaa };
        records.push(operators(name.clone(), record_type, address.to_string(), Purpose::HostAddress));
    }
    if let Some(name) = &operator.return_path_host {
        records.push(operators(name.clone(), RecordType::Mx, format!("10 {host}"), Purpose::OperatorMx));
        let spf = sending_spf(operator, Qualifier::Fail).to_string();
        records.push(operators(name.clone(), RecordType::Txt, spf, Purpose::OperatorSpf));
    }
    if let Some(name) = operator.spf_include.as_ref().filter(|_| !operator.egress.is_empty()) {
        let addresses = Operator { spf_include: None, ..operator.clone() };
        let spf = sending_spf(&addresses, Qualifier::Fail).to_string();
        records.push(operators(name.clone(), RecordType::Txt, spf, Purpose::OperatorSpf));
    }
    let reports = [&operator.aggregate_reports, &operator.failure_reports];
    let hosts = reports.into_iter().flatten().filter_map(|uri| crate::dmarc::host_of(uri));
    for reports in hosts.filter(|reports| !is_within(reports, domain)).collect::<BTreeSet<_>>() {
        let owner = format!("{domain}._report._dmarc.{reports}");
        records.push(operators(owner, RecordType::Txt, "v=DMARC1".to_owned(), Purpose::ReportConsent));
    }
    for value in &operator.tlsa {
        records.push(operators(format!("_25._tcp.{host}"), RecordType::Tlsa, value.clone(), Purpose::Tlsa));
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
