//! A copy of the store while it works: the index at one checkpoint, and the segments up to that place, none of which
//! is unlinked before the copy is done.

use std::path::Path;
use std::sync::atomic::Ordering;

use super::journal::io_error;
use super::table::Position;
use super::{LocalStore, StoreError};

/// Keeps every segment that there is from being unlinked while it lives.
pub struct Pinned<'s>(&'s LocalStore);

impl LocalStore {
    /// Begins a copy.
    pub fn pin(&self) -> Pinned<'_> {
        // Under the index's lock: a checkpoint that is unlinking segments ends first.
        let _index = self.index.lock();
        self.pins.fetch_add(1, Ordering::AcqRel);
        Pinned(self)
    }

    /// Octets of a segment as they lie on disk.
    pub fn read_raw(&self, segment: u64, offset: u64, buffer: &mut [u8]) -> Result<(), StoreError> {
        let failed = |e| io_error("reading the journal", &e);
        self.disk.open(segment).and_then(|segment| segment.read_at(buffer, offset)).map_err(failed)
    }
}

impl Drop for Pinned<'_> {
    fn drop(&mut self) {
        self.0.pins.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Pinned<'_> {
    /// Writes a checkpoint and copies the index, as it is then, into the new folder `target`; the place in the
    /// journal that it is true for, and the letters in it.
    pub fn copy_index(&self, target: &Path) -> Result<(Position, u64), StoreError> {
        self.0.tick()?;
        self.0.index.lock().copy_to(target)
    }

    /// The segments that lie before `until`, with as many octets of each as do.
    pub fn segments(&self, until: Position) -> Result<Vec<(u64, u64)>, StoreError> {
        let failed = |e| io_error("listing the journal", &e);
        let mut found = Vec::new();
        for number in self.0.disk.list().map_err(failed)? {
            let length = || self.0.disk.open(number).and_then(|segment| segment.length()).map_err(failed);
            if number < until.segment {
                found.push((number, length()?));
            } else if number == until.segment {
                found.push((number, until.offset.min(length()?)));
            }
        }
        Ok(found)
    }
}
