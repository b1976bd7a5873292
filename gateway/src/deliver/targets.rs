//! From a destination to addresses, in the order in which they are tried.
//!
//! MX hosts by preference, shuffled inside one (RFC 5321 §5.1); no MX: the domain's own A and AAAA; null MX: never
//! (RFC 7505). Ourselves among the MX hosts: everything at our preference and worse is cut off, nothing left is a
//! loop. Bounded: five hosts, ten addresses.
//! Refuses addresses that no public mail server has (loopback, private, link-local…): an MX record is somebody
//! else's text and must not make us speak to machines beside us. Routes, the operator's own text, may.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use futures_util::future::join_all;
use rand::seq::SliceRandom;

use crate::message::DomainName;
use crate::resolver::{AddressAnswer, DnsFailure, MxAnswer, Resolver};

/// MX hosts that are tried.
pub const MAX_HOSTS: usize = 5;
/// Addresses that are tried, all hosts together.
pub const MAX_ADDRESSES: usize = 10;

/// One address of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The host's name (A-labels), or the address of a route that has no name. Certificates are checked against it.
    pub host: String,
    /// Where to connect.
    pub address: SocketAddr,
}

/// A host and how much it is preferred.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MxHost {
    /// Lower is tried first.
    pub preference: u16,
    /// Its name.
    pub name: DomainName,
}

/// Why there is nothing to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoTarget {
    /// RFC 7505.
    #[error("{0} accepts no mail (null MX)")]
    NullMx(DomainName),
    /// NXDOMAIN.
    #[error("the domain {0} does not exist")]
    NoSuchDomain(DomainName),
    /// No MX, no A, no AAAA, or MX hosts without addresses.
    #[error("{0} has no mail server: {1}")]
    NoServer(DomainName, String),
    /// The best MX is this gateway.
    #[error("mail for {0} loops back to this gateway")]
    Loop(DomainName),
    /// Only addresses that are not of the public Internet.
    #[error("the mail servers of {0} have no public address ({1})")]
    NotPublic(DomainName, String),
    /// DNS gave no answer.
    #[error("DNS look-up for {0} failed: {1}")]
    Dns(String, DnsFailure),
}

impl NoTarget {
    /// The enhanced status; its class tells whether it is for good.
    ///
    /// A private address is for good (5.4.4): the record is somebody's deliberate or mistaken text, waiting five
    /// days does not mend it sooner than a notice to the sender does.
    pub const fn status(&self) -> (u8, u16, u16) {
        match self {
            Self::NullMx(_) => (5, 1, 10),
            Self::NoSuchDomain(_) => (5, 1, 2),
            Self::NoServer(..) | Self::NotPublic(..) => (5, 4, 4),
            Self::Loop(_) => (5, 4, 6),
            Self::Dns(..) => (4, 4, 3),
        }
    }
}

/// Who we are, and what MX records may point to.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Names that are this gateway.
    pub own_names: HashSet<DomainName>,
    /// Addresses that are this gateway.
    pub own_addresses: HashSet<IpAddr>,
    /// May an MX host be on the loopback interface? Only where `dns.smtp_port` is not 25: no real MX host listens
    /// elsewhere (RFC 5321 has no other port), so this is a test or the demo, whose servers are on 127.0.0.1.
    pub allow_loopback_mx: bool,
    /// The port of MX hosts.
    pub smtp_port: u16,
    /// The port of MTA-STS policy hosts.
    pub https_port: u16,
}

/// The MX hosts of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MxSet {
    /// Best first; those that are tried.
    pub hosts: Vec<MxHost>,
    /// The names of all that the domain has, sorted: which of many are tried is chance, the set is not.
    pub names: Vec<DomainName>,
    /// DNSSEC proves that they are the domain's. A domain without MX is its own host, and needs no proof of that
    /// beyond its address'.
    pub secure: bool,
}

