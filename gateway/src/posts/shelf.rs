//! The shelf: records of posts, sealed at rest under their tenant's data key, with one sync for all who wait.
//!
//! Promises: a change is whole or absent after a crash, and when its [`Durable`] is done it survives a power cut; a
//! record opens only under its own key and place. After a sync that failed nothing is taken until a restart: what the
//! disk holds then is unknown. Values longer than a piece (48 KB) are cut into pieces.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use parking_lot::Mutex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use waxseal_keys::sealing::DataKey;

use super::PostError;
use super::disk::PostDisk;
use crate::ids::TenantId;
use crate::store::control::{DiskError, Write};
use crate::store::journal::TenantKeys;

const VERSION: u8 = 1;
const PIECE: usize = 48 << 10;
/// Waiters that share one sync at most; a bound on how long the first of them can be kept.
const GROUP: usize = 1024;

/// What kind of record; the first octet of its key. Numbers are never given to another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// [`super::Post`], by number.
    Post = 1,
    /// [`super::Body`], by the post's number; in pieces.
    Body = 2,
    /// [`super::Author`], by a keyed hash of the id.
    Author = 3,
    /// The rules, one record; in pieces.
    Rules = 4,
    /// What the filter has learned, one record; in pieces.
    Adaptation = 5,
    /// What was done at once, by number.
    Operation = 6,
}

fn key(kind: Kind, tenant: TenantId, name: &[u8]) -> Vec<u8> {
    [&[kind as u8], &tenant.0.to_be_bytes()[..], name].concat()
}

fn store_error(error: &dyn std::fmt::Display) -> PostError {
    PostError::Store(error.to_string())
}

/// A change that is being gathered; nothing of it is seen before [`Shelf::apply`].
#[derive(Default)]
pub struct Batch(Vec<Write>);

/// Done when what was applied before survives a power cut.
#[must_use = "a change that nobody waits for may be lost"]
pub struct Durable(oneshot::Receiver<Result<(), String>>);

impl Durable {
    /// Waits.
    pub async fn wait(self) -> Result<(), PostError> {
        self.0.await.unwrap_or_else(|_| Err("the store is closed".into())).map_err(PostError::Store)
    }

    /// Waits on this thread; for code that runs outside of the runtime.
    pub fn block(self) -> Result<(), PostError> {
        self.0.blocking_recv().unwrap_or_else(|_| Err("the store is closed".into())).map_err(PostError::Store)
    }
}

type Waiter = oneshot::Sender<Result<(), String>>;

/// See the module.
pub struct Shelf {
    disk: Arc<dyn PostDisk>,
    keys: Arc<dyn TenantKeys>,
    waiters: Sender<Waiter>,
    closed: Arc<Mutex<Option<String>>>,
}

impl Shelf {
    /// Starts the thread that syncs.
    pub fn new(disk: Arc<dyn PostDisk>, keys: Arc<dyn TenantKeys>) -> std::io::Result<Self> {
        let (waiters, waiting) = channel();
        let closed = Arc::new(Mutex::new(None));
        let (synced, stop) = (disk.clone(), closed.clone());
        std::thread::Builder::new().name("posts".into()).spawn(move || sync_groups(&*synced, &waiting, &stop))?;
        Ok(Self { disk, keys, waiters, closed })
    }

    fn data_key(&self, tenant: TenantId) -> Result<Arc<DataKey>, PostError> {
        self.keys.data_key(tenant).ok_or_else(|| PostError::Store(format!("tenant {} has no data key", tenant.0)))
    }

    /// A keyed hash, so that names of people do not stand in the database's keys.
    pub fn mac(&self, tenant: TenantId, data: &[u8]) -> Result<[u8; 32], PostError> {
        Ok(self.data_key(tenant)?.derive(b"", b"waxseal post names v1").mac(data))
    }

    /// Puts a record into a change.
    pub fn put<T: Serialize>(
        &self,
        batch: &mut Batch,
        kind: Kind,
        tenant: TenantId,
        name: &[u8],
        value: &T,
    ) -> Result<(), PostError> {
        let plain = postcard::to_stdvec(value).map_err(|error| store_error(&error))?;
        self.put_octets(batch, key(kind, tenant, name), tenant, &plain)
    }

    fn put_octets(&self, batch: &mut Batch, key: Vec<u8>, tenant: TenantId, plain: &[u8]) -> Result<(), PostError> {
        let mut sealed = self.data_key(tenant)?.seal(&key, plain).map_err(|error| store_error(&error))?;
        sealed.insert(0, VERSION);
        batch.0.push((key, Some(sealed)));
        Ok(())
    }

    /// Puts a long record into a change, in pieces; the pieces of a longer older one go.
    pub fn put_pieces<T: Serialize>(
        &self,
        batch: &mut Batch,
        kind: Kind,
        tenant: TenantId,
        name: &[u8],
        value: &T,
    ) -> Result<(), PostError> {
        let plain = postcard::to_stdvec(value).map_err(|error| store_error(&error))?;
        let mut count = 0u16;
        for piece in plain.chunks(PIECE) {
            let key = key(kind, tenant, &[name, &count.to_be_bytes()].concat());
            self.put_octets(batch, key, tenant, piece)?;
            count += 1;
        }
        self.remove_pieces_from(batch, kind, tenant, name, count)
    }

