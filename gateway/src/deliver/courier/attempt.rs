//! One attempt: a warm link or fresh ones, host by host, until everybody has an outcome.

use super::plan::{Asked, Plan, PlannedHost};
use super::{
    Approach, Courier, DEFAULT_POOL, DestinationKind, DialogueStage, DomainName, Ending, HostFailure, HostVerdict,
    IpAddr, Lent, Link, MxHost, Needs, NoSource, NoTarget, Outcome, Parts, PoolKey, RECIPIENTS_AT_ONCE, Scene, Setting,
    Target, Transaction, targets, transact,
};
use crate::deliver::tls_policy::{Avoidance, DecidedBy, Ruling};

/// One call of [`Courier::deliver`].
pub(super) struct Attempt<'a> {
    pub(super) courier: &'a Courier,
    pub(super) parts: &'a Parts,
    pub(super) transaction: &'a Transaction,
    pub(super) needs: Needs,
    pub(super) at: Scene,
    pub(super) outcomes: Vec<Option<Outcome>>,
    pub(super) failures: Vec<HostFailure>,
    pub(super) turned_away: Option<Outcome>,
    /// A host failed, or was left alone, over the domain's MTA-STS policy.
    pub(super) failed_by_sts: bool,
    /// Every address is of the other family than the source: IPv4 (true) or IPv6.
    pub(super) other_family: Option<bool>,
}

/// Where a letter leaves from.
pub(super) struct Source<'a> {
    /// `None`: the system chooses.
    address: Option<IpAddr>,
    ehlo: &'a DomainName,
    lent: Option<Lent<'a>>,
}

/// What to do with the link after a series of transactions, and whether to go on.
pub(super) enum Next {
    Finished,
    AnotherLink,
    AnotherHost,
}

impl<'a> Attempt<'a> {
    /// Tries everything there is; gives back what holds for recipients that are still undecided.
    pub(super) async fn run(&mut self) -> Outcome {
        let mut source = match self.source(None) {
            Ok(source) => source,
            Err(why) => return self.no_source(&why),
        };
        let to = &self.transaction.destination;
        let asked = Asked::by(self.transaction);
        let mut plan = match self.courier.plan(self.parts, to, asked).await {
            Ok(plan) => plan,
            Err(why) => return self.no_target(&why),
        };
        if let Err(outcome) = self.follow(&plan, &source).await {
            return outcome;
        }
        if let Some(ipv4) = self.other_family {
            source = match self.source(Some(ipv4)) {
                Ok(source) => source,
                // A pool without an address of the family cannot reach such hosts: what was said of that holds.
                Err(_) => return self.conclude(),
            };
            if let Err(outcome) = self.follow(&plan, &source).await {
                return outcome;
            }
        }
        // RFC 8461 §5.1: no mail fails over a policy before the domain was asked for a newer one. Once is enough.
        if self.failed_by_sts && self.undecided() > 0 && self.courier.has_newer_policy(self.parts, to, &plan).await {
            plan = match self.courier.plan(self.parts, to, asked).await {
                Ok(plan) => plan,
                Err(why) => return self.no_target(&why),
            };
            self.failures.clear();
            if let Err(outcome) = self.follow(&plan, &source).await {
                return outcome;
            }
        }
        if self.outcomes.iter().any(|outcome| matches!(outcome, Some(Outcome::Delivered(_))))
            && let Some(lent) = &mut source.lent
        {
            lent.used();
        }
        self.conclude()
    }

