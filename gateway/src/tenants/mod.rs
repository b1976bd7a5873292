//! Tenants, their domains, credentials and policies, and the snapshot of them that the rest of the gateway reads.

pub mod audit;
mod claim;
pub mod delegation;
mod directory;
mod dkim_key;
mod draft;
mod error;
pub mod quota;
mod read;
mod records;
mod registry;
pub mod secret;
mod sight;
pub mod steward;
#[cfg(test)]
mod tests;

pub use audit::{AuditCheckpoint, AuditRecord, AuditReport};
pub use claim::{DomainClaim, Proof};
pub use directory::Directory;
pub use dkim_key::{DkimKey, DkimMove, DkimState};
pub use draft::{DomainRules, TenantFile, TenantFileEntry};
pub use error::{Refusal, RegistryError};
pub use registry::{Change, NewCredential, Registry};

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::message::{DomainName, Mailbox};
use crate::redact;
use crate::sign::TlsLevel;

/// A tenant: a customer of the platform, walled off from every other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tenant {
    /// Its number, never reused.
    pub id: TenantId,
    /// Its name: lower-case letters, digits, `-`, `_`, `.`; at most 63.
    pub name: String,
    /// Its policy.
    #[serde(default)]
    pub policy: TenantPolicy,
    /// When it was made.
    pub created: Timestamp,
}

/// What a tenant may and wants. `None` means: as the operator configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TenantPolicy {
    /// May From be a subdomain of one of its domains?
    pub subdomains: bool,
    /// Where MAIL FROM is rewritten to, so that SPF aligns.
    pub return_path: Option<DomainName>,
    /// The URI of the logo that BIMI shows beside its mail: `https:`, an SVG.
    pub logo: Option<String>,
    /// Mail to this address is a post for its help center.
    pub posts_address: Option<Mailbox>,
    /// Redaction.
    pub redaction: Option<redact::Policy>,
    /// The least TLS for its mail.
    pub tls: Option<TlsLevel>,
    /// The pool of source addresses that its letters leave from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub egress_pool: Option<String>,
    /// Recipients that it may submit in an hour; `None` is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_per_hour: Option<u64>,
    /// Recipients that it may submit in a day.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipients_per_day: Option<u64>,
}

/// A domain that a tenant may send as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantDomain {
    /// The name.
    pub name: DomainName,
    /// Whose it is.
    pub tenant: TenantId,
    /// When it was added.
    pub created: Timestamp,
    /// Why it is.
    #[serde(default)]
    pub proof: Proof,
    /// Its label in the operator's zone, if its key records are delegated.
    #[serde(default)]
    pub delegated: Option<String>,
}

/// What SCRAM-SHA-256 needs of a secret (RFC 5802 §3, RFC 7677); the secret cannot be had back from it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScramKeys {
    /// The salt.
    pub salt: Vec<u8>,
    /// The PBKDF2 iterations.
    pub iterations: u32,
    /// `StoredKey`.
    pub stored_key: [u8; 32],
    /// `ServerKey`.
    pub server_key: [u8; 32],
}

/// A submission credential.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// The user name, unique over all tenants.
    pub user: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// The secret under argon2id, as a PHC string.
    pub argon2id: String,
    /// The secret's SCRAM keys.
    pub scram: ScramKeys,
    /// Where it may be used from; empty: anywhere.
    pub networks: Vec<IpNet>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

impl Credential {
    /// A credential that nobody can sign in with.
    #[cfg(test)]
    pub(crate) fn for_tests(user: &str, tenant: TenantId) -> Self {
        let scram = ScramKeys { salt: Vec::new(), iterations: 1, stored_key: [0; 32], server_key: [0; 32] };
        let created = Timestamp::from_millis(0);
        let (user, argon2id, networks) = (user.to_owned(), String::new(), Vec::new());
        Self { user, tenant, argon2id, scram, networks, expires: None, created }
    }

    /// May it be used from here, now?
    pub fn usable(&self, from: IpAddr, now: Timestamp) -> bool {
        let from = from.to_canonical();
        self.expires.is_none_or(|end| now < end)
            && (self.networks.is_empty() || self.networks.iter().any(|network| network.contains(&from)))
    }
}
