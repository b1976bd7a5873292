//! The suppression lists: addresses to which a tenant's mail is not sent any more, with the reason.
//!
//! Promises: what [`Suppressions::add`] and [`Suppressions::remove`] have returned for survives a power cut; an entry that
//! has expired does not count; one tenant's list never touches another's. Everything is in memory as well, since every
//! RCPT asks. Addresses are compared without regard to case: a local part is its own server's business (RFC 5321 §2.4), but
//! no provider tells two people apart by it, and a complaint must not be walked around with a capital letter.
//!
//! A list that does not open is put aside and begun anew, loudly; a backup has it.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use waxseal_keys::sealing::DataKey;

use crate::clock::{Clock, Timestamp};
use crate::ids::{LetterId, TenantId};
use crate::message::Mailbox;
use crate::observe::{Event, emit};
use crate::store::ledger::{Ledger, LedgerError, Shelf};

/// How long a hard bounce counts. Mailboxes come back, and addresses are given to others.
pub const BOUNCE_COUNTS: Duration = Duration::from_hours(90 * 24);
/// How often what was only noted is written down, and what has expired removed.
const EVERY: Duration = Duration::from_secs(1);
const SWEEP: Duration = Duration::from_hours(1);

/// Why an address is on the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Nobody is there.
    HardBounce,
    /// The recipient called the tenant's mail spam.
    Complaint,
    /// The recipient wants no more mail.
    Unsubscribed,
    /// A person or a program of the tenant put it there.
    Manual,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::HardBounce, Self::Complaint, Self::Unsubscribed, Self::Manual];

    /// Its name in JSON, files and replies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HardBounce => "hard-bounce",
            Self::Complaint => "complaint",
            Self::Unsubscribed => "unsubscribed",
            Self::Manual => "manual",
        }
    }

    /// The reason of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.name() == name)
    }
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppression {
    /// The address, in lower case.
    pub address: String,
    /// Why.
    pub reason: Reason,
    /// Who says so: a server's words, a person's name and note.
    pub source: String,
    /// Since when.
    pub since: Timestamp,
    /// Until when; for good without it.
    pub expires: Option<Timestamp>,
    /// The letter that brought it here.
    pub letter: Option<LetterId>,
}

