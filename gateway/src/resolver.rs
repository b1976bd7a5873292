//! DNS behind a trait: MX and addresses, with the ways of failing told apart.
//!
//! Promises: a failure says whether it is an answer ("there is no such name") or the lack of one, because only the
//! first may ever end a letter. A and AAAA are asked at once (RFC 5321 §5.1). The hosts file is never read and no
//! search list is applied: mail for `example.com` must not depend on this machine's name.
//! Refuses: null MX among other records is ignored as RFC 7505 §3 wants; names that are no host names are dropped.

pub mod authority;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::{DnsError, NetError, runtime::TokioRuntimeProvider};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData};
use hickory_resolver::{Resolver as Hickory, TokioResolver};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::Dns;
use crate::message::DomainName;
use crate::observe;

/// One server of several, or the only one, gets this long for one query.
const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// Everything together: repeated queries, several servers, UDP and then TCP.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(20);
/// The longest that "no such name" and "no such record" are believed (RFC 2308 §5 allows three hours).
const NEGATIVE_MAX: Duration = Duration::from_mins(5);
/// How long a failing server is not asked the same again: long enough to spare it a burst, short enough that a
/// retry after a minute asks anew.
const FAILURE_FOR: Duration = Duration::from_secs(5);
/// Entries of the negative cache.
const NEGATIVE_ENTRIES: usize = 8_192;

/// Why a look-up gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DnsFailure {
    /// The name does not exist (NXDOMAIN).
    #[error("no such name")]
    NoSuchName,
    /// The name exists, but has no such record.
    #[error("no such record")]
    NoData,
    /// The server could not find out.
    #[error("the DNS server failed")]
    ServFail,
    /// Nobody answered in time.
    #[error("the DNS query timed out")]
    Timeout,
    /// The answer is signed wrongly (DNSSEC).
    #[error("the DNS answer fails DNSSEC validation")]
    Bogus,
    /// Anything else: refused, malformed, no network.
    #[error("DNS: {0}")]
    Other(String),
}

impl DnsFailure {
    /// May the same question be answered later? Everything but the two real answers.
    pub const fn is_temporary(&self) -> bool {
        !matches!(self, Self::NoSuchName | Self::NoData)
    }
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MxRecord {
    /// Lower is tried first.
    pub preference: u16,
    /// The host.
    pub exchange: DomainName,
}

/// What the MX records of a domain say. No record at all is [`DnsFailure::NoData`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MxAnswer {
    /// `MX 0 .`: the domain takes no mail (RFC 7505).
    Null,
    /// The hosts, in no particular order; empty if none of the names is a host name.
    Hosts(Vec<MxRecord>),
}

/// The addresses of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressAnswer {
    /// IPv4 and IPv6 in turn, at least one.
    pub addresses: Vec<IpAddr>,
    /// The name that really has them, if the one asked for is an alias (CNAME).
    pub alias_of: Option<String>,
}

/// Who answers questions about names. Everything that needs DNS for delivery goes through this.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The MX records of a domain; [`DnsFailure::NoData`] if it has none.
    async fn mx(&self, domain: &DomainName) -> Result<MxAnswer, DnsFailure>;

    /// A and AAAA of a host, aliases followed.
    async fn addresses(&self, host: &DomainName) -> Result<AddressAnswer, DnsFailure>;
}

/// The resolver could not be set up: the operator's fault.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot set up DNS: {0}")]
pub struct ResolverSetupError(String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Mx,
    Ipv4,
    Ipv6,
}

impl Question {
    const fn label(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Ipv4 => "a",
            Self::Ipv6 => "aaaa",
        }
    }
}

/// The real resolver: hickory as a stub of the configured servers, over UDP and TCP.
///
/// Positive answers are cached by hickory. Negative ones are kept here too, since hickory drops them once it
/// validates DNSSEC, and since failures of a server deserve a short rest.
pub struct HickoryResolver {
    inner: TokioResolver,
    negative: Mutex<HashMap<(Question, DomainName), (DnsFailure, Instant)>>,
}

