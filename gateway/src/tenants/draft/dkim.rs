//! Changes to DKIM keys: made or imported here, moved by the machine in `waxseal_keys::life` and nobody else.

use std::collections::BTreeMap;
use std::sync::Arc;

use waxseal_keys::life::{self, Command, Effect, Line, Observation, Refused, Ring, Sighting, Stage};
use waxseal_keys::{Algorithm, SigningKey};

use super::{Draft, KeySource, key_name};
use crate::message::DomainName;
use crate::observe::Event;
use crate::store::control::Namespace;
use crate::tenants::delegation;
use crate::tenants::dkim_key::{DkimMove, KeyEntry};
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

/// Where a new key's record can lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    /// In the domain's own zone: its key records are not delegated.
    Own,
    /// In this slot.
    Slot(&'static str),
    /// Both slots hold keys that letters may still need.
    None,
}

impl Draft<'_> {
    fn key(&self, domain: &DomainName, selector: &str) -> Result<Arc<KeyEntry>, RegistryError> {
        let found = self.directory.key_entry(domain, &selector.to_ascii_lowercase()).cloned();
        found.ok_or_else(|| RegistryError::NoKey { domain: domain.clone(), selector: selector.to_owned() })
    }

    fn room(&self, domain: &DomainName, line: Line) -> Room {
        let owned = self.directory.domain(domain).filter(|domain| domain.delegated.is_some());
        if owned.is_none() || self.delegation.is_none() {
            return Room::Own;
        }
        let policy = self.policy(domain);
        let free = |slot: &&str| {
            let held = self.directory.dkim_key(domain, slot);
            delegation::is_free(held, self.now.into(), policy) && !self.planned.contains(*slot)
        };
        delegation::slots(line).into_iter().find(free).map_or(Room::None, Room::Slot)
    }

    /// A selector that tells when the key was made and was never used with the domain; or a free slot of a delegated
    /// one.
    fn fresh_selector(&self, domain: &DomainName, line: Line) -> String {
        if let Room::Slot(slot) = self.room(domain, line) {
            return slot.to_owned();
        }
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
        if delegation::is_slot(&selector) || self.directory.selector_is_spent(domain, &selector) {
            return Err(RegistryError::SelectorSpent { domain: domain.clone(), selector });
        }
        Ok(selector)
    }

    fn policy(&self, domain: &DomainName) -> &life::Policy {
        self.rules.policy_of(self.directory.domain(domain).map(AsRef::as_ref))
    }

    fn choose_selector(
        &self,
        domain: &DomainName,
        line: Line,
        selector: Option<&str>,
    ) -> Result<String, RegistryError> {
        if self.directory.domain(domain).is_none() {
            return Err(RegistryError::NoDomain(domain.clone()));
        }
        selector.map_or_else(|| Ok(self.fresh_selector(domain, line)), |selector| self.check_selector(domain, selector))
    }

    /// Makes a key in state generated; returns its selector.
    pub(in crate::tenants) fn generate_key(
        &mut self,
        domain: &DomainName,
        algorithm: Algorithm,
        selector: Option<&str>,
    ) -> Result<String, RegistryError> {
        let line = if algorithm == Algorithm::Ed25519 { Line::Ed25519 } else { Line::Rsa };
        let selector = self.choose_selector(domain, line, selector)?;
        if let Some(key) = self.keys.take(algorithm)? {
            self.add_key(domain, &selector, &key)?;
        } else {
            self.directory.spent_selectors.insert((domain.clone(), selector.clone()));
            self.planned.insert(selector.clone());
        }
        self.say(format!("generated DKIM key {selector} ({algorithm}) of {domain}"));
        self.announce_key(domain, &selector, Stage::Generated, "made");
        Ok(selector)
    }

    /// Takes a key in that was made elsewhere, in state generated.
    pub(in crate::tenants) fn import_key(
        &mut self,
        domain: &DomainName,
        selector: &str,
        key: &SigningKey,
    ) -> Result<(), RegistryError> {
        let selector = self.choose_selector(domain, Line::Rsa, Some(selector))?;
        self.add_key(domain, &selector, key)?;
        self.say(format!("imported DKIM key {selector} ({}) of {domain}", key.kind()));
        self.announce_key(domain, &selector, Stage::Generated, "imported");
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
        let name = key_name(&entry.stored.key.domain, &entry.stored.key.selector);
        self.put(Namespace::DkimKey, &name, &entry.stored)?;
        self.directory.insert_key(entry);
        Ok(())
    }

    fn announce_key(&mut self, domain: &DomainName, selector: &str, state: Stage, why: impl Into<String>) {
        let (domain, selector, by) = (domain.to_string(), selector.to_owned(), self.by.to_owned());
        self.events.push(Event::DkimKey { state: state.name(), domain, selector, by, why: why.into() });
    }

    /// All keys of a domain, as the machine sees them.
    fn ring(&self, domain: &DomainName) -> Ring {
        Ring(self.directory.dkim_keys(domain).map(|key| (key.selector.clone(), key.life)).collect())
    }

    /// Makes what the machine decided true: lives, history, audit, events, new keys.
    fn live(&mut self, domain: &DomainName, (next, effects): (Ring, Vec<Effect>)) -> Result<(), RegistryError> {
        let mut moves: BTreeMap<String, Vec<DkimMove>> = BTreeMap::new();
        let mut wanted = Vec::new();
        for effect in effects {
            match effect {
                Effect::Moved { selector, from, to, why } => {
                    let (by, at) = (self.by.to_owned(), self.now);
                    self.announce_key(domain, &selector, to, why.to_string());
                    self.say(format!("DKIM key {selector} of {domain}: {to}, was {from}: {why}"));
                    moves.entry(selector).or_default().push(DkimMove { at, to, by, why: why.to_string() });
                }
                Effect::Generate { line } => wanted.push(line),
                Effect::RecordLost { selector } => {
                    let detail = "its record is missing at some authoritative server; it goes on signing";
                    self.record_event(domain, &selector, "dkim-record-lost", detail);
                }
                Effect::RecordBack { selector } => {
                    self.record_event(domain, &selector, "dkim-record-back", "its record is everywhere again");
                }
                Effect::Disclose { selector } => {
                    self.say(format!("DKIM key {selector} of {domain}: its private half is given to be published"));
                    self.disclosures.push((domain.clone(), selector));
                }
            }
        }
        for (selector, life) in next.0 {
            let entry = self.key(domain, &selector)?;
            if entry.stored.key.life != life {
                if life.stage() == Stage::Active && entry.stored.key.state() != Stage::Active {
                    // A key that signs is opened before it is trusted with mail.
                    entry.open()?;
                }
                self.write_key(entry.living(life, moves.remove(&selector).unwrap_or_default()))?;
            }
        }
        // A successor outside the slots would wait for a person; one that comes when a slot is free waits for nobody.
        wanted.retain(|line| self.room(domain, *line) != Room::None);
        wanted.into_iter().try_for_each(|line| self.generate_successor(domain, line).map(drop))
    }

    fn record_event(&mut self, domain: &DomainName, selector: &str, state: &'static str, words: &str) {
        let detail = format!("DKIM key {selector} of {domain}: {words}");
        self.say(detail.clone());
        self.events.push(Event::Gateway { state, detail });
    }

    /// A new key for a line: as `[dkim] algorithms` has it now, else like the one before. Its selector.
    fn generate_successor(&mut self, domain: &DomainName, line: Line) -> Result<String, RegistryError> {
        let of_line = |algorithm: &Algorithm| (*algorithm == Algorithm::Ed25519) == (line == Line::Ed25519);
        let before = self.directory.dkim_keys(domain).filter(|key| key.life.line == line);
        let before = before.max_by_key(|key| key.created).and_then(|key| key.algorithm.parse().ok());
        let fallback = if line == Line::Ed25519 { Algorithm::Ed25519 } else { Algorithm::Rsa2048 };
        let algorithm = self.algorithms.iter().copied().find(of_line).or(before).unwrap_or(fallback);
        self.generate_key(domain, algorithm, None)
    }

    fn command(&mut self, domain: &DomainName, what: &Command) -> Result<(), RegistryError> {
        let selector = match what {
            Command::Activate { selector, .. } | Command::Retire { selector, .. } | Command::Revoke { selector } => {
                selector.as_str()
            }
            Command::Rotate => "",
        };
        let done = life::command(&self.ring(domain), what, self.now.into(), self.policy(domain));
        let done = done.map_err(|refused| Self::refusal(domain, selector, refused))?;
        self.live(domain, done)
    }

    fn refusal(domain: &DomainName, selector: &str, refused: Refused) -> RegistryError {
        let (domain, selector) = (domain.clone(), selector.to_owned());
        match refused {
            Refused::NoKey => RegistryError::NoKey { domain, selector },
            Refused::Unseen => RegistryError::Unpublished { domain, selector },
            Refused::LastActive => RegistryError::LastActiveKey { domain, selector },
            Refused::Overlap { until } => RegistryError::Overlap { domain, selector, until: until.into() },
            Refused::Over(stage) => {
                let why = match stage {
                    Stage::Revoked => "its record must go on saying so",
                    _ => "it is never used again; generate a new key",
                };
                RegistryError::KeyState { domain, selector, state: stage.name(), why }
            }
        }
    }

    /// One look of the steward: what was seen in DNS, and which letters wait.
    pub(in crate::tenants) fn observe_keys(
        &mut self,
        domain: &DomainName,
        seen: &Observation,
    ) -> Result<(), RegistryError> {
        let next = life::step(&self.ring(domain), seen, self.now.into(), self.policy(domain));
        self.live(domain, next)
    }

    /// Notes that the key's record was seen in DNS.
    pub(in crate::tenants) fn mark_published(
        &mut self,
        domain: &DomainName,
        selector: &str,
    ) -> Result<(), RegistryError> {
        let selector = self.key(domain, selector)?.stored.key.selector.clone();
        let seen = Observation { records: [(selector, Sighting::Partly)].into(), ..Observation::default() };
        self.observe_keys(domain, &seen)
    }

    /// Lets a key sign.
    pub(in crate::tenants) fn activate_key(
        &mut self,
        domain: &DomainName,
        selector: &str,
        even_if_unpublished: bool,
    ) -> Result<(), RegistryError> {
        let selector = self.key(domain, selector)?.stored.key.selector.clone();
        self.command(domain, &Command::Activate { selector, insist: even_if_unpublished })
    }

    /// One step towards the end: an active key signs no more but stays published; any other is done with.
    pub(in crate::tenants) fn retire_key(
        &mut self,
        domain: &DomainName,
        selector: &str,
        force: bool,
    ) -> Result<(), RegistryError> {
        let selector = self.key(domain, selector)?.stored.key.selector.clone();
        self.command(domain, &Command::Retire { selector, force })
    }

    /// Destroys a key that must not be trusted any more, the last active one too: an unsigned refusal harms less
    /// than a letter that anybody could have signed.
    pub(in crate::tenants) fn revoke_key(&mut self, domain: &DomainName, selector: &str) -> Result<(), RegistryError> {
        let entry = self.key(domain, selector)?;
        self.command(domain, &Command::Revoke { selector: entry.stored.key.selector.clone() })?;
        if entry.stored.key.state() == Stage::Active && self.ring(domain).active() == 0 {
            self.say(format!("{domain} has no active DKIM key: its mail is refused with 451 until one is activated"));
        }
        Ok(())
    }

    /// Every line gets a successor, which takes over as soon as it may.
    pub(in crate::tenants) fn rotate_keys(&mut self, domain: &DomainName) -> Result<(), RegistryError> {
        self.check_signs(domain)?;
        self.command(domain, &Command::Rotate)?;
        self.say(format!("rotation of the DKIM keys of {domain} asked for"));
        Ok(())
    }

    /// Every key that signs is replaced at once and revoked. A successor whose record was not seen signs all the
    /// same: asking for this is insisting.
    pub(in crate::tenants) fn rotate_keys_now(
        &mut self,
        domain: &DomainName,
        reason: &str,
    ) -> Result<(), RegistryError> {
        self.check_signs(domain)?;
        self.say(format!("emergency rotation of the DKIM keys of {domain}: {reason}"));
        for life::Replacement { line, successor, compromised } in life::replacements(&self.ring(domain)) {
            let selector = match successor {
                Some(selector) => selector,
                None => self.generate_successor(domain, line)?,
            };
            // A plan makes no key that could be activated.
            if !self.is_plan() || self.directory.key_entry(domain, &selector).is_some() {
                self.command(domain, &Command::Activate { selector, insist: true })?;
            }
            for selector in compromised {
                self.command(domain, &Command::Revoke { selector })?;
            }
        }
        Ok(())
    }

    fn check_signs(&self, domain: &DomainName) -> Result<(), RegistryError> {
        if self.directory.domain(domain).is_none() {
            return Err(RegistryError::NoDomain(domain.clone()));
        }
        if self.ring(domain).active() == 0 { Err(RegistryError::NothingSigns(domain.clone())) } else { Ok(()) }
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
