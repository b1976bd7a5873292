//! Claims: a tenant says that a domain is its own, and DNS has yet to say so too.
//!
//! A claim gives nothing: no key, no From, no right against another tenant's claim. Whoever can publish its token at
//! every authoritative server of the domain has the domain; all other claims to it end then.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::message::DomainName;

/// How a domain came to its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "proof", rename_all = "lowercase")]
pub enum Proof {
    /// An operator said so: by adding it where no proof is required, or by vouching for it.
    #[default]
    Vouched,
    /// The claim's token was at every authoritative server.
    Shown {
        /// The token.
        token: String,
    },
}

impl Proof {
    /// `vouched` or `shown`.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Vouched => "vouched",
            Self::Shown { .. } => "shown",
        }
    }
}

/// A claim.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainClaim {
    /// The domain.
    pub domain: DomainName,
    /// Who claims it.
    pub tenant: TenantId,
    /// What only that tenant was told; 160 random bits in hexadecimal.
    pub token: String,
    /// When.
    pub created: Timestamp,
}

impl DomainClaim {
    pub(super) fn new(domain: DomainName, tenant: TenantId, created: Timestamp) -> Self {
        // 160 bits in two pieces, because there is no wider integer to print.
        let token = format!("{:032x}{:08x}", rand::random::<u128>(), rand::random::<u32>());
        Self { domain, tenant, token, created }
    }

    /// The name of the TXT record that proves it.
    pub fn record_name(&self) -> String {
        record_name(&self.domain)
    }

    /// The record's value.
    pub fn record_value(&self) -> String {
        format!("waxseal-challenge={}", self.token)
    }
}

/// The name of the TXT record that proves a claim to `domain`.
pub fn record_name(domain: &DomainName) -> String {
    format!("_waxseal-challenge.{domain}")
}
