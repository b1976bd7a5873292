//! Control data: tenants, domains, credentials, keys, audit. Small, precious, kept apart from the queue.
//!
//! Promises: a change is applied whole or not at all, and survives a power cut before it is answered; it lies in
//! the database (sled) and in a sealed snapshot file, and either is enough; damage to one is mended from the
//! other and told in the [`OpenReport`]. Every value is sealed under the control key with its place bound in;
//! the control key and the tenants' data keys are wrapped under the key-encryption key (KEK). Refuses: another
//! KEK (nothing is touched), values over 64 KB (sled would put them into files that it does not sync), and every
//! change after one that failed half-way: what the disk then holds is known only after a restart.

mod change;
mod disk;
mod examine;
mod frozen;
mod rotate;
mod snapshot;
#[cfg(test)]
pub(crate) mod tests;

use std::path::Path;

use waxseal_keys::sealing::{DataKey, KeyEncryptionKey, KeyId, SealingError};

pub use change::{ChangeSet, Namespace};
use change::{State, bound_to, raw_key, wrap_context};
pub use disk::{ControlDisk, DiskError, LocalDisk, Record, Write};
use examine::{Database, examine};
pub use frozen::{ControlCopy, FrozenDisk};
pub use rotate::{Found, open_found};
use snapshot::{CONTROL_KEY_CONTEXT, Unreadable};

/// The most that one value may be, before sealing.
pub const MAX_VALUE: usize = 64 << 10;
/// Changes are appended to the snapshot until they outgrow both this and the records; then it is written anew.
const MIN_TAIL: u64 = 256 << 10;
const KEY_RECORD: &[u8] = b"\0key";
const STATE_RECORD: &[u8] = b"\0state";
const PAGE: usize = 1000;

/// Why the control store does not do what was asked. All are the operator's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The KEK is not the one that the store was made with.
    #[error(
        "the control store is sealed under key-encryption key {found}, but [crypto] kek gives key {given}; \
         nothing was changed: give it the right key"
    )]
    WrongKek {
        /// The key that the store names.
        found: KeyId,
        /// The key that was given.
        given: KeyId,
    },
    /// The configured KEK cannot be read, and no rotation noted where another is.
    #[error("there is no key-encryption key to open the control store with")]
    NoKek,
    /// Neither the database nor the snapshot can be read; both were left as they are.
    #[error(
        "the control store cannot be read: database: {database}; snapshot: {snapshot}; nothing was changed: \
         restore <data_dir>/control from a backup"
    )]
    Lost {
        /// What is wrong with the database.
        database: String,
        /// What is wrong with the snapshot.
        snapshot: String,
    },
    /// The disk refused.
    #[error("control store: {what}: {why}")]
    Disk {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        why: String,
    },
    /// An earlier change failed half-way; restart the gateway.
    #[error("the control store takes no changes until a restart: {0}")]
    Closed(String),
    /// A value over [`MAX_VALUE`].
    #[error("a control record of {0} octets is over the limit of {MAX_VALUE}")]
    TooLarge(usize),
    /// Sealing or opening failed.
    #[error("control store: {0}")]
    Sealing(#[from] SealingError),
}

fn disk_error(what: &'static str) -> impl FnOnce(DiskError) -> ControlError {
    move |error| ControlError::Disk { what, why: error.to_string() }
}

/// What [`ControlStore::open`] found and did. Anything but the default is worth telling the operator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OpenReport {
    /// There was nothing: a control key was made.
    pub first_start: bool,
    /// The database was rebuilt from the snapshot.
    pub rebuilt: Option<Rebuilt>,
    /// The snapshot was written anew, and why.
    pub snapshot_renewed: Option<String>,
}

/// A rebuild of the database from the snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// What was wrong with the database.
    pub reason: String,
    /// Where the damaged one was put.
    pub set_aside: String,
    /// The number of the last change that was brought back.
    pub generation: u64,
    /// Octets at the snapshot's end that could not be read: more than none may mean lost changes.
    pub torn_octets: u64,
}

/// The control store. One owner; reads take `&self`, changes `&mut self`. All calls block on the disk.
pub struct ControlStore {
    disk: Box<dyn ControlDisk>,
    kek: KeyEncryptionKey,
    wrapped_key: Vec<u8>,
    key: DataKey,
    state: State,
    /// Octets of the snapshot's records and of the changes appended to it.
    snapshot_base: u64,
    snapshot_tail: u64,
    closed: Option<String>,
}

