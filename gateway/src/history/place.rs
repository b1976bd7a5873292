//! Where the history lies: a sled database of its own, behind a trait.

use std::path::Path;

use crate::clock::Timestamp;
use crate::store::sled_file::{self, Opening};

/// Keys ascend and are read seldom, one letter's at a time: only the last page is warm. sled takes several times this in
/// memory; with 16 MB it took 150 more at 2,500 letters a second.
const CACHE_OCTETS: u64 = 1 << 20;
/// sled writes behind by itself; no promise waits for it.
const FLUSH_MILLIS: u64 = 1_000;

/// The history could not be read or written: the operator's disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the history: {0}")]
pub struct HistoryError(String);

/// A key and its value.
pub type Item = (Vec<u8>, Vec<u8>);

/// The steps.
pub trait Place: Send + Sync + 'static {
    /// Every key that begins so, with its value, in order.
    fn range(&self, prefix: &[u8]) -> Result<Vec<Item>, HistoryError>;
    /// Writes all of it.
    fn write(&self, items: Vec<Item>) -> Result<(), HistoryError>;
    /// Removes the first keys before `bound`, so many at most; true if there may be more.
    fn remove_before(&self, bound: &[u8], most: usize) -> Result<bool, HistoryError>;
    /// Copies everything into the new folder `target`, for a backup.
    fn copy_into(&self, _target: &Path) -> Result<(), String> {
        Err("this history is not on a disk".to_owned())
    }
}

/// In sled.
pub struct SledPlace(sled::Db);

fn failed(error: &sled::Error) -> HistoryError {
    HistoryError(error.to_string())
}

impl SledPlace {
    /// Opens `path`; the text says why the old one was put aside, if it was.
    pub fn open(path: &Path, now: Timestamp) -> Result<(Self, Option<String>), HistoryError> {
        let opening = Opening { cache_octets: CACHE_OCTETS, flush_every: Some(FLUSH_MILLIS) };
        let (database, told) = opening.open(path, now).map_err(HistoryError)?;
        Ok((Self(database), told))
    }
}

impl Place for SledPlace {
    fn range(&self, prefix: &[u8]) -> Result<Vec<Item>, HistoryError> {
        let item = |item: sled::Result<(sled::IVec, sled::IVec)>| {
            item.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(|error| failed(&error))
        };
        self.0.scan_prefix(prefix).map(item).collect()
    }

    fn write(&self, items: Vec<Item>) -> Result<(), HistoryError> {
        let mut batch = sled::Batch::default();
        for (key, value) in items {
            batch.insert(key, value);
        }
        self.0.apply_batch(batch).map_err(|error| failed(&error))
    }

    fn remove_before(&self, bound: &[u8], most: usize) -> Result<bool, HistoryError> {
        let mut batch = sled::Batch::default();
        let mut count = 0;
        for key in self.0.range(..bound).keys().take(most) {
            batch.remove(key.map_err(|error| failed(&error))?);
            count += 1;
        }
        if count > 0 {
            self.0.apply_batch(batch).map_err(|error| failed(&error))?;
        }
        Ok(count == most)
    }

    fn copy_into(&self, target: &Path) -> Result<(), String> {
        sled_file::copy(&self.0, target)
    }
}
