//! The courier: takes one transaction to its destination, on a warm connection where there is one.
//!
//! The pool's key holds the TLS policy beside the destination and the source address: a connection made under one
//! policy never carries mail of another (KumoMTA #484 is what happens otherwise). A warm connection that turns out to
//! be dead costs nothing but a fresh one: the attempt is not counted, nothing bounces.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use tokio::time::Instant;

use super::dialogue::{Transacted, transact};
use super::link::{Link, LinkPolicy, Opening};
use super::outcome::{DialogueStage, Outcome, Scene};
use super::stream::Dialer;
use super::targets::{Target, TargetRules, targets};
use super::tls::{ClientTls, TlsError};
use super::transaction::{Destination, DestinationKind, DestinationLimits, Transaction};
use crate::admin::ports::RouteExplainer;
use crate::clock::Clock;
use crate::config::{Config, Site};
use crate::message::{DomainName, Mailbox};
use crate::resolver::Resolver;
use crate::schedule::Delivery;
use crate::sign::TlsLevel;

/// A connection that nobody needs for so long is closed.
const IDLE: Duration = Duration::from_secs(15);
const SWEEP: Duration = Duration::from_secs(5);
const MOST_IDLE_PER_KEY: usize = 20;
const SMTP_PORT: u16 = 25;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct PoolKey {
    destination: String,
    policy: LinkPolicy,
    source: Option<IpAddr>,
}

#[derive(Default)]
struct Pool {
    idle: HashMap<PoolKey, Vec<(Link, Instant)>>,
}

impl Pool {
    /// The link used last: the others grow cold and are closed.
    fn take(&mut self, key: &PoolKey) -> Option<Link> {
        let links = self.idle.get_mut(key)?;
        while let Some((mut link, since)) = links.pop() {
            if since.elapsed() < IDLE && link.looks_alive() {
                return Some(link);
            }
        }
        self.idle.remove(key);
        None
    }

    fn put(&mut self, key: PoolKey, link: Link) {
        let links = self.idle.entry(key).or_default();
        if links.len() < MOST_IDLE_PER_KEY {
            links.push((link, Instant::now()));
        }
    }

    fn cold(&mut self, all: bool) -> Vec<Link> {
        let mut cold = Vec::new();
        for links in self.idle.values_mut() {
            let (old, young): (Vec<_>, Vec<_>) =
                std::mem::take(links).into_iter().partition(|(_, since)| all || since.elapsed() >= IDLE);
            cold.extend(old.into_iter().map(|(link, _)| link));
            *links = young;
        }
        self.idle.retain(|_, links| !links.is_empty());
        cold
    }
}

/// What a configuration says of delivery.
struct Settings {
    config: Arc<Config>,
    tls: ClientTls,
    rules: TargetRules,
}

/// See the module.
pub struct Courier {
    settings: RwLock<Arc<Settings>>,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    clock: Arc<dyn Clock>,
    pool: Arc<Mutex<Pool>>,
}

impl Settings {
    fn new(config: &Arc<Config>) -> Result<Self, TlsError> {
        let extra = match &config.delivery.ca_file {
            Some(path) => Some(std::fs::read(path).map_err(|e| TlsError::CaFile(format!("{}: {e}", path.display())))?),
            None => None,
        };
        Ok(Self {
            tls: ClientTls::new(extra.as_deref())?,
            rules: TargetRules {
                hostname: config.hostname.clone(),
                smtp_port: config.dns.smtp_port,
                private_mx: config.dns.smtp_port != SMTP_PORT,
            },
            config: config.clone(),
        })
    }

    /// The source address and the EHLO name that goes with it.
    fn egress(&self, wanted: Option<IpAddr>) -> (Option<IpAddr>, String) {
        let egress = &self.config.egress;
        let chosen = match wanted {
            Some(address) => egress.iter().find(|one| one.address == address),
            None => egress.first(),
        };
        match chosen {
            Some(one) => (Some(one.address), one.ehlo.to_string()),
            None => (None, self.config.hostname.to_string()),
        }
    }

    fn site(&self, destination: &Destination) -> Option<&Site> {
        let name: DomainName = match &destination.kind {
            DestinationKind::Mx(domain) => domain.clone(),
            DestinationKind::Route { host, .. } => host.parse().ok()?,
        };
        let covers = |site: &&Site| site.match_domain.iter().any(|pattern| pattern.matches(&name));
        self.config.delivery.sites.iter().find(covers)
    }

    /// The same for a host that the MX look-up found.
    fn mx_site(&self, host: &str) -> Option<&Site> {
        let name: DomainName = host.parse().ok()?;
        self.config.delivery.sites.iter().find(|site| site.match_mx.iter().any(|pattern| pattern.matches(&name)))
    }