impl Suppression {
    fn counts(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

type Lists = HashMap<TenantId, BTreeMap<String, Suppression>>;

/// See the module. Share it in an `Arc`.
pub struct Suppressions {
    ledger: Arc<dyn Ledger>,
    names: DataKey,
    clock: Arc<dyn Clock>,
    lists: RwLock<Lists>,
    /// Entries of the memory that are not on the disk yet.
    unwritten: Mutex<Vec<(TenantId, String)>>,
}

/// An address as lists compare it.
pub fn compared(address: &Mailbox) -> String {
    address.to_string().to_lowercase()
}

impl Suppressions {
    /// Reads the lists. `names` keys the hashes under which entries lie, so that the disk's keys name nobody.
    pub fn open(ledger: Arc<dyn Ledger>, names: DataKey, clock: Arc<dyn Clock>) -> Result<Arc<Self>, LedgerError> {
        let mut lists = Lists::new();
        for (key, value) in ledger.all(Shelf::Suppressions)? {
            let tenant = key.first_chunk::<4>().map(|tenant| TenantId(u32::from_be_bytes(*tenant)));
            if let (Some(tenant), Ok(entry)) = (tenant, postcard::from_bytes::<Suppression>(&value)) {
                lists.entry(tenant).or_default().insert(entry.address.clone(), entry);
            }
        }
        Ok(Arc::new(Self { ledger, names, clock, lists: RwLock::new(lists), unwritten: Mutex::default() }))
    }

    fn key(&self, tenant: TenantId, address: &str) -> Vec<u8> {
        let tenant = tenant.0.to_be_bytes();
        let name = self.names.mac(&[tenant.as_slice(), address.as_bytes()].concat());
        [tenant.as_slice(), &name[..16]].concat()
    }

    /// The entry that keeps mail of this tenant from an address, if one counts now.
    pub fn find(&self, tenant: TenantId, address: &Mailbox) -> Option<Suppression> {
        let lists = self.lists.read();
        // Most tenants have none: no text is made for those.
        let list = lists.get(&tenant).filter(|list| !list.is_empty())?;
        list.get(&compared(address)).filter(|entry| entry.counts(self.clock.now())).cloned()
    }

    /// Entries that count, in the order of their addresses, from behind `after`; `search` is part of the address.
    pub fn list(
        &self,
        tenant: TenantId,
        search: Option<&str>,
        reason: Option<Reason>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Suppression> {
        use std::ops::Bound;
        let (now, search) = (self.clock.now(), search.map(str::to_lowercase));
        let lists = self.lists.read();
        let Some(list) = lists.get(&tenant) else { return Vec::new() };
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after.to_lowercase()));
        let wanted = |entry: &&Suppression| {
            entry.counts(now)
                && reason.is_none_or(|reason| entry.reason == reason)
                && search.as_ref().is_none_or(|search| entry.address.contains(search.as_str()))
        };
        list.range((from, Bound::Unbounded)).map(|(_, entry)| entry).filter(wanted).take(limit).cloned().collect()
    }

    /// Puts entries on a list; an address that is there already keeps the graver of both reasons. Returns how many are
    /// new or changed, when that is durable. Blocks on the disk.
    pub fn add(&self, tenant: TenantId, entries: Vec<Suppression>) -> Result<usize, LedgerError> {
        let changed = self.put_in_memory(tenant, entries);
        self.unwritten.lock().extend(changed.iter().map(|address| (tenant, address.clone())));
        self.write()?;
        Ok(changed.len())
    }

    /// The same without waiting for the disk: it is written within a second.
    pub fn note(&self, tenant: TenantId, entry: Suppression) -> bool {
        let changed = self.put_in_memory(tenant, vec![entry]);
        let any = !changed.is_empty();
        self.unwritten.lock().extend(changed.into_iter().map(|address| (tenant, address)));
        any
    }

    /// Copies the lists into the new folder `target`, for a backup. Blocks on the disk.
    pub fn copy_into(&self, target: &Path) -> Result<(), String> {
        self.write().map_err(|error| error.to_string())?;
        self.ledger.copy_into(target)
    }

    /// The time, as everything here knows it.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn put_in_memory(&self, tenant: TenantId, entries: Vec<Suppression>) -> Vec<String> {
        let now = self.clock.now();
        let mut lists = self.lists.write();
        let list = lists.entry(tenant).or_default();
        let mut changed = Vec::new();
        for mut entry in entries {
            entry.address = entry.address.to_lowercase();
            let stays = list.get(&entry.address).is_some_and(|old| old.counts(now) && graver(old, &entry));
            if !stays {
                changed.push(entry.address.clone());
                list.insert(entry.address.clone(), entry);
            }
        }
        changed
    }

    /// Takes addresses off a list. Returns how many were on it, when that is durable. Blocks on the disk.
    pub fn remove(&self, tenant: TenantId, addresses: &[String]) -> Result<usize, LedgerError> {
        let mut removed = Vec::new();
        if let Some(list) = self.lists.write().get_mut(&tenant) {
            for address in addresses {
                removed.extend(list.remove(&address.to_lowercase()).map(|entry| entry.address));
            }
        }
        self.unwritten.lock().extend(removed.iter().map(|address| (tenant, address.clone())));
        self.write()?;
        Ok(removed.len())
    }

    /// Writes what memory has and the disk has not.
    fn write(&self) -> Result<(), LedgerError> {
        let unwritten = std::mem::take(&mut *self.unwritten.lock());
        if unwritten.is_empty() {
            return Ok(());
        }
        let facts: Vec<_> = {
            let lists = self.lists.read();
            let value = |tenant, address: &String| {
                let entry = lists.get(tenant).and_then(|list| list.get(address));
                entry.and_then(|entry| postcard::to_stdvec(entry).ok())
            };
            unwritten.iter().map(|(tenant, address)| (self.key(*tenant, address), value(tenant, address))).collect()
        };
        let written = self.ledger.put(Shelf::Suppressions, &facts);
        if written.is_err() {
            self.unwritten.lock().extend(unwritten);
        }
        written
    }

