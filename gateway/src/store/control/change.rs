//! Where records stand, what belongs together, and the sum that tells whether all of it is there.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use waxseal_keys::sealing::DataKey;

/// What kind of thing a record is; the first octet of its key. Numbers are never given to another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Namespace {
    /// Tenants, by number.
    Tenant = 1,
    /// Domains, by name.
    Domain = 2,
    /// Submission credentials, by user.
    Credential = 3,
    /// DKIM keys, by domain and selector.
    DkimKey = 4,
    /// Wrapped data keys (`ControlStore::wrap`), by tenant number.
    DataKey = 5,
    /// Numbers that only grow, by name.
    Counter = 6,
    /// What was changed, when and by whom; by number.
    Audit = 7,
    /// Selectors that were in use once and must not be again, by domain and selector.
    SpentSelector = 8,
    /// Claims to domains that are not proved yet, by domain and tenant number.
    DomainClaim = 9,
    /// Deliveries that are suspended; one record.
    Suspension = 10,
    /// People who may enter the pages, by account id.
    Account = 20,
    /// Browser sessions, by the digest of their cookie.
    Session = 21,
    /// Tokens of the API, by their digest.
    ApiToken = 22,
    /// Settings that are changed on the pages, by name.
    WebSetting = 23,
    /// Signatures under the audit, by the number of the last line that each covers.
    AuditCheckpoint = 24,
}

/// Changes that belong together: all of them happen, or none.
#[derive(Debug, Clone, Default)]
pub struct ChangeSet(pub(super) BTreeMap<Vec<u8>, Option<Vec<u8>>>);

impl ChangeSet {
    /// Sets a record; a later word on the same record counts.
    pub fn put(&mut self, namespace: Namespace, key: &[u8], value: Vec<u8>) {
        self.0.insert(raw_key(namespace, key), Some(value));
    }

    /// Removes a record.
    pub fn remove(&mut self, namespace: Namespace, key: &[u8]) {
        self.0.insert(raw_key(namespace, key), None);
    }

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

pub(super) fn raw_key(namespace: Namespace, key: &[u8]) -> Vec<u8> {
    [&[namespace as u8], key].concat()
}

/// What a value's seal is bound to: its whole key.
pub(super) fn bound_to(raw_key: &[u8]) -> Vec<u8> {
    [b"waxseal control record v1\0", raw_key].concat()
}

pub(super) fn wrap_context(key: &[u8]) -> Vec<u8> {
    [b"waxseal data key v1\0", key].concat()
}

/// The state record: how many changes there were, and a sum over every record, which tells whether the database
/// gives back exactly what was written (a store that quietly lost or revived a record does not add up).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct State {
    pub(super) generation: u64,
    pub(super) sum: [u8; 32],
}

impl State {
    /// Takes a record into the sum, or out of it: exclusive or undoes itself.
    pub(super) fn toggle(&mut self, control_key: &DataKey, key: &[u8], sealed: &[u8]) {
        let mut record = (key.len() as u64).to_be_bytes().to_vec();
        record.extend_from_slice(key);
        record.extend_from_slice(sealed);
        let mac = control_key.derive(b"", b"waxseal control sum v1").mac(&record);
        self.sum.iter_mut().zip(mac).for_each(|(sum, mac)| *sum ^= mac);
    }
}
