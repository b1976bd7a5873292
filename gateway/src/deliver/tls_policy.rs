//! How much TLS a delivery needs: one pure function, so that precedence is in one place.
//!
//! Promises: the strongest wish wins, whoever had it; nothing that fails (DNS, a cache) is an argument, so nothing
//! that fails can lower the level (invariant 5). Plain text is allowed by the result or by nobody.
//! DANE and MTA-STS will be further [`Proof`]s, found before this is asked (RFC 7672 §2.2 before RFC 8461 §2).

use serde::Serialize;

use crate::sign::TlsLevel;

/// How the other side proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Proof {
    /// It need not; the handshake's signatures are checked all the same.
    AnyCertificate,
    /// A certificate for the host's name, from an authority that this machine or `ca_file` trusts.
    WebPki,
}

/// Whose wish it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
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
}

/// What a connection must have. Part of the pool's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Decision {
    /// The level.
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

/// The strongest wish.
pub fn decide(wishes: &Wishes) -> Decision {
    let mut level = wishes.default;
    let mut decided_by = DecidedBy::Default;
    let others = [
        (Some(wishes.sender), DecidedBy::Sender),
        (wishes.site, DecidedBy::Site),
        (wishes.route, DecidedBy::Route),
        (wishes.require_tls.then_some(TlsLevel::Verify), DecidedBy::RequireTls),
    ];
    for (wish, who) in others {
        if let Some(wish) = wish
            && wish > level
        {
            (level, decided_by) = (wish, who);
        }
    }
    Decision {
        level,
        decided_by,
        proof: if level == TlsLevel::Verify { Proof::WebPki } else { Proof::AnyCertificate },
        plain_text: level == TlsLevel::Opportunistic,
        require_tls: wishes.require_tls,
    }
}

/// The level's name in metrics and notes.
pub const fn level_name(level: TlsLevel) -> &'static str {
    match level {
        TlsLevel::Opportunistic => "opportunistic",
        TlsLevel::Require => "require",
        TlsLevel::Verify => "verify",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_wish_wins_in_every_combination() {
        let levels = [TlsLevel::Opportunistic, TlsLevel::Require, TlsLevel::Verify];
        let maybe = [None, Some(levels[0]), Some(levels[1]), Some(levels[2])];
        for default in levels {
            for sender in levels {
                for site in maybe {
                    for route in maybe {
                        for require_tls in [false, true] {
                            let decision = decide(&Wishes { default, sender, site, route, require_tls });
                            let strongest = [Some(default), Some(sender), site, route].into_iter().flatten().max();
                            let expected = if require_tls { Some(TlsLevel::Verify) } else { strongest };
                            assert_eq!(Some(decision.level), expected);
                            assert_eq!(decision.plain_text, decision.level == TlsLevel::Opportunistic);
                            assert_eq!(decision.proof == Proof::WebPki, decision.level == TlsLevel::Verify);
                            assert_eq!(decision.require_tls, require_tls);
                        }
                    }
                }
            }
        }
    }
}
