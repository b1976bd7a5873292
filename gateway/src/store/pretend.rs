//! A pretend disk and a pretend shelf for tests: they die at their n-th operation, fail now and then or are full, and
//! show after a power cut what was synced plus any part of what was not.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::Arc;

use parking_lot::Mutex;

use super::StoreError;
use super::disk::{Disk, Segment};
use super::shelf::{Item, Shelf, ShelfPlace, Write};
use crate::chance::seeded::Dice;
use crate::clock::Timestamp;

#[derive(Default, Clone)]
pub(crate) struct File {
    pub(crate) octets: Vec<u8>,
    synced: usize,
}

/// Everything that lies on the pretend disk, and what is wrong with it.
#[derive(Default)]
pub(crate) struct Platter {
    pub(crate) files: BTreeMap<u64, File>,
    shelf: BTreeMap<Vec<u8>, Vec<u8>>,
    shelf_synced: BTreeMap<Vec<u8>, Vec<u8>>,
    /// Batches that were applied since the last sync.
    shelf_pending: Vec<Vec<Write>>,
    pub(crate) operations: usize,
    pub(crate) dies_at: Option<usize>,
    /// So many operations in a thousand fail, by these dice.
    pub(crate) faults: Option<(u64, Dice)>,
    pub(crate) full: bool,
}

fn put(shelf: &mut BTreeMap<Vec<u8>, Vec<u8>>, batch: &[Write]) {
    for (name, value) in batch {
        match value {
            Some(value) => shelf.insert(name.clone(), value.clone()),
            None => shelf.remove(name),
        };
    }
}

impl Platter {
    fn step(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.is_dead() {
            return Err(io::Error::other("the power is cut"));
        }
        let fails = self.faults.as_mut().is_some_and(|(often, dice)| dice.chance(*often));
        if fails { Err(io::Error::other("input/output error")) } else { Ok(()) }
    }

    /// Has its last operation come?
    pub(crate) fn is_dead(&self) -> bool {
        self.dies_at.is_some_and(|at| self.operations >= at)
    }

    /// The process was killed: what it wrote is there, synced or not.
    pub(crate) fn restart(&mut self) {
        (self.operations, self.dies_at, self.faults, self.full) = (0, None, None, false);
    }

    /// The power was cut: `kept` of every `of` unsynced octets and batches survived.
    pub(crate) fn power_cut(&mut self, kept: usize, of: usize) {
        for file in self.files.values_mut() {
            let lost = file.octets.len() - file.synced;
            file.octets.truncate(file.synced + lost * kept / of);
            file.synced = file.octets.len();
        }
        let batches = std::mem::take(&mut self.shelf_pending);
        for batch in &batches[..batches.len() * kept / of] {
            put(&mut self.shelf_synced, batch);
        }
        self.shelf = self.shelf_synced.clone();
        self.restart();
    }

    /// Does this stand anywhere on the disk in clear?
    pub(crate) fn holds(&self, needle: &[u8]) -> bool {
        let found = |octets: &[u8]| memchr::memmem::find(octets, needle).is_some();
        self.files.values().any(|file| found(&file.octets)) || self.shelf.values().any(|value| found(value))
    }
}

#[derive(Clone, Default)]
pub(crate) struct PretendDisk(pub(crate) Arc<Mutex<Platter>>);

struct PretendSegment(PretendDisk, u64);

impl PretendDisk {
    /// What another machine finds on a copy of this disk after a power cut.
    pub(crate) fn after_power_cut(&self, kept: usize, of: usize) -> Self {
        let platter = self.0.lock();
        let mut copy = Platter {
            files: platter.files.clone(),
            shelf_synced: platter.shelf_synced.clone(),
            shelf_pending: platter.shelf_pending.clone(),
            ..Platter::default()
        };
        copy.power_cut(kept, of);
        Self(Arc::new(Mutex::new(copy)))
    }
}

impl Disk for PretendDisk {
    fn list(&self) -> io::Result<Vec<u64>> {
        Ok(self.0.lock().files.keys().copied().collect())
    }
    fn create(&self, number: u64) -> io::Result<Box<dyn Segment>> {
        let mut platter = self.0.lock();
        platter.step()?;
        assert!(platter.files.insert(number, File::default()).is_none(), "segment {number} was there already");
        Ok(Box::new(PretendSegment(self.clone(), number)))
    }
    fn open(&self, number: u64) -> io::Result<Box<dyn Segment>> {
        if !self.0.lock().files.contains_key(&number) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(PretendSegment(self.clone(), number)))
    }
    fn remove(&self, number: u64) -> io::Result<()> {
        let mut platter = self.0.lock();
        platter.step()?;
        platter.files.remove(&number);
        Ok(())
    }
    fn quarantine(&self, _: u64, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn free(&self) -> io::Result<u64> {
        Ok(if self.0.lock().full { 0 } else { u64::MAX })
    }
}

impl Segment for PretendSegment {
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let mut platter = self.0.0.lock();
        let mut result = platter.step();
        if result.is_ok() && platter.full {
            result = Err(io::ErrorKind::StorageFull.into());
        }
        let file = platter.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        // A write that fails leaves a part of itself behind.
        let part = if result.is_ok() { all.len() } else { all.len() / 2 };
        file.octets.extend_from_slice(&all[..part]);
        result
    }
    fn sync(&self) -> io::Result<()> {
        let mut platter = self.0.0.lock();
        platter.step()?;
        let file = platter.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        file.synced = file.octets.len();
        Ok(())
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut platter = self.0.0.lock();
        platter.step()?;
        let file = platter.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        file.octets.truncate(length as usize);
        file.synced = file.synced.min(file.octets.len());
        Ok(())
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let platter = self.0.0.lock();
        let file = platter.files.get(&self.1).ok_or(io::ErrorKind::NotFound)?;
        let from = offset as usize;
        let part = file.octets.get(from..from + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(part);
        Ok(())
    }
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().files.get(&self.1).map_or(0, |file| file.octets.len() as u64))
    }
}

fn failed(error: &io::Error) -> StoreError {
    super::journal::io_error("the pretend shelf", error)
}

impl ShelfPlace for PretendDisk {
    fn open(&self) -> Result<Box<dyn Shelf>, StoreError> {
        Ok(Box::new(self.clone()))
    }
    fn move_aside(&self, _: Timestamp) -> Result<(), StoreError> {
        let mut platter = self.0.lock();
        platter.shelf.clear();
        platter.shelf_synced.clear();
        platter.shelf_pending.clear();
        Ok(())
    }
}

impl Shelf for PretendDisk {
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.lock().shelf.get(name).cloned())
    }
    fn scan(&self, prefix: &[u8], after: &[u8], limit: usize) -> Result<Vec<Item>, StoreError> {
        use std::ops::Bound;
        let platter = self.0.lock();
        let rest = platter.shelf.range::<[u8], _>((Bound::Excluded(after), Bound::Unbounded));
        let found = rest.take_while(|(name, _)| name.starts_with(prefix)).take(limit);
        Ok(found.map(|(name, value)| (name.clone(), value.clone())).collect())
    }
    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut platter = self.0.lock();
        platter.step().map_err(|error| failed(&error))?;
        put(&mut platter.shelf, &batch);
        platter.shelf_pending.push(batch);
        Ok(())
    }
    fn sync(&self) -> Result<(), StoreError> {
        let mut platter = self.0.lock();
        platter.step().map_err(|error| failed(&error))?;
        platter.shelf_pending.clear();
        platter.shelf_synced = platter.shelf.clone();
        Ok(())
    }
}
