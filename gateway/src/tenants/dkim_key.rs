//! A tenant's DKIM key as the registry keeps it: what may be shown, the sealed private half beside it, and the
//! signer made from it once.

use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};
use waxseal_keys::life::{Life, Line, Moment, State};
use waxseal_keys::sealing::DataKey;
use waxseal_keys::{DomainSigner, KeyError, KeyKind, SigningKey};

use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::message::DomainName;

/// Where a key stands.
pub use waxseal_keys::life::Stage as DkimState;

/// One move of a key's life, as it is kept with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DkimMove {
    /// When.
    pub at: Timestamp,
    /// Where to.
    pub to: DkimState,
    /// By whom: a person, or the steward.
    pub by: String,
    /// Why.
    pub why: String,
}

/// What may be shown of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "WrittenKey")]
pub struct DkimKey {
    /// The domain that it signs for.
    pub domain: DomainName,
    /// Its selector.
    pub selector: String,
    /// Whose it is.
    pub tenant: TenantId,
    /// Where it stands, and since when.
    pub life: Life,
    /// `rsa2048`, `ed25519`; an imported RSA key may have another length.
    pub algorithm: String,
    /// `k=` of its record: `rsa` or `ed25519`.
    pub key_type: String,
    /// `p=` of its record, in base64.
    pub public_key: String,
    /// When it was made or imported.
    pub created: Timestamp,
    /// Its moves so far, oldest first.
    pub history: Vec<DkimMove>,
}

/// A key as any version wrote it: the first ones had a state by name and no life.
#[derive(Deserialize)]
struct WrittenKey {
    domain: DomainName,
    selector: String,
    tenant: TenantId,
    algorithm: String,
    key_type: String,
    public_key: String,
    created: Timestamp,
    life: Option<Life>,
    #[serde(default)]
    history: Vec<DkimMove>,
    state: Option<FirstState>,
    changed: Option<Timestamp>,
}

/// The states of the first versions. Their `retired` destroyed the private half at once.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FirstState {
    Generated,
    Published,
    Active,
    Retiring,
    Retired,
    Revoked,
}

impl From<FirstState> for State {
    fn from(first: FirstState) -> Self {
        match first {
            FirstState::Generated => Self::Generated,
            FirstState::Published => Self::Published { everywhere_since: None },
            FirstState::Active => Self::ACTIVE,
            FirstState::Retiring => Self::Retiring,
            FirstState::Retired => Self::Destroyed,
            FirstState::Revoked => Self::Revoked,
        }
    }
}

impl From<WrittenKey> for DkimKey {
    fn from(written: WrittenKey) -> Self {
        let line = line_of(&written.key_type);
        let since = Moment::from(written.changed.unwrap_or(written.created));
        let state = written.state.map_or(State::Generated, State::from);
        Self {
            life: written.life.unwrap_or(Life { line, state, since, ttl: 0 }),
            domain: written.domain,
            selector: written.selector,
            tenant: written.tenant,
            algorithm: written.algorithm,
            key_type: written.key_type,
            public_key: written.public_key,
            created: written.created,
            history: written.history,
        }
    }
}

pub(super) fn line_of(key_type: &str) -> Line {
    if key_type == KeyKind::Ed25519.record_tag() { Line::Ed25519 } else { Line::Rsa }
}

impl From<Timestamp> for Moment {
    fn from(at: Timestamp) -> Self {
        Self(at.millis())
    }
}

impl From<Moment> for Timestamp {
    fn from(at: Moment) -> Self {
        Self::from_millis(at.0)
    }
}

impl DkimKey {
    /// Where it stands.
    pub fn state(&self) -> DkimState {
        self.life.stage()
    }

    /// When it came into its state.
    pub fn changed(&self) -> Timestamp {
        self.life.since.into()
    }

    /// The name of its TXT record.
    pub fn record_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain)
    }

    /// The value of its TXT record, unsplit; a revoked key's has an empty `p=`.
    pub fn record_value(&self) -> String {
        let public_key = if self.state() == DkimState::Revoked { "" } else { &self.public_key };
        format!("v=DKIM1; k={}; p={public_key}", self.key_type)
    }

    /// Does anything else belong in DNS for it than nothing?
    pub fn wants_record(&self) -> bool {
        self.state().wants_record()
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

    /// A new key, in state generated.
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
            life: Life::new(line_of(kind.record_tag()), now.into()),
            algorithm: kind.to_string(),
            key_type: kind.record_tag().to_owned(),
            public_key: signing_key.public_record_value(),
            created: now,
            history: Vec::new(),
        };
        let sealed = signing_key.to_sealed(&tenant_key, &context(domain, selector))?;
        let sealed = Some(base64::engine::general_purpose::STANDARD.encode(sealed));
        Ok(Self::read(StoredKey { key, sealed }, tenant_key))
    }

    /// The same key with another life; one without a private half destroys it.
    pub(super) fn living(&self, life: Life, moves: Vec<DkimMove>) -> Self {
        let mut stored = self.stored.clone();
        stored.key.life = life;
        stored.key.history.extend(moves);
        let keeps = life.stage().has_private_half();
        if !keeps {
            stored.sealed = None;
        }
        let signer = if keeps { self.signer.clone() } else { OnceLock::new() };
        Self { stored, tenant_key: self.tenant_key.clone(), signer }
    }

    pub(super) fn is_rsa(&self) -> bool {
        self.stored.key.life.line == Line::Rsa
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
