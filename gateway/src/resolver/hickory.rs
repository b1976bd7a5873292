//! The real resolver: hickory as a stub of the configured servers, over UDP and TCP.
//!
//! Promises: A and AAAA are asked at once (RFC 5321 §5.1). The hosts file is never read and no search list is
//! applied: mail for `example.com` must not depend on this machine's name. With DNSSEC the validation happens here,
//! from the trust anchor down; a server's AD bit is never believed.
//!
//! Not every server that an operator has passes signatures on. So the root is asked once: if its answer can be
//! proven, everything is validated from then on, for good, and what cannot be validated is a failure. If the
//! servers answer but without signatures, there is no DNSSEC here until they do; this is told, not hidden
//! ([`Resolver::no_dnssec`]). Silence and SERVFAIL prove neither: for [`PATIENCE`] questions are asked where they can
//! be proven, and so fail.
//!
//! Positive answers are cached by hickory. Negative ones are kept here too, since hickory drops them once it
//! validates, and since failures of a server deserve a short rest.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::{DnsError, NetError, runtime::TokioRuntimeProvider};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{Resolver as Hickory, TokioResolver};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::answers::{combine, read_mx};
use super::{AddressAnswer, DnsFailure, MxAnswer, Resolver, TlsaAnswer, TlsaRecord};
use crate::config::Dns;
use crate::message::DomainName;
use crate::observe::{self, Event, emit};

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
/// Aliases of aliases that are followed.
const MOST_ALIASES: usize = 8;
/// How long servers without signatures are not asked for them again.
const WITHOUT_DNSSEC_FOR: Duration = Duration::from_mins(1);
/// How long servers may fail for the root before they count as servers without signatures.
pub const PATIENCE: Duration = Duration::from_mins(10);

/// The resolver could not be set up: the operator's fault.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot set up DNS: {0}")]
pub struct ResolverSetupError(pub(crate) String);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Question {
    Mx,
    Ipv4,
    Ipv6,
    Cname,
    Txt,
    Tlsa,
}

impl Question {
    const fn label(self) -> &'static str {
        match self {
            Self::Mx => "mx",
            Self::Ipv4 => "a",
            Self::Ipv6 => "aaaa",
            Self::Cname => "cname",
            Self::Txt => "txt",
            Self::Tlsa => "tlsa",
        }
    }

    const fn record_type(self) -> RecordType {
        match self {
            Self::Mx => RecordType::MX,
            Self::Ipv4 => RecordType::A,
            Self::Ipv6 => RecordType::AAAA,
            Self::Cname => RecordType::CNAME,
            Self::Txt => RecordType::TXT,
            Self::Tlsa => RecordType::TLSA,
        }
    }
}

/// What is known of the servers' signatures.
#[derive(Debug, Clone)]
enum Dnssec {
    /// Nobody asked yet.
    Unasked,
    /// The servers fail, since when; they are asked again after `until`.
    Failing { since: Instant, until: Instant },
    /// The root's answer was proven once.
    On,
    /// The servers answer without what proves it.
    Off { why: String, until: Instant },
}

/// See the module.
pub struct HickoryResolver {
    plain: TokioResolver,
    /// Absent if DNSSEC is not wanted.
    validating: Option<TokioResolver>,
    dnssec: Mutex<Dnssec>,
    /// One probe at a time.
    probing: tokio::sync::Mutex<()>,
    negative: Mutex<HashMap<(Question, DomainName), (DnsFailure, Instant)>>,
}

impl HickoryResolver {
    /// The same servers for mail-auth, which validates nothing itself.
    pub fn authenticator(&self) -> mail_auth::MessageAuthenticator {
        mail_auth::MessageAuthenticator(self.plain.clone())
    }

    /// A resolver for the configured servers, or for the system's if none is named. With `dnssec`, answers are
    /// validated as soon as the servers prove able.
    pub fn new(dns: &Dns, dnssec: bool) -> Result<Self, ResolverSetupError> {
        let anchors = dns.trust_anchor.as_deref().map(read_anchors).transpose()?;
        Ok(Self {
            plain: build(dns, &Validation::Off)?,
            validating: dnssec.then(|| build(dns, &Validation::From(anchors))).transpose()?,
            dnssec: Mutex::new(Dnssec::Unasked),
            probing: tokio::sync::Mutex::default(),
            negative: Mutex::new(HashMap::new()),
        })
    }

    /// The resolver to ask now.
    async fn current(&self) -> &TokioResolver {
        let Some(validating) = &self.validating else { return &self.plain };
        if self.settled().is_none() {
            let _one = self.probing.lock().await;
            if self.settled().is_none() {
                self.probe(validating).await;
            }
        }
        if self.settled() == Some(false) { &self.plain } else { validating }
    }

