//! From a destination to hosts and addresses, in the order in which they are tried (RFC 5321 §5.1).
//!
//! Promises: preferences in order, equal ones shuffled; a null MX refuses for good (RFC 7505), a name that does not
//! exist too, and everything that nobody could answer defers. Refuses: our own name in the MX set and what is not
//! preferred to it (a loop), loopback and private addresses by MX (a route may name them), more hosts or addresses
//! than a sender should have to try.

use std::net::{IpAddr, SocketAddr};

use rand::seq::SliceRandom;

use super::transaction::{Destination, DestinationKind};
use crate::message::DomainName;
use crate::resolver::{DnsFailure, MailExchange, Resolver};

const MOST_HOSTS: usize = 5;
const MOST_ADDRESSES: usize = 10;

/// One address to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host's name, for TLS and for people.
    pub host: String,
    /// Where it is dialled.
    pub address: SocketAddr,
}

/// Why there is nothing to try.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetFailure {
    /// `MX 0 .`.
    #[error("{0} accepts no mail (null MX)")]
    NullMx(String),
    /// There is no such domain, or it has neither MX nor address.
    #[error("{0}")]
    NoSuchDomain(String),
    /// Only addresses that no mail should go to.
    #[error("no usable address: {0}")]
    Unusable(String),
    /// We are the best MX ourselves.
    #[error("mail for {0} loops back to this gateway")]
    Loop(String),
    /// Nobody could say; try later.
    #[error("{0}")]
    Temporary(String),
}

impl TargetFailure {
    /// Whether trying again helps, and the enhanced status code.
    pub fn verdict(&self) -> (bool, (u8, u16, u16)) {
        match self {
            Self::NullMx(_) => (false, (5, 1, 10)),
            Self::NoSuchDomain(_) => (false, (5, 1, 2)),
            Self::Unusable(_) => (false, (5, 4, 4)),
            Self::Loop(_) => (false, (5, 4, 6)),
            Self::Temporary(_) => (true, (4, 4, 3)),
        }
    }
}

/// How targets are looked for.
#[derive(Debug, Clone)]
pub struct TargetRules {
    /// Our own name: in an MX set it means a loop.
    pub hostname: DomainName,
    /// The port that MX hosts are dialled on.
    pub smtp_port: u16,
    /// May an MX point to loopback and private addresses? On a real network that is a mistake or an attack on the
    /// operator's own hosts; a test network, which is one where SMTP is not on port 25, has nothing else.
    pub private_mx: bool,
}

/// The addresses to try for a destination.
pub async fn targets(
    resolver: &dyn Resolver,
    destination: &Destination,
    rules: &TargetRules,
) -> Result<Vec<Target>, TargetFailure> {
    match &destination.kind {
        DestinationKind::Route { host, port, .. } => route_targets(resolver, host, *port).await,
        DestinationKind::Mx(domain) => mx_targets(resolver, domain, rules).await,
    }
}

async fn route_targets(resolver: &dyn Resolver, host: &str, port: u16) -> Result<Vec<Target>, TargetFailure> {
    let target = |address: IpAddr| Target { host: host.to_owned(), address: SocketAddr::new(address, port) };
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return Ok(vec![target(address)]);
    }
    // A route is the operator's: a name that does not resolve is a mistake to be mended, not the recipient's.
    let addresses = resolver.addresses(host).await.map_err(|e| TargetFailure::Temporary(format!("route: {e}")))?;
    Ok(addresses.into_iter().take(MOST_ADDRESSES).map(target).collect())
}

async fn mx_targets(
    resolver: &dyn Resolver,
    domain: &DomainName,
    rules: &TargetRules,
) -> Result<Vec<Target>, TargetFailure> {
    let hosts = exchanges(resolver, domain, rules).await?;
    let (mut found, mut unusable, mut unanswered) = (Vec::new(), Vec::new(), None);
    for host in hosts.iter().take(MOST_HOSTS) {
        match resolver.addresses(host).await {
            Ok(addresses) => {
                for address in addresses {
                    if rules.private_mx || is_public(address) {
                        let address = SocketAddr::new(address, rules.smtp_port);
                        found.push(Target { host: host.clone(), address });
                    } else {
                        unusable.push(format!("{host} has address {address}"));
                    }
                }
            }
            Err(failure) if failure.is_temporary() => unanswered = Some(failure.to_string()),
            Err(failure) => unusable.push(failure.to_string()),
        }
    }
    found.truncate(MOST_ADDRESSES);
    match (found.is_empty(), unanswered) {
        (false, _) => Ok(found),
        (true, Some(why)) => Err(TargetFailure::Temporary(why)),
        (true, None) => Err(TargetFailure::Unusable(unusable.join("; "))),
    }
}

