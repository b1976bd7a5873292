//! How much TLS a delivery to a host needs: one pure function, so that precedence is in one place.
//!
//! Promises: the strongest wish of operator, tenant, message, site and route holds, whoever had it; what the
//! recipient's domain publishes (DANE, MTA-STS) can only add to it. What could not be found out is an argument of
//! its own and leads to waiting, never to a lower level (invariant 5). DANE comes before MTA-STS: a host that fails
//! DANE is not saved by a certificate that the web's authorities trust (RFC 8461 §2, RFC 7672 §2.2).
//! `TLS-Required: No` (RFC 8689 §5) takes away what the recipient's domain published, never what the operator or
//! the tenant wants, and nothing under REQUIRETLS (§3).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::dane::TlsaSet;
use crate::sign::TlsLevel;

/// How the other side proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// It need not; the handshake's signatures are checked all the same.
    AnyCertificate,
    /// A certificate for the host's name, from an authority that this machine or `ca_file` trusts.
    WebPki,
    /// A certificate that one of these TLSA records names (RFC 7672 §3).
    Dane(Arc<TlsaSet>),
}

/// Whose wish it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecidedBy {
    /// `delivery.tls`.
    Default,
    /// The tenant's policy or `X-Waxseal-TLS`.
    Sender,
    /// `[[delivery.site]]`.
    Site,
    /// `[[delivery.route]]`.
    Route,
    /// REQUIRETLS (RFC 8689).
    RequireTls,
    /// The recipient domain's MTA-STS policy.
    MtaSts,
    /// The host's TLSA records.
    Dane,
}

impl DecidedBy {
    /// In words, for notes.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Default => "the gateway's configuration",
            Self::Sender => "the sender's policy",
            Self::Site => "the policy for this site",
            Self::Route => "the route",
            Self::RequireTls => "REQUIRETLS",
            Self::MtaSts => "the recipient domain's MTA-STS policy",
            Self::Dane => "the host's TLSA records (DANE)",
        }
    }
}

/// The policy that a connection was held to, as events, lists and metrics name it. It lies in the store: names are
/// only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// TLS if it is to be had.
    Opportunistic,
    /// TLS, with any certificate.
    Require,
    /// TLS, with a certificate for the name.
    Verify,
    /// TLS, with DANE or not at all.
    DaneOnly,
    /// The recipient domain's MTA-STS policy.
    MtaSts,
    /// The host's TLSA records.
    Dane,
    /// REQUIRETLS.
    Requiretls,
}

impl PolicyName {
    /// The name.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Opportunistic => "opportunistic",
            Self::Require => "require",
            Self::Verify => "verify",
            Self::DaneOnly => "dane-only",
            Self::MtaSts => "mta-sts",
            Self::Dane => "dane",
            Self::Requiretls => "requiretls",
        }
    }
}

/// Everybody's wishes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// `delivery.tls`.
    pub default: TlsLevel,
    /// The tenant's and the message's, the higher of both.
    pub sender: TlsLevel,
    /// The site's.
    pub site: Option<TlsLevel>,
    /// The route's.
    pub route: Option<TlsLevel>,
    /// REQUIRETLS was asked for.
    pub require_tls: bool,
    /// The message says `TLS-Required: No`.
    pub tls_optional: bool,
}

impl Wishes {
    /// Is the recipient domain's word to be left out?
    pub const fn ignores_published(&self) -> bool {
        self.tls_optional && !self.require_tls
    }

    fn strongest(self) -> (TlsLevel, DecidedBy) {
        let mut strongest = (self.default, DecidedBy::Default);
        let others = [
            (Some(self.sender), DecidedBy::Sender),
            (self.site, DecidedBy::Site),
            (self.route, DecidedBy::Route),
            (self.require_tls.then_some(TlsLevel::Verify), DecidedBy::RequireTls),
        ];
        for (wish, who) in others {
            if let Some(wish) = wish
                && wish > strongest.0
            {
                strongest = (wish, who);
            }
        }
        strongest
    }
}

/// What MTA-STS says of a host (RFC 8461 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StsFact {
    /// No policy, mode `none`, or MTA-STS is switched off.
    Nothing,
    /// It could not be found out whether there is one, and none is remembered.
    Unknown,
    /// Mode `testing`: as without a policy; what it would have said is reported.
    Testing,
    /// Mode `enforce`.
    Enforced {
        /// The policy names the host.
        names_host: bool,
    },
}

