//! The courier: takes a letter to a destination and says what became of each recipient.
//!
//! Promises: as many outcomes as recipients, in their order, whatever happens. A reused link that fails before its
//! transaction began costs nothing: the letter goes on over a fresh one. Hosts are tried in order until one takes
//! the letter; a host that lacks an extension is no reason to refuse while another may have it.
//! Retries, limits on connections and rates, and notices are the scheduler's.

mod attempt;
mod explain;
mod plan;
mod record;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use super::connect::{Approach, HostFailure};
use super::dialer::Dialer;
use super::dialogue::{Ending, Needs, Setting, transact};
use super::egress::{DEFAULT_POOL, Lent, NoSource, Sources};
use super::link::Link;
use super::mta_sts::MtaSts;
use super::outcome::{DialogueStage, HostVerdict, Outcome, Scene};
use super::pool::{Pool, PoolKey};
use super::targets::{self, MxHost, NoTarget, Surroundings, Target};
use super::tls::{TlsClients, TlsSetupError};
use super::tls_report::book::{Book, DeadAddresses};
use super::{Destination, DestinationKind, DestinationLimits, GROUP, SiteRules, Transaction};
use crate::clock::Clock;
use crate::config::{Config, Delivery, Dns, Egress, ListenerKind, Site};
use crate::message::{DomainName, Mailbox};
use crate::observe::{Event, emit};
use crate::resolver::Resolver;
use crate::store::ledger::Ledger;

/// Recipients of one transaction where the server does not tell its limit (RFC 5321 §4.5.3.1.8).
const RECIPIENTS_AT_ONCE: usize = 100;
/// Messages on one connection where no site says otherwise.
const MESSAGES_PER_CONNECTION: usize = 100;
/// Domains whose MX hosts are remembered for `match_mx`.
const REMEMBERED_DOMAINS: usize = 16_384;

/// The courier could not be set up or reconfigured: the operator's fault.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CourierError {
    /// TLS.
    #[error(transparent)]
    Tls(#[from] TlsSetupError),
}

/// The parts of the configuration that delivery uses; replaced whole on reload.
struct Parts {
    hostname: DomainName,
    delivery: Delivery,
    egress: Vec<Egress>,
    surroundings: Surroundings,
    tls: TlsClients,
}

impl Parts {
    fn new(config: &Config) -> Result<Self, CourierError> {
        let smtp_port = config.dns.smtp_port;
        let doors = config.listeners.iter().filter(|listener| {
            matches!(listener.kind, ListenerKind::Submission | ListenerKind::Bounce | ListenerKind::Posts)
        });
        let doors = doors.flat_map(|listener| &listener.addresses).filter(|door| door.port() == smtp_port);
        let doors = doors.map(std::net::SocketAddr::ip);
        Self::of(config.hostname.clone(), config.delivery.clone(), config.egress.clone(), &config.dns, doors)
    }

    fn of(
        hostname: DomainName,
        delivery: Delivery,
        egress: Vec<Egress>,
        dns: &Dns,
        doors: impl Iterator<Item = IpAddr>,
    ) -> Result<Self, CourierError> {
        let names = egress.iter().map(|egress| egress.ehlo.clone());
        let addresses = egress.iter().map(|egress| egress.address).chain(doors);
        let surroundings = Surroundings {
            own_names: names.chain([hostname.clone()]).collect(),
            own_addresses: addresses.filter(|address| !address.is_unspecified()).collect(),
            allow_loopback_mx: dns.smtp_port != 25,
            smtp_port: dns.smtp_port,
            https_port: dns.https_port,
        };
        let tls = TlsClients::new(delivery.ca_file.as_deref())?;
        Ok(Self { hostname, delivery, egress, surroundings, tls })
    }

    /// The default pool without any `[[egress]]`: the system chooses the address.
    fn lets_the_system_choose(&self, pool: &str) -> bool {
        pool == DEFAULT_POOL && !self.egress.iter().any(|one| one.pool == DEFAULT_POOL)
    }

    /// Which site's rules hold: the recipient domain's own, else the first one that an MX host matches.
    fn rules(&self, destination: &Destination, hosts: &[DomainName]) -> SiteRules {
        destination.rules.unwrap_or_else(|| self.site_of(hosts).map(rules_of).unwrap_or_default())
    }

    fn site_of(&self, hosts: &[DomainName]) -> Option<&Site> {
        let matches = |site: &&Site| hosts.iter().any(|host| site.match_mx.iter().any(|mx| mx.matches(host)));
        self.delivery.sites.iter().find(matches)
    }

    fn limits(&self, rules: &SiteRules) -> DestinationLimits {
        DestinationLimits {
            connections: rules.connections.unwrap_or(self.delivery.connections_per_destination).max(1),
            messages_per_connection: rules.messages_per_connection.unwrap_or(MESSAGES_PER_CONNECTION).max(1),
            rate: rules.rate,
        }
    }
}

fn rules_of(site: &Site) -> SiteRules {
    SiteRules {
        connections: site.connections,
        messages_per_connection: site.messages_per_connection,
        rate: site.rate,
        tls: site.tls,
    }
}

