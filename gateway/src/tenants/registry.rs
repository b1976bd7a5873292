//! The registry: who the tenants are, what they may, and the keys that sign for them.
//!
//! Promises: a change is checked against all others, is durable when it is answered, stands in the audit, and is
//! seen by readers whole or not at all; readers never wait for the disk ([`Registry::snapshot`]). Refuses what
//! would let one tenant act as another. Every changing call blocks (disk, argon2, RSA): use the blocking pool.

mod kept;
mod keys;

use std::path::Path;
use std::sync::Arc;

use ipnet::IpNet;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use waxseal_dns::{DnsRecord, Operator, RecordSet};
use waxseal_keys::Algorithm;
use waxseal_keys::sealing::{DataKey, KeyEncryptionKey, KeyId};
use zeroize::Zeroizing;

use super::audit::AuditRecord;
use super::directory::Directory;
use super::draft::{DomainRules, Draft, KeySource, TenantFile};
use super::error::RegistryError;
use super::read::{number, parsed, read_directory};
use super::records::{challenges, delegated_records, records};
use super::{Credential, Tenant, TenantPolicy, secret};
use crate::clock::{Clock, Timestamp};
use crate::ids::TenantId;
use crate::message::DomainName;
use crate::observe::Event;
use crate::store::control::{
    ControlCopy, ControlDisk, ControlStore, Found, LocalDisk, Namespace, OpenReport, open_found,
};

/// A tenant as it lies in the control store.
#[derive(Serialize, Deserialize)]
pub(super) struct StoredTenant {
    pub(super) tenant: Tenant,
    #[serde(default)]
    pub(super) removed: Option<Timestamp>,
}

/// What a change did, or (`dry_run`) would do.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Change {
    /// One line for each thing that changed; empty if all was so already.
    pub changes: Vec<String>,
    /// Was it only tried?
    pub dry_run: bool,
    /// For `observe::emit`.
    #[serde(skip)]
    pub events: Vec<Event>,
    /// Keys, by domain and selector, whose private half may be published now; the gateway itself does not do so yet.
    #[serde(skip)]
    pub disclosures: Vec<(DomainName, String)>,
}

/// A credential that was just made: the only time that its secret is seen.
#[derive(Serialize)]
pub struct NewCredential {
    /// The user name.
    pub user: String,
    /// The secret; wiped when dropped.
    #[serde(serialize_with = "plain")]
    pub secret: Zeroizing<String>,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// What was changed.
    #[serde(flatten)]
    pub change: Change,
}

fn plain<S: serde::Serializer>(secret: &Zeroizing<String>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret)
}

/// The registry. Share it in an `Arc`.
pub struct Registry {
    store: Mutex<ControlStore>,
    current: RwLock<Arc<Directory>>,
    rules: RwLock<DomainRules>,
    clock: Arc<dyn Clock>,
    opening: OpenReport,
}

impl Registry {
    /// Opens the control store in `<data_dir>/control/`, making it at the first start, and reads everything.
    pub fn open(data_dir: &Path, kek: &KeyEncryptionKey, clock: Arc<dyn Clock>) -> Result<Self, RegistryError> {
        Self::read(ControlStore::open(data_dir, kek)?, clock)
    }

    /// The same with the configured key-encryption key or, if the store is sealed under another, with one that a
    /// rotation noted; then the note comes back too. `configured` is `None` where it cannot be read.
    pub fn open_found(
        data_dir: &Path,
        configured: Option<&KeyEncryptionKey>,
        read: &dyn Fn(&str) -> Option<KeyEncryptionKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Option<String>), RegistryError> {
        let disk = || LocalDisk::new(data_dir).map(|disk| Box::new(disk) as Box<dyn ControlDisk>);
        let Found { store, report, by_reference } = open_found(disk, configured, read)?;
        Ok((Self::read((store, report), clock)?, by_reference))
    }

