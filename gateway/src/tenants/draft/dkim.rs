//! Changes to DKIM keys: generated or imported, published, active, retiring, retired; or revoked.

use std::sync::Arc;

use waxseal_keys::{Algorithm, SigningKey};

use super::{Draft, KeySource, key_name};
use crate::message::DomainName;
use crate::observe::Event;
use crate::store::control::Namespace;
use crate::tenants::dkim_key::{DkimState, KeyEntry};
use crate::tenants::error::RegistryError;

/// `a`, `b` … `z`, `aa`, `ab` …
fn letters(mut number: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(b'a' + (number % 26) as u8);
        if number < 26 {
            break;
        }
        number = number / 26 - 1;
    }
    letters.iter().rev().copied().map(char::from).collect()
}

impl Draft<'_> {
    fn key(&self, domain: &DomainName, selector: &str) -> Result<Arc<KeyEntry>, RegistryError> {
        let found = self.directory.key_entry(domain, &selector.to_ascii_lowercase()).cloned();
        found.ok_or_else(|| RegistryError::NoKey { domain: domain.clone(), selector: selector.to_owned() })
    }

    /// A selector that tells when the key was made and was never used with the domain.
    fn fresh_selector(&self, domain: &DomainName) -> String {
        let today = self.now.to_rfc3339();
        let name = |number| format!("wax{}{}{}", &today[..4], &today[5..7], letters(number));
        let mut names = (0..).map(name).filter(|name| !self.directory.selector_is_spent(domain, name));
        // The numbers do not end before the selectors that a domain can have used.
        names.next().unwrap_or_default()
    }

    fn check_selector(&self, domain: &DomainName, selector: &str) -> Result<String, RegistryError> {
        let bad = || RegistryError::Selector(selector.chars().take(80).collect());
        let selector = selector.to_ascii_lowercase();
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        // The record's whole name must be one too (253 octets at most).
        if !selector.split('.').all(label) || format!("{selector}._domainkey.{domain}").parse::<DomainName>().is_err() {
            return Err(bad());
        }
        if self.directory.selector_is_spent(domain, &selector) {
            return Err(RegistryError::SelectorSpent { domain: domain.clone(), selector });
        }
        Ok(selector)
    }

    fn choose_selector(&self, domain: &DomainName, selector: Option<&str>) -> Result<String, RegistryError> {
        if self.directory.domain(domain).is_none() {
            return Err(RegistryError::NoDomain(domain.clone()));
        }
        selector.map_or_else(|| Ok(self.fresh_selector(domain)), |selector| self.check_selector(domain, selector))
    }

    /// Makes a key in state generated; returns its selector.
    pub(in crate::tenants) fn generate_key(
        &mut self,
        domain: &DomainName,
        algorithm: Algorithm,
        selector: Option<&str>,
    ) -> Result<String, RegistryError> {
        let selector = self.choose_selector(domain, selector)?;
        match self.keys.take(algorithm)? {
            Some(key) => self.add_key(domain, &selector, &key)?,
            None => {
                self.directory.spent_selectors.insert((domain.clone(), selector.clone()));
            }
        }
        self.say(format!("generated DKIM key {selector} ({algorithm}) of {domain}"));
        Ok(selector)
    }

    /// Takes a key in that was made elsewhere, in state generated.
    pub(in crate::tenants) fn import_key(
        &mut self,
        domain: &DomainName,
        selector: &str,
        key: &SigningKey,
    ) -> Result<(), RegistryError> {
        let selector = self.choose_selector(domain, Some(selector))?;
        self.add_key(domain, &selector, key)?;
        self.say(format!("imported DKIM key {selector} ({}) of {domain}", key.kind()));
        Ok(())
    }

    fn add_key(&mut self, domain: &DomainName, selector: &str, key: &SigningKey) -> Result<(), RegistryError> {
        let owner = self.directory.owner(domain).ok_or_else(|| RegistryError::NoDomain(domain.clone()))?;
        let unkeyed = || RegistryError::Record {
            place: format!("DataKey {}", owner.0),
            why: "the tenant's data key is missing".to_owned(),
        };
        let tenant_key = self.directory.data_key(owner).ok_or_else(unkeyed)?;
        let entry = KeyEntry::new(key, tenant_key, domain, selector, owner, self.now)?;
        // A key that signs is opened once before it is trusted with mail.
        entry.open()?;
        self.write_key(entry)
    }

    fn write_key(&mut self, entry: KeyEntry) -> Result<(), RegistryError> {
        let key = &entry.stored.key;
        self.events.push(Event::DkimKey {
            state: key.state.name(),
            domain: key.domain.to_string(),
            selector: key.selector.clone(),
            by: self.by.to_owned(),
        });
        let name = key_name(&key.domain, &key.selector);
        self.put(Namespace::DkimKey, &name, &entry.stored)?;
        self.directory.insert_key(entry);
        Ok(())
    }

    fn move_key(&mut self, entry: &KeyEntry, state: DkimState) -> Result<(), RegistryError> {
        self.write_key(entry.in_state(state, self.now))?;
        let key = &entry.stored.key;
        self.say(format!("DKIM key {} of {}: {}, was {}", key.selector, key.domain, state.name(), key.state.name()));
        Ok(())
    }

    fn wrong_state(entry: &KeyEntry, why: &'static str) -> RegistryError {
        let key = &entry.stored.key;
        let (domain, selector, state) = (key.domain.clone(), key.selector.clone(), key.state.name());
        RegistryError::KeyState { domain, selector, state, why }
    }

    /// Notes that the key's record was seen in DNS.
    pub(in crate::tenants) fn mark_published(
        &mut self,
        domain: &DomainName,
        selector: &str,
    ) -> Result<(), RegistryError> {
        let entry = self.key(domain, selector)?;
        match entry.stored.key.state {
            DkimState::Generated => self.move_key(&entry, DkimState::Published),
            DkimState::Published | DkimState::Active | DkimState::Retiring => Ok(()),
            DkimState::Retired | DkimState::Revoked => Err(Self::wrong_state(&entry, "it is never used again")),
        }
    }

    /// Lets a key sign.
    pub(in crate::tenants) fn activate_key(
        &mut self,
        domain: &DomainName,
        selector: &str,
        even_if_unpublished: bool,
    ) -> Result<(), RegistryError> {
        let entry = self.key(domain, selector)?;
        match entry.stored.key.state {
            DkimState::Active => Ok(()),
            DkimState::Generated if !even_if_unpublished => {
                let (domain, selector) = (domain.clone(), entry.stored.key.selector.clone());
                Err(RegistryError::Unpublished { domain, selector })
            }
            DkimState::Generated | DkimState::Published | DkimState::Retiring => {
                entry.open()?;
                self.move_key(&entry, DkimState::Active)
            }
            DkimState::Retired | DkimState::Revoked => {
                Err(Self::wrong_state(&entry, "its private half is destroyed; generate a new key"))
            }
        }
    }

    /// One step towards the end: an active key signs no more but stays published; any other is done with.
    pub(in crate::tenants) fn retire_key(
        &mut self,
        domain: &DomainName,
        selector: &str,
        force: bool,
    ) -> Result<(), RegistryError> {
        let entry = self.key(domain, selector)?;
        match entry.stored.key.state {
            DkimState::Active if !force && self.active_keys(domain) == 1 => {
                let (domain, selector) = (domain.clone(), entry.stored.key.selector.clone());
                Err(RegistryError::LastActiveKey { domain, selector })
            }
            DkimState::Active => self.move_key(&entry, DkimState::Retiring),
            DkimState::Generated | DkimState::Published | DkimState::Retiring => {
                self.move_key(&entry, DkimState::Retired)
            }
            DkimState::Retired => Ok(()),
            DkimState::Revoked => Err(Self::wrong_state(&entry, "its record must go on saying so")),
        }
    }

    /// Destroys a key that must not be trusted any more, the last active one too: an unsigned refusal harms less
    /// than a letter that anybody could have signed.
    pub(in crate::tenants) fn revoke_key(&mut self, domain: &DomainName, selector: &str) -> Result<(), RegistryError> {
        let entry = self.key(domain, selector)?;
        if entry.stored.key.state == DkimState::Revoked {
            return Ok(());
        }
        self.move_key(&entry, DkimState::Revoked)?;
        if entry.stored.key.state == DkimState::Active && self.active_keys(domain) == 0 {
            self.say(format!("{domain} has no active DKIM key: its mail is refused with 451 until one is activated"));
        }
        Ok(())
    }

    fn active_keys(&self, domain: &DomainName) -> usize {
        self.directory.dkim_keys(domain).filter(|key| key.state == DkimState::Active).count()
    }

    /// Is this only a plan?
    pub(in crate::tenants) fn is_plan(&self) -> bool {
        matches!(self.keys, KeySource::Plan(_))
    }
}

#[cfg(test)]
mod tests {
    use super::letters;

    #[test]
    fn letters_count_like_the_columns_of_a_table() {
        let some: Vec<String> = [0, 1, 25, 26, 27, 51, 52, 701, 702].into_iter().map(letters).collect();
        assert_eq!(some, ["a", "b", "z", "aa", "ab", "az", "ba", "zz", "aaa"]);
        let all: std::collections::HashSet<String> = (0..2000).map(letters).collect();
        assert_eq!(all.len(), 2000);
    }
}