/// Delivers. One for the whole gateway; shared by reference.
pub struct Courier {
    parts: RwLock<Arc<Parts>>,
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    clock: Arc<dyn Clock>,
    pool: Arc<Pool>,
    mta_sts: MtaSts,
    book: Arc<Book>,
    dead: Arc<DeadAddresses>,
    sources: Sources,
    /// The MX hosts that each domain had last, so that [`Courier::limits_for`] need not ask DNS.
    seen: Mutex<HashMap<DomainName, Arc<[DomainName]>>>,
}

impl Courier {
    /// A courier for this configuration.
    pub fn new(
        config: &Config,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
        clock: Arc<dyn Clock>,
        ledger: Arc<dyn Ledger>,
    ) -> Result<Self, CourierError> {
        Ok(Self::of(Parts::new(config)?, resolver, dialer, clock, ledger))
    }

    fn of(
        parts: Parts,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
        clock: Arc<dyn Clock>,
        ledger: Arc<dyn Ledger>,
    ) -> Self {
        let pool = Pool::new(parts.delivery.connections.max(1));
        let parts = RwLock::new(Arc::new(parts));
        let mta_sts = MtaSts::new(Arc::clone(&resolver), Arc::clone(&clock), Arc::clone(&ledger));
        let (book, dead) = (Book::open(Arc::clone(&ledger)), DeadAddresses::open(Arc::clone(&ledger)));
        let (book, dead, sources) = (Arc::new(book), Arc::new(dead), Sources::open(ledger));
        Self { parts, resolver, dialer, clock, pool, mta_sts, book, dead, sources, seen: Mutex::default() }
    }

    /// A courier of the parts that delivery uses, for its tests.
    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    pub(crate) fn of_parts(
        delivery: Delivery,
        egress: Vec<Egress>,
        smtp_port: u16,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
    ) -> Self {
        let hostname = "gw.relay.example".parse().unwrap();
        let dns = Dns { smtp_port, ..Dns::default() };
        let parts = Parts::of(hostname, delivery, egress, &dns, std::iter::empty()).unwrap();
        let ledger = Arc::new(crate::store::ledger::MemoryLedger::default());
        Self::of(parts, resolver, dialer, Arc::new(crate::clock::SystemClock), ledger)
    }

    /// Takes a new configuration for everything that begins after this; idle links of the old one are closed.
    /// The capacity of the pool stays.
    pub async fn reconfigure(&self, config: &Config) -> Result<(), CourierError> {
        *self.parts.write() = Arc::new(Parts::new(config)?);
        self.seen.lock().clear();
        self.pool.close_idle().await;
        Ok(())
    }

    fn parts(&self) -> Arc<Parts> {
        Arc::clone(&self.parts.read())
    }

    /// Where mail for a domain goes: a route, or its MX. No look-up, no waiting: the site is told if the domain's MX
    /// hosts were seen before.
    pub fn destination(&self, domain: &DomainName) -> Destination {
        let parts = self.parts();
        let sites = &parts.delivery.sites;
        let place = sites.iter().position(|site| site.match_domain.iter().any(|p| p.matches(domain)));
        let by_domain = place.map(|place| &sites[place]);
        let rules = by_domain.map(rules_of);
        let Some(route) = parts.delivery.routes.iter().find(|route| route.domain.matches(domain)) else {
            let known = self.seen.lock().get(domain).cloned();
            let by_hosts = known.as_deref().and_then(|hosts| parts.site_of(hosts));
            let site = match by_domain.or(by_hosts) {
                Some(site) if site.together => Some(format!("{GROUP}{}", site.name)),
                // Two domains on the same hosts share them only if the same rules hold for both.
                Some(site) => known.map(|hosts| format!("{} ({})", plan::site_name(&hosts), site.name)),
                None => known.map(|hosts| plan::site_name(&hosts)),
            };
            let (key, kind) = (domain.as_str().to_owned(), DestinationKind::Mx(domain.clone()));
            return Destination { key, kind, rules, site: site.map(Into::into) };
        };
        let level = route.tls.map(super::tls_policy::level_name).unwrap_or_default();
        let place = place.map(|place| place.to_string()).unwrap_or_default();
        let key = format!("route/{}:{}/{level}/{place}", route.host, route.port);
        let site = by_domain.filter(|site| site.together).map(|site| format!("{GROUP}{}", site.name));
        let site = Some(site.unwrap_or_else(|| key.clone()).into());
        let kind = DestinationKind::Route { host: route.host.clone(), port: route.port, tls: route.tls };
        Destination { key, kind, rules, site }
    }

    /// The same with its site, for which the MX hosts are looked up if need be. Without one if DNS fails.
    pub async fn locate(&self, domain: &DomainName) -> Destination {
        let destination = self.destination(domain);
        if destination.site.is_some() {
            return destination;
        }
        let parts = self.parts();
        match targets::mx_hosts(&*self.resolver, domain, &parts.surroundings).await {
            Ok(set) => {
                self.remember_hosts(domain, set.names);
                self.destination(domain)
            }
            Err(_) => destination,
        }
    }

