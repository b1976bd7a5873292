//! MTA-STS (RFC 8461): which policy a recipient's domain has, from DNS, HTTPS and memory.
//!
//! Promises: the policy is that of the recipient's own domain, never of an alias' target (§3.3). A policy that is
//! remembered holds until its `max_age`, whatever DNS and HTTPS say meanwhile (§5.1: a stale cache wins over a
//! failed fetch), and outlives a restart. Before mail fails over a remembered policy the id is looked up anew,
//! past every cache (§5.1). One fetch at a time for a domain, and a failed one is not repeated at once.
//!
//! Where DNS does not answer and nothing is remembered, mail waits: for [`GRACE`], because a name server that
//! always fails for `_mta-sts` must not keep a domain's mail for ever. After that it is as §5.1 has it: no policy.

pub mod policy;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::https::{HttpsClient, HttpsError};
use super::tls_policy::StsFact;
use crate::clock::{Clock, Timestamp};
use crate::message::DomainName;
use crate::observe::{Event, emit};
use crate::resolver::{DnsFailure, Resolver};
use crate::store::ledger::{Ledger, Shelf};
use policy::{MAX_POLICY, Mode, Policy, PolicyError, read_record};

/// How long an unanswered question about a policy holds mail back.
pub const GRACE: Duration = Duration::from_mins(30);
/// How long a failed fetch is not repeated.
const FETCH_PAUSE: Duration = Duration::from_mins(5);
/// A policy whose id stays the same is fetched again after a day, so that it does not run out (§3.3).
const REFRESH_AFTER: Duration = Duration::from_hours(24);
/// How often an id may be looked up past the caches, for one domain.
const RECHECK_PAUSE: Duration = Duration::from_secs(10);
/// Domains that something is remembered of beside their policies.
const MAX_NOTES: usize = 65_536;

/// A policy and where it is from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownPolicy {
    /// The id of the TXT record at that time.
    pub id: String,
    /// When it was fetched.
    pub fetched: Timestamp,
    /// The policy.
    pub policy: Policy,
}

impl KnownPolicy {
    fn holds(&self, now: Timestamp) -> bool {
        now.since(self.fetched) < self.policy.max_age
    }
}

/// Why a policy that a domain names is not to be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyProblem {
    /// The policy's host does not prove its name (TLS-RPT: `sts-webpki-invalid`).
    #[error("{0}")]
    Certificate(String),
    /// It cannot be fetched (`sts-policy-fetch-error`).
    #[error("{0}")]
    Fetch(String),
    /// It, or the record that names it, is not as it should be (`sts-policy-invalid`).
    #[error("{0}")]
    Invalid(#[from] PolicyError),
}

/// What is known of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It has no policy.
    Nothing,
    /// It names one that is not to be had, and none is remembered: delivery as without one (§3.3), and a report.
    Broken(PolicyProblem),
    /// DNS did not answer, and no policy is remembered.
    Unknown(DnsFailure),
    /// This policy holds.
    Policy {
        /// The policy.
        known: Arc<KnownPolicy>,
        /// Why a newer one could not be had, if so.
        problem: Option<PolicyProblem>,
    },
}

impl Finding {
    /// What it means for one of the domain's hosts.
    pub fn fact(&self, host: &DomainName) -> StsFact {
        match self {
            Self::Nothing | Self::Broken(_) => StsFact::Nothing,
            Self::Unknown(_) => StsFact::Unknown,
            Self::Policy { known, .. } => match known.policy.mode {
                Mode::None => StsFact::Nothing,
                Mode::Testing => StsFact::Testing,
                Mode::Enforce => StsFact::Enforced { names_host: known.policy.allows(host) },
            },
        }
    }

    /// In words, for evidence.
    pub fn words(&self) -> String {
        match self {
            Self::Nothing => "no MTA-STS policy".into(),
            Self::Broken(problem) => format!("its MTA-STS policy is not to be had: {problem}"),
            Self::Unknown(failure) => format!("its MTA-STS record could not be looked up: {failure}"),
            Self::Policy { known, problem } => {
                let policy = format!("MTA-STS policy {} in mode {}", known.id, known.policy.mode.word());
                problem.as_ref().map_or(policy.clone(), |problem| format!("{policy}, remembered: {problem}"))
            }
        }
    }
}

/// Who fetches policies.
#[async_trait]
pub trait PolicyFetcher: Send + Sync {
    /// The octets at `https://mta-sts.<domain>/.well-known/mta-sts.txt`.
    async fn fetch(&self, domain: &DomainName) -> Result<Bytes, PolicyProblem>;
}

