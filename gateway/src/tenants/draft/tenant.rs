//! Changes to tenants and their policies.

use std::sync::Arc;

use waxseal_dns::BimiRecord;
use waxseal_keys::sealing::DataKey;

use super::{Draft, NEXT_TENANT, tenant_key};
use crate::ids::TenantId;
use crate::message::{DomainName, Mailbox};
use crate::redact;
use crate::store::control::{ControlError, Namespace};
use crate::tenants::error::RegistryError;
use crate::tenants::registry::StoredTenant;
use crate::tenants::{Tenant, TenantPolicy};

fn check_name(name: &str) -> Result<(), RegistryError> {
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    let good = (1..=63).contains(&name.len())
        && name.bytes().all(allowed)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if good { Ok(()) } else { Err(RegistryError::TenantName(name.chars().take(80).collect())) }
}

fn check_redaction(policy: &redact::Policy) -> Result<(), RegistryError> {
    // PCI DSS 3.4.1: at most the first six and the last four digits may be shown.
    if policy.keep.first > 6 || policy.keep.last > 4 {
        return Err(RegistryError::Policy("keep.first is at most 6 and keep.last at most 4".to_owned()));
    }
    Ok(())
}

impl Draft<'_> {
    pub(in crate::tenants) fn tenant(&self, name: &str) -> Result<Arc<Tenant>, RegistryError> {
        let unknown = || RegistryError::NoTenant(name.chars().take(80).collect());
        self.directory.tenant_by_name(name).cloned().ok_or_else(unknown)
    }

    /// Makes a tenant and its data key. Its number is never given to another.
    pub(in crate::tenants) fn add_tenant(&mut self, name: &str) -> Result<TenantId, RegistryError> {
        check_name(name)?;
        if self.directory.tenant_by_name(name).is_some() {
            return Err(RegistryError::TenantExists(name.to_owned()));
        }
        let id = TenantId(self.directory.next_tenant);
        self.directory.next_tenant += 1;
        let next = self.directory.next_tenant;
        self.put(Namespace::Counter, NEXT_TENANT, &next)?;
        let data_key = DataKey::generate().map_err(ControlError::from)?;
        let wrapped = self.store.wrap(&tenant_key(id), &data_key)?;
        self.changes.put(Namespace::DataKey, &tenant_key(id), wrapped);
        self.directory.data_keys.insert(id, Arc::new(data_key));
        let tenant = Tenant { id, name: name.to_owned(), policy: TenantPolicy::default(), created: self.now };
        self.write_tenant(tenant)?;
        self.say(format!("added tenant {name}"));
        Ok(id)
    }

    fn write_tenant(&mut self, tenant: Tenant) -> Result<(), RegistryError> {
        let stored = StoredTenant { tenant: tenant.clone(), removed: None };
        self.put(Namespace::Tenant, &tenant_key(tenant.id), &stored)?;
        self.directory.insert_tenant(tenant);
        Ok(())
    }

    /// Removes a tenant with its credentials, domains and their keys. Its data key stays: its letters are on
    /// their way and sealed under it.
    pub(in crate::tenants) fn remove_tenant(&mut self, name: &str) -> Result<(), RegistryError> {
        let tenant = self.tenant(name)?;
        let credentials = self.directory.credentials().filter(|credential| credential.tenant == tenant.id);
        for user in credentials.map(|credential| credential.user.clone()).collect::<Vec<_>>() {
            self.revoke_credential(&user)?;
        }
        for domain in self.directory.domains_of(tenant.id).to_vec() {
            self.remove_domain(&domain)?;
        }
        for domain in self.directory.claimed_domains() {
            self.drop_claims(&domain, Some(tenant.id));
        }
        let stored = StoredTenant { tenant: Tenant::clone(&tenant), removed: Some(self.now) };
        self.put(Namespace::Tenant, &tenant_key(tenant.id), &stored)?;
        self.directory.retire_tenant(tenant.id);
        self.say(format!("removed tenant {name}; its queued letters stay deliverable"));
        Ok(())
    }

    pub(in crate::tenants) fn set_policy(&mut self, name: &str, policy: TenantPolicy) -> Result<(), RegistryError> {
        let tenant = self.tenant(name)?;
        if tenant.policy == policy {
            return Ok(());
        }
        if let Some(redaction) = &policy.redaction {
            check_redaction(redaction)?;
        }
        if let Some(logo) = &policy.logo
            && !format!("v=BIMI1; l={logo}").parse::<BimiRecord>().is_ok_and(|record| record.logo == *logo)
        {
            return Err(RegistryError::Policy(format!("logo {logo} is no https: URI")));
        }
        if let Some(return_path) = &policy.return_path {
            self.check_place("return_path", tenant.id, return_path)?;
        }
        if let Some(address) = &policy.posts_address {
            self.check_place("posts_address", tenant.id, address.domain())?;
            self.check_posts_address(tenant.id, address)?;
        }
        self.write_tenant(Tenant { policy, ..Tenant::clone(&tenant) })?;
        self.say(format!("set the policy of tenant {name}"));
        Ok(())
    }

    /// Two tenants with one address would share their posts.
    fn check_posts_address(&self, tenant: TenantId, address: &Mailbox) -> Result<(), RegistryError> {
        let same = |known: &Mailbox| known.to_string().eq_ignore_ascii_case(&address.to_string());
        let mut others = self.directory.tenants().filter(|other| other.id != tenant);
        match others.find(|other| other.policy.posts_address.as_ref().is_some_and(same)) {
            Some(other) => {
                Err(RegistryError::Policy(format!("posts_address {address} is tenant {}'s already", other.name)))
            }
            None => Ok(()),
        }
    }

    /// What a policy names may be the tenant's own or nobody's (the platform's, say), never another tenant's.
    fn check_place(&self, key: &str, tenant: TenantId, place: &DomainName) -> Result<(), RegistryError> {
        let foreign = self.directory.domains().find(|domain| domain.tenant != tenant && place.is_within(&domain.name));
        foreign.map_or(Ok(()), |domain| {
            let owner = self.directory.tenant_name(domain.tenant).unwrap_or_default();
            Err(RegistryError::Policy(format!("{key} {place} lies within {}, a domain of tenant {owner}", domain.name)))
        })
    }
}
