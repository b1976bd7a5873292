//! The steward: looks at DNS for every domain with keys, again and again, and lets the machine of
//! `waxseal_keys::life` move them; and for every claim to a domain, until its token is there.
//!
//! Promises: a key that waits for its record is looked at within seconds after it was made, then less and less often;
//! keys that sign are looked at every hour; a domain whose servers cannot be asked stays as it is and is asked again
//! later. A look costs one question a key and server. A key that is to follow another must be seen by the configured
//! resolvers too. Refuses: to conclude anything from a failure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;
use waxseal_dns::Answer;
use waxseal_keys::life::{Observation, Sighting};

use super::delegation::{self, SlotPublisher};
use super::sight::{ask_everywhere, confirmed, sighting};
use super::{Change, DkimKey, DkimState, DomainClaim, Registry, claim};
use crate::clock::{Clock, Timestamp};
use crate::message::DomainName;
use crate::observe::{Event, emit};
use crate::zones::ZoneReader;

/// Who moves keys in the audit and in events.
pub const STEWARD: &str = "steward";
/// The shortest and the longest time between two looks at a domain.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_hours(1);
/// How often it is seen who is due: often enough that nobody waits for it.
const TICK: Duration = Duration::from_secs(1);
/// Domains that are looked at at once.
const AT_ONCE: usize = 8;
/// A letter is sealed a little before it stands in the queue: one accepted so long after its key retired may still
/// be signed by it.
const SEALING_SLACK: Duration = Duration::from_mins(10);

/// Asks the queue.
pub trait Letters: Send + Sync + 'static {
    /// Does a letter from `domain`, or from below it, wait that was accepted before this moment? Reads those that are so
    /// old.
    fn waiting(&self, domain: &DomainName, accepted_before: Timestamp) -> bool;
}

/// Publishes private halves of keys that nobody trusts any more, so that no letter of theirs proves anything.
pub trait Disclosure: Send + Sync + 'static {
    /// Publishes the retired `key`'s private half, in PEM.
    fn publish(&self, key: &DkimKey, pem: &str) -> std::io::Result<()>;
}

/// The steward. Share it in an `Arc`.
pub struct Steward {
    registry: Arc<Registry>,
    zones: Arc<dyn ZoneReader>,
    letters: Arc<dyn Letters>,
    clock: Arc<dyn Clock>,
    due: Mutex<HashMap<DomainName, Timestamp>>,
    publisher: Option<Arc<dyn SlotPublisher>>,
    disclosure: Option<Arc<dyn Disclosure>>,
    /// What was written into the operator's zone last, by name.
    written: Mutex<HashMap<String, Option<String>>>,
}

impl Steward {
    /// For these keys, this DNS and this queue.
    pub fn new(
        registry: Arc<Registry>,
        zones: Arc<dyn ZoneReader>,
        letters: Arc<dyn Letters>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let (due, written) = (Mutex::default(), Mutex::default());
        Self { registry, zones, letters, clock, due, publisher: None, disclosure: None, written }
    }

    /// The same, with a zone of the operator's for delegated keys.
    #[must_use]
    pub fn publishing(mut self, publisher: Arc<dyn SlotPublisher>) -> Self {
        self.publisher = Some(publisher);
        self
    }

    /// The same, with a place where retired keys' private halves are published.
    #[must_use]
    pub fn disclosing(mut self, disclosure: Arc<dyn Disclosure>) -> Self {
        self.disclosure = Some(disclosure);
        self
    }

