//! The index: the table's checkpoint in sled, so that a start reads the journal's tail only.
//!
//! One batch a checkpoint (letters, removals and the journal position together: sled applies a batch to one tree
//! atomically), then `flush`, then `fdatasync` of sled's own file: sled 0.34 flushes with `sync_file_range`, which
//! does not survive a power cut. Values are sealed under the tenant's data key. If sled does not open, or a value
//! does not, the folder is moved aside and the journal tells everything again.

use std::fs::File;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::journal::{TenantKeys, io_error};
use super::table::{Changes, Location, Position, Table};
use super::{LetterRecord, StoreError};
use crate::clock::Timestamp;
use crate::ids::{LetterId, TenantId};

const LETTERS: &str = "letters";
const KEYS: &str = "idempotency";
const POSITION: &[u8] = b"position";
const VERSION: u8 = 1;
const CACHE_OCTETS: u64 = 16 << 20;
const COPIED_AT_ONCE: usize = 1000;

/// The sled database and its folder.
pub struct Index {
    path: PathBuf,
    database: sled::Db,
    letters: sled::Tree,
    keys: sled::Tree,
}

#[derive(Serialize, Deserialize)]
struct Indexed {
    record: LetterRecord,
    location: Location,
}

#[derive(Serialize, Deserialize)]
struct IndexedKey {
    tenant: TenantId,
    key: String,
    id: LetterId,
    end: Timestamp,
}

fn sled_error(what: &str, error: &sled::Error) -> StoreError {
    StoreError::Io { what: what.to_owned(), why: error.to_string() }
}

impl Index {
    /// Opens the index; a damaged one (sled panics on some damage) is an error, not a panic.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let folder = path.to_owned();
        let opening = std::thread::spawn(move || -> Result<Self, sled::Error> {
            let database =
                sled::Config::new().path(&folder).cache_capacity(CACHE_OCTETS).flush_every_ms(None).open()?;
            let letters = database.open_tree(LETTERS)?;
            let keys = database.open_tree(KEYS)?;
            Ok(Self { path: folder, database, letters, keys })
        });
        match opening.join() {
            Ok(opened) => opened.map_err(|e| sled_error("opening the index", &e)),
            Err(_) => Err(StoreError::Damaged("sled could not open the index".into())),
        }
    }

    /// Moves a damaged index out of the way.
    pub fn move_aside(path: &Path, now: Timestamp) -> Result<(), StoreError> {
        let aside = path.with_extension(format!("damaged-{}", now.seconds()));
        std::fs::rename(path, aside).map_err(|e| io_error("moving the damaged index aside", &e))
    }

    /// Reads everything into the table and returns the position that it is true for.
    pub fn load(&self, keys: &dyn TenantKeys, table: &mut Table) -> Result<Position, StoreError> {
        let mut position = Position::default();
        for item in &self.letters {
            let (key, value) = item.map_err(|e| sled_error("reading the index", &e))?;
            if key == POSITION {
                position = postcard::from_bytes(&value).map_err(|e| StoreError::Damaged(e.to_string()))?;
            } else {
                let Indexed { record, location } = open_value(keys, &key, &value)?;
                table.restore(record, location);
            }
        }
        for item in &self.keys {
            let (key, value) = item.map_err(|e| sled_error("reading the index", &e))?;
            let kept: IndexedKey = open_value(keys, &key, &value)?;
            table.restore_key((kept.tenant, kept.key), (kept.id, kept.end));
        }
        Ok(position)
    }

    /// Copies everything as it lies, sealed, into a new database in `target`, durable when it returns; the position
    /// that it is true for and the number of letters.
    pub fn copy_to(&self, target: &Path) -> Result<(Position, u64), StoreError> {
        let copy = Self::open(target)?;
        let (mut position, mut letters) = (Position::default(), 0);
        for (from, to, is_letters) in [(&self.letters, &copy.letters, true), (&self.keys, &copy.keys, false)] {
            let mut batch = sled::Batch::default();
            for (count, item) in from.iter().enumerate() {
                let (key, value) = item.map_err(|e| sled_error("reading the index", &e))?;
                if key == POSITION {
                    position = postcard::from_bytes(&value).map_err(|e| StoreError::Damaged(e.to_string()))?;
                } else if is_letters {
                    letters += 1;
                }
                batch.insert(key, value);
                if count % COPIED_AT_ONCE == COPIED_AT_ONCE - 1 {
                    let full = std::mem::take(&mut batch);
                    to.apply_batch(full).map_err(|e| sled_error("copying the index", &e))?;
                }
            }
            to.apply_batch(batch).map_err(|e| sled_error("copying the index", &e))?;
        }
        copy.sync()?;
        Ok((position, letters))
    }

    /// Writes a checkpoint; durable when it returns.
    pub fn write(&self, tenants: &dyn TenantKeys, changes: &Changes) -> Result<(), StoreError> {
        for ((tenant, key), (id, end)) in &changes.keys {
            let name = key_name(tenants, *tenant, key)?;
            let kept = IndexedKey { tenant: *tenant, key: key.clone(), id: *id, end: *end };
            let value = seal_value(tenants, *tenant, &name, &kept)?;
            self.keys.insert(name, value).map_err(|e| sled_error("writing the index", &e))?;
        }
        let mut batch = sled::Batch::default();
        for (record, location) in &changes.upserts {
            let key = record.id.to_bytes();
            let value = Indexed { record: record.clone(), location: *location };
            batch.insert(&key, seal_value(tenants, record.tenant, &key, &value)?);
        }
        for id in &changes.removals {
            batch.remove(&id.to_bytes());
        }
        let position = postcard::to_stdvec(&changes.position).map_err(|e| StoreError::Damaged(e.to_string()))?;
        batch.insert(POSITION, position);
        self.letters.apply_batch(batch).map_err(|e| sled_error("writing the index", &e))?;
        self.sync()
    }

    /// Removes idempotency keys that are too old.
    pub fn forget_keys(&self, tenants: &dyn TenantKeys, old: &[(TenantId, String)]) -> Result<(), StoreError> {
        for (tenant, key) in old {
            let name = key_name(tenants, *tenant, key)?;
            self.keys.remove(name).map_err(|e| sled_error("writing the index", &e))?;
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.database.flush().map_err(|e| sled_error("flushing the index", &e))?;
        let file = File::open(self.path.join("db")).map_err(|e| io_error("opening sled's file", &e))?;
        file.sync_data().map_err(|e| io_error("syncing sled's file", &e))
    }
}