#[async_trait]
impl PolicyFetcher for HttpsClient<'_> {
    async fn fetch(&self, domain: &DomainName) -> Result<Bytes, PolicyProblem> {
        let host = format!("mta-sts.{domain}").parse::<DomainName>();
        let host = host.map_err(|error| PolicyProblem::Fetch(error.to_string()))?;
        let answer = self.get(&host, "/.well-known/mta-sts.txt", MAX_POLICY).await.map_err(|error| match error {
            HttpsError::Certificate(..) => PolicyProblem::Certificate(error.to_string()),
            error => PolicyProblem::Fetch(error.to_string()),
        })?;
        // §3.3: only 200 is an answer, redirects are not followed; the media type keeps a page of a wiki or a shop
        // from passing for a policy.
        if answer.status != 200 {
            return Err(PolicyProblem::Fetch(format!("{host} answered with status {}", answer.status)));
        }
        if answer.media_type != "text/plain" {
            return Err(PolicyProblem::Fetch(format!("{host} sent \"{}\" instead of text/plain", answer.media_type)));
        }
        Ok(answer.body)
    }
}

/// What is remembered of a domain beside its policy.
#[derive(Default)]
struct Note {
    /// The id that could not be fetched, why, and until when it is not tried again.
    failed: Option<(String, PolicyProblem, Instant)>,
    /// Since when DNS has not answered.
    silent_since: Option<Instant>,
    rechecked: Option<Instant>,
}

#[derive(Default)]
struct Memory {
    policies: HashMap<DomainName, Arc<KnownPolicy>>,
    notes: HashMap<DomainName, Note>,
    fetching: HashMap<DomainName, Arc<tokio::sync::Mutex<()>>>,
}

impl Memory {
    fn note(&mut self, domain: &DomainName) -> &mut Note {
        if self.notes.len() >= MAX_NOTES && !self.notes.contains_key(domain) {
            self.notes.clear();
        }
        self.notes.entry(domain.clone()).or_default()
    }
}

/// See the module. One for the whole gateway.
pub struct MtaSts {
    resolver: Arc<dyn Resolver>,
    clock: Arc<dyn Clock>,
    ledger: Arc<dyn Ledger>,
    memory: Mutex<Memory>,
}

