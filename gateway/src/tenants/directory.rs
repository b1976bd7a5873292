//! The directory: tenants, domains, credentials and keys as they were at one moment. Never changes; readers hold
//! it as long as they like.
//!
//! A new snapshot shares with the old one everything that did not change, the parsed keys above all.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use waxseal_keys::DomainSigner;
use waxseal_keys::sealing::DataKey;

use super::dkim_key::{DkimKey, DkimState, KeyEntry};
use super::{Credential, DomainClaim, Tenant, TenantDomain};
use crate::ids::TenantId;
use crate::message::DomainName;
use crate::sign::Signers;

/// A snapshot of everything that the registry knows.
#[derive(Clone, Default)]
pub struct Directory {
    pub(super) tenants: BTreeMap<TenantId, Arc<Tenant>>,
    pub(super) names: HashMap<String, TenantId>,
    /// Tenants that were removed: their letters are still on their way, so their keys stay openable.
    pub(super) former: BTreeMap<TenantId, Arc<Tenant>>,
    pub(super) domains: BTreeMap<DomainName, Arc<TenantDomain>>,
    pub(super) claims: BTreeMap<DomainName, BTreeMap<TenantId, Arc<DomainClaim>>>,
    pub(super) domains_of: HashMap<TenantId, Arc<[DomainName]>>,
    pub(super) credentials: BTreeMap<String, Arc<Credential>>,
    pub(super) keys: BTreeMap<DomainName, Arc<BTreeMap<String, Arc<KeyEntry>>>>,
    pub(super) active: HashMap<DomainName, Arc<[Arc<KeyEntry>]>>,
    pub(super) spent_selectors: BTreeSet<(DomainName, String)>,
    pub(super) data_keys: BTreeMap<TenantId, Arc<DataKey>>,
    pub(super) next_tenant: u32,
    pub(super) next_audit: u64,
}

impl Directory {
    /// A tenant that there is.
    pub fn tenant(&self, id: TenantId) -> Option<&Arc<Tenant>> {
        self.tenants.get(&id)
    }

    /// A tenant by its name.
    pub fn tenant_by_name(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.names.get(name).and_then(|id| self.tenants.get(id))
    }

    /// A tenant's name, a removed one's too (its letters may still be queued).
    pub fn tenant_name(&self, id: TenantId) -> Option<&str> {
        self.tenants.get(&id).or_else(|| self.former.get(&id)).map(|tenant| tenant.name.as_str())
    }

    /// All tenants, by number.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// A tenant's domains, sorted.
    pub fn domains_of(&self, id: TenantId) -> &[DomainName] {
        self.domains_of.get(&id).map_or(&[], |domains| domains)
    }

    /// Whose exactly this domain is.
    pub fn owner(&self, domain: &DomainName) -> Option<TenantId> {
        self.domains.get(domain).map(|domain| domain.tenant)
    }

    /// A domain.
    pub fn domain(&self, domain: &DomainName) -> Option<&Arc<TenantDomain>> {
        self.domains.get(domain)
    }

    /// All domains, sorted.
    pub fn domains(&self) -> impl Iterator<Item = &Arc<TenantDomain>> {
        self.domains.values()
    }

    /// The claims to a domain that is nobody's yet.
    pub fn claims(&self, domain: &DomainName) -> impl Iterator<Item = &Arc<DomainClaim>> {
        self.claims.get(domain).into_iter().flat_map(|claims| claims.values())
    }

    /// All domains that somebody claims, sorted.
    pub fn claimed_domains(&self) -> Vec<DomainName> {
        self.claims.keys().cloned().collect()
    }

    /// A credential by its user name. Whether it may be used is [`Credential::usable`]'s word.
    pub fn credential(&self, user: &str) -> Option<Arc<Credential>> {
        self.credentials.get(user).cloned()
    }

    /// All credentials, sorted by user.
    pub fn credentials(&self) -> impl Iterator<Item = &Arc<Credential>> {
        self.credentials.values()
    }

    /// The DKIM keys of a domain, by selector.
    pub fn dkim_keys(&self, domain: &DomainName) -> impl Iterator<Item = &DkimKey> {
        self.keys.get(domain).into_iter().flat_map(|keys| keys.values()).map(|entry| &entry.stored.key)
    }

