//! The book of TLS sessions: by day (UTC) and domain, in memory and, a few times a minute, in the ledger.
//!
//! A domain's page holds what its own policy says (`sts`, or `no-policy-found`) and what DANE says of its hosts; a host
//! with TLSA records has a page of its own, since the policy is its domain's (RFC 8460 §1.1). A crash loses the last
//! counts: reports are statistics. Bounded: pages a day, policies a page, failures a policy.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use super::TlsFailure;
use crate::clock::Timestamp;
use crate::message::DomainName;
use crate::observe::{Event, emit};
use crate::store::ledger::{Ledger, Shelf};

/// A day's length.
pub const DAY: Duration = Duration::from_hours(24);
const MAX_PAGES: usize = 50_000;
const MAX_POLICIES: usize = 50;
const MAX_FAILURES: usize = 100;
/// Characters of a reason.
const MAX_REASON: usize = 200;

/// A day: whole days since 1970-01-01, UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Day(u64);

impl Day {
    /// The day that `now` is in.
    pub const fn of(now: Timestamp) -> Self {
        Self(now.seconds() / DAY.as_secs())
    }

    /// Its first moment.
    pub const fn begins(self) -> Timestamp {
        Timestamp::from_millis(self.0 * DAY.as_secs() * 1000)
    }

    /// The first moment of the next one.
    pub const fn ends(self) -> Timestamp {
        Self(self.0 + 1).begins()
    }
}

/// What kind of policy (RFC 8460 §4.4, `policy-type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyKind {
    /// DANE.
    Tlsa,
    /// MTA-STS.
    Sts,
    /// None.
    NoPolicyFound,
}

/// A policy as a report describes it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ReportedPolicy {
    /// Its kind.
    pub kind: PolicyKind,
    /// The domain that it is published at.
    pub domain: String,
    /// Its text, line by line.
    pub text: Vec<String>,
    /// The patterns of an MTA-STS policy.
    pub mx: Vec<String>,
}

/// A kind of failed session.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FailedSession {
    /// What went wrong.
    pub failure: TlsFailure,
    /// The host.
    pub host: Option<String>,
    /// Its address.
    pub address: Option<IpAddr>,
    /// Our address, where it is known.
    pub source: Option<IpAddr>,
}

/// The counts of one policy.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Sessions that were as the policy wants.
    pub good: u64,
    /// Sessions that were not, also those that failed in a way which is not listed any more.
    pub failed: u64,
    /// The failures.
    pub failures: Vec<(FailedSession, u64)>,
}

/// A domain's day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Page {
    /// Each policy and its counts.
    pub policies: Vec<(ReportedPolicy, Counts)>,
    /// Addresses that have their report.
    pub done: Vec<String>,
    /// Attempts to send it.
    pub attempts: u32,
    /// When to try again, milliseconds.
    pub not_before: u64,
}

impl Page {
    fn count(&mut self, policy: ReportedPolicy, failure: Option<FailedSession>) {
        let place = match self.policies.iter().position(|(known, _)| *known == policy) {
            Some(place) => place,
            None if self.policies.len() >= MAX_POLICIES => return,
            None => {
                self.policies.push((policy, Counts::default()));
                self.policies.len() - 1
            }
        };
        let counts = &mut self.policies[place].1;
        let Some(mut failure) = failure else {
            counts.good += 1;
            return;
        };
        counts.failed += 1;
        if failure.failure.reason.chars().count() > MAX_REASON {
            failure.failure.reason = failure.failure.reason.chars().take(MAX_REASON).collect::<String>().into();
        }
        let full = counts.failures.len() >= MAX_FAILURES;
        match counts.failures.iter_mut().find(|(known, _)| *known == failure) {
            Some((_, count)) => *count += 1,
            None if full => {}
            None => counts.failures.push((failure, 1)),
        }
    }
}

type PageKey = (Day, DomainName);

#[derive(Default)]
struct Pages {
    by_key: BTreeMap<PageKey, Page>,
    unsaved: HashSet<PageKey>,
    full: bool,
}

/// See the module.
pub struct Book {
    ledger: Arc<dyn Ledger>,
    pages: Mutex<Pages>,
}

fn ledger_key((day, domain): &PageKey) -> Vec<u8> {
    format!("{}/{domain}", day.0).into_bytes()
}