    /// Is DNSSEC on, off, or to be found out?
    fn settled(&self) -> Option<bool> {
        match &*self.dnssec.lock() {
            Dnssec::On => Some(true),
            Dnssec::Off { until, .. } if *until > Instant::now() => Some(false),
            Dnssec::Failing { until, .. } if *until > Instant::now() => Some(true),
            Dnssec::Off { .. } | Dnssec::Failing { .. } | Dnssec::Unasked => None,
        }
    }

    async fn probe(&self, validating: &TokioResolver) {
        let asked = tokio::time::timeout(LOOKUP_TIMEOUT, validating.lookup(Name::root(), RecordType::SOA)).await;
        let now = Instant::now();
        let off = |why: String| Dnssec::Off { why, until: now + WITHOUT_DNSSEC_FOR };
        let failing = || match *self.dnssec.lock() {
            Dnssec::Failing { since, .. } if since + PATIENCE < now => off("the DNS servers fail for the root".into()),
            Dnssec::Failing { since, .. } => Dnssec::Failing { since, until: now + FAILURE_FOR },
            _ => Dnssec::Failing { since: now, until: now + FAILURE_FOR },
        };
        let found = match &asked {
            Err(_) => failing(),
            Ok(Ok(answer)) if secure(answer.answers(), RecordType::SOA) => Dnssec::On,
            Ok(Ok(_)) => off("the DNS servers answer for the root without DNSSEC signatures".into()),
            Ok(Err(error)) if matches!(read_error(error).0, DnsFailure::ServFail | DnsFailure::Timeout) => failing(),
            Ok(Err(error)) => off(format!("the root's answer cannot be validated: {error}")),
        };
        let mut dnssec = self.dnssec.lock();
        let detail = match (&*dnssec, &found) {
            (Dnssec::Off { .. }, Dnssec::Off { .. }) | (Dnssec::Failing { .. }, Dnssec::Failing { .. }) => None,
            (_, Dnssec::Failing { .. }) => Some("the DNS servers fail for the root".to_owned()),
            (_, Dnssec::Off { why, .. }) => {
                Some(format!("{why}; DANE waits until they do, or set delivery.dane = false"))
            }
            _ => Some("answers are validated".to_owned()),
        };
        *dnssec = found;
        drop(dnssec);
        if let Some(detail) = detail {
            emit(&Event::Gateway { state: "dnssec", detail });
        }
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

    async fn ask(&self, question: Question, name: &DomainName, fresh: bool) -> Result<Lookup, DnsFailure> {
        let label = question.label();
        if let Some(failure) = self.remembered(question, name).filter(|_| !fresh) {
            observe::metrics::dns_lookup(label, "cached");
            return Err(failure);
        }
        let mut fqdn = Name::from_ascii(name.as_str()).map_err(|error| DnsFailure::Other(error.to_string()))?;
        fqdn.set_fqdn(true);
        let lookup = async {
            let resolver = self.current().await;
            if fresh {
                resolver.clear_lookup_cache(fqdn.clone(), question.record_type());
            }
            resolver.lookup(fqdn, question.record_type()).await
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
        observe::metrics::dns_lookup(label, result);
        answer.map_err(|(failure, span)| {
            self.remember(question, name, &failure, span);
            failure
        })
    }

    async fn family(&self, question: Question, host: &DomainName) -> Result<AddressAnswer, DnsFailure> {
        let lookup = self.ask(question, host, false).await?;
        let mut answer = AddressAnswer { secure: true, ..AddressAnswer::default() };
        for record in lookup.answers() {
            let address = match &record.data {
                RData::A(a) => IpAddr::V4(a.0),
                RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
                _ => continue,
            };
            answer.secure &= record.proof == Proof::Secure;
            let owner = plain_text(&record.name);
            if owner != host.as_str() {
                answer.alias_of = Some(owner);
            }
            answer.addresses.push(address);
        }
        answer.name_secure = answer.secure && answer.alias_of.is_none();
        if answer.addresses.is_empty() { Err(DnsFailure::NoData) } else { Ok(answer) }
    }

    /// Are the first alias and all aliases from here proven? Asked one by one: where one answer leads to the next,
    /// hickory does not keep what proves those on the way.
    async fn aliases(&self, host: &DomainName) -> (bool, bool) {
        let mut name = host.clone();
        let mut proofs = Vec::new();
        while proofs.len() < MOST_ALIASES {
            let Ok(lookup) = self.ask(Question::Cname, &name, false).await else { break };
            let alias = lookup.answers().iter().find_map(|record| match &record.data {
                RData::CNAME(target) => Some((record.proof == Proof::Secure, plain_text(&target.0).parse())),
                _ => None,
            });
            let Some((proven, Ok(target))) = alias else { break };
            proofs.push(proven);
            name = target;
        }
        (proofs.first() == Some(&true), !proofs.is_empty() && proofs.iter().all(|proven| *proven))
    }
}

/// Every record of this type is proven, and there is one.
fn secure(records: &[Record], kind: RecordType) -> bool {
    let mut all = records.iter().filter(|record| record.record_type() == kind).peekable();
    all.peek().is_some() && all.all(|record| record.proof == Proof::Secure)
}

fn read_anchors(file: &Path) -> Result<Arc<TrustAnchors>, ResolverSetupError> {
    let failure = |why: String| ResolverSetupError(format!("dns.trust_anchor {}: {why}", file.display()));
    let anchors = TrustAnchors::from_file(file).map_err(|error| failure(error.to_string()))?;
    if anchors.is_empty() { Err(failure("no DNSKEY record in it".into())) } else { Ok(Arc::new(anchors)) }
}

enum Validation {
    Off,
    /// From these anchors, or from those built in.
    From(Option<Arc<TrustAnchors>>),
}

fn build(dns: &Dns, validation: &Validation) -> Result<TokioResolver, ResolverSetupError> {
    let setup = |error: NetError| ResolverSetupError(error.to_string());
    let mut builder = if dns.servers.is_empty() {
        TokioResolver::builder_tokio().map_err(setup)?
    } else {
        let servers = dns.servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_parts(None, Vec::new(), servers);
        Hickory::builder_with_config(config, TokioRuntimeProvider::default())
    };
    adjust(builder.options_mut());
    if let Validation::From(anchors) = validation {
        builder.options_mut().validate = true;
        if let Some(anchors) = anchors {
            builder = builder.with_trust_anchor(Arc::clone(anchors));
        }
    }
    builder.build().map_err(setup)
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

#[async_trait]
impl Resolver for HickoryResolver {
    async fn mx(&self, domain: &DomainName) -> Result<MxAnswer, DnsFailure> {
        let lookup = self.ask(Question::Mx, domain, false).await?;
        let records = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::MX(mx) => Some((mx.preference, plain_text(&mx.exchange))),
            _ => None,
        });
        // RFC 7672 §2.2.1: aliases on the way to the MX records must be proven as well.
        let proven = secure(lookup.answers(), RecordType::MX) && aliases_secure(lookup.answers());
        read_mx(records, proven)
    }

    async fn addresses(&self, host: &DomainName) -> Result<AddressAnswer, DnsFailure> {
        let (v4, v6) = tokio::join!(self.family(Question::Ipv4, host), self.family(Question::Ipv6, host));
        let mut answer = combine(v4, v6)?;
        if answer.alias_of.is_some() && self.validating.is_some() {
            let (first, all) = self.aliases(host).await;
            answer.name_secure = first;
            answer.secure &= all;
        }
        Ok(answer)
    }

    async fn txt(&self, name: &DomainName, fresh: bool) -> Result<Vec<String>, DnsFailure> {
        let lookup = self.ask(Question::Txt, name, fresh).await?;
        let texts = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::TXT(txt) => Some(String::from_utf8_lossy(&txt.txt_data.concat()).into_owned()),
            _ => None,
        });
        let texts: Vec<String> = texts.collect();
        if texts.is_empty() { Err(DnsFailure::NoData) } else { Ok(texts) }
    }

    async fn tlsa(&self, name: &DomainName) -> Result<TlsaAnswer, DnsFailure> {
        let lookup = self.ask(Question::Tlsa, name, false).await?;
        let records = lookup.answers().iter().filter_map(|record| match &record.data {
            RData::TLSA(tlsa) => Some(TlsaRecord {
                usage: tlsa.cert_usage.into(),
                selector: tlsa.selector.into(),
                matching: tlsa.matching.into(),
                data: tlsa.cert_data.clone(),
            }),
            _ => None,
        });
        let mut records: Vec<TlsaRecord> = records.collect();
        records.sort();
        let secure = secure(lookup.answers(), RecordType::TLSA) && aliases_secure(lookup.answers());
        if records.is_empty() { Err(DnsFailure::NoData) } else { Ok(TlsaAnswer { records, secure }) }
    }

    fn no_dnssec(&self) -> Option<String> {
        match (&self.validating, &*self.dnssec.lock()) {
            (None, _) => Some("DNSSEC validation is off".into()),
            (_, Dnssec::Off { why, .. }) => Some(why.clone()),
            _ => None,
        }
    }
}

fn aliases_secure(records: &[Record]) -> bool {
    records.iter().filter(|record| record.record_type() == RecordType::CNAME).all(|alias| alias.proof == Proof::Secure)
}

#[cfg(test)]
#[path = "hickory_tests.rs"]
mod tests;
