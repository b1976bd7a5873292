//! Where the index lies: names and values in order, batches that are whole or not there. Behind a trait, as the
//! journal's disk is, so that a simulated power cut can take back what was not synced.
//!
//! The real one is sled. One tree, since sled applies a batch to one tree atomically; `flush`, then `fdatasync` of
//! sled's own file: sled 0.34 flushes with `sync_file_range`, which does not survive a power cut.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::StoreError;
use super::journal::io_error;
use crate::clock::Timestamp;

const TREE: &str = "queue";
const CACHE_OCTETS: u64 = 16 << 20;

/// A name and its value, or `None` to remove it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// A name and its value.
pub type Item = (Vec<u8>, Vec<u8>);

/// Names and values.
pub trait Shelf: Send + Sync {
    /// One value.
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
    /// Names that begin with `prefix` and come after `after`, with their values, in order, at most `limit`.
    fn scan(&self, prefix: &[u8], after: &[u8], limit: usize) -> Result<Vec<Item>, StoreError>;
    /// Applies all of it; after a crash all or none, and none without those before.
    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError>;
    /// Makes what was applied survive a power cut.
    fn sync(&self) -> Result<(), StoreError>;
}

/// Where a shelf is.
pub trait ShelfPlace: Send + Sync {
    /// Opens it, making an empty one if there is none.
    fn open(&self) -> Result<Box<dyn Shelf>, StoreError>;
    /// Moves a damaged one out of the way; deletes nothing.
    fn move_aside(&self, now: Timestamp) -> Result<(), StoreError>;
}

struct SledShelf {
    path: PathBuf,
    database: sled::Db,
    tree: sled::Tree,
}

fn sled_error(what: &str, error: &sled::Error) -> StoreError {
    StoreError::Io { what: what.to_owned(), why: error.to_string() }
}

impl ShelfPlace for PathBuf {
    /// sled panics on some damage: that is an error here.
    fn open(&self) -> Result<Box<dyn Shelf>, StoreError> {
        let path = self.clone();
        let opening = std::thread::spawn(move || -> Result<SledShelf, sled::Error> {
            let database = sled::Config::new().path(&path).cache_capacity(CACHE_OCTETS).flush_every_ms(None).open()?;
            let tree = database.open_tree(TREE)?;
            Ok(SledShelf { path, database, tree })
        });
        match opening.join() {
            Ok(opened) => Ok(Box::new(opened.map_err(|e| sled_error("opening the index", &e))?)),
            Err(_) => Err(StoreError::Damaged("sled could not open the index".into())),
        }
    }

    fn move_aside(&self, now: Timestamp) -> Result<(), StoreError> {
        let path: &Path = self;
        let names = (0..).map(|n| path.with_extension(format!("damaged-{}", now.seconds() + n)));
        let aside = names.into_iter().find(|aside| !aside.exists()).unwrap_or_else(|| path.with_extension("damaged"));
        std::fs::rename(path, aside).map_err(|e| io_error("moving the damaged index aside", &e))
    }
}

impl Shelf for SledShelf {
    fn get(&self, name: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let value = self.tree.get(name).map_err(|e| sled_error("reading the index", &e))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], after: &[u8], limit: usize) -> Result<Vec<Item>, StoreError> {
        use std::ops::Bound;
        let rest = self.tree.range::<&[u8], _>((Bound::Excluded(after), Bound::Unbounded));
        let mut found = Vec::new();
        for item in rest.take(limit) {
            let (name, value) = item.map_err(|e| sled_error("reading the index", &e))?;
            if !name.starts_with(prefix) {
                break;
            }
            found.push((name.to_vec(), value.to_vec()));
        }
        Ok(found)
    }

    fn apply(&self, batch: Vec<Write>) -> Result<(), StoreError> {
        let mut writes = sled::Batch::default();
        for (name, value) in batch {
            match value {
                Some(value) => writes.insert(name, value),
                None => writes.remove(name),
            }
        }
        self.tree.apply_batch(writes).map_err(|e| sled_error("writing the index", &e))
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.database.flush().map_err(|e| sled_error("flushing the index", &e))?;
        let file = File::open(self.path.join("db")).map_err(|e| io_error("opening sled's file", &e))?;
        file.sync_data().map_err(|e| io_error("syncing sled's file", &e))
    }
}