impl ControlStore {
    /// Opens the store in `<data_dir>/control/`, making it if there is none.
    pub fn open(data_dir: &Path, kek: &KeyEncryptionKey) -> Result<(Self, OpenReport), ControlError> {
        let disk = LocalDisk::new(data_dir).map_err(disk_error("open"))?;
        Self::open_on(Box::new(disk), kek)
    }

    /// Opens the store on any disk.
    pub fn open_on(mut disk: Box<dyn ControlDisk>, kek: &KeyEncryptionKey) -> Result<(Self, OpenReport), ControlError> {
        let database = examine(disk.as_mut(), kek)?;
        let file = disk.read_snapshot().map_err(disk_error("read the snapshot"))?;
        let length = file.as_ref().map_or(0, Vec::len) as u64;
        let snapshot = match &file {
            None => Err(Unreadable::Damaged("there is none".to_owned())),
            Some(octets) => snapshot::read(octets, kek),
        };
        let mut report = OpenReport::default();
        let snapshot = match (&database, snapshot) {
            // Without a whole database the snapshot's word on the KEK is the only one.
            (Database::Empty | Database::Damaged(_), Err(Unreadable::OtherKek(error))) => {
                return Err(wrong_kek(error));
            }
            (Database::Empty, Err(_)) if file.is_none() => {
                report.first_start = true;
                return Self::first_start(disk, kek).map(|store| (store, report));
            }
            (Database::Empty, Err(Unreadable::Damaged(snapshot))) => {
                return Err(ControlError::Lost { database: "it is empty".to_owned(), snapshot });
            }
            (Database::Damaged(database), Err(Unreadable::Damaged(snapshot))) => {
                return Err(ControlError::Lost { database: database.clone(), snapshot });
            }
            (_, snapshot) => snapshot,
        };
        let (reason, contents) = match (database, snapshot) {
            (Database::Whole { wrapped_key, key, state }, snapshot) => {
                let usable = snapshot.ok().filter(|contents| contents.key.id() == key.id());
                match usable {
                    Some(contents) if contents.generation > state.generation => {
                        (format!("it fell back from change {} to {}", contents.generation, state.generation), contents)
                    }
                    usable => {
                        let mut store = Self::assemble(disk, kek, wrapped_key, key, state);
                        report.snapshot_renewed = store.adopt_snapshot(usable.as_ref(), length)?;
                        return Ok((store, report));
                    }
                }
            }
            (Database::Empty, Ok(contents)) => ("it is empty".to_owned(), contents),
            (Database::Damaged(reason), Ok(contents)) => (reason, contents),
            // Both were answered above.
            (_, Err(_)) => return Err(ControlError::Closed("no snapshot to rebuild from".to_owned())),
        };
        let (store, rebuilt) = Self::rebuild(disk, kek, contents, reason)?;
        report.rebuilt = Some(rebuilt);
        Ok((store, report))
    }

    fn assemble(
        disk: Box<dyn ControlDisk>,
        kek: &KeyEncryptionKey,
        wrapped_key: Vec<u8>,
        key: DataKey,
        state: State,
    ) -> Self {
        let kek = kek.clone();
        Self { disk, kek, wrapped_key, key, state, snapshot_base: 0, snapshot_tail: 0, closed: None }
    }

    fn first_start(disk: Box<dyn ControlDisk>, kek: &KeyEncryptionKey) -> Result<Self, ControlError> {
        let key = DataKey::generate()?;
        let wrapped_key = kek.wrap(&key, CONTROL_KEY_CONTEXT)?;
        let mut store = Self::assemble(disk, kek, wrapped_key, key, State::default());
        let writes = vec![(KEY_RECORD.to_vec(), Some(store.wrapped_key.clone())), store.state_record(&store.state)?];
        store.disk.apply(&writes).map_err(disk_error("first write"))?;
        store.disk.sync_database().map_err(disk_error("first sync"))?;
        store.renew_snapshot()?;
        Ok(store)
    }

    /// Keeps the snapshot file if it says exactly what the database says; else writes it anew and says why.
    fn adopt_snapshot(
        &mut self,
        contents: Option<&snapshot::Contents>,
        length: u64,
    ) -> Result<Option<String>, ControlError> {
        let why = match contents {
            None => "it was missing, damaged or under another key",
            Some(contents) if contents.torn > 0 => "its last change was not wholly written",
            Some(contents) if contents.generation < self.state.generation => "it lacked the last change",
            Some(contents) => {
                self.snapshot_base = length - contents.tail;
                self.snapshot_tail = contents.tail;
                return Ok(None);
            }
        };
        self.renew_snapshot()?;
        Ok(Some(why.to_owned()))
    }

