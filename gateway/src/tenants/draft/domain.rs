//! Changes to domains. A domain has one tenant, and so has everything above and below it.

use super::{Draft, key_name};
use crate::ids::TenantId;
use crate::message::DomainName;
use crate::store::control::Namespace;
use crate::tenants::TenantDomain;
use crate::tenants::error::RegistryError;

impl Draft<'_> {
    /// Gives a domain to a tenant, with a new DKIM key of each default algorithm.
    pub(in crate::tenants) fn add_domain(&mut self, name: &DomainName, tenant: &str) -> Result<(), RegistryError> {
        let tenant = self.tenant(tenant)?;
        self.check_free(name, tenant.id)?;
        let domain = TenantDomain { name: name.clone(), tenant: tenant.id, created: self.now };
        self.put(Namespace::Domain, name.as_str().as_bytes(), &domain)?;
        self.directory.insert_domain(domain);
        self.say(format!("added domain {name} to tenant {}", tenant.name));
        for &algorithm in self.algorithms {
            self.generate_key(name, algorithm, None)?;
        }
        Ok(())
    }

    /// May `tenant` have `name`? With the subdomains policy the owner of a parent sends as every child, so that
    /// parent and child in different hands are refused both ways round; so is another tenant's return path.
    fn check_free(&self, name: &DomainName, tenant: TenantId) -> Result<(), RegistryError> {
        if !name.as_str().contains('.') {
            return Err(RegistryError::TopLevel(name.clone()));
        }
        let owner = |id| self.directory.tenant_name(id).unwrap_or_default().to_owned();
        if let Some(taken) = self.directory.domain(name) {
            return Err(RegistryError::DomainTaken { domain: name.clone(), tenant: owner(taken.tenant) });
        }
        let mut others = self.directory.domains().filter(|domain| domain.tenant != tenant);
        if let Some(other) = others.find(|other| other.name.is_within(name) || name.is_within(&other.name)) {
            let (other, tenant) = (other.name.clone(), owner(other.tenant));
            return Err(RegistryError::DomainCrosses { domain: name.clone(), other, tenant });
        }
        for other in self.directory.tenants().filter(|other| other.id != tenant) {
            if let Some(return_path) = other.policy.return_path.as_ref().filter(|path| path.is_within(name)) {
                let (other, tenant) = (return_path.clone(), other.name.clone());
                return Err(RegistryError::DomainCrosses { domain: name.clone(), other, tenant });
            }
        }
        Ok(())
    }

    /// Takes a domain away with its keys. Their selectors are remembered: they are never used again.
    pub(in crate::tenants) fn remove_domain(&mut self, name: &DomainName) -> Result<(), RegistryError> {
        let domain = self.directory.domain(name).cloned().ok_or_else(|| RegistryError::NoDomain(name.clone()))?;
        let selectors: Vec<String> = self.directory.dkim_keys(name).map(|key| key.selector.clone()).collect();
        for selector in &selectors {
            self.changes.remove(Namespace::DkimKey, &key_name(name, selector));
            self.changes.put(Namespace::SpentSelector, &key_name(name, selector), Vec::new());
        }
        self.changes.remove(Namespace::Domain, name.as_str().as_bytes());
        self.directory.remove_domain(name);
        let owner = self.directory.tenant_name(domain.tenant).unwrap_or_default().to_owned();
        let keys = match selectors.as_slice() {
            [] => String::new(),
            selectors => format!(" and its DKIM keys {}", selectors.join(", ")),
        };
        self.say(format!("removed domain {name}{keys} from tenant {owner}"));
        Ok(())
    }
}
