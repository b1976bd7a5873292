//! The courier: takes a letter to a destination and says what became of each recipient.
//!
//! Promises: as many outcomes as recipients, in their order, whatever happens. A reused link that fails before its
//! transaction began costs nothing: the letter goes on over a fresh one. Hosts are tried in order until one takes
//! the letter; a host that lacks an extension is no reason to refuse while another may have it.
//! Retries, limits on connections and rates, and notices are the scheduler's.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use serde::Serialize;

use super::connect::{Approach, HostFailure};
use super::dialer::Dialer;
use super::dialogue::{Ending, Needs, Setting, transact};
use super::link::Link;
use super::outcome::{DialogueStage, HostVerdict, Outcome, Scene};
use super::pool::{Pool, PoolKey};
use super::targets::{self, MxHost, NoTarget, Surroundings, Target};
use super::tls::{TlsClients, TlsSetupError};
use super::tls_policy::{Decision, Wishes, decide};
use super::{Destination, DestinationKind, DestinationLimits, SiteRules, Transaction};
use crate::clock::Clock;
use crate::config::{Config, Delivery, Egress, ListenerKind, Site};
use crate::message::{DomainName, Mailbox};
use crate::resolver::Resolver;
use crate::sign::TlsLevel;

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
        Self::of(config.hostname.clone(), config.delivery.clone(), config.egress.clone(), smtp_port, doors)
    }

    fn of(
        hostname: DomainName,
        delivery: Delivery,
        egress: Vec<Egress>,
        smtp_port: u16,
        doors: impl Iterator<Item = IpAddr>,
    ) -> Result<Self, CourierError> {
        let names = egress.iter().map(|egress| egress.ehlo.clone());
        let addresses = egress.iter().map(|egress| egress.address).chain(doors);
        let surroundings = Surroundings {
            own_names: names.chain([hostname.clone()]).collect(),
            own_addresses: addresses.filter(|address| !address.is_unspecified()).collect(),
            allow_loopback_mx: smtp_port != 25,
            smtp_port,
        };
        let tls = TlsClients::new(delivery.ca_file.as_deref())?;
        Ok(Self { hostname, delivery, egress, surroundings, tls })
    }

    /// The source address and the name that go with a transaction; an unknown name is an error, not "any".
    fn source(&self, egress: Option<&str>) -> Result<(Option<IpAddr>, &DomainName), String> {
        match egress {
            // Without a wish the first one that is configured; without any the system chooses.
            None => Ok(self.egress.first().map_or((None, &self.hostname), |first| (Some(first.address), &first.ehlo))),
            Some(name) => match self.egress.iter().find(|egress| egress.name == name) {
                Some(egress) => Ok((Some(egress.address), &egress.ehlo)),
                None => Err(format!("the source address \"{name}\" is not configured")),
            },
        }
    }

    /// Which site's rules hold: the recipient domain's own, else the first one that an MX host matches.
    fn site(&self, destination: &Destination, hosts: &[DomainName]) -> SiteRules {
        if let Some(rules) = destination.site {
            return rules;
        }
        let matches = |site: &&Site| hosts.iter().any(|host| site.match_mx.iter().any(|mx| mx.matches(host)));
        self.delivery.sites.iter().find(matches).map(rules_of).unwrap_or_default()
    }

    fn limits(&self, rules: &SiteRules) -> DestinationLimits {
        DestinationLimits {
            connections: rules.connections.unwrap_or(self.delivery.connections_per_destination).max(1),
            messages_per_connection: rules.messages_per_connection.unwrap_or(MESSAGES_PER_CONNECTION).max(1),
            rate: rules.rate,
        }
    }

    fn decide(&self, destination: &Destination, rules: &SiteRules, sender: TlsLevel, require_tls: bool) -> Decision {
        let route = match &destination.kind {
            DestinationKind::Route { tls, .. } => *tls,
            DestinationKind::Mx(_) => None,
        };
        decide(&Wishes { default: self.delivery.tls, sender, site: rules.tls, route, require_tls })
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
    ) -> Result<Self, CourierError> {
        Ok(Self::of(Parts::new(config)?, resolver, dialer, clock))
    }

    fn of(parts: Parts, resolver: Arc<dyn Resolver>, dialer: Arc<dyn Dialer>, clock: Arc<dyn Clock>) -> Self {
        let pool = Pool::new(parts.delivery.connections.max(1));
        let parts = RwLock::new(Arc::new(parts));
        Self { parts, resolver, dialer, clock, pool, seen: Mutex::default() }
    }

    /// A courier of the parts that delivery uses, for its tests.
    #[cfg(test)]
    #[allow(clippy::unwrap_used)]
    pub(super) fn of_parts(
        delivery: Delivery,
        egress: Vec<Egress>,
        smtp_port: u16,
        resolver: Arc<dyn Resolver>,
        dialer: Arc<dyn Dialer>,
    ) -> Self {
        let hostname = "gw.relay.example".parse().unwrap();
        let parts = Parts::of(hostname, delivery, egress, smtp_port, std::iter::empty()).unwrap();
        Self::of(parts, resolver, dialer, Arc::new(crate::clock::SystemClock))
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

    /// Where mail for a domain goes: a route, or its MX. No look-up, no waiting.
    pub fn destination(&self, domain: &DomainName) -> Destination {
        let parts = self.parts();
        let place = parts.delivery.sites.iter().position(|site| site.match_domain.iter().any(|p| p.matches(domain)));
        let site = place.map(|place| rules_of(&parts.delivery.sites[place]));
        let route = parts.delivery.routes.iter().find(|route| route.domain.matches(domain));
        match route {
            None => Destination { key: domain.as_str().to_owned(), kind: DestinationKind::Mx(domain.clone()), site },
            Some(route) => {
                let level = route.tls.map(super::tls_policy::level_name).unwrap_or_default();
                // Two domains on one route share it only if the same rules hold for both.
                let rules = place.map(|place| place.to_string()).unwrap_or_default();
                let key = format!("route/{}:{}/{level}/{rules}", route.host, route.port);
                let kind = DestinationKind::Route { host: route.host.clone(), port: route.port, tls: route.tls };
                Destination { key, kind, site }
            }
        }
    }

    /// The limits of a destination. `match_mx` counts from the first delivery on, when its MX hosts are known.
    pub fn limits_for(&self, destination: &Destination) -> DestinationLimits {
        let parts = self.parts();
        let hosts = self.known_hosts(destination);
        parts.limits(&parts.site(destination, &hosts))
    }

    fn known_hosts(&self, destination: &Destination) -> Arc<[DomainName]> {
        match &destination.kind {
            DestinationKind::Mx(domain) => self.seen.lock().get(domain).cloned().unwrap_or_default(),
            DestinationKind::Route { host, .. } => host.parse().into_iter().collect(),
        }
    }

    fn remember_hosts(&self, domain: &DomainName, hosts: &[MxHost]) -> Arc<[DomainName]> {
        let mut seen = self.seen.lock();
        if let Some(known) = seen.get(domain)
            && known.len() == hosts.len()
            && hosts.iter().all(|host| known.contains(&host.name))
        {
            return Arc::clone(known);
        }
        if seen.len() >= REMEMBERED_DOMAINS {
            seen.clear();
        }
        let names: Arc<[DomainName]> = hosts.iter().map(|host| host.name.clone()).collect();
        seen.insert(domain.clone(), Arc::clone(&names));
        names
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
        };
        let last_word = attempt.run().await;
        let outcomes = attempt.outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| last_word.clone()));
        outcomes.collect()
    }

    /// What would be done with mail for this address, and why.
    pub async fn explain(&self, address: &Mailbox) -> RouteExplanation {
        let parts = self.parts();
        let destination = self.destination(address.domain());
        let mut explanation = RouteExplanation::new(address, &destination);
        let mut hosts = self.known_hosts(&destination);
        match &destination.kind {
            DestinationKind::Route { host, port, .. } => {
                match targets::route_targets(&*self.resolver, host, *port).await {
                    Ok(found) => explanation.targets = found.iter().map(|target| target.address.to_string()).collect(),
                    Err(why) => explanation.problem = Some(Problem::of(&why)),
                }
            }
            DestinationKind::Mx(domain) => {
                match targets::mx_hosts(&*self.resolver, domain, &parts.surroundings).await {
                    Ok(found) => {
                        hosts = self.remember_hosts(domain, &found);
                        let (resolved, list) =
                            targets::mx_targets(&*self.resolver, domain, &found, &parts.surroundings).await;
                        explanation.mx = resolved.iter().map(ExplainedHost::of).collect();
                        match list {
                            Ok(list) => explanation.targets = list.iter().map(|t| t.address.to_string()).collect(),
                            Err(why) => explanation.problem = Some(Problem::of(&why)),
                        }
                    }
                    Err(why) => explanation.problem = Some(Problem::of(&why)),
                }
            }
        }
        let rules = parts.site(&destination, &hosts);
        explanation.tls = Some(parts.decide(&destination, &rules, TlsLevel::Opportunistic, false));
        explanation.limits = Some(parts.limits(&rules));
        explanation.sources =
            parts.egress.iter().map(|e| format!("{} ({}) as {}", e.name, e.address, e.ehlo)).collect();
        explanation
    }
}