    /// A key for answers about credentials that do not exist: the same at every start with the same KEK.
    pub fn decoy_key(&self) -> [u8; 32] {
        self.store.lock().derive_from_kek(b"smtp", b"waxseal decoy credentials v1")
    }

    /// Which key-encryption key the store is sealed under.
    pub fn kek_id(&self) -> KeyId {
        self.store.lock().kek_id()
    }

    /// The same on any disk.
    pub fn open_on(
        disk: Box<dyn ControlDisk>,
        kek: &KeyEncryptionKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, RegistryError> {
        Self::read(ControlStore::open_on(disk, kek)?, clock)
    }

    fn read((store, opening): (ControlStore, OpenReport), clock: Arc<dyn Clock>) -> Result<Self, RegistryError> {
        let directory = read_directory(&store)?;
        Ok(Self {
            store: Mutex::new(store),
            current: RwLock::new(Arc::new(directory)),
            rules: RwLock::default(),
            clock,
            opening,
        })
    }

    /// What opening found: a rebuild is to be told loudly ([`Registry::opening_events`] has it as events).
    pub fn opening(&self) -> &OpenReport {
        &self.opening
    }

    /// A key for the gateway's own records outside the control store, by label.
    pub fn derived_key(&self, label: &[u8]) -> DataKey {
        self.store.lock().derive(label)
    }

    /// What opening found, for `observe::emit`; empty if all was well.
    pub fn opening_events(&self) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(rebuilt) = &self.opening.rebuilt {
            let detail = format!(
                "the control database could not be used ({}) and was rebuilt from the snapshot up to change {}; \
                 {} octets at the snapshot's end were unreadable; the damaged one is control/{}",
                rebuilt.reason, rebuilt.generation, rebuilt.torn_octets, rebuilt.set_aside
            );
            events.push(Event::Gateway { state: "control-store-rebuilt", detail });
        }
        if let Some(why) = &self.opening.snapshot_renewed {
            let detail = format!("the control snapshot was written anew: {why}");
            events.push(Event::Gateway { state: "control-snapshot-renewed", detail });
        }
        events
    }

    /// Why no change is taken until a restart (the disk failed in the middle of one), if that is so.
    pub fn closed(&self) -> Option<String> {
        self.store.lock().closed().map(str::to_owned)
    }

    /// Everything as it lies on disk, sealed, for a backup.
    pub fn copy_of_control(&self) -> Result<ControlCopy, RegistryError> {
        Ok(self.store.lock().copy()?)
    }

    /// What proves that a backup's manifest belongs to its control data.
    pub fn seal_of_backup(&self, manifest: &[u8]) -> [u8; 32] {
        self.store.lock().seal_of_backup(manifest)
    }

    /// Which DKIM keys domains get and how long they live (`[dkim]`).
    pub fn set_domain_rules(&self, rules: DomainRules) {
        *self.rules.write() = rules;
    }

    /// Only which keys a new domain gets.
    pub fn set_default_algorithms(&self, algorithms: Vec<Algorithm>) {
        self.rules.write().algorithms = algorithms;
    }

    /// What [`Registry::set_domain_rules`] set.
    pub fn domain_rules(&self) -> DomainRules {
        self.rules.read().clone()
    }

    /// Everything as it is now. Cheap; never waits for a change.
    pub fn snapshot(&self) -> Arc<Directory> {
        self.current.read().clone()
    }

    /// The key that a tenant's letters are sealed under; a removed tenant's too, while its letters are queued.
    pub fn data_key(&self, tenant: TenantId) -> Option<Arc<DataKey>> {
        self.snapshot().data_key(tenant)
    }

