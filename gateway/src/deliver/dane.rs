//! DANE for SMTP (RFC 7672): what a host's TLSA records say, and the check of a certificate against them.
//!
//! Promises: only records that DNSSEC proves count, and only where MX and addresses are proven as well (§2.2.1,
//! §2.2.2); "could not find out" is never "there are none" (§2.1.1). DANE-EE(3) compares and looks at neither name
//! nor dates (§3.1.1); DANE-TA(2) builds a path to the record's anchor and checks the name (§3.1.2, §3.2.2). The
//! handshake's signatures are checked as for every certificate.
//! Refuses: PKIX-TA(0) and PKIX-EE(1), unknown selectors and digests, and digests of a wrong length are unusable
//! (§3.1.3); of several digests of the same thing the strongest counts (RFC 7671 §9).

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use serde::{Serialize, Serializer};

use super::tls_policy::DaneFact;
use crate::message::DomainName;
use crate::resolver::{DnsFailure, Resolver, TlsaRecord};

const DANE_TA: u8 = 2;
const DANE_EE: u8 = 3;
/// The port of real MX hosts. Tests let them listen elsewhere, and publish for either port.
const SMTP: u16 = 25;

/// Usable TLSA records of one host, and the names that its certificate may bear under DANE-TA.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TlsaSet {
    records: Vec<TlsaRecord>,
    names: Vec<String>,
}

impl TlsaSet {
    /// Keeps of `records` what can be used; the set may then be empty.
    pub fn new(records: Vec<TlsaRecord>, names: Vec<String>) -> Self {
        let mut records: Vec<TlsaRecord> = records.into_iter().filter(is_usable).collect();
        let strong: Vec<(u8, u8)> = records
            .iter()
            .filter(|record| record.matching == 2)
            .map(|record| (record.usage, record.selector))
            .collect();
        records.retain(|record| record.matching != 1 || !strong.contains(&(record.usage, record.selector)));
        Self { records, names }
    }

    /// Is there nothing to check a certificate by?
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// The records as zone files have them, digests in hexadecimal.
    pub fn lines(&self) -> Vec<String> {
        self.records.iter().map(line).collect()
    }

    /// Does the chain that a server showed satisfy one of the records?
    pub fn check(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        provider: &CryptoProvider,
    ) -> Result<(), rustls::Error> {
        if self.of_usage(DANE_EE).any(|record| matches(record, end_entity)) {
            return Ok(());
        }
        let mut last = CertificateError::UnknownIssuer.into();
        for record in self.of_usage(DANE_TA) {
            for anchor in anchors(record, intermediates) {
                match self.check_path(&anchor, end_entity, intermediates, now, provider) {
                    Ok(()) => return Ok(()),
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    fn of_usage(&self, usage: u8) -> impl Iterator<Item = &TlsaRecord> {
        self.records.iter().filter(move |record| record.usage == usage)
    }

    fn check_path(
        &self,
        anchor: &CertificateDer<'_>,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
        provider: &CryptoProvider,
    ) -> Result<(), rustls::Error> {
        let mut roots = RootCertStore::empty();
        roots.add(anchor.clone().into_owned())?;
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &roots, intermediates, now, algorithms)?;
        let named = self.names.iter().filter_map(|name| ServerName::try_from(name.as_str()).ok());
        let mut results = named.map(|name| verify_server_name(&certificate, &name));
        let wrong = || Err(CertificateError::NotValidForName.into());
        results.find(Result::is_ok).unwrap_or_else(wrong)
    }
}

impl Serialize for TlsaSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.lines())
    }
}

fn line(record: &TlsaRecord) -> String {
    use std::fmt::Write as _;
    let mut text = format!("{} {} {} ", record.usage, record.selector, record.matching);
    for octet in &record.data {
        let _ = write!(text, "{octet:02x}");
    }
    text
}

fn is_usable(record: &TlsaRecord) -> bool {
    let length_fits = match record.matching {
        0 => !record.data.is_empty(),
        1 => record.data.len() == 32,
        2 => record.data.len() == 64,
        _ => false,
    };
    matches!(record.usage, DANE_TA | DANE_EE) && record.selector <= 1 && length_fits
}

