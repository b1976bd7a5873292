//! The index: the table's checkpoint, so that a start reads the journal's tail only, and the records of letters that
//! the table does not keep in memory.
//!
//! One batch a checkpoint (letters, removals, idempotency keys and the journal position together), then a sync.
//! Records and keys are sealed under the tenant's data key; what a letter's summary says (tenant number, place,
//! times, counts of recipients) is not, as the journal's frame headers are not: a start reads a million of them in a
//! second. If the index does not open, or a value does not, it is moved aside and the journal tells
//! everything again.

use serde::{Deserialize, Serialize};

use super::journal::TenantKeys;
use super::shelf::Shelf;
use super::table::{Changes, Position, Summary, Table};
use super::{LetterRecord, StoreError};
use crate::clock::Timestamp;
use crate::ids::{LetterId, TenantId};

const POSITION: &[u8] = b"position";
const SUMMARY: u8 = b'S';
const RECORD: u8 = b'R';
const KEY: u8 = b'K';
const VERSION: u8 = 2;
const PAGE: usize = 4096;

/// See the module.
pub struct Index(Box<dyn Shelf>);

#[derive(Serialize, Deserialize)]
struct IndexedKey {
    tenant: TenantId,
    key: String,
    id: LetterId,
    end: Timestamp,
}

fn name(kind: u8, rest: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(1 + rest.len());
    name.push(kind);
    name.extend_from_slice(rest);
    name
}

fn damaged(what: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged(what.to_string())
}

fn plain<T: Serialize>(value: &T) -> Result<Vec<u8>, StoreError> {
    postcard::to_stdvec(value).map_err(damaged)
}

impl Index {
    /// On this shelf.
    pub fn new(shelf: Box<dyn Shelf>) -> Self {
        Self(shelf)
    }

    /// Reads the summaries and keys into the table and returns the position that they are true for.
    pub fn load(&self, keys: &dyn TenantKeys, table: &mut Table) -> Result<Position, StoreError> {
        let position = self.position()?;
        self.each(SUMMARY, |name, value| {
            let id: [u8; 16] = name.try_into().map_err(|_| damaged("a name in the index is cut"))?;
            let summary: Summary = postcard::from_bytes(value).map_err(damaged)?;
            table.restore(LetterId::from_bytes(id), summary);
            Ok(())
        })?;
        self.each(KEY, |name, value| {
            let kept: IndexedKey = open_value(keys, name, value)?;
            table.restore_key((kept.tenant, kept.key), (kept.id, kept.end));
            Ok(())
        })?;
        Ok(position)
    }

    fn each(&self, kind: u8, mut look: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let mut after = vec![kind];
        loop {
            let page = self.0.scan(&[kind], &after, PAGE)?;
            for (name, value) in &page {
                look(&name[1..], value)?;
            }
            match page.into_iter().next_back() {
                Some((last, _)) => after = last,
                None => return Ok(()),
            }
        }
    }

    /// The place in the journal that this is true for; the journal's beginning for a new index.
    pub fn position(&self) -> Result<Position, StoreError> {
        let stored = self.0.get(POSITION)?;
        stored.map_or(Ok(Position::default()), |octets| postcard::from_bytes(&octets).map_err(damaged))
    }

    /// A letter's record as of the last checkpoint; `None` if it had ended by then.
    pub fn record(&self, tenants: &dyn TenantKeys, id: LetterId) -> Result<Option<LetterRecord>, StoreError> {
        let id = id.to_bytes();
        let stored = self.0.get(&name(RECORD, &id))?;
        stored.map(|sealed| open_value(tenants, &id, &sealed)).transpose()
    }

    /// Writes a checkpoint; durable when it returns.
    pub fn write(
        &self,
        tenants: &dyn TenantKeys,
        changes: &Changes,
        old_keys: &[(TenantId, String)],
    ) -> Result<(), StoreError> {
        let mut batch = Vec::with_capacity(2 * changes.upserts.len() + changes.removals.len() * 2 + 1);
        for (tenant, key) in old_keys {
            batch.push((name(KEY, &key_name(tenants, *tenant, key)?), None));
        }
        for ((tenant, key), (id, end)) in &changes.keys {
            let mac = key_name(tenants, *tenant, key)?;
            let kept = IndexedKey { tenant: *tenant, key: key.clone(), id: *id, end: *end };
            batch.push((name(KEY, &mac), Some(seal_value(tenants, *tenant, &mac, &kept)?)));
        }
        for (record, summary) in &changes.upserts {
            let id = record.id.to_bytes();
            batch.push((name(SUMMARY, &id), Some(plain(summary)?)));
            batch.push((name(RECORD, &id), Some(seal_value(tenants, record.tenant, &id, record)?)));
        }
        for id in &changes.removals {
            batch.push((name(SUMMARY, &id.to_bytes()), None));
            batch.push((name(RECORD, &id.to_bytes()), None));
        }
        batch.push((POSITION.to_vec(), Some(plain(&changes.position)?)));
        self.0.apply(batch)?;
        self.0.sync()
    }

    /// Copies everything as it lies to an empty shelf, durable when it returns; the position that it is true for and
    /// the number of letters.
    pub fn copy_to(&self, copy: &dyn Shelf) -> Result<(Position, u64), StoreError> {
        let (mut after, mut letters) = (Vec::new(), 0);
        loop {
            let page = self.0.scan(&[], &after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            letters += page.iter().filter(|(name, _)| name.first() == Some(&SUMMARY)).count() as u64;
            copy.apply(page.into_iter().map(|(name, value)| (name, Some(value))).collect())?;
        }
        copy.sync()?;
        Ok((self.position()?, letters))
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
    tenants.data_key(tenant).ok_or_else(|| damaged(format!("no data key of tenant {}", tenant.0)))
}

fn seal_value<T: Serialize>(
    tenants: &dyn TenantKeys,
    tenant: TenantId,
    name: &[u8],
    value: &T,
) -> Result<Vec<u8>, StoreError> {
    let sealed = data_key(tenants, tenant)?.seal(name, &plain(value)?).map_err(damaged)?;
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
    let short = || damaged("an index value is cut");
    let (head, sealed) = octets.split_at_checked(5).ok_or_else(short)?;
    if head[0] != VERSION {
        return Err(damaged(format!("an index value of version {}", head[0])));
    }
    let tenant = TenantId(u32::from_be_bytes(head[1..].try_into().map_err(|_| short())?));
    let plain = data_key(tenants, tenant)?.open(name, sealed).map_err(damaged)?;
    postcard::from_bytes(&plain).map_err(damaged)
}