    /// One DKIM key.
    pub fn dkim_key(&self, domain: &DomainName, selector: &str) -> Option<&DkimKey> {
        self.key_entry(domain, selector).map(|entry| &entry.stored.key)
    }

    /// The key that a tenant's letters are sealed under, a removed tenant's too.
    pub fn data_key(&self, tenant: TenantId) -> Option<Arc<DataKey>> {
        self.data_keys.get(&tenant).cloned()
    }

    pub(super) fn key_entry(&self, domain: &DomainName, selector: &str) -> Option<&Arc<KeyEntry>> {
        self.keys.get(domain)?.get(selector)
    }

    /// Was the selector ever used with this domain?
    pub(super) fn selector_is_spent(&self, domain: &DomainName, selector: &str) -> bool {
        self.key_entry(domain, selector).is_some()
            || self.spent_selectors.contains(&(domain.clone(), selector.to_owned()))
    }

    pub(super) fn insert_tenant(&mut self, tenant: Tenant) {
        self.names.insert(tenant.name.clone(), tenant.id);
        self.tenants.insert(tenant.id, Arc::new(tenant));
    }

    pub(super) fn retire_tenant(&mut self, id: TenantId) {
        if let Some(tenant) = self.tenants.remove(&id) {
            self.names.remove(&tenant.name);
            self.former.insert(id, tenant);
        }
    }

    pub(super) fn insert_claim(&mut self, claim: DomainClaim) {
        self.claims.entry(claim.domain.clone()).or_default().insert(claim.tenant, Arc::new(claim));
    }

    pub(super) fn remove_claim(&mut self, domain: &DomainName, tenant: TenantId) {
        if let Some(claims) = self.claims.get_mut(domain) {
            claims.remove(&tenant);
            if claims.is_empty() {
                self.claims.remove(domain);
            }
        }
    }

    pub(super) fn insert_domain(&mut self, domain: TenantDomain) {
        let tenant = domain.tenant;
        self.domains.insert(domain.name.clone(), Arc::new(domain));
        self.refresh_domains_of(tenant);
    }

    /// Takes a domain and its keys out; the selectors stay spent.
    pub(super) fn remove_domain(&mut self, name: &DomainName) {
        let removed = self.domains.remove(name);
        self.active.remove(name);
        for selector in self.keys.remove(name).iter().flat_map(|keys| keys.keys()) {
            self.spent_selectors.insert((name.clone(), selector.clone()));
        }
        if let Some(domain) = removed {
            self.refresh_domains_of(domain.tenant);
        }
    }

    fn refresh_domains_of(&mut self, tenant: TenantId) {
        let domains = self.domains.values().filter(|domain| domain.tenant == tenant);
        let domains: Arc<[DomainName]> = domains.map(|domain| domain.name.clone()).collect();
        self.domains_of.insert(tenant, domains);
    }

    /// Every tenant's domains at once, when a directory is read.
    pub(super) fn refresh_all_domains(&mut self) {
        let mut all: HashMap<TenantId, Vec<DomainName>> = HashMap::new();
        for domain in self.domains.values() {
            all.entry(domain.tenant).or_default().push(domain.name.clone());
        }
        self.domains_of = all.into_iter().map(|(tenant, domains)| (tenant, domains.into())).collect();
    }

    pub(super) fn insert_key(&mut self, entry: KeyEntry) {
        let DkimKey { domain, selector, .. } = entry.stored.key.clone();
        let keys = self.keys.entry(domain.clone()).or_default();
        Arc::make_mut(keys).insert(selector, Arc::new(entry));
        self.refresh_active(&domain);
    }

    fn refresh_active(&mut self, domain: &DomainName) {
        let keys = self.keys.get(domain).into_iter().flat_map(|keys| keys.values());
        let mut active: Vec<_> = keys.filter(|entry| entry.stored.key.state() == DkimState::Active).cloned().collect();
        // RSA last, as `Signers` has it.
        active.sort_by_key(|entry| entry.is_rsa());
        if active.is_empty() {
            self.active.remove(domain);
        } else {
            self.active.insert(domain.clone(), active.into());
        }
    }
}

impl Signers for Directory {
    fn active(&self, domain: &DomainName) -> Vec<Arc<DomainSigner>> {
        self.active.get(domain).into_iter().flat_map(|keys| keys.iter()).filter_map(|key| key.signer()).collect()
    }
}
