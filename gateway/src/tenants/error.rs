//! Why the registry does not do what was asked.

use waxseal_keys::KeyError;

use super::secret::SecretError;
use crate::clock::Timestamp;
use crate::message::DomainName;
use crate::store::control::ControlError;

/// What an error means to the one who asked; the command line makes its exit status of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such thing.
    NotFound,
    /// The request is wrong in itself.
    Invalid,
    /// The request is understood, and the rules (or another tenant's rights) forbid it.
    Forbidden,
    /// The gateway failed; [`RegistryError::Control`] says when a restart is needed.
    Failed,
}

/// Why the registry does not do what was asked. Nothing has changed then, but for [`RegistryError::Control`],
/// whose own text says what is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// No tenant of this name.
    #[error("there is no tenant \"{0}\"")]
    NoTenant(String),
    /// No such domain.
    #[error("{0} is not a domain of any tenant")]
    NoDomain(DomainName),
    /// No such credential.
    #[error("there is no credential \"{0}\"")]
    NoCredential(String),
    /// No such DKIM key.
    #[error("{domain} has no DKIM key with the selector \"{selector}\"")]
    NoKey {
        /// The domain.
        domain: DomainName,
        /// The selector.
        selector: String,
    },
    /// The name is taken.
    #[error("there is a tenant \"{0}\" already")]
    TenantExists(String),
    /// Not a name.
    #[error(
        "\"{0}\" cannot be a tenant's name: 1 to 63 lower-case letters, digits, \"-\", \"_\" and \".\", \
         beginning with a letter or digit"
    )]
    TenantName(String),
    /// The domain is somebody's already.
    #[error("{domain} is a domain of tenant {tenant} already")]
    DomainTaken {
        /// The domain.
        domain: DomainName,
        /// Its tenant.
        tenant: String,
    },
    /// The domain lies above or below another tenant's: one of them could send as the other.
    #[error(
        "{domain} and {other}, which is of tenant {tenant}, lie one below the other: only one tenant can have both"
    )]
    DomainCrosses {
        /// The domain that was asked for.
        domain: DomainName,
        /// The one in its way.
        other: DomainName,
        /// Whose that is.
        tenant: String,
    },
    /// A top-level domain belongs to nobody.
    #[error("{0} is a top-level domain: give the domain that letters are sent from")]
    TopLevel(DomainName),
    /// The policy contradicts itself or another tenant's rights.
    #[error("policy: {0}")]
    Policy(String),
    /// The file names something twice, or does not parse.
    #[error("tenant file: {0}")]
    File(String),
    /// A credential that would never work.
    #[error("credential: {0}")]
    Credential(String),
    /// Not a selector.
    #[error("\"{0}\" cannot be a selector: letters, digits and \"-\" in labels of at most 63, parted by dots")]
    Selector(String),
    /// A selector is used once: a verifier may still hold the old record (RFC 6376 §3.1).
    #[error("the selector \"{selector}\" was used for {domain} before and cannot be used again: take another")]
    SelectorSpent {
        /// The domain.
        domain: DomainName,
        /// The selector.
        selector: String,
    },
    /// Signing with a key whose record nobody can look up makes every letter fail.
    #[error(
        "the record of {selector}._domainkey.{domain} was not seen in DNS; publish it \
         (waxseal domain records {domain}) or pass --even-if-unpublished"
    )]
    Unpublished {
        /// The domain.
        domain: DomainName,
        /// The selector.
        selector: String,
    },
    /// The key's state does not allow it.
    #[error("the key {selector} of {domain} is {state}: {why}")]
    KeyState {
        /// The domain.
        domain: DomainName,
        /// The selector.
        selector: String,
        /// Its state.
        state: &'static str,
        /// Why that does not go.
        why: &'static str,
    },
    /// Without a key that signs there is nothing to rotate.
    #[error("{0} has no active DKIM key to rotate: waxseal dkim list {0} says what its keys wait for")]
    NothingSigns(DomainName),
    /// The record of a key must stay as long as its letters travel.
    #[error(
        "letters that {selector} of {domain} signed may be on their way until {until}, and fail without its record: \
         wait, or force it"
    )]
    Overlap {
        /// The domain.
        domain: DomainName,
        /// The selector.
        selector: String,
        /// Until when.
        until: Timestamp,
    },
    /// Without an active key the domain's mail is refused.
    #[error(
        "{selector} is the last active key of {domain}, whose mail would be refused: activate another first, \
         or force it"
    )]
    LastActiveKey {
        /// The domain.
        domain: DomainName,
        /// The selector.
        selector: String,
    },
    /// The key does not parse, or was not made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The secret was not made.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// The control store.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A record of the control store opens but is not understood: written by a newer version, perhaps.
    #[error("control record {place} is not understood ({why}): was it written by a newer version?")]
    Record {
        /// Namespace and key.
        place: String,
        /// What the reader met.
        why: String,
    },
}

impl RegistryError {
    /// What it means to the one who asked.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::NoTenant(_) | Self::NoDomain(_) | Self::NoCredential(_) | Self::NoKey { .. } => Refusal::NotFound,
            Self::TenantName(_)
            | Self::TopLevel(_)
            | Self::Policy(_)
            | Self::File(_)
            | Self::Credential(_)
            | Self::Selector(_)
            | Self::Secret(SecretError::NotPrintable) => Refusal::Invalid,
            Self::TenantExists(_)
            | Self::DomainTaken { .. }
            | Self::DomainCrosses { .. }
            | Self::SelectorSpent { .. }
            | Self::Unpublished { .. }
            | Self::NothingSigns(_)
            | Self::Overlap { .. }
            | Self::KeyState { .. }
            | Self::LastActiveKey { .. } => Refusal::Forbidden,
            Self::Key(error) => match error {
                KeyError::NotAKey(_) | KeyError::TooSmall | KeyError::TooLarge | KeyError::Name(_) => Refusal::Invalid,
                _ => Refusal::Failed,
            },
            Self::Secret(_) | Self::Control(_) | Self::Record { .. } => Refusal::Failed,
        }
    }
}