impl HickoryResolver {
    /// A resolver for the configured servers, or for the system's if none is named.
    pub fn new(dns: &Dns) -> Result<Self, ResolverSetupError> {
        let setup = |error: NetError| ResolverSetupError(error.to_string());
        let mut builder = if dns.servers.is_empty() {
            TokioResolver::builder_tokio().map_err(setup)?
        } else {
            let servers = dns.servers.iter().map(|server| name_server(*server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            Hickory::builder_with_config(config, TokioRuntimeProvider::default())
        };
        adjust(builder.options_mut());
        let inner = builder.build().map_err(setup)?;
        Ok(Self { inner, negative: Mutex::new(HashMap::new()) })
    }

    fn remembered(&self, question: Question, name: &DomainName) -> Option<DnsFailure> {
        let mut negative = self.negative.lock();
        // The map is empty or small on a healthy day; the key is cloned only when there is something to find.
        if negative.is_empty() {
            return None;
        }
        let key = (question, name.clone());
        let (failure, until) = negative.get(&key)?;
        if *until > Instant::now() {
            return Some(failure.clone());
        }
        negative.remove(&key);
        None
    }

    fn remember(&self, question: Question, name: &DomainName, failure: &DnsFailure, span: Duration) {
        let mut negative = self.negative.lock();
        let now = Instant::now();
        if negative.len() >= NEGATIVE_ENTRIES {
            negative.retain(|_, (_, until)| *until > now);
            if negative.len() >= NEGATIVE_ENTRIES {
                negative.clear();
            }
        }
        negative.insert((question, name.clone()), (failure.clone(), now + span));
    }

    async fn ask(&self, question: Question, name: &DomainName) -> Result<hickory_resolver::lookup::Lookup, DnsFailure> {
        if let Some(failure) = self.remembered(question, name) {
            observe::metrics::dns_lookup(question.label(), "cached");
            return Err(failure);
        }
        let mut fqdn = Name::from_ascii(name.as_str()).map_err(|error| DnsFailure::Other(error.to_string()))?;
        fqdn.set_fqdn(true);
        let lookup = async {
            match question {
                Question::Mx => self.inner.mx_lookup(fqdn).await,
                Question::Ipv4 => self.inner.ipv4_lookup(fqdn).await,
                Question::Ipv6 => self.inner.ipv6_lookup(fqdn).await,
            }
        };
        let answer = match tokio::time::timeout(LOOKUP_TIMEOUT, lookup).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(read_error(&error)),
            Err(_) => Err((DnsFailure::Timeout, FAILURE_FOR)),
        };
        let result = match &answer {
            Ok(_) => "found",
            Err((failure, _)) if failure.is_temporary() => "failed",
            Err(_) => "none",
        };
        observe::metrics::dns_lookup(question.label(), result);
        answer.map_err(|(failure, span)| {
            self.remember(question, name, &failure, span);
            failure
        })
    }

    async fn family(&self, question: Question, host: &DomainName) -> Result<AddressAnswer, DnsFailure> {
        let lookup = self.ask(question, host).await?;
        let mut answer = AddressAnswer::default();
        for record in lookup.answers() {
            let address = match &record.data {
                RData::A(a) => IpAddr::V4(a.0),
                RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
                _ => continue,
            };
            answer.addresses.push(address);
            let owner = plain_text(&record.name);
            if owner != host.as_str() {
                answer.alias_of = Some(owner);
            }
        }
        if answer.addresses.is_empty() { Err(DnsFailure::NoData) } else { Ok(answer) }
    }
}

/// UDP first, TCP for what does not fit, both on the server's own port.
fn name_server(server: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.into())
}

fn adjust(options: &mut ResolverOpts) {
    options.use_hosts_file = ResolveHosts::Never;
    options.timeout = QUERY_TIMEOUT;
    options.attempts = 2;
    options.preserve_intermediates = true;
    options.cache_size = 32_768;
    options.negative_max_ttl = Some(NEGATIVE_MAX);
    options.positive_max_ttl = Some(Duration::from_hours(1));
}

/// The failure, and how long it is believed.
fn read_error(error: &NetError) -> (DnsFailure, Duration) {
    let failure = match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let span = Duration::from_secs(u64::from(none.negative_ttl.unwrap_or(30)));
            return match none.response_code {
                ResponseCode::NXDomain => (DnsFailure::NoSuchName, span.min(NEGATIVE_MAX)),
                ResponseCode::NoError => (DnsFailure::NoData, span.min(NEGATIVE_MAX)),
                ResponseCode::ServFail => (DnsFailure::ServFail, FAILURE_FOR),
                other => (DnsFailure::Other(other.to_string()), FAILURE_FOR),
            };
        }
        NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) => DnsFailure::ServFail,
        NetError::Dns(DnsError::DnssecBogus) => DnsFailure::Bogus,
        NetError::Timeout => DnsFailure::Timeout,
        other => DnsFailure::Other(other.to_string()),
    };
    (failure, FAILURE_FOR)
}

