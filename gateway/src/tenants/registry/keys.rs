//! The registry's changes to DKIM keys, and to whom a domain belongs.

use waxseal_keys::life::{NextStep, Observation, Ring, next_step};
use waxseal_keys::{Algorithm, SigningKey};
use zeroize::Zeroizing;

use super::{Change, KeySource, Registry, RegistryError};
use crate::message::DomainName;
use crate::tenants::{DkimKey, DkimState, DomainClaim};

impl Registry {
    /// Makes a DKIM key in state generated; without a selector, one like `wax202611a`. Returns the selector.
    pub fn generate_dkim_key(
        &self,
        domain: &DomainName,
        algorithm: Algorithm,
        selector: Option<&str>,
        by: &str,
    ) -> Result<(String, Change), RegistryError> {
        let (_, wanted) = self.plan(by, |draft| draft.generate_key(domain, algorithm, selector).map(drop))?;
        let keys = KeySource::make(&wanted)?;
        let (selector, change, _) = self.change(by, keys, |draft| draft.generate_key(domain, algorithm, selector))?;
        Ok((selector, change))
    }

    /// Takes in a private key in PEM (PKCS#1, PKCS#8) or a bare Ed25519 seed, in state generated.
    pub fn import_dkim_key(
        &self,
        domain: &DomainName,
        selector: &str,
        pem: &[u8],
        by: &str,
    ) -> Result<Change, RegistryError> {
        let key = SigningKey::from_pem(pem)?;
        self.simple_change(by, |draft| draft.import_key(domain, selector, &key))
    }

    /// Notes that the key's record was seen in DNS.
    pub fn mark_dkim_published(&self, domain: &DomainName, selector: &str, by: &str) -> Result<Change, RegistryError> {
        self.simple_change(by, |draft| draft.mark_published(domain, selector))
    }

    /// Lets a key sign. A key whose record was not seen in DNS only with `even_if_unpublished`.
    pub fn activate_dkim_key(
        &self,
        domain: &DomainName,
        selector: &str,
        even_if_unpublished: bool,
        by: &str,
    ) -> Result<Change, RegistryError> {
        self.simple_change(by, |draft| draft.activate_key(domain, selector, even_if_unpublished))
    }

    /// One step towards a key's end: active, then retiring (stays published), then retired (destroyed). The last
    /// active key only with `force`.
    pub fn retire_dkim_key(
        &self,
        domain: &DomainName,
        selector: &str,
        force: bool,
        by: &str,
    ) -> Result<Change, RegistryError> {
        self.simple_change(by, |draft| draft.retire_key(domain, selector, force))
    }

    /// Destroys a key that must not be trusted any more; its record then says so.
    pub fn revoke_dkim_key(&self, domain: &DomainName, selector: &str, by: &str) -> Result<Change, RegistryError> {
        self.simple_change(by, |draft| draft.revoke_key(domain, selector))
    }

    /// One look of the steward: moves every key of the domain that what was seen and the time allow to move, and
    /// makes the keys that are missing. Nothing happens to a domain that was removed meanwhile.
    pub fn observe_dkim_keys(
        &self,
        domain: &DomainName,
        seen: &Observation,
        by: &str,
    ) -> Result<Change, RegistryError> {
        self.change_with_keys(by, false, |draft| draft.observe_keys(domain, seen))
    }

    /// Gives a domain to a tenant on the operator's word, whether proof is required or not.
    pub fn vouch_for_domain(&self, domain: &DomainName, tenant: &str, by: &str) -> Result<Change, RegistryError> {
        self.change_with_keys(by, false, |draft| draft.vouch_for_domain(domain, tenant))
    }

    /// Gives a domain to the tenant whose claim's token was seen; nothing if the claim has ended meanwhile.
    pub fn prove_domain_claim(&self, claim: &DomainClaim, by: &str) -> Result<Change, RegistryError> {
        self.change_with_keys(by, false, |draft| draft.prove_claim(claim))
    }

    /// Asks for a rotation: every line gets a successor, which takes over as soon as its record was everywhere for
    /// the pre-publish time.
    pub fn rotate_dkim_keys(&self, domain: &DomainName, dry_run: bool, by: &str) -> Result<Change, RegistryError> {
        self.change_with_keys(by, dry_run, |draft| draft.rotate_keys(domain))
    }

    /// Replaces and revokes every key that signs, at once, whether the new ones' records were seen or not.
    pub fn rotate_dkim_keys_now(
        &self,
        domain: &DomainName,
        reason: &str,
        dry_run: bool,
        by: &str,
    ) -> Result<Change, RegistryError> {
        self.change_with_keys(by, dry_run, |draft| draft.rotate_keys_now(domain, reason))
    }

    /// The private half of a retired key, in PEM, for publishing; of no other key.
    pub fn retired_dkim_key(&self, domain: &DomainName, selector: &str) -> Result<Zeroizing<String>, RegistryError> {
        let directory = self.snapshot();
        let entry = directory.key_entry(domain, selector);
        let entry = entry.filter(|entry| entry.stored.key.state() == DkimState::Retired);
        let none = || RegistryError::NoKey { domain: domain.clone(), selector: selector.to_owned() };
        Ok(entry.ok_or_else(none)?.open()?.key().to_pem()?)
    }

    /// What happens next to each key of a domain by itself.
    pub fn dkim_key_plans(&self, domain: &DomainName) -> Vec<(DkimKey, Option<NextStep>)> {
        let (directory, rules) = (self.snapshot(), self.domain_rules());
        let ring = Ring(directory.dkim_keys(domain).map(|key| (key.selector.clone(), key.life)).collect());
        let policy = rules.policy_of(directory.domain(domain).map(AsRef::as_ref));
        let plan = |key: &DkimKey| (key.clone(), next_step(&ring, &key.selector, policy));
        directory.dkim_keys(domain).map(plan).collect()
    }
}