    /// The limits of a destination. One connection while its site is not known.
    pub fn limits_for(&self, destination: &Destination) -> DestinationLimits {
        let parts = self.parts();
        let hosts = self.known_hosts(destination);
        let limits = parts.limits(&parts.rules(destination, &hosts));
        let connections = if destination.site.is_some() { limits.connections } else { 1 };
        DestinationLimits { connections, ..limits }
    }

    fn known_hosts(&self, destination: &Destination) -> Arc<[DomainName]> {
        match &destination.kind {
            DestinationKind::Mx(domain) => self.seen.lock().get(domain).cloned().unwrap_or_default(),
            DestinationKind::Route { host, .. } => host.parse().into_iter().collect(),
        }
    }

    fn remember_hosts(&self, domain: &DomainName, names: Vec<DomainName>) -> Arc<[DomainName]> {
        let mut seen = self.seen.lock();
        if let Some(known) = seen.get(domain)
            && **known == *names
        {
            return Arc::clone(known);
        }
        if seen.len() >= REMEMBERED_DOMAINS {
            seen.clear();
        }
        let names: Arc<[DomainName]> = names.into();
        seen.insert(domain.clone(), Arc::clone(&names));
        names
    }

    /// Who answers questions about names.
    pub fn resolver(&self) -> Arc<dyn Resolver> {
        Arc::clone(&self.resolver)
    }

    /// The book of TLS sessions.
    pub fn book(&self) -> Arc<Book> {
        Arc::clone(&self.book)
    }

    /// Addresses that did not take TLS reports.
    pub fn dead_addresses(&self) -> Arc<DeadAddresses> {
        Arc::clone(&self.dead)
    }

    /// Forgets policies that ran out, and writes down what sources took; called now and then. Blocks on the disk.
    pub fn sweep(&self) {
        self.mta_sts.sweep();
        if let Err(error) = self.sources.save() {
            emit(&Event::Gateway { state: "ledger", detail: error.to_string() });
        }
    }

    /// Closes idle connections and waits for the farewells (two seconds at most).
    pub async fn close_idle(&self) {
        self.pool.close_idle().await;
    }

    /// How many connections are idle.
    pub fn idle_connections(&self) -> usize {
        self.pool.idle()
    }

    /// Delivers; one outcome for each recipient, in their order.
    ///
    /// Recipients whose addresses need SMTPUTF8 go in a transaction of their own, so that a server without the
    /// extension still gets the letter for the others.
    pub async fn deliver(&self, transaction: &Transaction) -> Vec<Outcome> {
        let utf8: Vec<bool> = transaction.recipients.iter().map(|one| one.address.needs_smtputf8()).collect();
        if utf8.iter().all(|needs| *needs == utf8[0]) {
            return self.deliver_alike(transaction).await;
        }
        let mut outcomes = vec![None; utf8.len()];
        for group in [false, true] {
            let places: Vec<usize> = (0..utf8.len()).filter(|place| utf8[*place] == group).collect();
            let recipients = places.iter().map(|place| transaction.recipients[*place].clone()).collect();
            let part = Transaction { recipients, ..transaction.clone() };
            for (place, outcome) in places.into_iter().zip(self.deliver_alike(&part).await) {
                outcomes[place] = Some(outcome);
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    async fn deliver_alike(&self, transaction: &Transaction) -> Vec<Outcome> {
        let parts = self.parts();
        let scene = Scene::nowhere(self.clock.now());
        let mut attempt = Attempt {
            courier: self,
            parts: &parts,
            transaction,
            needs: Needs::of(transaction),
            at: scene.clone(),
            outcomes: vec![None; transaction.recipients.len()],
            failures: Vec::new(),
            turned_away: None,
            failed_by_sts: false,
            other_family: None,
        };
        let last_word = attempt.run().await;
        let outcomes = attempt.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| last_word.clone()));
        outcomes.collect()
    }
}

use attempt::Attempt;
pub use explain::{ExplainedHost, Problem, RouteExplanation};

#[async_trait]
impl crate::schedule::Delivery for Courier {
    fn destination(&self, domain: &DomainName) -> Destination {
        self.destination(domain)
    }

    async fn locate(&self, domain: &DomainName) -> Destination {
        self.locate(domain).await
    }

    fn limits(&self, destination: &Destination) -> DestinationLimits {
        self.limits_for(destination)
    }

    async fn deliver(&self, transaction: &Transaction) -> Vec<Outcome> {
        self.deliver(transaction).await
    }

    fn report_ended(&self, to: &Mailbox, arrived: bool) {
        let (dead, address, now) = (Arc::clone(&self.dead), format!("mailto:{to}"), self.clock.now());
        tokio::task::spawn_blocking(move || if arrived { dead.works(&address) } else { dead.failed(&address, now) });
    }
}

#[async_trait]
impl crate::admin::ports::RouteExplainer for Courier {
    async fn explain(&self, address: &Mailbox) -> serde_json::Value {
        // Strings, numbers and lists of them always serialize.
        serde_json::to_value(self.explain(address).await).unwrap_or_default()
    }
}