    fn rebuild(
        mut disk: Box<dyn ControlDisk>,
        kek: &KeyEncryptionKey,
        contents: snapshot::Contents,
        reason: String,
    ) -> Result<(Self, Rebuilt), ControlError> {
        let set_aside = disk.set_database_aside().map_err(disk_error("set the damaged database aside"))?;
        let wrapped_key = kek.wrap(&contents.key, CONTROL_KEY_CONTEXT)?;
        let mut state = State { generation: contents.generation, ..State::default() };
        for (key, sealed) in &contents.records {
            state.toggle(&contents.key, key, sealed);
        }
        let rebuilt = Rebuilt { reason, set_aside, generation: contents.generation, torn_octets: contents.torn };
        let mut store = Self::assemble(disk, kek, wrapped_key, contents.key, state);
        let mut writes: Vec<Write> = contents.records.into_iter().map(|(key, value)| (key, Some(value))).collect();
        writes.push((KEY_RECORD.to_vec(), Some(store.wrapped_key.clone())));
        // The state comes last: until it is there, the next start sees an unfinished rebuild and does it again.
        for page in writes.chunks(PAGE) {
            store.disk.apply(page).map_err(disk_error("rebuild"))?;
        }
        store.disk.sync_database().map_err(disk_error("rebuild"))?;
        store.disk.apply(&[store.state_record(&store.state)?]).map_err(disk_error("rebuild"))?;
        store.disk.sync_database().map_err(disk_error("rebuild"))?;
        store.renew_snapshot()?;
        Ok((store, rebuilt))
    }

    fn state_record(&self, state: &State) -> Result<Write, ControlError> {
        // postcard fails only on types without a known length; this one has none.
        let plain = postcard::to_stdvec(state).map_err(|_| SealingError::Format)?;
        Ok((STATE_RECORD.to_vec(), Some(self.key.seal(&bound_to(STATE_RECORD), &plain)?)))
    }

    /// Why no change is taken until a restart, if that is so.
    pub fn closed(&self) -> Option<&str> {
        self.closed.as_deref()
    }

    /// How many changes there have been.
    pub fn generation(&self) -> u64 {
        self.state.generation
    }

    /// One value.
    pub fn get(&self, namespace: Namespace, key: &[u8]) -> Result<Option<Vec<u8>>, ControlError> {
        let raw = raw_key(namespace, key);
        let sealed = self.disk.get(&raw).map_err(disk_error("read"))?;
        Ok(sealed.map(|sealed| self.key.open(&bound_to(&raw), &sealed)).transpose()?)
    }

    /// Values of a namespace whose key comes after `after`, in the order of keys, at most `limit`.
    pub fn page(&self, namespace: Namespace, after: Option<&[u8]>, limit: usize) -> Result<Vec<Record>, ControlError> {
        let after = after.map(|after| raw_key(namespace, after));
        let records = self.disk.scan(&[namespace as u8], after.as_deref(), limit).map_err(disk_error("read"))?;
        records
            .into_iter()
            .map(|(raw, sealed)| Ok((raw[1..].to_vec(), self.key.open(&bound_to(&raw), &sealed)?)))
            .collect()
    }

    /// All values of a namespace.
    pub fn all(&self, namespace: Namespace) -> Result<Vec<Record>, ControlError> {
        let mut all = Vec::new();
        loop {
            let after = all.last().map(|(key, _): &Record| key.clone());
            let page = self.page(namespace, after.as_deref(), PAGE)?;
            let last = page.len() < PAGE;
            all.extend(page);
            if last {
                return Ok(all);
            }
        }
    }

    /// A data key wrapped under the KEK, to be kept under `key` in [`Namespace::DataKey`].
    pub fn wrap(&self, key: &[u8], data_key: &DataKey) -> Result<Vec<u8>, ControlError> {
        Ok(self.kek.wrap(data_key, &wrap_context(key))?)
    }

    /// A key for records that lie elsewhere; the same for the same label, whatever becomes of the KEK.
    pub fn derive(&self, label: &[u8]) -> DataKey {
        self.key.derive(b"", label)
    }

