//! Control data outside of its folder: a copy for a backup, and a disk in memory on which such a copy is opened.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use waxseal_keys::sealing::KeyId;

use super::disk::{ControlDisk, DiskError, Record, Write};
use super::{ControlError, ControlStore};

/// All control data at one moment, sealed as it lies on disk.
pub struct ControlCopy {
    /// A snapshot file.
    pub octets: Vec<u8>,
    /// How many changes it has seen.
    pub changes: u64,
    /// The key-encryption key that it opens with.
    pub kek: KeyId,
}

impl ControlStore {
    /// Everything as it is now.
    pub fn copy(&self) -> Result<ControlCopy, ControlError> {
        Ok(ControlCopy { octets: self.whole_snapshot()?, changes: self.generation(), kek: self.kek.id() })
    }

    /// HMAC-SHA-256 of `octets` under a key that the control key gives for this purpose alone.
    pub fn seal_of_backup(&self, octets: &[u8]) -> [u8; 32] {
        self.key.derive(b"", b"waxseal backup manifest v1").mac(octets)
    }
}

/// A disk in memory that holds one snapshot file: nothing that happens on it outlives it.
pub struct FrozenDisk {
    snapshot: Option<Vec<u8>>,
    records: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl FrozenDisk {
    /// With this snapshot file.
    pub fn new(snapshot: Vec<u8>) -> Self {
        Self { snapshot: Some(snapshot), records: Mutex::default() }
    }

    /// With nothing on it.
    #[cfg(test)]
    pub(crate) fn empty() -> Self {
        Self { snapshot: None, records: Mutex::default() }
    }
}

impl ControlDisk for FrozenDisk {
    fn open_database(&mut self) -> Result<(), DiskError> {
        Ok(())
    }

    fn set_database_aside(&mut self) -> Result<String, DiskError> {
        self.records.lock().clear();
        Ok(String::new())
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.records.lock().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Record>, DiskError> {
        use std::ops::Bound;
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        let records = self.records.lock();
        let matching =
            records.range::<[u8], _>((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(prefix));
        Ok(matching.take(limit).map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn apply(&self, writes: &[Write]) -> Result<(), DiskError> {
        let mut records = self.records.lock();
        for (key, value) in writes {
            match value {
                Some(value) => records.insert(key.clone(), value.clone()),
                None => records.remove(key),
            };
        }
        Ok(())
    }

    fn sync_database(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn read_snapshot(&self) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.snapshot.clone())
    }

    fn append_snapshot(&self, _: &[u8]) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_snapshot(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn write_new_snapshot(&self, _: &[u8]) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_new_snapshot(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn rename_new_snapshot(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn read_references(&self) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(None)
    }

    fn write_references(&self, _: &[u8]) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_references(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn rename_references(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn remove_references(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn sync_directory(&self) -> Result<(), DiskError> {
        Ok(())
    }
}
