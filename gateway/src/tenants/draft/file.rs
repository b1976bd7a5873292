//! `tenant apply`: tenants, domains and policies as one file says, whatever was before.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Draft;
use crate::message::DomainName;
use crate::tenants::TenantPolicy;
use crate::tenants::error::RegistryError;

/// The file, TOML (`[[tenant]]`) or JSON.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantFile {
    /// The tenants.
    #[serde(default, alias = "tenants")]
    pub tenant: Vec<TenantFileEntry>,
}

/// One tenant of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantFileEntry {
    /// Its name.
    pub name: String,
    /// The domains that it may send as.
    #[serde(default)]
    pub domains: Vec<DomainName>,
    /// Its policy; left out: the policy stays as it is.
    #[serde(default)]
    pub policy: Option<TenantPolicy>,
}

impl TenantFile {
    /// Reads TOML, or JSON if the first character is a brace.
    pub fn parse(text: &str) -> Result<Self, RegistryError> {
        if text.trim_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| RegistryError::File(error.to_string()))
        } else {
            toml::from_str(text).map_err(|error| RegistryError::File(error.to_string()))
        }
    }

    fn check(&self) -> Result<(), RegistryError> {
        let mut names = BTreeSet::new();
        let mut domains = BTreeSet::new();
        for entry in &self.tenant {
            if !names.insert(&entry.name) {
                return Err(RegistryError::File(format!("tenant {} is there twice", entry.name)));
            }
            for domain in &entry.domains {
                if !domains.insert(domain) {
                    return Err(RegistryError::File(format!("domain {domain} is there twice")));
                }
            }
        }
        Ok(())
    }
}

impl Draft<'_> {
    /// Makes everything as the file says. What is to go goes first, so that a domain can change its tenant;
    /// policies come before domains, so that an old return path is in nobody's way.
    pub(in crate::tenants) fn apply(&mut self, file: &TenantFile, prune: bool) -> Result<(), RegistryError> {
        file.check()?;
        if prune {
            self.prune(file)?;
        }
        for entry in &file.tenant {
            if self.directory.tenant_by_name(&entry.name).is_none() {
                self.add_tenant(&entry.name)?;
            }
        }
        for entry in &file.tenant {
            if let Some(policy) = &entry.policy {
                self.set_policy(&entry.name, policy.clone())?;
            }
        }
        for entry in &file.tenant {
            let tenant = self.tenant(&entry.name)?;
            for domain in &entry.domains {
                if self.directory.owner(domain) != Some(tenant.id) {
                    self.add_domain(domain, &entry.name)?;
                }
            }
        }
        Ok(())
    }

    fn prune(&mut self, file: &TenantFile) -> Result<(), RegistryError> {
        let tenants: Vec<_> = self.directory.tenants().cloned().collect();
        for tenant in tenants {
            let Some(entry) = file.tenant.iter().find(|entry| entry.name == tenant.name) else {
                self.remove_tenant(&tenant.name)?;
                continue;
            };
            for domain in self.directory.domains_of(tenant.id).to_vec() {
                if !entry.domains.contains(&domain) {
                    self.remove_domain(&domain)?;
                }
            }
            for domain in self.directory.claimed_domains() {
                if !entry.domains.contains(&domain) {
                    self.drop_claims(&domain, Some(tenant.id));
                }
            }
        }
        Ok(())
    }
}