/// The MX hosts of a domain, best first. A domain without MX is its own host (RFC 5321 §5.1).
pub async fn mx_hosts(
    resolver: &dyn Resolver,
    domain: &DomainName,
    surroundings: &Surroundings,
) -> Result<MxSet, NoTarget> {
    let (mut hosts, secure): (Vec<MxHost>, bool) = match resolver.mx(domain).await {
        Ok(MxAnswer::Null) => return Err(NoTarget::NullMx(domain.clone())),
        Ok(MxAnswer::Hosts { records, secure }) => {
            let hosts = records.into_iter().map(|mx| MxHost { preference: mx.preference, name: mx.exchange });
            (hosts.collect(), secure)
        }
        Err(DnsFailure::NoData) => (vec![MxHost { preference: 0, name: domain.clone() }], true),
        Err(DnsFailure::NoSuchName) => return Err(NoTarget::NoSuchDomain(domain.clone())),
        Err(failure) => return Err(NoTarget::Dns(domain.to_string(), failure)),
    };
    if hosts.is_empty() {
        return Err(NoTarget::NoServer(domain.clone(), "its MX records hold no host name".into()));
    }
    let mut names: Vec<DomainName> = hosts.iter().map(|host| host.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    hosts.shuffle(&mut rand::rng());
    hosts.sort_by_key(|host| host.preference);
    if let Some(own) = hosts.iter().find(|host| surroundings.own_names.contains(&host.name)) {
        let cut = own.preference;
        hosts.retain(|host| host.preference < cut);
        if hosts.is_empty() {
            return Err(NoTarget::Loop(domain.clone()));
        }
    }
    hosts.truncate(MAX_HOSTS);
    Ok(MxSet { hosts, names, secure })
}

/// What became of one MX host's addresses, for explanations.
#[derive(Debug, Clone)]
pub struct ResolvedHost {
    /// The host.
    pub host: MxHost,
    /// Its usable addresses.
    pub addresses: Vec<IpAddr>,
    /// What is odd about it, or empty.
    pub note: String,
}

/// The addresses of MX hosts: what may be dialled, and a note on each host.
pub async fn mx_targets(
    resolver: &dyn Resolver,
    domain: &DomainName,
    hosts: &[MxHost],
    surroundings: &Surroundings,
) -> (Vec<ResolvedHost>, Result<Vec<Target>, NoTarget>) {
    let answers = join_all(hosts.iter().map(|host| resolver.addresses(&host.name))).await;
    let mut resolved = Vec::with_capacity(hosts.len());
    let (mut failure, mut looped, mut private) = (None, false, None);
    for (host, answer) in hosts.iter().zip(answers) {
        let mut entry = ResolvedHost { host: host.clone(), addresses: Vec::new(), note: String::new() };
        match answer {
            Ok(answer) if answer.addresses.iter().any(|address| surroundings.own_addresses.contains(address)) => {
                // Equal preferences stand next to each other, in random order: those before go as well.
                resolved.retain(|earlier: &ResolvedHost| earlier.host.preference < host.preference);
                looped = true;
                break;
            }
            Ok(answer) => private = sift(&mut entry, answer, surroundings).or(private),
            Err(why) => {
                entry.note = why.to_string();
                failure = match failure {
                    Some(DnsFailure::NoSuchName | DnsFailure::NoData) | None => Some(why),
                    temporary => temporary,
                };
            }
        }
        resolved.push(entry);
    }
    let targets: Vec<Target> = resolved
        .iter()
        .flat_map(|entry| {
            let host = entry.host.name.as_str();
            entry.addresses.iter().map(move |address| (host, *address))
        })
        .take(MAX_ADDRESSES)
        .map(|(host, address)| Target {
            host: host.to_owned(),
            address: SocketAddr::new(address, surroundings.smtp_port),
        })
        .collect();
    if !targets.is_empty() {
        return (resolved, Ok(targets));
    }
    let why = match (failure, private) {
        (Some(failure), _) if failure.is_temporary() => NoTarget::Dns(domain.to_string(), failure),
        _ if looped => NoTarget::Loop(domain.clone()),
        (_, Some(address)) => NoTarget::NotPublic(domain.clone(), address.to_string()),
        (Some(DnsFailure::NoSuchName), _) => {
            NoTarget::NoServer(domain.clone(), format!("its MX host {} does not exist", hosts[0].name))
        }
        _ => NoTarget::NoServer(domain.clone(), "no MX record and no address".into()),
    };
    (resolved, Err(why))
}

/// Keeps the addresses that may be dialled; gives back one that may not.
fn sift(entry: &mut ResolvedHost, answer: AddressAnswer, surroundings: &Surroundings) -> Option<IpAddr> {
    if let Some(name) = answer.alias_of {
        // RFC 5321 §5.1 forbids it, everybody follows it; the name that the domain published stays the one to check.
        entry.note = format!("is an alias of {name}, which RFC 2181 §10.3 forbids for MX hosts");
    }
    let mut refused = None;
    for address in answer.addresses {
        if is_public(address) || (surroundings.allow_loopback_mx && address.to_canonical().is_loopback()) {
            entry.addresses.push(address);
        } else {
            entry.note = format!("{address} is not a public address");
            refused = Some(address);
        }
    }
    refused
}

/// The addresses of a route's host.
pub async fn route_targets(resolver: &dyn Resolver, host: &str, port: u16) -> Result<Vec<Target>, NoTarget> {
    let literal = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
    if let Ok(address) = literal.parse::<IpAddr>() {
        return Ok(vec![Target { host: literal.to_owned(), address: SocketAddr::new(address, port) }]);
    }
    // A route is the operator's text: what is wrong with it can be put right, so nothing here is for good.
    let name: DomainName =
        host.parse().map_err(|_| NoTarget::Dns(host.to_owned(), DnsFailure::Other("not a host name".into())))?;
    let answer = resolver
        .addresses(&name)
        .await
        .map_err(|failure| NoTarget::Dns(format!("the route's host {name}"), DnsFailure::Other(failure.to_string())))?;
    let target = |address| Target { host: name.to_string(), address: SocketAddr::new(address, port) };
    Ok(answer.addresses.into_iter().take(MAX_ADDRESSES).map(target).collect())
}

/// Could a mail server of the public Internet have this address?
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let octets = v4.octets();
            let shared = octets[0] == 100 && octets[1] & 0xc0 == 64;
            !(v4.is_loopback()
                || v4.is_private()
                || v4.is_link_local()
                || v4.is_broadcast()
                || v4.is_multicast()
                || octets[0] == 0
                || octets[0] >= 240
                || shared)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local()
                || embeds_private(v6))
        }
    }
}

/// `::192.168.0.1` and `64:ff9b::192.168.0.1` lead to the IPv4 address inside (RFC 4291 §2.5.5.1, RFC 6052).
fn embeds_private(v6: Ipv6Addr) -> bool {
    let segments = v6.segments();
    let compatible = segments[..6] == [0; 6];
    let translated = segments[..6] == [0x64, 0xff9b, 0, 0, 0, 0];
    let octets = v6.octets();
    (compatible || translated) && !is_public(IpAddr::from([octets[12], octets[13], octets[14], octets[15]]))
}

#[cfg(test)]
#[path = "targets_tests.rs"]
mod tests;
