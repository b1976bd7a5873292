//! Changing the key-encryption key (KEK) while the store is open, and finding the right one at any start in between.
//!
//! Promises: the control key and every data key are wrapped anew in one change; before it, a reference to the new
//! KEK (where it is, never what it is) is durable beside the store. So at every moment a start with the configuration
//! as it was finds a KEK that opens the store, whichever of the two it is by then, whatever crashed. References are
//! kept until a start finds that the configuration itself names the right one. Refuses: to guess; a KEK is tried
//! only if the configuration or a reference names it.

use waxseal_keys::sealing::{KeyEncryptionKey, KeyId};

use super::change::wrap_context;
use super::disk::DiskError;
use super::snapshot::CONTROL_KEY_CONTEXT;
use super::{ChangeSet, ControlDisk, ControlError, ControlStore, KEY_RECORD, Namespace, OpenReport, disk_error};

/// A store that was opened, and by what.
pub struct Found {
    /// The store.
    pub store: ControlStore,
    /// What opening found.
    pub report: OpenReport,
    /// The reference that led to the KEK, if it was not the configured one.
    pub by_reference: Option<String>,
}

fn references(disk: &dyn ControlDisk) -> Result<Vec<String>, ControlError> {
    let octets = disk.read_references().map_err(disk_error("read the KEK references"))?;
    let text = String::from_utf8_lossy(&octets.unwrap_or_default()).into_owned();
    Ok(text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect())
}

/// Opens the store with the configured KEK, or, if it is sealed under another, with one that a rotation referred to.
/// `configured` is `None` where the configured one cannot be read; `read` follows a reference.
pub fn open_found(
    disk: impl Fn() -> Result<Box<dyn ControlDisk>, DiskError>,
    configured: Option<&KeyEncryptionKey>,
    read: &dyn Fn(&str) -> Option<KeyEncryptionKey>,
) -> Result<Found, ControlError> {
    let fresh = || disk().map_err(disk_error("open"));
    let refused = match configured {
        None => ControlError::NoKek,
        Some(kek) => match ControlStore::open_on(fresh()?, kek) {
            Ok((store, report)) => {
                store.forget_references()?;
                return Ok(Found { store, report, by_reference: None });
            }
            Err(error @ ControlError::WrongKek { .. }) => error,
            Err(error) => return Err(error),
        },
    };
    // The newest first: it is the likeliest.
    let known = references(fresh()?.as_ref())?;
    for reference in known.into_iter().rev() {
        let Some(kek) = read(&reference) else { continue };
        match ControlStore::open_on(fresh()?, &kek) {
            Ok((store, report)) => return Ok(Found { store, report, by_reference: Some(reference) }),
            Err(ControlError::WrongKek { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Err(refused)
}

impl ControlStore {
    /// Which KEK the store is sealed under.
    pub fn kek_id(&self) -> KeyId {
        self.kek.id()
    }

    /// A key for another purpose, derived from the KEK.
    pub fn derive_from_kek(&self, salt: &[u8], label: &[u8]) -> [u8; 32] {
        self.kek.derive(salt, label)
    }

    /// Wraps the control key and every data key under another KEK, in one change, after noting where it is. A crash
    /// leaves a store that opens with the old or the new one, and [`open_found`] finds which.
    pub fn rewrap(&mut self, new_kek: &KeyEncryptionKey, reference: &str) -> Result<(), ControlError> {
        self.check_open()?;
        let mut changes = ChangeSet::default();
        for (key, wrapped) in self.all(Namespace::DataKey)? {
            let data_key = self.unwrap(&key, &wrapped)?;
            changes.put(Namespace::DataKey, &key, new_kek.wrap(&data_key, &wrap_context(&key))?);
        }
        let mut writes = self.seal_changes(&changes)?;
        let wrapped_key = new_kek.wrap(&self.key, CONTROL_KEY_CONTEXT)?;
        writes.push((KEY_RECORD.to_vec(), Some(wrapped_key.clone())));
        self.note_reference(reference)?;
        self.wrapped_key = wrapped_key;
        self.kek = new_kek.clone();
        self.commit(writes, true)
    }

    /// Adds to the references that are there: those of earlier rotations count until the configuration has caught up.
    fn note_reference(&self, reference: &str) -> Result<(), ControlError> {
        let mut all = references(self.disk.as_ref())?;
        all.retain(|known| known != reference);
        all.push(reference.to_owned());
        let noting = || disk_error("note where the new KEK is");
        self.disk.write_references(all.join("\n").as_bytes()).map_err(noting())?;
        self.disk.sync_references().map_err(noting())?;
        self.disk.rename_references().map_err(noting())?;
        self.disk.sync_directory().map_err(noting())
    }

    /// The configuration names the right KEK: nothing else need be tried any more.
    fn forget_references(&self) -> Result<(), ControlError> {
        if references(self.disk.as_ref())?.is_empty() {
            return Ok(());
        }
        self.disk.remove_references().map_err(disk_error("forget the KEK references"))
    }
}
