//! One attempt: a warm link or fresh ones, host by host, until everybody has an outcome.

use super::{
    Approach, Courier, DestinationKind, DialogueStage, Ending, HostFailure, HostVerdict, Link, MxHost, Needs, NoTarget,
    Outcome, Parts, PoolKey, RECIPIENTS_AT_ONCE, Scene, Setting, SiteRules, Target, Transaction, targets, transact,
};

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
}

/// What to do with the link after a series of transactions, and whether to go on.
pub(super) enum Next {
    Finished,
    AnotherLink,
    AnotherHost,
}

impl Attempt<'_> {
    /// Tries everything there is; gives back what holds for recipients that are still undecided.
    pub(super) async fn run(&mut self) -> Outcome {
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
    pub(super) async fn try_target(
        &mut self,
        approach: &Approach<'_>,
        target: &Target,
        key: &PoolKey,
        per_link: usize,
    ) -> Next {
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

    pub(super) fn undecided(&self) -> usize {
        self.outcomes.iter().filter(|outcome| outcome.is_none()).count()
    }

    /// The pool's name for the servers, the MX hosts, and the rules that hold for them.
    pub(super) async fn site(&self) -> Result<(String, Vec<MxHost>, SiteRules), NoTarget> {
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
        let scene = Scene { host: Some(failure.host.clone()), address: Some(failure.address), ..self.at.clone() };
        let status = match failure.verdict {
            HostVerdict::Unavailable => return scene.deferred(failure.stage, failure.reply.clone(), &failure.note),
            HostVerdict::TakesNoMail => (5, 3, 2),
            HostVerdict::Unsuitable(status) => status,
        };
        scene.refused(failure.stage, failure.reply.clone(), &failure.note, status)
    }
}

pub(super) fn is_used_up(link: &Link, per_link: usize) -> bool {
    link.transactions >= per_link.min(link.extensions.letters.unwrap_or(usize::MAX))
}