/// What DANE says of a host (RFC 7672 §2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DaneFact {
    /// No TLSA records, not proven ones, or DANE is switched off.
    Nothing,
    /// It could not be found out: SERVFAIL, time-out, bogus (§2.1.1).
    Unknown,
    /// Proven records, none of which can be used: TLS, but nothing to prove it by (§2.2).
    Unusable,
    /// Proven records.
    Usable(Arc<TlsaSet>),
}

/// What a connection must have. Part of the pool's key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Decision {
    /// The level that was wished for; what was published may have raised what follows.
    pub level: TlsLevel,
    /// Whose wish it was.
    pub decided_by: DecidedBy,
    /// What the certificate must prove.
    pub proof: Proof,
    /// May the letter go in plain text if there is no TLS to be had?
    pub plain_text: bool,
    /// Must the host promise to keep up REQUIRETLS?
    pub require_tls: bool,
}

impl Decision {
    /// The name of the policy.
    pub const fn name(&self) -> PolicyName {
        match (self.decided_by, self.level) {
            (DecidedBy::RequireTls, _) => PolicyName::Requiretls,
            (DecidedBy::MtaSts, _) => PolicyName::MtaSts,
            (DecidedBy::Dane, _) => PolicyName::Dane,
            (_, TlsLevel::Opportunistic) => PolicyName::Opportunistic,
            (_, TlsLevel::Require) => PolicyName::Require,
            (_, TlsLevel::Verify) => PolicyName::Verify,
            (_, TlsLevel::DaneOnly) => PolicyName::DaneOnly,
        }
    }
}

/// Why a host is not to be spoken to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Avoidance {
    /// The TLSA look-up failed.
    #[error("its TLSA records could not be looked up, so nobody may say that it has none")]
    DaneUnknown,
    /// `dane-only`, but no usable records.
    #[error("the policy is dane-only and it has no usable TLSA records")]
    NoDane,
    /// The policy look-up failed and none is remembered.
    #[error("the domain's MTA-STS record could not be looked up and no policy is remembered")]
    StsUnknown,
    /// The policy does not name the host.
    #[error("the domain's MTA-STS policy does not name it")]
    NotNamed,
}

/// What to do with a host.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ruling {
    /// Connect, and keep to this.
    Connect(Decision),
    /// Try another host, or later.
    Avoid(Avoidance),
}

/// The ruling for one host.
pub fn decide(wishes: &Wishes, sts: StsFact, dane: &DaneFact) -> Ruling {
    let (mut level, mut decided_by) = wishes.strongest();
    let (sts, dane) = if wishes.ignores_published() { (StsFact::Nothing, &DaneFact::Nothing) } else { (sts, dane) };
    let dane_only = level == TlsLevel::DaneOnly;
    match (dane, sts) {
        (DaneFact::Unknown, _) => return Ruling::Avoid(Avoidance::DaneUnknown),
        (DaneFact::Nothing | DaneFact::Unusable, _) if dane_only => return Ruling::Avoid(Avoidance::NoDane),
        // Also where DANE would do: the domain said that its mail goes to these hosts only.
        (_, StsFact::Enforced { names_host: false }) => return Ruling::Avoid(Avoidance::NotNamed),
        // With DANE the host proves itself, whatever the policy would have said.
        (DaneFact::Nothing | DaneFact::Unusable, StsFact::Unknown) => return Ruling::Avoid(Avoidance::StsUnknown),
        _ => {}
    }
    let mut raise = |to: TlsLevel, who: DecidedBy| {
        if to > level {
            (level, decided_by) = (to, who);
        }
    };
    let proof = if let DaneFact::Usable(set) = dane {
        raise(TlsLevel::Verify, DecidedBy::Dane);
        Proof::Dane(Arc::clone(set))
    } else {
        if matches!(dane, DaneFact::Unusable) {
            raise(TlsLevel::Require, DecidedBy::Dane);
        }
        if matches!(sts, StsFact::Enforced { .. }) {
            raise(TlsLevel::Verify, DecidedBy::MtaSts);
        }
        if level >= TlsLevel::Verify { Proof::WebPki } else { Proof::AnyCertificate }
    };
    Ruling::Connect(Decision {
        plain_text: level == TlsLevel::Opportunistic,
        level,
        decided_by,
        proof,
        require_tls: wishes.require_tls,
    })
}

/// The level's name.
pub const fn level_name(level: TlsLevel) -> &'static str {
    match level {
        TlsLevel::Opportunistic => "opportunistic",
        TlsLevel::Require => "require",
        TlsLevel::Verify => "verify",
        TlsLevel::DaneOnly => "dane-only",
    }
}

#[cfg(test)]
#[path = "tls_policy_tests.rs"]
mod tests;