    /// The source whose turn it is in the tenant's pool.
    fn source(&self, ipv4: Option<bool>) -> Result<Source<'a>, NoSource> {
        let (parts, courier): (&'a Parts, &'a Courier) = (self.parts, self.courier);
        let pool = self.transaction.egress_pool.as_deref().unwrap_or(DEFAULT_POOL);
        if parts.lets_the_system_choose(pool) {
            return Ok(Source { address: None, ehlo: &parts.hostname, lent: None });
        }
        let lent = courier.sources.lend(&parts.egress, pool, ipv4, courier.clock.now())?;
        let chosen = parts.egress.iter().find(|one| one.name == lent.name);
        let (address, ehlo) = chosen.map_or((None, &parts.hostname), |one| (Some(one.address), &one.ehlo));
        Ok(Source { address, ehlo, lent: Some(lent) })
    }

    fn no_source(&self, why: &NoSource) -> Outcome {
        let status = match why {
            NoSource::NoPool(_) => (4, 3, 5),
            NoSource::WarmingUp(_) => (4, 4, 5),
        };
        self.at.postponed(DialogueStage::Policy, &why.to_string(), status)
    }

    /// Warm links, then host by host, as the plan says. `Err` is an outcome for everybody who is undecided.
    async fn follow(&mut self, plan: &Plan, source: &Source<'_>) -> Result<(), Outcome> {
        let name = source.lent.as_ref().map(|lent| lent.name.clone());
        let key = plan.pool_key(name);
        self.other_family = None;
        let per_link = self.parts.limits(&plan.rules).messages_per_connection;
        while let Some(link) = self.courier.pool.take(&key).await {
            match self.use_link(link, &key, per_link).await {
                Next::Finished => return Ok(()),
                Next::AnotherLink => {}
                Next::AnotherHost => break,
            }
        }
        self.leave_alone(plan);
        let targets = self.targets(&plan.mx).await.map_err(|why| self.no_target(&why))?;
        let family = |target: &&Target| source.address.is_none_or(|own| own.is_ipv4() == target.address.is_ipv4());
        if !targets.is_empty() && !targets.iter().any(|target| family(&target)) {
            self.other_family = source.address.map(|own| !own.is_ipv4());
        }
        for target in targets.iter().filter(family) {
            let Some(host) = plan.host(&target.host) else { continue };
            let Ruling::Connect(decision) = &host.ruling else { continue };
            let approach = Approach {
                dialer: &*self.courier.dialer,
                tls: &self.parts.tls,
                judged: Plan::judges(host, decision),
                decision: decision.clone(),
                ehlo: source.ehlo,
                source: source.address,
                timeouts: &self.parts.delivery.timeouts,
            };
            match self.try_target(&approach, target, &key, per_link, (plan, host)).await {
                Next::Finished => break,
                Next::AnotherLink | Next::AnotherHost => {}
            }
        }
        Ok(())
    }

    /// Hosts that the policy keeps us from.
    fn leave_alone(&mut self, plan: &Plan) {
        for host in &plan.hosts {
            let Ruling::Avoid(why) = &host.ruling else { continue };
            self.failed_by_sts |= *why == Avoidance::NotNamed;
            self.count_avoided(plan, host, *why);
            let stage = match why {
                Avoidance::DaneUnknown | Avoidance::StsUnknown => DialogueStage::Dns,
                Avoidance::NoDane | Avoidance::NotNamed => DialogueStage::Tls,
            };
            let evidence = plan.evidence(host);
            let note = format!("{} was left alone: {why}", host.name);
            self.failures.push(HostFailure {
                stage,
                host: host.name.clone(),
                address: None,
                reply: None,
                note: join(&note, &evidence),
                verdict: HostVerdict::Unavailable,
                tls: None,
            });
        }
    }

    /// One address; a link that is used up in the middle of many recipients is replaced.
    pub(super) async fn try_target(
        &mut self,
        approach: &Approach<'_>,
        target: &Target,
        key: &PoolKey,
        per_link: usize,
        (plan, host): (&Plan, &PlannedHost),
    ) -> Next {
        let evidence = plan.evidence(host);
        let limit = self.parts.limits(&plan.rules).connections;
        loop {
            let undecided = self.undecided();
            let place = self.courier.pool.make_room(&key.lane, limit).await;
            match approach.connect(target).await {
                Ok(mut link) => {
                    link.place = Some(place);
                    self.count_session(plan, host, link.tls_failure.as_ref(), link.address, approach.source);
                    link.note = join(&link.note, &evidence);
                    match self.use_link(link, key, per_link).await {
                        // Only as long as each link brings some recipients further.
                        Next::AnotherLink if self.undecided() < undecided => {}
                        Next::AnotherLink => return Next::AnotherHost,
                        other => return other,
                    }
                }
                Err(failure) => {
                    if let Some(tls) = &failure.tls {
                        self.count_session(plan, host, Some(tls), target.address.ip(), approach.source);
                    }
                    self.failed_by_sts |= failure.tls.is_some() && approach.decision.decided_by == DecidedBy::MtaSts;
                    self.failures.push(HostFailure { note: join(&failure.note, &evidence), ..failure });
                    return Next::AnotherHost;
                }
            }
        }
    }

    pub(super) fn undecided(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_none()).count()
    }

    pub(super) async fn targets(&self, hosts: &[MxHost]) -> Result<Vec<Target>, NoTarget> {
        let resolver = &*self.courier.resolver;
        match &self.transaction.destination.kind {
            DestinationKind::Route { host, port, .. } => targets::route_targets(resolver, host, *port).await,
            DestinationKind::Mx(domain) => {
                targets::mx_targets(resolver, domain, hosts, &self.parts.surroundings).await.1
            }
        }
    }

    /// Runs transactions on a link until everybody is decided or it is of no more use.
    pub(super) async fn use_link(&mut self, mut link: Link, key: &PoolKey, per_link: usize) -> Next {
        if let Some((note, status)) = self.needs.missing(&link) {
            self.failures.push(HostFailure {
                stage: DialogueStage::Policy,
                host: link.host.clone(),
                address: Some(link.address),
                reply: None,
                note,
                verdict: HostVerdict::Unsuitable(status),
                tls: None,
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

    pub(super) fn give_back(&self, link: Link, key: &PoolKey, per_link: usize) {
        if link.doomed {
            drop(link);
        } else if is_used_up(&link, per_link) {
            tokio::spawn(link.quit());
        } else {
            self.courier.pool.put(key.clone(), link);
        }
    }

    pub(super) fn no_target(&self, why: &NoTarget) -> Outcome {
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
    pub(super) fn conclude(&self) -> Outcome {
        if let Some(outcome) = &self.turned_away {
            return outcome.clone();
        }
        let waiting = self.failures.iter().rev().find(|failure| failure.verdict == HostVerdict::Unavailable);
        let Some(failure) = waiting.or(self.failures.last()) else {
            let note = "no address of the destination can be reached from the source address";
            return self.at.postponed(DialogueStage::Connect, note, (4, 4, 1));
        };
        let scene = Scene { host: Some(failure.host.clone()), address: failure.address, ..self.at.clone() };
        let reply = failure.reply.as_deref().cloned();
        let status = match failure.verdict {
            HostVerdict::Unavailable => return scene.deferred(failure.stage, reply, &failure.note),
            HostVerdict::TakesNoMail => (5, 3, 2),
            HostVerdict::Unsuitable(status) => status,
        };
        scene.refused(failure.stage, reply, &failure.note, status)
    }
}

/// Two notes in one; either may be empty.
fn join(one: &str, other: &str) -> String {
    match (one.is_empty(), other.is_empty()) {
        (_, true) => one.to_owned(),
        (true, false) => other.to_owned(),
        (false, false) => format!("{one}; {other}"),
    }
}

pub(super) fn is_used_up(link: &Link, per_link: usize) -> bool {
    link.transactions >= per_link.min(link.extensions.letters.unwrap_or(usize::MAX))
}