impl MtaSts {
    /// Reads the policies that the ledger remembers.
    pub fn new(resolver: Arc<dyn Resolver>, clock: Arc<dyn Clock>, ledger: Arc<dyn Ledger>) -> Self {
        let facts = ledger.all(Shelf::StsPolicies).unwrap_or_else(|error| {
            emit(&Event::Gateway { state: "mta-sts", detail: format!("no policy is remembered: {error}") });
            Vec::new()
        });
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let domain = String::from_utf8(key).ok()?.parse().ok()?;
            Some((domain, Arc::new(serde_json::from_slice(&value).ok()?)))
        };
        let memory = Memory { policies: facts.into_iter().filter_map(read).collect(), ..Memory::default() };
        Self { resolver, clock, ledger, memory: Mutex::new(memory) }
    }

    /// The policy for a recipient's domain, looked up, fetched or remembered.
    pub async fn find(&self, domain: &DomainName, fetcher: &dyn PolicyFetcher) -> Finding {
        match self.named_id(domain, false).await {
            Ok(Some(id)) => self.by_id(domain, &id, fetcher).await,
            Ok(None) => {
                self.remembered(domain).map_or(Finding::Nothing, |known| Finding::Policy { known, problem: None })
            }
            Err(Unnamed::Record(error)) => self.or_remembered(domain, PolicyProblem::Invalid(error)),
            Err(Unnamed::Dns(failure)) => match self.remembered(domain) {
                Some(known) => Finding::Policy { known, problem: Some(PolicyProblem::Fetch(failure.to_string())) },
                None if self.is_silent_for_long(domain) => Finding::Nothing,
                None => Finding::Unknown(failure),
            },
        }
    }

    /// Before mail fails over `used`: is there a newer policy (§5.1)? If so it is the one that [`MtaSts::find`]
    /// gives from now on.
    pub async fn recheck(&self, domain: &DomainName, used: &KnownPolicy, fetcher: &dyn PolicyFetcher) -> bool {
        {
            let mut memory = self.memory.lock();
            let note = memory.note(domain);
            if note.rechecked.is_some_and(|at| at.elapsed() < RECHECK_PAUSE) {
                return false;
            }
            note.rechecked = Some(Instant::now());
        }
        match self.named_id(domain, true).await {
            Ok(Some(id)) if id != used.id => {
                matches!(self.by_id(domain, &id, fetcher).await, Finding::Policy { known, .. } if known.id != used.id)
            }
            _ => false,
        }
    }

    /// The id that DNS names now.
    async fn named_id(&self, domain: &DomainName, fresh: bool) -> Result<Option<String>, Unnamed> {
        let Ok(name) = format!("_mta-sts.{domain}").parse::<DomainName>() else { return Ok(None) };
        let answer = match self.resolver.txt(&name, fresh).await {
            Ok(texts) => read_record(&texts).map_err(Unnamed::Record),
            Err(failure) if !failure.is_temporary() => Ok(None),
            Err(failure) => return Err(Unnamed::Dns(failure)),
        };
        if let Some(note) = self.memory.lock().notes.get_mut(domain) {
            note.silent_since = None;
        }
        answer
    }

    fn is_silent_for_long(&self, domain: &DomainName) -> bool {
        let mut memory = self.memory.lock();
        memory.note(domain).silent_since.get_or_insert_with(Instant::now).elapsed() >= GRACE
    }

    fn remembered(&self, domain: &DomainName) -> Option<Arc<KnownPolicy>> {
        let now = self.clock.now();
        self.memory.lock().policies.get(domain).filter(|known| known.holds(now)).cloned()
    }

    fn or_remembered(&self, domain: &DomainName, problem: PolicyProblem) -> Finding {
        match self.remembered(domain) {
            Some(known) => Finding::Policy { known, problem: Some(problem) },
            None => Finding::Broken(problem),
        }
    }

    /// The policy of this id: remembered, or fetched by one of all who ask.
    async fn by_id(&self, domain: &DomainName, id: &str, fetcher: &dyn PolicyFetcher) -> Finding {
        if let Some(finding) = self.without_fetching(domain, id) {
            return finding;
        }
        let lock = Arc::clone(self.memory.lock().fetching.entry(domain.clone()).or_default());
        let one = lock.lock().await;
        let finding = match self.without_fetching(domain, id) {
            Some(finding) => finding,
            None => self.fetch(domain, id, fetcher).await,
        };
        drop(one);
        let mut memory = self.memory.lock();
        // This one and the map's: nobody else waits.
        if Arc::strong_count(&lock) <= 2 {
            memory.fetching.remove(domain);
        }
        drop(memory);
        finding
    }

    fn without_fetching(&self, domain: &DomainName, id: &str) -> Option<Finding> {
        let known = self.remembered(domain).filter(|known| known.id == id);
        let fresh = known.as_ref().is_some_and(|known| self.clock.now().since(known.fetched) < REFRESH_AFTER);
        if fresh {
            return known.map(|known| Finding::Policy { known, problem: None });
        }
        let memory = self.memory.lock();
        let (failed, problem, until) = memory.notes.get(domain)?.failed.as_ref()?;
        let resting = failed == id && *until > Instant::now();
        let problem = resting.then(|| problem.clone())?;
        drop(memory);
        Some(self.or_remembered(domain, problem))
    }

    async fn fetch(&self, domain: &DomainName, id: &str, fetcher: &dyn PolicyFetcher) -> Finding {
        let fetched = match fetcher.fetch(domain).await {
            Ok(octets) => Policy::parse(&octets).map_err(PolicyProblem::from),
            Err(problem) => Err(problem),
        };
        match fetched {
            Ok(policy) => {
                let known = Arc::new(KnownPolicy { id: id.to_owned(), fetched: self.clock.now(), policy });
                self.keep(domain, &known);
                Finding::Policy { known, problem: None }
            }
            Err(problem) => {
                let failed = Some((id.to_owned(), problem.clone(), Instant::now() + FETCH_PAUSE));
                self.memory.lock().note(domain).failed = failed;
                self.or_remembered(domain, problem)
            }
        }
    }

    /// In memory at once, on the disk as soon as it can be: if that fails, the policy holds as long as this process.
    fn keep(&self, domain: &DomainName, known: &Arc<KnownPolicy>) {
        {
            let mut memory = self.memory.lock();
            memory.note(domain).failed = None;
            memory.policies.insert(domain.clone(), Arc::clone(known));
        }
        let ledger = Arc::clone(&self.ledger);
        let key = domain.as_str().as_bytes().to_vec();
        // Structs of numbers and texts always serialize.
        let value = serde_json::to_vec(&**known).unwrap_or_default();
        tokio::task::spawn_blocking(move || {
            if let Err(error) = ledger.put(Shelf::StsPolicies, &[(key, Some(value))]) {
                emit(&Event::Gateway { state: "mta-sts", detail: format!("a policy was not kept: {error}") });
            }
        });
    }

    /// Forgets what ran out long ago; called now and then.
    pub fn sweep(&self) {
        let now = self.clock.now();
        let mut memory = self.memory.lock();
        let gone: Vec<DomainName> =
            memory.policies.iter().filter(|(_, known)| !known.holds(now)).map(|(domain, _)| domain.clone()).collect();
        memory.policies.retain(|_, known| known.holds(now));
        drop(memory);
        if gone.is_empty() {
            return;
        }
        let facts: Vec<_> = gone.iter().map(|domain| (domain.as_str().as_bytes().to_vec(), None)).collect();
        if let Err(error) = self.ledger.put(Shelf::StsPolicies, &facts) {
            emit(&Event::Gateway { state: "mta-sts", detail: format!("old policies were not removed: {error}") });
        }
    }
}

/// Why DNS names no id.
enum Unnamed {
    Dns(DnsFailure),
    Record(PolicyError),
}

#[cfg(test)]
#[path = "mta_sts/cache_tests.rs"]
mod tests;
