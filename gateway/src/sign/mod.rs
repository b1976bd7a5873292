//! The sealing stage: completes the header, makes the bytes safe for every later hop, signs, and freezes them.
//!
//! `seal` has the order; each of the rooms beside it one duty. Bytes that need no change stay identical.

mod addresses;
mod align;
mod encode;
mod fields;
mod header;
mod mime;
mod options;
mod received;
mod recode;
pub mod return_path;
mod seal;
mod transfer;

pub use options::read_options;
pub use seal::seal;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{LetterId, SessionId};
use crate::message::{DomainName, Stage};

/// What the tenant's `X-Waxseal-*` fields ask for (INTERFACES §3).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SendOptions {
    /// `X-Waxseal-Tag`, at most ten.
    pub tags: Vec<String>,
    /// `X-Waxseal-Meta-<key>`, at most ten.
    pub meta: Vec<(String, String)>,
    /// `X-Waxseal-Expire-After`.
    pub expire_after: Option<Duration>,
    /// `X-Waxseal-Not-Before`.
    pub not_before: Option<Timestamp>,
    /// `X-Waxseal-TLS`.
    pub tls: Option<TlsLevel>,
    /// `X-Waxseal-Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// `X-Waxseal-Stream`.
    pub stream: MailStream,
}

/// How much TLS a delivery asks for, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsLevel {
    /// Encrypt where the other side can; plain text is a recorded decision.
    #[default]
    Opportunistic,
    /// Encrypt or defer; the certificate is not checked.
    Require,
    /// Encrypt to a host that proves its name, or defer.
    Verify,
    /// Encrypt to a host that TLSA records prove (DANE), or defer.
    DaneOnly,
}

/// Which turn a letter takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailStream {
    /// Password resets, receipts: first.
    #[default]
    Transactional,
    /// Everything that can wait.
    Bulk,
}

/// How the letter came in, for the `Received` field (RFC 5321 §4.4, RFC 3848).
#[derive(Debug, Clone)]
pub struct TraceFacts {
    /// What the client called itself.
    pub helo: String,
    /// Where it connected from.
    pub client: IpAddr,
    /// `ESMTPSA`, `UTF8SMTPSA` and so on; see RFC 3848 and RFC 6531 §4.3.
    pub protocol: &'static str,
    /// `TLSv1.3 with cipher …`, if any.
    pub tls: Option<String>,
    /// The session's name.
    pub session: SessionId,
}

/// Who signs for a domain. Implemented by the directory of tenants; a pretend one serves tests.
pub trait Signers: Send + Sync {
    /// Every active key of exactly this domain, RSA last, or nothing.
    fn active(&self, domain: &DomainName) -> Vec<Arc<waxseal_keys::DomainSigner>>;
}

/// What sealing needs to know beside the letter.
pub struct SealRequest<'a> {
    /// The letter's id, for `Received`.
    pub id: LetterId,
    /// The time, for `Received`, a missing `Date` and the signature's `t=`.
    pub now: Timestamp,
    /// Our own name.
    pub hostname: &'a DomainName,
    /// How the letter came; `None` for notices of our own.
    pub trace: Option<&'a TraceFacts>,
    /// The tenant's name, for refusals.
    pub tenant: &'a str,
    /// The tenant's domains.
    pub domains: &'a [DomainName],
    /// May the tenant send as a subdomain of its domains?
    pub subdomains: bool,
    /// Where the keys are.
    pub signers: &'a dyn Signers,
}

/// One signature that a letter bears.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignatureFact {
    /// `d=`.
    pub domain: String,
    /// `s=`.
    pub selector: String,
    /// `a=`.
    pub algorithm: String,
}

/// The stage that only this module can give.
#[derive(Debug, Clone)]
pub struct Sealed {
    signatures: Vec<SignatureFact>,
    /// Has the message bytes above 127 (8BITMIME or SMTPUTF8 needed at the next hop)? In the header only if the
    /// envelope asked for SMTPUTF8, in the body only inside a `multipart/signed`.
    eight_bit: bool,
    from_domain: DomainName,
    subject: String,
}

impl Stage for Sealed {}

impl Sealed {
    /// The signatures, as they stand in the header.
    pub fn signatures(&self) -> &[SignatureFact] {
        &self.signatures
    }

    /// Do the bytes need 8BITMIME or SMTPUTF8 at the next hop?
    pub fn eight_bit(&self) -> bool {
        self.eight_bit
    }

    /// The domain of the first mailbox in From.
    pub fn from_domain(&self) -> &DomainName {
        &self.from_domain
    }

    /// The subject, decoded, at most 120 characters, without control characters.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// Why a letter is not sealed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The From or Sender domain is not one of the tenant's.
    #[error("{field} domain \"{domain}\" is not one of tenant {tenant} ({allowed})")]
    NotYourDomain {
        /// `From` or `Sender`.
        field: &'static str,
        /// The domain that was used.
        domain: String,
        /// The tenant.
        tenant: String,
        /// The tenant's domains.
        allowed: String,
    },
    /// No From field, several, or one that does not parse (RFC 5322 §3.6.2).
    #[error("the From field {0}")]
    BadFrom(String),
    /// A control field's value is not understood.
    #[error("{field}: {problem}")]
    BadControlField {
        /// The field.
        field: String,
        /// What is wrong with it, and what would be right.
        problem: String,
    },
    /// The header breaks RFC 5322 in a way that cannot be mended.
    #[error("{0}")]
    BadHeader(String),
    /// Too many Received fields (RFC 5321 §6.3).
    #[error("mail loop: {0} Received fields")]
    Loop(usize),
    /// The domain has no active key.
    #[error("{0} has no active DKIM key")]
    NoActiveKey(String),
    /// Signing failed; the sender may try again.
    #[error("signing failed: {0}")]
    Internal(String),
}

#[cfg(test)]
mod tests;

/// A letter that claims to be sealed, for tests of the rooms behind this one.
#[cfg(test)]
pub(crate) fn sealed_for_tests(
    envelope: crate::message::Envelope,
    message: bytes::Bytes,
) -> crate::message::Letter<Sealed> {
    use crate::message::Letter;
    let sealed = Sealed {
        signatures: Vec::new(),
        eight_bit: false,
        from_domain: "example.com".parse().expect("a domain"),
        subject: String::new(),
    };
    Letter::new(envelope, message.clone()).advance(message, sealed)
}
