//! Changes to domains. A domain has one tenant, and so has everything above and below it.

use super::{Draft, claim_key, key_name};
use crate::ids::TenantId;
use crate::message::DomainName;
use crate::observe::Event;
use crate::store::control::Namespace;
use crate::tenants::delegation;
use crate::tenants::error::RegistryError;
use crate::tenants::{DomainClaim, Proof, Tenant, TenantDomain};

impl Draft<'_> {
    /// Gives a domain to a tenant, or, where proof is required, notes its claim.
    pub(in crate::tenants) fn add_domain(&mut self, name: &DomainName, tenant: &str) -> Result<(), RegistryError> {
        if self.proof_required { self.claim_domain(name, tenant) } else { self.vouch_for_domain(name, tenant) }
    }

    /// Gives a domain to a tenant on the operator's word.
    pub(in crate::tenants) fn vouch_for_domain(
        &mut self,
        name: &DomainName,
        tenant: &str,
    ) -> Result<(), RegistryError> {
        let tenant = self.tenant(tenant)?;
        self.give_domain(name, &tenant, Proof::Vouched)
    }

    /// Gives a domain to the tenant whose claim's token was seen.
    pub(in crate::tenants) fn prove_claim(&mut self, claim: &DomainClaim) -> Result<(), RegistryError> {
        let still = self.directory.claims(&claim.domain).any(|known| known.as_ref() == claim);
        let Some(tenant) = self.directory.tenant(claim.tenant).filter(|_| still).cloned() else { return Ok(()) };
        self.give_domain(&claim.domain, &tenant, Proof::Shown { token: claim.token.clone() })?;
        let detail = format!("{} is proved to be of tenant {}", claim.domain, tenant.name);
        self.events.push(Event::Gateway { state: "domain-proved", detail });
        Ok(())
    }

    /// Notes that a tenant says the domain is its own; the same again changes nothing.
    fn claim_domain(&mut self, name: &DomainName, tenant: &str) -> Result<(), RegistryError> {
        let tenant = self.tenant(tenant)?;
        self.check_free(name, tenant.id)?;
        if self.directory.claims(name).any(|claim| claim.tenant == tenant.id) {
            return Ok(());
        }
        let claim = DomainClaim::new(name.clone(), tenant.id, self.now);
        self.put(Namespace::DomainClaim, &claim_key(name, tenant.id), &claim)?;
        self.say(format!("tenant {} claims domain {name}: waits for TXT {}", tenant.name, claim.record_name()));
        self.directory.insert_claim(claim);
        Ok(())
    }

    /// Ends claims to a domain: one tenant's, or all.
    pub(in crate::tenants) fn drop_claims(&mut self, name: &DomainName, tenant: Option<TenantId>) -> usize {
        let gone: Vec<TenantId> = self
            .directory
            .claims(name)
            .map(|claim| claim.tenant)
            .filter(|claimant| tenant.is_none_or(|tenant| tenant == *claimant))
            .collect();
        for claimant in &gone {
            self.changes.remove(Namespace::DomainClaim, &claim_key(name, *claimant));
            self.directory.remove_claim(name, *claimant);
            let claimant = self.directory.tenant_name(*claimant).unwrap_or_default().to_owned();
            self.say(format!("the claim of tenant {claimant} to domain {name} has ended"));
        }
        gone.len()
    }

    fn give_domain(&mut self, name: &DomainName, tenant: &Tenant, proof: Proof) -> Result<(), RegistryError> {
        self.check_free(name, tenant.id)?;
        self.drop_claims(name, None);
        let delegated = self.delegation.map(|_| delegation::new_label());
        let domain = TenantDomain { name: name.clone(), tenant: tenant.id, created: self.now, proof, delegated };
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
        let Some(domain) = self.directory.domain(name).cloned() else {
            // Nobody's yet: then it is the claims that go.
            return if self.drop_claims(name, None) > 0 { Ok(()) } else { Err(RegistryError::NoDomain(name.clone())) };
        };
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