    /// The inverse of [`ControlStore::wrap`].
    pub fn unwrap(&self, key: &[u8], wrapped: &[u8]) -> Result<DataKey, ControlError> {
        Ok(self.kek.unwrap(wrapped, &wrap_context(key))?)
    }

    /// Makes a change; when this returns, it survives a power cut. After [`ControlError::Disk`] it may or may not
    /// have happened, and the store takes no other change until it is opened again.
    pub fn change(&mut self, changes: &ChangeSet) -> Result<(), ControlError> {
        self.check_open()?;
        let writes = self.seal_changes(changes)?;
        self.commit(writes, false)
    }

    fn check_open(&self) -> Result<(), ControlError> {
        self.closed.as_ref().map_or(Ok(()), |why| Err(ControlError::Closed(why.clone())))
    }

    fn seal_changes(&self, changes: &ChangeSet) -> Result<Vec<Write>, ControlError> {
        let seal = |(raw, value): (&Vec<u8>, &Option<Vec<u8>>)| match value {
            Some(value) if value.len() > MAX_VALUE => Err(ControlError::TooLarge(value.len())),
            Some(value) => Ok((raw.clone(), Some(self.key.seal(&bound_to(raw), value)?))),
            None => Ok((raw.clone(), None)),
        };
        changes.0.iter().map(seal).collect()
    }

    /// The steps of a change. Before the first of them nothing has happened; from the first failure on, closed.
    fn commit(&mut self, writes: Vec<Write>, whole_snapshot: bool) -> Result<(), ControlError> {
        let mut state = State { generation: self.state.generation + 1, ..self.state.clone() };
        for (key, value) in writes.iter().filter(|(key, _)| key != KEY_RECORD) {
            if let Some(old) = self.disk.get(key).map_err(disk_error("read"))? {
                state.toggle(&self.key, key, &old);
            }
            if let Some(new) = value {
                state.toggle(&self.key, key, new);
            }
        }
        let mut batch = writes.clone();
        batch.push(self.state_record(&state)?);
        let result = self.persist(&batch, writes, state, whole_snapshot);
        if let Err(error) = &result {
            self.closed = Some(error.to_string());
        }
        result
    }

    fn persist(
        &mut self,
        batch: &[Write],
        writes: Vec<Write>,
        state: State,
        whole_snapshot: bool,
    ) -> Result<(), ControlError> {
        self.disk.apply(batch).map_err(disk_error("write"))?;
        self.disk.sync_database().map_err(disk_error("sync"))?;
        self.state = state;
        if whole_snapshot || self.snapshot_tail > MIN_TAIL.max(self.snapshot_base) {
            return self.renew_snapshot();
        }
        let frame = snapshot::change_frame(&self.key, self.state.generation, writes)?;
        self.disk.append_snapshot(&frame).map_err(disk_error("append to the snapshot"))?;
        self.disk.sync_snapshot().map_err(disk_error("sync the snapshot"))?;
        self.snapshot_tail += frame.len() as u64;
        Ok(())
    }

    /// The octets of a snapshot file of everything as it is now.
    fn whole_snapshot(&self) -> Result<Vec<u8>, ControlError> {
        let mut records: Vec<Write> = Vec::new();
        loop {
            // Namespace 0 is the store's own; the first key after it is `[1]`.
            let after = records.last().map_or_else(|| vec![1], |(key, _)| key.clone());
            let page = self.disk.scan(&[], Some(&after), PAGE).map_err(disk_error("read"))?;
            let last = page.len() < PAGE;
            records.extend(page.into_iter().map(|(key, value)| (key, Some(value))));
            if last {
                break;
            }
        }
        Ok(snapshot::whole(&self.wrapped_key, &self.key, self.state.generation, records)?)
    }

    fn renew_snapshot(&mut self) -> Result<(), ControlError> {
        let file = self.whole_snapshot()?;
        self.disk.write_new_snapshot(&file).map_err(disk_error("write the snapshot"))?;
        self.disk.sync_new_snapshot().map_err(disk_error("sync the snapshot"))?;
        self.disk.rename_new_snapshot().map_err(disk_error("rename the snapshot"))?;
        self.disk.sync_directory().map_err(disk_error("sync the folder"))?;
        self.snapshot_base = file.len() as u64;
        self.snapshot_tail = 0;
        Ok(())
    }
}

fn wrong_kek(error: SealingError) -> ControlError {
    match error {
        SealingError::OtherKey { found, expected } => ControlError::WrongKek { found, given: expected },
        error => ControlError::Sealing(error),
    }
}
