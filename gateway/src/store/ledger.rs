//! The ledger: small facts that should outlive a restart, but that no promise to a sender rests on: MTA-STS policies,
//! TLS results that wait for their report.
//!
//! Promises: every value is sealed, its place bound in; what [`Ledger::put`] has returned for survives a power cut
//! (sled 0.34's flush does not, its file is synced as well). A ledger that does not open is set aside and begun
//! anew, and that is told: its facts can be found out again, while a gateway that does not start delivers nothing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use waxseal_keys::sealing::DataKey;

use super::sled_file::{self, Opening};
use crate::clock::Timestamp;

/// What kind of fact; the name is the tree's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shelf {
    /// MTA-STS policies, by domain.
    StsPolicies,
    /// TLS results, by day and domain.
    TlsResults,
    /// Addresses that did not take TLS reports.
    TlsReports,
    /// Addresses that get no mail; in a ledger of their own.
    Suppressions,
    /// What tenants have used of their quotas, by tenant.
    Quotas,
    /// Letters that source addresses took today, by source.
    Egress,
}

impl Shelf {
    const fn name(self) -> &'static str {
        match self {
            Self::StsPolicies => "mta-sts",
            Self::TlsResults => "tls-results",
            Self::TlsReports => "tls-reports",
            Self::Suppressions => "suppressions",
            Self::Quotas => "quotas",
            Self::Egress => "egress",
        }
    }
}

/// The ledger could not be read or written: the operator's disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the ledger: {0}")]
pub struct LedgerError(String);

/// A key and its value.
pub type Fact = (Vec<u8>, Vec<u8>);

/// See the module. All calls block on the disk.
pub trait Ledger: Send + Sync + 'static {
    /// Every fact on a shelf; what cannot be opened is left out.
    fn all(&self, shelf: Shelf) -> Result<Vec<Fact>, LedgerError>;
    /// Writes facts (`None` removes one), all or none; returns when durable.
    fn put(&self, shelf: Shelf, facts: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LedgerError>;
    /// Copies everything into the new folder `target`, for a backup.
    fn copy_into(&self, _target: &Path) -> Result<(), String> {
        Err("this ledger is not on a disk".to_owned())
    }
}

/// The ledger of this machine, in a sled database of its own.
pub struct LocalLedger {
    path: PathBuf,
    database: sled::Db,
    key: DataKey,
}

const OPENING: Opening = Opening { cache_octets: 4 << 20, flush_every: None };

fn sled_error(error: &sled::Error) -> LedgerError {
    LedgerError(error.to_string())
}

impl LocalLedger {
    /// Opens `path`; the text says why the old one was set aside, if it was.
    pub fn open(path: &Path, key: DataKey, now: Timestamp) -> Result<(Self, Option<String>), LedgerError> {
        let (database, told) = OPENING.open(path, now).map_err(LedgerError)?;
        Ok((Self { path: path.to_owned(), database, key }, told))
    }

    fn context(shelf: Shelf, key: &[u8]) -> Vec<u8> {
        [b"waxseal ledger v1\0", shelf.name().as_bytes(), b"\0", key].concat()
    }
}

impl Ledger for LocalLedger {
    fn all(&self, shelf: Shelf) -> Result<Vec<Fact>, LedgerError> {
        let tree = self.database.open_tree(shelf.name()).map_err(|error| sled_error(&error))?;
        let mut facts = Vec::new();
        for item in &tree {
            let (key, sealed) = item.map_err(|error| sled_error(&error))?;
            if let Ok(value) = self.key.open(&Self::context(shelf, &key), &sealed) {
                facts.push((key.to_vec(), value));
            }
        }
        Ok(facts)
    }

    fn put(&self, shelf: Shelf, facts: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LedgerError> {
        let tree = self.database.open_tree(shelf.name()).map_err(|error| sled_error(&error))?;
        let mut batch = sled::Batch::default();
        for (key, value) in facts {
            match value {
                None => batch.remove(key.as_slice()),
                Some(value) => {
                    let sealed = self.key.seal(&Self::context(shelf, key), value);
                    batch.insert(key.as_slice(), sealed.map_err(|error| LedgerError(error.to_string()))?);
                }
            }
        }
        tree.apply_batch(batch).map_err(|error| sled_error(&error))?;
        sled_file::sync(&self.database, &self.path).map_err(LedgerError)
    }

    fn copy_into(&self, target: &Path) -> Result<(), String> {
        sled_file::copy(&self.database, target)
    }
}

/// A ledger in memory, for tests and for one-time tools.
#[derive(Debug, Default)]
pub struct MemoryLedger(Mutex<Facts>);

type Facts = BTreeMap<(Shelf, Vec<u8>), Vec<u8>>;

impl Ledger for MemoryLedger {
    fn all(&self, shelf: Shelf) -> Result<Vec<Fact>, LedgerError> {
        let facts = self.0.lock();
        let here = facts.iter().filter(|((on, _), _)| *on == shelf);
        Ok(here.map(|((_, key), value)| (key.clone(), value.clone())).collect())
    }

    fn put(&self, shelf: Shelf, facts: &[(Vec<u8>, Option<Vec<u8>>)]) -> Result<(), LedgerError> {
        let mut all = self.0.lock();
        for (key, value) in facts {
            match value {
                None => _ = all.remove(&(shelf, key.clone())),
                Some(value) => _ = all.insert((shelf, key.clone()), value.clone()),
            }
        }
        drop(all);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_outlive_the_process_and_a_damaged_ledger_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger");
        let key = DataKey::generate().unwrap();
        let again = || key.derive(b"", b"test");
        let now = Timestamp::from_millis(1_000);
        let fact = |value: &str| vec![(b"example.com".to_vec(), Some(value.as_bytes().to_vec()))];
        {
            let (ledger, told) = LocalLedger::open(&path, again(), now).unwrap();
            assert_eq!(told, None);
            ledger.put(Shelf::StsPolicies, &fact("one")).unwrap();
            ledger.put(Shelf::TlsResults, &fact("two")).unwrap();
            ledger.put(Shelf::TlsResults, &[(b"example.com".to_vec(), None)]).unwrap();
        }
        let (ledger, _) = LocalLedger::open(&path, again(), now).unwrap();
        assert_eq!(ledger.all(Shelf::StsPolicies).unwrap(), [(b"example.com".to_vec(), b"one".to_vec())]);
        assert_eq!(ledger.all(Shelf::TlsResults).unwrap(), []);
        drop(ledger);
        let octets = std::fs::read(path.join("db")).unwrap();
        assert!(!octets.windows(3).any(|three| three == b"one"), "a value lies open on the disk");
        let (other, _) = LocalLedger::open(&path, DataKey::generate().unwrap(), now).unwrap();
        assert_eq!(other.all(Shelf::StsPolicies).unwrap(), [], "another key opens nothing");
        drop(other);
        std::fs::write(path.join("conf"), b"this is not sled's").unwrap();
        let (fresh, told) = LocalLedger::open(&path, again(), now).unwrap();
        assert!(told.unwrap().contains("begun anew"));
        assert_eq!(fresh.all(Shelf::StsPolicies).unwrap(), []);
    }
}