/// Is this the certificate or the key that the record names?
fn matches(record: &TlsaRecord, certificate: &CertificateDer<'_>) -> bool {
    let key;
    let selected: &[u8] = if record.selector == 0 {
        certificate
    } else {
        let Ok(parsed) = ParsedCertificate::try_from(certificate) else { return false };
        key = parsed.subject_public_key_info();
        &key
    };
    match record.matching {
        0 => selected == record.data,
        1 => digest(&SHA256, selected).as_ref() == record.data,
        _ => digest(&SHA512, selected).as_ref() == record.data,
    }
}

/// What may stand at the path's end: certificates that the server showed, and one that the record has whole.
fn anchors<'a>(record: &'a TlsaRecord, shown: &'a [CertificateDer<'a>]) -> Vec<CertificateDer<'a>> {
    let mut anchors: Vec<CertificateDer<'a>> =
        shown.iter().filter(|certificate| matches(record, certificate)).cloned().collect();
    if record.selector == 0 && record.matching == 0 {
        anchors.push(CertificateDer::from(record.data.as_slice()));
    }
    anchors
}

/// What was found out about a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DaneFinding {
    /// What it means.
    pub fact: DaneFact,
    /// The records as they stand in DNS, usable or not.
    pub records: Vec<TlsaRecord>,
    /// The name that they stand at, or the name that was asked in vain.
    pub name: Option<DomainName>,
    /// Why there are none, or what failed.
    pub note: String,
}

impl DaneFinding {
    /// No records that count.
    pub fn nothing(note: &str) -> Self {
        Self { fact: DaneFact::Nothing, records: Vec::new(), name: None, note: note.to_owned() }
    }

    fn unknown(name: Option<DomainName>, failure: &DnsFailure) -> Self {
        Self { fact: DaneFact::Unknown, records: Vec::new(), name, note: failure.to_string() }
    }

    /// The records as zone files have them.
    pub fn lines(&self) -> Vec<String> {
        self.records.iter().map(line).collect()
    }
}

/// Looks a host's TLSA records up. `domain` is where the mail goes, whose MX records (or the operator's route) led
/// to `host`; `proven` says that DNSSEC proves those MX records.
pub async fn find(
    resolver: &dyn Resolver,
    domain: &DomainName,
    host: &DomainName,
    port: u16,
    proven: bool,
) -> DaneFinding {
    if let Some(why) = resolver.no_dnssec() {
        return DaneFinding::nothing(&why);
    }
    if !proven {
        return DaneFinding::nothing("the MX records are not signed (DNSSEC)");
    }
    let addresses = match resolver.addresses(host).await {
        Ok(addresses) => addresses,
        // A host without addresses is not dialled.
        Err(failure) if !failure.is_temporary() => return DaneFinding::nothing(&failure.to_string()),
        Err(failure) => return DaneFinding::unknown(None, &failure),
    };
    if !addresses.name_secure {
        return DaneFinding::nothing("the host's addresses are not signed (DNSSEC)");
    }
    // §2.2.2: an alias that is proven to its end is asked under its real name first; one that leads out of signed
    // zones only under its own.
    let target = addresses.alias_of.and_then(|target| target.parse().ok()).filter(|_| addresses.secure);
    let ports = [port, SMTP];
    let ports = if port == SMTP { &ports[..1] } else { &ports[..] };
    for base in target.iter().chain([host]) {
        for port in ports {
            let Ok(name) = format!("_{port}._tcp.{base}").parse::<DomainName>() else { continue };
            match resolver.tlsa(&name).await {
                Ok(answer) if answer.secure => return judge(name, answer.records, [base, host, domain]),
                Ok(_) => {}
                Err(failure) if failure.is_temporary() => return DaneFinding::unknown(Some(name), &failure),
                Err(_) => {}
            }
        }
    }
    DaneFinding::nothing("no TLSA records")
}

fn judge(name: DomainName, records: Vec<TlsaRecord>, names: [&DomainName; 3]) -> DaneFinding {
    let mut names: Vec<String> = names.iter().map(ToString::to_string).collect();
    names.dedup();
    let set = TlsaSet::new(records.clone(), names);
    let (fact, note) = if set.is_empty() {
        (DaneFact::Unusable, "no TLSA record can be used: TLS is a must, but nothing proves the host".to_owned())
    } else {
        (DaneFact::Usable(Arc::new(set)), String::new())
    };
    DaneFinding { fact, records, name: Some(name), note }
}

#[cfg(test)]
#[path = "dane_tests.rs"]
mod tests;
