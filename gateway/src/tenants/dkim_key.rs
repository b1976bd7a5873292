//! A tenant's DKIM key as the registry keeps it: what may be shown, the sealed private half beside it, and the
//! signer made from it once.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use waxseal_keys::sealing::DataKey;
use waxseal_keys::{DomainSigner, KeyError, KeyKind, SigningKey};

use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::message::DomainName;

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DkimState {
    /// Made; its record was not seen in DNS yet.
    Generated,
    /// Its record was seen in DNS.
    Published,
    /// It signs.
    Active,
    /// It signs no more; its record must stay until the last letter that it signed has arrived.
    Retiring,
    /// It is done: the record may go, the private half is destroyed.
    Retired,
    /// It must not be trusted: the private half is destroyed, the record says so (RFC 6376 §3.6.1, empty `p=`).
    Revoked,
}

impl DkimState {
    /// The name in events, lists and texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Published => "published",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Revoked => "revoked",
        }
    }

    /// Is the private half gone for good?
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Retired | Self::Revoked)
    }
}

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DkimKey {
    /// The domain that it signs for.
    pub domain: DomainName,
    /// Its selector.
    pub selector: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it stands.
    pub state: DkimState,
    /// `rsa2048`, `ed25519`; an imported RSA key may have another length.
    pub algorithm: String,
    /// `k=` of its record: `rsa` or `ed25519`.
    pub key_type: String,
    /// `p=` of its record, in base64.
    pub public_key: String,
    /// When it was made or imported.
    pub created: Timestamp,
    /// When it came into its state.
    pub changed: Timestamp,
}

impl DkimKey {
    /// The name of its TXT record.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The value of its TXT record, unsplit; a revoked key's has an empty `p=`.
    pub fn record_value(&self) -> String {
        let public_key = if self.state == DkimState::Revoked { "" } else { &self.public_key };
        format!("v=DKIM1; k={}; p={public_key}", self.key_type)
    }

    /// Does anything else belong in DNS for it than nothing?
    pub fn wants_record(&self) -> bool {
        self.state != DkimState::Retired
    }
}

/// A key as it lies in the control store.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct StoredKey {
    pub(super) key: DkimKey,
    /// The private half under the tenant's data key, in base64; none when it was destroyed.
    pub(super) sealed: Option<String>,
}

/// A key in the directory. Kept from snapshot to snapshot, so that its private half is parsed once.
pub(super) struct KeyEntry {
    pub(super) stored: StoredKey,
    tenant_key: Arc<DataKey>,
    signer: OnceLock<Option<Arc<DomainSigner>>>,
}

fn context(domain: &DomainName, selector: &str) -> Vec<u8> {
    format!("waxseal dkim key v1\0{domain}\0{selector}").into_bytes()
}

impl KeyEntry {
    /// A key as it was read.
    pub(super) fn read(stored: StoredKey, tenant_key: Arc<DataKey>) -> Self {
        Self { stored, tenant_key, signer: OnceLock::new() }
    }

    /// A new key; `state` is where it begins.
    pub(super) fn new(
        signing_key: &SigningKey,
        tenant_key: Arc<DataKey>,
        domain: &DomainName,
        selector: &str,
        tenant: TenantId,
        now: Timestamp,
    ) -> Result<Self, KeyError> {
        use base64::Engine as _;
        let kind = signing_key.kind();
        let key = DkimKey {
            domain: domain.clone(),
            selector: selector.to_owned(),
            tenant,
            state: DkimState::Generated,
            algorithm: kind.to_string(),
            key_type: kind.record_tag().to_owned(),
            public_key: signing_key.public_record_value(),
            created: now,
            changed: now,
        };
        let sealed = signing_key.to_sealed(&tenant_key, &context(domain, selector))?;
        let sealed = Some(base64::engine::general_purpose::STANDARD.encode(sealed));
        Ok(Self::read(StoredKey { key, sealed }, tenant_key))
    }

    /// The same key in another state; a final one destroys the private half.
    pub(super) fn in_state(&self, state: DkimState, now: Timestamp) -> Self {
        let mut stored = self.stored.clone();
        stored.key.state = state;
        stored.key.changed = now;
        let signer = if state.is_final() { OnceLock::new() } else { self.signer.clone() };
        if state.is_final() {
            stored.sealed = None;
        }
        Self { stored, tenant_key: self.tenant_key.clone(), signer }
    }

    pub(super) fn is_rsa(&self) -> bool {
        self.stored.key.key_type == KeyKind::Rsa { bits: 0 }.record_tag()
    }

    /// Opens the private half.
    pub(super) fn open(&self) -> Result<DomainSigner, KeyError> {
        use base64::Engine as _;
        let DkimKey { domain, selector, .. } = &self.stored.key;
        let gone = || KeyError::NotAKey("its private half was destroyed".to_owned());
        let text = self.stored.sealed.as_ref().ok_or_else(gone)?;
        let blob = base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|_| KeyError::NotAKey("its sealed form is not base64".to_owned()))?;
        let key = SigningKey::from_sealed(&self.tenant_key, &context(domain, selector), &blob)?;
        DomainSigner::new(key, domain.as_str(), selector)
    }

    /// The signer, made at the first call. A key that does not open is told once and signs nothing.
    pub(super) fn signer(&self) -> Option<Arc<DomainSigner>> {
        let made = self.signer.get_or_init(|| match self.open() {
            Ok(signer) => Some(Arc::new(signer)),
            Err(error) => {
                let detail = format!("{} does not open and signs nothing: {error}", self.stored.key.record_name());
                crate::observe::emit(&crate::observe::Event::Gateway { state: "dkim-key-unusable", detail });
                None
            }
        });
        made.clone()
    }
}