/// One call of [`Courier::deliver`].
struct Attempt<'a> {
    courier: &'a Courier,
    parts: &'a Parts,
    transaction: &'a Transaction,
    needs: Needs,
    at: Scene,
    outcomes: Vec<Option<Outcome>>,
    failures: Vec<HostFailure>,
    turned_away: Option<Outcome>,
}

/// What to do with the link after a series of transactions, and whether to go on.
enum Next {
    Finished,
    AnotherLink,
    AnotherHost,
}

impl Attempt<'_> {
    /// Tries everything there is; gives back what holds for recipients that are still undecided.
    async fn run(&mut self) -> Outcome {
        let (source, ehlo) = match self.parts.source(self.transaction.egress.as_deref()) {
            Ok(source) => source,
            Err(note) => return self.at.postponed(DialogueStage::Policy, &note, (4, 3, 5)),
        };
        let (site, hosts, rules) = match self.site().await {
            Ok(found) => found,
            Err(why) => return self.no_target(&why),
        };
        let wanted = self.transaction;
        let decision = self.parts.decide(&wanted.destination, &rules, wanted.tls, wanted.require_tls);
        let key = PoolKey { site, decision, egress: wanted.egress.clone() };
        let per_link = self.parts.limits(&rules).messages_per_connection;
        while let Some(link) = self.courier.pool.take(&key).await {
            match self.use_link(link, &key, per_link).await {
                Next::Finished => return self.conclude(),
                Next::AnotherLink => {}
                Next::AnotherHost => break,
            }
        }
        let targets = match self.targets(&hosts).await {
            Ok(targets) => targets,
            Err(why) => return self.no_target(&why),
        };
        let targets = targets.into_iter().filter(|t| source.is_none_or(|s| s.is_ipv4() == t.address.is_ipv4()));
        let parts = self.parts;
        let approach = Approach {
            dialer: &*self.courier.dialer,
            tls: &parts.tls,
            decision,
            ehlo,
            source,
            timeouts: &parts.delivery.timeouts,
        };
        for target in targets {
            match self.try_target(&approach, &target, &key, per_link).await {
                Next::Finished => break,
                Next::AnotherLink | Next::AnotherHost => {}
            }
        }
        self.conclude()
    }

    /// One address; a link that is used up in the middle of many recipients is replaced.
    async fn try_target(&mut self, approach: &Approach<'_>, target: &Target, key: &PoolKey, per_link: usize) -> Next {
        loop {
            let undecided = self.undecided();
            match approach.connect(target).await {
                Ok(link) => match self.use_link(link, key, per_link).await {
                    // Only as long as each link brings some recipients further.
                    Next::AnotherLink if self.undecided() < undecided => {}
                    Next::AnotherLink => return Next::AnotherHost,
                    other => return other,
                },
                Err(failure) => {
                    self.failures.push(failure);
                    return Next::AnotherHost;
                }
            }
        }
    }

    fn undecided(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_none()).count()
    }

    /// The pool's name for the servers, the MX hosts, and the rules that hold for them.
    async fn site(&self) -> Result<(String, Vec<MxHost>, SiteRules), NoTarget> {
        let destination = &self.transaction.destination;
        match &destination.kind {
            DestinationKind::Route { host, port, .. } => {
                let rules = self.parts.site(destination, &self.courier.known_hosts(destination));
                Ok((format!("route/{host}:{port}"), Vec::new(), rules))
            }
            DestinationKind::Mx(domain) => {
                let hosts = targets::mx_hosts(&*self.courier.resolver, domain, &self.parts.surroundings).await?;
                let names = self.courier.remember_hosts(domain, &hosts);
                let mut sorted: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
                sorted.sort_unstable();
                Ok((format!("mx/{}", sorted.join(",")), hosts, self.parts.site(destination, &names)))
            }
        }
    }

    async fn targets(&self, hosts: &[MxHost]) -> Result<Vec<Target>, NoTarget> {
        let resolver = &*self.courier.resolver;
        match &self.transaction.destination.kind {
            DestinationKind::Route { host, port, .. } => targets::route_targets(resolver, host, *port).await,
            DestinationKind::Mx(domain) => {
                targets::mx_targets(resolver, domain, hosts, &self.parts.surroundings).await.1
            }
        }
    }

    /// Runs transactions on a link until everybody is decided or it is of no more use.
    async fn use_link(&mut self, mut link: Link, key: &PoolKey, per_link: usize) -> Next {
        if let Some((note, status)) = self.needs.missing(&link) {
            self.failures.push(HostFailure {
                stage: DialogueStage::Policy,
                host: link.host.clone(),
                address: link.address,
                reply: None,
                note,
                verdict: HostVerdict::Unsuitable(status),
            });
            self.give_back(link, key, per_link);
            return Next::AnotherHost;
        }
        let scene = Scene {
            host: Some(link.host.clone()),
            address: Some(link.address),
            tls: link.tls.clone(),
            note: link.note.clone(),
            ..self.at.clone()
        };
        let most = link.extensions.recipients.unwrap_or(RECIPIENTS_AT_ONCE).min(RECIPIENTS_AT_ONCE);
        loop {
            let places: Vec<usize> =
                (0..self.outcomes.len()).filter(|i| self.outcomes[*i].is_none()).take(most).collect();
            if places.is_empty() {
                self.give_back(link, key, per_link);
                return Next::Finished;
            }
            if link.doomed || is_used_up(&link, per_link) {
                self.give_back(link, key, per_link);
                return Next::AnotherLink;
            }
            let setting = Setting {
                transaction: self.transaction,
                needs: self.needs,
                timeouts: &self.parts.delivery.timeouts,
                recipients: &places,
            };
            match transact(&mut link, &setting, &scene, &mut self.outcomes).await {
                Ending::Done => {}
                Ending::Stale => return Next::AnotherLink,
                Ending::TurnedAway(outcome) => {
                    self.turned_away = Some(*outcome);
                    self.give_back(link, key, per_link);
                    return Next::AnotherHost;
                }
            }
        }
    }

    fn give_back(&self, link: Link, key: &PoolKey, per_link: usize) {
        if link.doomed {
            drop(link);
        } else if is_used_up(&link, per_link) {
            tokio::spawn(link.quit());
        } else {
            self.courier.pool.put(key.clone(), link);
        }
    }

    fn no_target(&self, why: &NoTarget) -> Outcome {
        let note = why.to_string();
        let status = why.status();
        if status.0 == 5 {
            self.at.refused(DialogueStage::Dns, None, &note, status)
        } else {
            self.at.postponed(DialogueStage::Dns, &note, status)
        }
    }

    /// No host took it. For good only if every host that was tried said so; one that may say otherwise tomorrow is
    /// reason enough to wait.
    fn conclude(&self) -> Outcome {
        if let Some(outcome) = &self.turned_away {
            return outcome.clone();
        }
        let waiting = self.failures.iter().rev().find(|failure| failure.verdict == HostVerdict::Unavailable);
        let Some(failure) = waiting.or(self.failures.last()) else {
            let note = "no address of the destination can be reached from the source address";
            return self.at.postponed(DialogueStage::Connect, note, (4, 4, 1));
        };
        let scene = Scene { host: Some(failure.host.clone()), address: Some(failure.address), ..self.at.clone() };
        let status = match failure.verdict {
            HostVerdict::Unavailable => return scene.deferred(failure.stage, failure.reply.clone(), &failure.note),
            HostVerdict::TakesNoMail => (5, 3, 2),
            HostVerdict::Unsuitable(status) => status,
        };
        scene.refused(failure.stage, failure.reply.clone(), &failure.note, status)
    }
}