    /// The strictest that anybody asks for wins.
    fn policy(&self, destination: &Destination, asked: TlsLevel, require_tls: bool) -> LinkPolicy {
        let route = match &destination.kind {
            DestinationKind::Route { tls, .. } => *tls,
            DestinationKind::Mx(_) => None,
        };
        let site = self.site(destination).and_then(|site| site.tls);
        // RFC 8689 §4.2.1: REQUIRETLS wants the name proven, whatever else is configured.
        let floor = if require_tls { TlsLevel::Verify } else { TlsLevel::Opportunistic };
        let tls = asked.max(route.unwrap_or_default()).max(site.unwrap_or_default()).max(floor);
        LinkPolicy { tls, require_tls }
    }
}

impl Courier {
    /// A courier under this configuration.
    pub fn new(
        config: &Arc<Config>,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let settings = RwLock::new(Arc::new(Settings::new(config)?));
        Ok(Self { settings, resolver, dialer, clock, pool: Arc::default() })
    }

    /// Replaces the configuration; connections of the old one are not used again.
    pub fn reconfigure(&self, config: &Arc<Config>) -> Result<(), TlsError> {
        *self.settings.write() = Arc::new(Settings::new(config)?);
        drop(self.pool.lock().cold(true));
        Ok(())
    }

    /// Closes connections that nobody uses, until the courier is gone.
    pub fn keep(&self) -> tokio::task::JoinHandle<()> {
        let pool = Arc::downgrade(&self.pool);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SWEEP).await;
                let Some(pool) = pool.upgrade() else { break };
                let cold = pool.lock().cold(false);
                drop(pool);
                for link in cold {
                    tokio::spawn(link.quit());
                }
            }
        })
    }

    /// Says goodbye on every idle connection.
    pub async fn close_idle(&self) {
        let links = self.pool.lock().cold(true);
        let goodbyes: Vec<_> = links.into_iter().map(|link| tokio::spawn(link.quit())).collect();
        for goodbye in goodbyes {
            // A connection that does not end in time is dropped.
            let _ = goodbye.await;
        }
    }

    fn scene(&self) -> Scene {
        Scene { at: self.clock.now(), host: None, address: None, tls: None, dsn: false }
    }

    fn destination_of(settings: &Settings, domain: &DomainName) -> Destination {
        match settings.config.delivery.routes.iter().find(|route| route.domain.matches(domain)) {
            Some(route) => Destination {
                key: format!("{}:{}", route.host, route.port),
                kind: DestinationKind::Route { host: route.host.clone(), port: route.port, tls: route.tls },
            },
            None => Destination { key: domain.to_string(), kind: DestinationKind::Mx(domain.clone()) },
        }
    }

    async fn on_warm(&self, settings: &Settings, key: &PoolKey, transaction: &Transaction) -> Option<Vec<Outcome>> {
        loop {
            let mut link = self.pool.lock().take(key)?;
            let timeouts = &settings.config.delivery.timeouts;
            match transact(&mut link, transaction, timeouts, &*self.clock).await {
                (Transacted::Done(outcomes), usable) => {
                    self.keep_link(settings, key, link, usable, transaction);
                    return Some(outcomes);
                }
                (Transacted::Stale, _) => {}
            }
        }
    }

    async fn on_fresh(&self, settings: &Settings, key: &PoolKey, transaction: &Transaction) -> Vec<Outcome> {
        let all = |outcome: Outcome| vec![outcome; transaction.recipients.len()];
        let found = match targets(&*self.resolver, &transaction.destination, &settings.rules).await {
            Ok(found) => found,
            Err(failure) => {
                let (again, status) = failure.verdict();
                let evidence = self.scene().note(DialogueStage::Dns, status, failure.to_string());
                return all(if again { Outcome::TryLater(evidence) } else { Outcome::Refused(evidence) });
            }
        };
        let (source, ehlo) = settings.egress(transaction.egress);
        let opening = Opening {
            dialer: &*self.dialer,
            tls: &settings.tls,
            timeouts: &settings.config.delivery.timeouts,
            clock: &*self.clock,
            ehlo: &ehlo,
            source,
        };
        let mut failures = Vec::new();
        let last = found.len().saturating_sub(1);
        for (at, target) in found.iter().enumerate() {
            let mut link = match opening.open(target, key.policy).await {
                Ok(link) => link,
                Err(failure) => {
                    failures.push(failure);
                    continue;
                }
            };
            let (done, usable) = transact(&mut link, transaction, opening.timeouts, &*self.clock).await;
            let Transacted::Done(outcomes) = done else { continue };
            // Another host may be in a better mood, or able to do what this one is not.
            let elsewhere = at < last && outcomes.iter().all(worth_another_host);
            self.keep_link(settings, key, link, usable, transaction);
            if !elsewhere {
                return outcomes;
            }
        }
        let lacking = !failures.is_empty() && failures.iter().all(|failure| failure.lacks_require_tls);
        match failures.pop() {
            Some(failure) if lacking => all(Outcome::Refused(failure.evidence)),
            Some(failure) => all(Outcome::TryLater(failure.evidence)),
            None => all(Outcome::TryLater(self.scene().note(DialogueStage::Connect, (4, 4, 1), "no host answered"))),
        }
    }

    fn keep_link(&self, settings: &Settings, key: &PoolKey, link: Link, usable: bool, transaction: &Transaction) {
        let most = Self::limits_of(settings, &transaction.destination, Some(&link.target.host)).messages_per_connection;
        if usable && link.served < most {
            self.pool.lock().put(key.clone(), link);
        } else if usable {
            tokio::spawn(link.quit());
        }
    }

    fn limits_of(settings: &Settings, destination: &Destination, host: Option<&str>) -> DestinationLimits {
        let site = settings.site(destination).or_else(|| host.and_then(|host| settings.mx_site(host)));
        let delivery = &settings.config.delivery;
        DestinationLimits {
            connections: site.and_then(|site| site.connections).unwrap_or(delivery.connections_per_destination),
            messages_per_connection: site.and_then(|site| site.messages_per_connection).unwrap_or(100),
            rate: site.and_then(|site| site.rate),
        }
    }
}