    /// Makes a change: nothing is answered before it is durable, nothing is seen before it is answered.
    fn change<T>(
        &self,
        by: &str,
        keys: KeySource,
        act: impl FnOnce(&mut Draft<'_>) -> Result<T, RegistryError>,
    ) -> Result<(T, Change, KeySource), RegistryError> {
        let rules = self.domain_rules();
        let mut store = self.store.lock();
        let directory = Directory::clone(&self.snapshot());
        let mut draft = Draft::new(&store, directory, keys, by, self.clock.now(), &rules);
        let result = act(&mut draft)?;
        let dry_run = draft.is_plan();
        if !dry_run && !draft.words.is_empty() {
            draft.write_audit()?;
        }
        let Draft { directory, changes, words, events, disclosures, keys, .. } = draft;
        let (events, disclosures) = if dry_run { Default::default() } else { (events, disclosures) };
        let change = Change { changes: words, dry_run, events, disclosures };
        if !dry_run && !changes.is_empty() {
            store.change(&changes)?;
            *self.current.write() = Arc::new(directory);
        }
        Ok((result, change, keys))
    }

    fn plan(
        &self,
        by: &str,
        act: impl FnOnce(&mut Draft<'_>) -> Result<(), RegistryError>,
    ) -> Result<(Change, Vec<Algorithm>), RegistryError> {
        let ((), change, keys) = self.change(by, KeySource::Plan(Vec::new()), act)?;
        let wanted = match keys {
            KeySource::Plan(wanted) => wanted,
            KeySource::Made(_) => Vec::new(),
        };
        Ok((change, wanted))
    }

    /// Plans, makes the keys that the plan needs with nothing locked, then does it.
    fn change_with_keys(
        &self,
        by: &str,
        dry_run: bool,
        act: impl Fn(&mut Draft<'_>) -> Result<(), RegistryError>,
    ) -> Result<Change, RegistryError> {
        let (plan, wanted) = self.plan(by, &act)?;
        if dry_run {
            return Ok(plan);
        }
        let ((), change, _) = self.change(by, KeySource::make(&wanted)?, act)?;
        Ok(change)
    }

    fn simple_change(
        &self,
        by: &str,
        act: impl FnOnce(&mut Draft<'_>) -> Result<(), RegistryError>,
    ) -> Result<Change, RegistryError> {
        let ((), change, _) = self.change(by, KeySource::make(&[])?, act)?;
        Ok(change)
    }

    /// Makes a tenant.
    pub fn add_tenant(&self, name: &str, by: &str) -> Result<Change, RegistryError> {
        self.simple_change(by, |draft| draft.add_tenant(name).map(drop))
    }

    /// Removes a tenant, its credentials, domains and their keys; its queued letters stay deliverable. With
    /// `dry_run` only says what would go.
    pub fn remove_tenant(&self, name: &str, dry_run: bool, by: &str) -> Result<Change, RegistryError> {
        self.change_with_keys(by, dry_run, |draft| draft.remove_tenant(name))
    }

    /// Sets a tenant's policy. Whether a redaction mode needs the operator's consent is the pipeline's business.
    pub fn set_policy(&self, name: &str, policy: TenantPolicy, by: &str) -> Result<Change, RegistryError> {
        self.simple_change(by, |draft| draft.set_policy(name, policy))
    }

    /// Makes tenants, policies and domains as the file says; with `prune`, removes what it does not name. Once
    /// done, doing it again changes nothing.
    pub fn apply(&self, file: &TenantFile, prune: bool, dry_run: bool, by: &str) -> Result<Change, RegistryError> {
        self.change_with_keys(by, dry_run, |draft| draft.apply(file, prune))
    }

    /// Makes a submission credential. The secret is in the answer and nowhere else.
    pub fn new_credential(
        &self,
        tenant: &str,
        networks: &[IpNet],
        expires: Option<Timestamp>,
        by: &str,
    ) -> Result<NewCredential, RegistryError> {
        // Before the work of hashing; asked again under the lock.
        if self.snapshot().tenant_by_name(tenant).is_none() {
            return Err(RegistryError::NoTenant(tenant.chars().take(80).collect()));
        }
        let secret = secret::generate()?;
        let hashed = secret::hash(&secret)?;
        let (credential, change, _) =
            self.change(by, KeySource::make(&[])?, |draft| draft.add_credential(tenant, hashed, networks, expires))?;
        Ok(NewCredential { user: credential.user.clone(), secret, expires, change })
    }

    /// The credentials of a tenant, or all, by user.
    pub fn credentials(&self, tenant: Option<&str>) -> Result<Vec<Arc<Credential>>, RegistryError> {
        let directory = self.snapshot();
        let unknown = |name: &str| RegistryError::NoTenant(name.chars().take(80).collect());
        let id = tenant
            .map(|name| directory.tenant_by_name(name).map(|tenant| tenant.id).ok_or_else(|| unknown(name)))
            .transpose()?;
        Ok(directory.credentials().filter(|credential| id.is_none_or(|id| credential.tenant == id)).cloned().collect())
    }

    /// Ends a credential at once.
    pub fn revoke_credential(&self, user: &str, by: &str) -> Result<Change, RegistryError> {
        self.simple_change(by, |draft| draft.revoke_credential(user))
    }

    /// Gives a domain to a tenant, with a new DKIM key of each default algorithm in state generated; where proof is
    /// required, only notes the tenant's claim.
    pub fn add_domain(&self, domain: &DomainName, tenant: &str, by: &str) -> Result<Change, RegistryError> {
        self.change_with_keys(by, false, |draft| draft.add_domain(domain, tenant))
    }

    /// Takes a domain and its keys away.
    pub fn remove_domain(&self, domain: &DomainName, dry_run: bool, by: &str) -> Result<Change, RegistryError> {
        self.change_with_keys(by, dry_run, |draft| draft.remove_domain(domain))
    }

    /// The DNS records that a domain should have; of one that is only claimed, the proof that it waits for.
    pub fn domain_records(&self, domain: &DomainName, operator: &Operator) -> Result<RecordSet, RegistryError> {
        let directory = self.snapshot();
        let owner = directory.owner(domain).and_then(|id| directory.tenant(id));
        if owner.is_none() && directory.claims(domain).next().is_some() {
            return Ok(challenges(domain, directory.claims(domain).map(AsRef::as_ref)));
        }
        let owner = owner.ok_or_else(|| RegistryError::NoDomain(domain.clone()))?;
        let owned = directory.domain(domain).ok_or_else(|| RegistryError::NoDomain(domain.clone()))?;
        let zone = self.domain_rules().delegation.map(|delegation| delegation.zone);
        Ok(records(owned, zone.as_ref(), directory.dkim_keys(domain), owner, operator))
    }

    /// The operator's part of a delegated domain's key records; empty for any other domain.
    pub fn delegated_records(&self, domain: &DomainName) -> Vec<DnsRecord> {
        let (directory, rules) = (self.snapshot(), self.domain_rules());
        let Some(owned) = directory.domain(domain) else { return Vec::new() };
        let zone = rules.delegation.map(|delegation| delegation.zone);
        delegated_records(owned, zone.as_ref(), directory.dkim_keys(domain))
    }

    /// Audit records after number `after`, oldest first, at most `limit`, each with its number.
    pub fn audit(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, AuditRecord)>, RegistryError> {
        let after = after.map(u64::to_be_bytes);
        let page = self.store.lock().page(Namespace::Audit, after.as_ref().map(<[u8; 8]>::as_slice), limit)?;
        page.iter().map(|(key, value)| Ok((number(key)?, parsed(Namespace::Audit, key, value)?))).collect()
    }

    /// Wraps every data key under another KEK, durably; `reference` says where it is, for the next starts.
    pub fn rotate_kek(&self, new_kek: &KeyEncryptionKey, reference: &str, by: &str) -> Result<Change, RegistryError> {
        self.store.lock().rewrap(new_kek, reference)?;
        self.simple_change(by, |draft| {
            draft.words.push(format!("wrapped all data keys under key-encryption key {}", new_kek.id()));
            Ok(())
        })
    }
}