fn is_used_up(link: &Link, per_link: usize) -> bool {
    link.transactions >= per_link.min(link.extensions.letters.unwrap_or(usize::MAX))
}

/// What `route explain` shows.
#[derive(Debug, Clone, Serialize)]
pub struct RouteExplanation {
    /// The address that was asked about.
    pub address: Mailbox,
    /// Its domain.
    pub domain: DomainName,
    /// The destination's key: what limits and turns are counted by.
    pub destination: String,
    /// The route, `host:port`, if one matches.
    pub route: Option<String>,
    /// The MX hosts, best first.
    pub mx: Vec<ExplainedHost>,
    /// What would be dialled, in order.
    pub targets: Vec<String>,
    /// The TLS decision, without what a tenant or a message adds.
    pub tls: Option<Decision>,
    /// The limits.
    pub limits: Option<DestinationLimits>,
    /// The configured source addresses.
    pub sources: Vec<String>,
    /// Why nothing can be delivered, if so.
    pub problem: Option<Problem>,
}

impl RouteExplanation {
    fn new(address: &Mailbox, destination: &Destination) -> Self {
        let route = match &destination.kind {
            DestinationKind::Route { host, port, .. } => Some(format!("{host}:{port}")),
            DestinationKind::Mx(_) => None,
        };
        Self {
            address: address.clone(),
            domain: address.domain().clone(),
            destination: destination.key.clone(),
            route,
            mx: Vec::new(),
            targets: Vec::new(),
            tls: None,
            limits: None,
            sources: Vec::new(),
            problem: None,
        }
    }
}

