//! Changes to submission credentials.

use std::sync::Arc;

use ipnet::IpNet;

use super::Draft;
use crate::clock::Timestamp;
use crate::store::control::Namespace;
use crate::tenants::error::RegistryError;
use crate::tenants::{Credential, ScramKeys, secret};

impl Draft<'_> {
    /// Makes a credential of a secret that was hashed already (hashing takes long, and the registry is locked).
    pub(in crate::tenants) fn add_credential(
        &mut self,
        tenant: &str,
        hashed: (String, ScramKeys),
        networks: &[IpNet],
        expires: Option<Timestamp>,
    ) -> Result<Arc<Credential>, RegistryError> {
        let tenant = self.tenant(tenant)?;
        if expires.is_some_and(|end| end <= self.now) {
            return Err(RegistryError::Credential("it would expire before it is made".to_owned()));
        }
        let user = loop {
            let user = format!("{}-{}", tenant.name, secret::short_name()?);
            if self.directory.credential(&user).is_none() {
                break user;
            }
        };
        let (argon2id, scram) = hashed;
        let networks = networks.iter().map(IpNet::trunc).collect();
        let created = self.now;
        let credential = Credential { user, tenant: tenant.id, argon2id, scram, networks, expires, created };
        self.put(Namespace::Credential, credential.user.as_bytes(), &credential)?;
        self.say(format!("made credential {} of tenant {}", credential.user, tenant.name));
        let credential = Arc::new(credential);
        self.directory.credentials.insert(credential.user.clone(), credential.clone());
        Ok(credential)
    }

    pub(in crate::tenants) fn revoke_credential(&mut self, user: &str) -> Result<(), RegistryError> {
        let unknown = || RegistryError::NoCredential(user.chars().take(80).collect());
        let credential = self.directory.credentials.remove(user).ok_or_else(unknown)?;
        self.changes.remove(Namespace::Credential, user.as_bytes());
        let tenant = self.directory.tenant_name(credential.tenant).unwrap_or_default().to_owned();
        self.say(format!("revoked credential {user} of tenant {tenant}"));
        Ok(())
    }
}
