//! The steward: looks at DNS for every domain with keys, again and again, and lets the machine of
//! `waxseal_keys::life` move them; and for every claim to a domain, until its token is there.
//!
//! Promises: a key that waits for its record is looked at within seconds after it was made, then less and less often;
//! keys that sign are looked at every hour; a domain whose servers cannot be asked stays as it is and is asked again
//! later. A look costs one question a key and server. Refuses: to conclude anything from a failure.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use parking_lot::Mutex;
use tokio::sync::watch;
use waxseal_dns::{Answer, DkimRecord, RecordType, Reply, VantageKind};
use waxseal_keys::life::{Observation, Sighting};

use super::{Change, DkimKey, DkimState, DomainClaim, Registry, claim};
use crate::clock::{Clock, Timestamp};
use crate::message::DomainName;
use crate::observe::{Event, emit};
use crate::zones::{Survey, ZoneReader};

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

/// What the answers say of a key's record.
pub fn sighting(key: &DkimKey, answers: &[Answer]) -> Sighting {
    let Ok(expected) = key.record_value().parse::<DkimRecord>() else { return Sighting::Unknown };
    let (mut with, mut without, mut longest) = (0, 0, 0);
    for answer in answers {
        let records = match &answer.reply {
            Reply::Records { records } => records.as_slice(),
            reply if reply.is_denial() => &[],
            // One server that does not answer may have anything.
            _ => return Sighting::Unknown,
        };
        // Texts that are no DKIM record mean nothing to a verifier; two that are leave it to chance (RFC 6376
        // §3.6.2.2).
        let keys = records.iter().filter_map(|record| Some((record.value.parse::<DkimRecord>().ok()?, record.ttl)));
        match keys.collect::<Vec<_>>().as_slice() {
            [] => without += 1,
            [(found, ttl)] if found.key_type == expected.key_type && found.public_key == expected.public_key => {
                with += 1;
                longest = longest.max(*ttl);
            }
            _ => return Sighting::Different,
        }
    }
    match (with, without) {
        (0, 0) => Sighting::Unknown,
        (0, _) => Sighting::Absent,
        (_, 0) => Sighting::Everywhere { ttl: longest },
        _ => Sighting::Partly,
    }
}

/// Aliases that are followed from zone to zone.
const ALIASES: usize = 8;

/// What every authoritative server has at `name`, aliases into other zones followed to all servers there. Where no
/// zone holds the name at all (a private name space, a test), the configured resolvers are the authority.
async fn ask_everywhere(zones: &dyn ZoneReader, name: &str) -> Vec<Answer> {
    let (mut open, mut answers) = (vec![name.to_owned()], Vec::new());
    for _ in 0..=ALIASES {
        let mut further = Vec::new();
        for name in std::mem::take(&mut open) {
            for answer in believed(zones.survey(&name, RecordType::Txt).await) {
                match (&answer.reply, answer.aliases.last()) {
                    (Reply::Elsewhere, Some(target)) if !further.contains(target) => further.push(target.clone()),
                    (Reply::Elsewhere, Some(_)) => {}
                    _ => answers.push(answer),
                }
            }
        }
        if further.is_empty() {
            return answers;
        }
        open = further;
    }
    // An alias without an end: no verifier finds a key there.
    answers
}

fn believed(survey: Survey) -> Vec<Answer> {
    let nobody_has_it = survey.zone.is_empty() && matches!(survey.problem, Some(Reply::Failed { .. }));
    let kind = if nobody_has_it { VantageKind::Resolver } else { VantageKind::Authoritative };
    survey.answers.into_iter().filter(|answer| answer.vantage.kind == kind).collect()
}

/// The steward. Share it in an `Arc`.
pub struct Steward {
    registry: Arc<Registry>,
    zones: Arc<dyn ZoneReader>,
    letters: Arc<dyn Letters>,
    clock: Arc<dyn Clock>,
    due: Mutex<HashMap<DomainName, Timestamp>>,
}

impl Steward {
    /// For these keys, this DNS and this queue.
    pub fn new(
        registry: Arc<Registry>,
        zones: Arc<dyn ZoneReader>,
        letters: Arc<dyn Letters>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { registry, zones, letters, clock, due: Mutex::default() }
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
        for key in keys.iter().filter(|key| is_looked_for(key.state())) {
            let answers = ask_everywhere(self.zones.as_ref(), &key.record_name()).await;
            observation.records.insert(key.selector.clone(), sighting(key, &answers));
        }
        let (registry, letters, name) = (self.registry.clone(), self.letters.clone(), domain.clone());
        let now = self.clock.now();
        let moved = tokio::task::spawn_blocking(move || {
            let policy = registry.domain_rules().policy;
            let over = |key: &&DkimKey| key.state() == DkimState::Retiring && now >= key.changed() + policy.overlap;
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
        self.plan_next(domain, change.is_none());
        change
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

/// A destroyed or revoked key's record changes nothing any more, and a retiring key's is the letters' business.
fn is_looked_for(state: DkimState) -> bool {
    !matches!(state, DkimState::Destroyed | DkimState::Revoked | DkimState::Retiring)
}

#[cfg(test)]
#[path = "steward_tests.rs"]
mod tests;
