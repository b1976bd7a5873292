//! The key-encryption key: read at the start, changed while the gateway runs.
//!
//! A rotation needs neither a restart nor the configuration changed first: the store notes where the new key is, and a
//! start that finds the configured one outdated follows that note and says so, loudly, until the two agree.

use std::sync::Arc;

use waxseal_keys::sealing::KeyEncryptionKey;

use super::{Gateway, RunError, keys};
use crate::admin::ports::{AdminError, AdminResult, KekReport};
use crate::clock::Clock;
use crate::config::{Config, SecretRef};
use crate::observe::{Event, emit};
use crate::store::control::ControlError;
use crate::tenants::{Registry, RegistryError};

fn read(reference: &SecretRef) -> Result<KeyEncryptionKey, String> {
    let secret = reference.read().map_err(|e| e.to_string())?;
    let text = std::str::from_utf8(&secret).map_err(|_| "not text".to_owned())?;
    KeyEncryptionKey::parse(text).map_err(|e| e.to_string())
}

/// The key that the configuration names.
pub(super) fn read_configured(config: &Config) -> Result<KeyEncryptionKey, RunError> {
    read(&config.kek).map_err(RunError::Kek)
}

fn follow(reference: &str) -> Option<KeyEncryptionKey> {
    read(&reference.parse().ok()?).ok()
}

/// Opens the registry with the configured key, or one that a rotation noted.
pub(super) fn open_registry(config: &Config, clock: Arc<dyn Clock>) -> Result<Arc<Registry>, RunError> {
    let configured = read(&config.kek);
    let opened = Registry::open_found(&config.data_dir, configured.as_ref().ok(), &follow, clock);
    let (registry, by_reference) = opened.map_err(|error| match (error, &configured) {
        (RegistryError::Control(ControlError::NoKek), Err(why)) => RunError::Kek(why.clone()),
        (error, _) => RunError::Control(error.to_string()),
    })?;
    registry.opening_events().iter().for_each(emit);
    if let Some(reference) = by_reference {
        let detail = format!(
            "the control store is sealed under key {}, which was found at {reference}; [crypto] kek = \"{}\" is not \
             that key: write kek = \"{reference}\" into the configuration, or put the new key in the old one's place",
            registry.kek_id(),
            config.kek
        );
        emit(&Event::Gateway { state: "kek-configuration-outdated", detail });
    }
    registry.set_domain_rules(keys::rules(config)?);
    Ok(Arc::new(registry))
}

impl Gateway {
    /// Wraps every data key under the key that `reference` names. Blocks on the disk.
    pub(super) fn rotate_kek_to(&self, reference: &str, by: &str) -> AdminResult<KekReport> {
        let parsed: SecretRef = reference.parse().map_err(|_| {
            AdminError::Invalid("name the new key by reference: file:PATH or cred:NAME, never the key itself".into())
        })?;
        if matches!(parsed, SecretRef::Env(_)) {
            return Err(AdminError::Invalid(
                "the environment of a running gateway does not change: use file:PATH or cred:NAME".into(),
            ));
        }
        let new = read(&parsed).map_err(AdminError::Invalid)?;
        let old = self.registry.kek_id();
        let configured = self.config.read().kek.clone();
        if new.id() != old {
            let change = self.registry.rotate_kek(&new, &parsed.to_string(), by)?;
            change.events.iter().for_each(emit);
            let detail = format!("all data keys are wrapped under key {}, were under {old}", new.id());
            emit(&Event::Gateway { state: "kek-rotated", detail });
        }
        Ok(KekReport {
            before: old.to_string(),
            now: new.id().to_string(),
            changed: new.id() != old,
            configured: read(&configured).is_ok_and(|kek| kek.id() == new.id()),
        })
    }
}