fn plain_text(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// Puts both families together: addresses of either are enough; a family that failed does not hide the other's,
/// but "no such name" counts only when nobody failed to answer.
fn combine(
    v4: Result<AddressAnswer, DnsFailure>,
    v6: Result<AddressAnswer, DnsFailure>,
) -> Result<AddressAnswer, DnsFailure> {
    match (v4, v6) {
        (Ok(v4), Ok(v6)) => {
            let (mut fours, mut sixes) = (v4.addresses.into_iter(), v6.addresses.into_iter());
            let mut addresses = Vec::with_capacity(fours.len() + sixes.len());
            // IPv4 first: where only one of a gateway's families has a PTR record and a reputation, it is this one.
            loop {
                let before = addresses.len();
                addresses.extend(fours.next());
                addresses.extend(sixes.next());
                if addresses.len() == before {
                    break;
                }
            }
            Ok(AddressAnswer { addresses, alias_of: v4.alias_of.or(v6.alias_of) })
        }
        (Ok(one), Err(_)) | (Err(_), Ok(one)) => Ok(one),
        (Err(a), Err(b)) => Err(match (a.is_temporary(), b.is_temporary()) {
            (true, _) => a,
            (_, true) => b,
            _ if a == DnsFailure::NoSuchName || b == DnsFailure::NoSuchName => DnsFailure::NoSuchName,
            _ => DnsFailure::NoData,
        }),
    }
}

/// RFC 7505 §3: a null MX stands alone; beside real hosts it means nothing.
fn read_mx(records: impl Iterator<Item = (u16, String)>) -> Result<MxAnswer, DnsFailure> {
    let (mut hosts, mut null, mut any) = (Vec::new(), false, false);
    for (preference, exchange) in records {
        any = true;
        if exchange.is_empty() {
            null = true;
        } else if let Ok(exchange) = exchange.parse() {
            hosts.push(MxRecord { preference, exchange });
        }
    }
    match (any, null && hosts.is_empty()) {
        (false, _) => Err(DnsFailure::NoData),
        (true, true) => Ok(MxAnswer::Null),
        (true, false) => Ok(MxAnswer::Hosts(hosts)),
    }
}

#[async_trait]
impl Resolver for HickoryResolver {
    async fn mx(&self, domain: &DomainName) -> Result<MxAnswer, DnsFailure> {
        let lookup = self.ask(Question::Mx, domain).await?;
        read_mx(lookup.answers().iter().filter_map(|record| match &record.data {
            RData::MX(mx) => Some((mx.preference, plain_text(&mx.exchange))),
            _ => None,
        }))
    }

    async fn addresses(&self, host: &DomainName) -> Result<AddressAnswer, DnsFailure> {
        let (v4, v6) = tokio::join!(self.family(Question::Ipv4, host), self.family(Question::Ipv6, host));
        combine(v4, v6)
    }
}

/// A resolver that knows what it was told, for tests; what it was not told does not exist.
#[derive(Default)]
pub struct StaticResolver {
    mx: Mutex<HashMap<String, Result<MxAnswer, DnsFailure>>>,
    addresses: Mutex<HashMap<String, Result<AddressAnswer, DnsFailure>>>,
}

impl StaticResolver {
    /// A resolver that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an MX record; `exchange` `"."` makes it a null MX.
    ///
    /// # Panics
    /// If `exchange` is not a host name: the test is wrong.
    #[must_use]
    #[allow(clippy::expect_used)]
    pub fn with_mx(self, domain: &str, preference: u16, exchange: &str) -> Self {
        let mut map = self.mx.lock();
        if exchange == "." {
            map.insert(domain.to_owned(), Ok(MxAnswer::Null));
        } else {
            let record = MxRecord { preference, exchange: exchange.parse().expect("a host name") };
            match map.get_mut(domain) {
                Some(Ok(MxAnswer::Hosts(hosts))) => hosts.push(record),
                _ => drop(map.insert(domain.to_owned(), Ok(MxAnswer::Hosts(vec![record])))),
            }
        }
        drop(map);
        self
    }

    /// Adds an address.
    #[must_use]
    pub fn with_address(self, host: &str, address: IpAddr) -> Self {
        let mut map = self.addresses.lock();
        match map.get_mut(host) {
            Some(Ok(answer)) => answer.addresses.push(address),
            _ => drop(
                map.insert(host.to_owned(), Ok(AddressAnswer { addresses: vec![address], ..AddressAnswer::default() })),
            ),
        }
        drop(map);
        self
    }

    /// Makes MX questions about `domain` fail.
    pub fn fail_mx(&self, domain: &str, failure: DnsFailure) {
        self.mx.lock().insert(domain.to_owned(), Err(failure));
    }

    /// Makes address questions about `host` fail.
    pub fn fail_addresses(&self, host: &str, failure: DnsFailure) {
        self.addresses.lock().insert(host.to_owned(), Err(failure));
    }
}

#[async_trait]
impl Resolver for StaticResolver {
    async fn mx(&self, domain: &DomainName) -> Result<MxAnswer, DnsFailure> {
        let missing = || {
            let known = self.addresses.lock().contains_key(domain.as_str());
            Err(if known { DnsFailure::NoData } else { DnsFailure::NoSuchName })
        };
        self.mx.lock().get(domain.as_str()).cloned().unwrap_or_else(missing)
    }

    async fn addresses(&self, host: &DomainName) -> Result<AddressAnswer, DnsFailure> {
        self.addresses.lock().get(host.as_str()).cloned().unwrap_or(Err(DnsFailure::NoSuchName))
    }
}

#[cfg(test)]
#[path = "resolver_tests.rs"]
mod tests;