/// The name under which an idempotency key lies: a keyed hash, since clients put order numbers and worse into it.
fn key_name(tenants: &dyn TenantKeys, tenant: TenantId, key: &str) -> Result<[u8; 32], StoreError> {
    Ok(data_key(tenants, tenant)?.mac(key.as_bytes()))
}

fn data_key(
    tenants: &dyn TenantKeys,
    tenant: TenantId,
) -> Result<std::sync::Arc<waxseal_keys::sealing::DataKey>, StoreError> {
    tenants.data_key(tenant).ok_or_else(|| StoreError::Damaged(format!("no data key of tenant {}", tenant.0)))
}

fn seal_value<T: Serialize>(
    tenants: &dyn TenantKeys,
    tenant: TenantId,
    name: &[u8],
    value: &T,
) -> Result<Vec<u8>, StoreError> {
    let damaged = |e: &dyn std::fmt::Display| StoreError::Damaged(e.to_string());
    let plain = postcard::to_stdvec(value).map_err(|e| damaged(&e))?;
    let sealed = data_key(tenants, tenant)?.seal(name, &plain).map_err(|e| damaged(&e))?;
    let mut octets = Vec::with_capacity(5 + sealed.len());
    octets.push(VERSION);
    octets.extend_from_slice(&tenant.0.to_be_bytes());
    octets.extend_from_slice(&sealed);
    Ok(octets)
}

fn open_value<T: for<'de> Deserialize<'de>>(
    tenants: &dyn TenantKeys,
    name: &[u8],
    octets: &[u8],
) -> Result<T, StoreError> {
    let short = || StoreError::Damaged("an index value is cut".into());
    let (head, sealed) = octets.split_at_checked(5).ok_or_else(short)?;
    if head[0] != VERSION {
        return Err(StoreError::Damaged(format!("an index value of version {}", head[0])));
    }
    let tenant = TenantId(u32::from_be_bytes(head[1..].try_into().map_err(|_| short())?));
    let plain = data_key(tenants, tenant)?.open(name, sealed).map_err(|e| StoreError::Damaged(e.to_string()))?;
    postcard::from_bytes(&plain).map_err(|e| StoreError::Damaged(e.to_string()))
}
