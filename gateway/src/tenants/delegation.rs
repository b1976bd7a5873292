//! Key records by delegation: the domain's owner publishes an alias for each of two slots of a line once, and the
//! records themselves lie in a zone of the operator's, where the steward changes them.
//!
//! A slot's selector is used again and again, unlike any other: a new key comes into a slot only when the one before it
//! is retired, or long revoked, so that no letter of the old one is on its way. A resolver remembers the old record for
//! [`SLOT_TTL`] at most, and a successor is published for much longer before it signs.

use std::fmt;

use async_trait::async_trait;
use waxseal_keys::life::{Line, Moment, Policy};

use super::{DkimKey, DkimState, TenantDomain};
use crate::message::DomainName;

/// Seconds. Short: a slot's record changes every few months, and the wait before a key signs is twice this at least.
pub const SLOT_TTL: u32 = 300;

/// What the configuration says of delegated domains.
#[derive(Debug, Clone, PartialEq)]
pub struct Delegation {
    /// The operator's zone that the aliases lead into.
    pub zone: DomainName,
    /// The times of delegated keys: shorter ones, since nobody has to do anything.
    pub policy: Policy,
}

/// The slots of a line.
pub const fn slots(line: Line) -> [&'static str; 2] {
    match line {
        Line::Rsa => ["wax1", "wax2"],
        Line::Ed25519 => ["waxe1", "waxe2"],
    }
}

/// Is it the selector of a slot?
pub fn is_slot(selector: &str) -> bool {
    Line::ALL.into_iter().flat_map(slots).any(|slot| slot == selector)
}

/// Where a slot's record really lies: `wax1.<label>.<zone>`.
pub fn target(slot: &str, domain: &TenantDomain, zone: &DomainName) -> Option<String> {
    let label = domain.delegated.as_ref()?;
    is_slot(slot).then(|| format!("{slot}.{label}.{zone}"))
}

/// A label of the domain's own in the operator's zone: never given to another, nor to the same domain again.
pub(super) fn new_label() -> String {
    format!("d{:012x}", rand::random::<u64>() >> 16)
}

/// May a new key take the place of this one?
pub(super) fn is_free(held: Option<&DkimKey>, now: Moment, policy: &Policy) -> bool {
    held.is_none_or(|key| match key.state() {
        DkimState::Retired | DkimState::Destroyed => true,
        DkimState::Revoked => now >= key.life.since + policy.overlap + policy.keep_retired,
        _ => false,
    })
}

/// A change of the operator's zone was refused or not answered; it is tried again at the next look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishError(pub String);

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Changes records in the operator's zone.
#[async_trait]
pub trait SlotPublisher: Send + Sync + 'static {
    /// Makes `value` the only TXT record at `name`, or removes them all.
    async fn set(&self, name: &str, value: Option<&str>) -> Result<(), PublishError>;
}