    /// Removes what no longer counts, and lists of tenants that are gone.
    fn sweep(&self, is_there: &dyn Fn(TenantId) -> bool) {
        let now = self.clock.now();
        let mut gone = Vec::new();
        self.lists.write().retain(|tenant, list| {
            let there = is_there(*tenant);
            list.retain(|address, entry| {
                let stays = there && entry.counts(now);
                if !stays {
                    gone.push((*tenant, address.clone()));
                }
                stays
            });
            there
        });
        self.unwritten.lock().extend(gone);
    }

    /// Writes and sweeps until `stop`, and once more at the end.
    pub async fn run(
        self: Arc<Self>,
        is_there: impl Fn(TenantId) -> bool + Send + Sync + 'static,
        mut stop: watch::Receiver<bool>,
    ) {
        let is_there = Arc::new(is_there);
        let mut swept: Option<tokio::time::Instant> = None;
        loop {
            let stopping = tokio::time::timeout(EVERY, stop.wait_for(|stop| *stop)).await.is_ok();
            let due = swept.is_none_or(|at| at.elapsed() >= SWEEP);
            if due {
                swept = Some(tokio::time::Instant::now());
            }
            let (lists, is_there) = (self.clone(), is_there.clone());
            let work = move || {
                if due {
                    lists.sweep(&*is_there);
                }
                lists.write()
            };
            if let Ok(Err(error)) = tokio::task::spawn_blocking(work).await {
                emit(&Event::Gateway { state: "suppressions", detail: error.to_string() });
            }
            if stopping {
                return;
            }
        }
    }
}

/// Does the old entry say more than the new one? What lasts longer does; of two that last equally, what people said.
fn graver(old: &Suppression, new: &Suppression) -> bool {
    let weight = |entry: &Suppression| {
        (
            entry.expires.map_or(u64::MAX, Timestamp::millis),
            matches!(entry.reason, Reason::Complaint | Reason::Unsubscribed),
        )
    };
    weight(old) >= weight(new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use crate::store::ledger::MemoryLedger;

    fn entry(address: &str, reason: Reason, expires: Option<Timestamp>) -> Suppression {
        let since = Timestamp::from_millis(1_000);
        Suppression { address: address.into(), reason, source: "test".into(), since, expires, letter: None }
    }

    #[test]
    fn entries_count_for_their_tenant_until_they_expire_and_after_a_restart() {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000)));
        let ledger = Arc::new(MemoryLedger::default());
        let key = DataKey::generate().unwrap();
        let open = || Suppressions::open(ledger.clone(), key.derive(b"", b"names"), clock.clone()).unwrap();
        let lists = open();
        let mia: Mailbox = "Mia@B.example".parse().unwrap();
        let soon = clock.now() + BOUNCE_COUNTS;
        assert_eq!(lists.add(TenantId(1), vec![entry("mia@b.EXAMPLE", Reason::HardBounce, Some(soon))]).unwrap(), 1);
        assert_eq!(lists.find(TenantId(1), &mia).unwrap().reason, Reason::HardBounce);
        assert_eq!(lists.find(TenantId(2), &mia), None);
        // A complaint lasts, and a later bounce does not shorten it.
        assert_eq!(lists.add(TenantId(1), vec![entry("mia@b.example", Reason::Complaint, None)]).unwrap(), 1);
        assert!(!lists.note(TenantId(1), entry("mia@b.example", Reason::HardBounce, Some(soon))));
        assert!(lists.note(TenantId(1), entry("noah@b.example", Reason::HardBounce, Some(soon))));
        lists.write().unwrap();
        let again = open();
        assert_eq!(again.find(TenantId(1), &mia).unwrap().reason, Reason::Complaint);
        let found = |search| again.list(TenantId(1), search, None, None, 10).len();
        assert_eq!((found(None), found(Some("NOAH")), found(Some("zoe"))), (2, 1, 0));
        assert_eq!(again.list(TenantId(1), None, None, Some("mia@b.example"), 10)[0].address, "noah@b.example");
        clock.advance(BOUNCE_COUNTS);
        assert_eq!(again.list(TenantId(1), None, None, None, 10).len(), 1);
        assert_eq!(again.remove(TenantId(1), &["MIA@b.example".into()]).unwrap(), 1);
        assert_eq!(open().find(TenantId(1), &mia), None);
        again.sweep(&|_| false);
        again.write().unwrap();
        assert!(ledger.all(Shelf::Suppressions).unwrap().is_empty());
    }
}
