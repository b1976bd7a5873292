//! Reading the directory out of the control store at the start.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::directory::Directory;
use super::dkim_key::{KeyEntry, StoredKey};
use super::draft::{NEXT_AUDIT, NEXT_TENANT};
use super::error::RegistryError;
use super::registry::StoredTenant;
use super::{Credential, TenantDomain};
use crate::ids::TenantId;
use crate::store::control::{ControlStore, Namespace};

pub(super) fn parsed<T: DeserializeOwned>(namespace: Namespace, key: &[u8], value: &[u8]) -> Result<T, RegistryError> {
    serde_json::from_slice(value).map_err(|error| RegistryError::Record {
        place: format!("{namespace:?} {}", String::from_utf8_lossy(key).escape_debug()),
        why: error.to_string(),
    })
}

pub(super) fn number(key: &[u8]) -> Result<u64, RegistryError> {
    let misshapen = || RegistryError::Record { place: format!("{key:02x?}"), why: "its key is no number".to_owned() };
    if key.len() > 8 {
        return Err(misshapen());
    }
    Ok(key.iter().fold(0, |number, octet| number << 8 | u64::from(*octet)))
}

pub(super) fn read_directory(store: &ControlStore) -> Result<Directory, RegistryError> {
    let mut directory = Directory::default();
    for (key, value) in store.all(Namespace::DataKey)? {
        let id = TenantId(number(&key)? as u32);
        directory.data_keys.insert(id, Arc::new(store.unwrap(&key, &value)?));
    }
    for (key, value) in store.all(Namespace::Tenant)? {
        let stored: StoredTenant = parsed(Namespace::Tenant, &key, &value)?;
        if stored.removed.is_some() {
            directory.former.insert(stored.tenant.id, Arc::new(stored.tenant));
        } else {
            directory.insert_tenant(stored.tenant);
        }
    }
    for (key, value) in store.all(Namespace::Domain)? {
        let domain: TenantDomain = parsed(Namespace::Domain, &key, &value)?;
        directory.domains.insert(domain.name.clone(), Arc::new(domain));
    }
    directory.refresh_all_domains();
    for (key, value) in store.all(Namespace::DomainClaim)? {
        directory.insert_claim(parsed(Namespace::DomainClaim, &key, &value)?);
    }
    for (key, value) in store.all(Namespace::Credential)? {
        let credential: Credential = parsed(Namespace::Credential, &key, &value)?;
        directory.credentials.insert(credential.user.clone(), Arc::new(credential));
    }
    for (key, value) in store.all(Namespace::DkimKey)? {
        let stored: StoredKey = parsed(Namespace::DkimKey, &key, &value)?;
        let unkeyed = || RegistryError::Record {
            place: format!("DataKey {}", stored.key.tenant.0),
            why: "the tenant's data key is missing".to_owned(),
        };
        let tenant_key = directory.data_key(stored.key.tenant).ok_or_else(unkeyed)?;
        directory.insert_key(KeyEntry::read(stored, tenant_key));
    }
    for (key, _) in store.all(Namespace::SpentSelector)? {
        let text = String::from_utf8_lossy(&key);
        if let Some((domain, selector)) = text.split_once('\0')
            && let Ok(domain) = domain.parse()
        {
            directory.spent_selectors.insert((domain, selector.to_owned()));
        }
    }
    let counter = |name: &[u8]| -> Result<u64, RegistryError> {
        let value = store.get(Namespace::Counter, name)?;
        value.map_or(Ok(1), |value| parsed(Namespace::Counter, name, &value))
    };
    directory.next_tenant = counter(NEXT_TENANT)? as u32;
    directory.next_audit = counter(NEXT_AUDIT)?;
    Ok(directory)
}
