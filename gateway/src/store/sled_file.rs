//! sled databases whose loss breaks no promise: opened without a panic, set aside when damaged, synced, copied while open.

use std::fs::File;
use std::path::Path;

use crate::clock::Timestamp;

const CACHE_OCTETS: u64 = 4 << 20;
/// Records that are written at once.
const AT_ONCE: usize = 1_000;

/// How a database is opened.
#[derive(Debug, Clone, Copy)]
pub struct Opening {
    /// Octets that sled keeps in memory, by its own count.
    pub cache_octets: u64,
    /// How often sled writes behind by itself, in milliseconds; `None`: only when it is told to.
    pub flush_every: Option<u64>,
}

impl Opening {
    /// Opens `path`. A database that does not open is put aside and begun anew; the text says so.
    pub fn open(self, path: &Path, now: Timestamp) -> Result<(sled::Db, Option<String>), String> {
        let problem = match self.try_open(path) {
            Ok(database) => return Ok((database, None)),
            Err(problem) => problem,
        };
        let aside = path.with_extension(format!("damaged-{}", now.seconds()));
        std::fs::rename(path, &aside).map_err(|error| format!("{problem}; moving it aside: {error}"))?;
        let told = format!("{problem}; it was moved to {} and begun anew", aside.display());
        Ok((self.try_open(path)?, Some(told)))
    }

    /// sled panics on some damage; that is an error like the others here.
    fn try_open(self, path: &Path) -> Result<sled::Db, String> {
        let config = sled::Config::new().path(path).cache_capacity(self.cache_octets).flush_every_ms(self.flush_every);
        let opened = std::thread::spawn(move || config.open()).join();
        opened.map_err(|_| "sled could not open it".to_owned())?.map_err(|error| error.to_string())
    }
}

/// Makes what was applied to the database in `path` survive a power cut: sled's flush alone does not.
pub fn sync(database: &sled::Db, path: &Path) -> Result<(), String> {
    database.flush().map_err(|error| error.to_string())?;
    let synced = File::open(path.join("db")).and_then(|file| file.sync_data());
    synced.map_err(|error| format!("syncing: {error}"))
}

/// Copies every tree of `database` into a new database in `target` and makes it durable. Each record is copied as it is
/// at that moment; who needs several of one moment keeps changes out meanwhile.
pub fn copy(database: &sled::Db, target: &Path) -> Result<(), String> {
    let failed = |error: sled::Error| error.to_string();
    let config = sled::Config::new().path(target).cache_capacity(CACHE_OCTETS).flush_every_ms(None);
    let copy = config.open().map_err(failed)?;
    for name in database.tree_names() {
        let (from, to) = (database.open_tree(&name).map_err(failed)?, copy.open_tree(&name).map_err(failed)?);
        let (mut batch, mut count) = (sled::Batch::default(), 0);
        for item in &from {
            let (key, value) = item.map_err(failed)?;
            batch.insert(key, value);
            count += 1;
            if count == AT_ONCE {
                to.apply_batch(std::mem::take(&mut batch)).map_err(failed)?;
                count = 0;
            }
        }
        to.apply_batch(batch).map_err(failed)?;
    }
    sync(&copy, target)
}
