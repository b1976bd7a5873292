//! A change on its way: the next directory and the records that make it, built together, committed as one.
//!
//! A draft that is dropped has done nothing. The same code plans (`--dry-run`, and to learn which keys must be
//! made before the registry is locked) and does.

mod credential;
mod dkim;
mod domain;
mod file;
mod tenant;

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use waxseal_keys::life::Policy;
use waxseal_keys::{Algorithm, SigningKey};

pub use file::{TenantFile, TenantFileEntry};

use super::TenantDomain;
use super::audit::{self, AuditRecord};
use super::delegation::Delegation;
use super::directory::Directory;
use super::error::RegistryError;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::message::DomainName;
use crate::observe::Event;
use crate::store::control::{ChangeSet, ControlStore, Namespace};

pub(super) const NEXT_TENANT: &[u8] = b"tenant";
pub(super) const NEXT_AUDIT: &[u8] = b"audit";

/// What the configuration says of every domain: its keys (`[dkim]`), and how it comes to a tenant (`[domains]`).
#[derive(Debug, Clone, PartialEq)]
pub struct DomainRules {
    /// The keys that a new domain gets, and of each line the kind that a successor has.
    pub algorithms: Vec<Algorithm>,
    /// The times.
    pub policy: Policy,
    /// Must a tenant show that a domain is its own, whoever adds it?
    pub proof_required: bool,
    /// Are the key records of new domains delegated, and where to?
    pub delegation: Option<Delegation>,
}

impl DomainRules {
    /// The times of a domain's keys.
    pub fn policy_of(&self, domain: Option<&TenantDomain>) -> &Policy {
        let delegated = domain.is_some_and(|domain| domain.delegated.is_some());
        self.delegation.as_ref().filter(|_| delegated).map_or(&self.policy, |delegation| &delegation.policy)
    }
}

impl Default for DomainRules {
    fn default() -> Self {
        let algorithms = vec![Algorithm::Rsa2048, Algorithm::Ed25519];
        Self { algorithms, policy: Policy::default(), proof_required: false, delegation: None }
    }
}

/// Where a draft takes new DKIM keys from. RSA keys take long to make, so they are made before the lock.
pub(super) enum KeySource {
    /// It only notes which it would need.
    Plan(Vec<Algorithm>),
    /// It takes what was made and makes what is missing.
    Made(BTreeMap<Algorithm, Vec<SigningKey>>),
}

impl KeySource {
    /// Makes what a plan asked for.
    pub(super) fn make(wanted: &[Algorithm]) -> Result<Self, RegistryError> {
        let mut made: BTreeMap<Algorithm, Vec<SigningKey>> = BTreeMap::new();
        for &algorithm in wanted {
            made.entry(algorithm).or_default().push(SigningKey::generate(algorithm)?);
        }
        Ok(Self::Made(made))
    }

    /// A key, or `None` while planning.
    fn take(&mut self, algorithm: Algorithm) -> Result<Option<SigningKey>, RegistryError> {
        match self {
            Self::Plan(wanted) => {
                wanted.push(algorithm);
                Ok(None)
            }
            Self::Made(made) => match made.get_mut(&algorithm).and_then(Vec::pop) {
                Some(key) => Ok(Some(key)),
                None => Ok(Some(SigningKey::generate(algorithm)?)),
            },
        }
    }
}

/// A change that is being put together.
pub(super) struct Draft<'s> {
    store: &'s ControlStore,
    pub(super) directory: Directory,
    pub(super) changes: ChangeSet,
    pub(super) words: Vec<String>,
    pub(super) events: Vec<Event>,
    pub(super) keys: KeySource,
    by: &'s str,
    /// Keys whose private half may be published now.
    pub(super) disclosures: Vec<(DomainName, String)>,
    now: Timestamp,
    algorithms: &'s [Algorithm],
    /// Slots that a plan has given away.
    planned: BTreeSet<String>,
    proof_required: bool,
    delegation: Option<&'s Delegation>,
    rules: &'s DomainRules,
}

impl<'s> Draft<'s> {
    pub(super) fn new(
        store: &'s ControlStore,
        directory: Directory,
        keys: KeySource,
        by: &'s str,
        now: Timestamp,
        rules: &'s DomainRules,
    ) -> Self {
        let DomainRules { algorithms, proof_required, delegation, .. } = rules;
        Self {
            store,
            directory,
            changes: ChangeSet::default(),
            words: Vec::new(),
            events: Vec::new(),
            keys,
            by,
            disclosures: Vec::new(),
            now,
            algorithms,
            proof_required: *proof_required,
            planned: BTreeSet::new(),
            delegation: delegation.as_ref(),
            rules,
        }
    }

    fn put<T: Serialize>(&mut self, namespace: Namespace, key: &[u8], value: &T) -> Result<(), RegistryError> {
        let value = serde_json::to_vec(value)
            .map_err(|error| RegistryError::Record { place: format!("{namespace:?}"), why: error.to_string() })?;
        self.changes.put(namespace, key, value);
        Ok(())
    }

    fn say(&mut self, words: impl Into<String>) {
        self.words.push(words.into());
    }

    /// Adds the audit records of all that was said. The last thing before the commit.
    pub(super) fn write_audit(&mut self) -> Result<(), RegistryError> {
        for what in self.words.clone() {
            let number = self.directory.next_audit;
            self.directory.next_audit += 1;
            let previous = audit::hex(&self.directory.audit_head);
            let record = AuditRecord { at: self.now, by: self.by.to_owned(), what, previous };
            self.directory.audit_head = audit::hash_of(number, &record);
            self.put(Namespace::Audit, &number.to_be_bytes(), &record)?;
        }
        let next = self.directory.next_audit;
        self.put(Namespace::Counter, NEXT_AUDIT, &next)
    }
}

pub(super) fn tenant_key(id: TenantId) -> [u8; 4] {
    id.0.to_be_bytes()
}

pub(super) fn claim_key(domain: &DomainName, tenant: TenantId) -> Vec<u8> {
    [domain.as_str().as_bytes(), b"\0", &tenant.0.to_be_bytes()].concat()
}

/// Domain and selector in one key; neither can hold the octet between them.
pub(super) fn key_name(domain: &DomainName, selector: &str) -> Vec<u8> {
    format!("{domain}\0{selector}").into_bytes()
}