    /// Looks at every domain when it is due, until `stop`.
    pub async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let due = self.due_domains();
            let steward = &self;
            let looks = futures_util::stream::iter(due).for_each_concurrent(AT_ONCE, |domain| async move {
                steward.look(&domain).await;
            });
            tokio::select! {
                () = looks => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            let _ = tokio::time::timeout(TICK, stop.wait_for(|stop| *stop)).await;
        }
    }

    fn due_domains(&self) -> Vec<DomainName> {
        let (now, directory) = (self.clock.now(), self.registry.snapshot());
        let mut due = self.due.lock();
        let claimed = directory.claimed_domains();
        due.retain(|domain, _| directory.domain(domain).is_some() || claimed.contains(domain));
        let is_due = |domain: &DomainName| {
            // A time further off than any wait was set by a clock that has jumped back since.
            due.get(domain).is_none_or(|at| now >= *at || at.since(now) > LONGEST)
        };
        let all = directory.domains().map(|domain| &domain.name).chain(&claimed);
        all.filter(|domain| is_due(domain)).cloned().collect()
    }

    /// When the domain is looked at next, in the usual course.
    pub fn next_look(&self, domain: &DomainName) -> Option<Timestamp> {
        self.due.lock().get(domain).copied()
    }

    /// Looks at one domain now, and says what moved.
    pub async fn look(&self, domain: &DomainName) -> Option<Change> {
        let directory = self.registry.snapshot();
        if directory.domain(domain).is_none() {
            return self.look_at_claims(domain, directory.claims(domain).cloned().collect()).await;
        }
        let keys: Vec<DkimKey> = directory.dkim_keys(domain).cloned().collect();
        let mut observation = Observation::default();
        let signs = keys.iter().any(|key| key.state() == DkimState::Active);
        for key in keys.iter().filter(|key| is_looked_for(key.state())) {
            let answers = ask_everywhere(self.zones.as_ref(), &key.record_name()).await;
            let mut seen = sighting(key, &answers);
            // A domain whose mail is refused has nothing to lose by a key that some resolver remembers as missing.
            if signs && key.state().is_candidate() {
                seen = confirmed(self.zones.as_ref(), key, seen).await;
            }
            observation.records.insert(key.selector.clone(), seen);
        }
        let (registry, letters, name) = (self.registry.clone(), self.letters.clone(), domain.clone());
        let now = self.clock.now();
        let moved = tokio::task::spawn_blocking(move || {
            let overlap =
                registry.domain_rules().policy_of(registry.snapshot().domain(&name).map(AsRef::as_ref)).overlap;
            let over = |key: &&DkimKey| key.state() == DkimState::Retiring && now >= key.changed() + overlap;
            for key in keys.iter().filter(over) {
                if letters.waiting(&name, key.changed() + SEALING_SLACK) {
                    observation.letters_waiting.insert(key.selector.clone());
                }
            }
            registry.observe_dkim_keys(&name, &observation, STEWARD)
        });
        let change = match moved.await {
            Ok(Ok(change)) => Some(change),
            Ok(Err(error)) => {
                let detail = format!("the DKIM keys of {domain} were not moved: {error}");
                emit(&Event::Gateway { state: "steward-failed", detail });
                None
            }
            Err(_) => None,
        };
        change.iter().flat_map(|change| &change.events).for_each(emit);
        if let Some(change) = &change {
            self.disclose(change);
        }
        let wrote = self.write_slots(domain).await;
        self.plan_next(domain, change.is_none());
        if wrote {
            // What was just written can be seen at once.
            self.due.lock().insert(domain.clone(), self.clock.now() + TICK);
        }
        change
    }

    /// A key that cannot be published stays unpublished: that is the safe side, and it is told.
    fn disclose(&self, change: &Change) {
        let Some(disclosure) = &self.disclosure else { return };
        for (domain, selector) in &change.disclosures {
            let directory = self.registry.snapshot();
            let Some(key) = directory.dkim_key(domain, selector) else { continue };
            let pem = self.registry.retired_dkim_key(domain, selector).map_err(|error| error.to_string());
            let done = pem.and_then(|pem| disclosure.publish(key, &pem).map_err(|error| error.to_string()));
            let (state, detail) = match done {
                Ok(()) => ("dkim-key-disclosed", "its private half was published".to_owned()),
                Err(error) => ("dkim-disclosure-failed", format!("its private half was not published: {error}")),
            };
            emit(&Event::Gateway { state, detail: format!("retired DKIM key {}: {detail}", key.record_name()) });
        }
    }

    /// Makes the operator's zone say what a delegated domain's keys need; was anything written? A record that stands as
    /// it should is not touched.
    async fn write_slots(&self, domain: &DomainName) -> bool {
        let (Some(publisher), Some(delegation)) = (&self.publisher, self.registry.domain_rules().delegation) else {
            return false;
        };
        let directory = self.registry.snapshot();
        let Some(owned) = directory.domain(domain) else { return false };
        let mut wrote = false;
        for key in directory.dkim_keys(domain) {
            let Some(name) = delegation::target(&key.selector, owned, &delegation.zone) else { continue };
            let wanted = key.wants_record().then(|| key.record_value());
            let answers = ask_everywhere(self.zones.as_ref(), &name).await;
            let unwritten = self.written.lock().get(&name) != Some(&wanted);
            if !slot_is_due(key, wanted.is_some(), &answers, unwritten) {
                continue;
            }
            match publisher.set(&name, wanted.as_deref()).await {
                Ok(()) => {
                    wrote |= unwritten;
                    self.written.lock().insert(name, wanted);
                }
                Err(error) => {
                    let detail = format!("the record of {name} was not written: {error}");
                    emit(&Event::Gateway { state: "dkim-publish-failed", detail });
                }
            }
        }
        wrote
    }

    /// Whose token is at every authoritative server has the domain.
    async fn look_at_claims(&self, domain: &DomainName, mut claims: Vec<Arc<DomainClaim>>) -> Option<Change> {
        let answers = ask_everywhere(self.zones.as_ref(), &claim::record_name(domain)).await;
        let shows = |value: &str| {
            let has = |answer: &Answer| answer.values().any(|text| text.trim() == value);
            !answers.is_empty() && answers.iter().all(has)
        };
        // Two tokens side by side: whoever published them lets both in; the first claim has it.
        claims.sort_by_key(|claim| claim.created);
        let proved = claims.into_iter().find(|claim| shows(&claim.record_value()));
        let mut change = None;
        if let Some(claim) = proved {
            let registry = self.registry.clone();
            let made = tokio::task::spawn_blocking(move || registry.prove_domain_claim(&claim, STEWARD)).await;
            change = match made {
                Ok(Ok(change)) => Some(change),
                Ok(Err(error)) => {
                    let detail = format!("the claim to {domain} is proved and cannot be granted: {error}");
                    emit(&Event::Gateway { state: "steward-failed", detail });
                    None
                }
                Err(_) => None,
            };
            change.iter().flat_map(|change| &change.events).for_each(emit);
        }
        self.plan_next(domain, false);
        change
    }

    /// A key that waits for its record: after a tenth of the time that it has waited. Nothing to wait for: an hour.
    fn plan_next(&self, domain: &DomainName, failed: bool) {
        let (now, directory) = (self.clock.now(), self.registry.snapshot());
        let waiting = directory.dkim_keys(domain).filter(|key| key.state().is_candidate());
        let waiting = waiting.map(|key| key.created).chain(directory.claims(domain).map(|claim| claim.created));
        let youngest = waiting.map(|created| now.since(created)).min();
        let wait = match youngest {
            Some(age) if !failed => (age / 10).clamp(SHORTEST, LONGEST),
            _ => LONGEST,
        };
        self.due.lock().insert(domain.clone(), now + wait);
    }
}

/// Must the operator's zone be changed for this key, by what its servers say of the slot's own name?
fn slot_is_due(key: &DkimKey, wanted: bool, answers: &[Answer], unwritten: bool) -> bool {
    match (wanted, sighting(key, answers)) {
        (true, Sighting::Everywhere { .. }) => false,
        (true, Sighting::Absent | Sighting::Different) => true,
        // Written already: the zone's other servers are on their way.
        (true, Sighting::Partly | Sighting::Unknown) => unwritten,
        (false, _) => answers.iter().any(|answer| answer.values().next().is_some()),
    }
}

/// A destroyed or revoked key's record changes nothing any more, and a retiring key's is the letters' business.
fn is_looked_for(state: DkimState) -> bool {
    !matches!(state, DkimState::Destroyed | DkimState::Revoked | DkimState::Retiring)
}

#[cfg(test)]
#[path = "steward_tests.rs"]
mod tests;
