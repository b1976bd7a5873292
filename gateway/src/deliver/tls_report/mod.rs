//! TLS-RPT (RFC 8460): what became of TLS with every domain that mail goes to, and the daily report of it.
//!
//! [`book`] counts sessions by day and domain, [`address`] reads where a domain wants its report, [`document`] writes
//! it, [`reporter`] sends it. A session is a connection that got as far as TLS, or a host that a policy kept us from;
//! letters on a link that was kept are none. Connections that carry reports are not counted: two gateways that
//! report about each other's reports would never end (§5.3).

pub mod address;
pub mod book;
pub mod document;
pub mod reporter;

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// What went wrong with a session, as RFC 8460 §4.3 sorts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureKind {
    /// The host does not offer STARTTLS, or refuses it.
    StarttlsNotSupported,
    /// The certificate is for other names.
    CertificateHostMismatch,
    /// The certificate ran out, or is not valid yet.
    CertificateExpired,
    /// No authority that is trusted vouches for it.
    CertificateNotTrusted,
    /// Anything else about the handshake, or a host that the policy does not name.
    ValidationFailure,
    /// The TLSA records cannot be used.
    TlsaInvalid,
    /// The TLSA records could not be looked up.
    DnssecInvalid,
    /// DANE is a must, and there are no records.
    DaneRequired,
    /// The policy could not be fetched.
    StsPolicyFetchError,
    /// The policy is not one.
    StsPolicyInvalid,
    /// The policy's host does not prove its name.
    StsWebpkiInvalid,
}

/// A failure with its reason.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TlsFailure {
    /// What kind.
    pub kind: FailureKind,
    /// A short code of ours for the report, `mx-not-in-policy`; or what TLS said.
    pub reason: Cow<'static, str>,
}

impl TlsFailure {
    /// A failure of this kind.
    pub fn new(kind: FailureKind, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// What a certificate that was refused lacks.
    pub fn of_certificate(error: &rustls::Error) -> Self {
        use rustls::CertificateError as Wrong;
        let kind = match error {
            rustls::Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
                FailureKind::CertificateHostMismatch
            }
            rustls::Error::InvalidCertificate(
                Wrong::Expired | Wrong::ExpiredContext { .. } | Wrong::NotValidYet | Wrong::NotValidYetContext { .. },
            ) => FailureKind::CertificateExpired,
            rustls::Error::InvalidCertificate(_) => FailureKind::CertificateNotTrusted,
            _ => FailureKind::ValidationFailure,
        };
        Self::new(kind, error.to_string())
    }
}