/// One MX host in an explanation.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedHost {
    /// Lower is tried first.
    pub preference: u16,
    /// Its name.
    pub host: DomainName,
    /// Its usable addresses.
    pub addresses: Vec<IpAddr>,
    /// What is odd about it, or empty.
    pub note: String,
}

impl ExplainedHost {
    fn of(resolved: &targets::ResolvedHost) -> Self {
        Self {
            preference: resolved.host.preference,
            host: resolved.host.name.clone(),
            addresses: resolved.addresses.clone(),
            note: resolved.note.clone(),
        }
    }
}

/// Why nothing can be delivered.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// Would a letter be returned at once?
    pub permanent: bool,
    /// The enhanced status, `5.1.10`.
    pub status: String,
    /// In words.
    pub text: String,
}

impl Problem {
    fn of(why: &NoTarget) -> Self {
        let (class, subject, detail) = why.status();
        Self { permanent: class == 5, status: format!("{class}.{subject}.{detail}"), text: why.to_string() }
    }
}

#[async_trait]
impl crate::schedule::Delivery for Courier {
    fn destination(&self, domain: &DomainName) -> Destination {
        self.destination(domain)
    }

    fn limits(&self, destination: &Destination) -> DestinationLimits {
        self.limits_for(destination)
    }

    async fn deliver(&self, transaction: &Transaction) -> Vec<Outcome> {
        self.deliver(transaction).await
    }
}

#[async_trait]
impl crate::admin::ports::RouteExplainer for Courier {
    async fn explain(&self, address: &Mailbox) -> serde_json::Value {
        // Strings, numbers and lists of them always serialize.
        serde_json::to_value(self.explain(address).await).unwrap_or_default()
    }
}
