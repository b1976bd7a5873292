//! What is really published: a zone's own servers asked one by one, beside the configured resolvers.
//!
//! Promises: the zone is the one that holds the name, found from the name upwards, and referrals below it are
//! followed, so that a delegated `_domainkey` is asked where it lives. Every server has five seconds a question.
//! The answers are values of [`waxseal_dns`]; a failure is an answer too and never hides another server's.
//! Refuses: no cache of answers (a cached answer is what a person wants to get past), no validation of its own: a
//! resolver that validates says by SERVFAIL what it answers when told not to check, and that is reported as bogus.
//!
//! Zones' servers are asked on port 53. Where `[dns] servers` names a loopback server, those that are on the loopback
//! themselves are asked on that server's port: nobody's real zone is served there, and a test's is.

mod check;
mod exchange;
mod finder;

use std::net::SocketAddr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use waxseal_dns::{Answer, RecordType, Reply, Vantage};

pub use check::examine;
pub use finder::HickoryZones;

/// Everything that was heard about one name and type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// The zone that holds the name; empty where it was not found.
    pub zone: String,
    /// Why the zone or its servers were not found.
    pub problem: Option<Reply>,
    /// The answers: the zone's servers first, then the resolvers.
    pub answers: Vec<Answer>,
}

/// A zone, and the server that its SOA record names as the source of its data (RFC 1035 §3.3.13).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZonePrimary {
    /// The zone.
    pub zone: String,
    /// The server's name.
    pub name: String,
    /// Where it is asked; `None` where its name has no address: a hidden primary.
    pub address: Option<SocketAddr>,
}

/// Asks zones' own servers and the configured resolvers. Everything that checks what is published goes through this.
#[async_trait]
pub trait ZoneReader: Send + Sync + 'static {
    /// Asks every server of the zone that holds `name`, and every configured resolver.
    async fn survey(&self, name: &str, record_type: RecordType) -> Survey;

    /// The zone that holds `name`; a failure is the reply that ended the search.
    async fn primary(&self, name: &str) -> Result<ZonePrimary, Reply>;

    /// Asks the configured resolvers only.
    async fn resolve(&self, name: &str, record_type: RecordType) -> Vec<Answer>;
}

/// A server to ask.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ZoneServer {
    vantage: Vantage,
}

#[cfg(test)]
mod tests;
