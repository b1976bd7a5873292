//! Looking names up, behind a trait: MX and addresses, with failures told apart.
//!
//! "There is none" and "nobody could say" are different answers: the first may bounce mail, the second only defers
//! it (RFC 5321 §5.1). Hickory does the asking, with the configured servers and no hosts file.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use hickory_resolver::{Resolver as Hickory, TokioResolver};
use parking_lot::Mutex;

use crate::config::Dns;
use crate::message::DomainName;

const QUERY_TIME: Duration = Duration::from_secs(5);
const ATTEMPTS: usize = 2;
const CACHE_ENTRIES: u64 = 20_000;
/// How long "there is none" is believed when the answer does not say.
const NEGATIVE_TIME: Duration = Duration::from_mins(1);
const NEGATIVE_ENTRIES: usize = 10_000;

/// Why a look-up gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DnsFailure {
    /// The name does not exist (NXDOMAIN); an answer.
    #[error("the name {0} does not exist (NXDOMAIN)")]
    NoSuchName(String),
    /// The name has no such record; an answer.
    #[error("{0} has no such record")]
    NoData(String),
    /// A server could not say; try later.
    #[error("looking up {0}: {1}")]
    Unanswered(String, String),
    /// The name cannot stand in DNS.
    #[error("{0} is not a name that DNS could hold")]
    BadName(String),
}

impl DnsFailure {
    /// May the same question be answered later?
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Unanswered(..))
    }
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailExchange {
    /// The lower, the sooner.
    pub preference: u16,
    /// The host; empty for the null MX (RFC 7505).
    pub host: String,
}

/// Asks DNS.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The MX records of a domain, in no order.
    async fn mail_exchanges(&self, domain: &DomainName) -> Result<Vec<MailExchange>, DnsFailure>;
    /// A and AAAA of a host, asked at once.
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsFailure>;
}

/// The real one.
pub struct HickoryResolver {
    hickory: TokioResolver,
    negative: Mutex<HashMap<(String, RecordType), (Instant, DnsFailure)>>,
}

impl HickoryResolver {
    /// A resolver that asks the configured servers, or those of the system.
    pub fn new(settings: &Dns) -> Result<Self, NetError> {
        let provider = TokioRuntimeProvider::default();
        let mut builder = if settings.servers.is_empty() {
            Hickory::builder(provider)?
        } else {
            let servers = settings.servers.iter().map(name_server).collect();
            Hickory::builder_with_config(ResolverConfig::from_parts(None, vec![], servers), provider)
        };
        let options = builder.options_mut();
        options.timeout = QUERY_TIME;
        options.attempts = ATTEMPTS;
        options.cache_size = CACHE_ENTRIES;
        options.use_hosts_file = ResolveHosts::Never;
        options.ndots = 0;
        Ok(Self { hickory: builder.build()?, negative: Mutex::default() })
    }

    async fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, DnsFailure> {
        let key = (name.to_owned(), kind);
        if let Some((until, failure)) = self.negative.lock().get(&key)
            && Instant::now() < *until
        {
            return Err(failure.clone());
        }
        let mut absolute: Name = name.parse().map_err(|_| DnsFailure::BadName(name.to_owned()))?;
        absolute.set_fqdn(true);
        let label = kind.to_string();
        let result = match self.hickory.lookup(absolute, kind).await {
            Ok(lookup) => {
                let wanted = lookup.answers().iter().filter(|record| record.record_type() == kind);
                let found: Vec<RData> = wanted.map(|record| record.data.clone()).collect();
                if found.is_empty() { Err((DnsFailure::NoData(name.to_owned()), None)) } else { Ok(found) }
            }
            Err(error) => Err(failure(name, &error)),
        };
        let outcome = match &result {
            Ok(_) => "found",
            Err((DnsFailure::Unanswered(..), _)) => "unanswered",
            Err(_) => "none",
        };
        metrics::counter!("waxseal_dns_lookups_total", "type" => label, "result" => outcome).increment(1);
        result.map_err(|(failure, life)| {
            if !failure.is_temporary() {
                self.remember(key, failure.clone(), life.unwrap_or(NEGATIVE_TIME));
            }
            failure
        })
    }

    fn remember(&self, key: (String, RecordType), failure: DnsFailure, life: Duration) {
        let mut negative = self.negative.lock();
        if negative.len() >= NEGATIVE_ENTRIES {
            let now = Instant::now();
            negative.retain(|_, (until, _)| now < *until);
            if negative.len() >= NEGATIVE_ENTRIES {
                negative.clear();
            }
        }
        negative.insert(key, (Instant::now() + life.min(Duration::from_hours(1)), failure));
    }
}

fn name_server(address: &SocketAddr) -> NameServerConfig {
    let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
    udp.port = address.port();
    tcp.port = address.port();
    NameServerConfig::new(address.ip(), true, vec![udp, tcp])
}

fn failure(name: &str, error: &NetError) -> (DnsFailure, Option<Duration>) {
    match error {
        NetError::Dns(DnsError::NoRecordsFound(none)) => {
            let life = none.negative_ttl.map(|seconds| Duration::from_secs(u64::from(seconds)));
            match none.response_code {
                ResponseCode::NXDomain => (DnsFailure::NoSuchName(name.to_owned()), life),
                ResponseCode::NoError => (DnsFailure::NoData(name.to_owned()), life),
                other => (DnsFailure::Unanswered(name.to_owned(), other.to_string()), None),
            }
        }
        other => (DnsFailure::Unanswered(name.to_owned(), other.to_string()), None),
    }
}

#[async_trait]
impl Resolver for HickoryResolver {
    async fn mail_exchanges(&self, domain: &DomainName) -> Result<Vec<MailExchange>, DnsFailure> {
        let records = self.ask(domain.as_str(), RecordType::MX).await?;
        Ok(records
            .into_iter()
            .filter_map(|data| match data {
                RData::MX(mx) => Some(MailExchange { preference: mx.preference, host: host_name(&mx.exchange) }),
                _ => None,
            })
            .collect())
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsFailure> {
        let (four, six) = tokio::join!(self.ask(host, RecordType::A), self.ask(host, RecordType::AAAA));
        let address = |data: RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        match (four, six) {
            // One family found is enough: a server that fails on AAAA must not hide an A.
            (Ok(four), six) => Ok(six.unwrap_or_default().into_iter().chain(four).filter_map(address).collect()),
            (Err(_), Ok(six)) => Ok(six.into_iter().filter_map(address).collect()),
            (Err(four), Err(six)) => Err(if six.is_temporary() { six } else { four }),
        }
    }
}

fn host_name(name: &Name) -> String {
    let text = name.to_ascii().to_ascii_lowercase();
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

/// Answers from a table, for tests.
#[derive(Default)]
pub struct StaticResolver {
    /// MX records by domain.
    pub mail_exchanges: HashMap<String, Result<Vec<MailExchange>, DnsFailure>>,
    /// Addresses by host.
    pub addresses: HashMap<String, Result<Vec<IpAddr>, DnsFailure>>,
}

#[async_trait]
impl Resolver for StaticResolver {
    async fn mail_exchanges(&self, domain: &DomainName) -> Result<Vec<MailExchange>, DnsFailure> {
        let name = domain.as_str();
        self.mail_exchanges.get(name).cloned().unwrap_or_else(|| Err(DnsFailure::NoData(name.to_owned())))
    }

    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, DnsFailure> {
        self.addresses.get(host).cloned().unwrap_or_else(|| Err(DnsFailure::NoSuchName(host.to_owned())))
    }
}