impl Book {
    /// Opens the book where it was left.
    pub fn open(ledger: Arc<dyn Ledger>) -> Self {
        let facts = ledger.all(Shelf::TlsResults).unwrap_or_default();
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            let key = String::from_utf8(key).ok()?;
            let (day, domain) = key.split_once('/')?;
            let page: Page = serde_json::from_slice(&value).ok()?;
            Some(((Day(day.parse().ok()?), domain.parse().ok()?), page))
        };
        let pages = Pages { by_key: facts.into_iter().filter_map(read).collect(), ..Pages::default() };
        Self { ledger, pages: Mutex::new(pages) }
    }

    /// Counts a session on a domain's page.
    pub fn count(&self, now: Timestamp, domain: &DomainName, policy: ReportedPolicy, failure: Option<FailedSession>) {
        let key = (Day::of(now), domain.clone());
        let mut pages = self.pages.lock();
        if pages.by_key.len() >= MAX_PAGES && !pages.by_key.contains_key(&key) {
            if !std::mem::replace(&mut pages.full, true) {
                let detail = format!("the book of TLS results is full: {MAX_PAGES} domains; others get no report");
                emit(&Event::Gateway { state: "tls-report", detail });
            }
            return;
        }
        pages.by_key.entry(key.clone()).or_default().count(policy, failure);
        pages.unsaved.insert(key);
    }

    /// Writes what changed to the ledger. Blocks on the disk.
    pub fn save(&self) {
        let facts: Vec<_> = {
            let mut pages = self.pages.lock();
            let unsaved: Vec<PageKey> = pages.unsaved.drain().collect();
            // Structs of numbers and texts always serialize.
            let value = |page: &Page| serde_json::to_vec(page).unwrap_or_default();
            unsaved.iter().map(|key| (ledger_key(key), pages.by_key.get(key).map(value))).collect()
        };
        if facts.is_empty() {
            return;
        }
        if let Err(error) = self.ledger.put(Shelf::TlsResults, &facts) {
            emit(&Event::Gateway { state: "tls-report", detail: format!("counts were not kept: {error}") });
        }
    }

    /// Pages of days that are over and whose time to be sent has come.
    pub fn due(&self, now: Timestamp) -> Vec<(Day, DomainName, Page)> {
        let pages = self.pages.lock();
        let over = pages
            .by_key
            .iter()
            .filter(|((day, domain), page)| now >= day.ends() + spread(domain) && now.millis() >= page.not_before);
        over.map(|((day, domain), page)| (*day, domain.clone(), page.clone())).collect()
    }

    /// Puts a page back as it is now, or takes it out.
    pub fn settle(&self, day: Day, domain: &DomainName, page: Option<Page>) {
        let mut pages = self.pages.lock();
        let key = (day, domain.clone());
        match page {
            Some(page) => _ = pages.by_key.insert(key.clone(), page),
            None => _ = pages.by_key.remove(&key),
        }
        pages.full = false;
        pages.unsaved.insert(key);
    }
}

/// Reports of one day do not all go out at midnight (RFC 8460 §4.1 asks for a delay of up to four hours).
fn spread(domain: &DomainName) -> Duration {
    let sum = domain.as_str().bytes().fold(0_u64, |sum, octet| sum.wrapping_mul(31).wrapping_add(u64::from(octet)));
    Duration::from_secs(sum % Duration::from_hours(4).as_secs())
}

/// Addresses that did not take a report, and until when they get none. Kept in the ledger.
pub struct DeadAddresses {
    ledger: Arc<dyn Ledger>,
    resting: Mutex<HashMap<String, Rest>>,
}

/// How often an address failed, and until when it rests.
type Rest = (u32, Timestamp);

/// The first rest of an address; each failure doubles it.
const FIRST_REST: Duration = DAY;
const LONGEST_REST: Duration = Duration::from_hours(24 * 30);
const MAX_DEAD: usize = 10_000;

impl DeadAddresses {
    /// Reads what the ledger remembers.
    pub fn open(ledger: Arc<dyn Ledger>) -> Self {
        let facts = ledger.all(Shelf::TlsReports).unwrap_or_default();
        let read = |(key, value): (Vec<u8>, Vec<u8>)| {
            Some((String::from_utf8(key).ok()?, serde_json::from_slice(&value).ok()?))
        };
        Self { ledger, resting: Mutex::new(facts.into_iter().filter_map(read).collect()) }
    }

    /// May a report be sent there now?
    pub fn allows(&self, address: &str, now: Timestamp) -> bool {
        self.resting.lock().get(address).is_none_or(|(_, until)| now >= *until)
    }

    /// A report came back or was refused. Blocks on the disk.
    pub fn failed(&self, address: &str, now: Timestamp) {
        let mut resting = self.resting.lock();
        if resting.len() >= MAX_DEAD {
            resting.retain(|_, (_, until)| now < *until);
        }
        let (failures, until) = resting.entry(address.to_owned()).or_insert((0, now));
        *failures += 1;
        let rest = FIRST_REST.saturating_mul(1 << (*failures - 1).min(10)).min(LONGEST_REST);
        *until = now + rest;
        let rest = (*failures, *until);
        drop(resting);
        self.keep(address, serde_json::to_vec(&rest).ok());
    }

    /// A report arrived. Blocks on the disk if the address was a dead one.
    pub fn works(&self, address: &str) {
        if self.resting.lock().remove(address).is_some() {
            self.keep(address, None);
        }
    }

    fn keep(&self, address: &str, value: Option<Vec<u8>>) {
        if let Err(error) = self.ledger.put(Shelf::TlsReports, &[(address.as_bytes().to_vec(), value)]) {
            emit(&Event::Gateway { state: "tls-report", detail: format!("a dead address was not kept: {error}") });
        }
    }
}

#[cfg(test)]
#[path = "book_tests.rs"]
mod tests;