/// Did this host only say that it cannot do it now, or lacks something that another may have?
fn worth_another_host(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::TryLater(evidence) => {
            matches!(evidence.stage, DialogueStage::Mail | DialogueStage::Rcpt)
                && evidence.reply.as_ref().is_none_or(|reply| reply.code == 421)
        }
        Outcome::Refused(evidence) => evidence.stage == DialogueStage::Policy,
        Outcome::Delivered(_) => false,
    }
}

#[async_trait]
impl Delivery for Courier {
    fn destination(&self, domain: &DomainName) -> Destination {
        Self::destination_of(&self.settings.read(), domain)
    }

    fn limits(&self, destination: &Destination) -> DestinationLimits {
        let settings = self.settings.read().clone();
        Self::limits_of(&settings, destination, None)
    }

    async fn deliver(&self, transaction: &Transaction) -> Vec<Outcome> {
        let settings = self.settings.read().clone();
        let policy = settings.policy(&transaction.destination, transaction.tls, transaction.require_tls);
        let (source, _) = settings.egress(transaction.egress);
        let key = PoolKey { destination: transaction.destination.key.clone(), policy, source };
        if let Some(outcomes) = self.on_warm(&settings, &key, transaction).await {
            return outcomes;
        }
        self.on_fresh(&settings, &key, transaction).await
    }
}

/// `route explain`.
#[derive(Debug, Clone, Serialize)]
pub struct RouteExplanation {
    /// The address that was asked about.
    pub address: String,
    /// What queues and connections are kept under.
    pub destination: String,
    /// `route` or `mx`.
    pub by: &'static str,
    /// Hosts and addresses in the order in which they are tried.
    pub targets: Vec<ExplainedTarget>,
    /// Why there is none.
    pub problem: Option<String>,
    /// The TLS level without a message's or a tenant's own wishes.
    pub tls: TlsLevel,
    /// Would mail go in the clear if the server offers no TLS?
    pub plaintext_allowed: bool,
    /// The source address, if one is configured.
    pub source: Option<IpAddr>,
    /// What we call ourselves there.
    pub ehlo: String,
    /// Connections at once.
    pub connections: usize,
    /// Messages on one connection.
    pub messages_per_connection: usize,
    /// Messages a second.
    pub rate: Option<f64>,
}

/// A host and one of its addresses.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedTarget {
    /// The host.
    pub host: String,
    /// Where it is dialled.
    pub address: String,
}

#[async_trait]
impl RouteExplainer for Courier {
    async fn explain(&self, address: &Mailbox) -> serde_json::Value {
        let settings = self.settings.read().clone();
        let destination = Self::destination_of(&settings, address.domain());
        let found = targets(&*self.resolver, &destination, &settings.rules).await;
        let (found, problem) = match found {
            Ok(found) => (found, None),
            Err(failure) => (vec![], Some(failure.to_string())),
        };
        let limits = Self::limits_of(&settings, &destination, found.first().map(|target| target.host.as_str()));
        let policy = settings.policy(&destination, settings.config.delivery.tls, false);
        let (source, ehlo) = settings.egress(None);
        let explained = |target: Target| ExplainedTarget { host: target.host, address: target.address.to_string() };
        let explanation = RouteExplanation {
            address: address.to_string(),
            by: if matches!(destination.kind, DestinationKind::Mx(_)) { "mx" } else { "route" },
            destination: destination.key,
            targets: found.into_iter().map(explained).collect(),
            problem,
            tls: policy.tls,
            plaintext_allowed: policy.tls == TlsLevel::Opportunistic,
            source,
            ehlo,
            connections: limits.connections,
            messages_per_connection: limits.messages_per_connection,
            rate: limits.rate,
        };
        serde_json::to_value(explanation).unwrap_or_default()
    }
}