    fn remove_pieces_from(
        &self,
        batch: &mut Batch,
        kind: Kind,
        tenant: TenantId,
        name: &[u8],
        from: u16,
    ) -> Result<(), PostError> {
        let prefix = key(kind, tenant, name);
        let first = [prefix.as_slice(), &from.to_be_bytes()].concat();
        let mut old = Vec::new();
        let mut gather = |(key, _)| {
            if key >= first {
                old.push((key, None));
            }
            true
        };
        self.disk.scan(&prefix, &mut gather).map_err(|error| store_error(&error))?;
        batch.0.extend(old);
        Ok(())
    }

    /// Removes a record.
    pub fn remove(batch: &mut Batch, kind: Kind, tenant: TenantId, name: &[u8]) {
        batch.0.push((key(kind, tenant, name), None));
    }

    /// Removes a long record.
    pub fn remove_pieces(&self, batch: &mut Batch, kind: Kind, tenant: TenantId, name: &[u8]) -> Result<(), PostError> {
        self.remove_pieces_from(batch, kind, tenant, name, 0)
    }

    fn open(&self, tenant: TenantId, key: &[u8], value: &[u8]) -> Result<Vec<u8>, PostError> {
        match value.split_first() {
            Some((&VERSION, sealed)) => self.data_key(tenant)?.open(key, sealed).map_err(|error| store_error(&error)),
            _ => Err(PostError::Store("a record of an unknown version".into())),
        }
    }

    /// One record.
    pub fn get<T: DeserializeOwned>(&self, kind: Kind, tenant: TenantId, name: &[u8]) -> Result<Option<T>, PostError> {
        let key = key(kind, tenant, name);
        let Some(value) = self.disk.get(&key).map_err(|error| store_error(&error))? else { return Ok(None) };
        let plain = self.open(tenant, &key, &value)?;
        postcard::from_bytes(&plain).map(Some).map_err(|error| store_error(&error))
    }

    /// One long record.
    pub fn get_pieces<T: DeserializeOwned>(
        &self,
        kind: Kind,
        tenant: TenantId,
        name: &[u8],
    ) -> Result<Option<T>, PostError> {
        let mut pieces = Vec::new();
        let mut gather = |record| {
            pieces.push(record);
            true
        };
        self.disk.scan(&key(kind, tenant, name), &mut gather).map_err(|error| store_error(&error))?;
        if pieces.is_empty() {
            return Ok(None);
        }
        let mut plain = Vec::new();
        for (key, value) in pieces {
            plain.extend(self.open(tenant, &key, &value)?);
        }
        postcard::from_bytes(&plain).map(Some).map_err(|error| store_error(&error))
    }

    /// The tenants that have records of a kind.
    pub fn tenants(&self, kind: Kind) -> Result<Vec<TenantId>, PostError> {
        let mut tenants: Vec<TenantId> = Vec::new();
        let mut one = |(key, _): (Vec<u8>, Vec<u8>)| {
            let octets = key.get(1..5).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
            let tenant = octets.map(|octets| TenantId(u32::from_be_bytes(octets)));
            tenants.extend(tenant.filter(|tenant| tenants.last() != Some(tenant)));
            true
        };
        self.disk.scan(&[kind as u8], &mut one).map_err(|error| store_error(&error))?;
        Ok(tenants)
    }

    /// Every record of a kind, of every tenant that has a data key; one that does not open is counted, not returned.
    pub fn each<T: DeserializeOwned>(&self, kind: Kind, mut each: impl FnMut(TenantId, T)) -> Result<usize, PostError> {
        let mut damaged = 0;
        let mut one = |(key, value): (Vec<u8>, Vec<u8>)| {
            let opened = key
                .get(1..5)
                .and_then(|octets| <[u8; 4]>::try_from(octets).ok())
                .map(|octets| TenantId(u32::from_be_bytes(octets)))
                .and_then(|tenant| Some((tenant, self.open(tenant, &key, &value).ok()?)))
                .and_then(|(tenant, plain)| Some((tenant, postcard::from_bytes(&plain).ok()?)));
            match opened {
                Some((tenant, value)) => each(tenant, value),
                None => damaged += 1,
            }
            true
        };
        self.disk.scan(&[kind as u8], &mut one).map_err(|error| store_error(&error))?;
        Ok(damaged)
    }

    /// Applies a change: readers see it from now on.
    pub fn apply(&self, batch: &Batch) -> Result<(), PostError> {
        if let Some(why) = &*self.closed.lock() {
            return Err(PostError::Store(format!("closed until a restart: {why}")));
        }
        if batch.0.is_empty() {
            return Ok(());
        }
        self.disk.apply(&batch.0).map_err(|error| store_error(&error))
    }

    /// Copies everything into the new folder `target`, for a backup.
    pub fn copy_into(&self, target: &std::path::Path) -> Result<(), String> {
        self.disk.copy_into(target)
    }

    /// Asks for a sync of everything that was applied so far.
    pub fn durable(&self) -> Durable {
        let (done, waiting) = oneshot::channel();
        // A thread that is gone drops the sender, and the waiter is told.
        let _ = self.waiters.send(done);
        Durable(waiting)
    }
}

fn sync_groups(disk: &dyn PostDisk, waiting: &Receiver<Waiter>, closed: &Mutex<Option<String>>) {
    while let Ok(first) = waiting.recv() {
        let group: Vec<Waiter> = std::iter::once(first).chain(waiting.try_iter().take(GROUP - 1)).collect();
        let already = closed.lock().clone();
        let result = match already {
            Some(why) => Err(why),
            None => disk.sync().map_err(|error: DiskError| error.to_string()),
        };
        if let Err(why) = &result {
            closed.lock().get_or_insert_with(|| why.clone());
        }
        for waiter in group {
            // One who no longer waits has gone away by itself.
            let _ = waiter.send(result.clone());
        }
    }
}