/// The hosts of a domain, best first.
async fn exchanges(
    resolver: &dyn Resolver,
    domain: &DomainName,
    rules: &TargetRules,
) -> Result<Vec<String>, TargetFailure> {
    let mut records = match resolver.mail_exchanges(domain).await {
        Ok(records) => records,
        // RFC 5321 §5.1: without MX, the domain itself is the host; whether it exists its addresses tell.
        Err(DnsFailure::NoData(_)) => vec![],
        Err(failure) if failure.is_temporary() => return Err(TargetFailure::Temporary(failure.to_string())),
        Err(failure) => return Err(TargetFailure::NoSuchDomain(failure.to_string())),
    };
    if records.is_empty() {
        if *domain == rules.hostname {
            return Err(TargetFailure::Loop(domain.to_string()));
        }
        return match resolver.addresses(domain.as_str()).await {
            Err(failure) if !failure.is_temporary() => {
                Err(TargetFailure::NoSuchDomain(format!("{domain} has neither MX nor address records")))
            }
            _ => Ok(vec![domain.to_string()]),
        };
    }
    if records.iter().all(|record| record.host.is_empty()) {
        return Err(TargetFailure::NullMx(domain.to_string()));
    }
    records.retain(|record| !record.host.is_empty());
    if let Some(own) =
        records.iter().filter(|record| record.host == rules.hostname.as_str()).map(|r| r.preference).min()
    {
        records.retain(|record| record.preference < own);
        if records.is_empty() {
            return Err(TargetFailure::Loop(domain.to_string()));
        }
    }
    Ok(in_order(records))
}

fn in_order(mut records: Vec<MailExchange>) -> Vec<String> {
    records.shuffle(&mut rand::rng());
    // The sort is stable, so what is equal stays shuffled.
    records.sort_by_key(|record| record.preference);
    let mut hosts: Vec<String> = Vec::with_capacity(records.len());
    for record in records {
        if !hosts.contains(&record.host) {
            hosts.push(record.host);
        }
    }
    hosts
}

fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_unspecified()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast())
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resolver::StaticResolver;

    fn rules() -> TargetRules {
        TargetRules { hostname: "mx.relay.example".parse().unwrap(), smtp_port: 25, private_mx: false }
    }

    fn destination(domain: &str) -> Destination {
        Destination { key: domain.into(), kind: DestinationKind::Mx(domain.parse().unwrap()) }
    }

    fn mx(preference: u16, host: &str) -> MailExchange {
        MailExchange { preference, host: host.into() }
    }

    async fn look(resolver: &StaticResolver, domain: &str) -> Result<Vec<String>, TargetFailure> {
        let found = targets(resolver, &destination(domain), &rules()).await?;
        Ok(found.into_iter().map(|target| format!("{} {}", target.host, target.address)).collect())
    }

    #[tokio::test]
    async fn every_shape_of_an_mx_set_has_its_answer() {
        let mut dns = StaticResolver::default();
        let mut set = |domain: &str, records| drop(dns.mail_exchanges.insert(domain.into(), records));
        set("two.example", Ok(vec![mx(20, "b.example"), mx(10, "a.example")]));
        set("null.example", Ok(vec![mx(0, "")]));
        set("loop.example", Ok(vec![mx(10, "mx.relay.example"), mx(20, "a.example")]));
        set("backup.example", Ok(vec![mx(10, "a.example"), mx(20, "mx.relay.example"), mx(30, "b.example")]));
        set("inside.example", Ok(vec![mx(10, "inside.host.example")]));
        set("silent.example", Err(DnsFailure::Unanswered("silent.example".into(), "SERVFAIL".into())));
        set("gone.example", Err(DnsFailure::NoSuchName("gone.example".into())));
        set("half.example", Ok(vec![mx(10, "silent.host.example"), mx(20, "inside.host.example")]));
        dns.addresses.insert("a.example".into(), Ok(vec!["198.51.100.1".parse().unwrap()]));
        dns.addresses.insert("b.example".into(), Ok(vec!["2001:db8::2".parse().unwrap()]));
        dns.addresses.insert("bare.example".into(), Ok(vec!["198.51.100.9".parse().unwrap()]));
        dns.addresses.insert("inside.host.example".into(), Ok(vec!["127.0.0.1".parse().unwrap()]));
        let silent = DnsFailure::Unanswered("silent.host.example".into(), "timed out".into());
        dns.addresses.insert("silent.host.example".into(), Err(silent));

        assert_eq!(
            look(&dns, "two.example").await.unwrap(),
            ["a.example 198.51.100.1:25", "b.example [2001:db8::2]:25"]
        );
        assert_eq!(look(&dns, "bare.example").await.unwrap(), ["bare.example 198.51.100.9:25"]);
        assert_eq!(look(&dns, "backup.example").await.unwrap(), ["a.example 198.51.100.1:25"]);
        for (domain, status, again) in [
            ("null.example", (5, 1, 10), false),
            ("loop.example", (5, 4, 6), false),
            ("gone.example", (5, 1, 2), false),
            ("nowhere.example", (5, 1, 2), false),
            ("inside.example", (5, 4, 4), false),
            ("mx.relay.example", (5, 4, 6), false),
            ("silent.example", (4, 4, 3), true),
            ("half.example", (4, 4, 3), true),
        ] {
            assert_eq!(look(&dns, domain).await.unwrap_err().verdict(), (again, status), "{domain}");
        }
    }

    #[tokio::test]
    async fn a_route_needs_no_mx_and_may_point_inside() {
        let kind = DestinationKind::Route { host: "127.0.0.1".into(), port: 2526, tls: None };
        let destination = Destination { key: "route".into(), kind };
        let found = targets(&StaticResolver::default(), &destination, &rules()).await.unwrap();
        assert_eq!(found[0].address, "127.0.0.1:2526".parse().unwrap());
    }
}
