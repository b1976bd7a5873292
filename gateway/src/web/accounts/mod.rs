//! People, sessions and tokens: in memory for every request, in the control store before anything is answered.
//!
//! Promises: a session or token is looked up by the digest of its secret, and the secret is nowhere kept; what is
//! ended is ended at once; each change of an account or token stands in the audit. Refuses two accounts with one
//! address, and to take the last owner away. Changing calls block on the disk: call them on the blocking pool.

mod change;
mod networks;
mod record;
mod rules;
mod sessions;
mod tokens;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Clock;
use crate::ids::TenantId;
use crate::store::control::{ChangeSet, Namespace};
use crate::tenants::{Registry, RegistryError};

pub use change::{FirstPassword, hash};
pub use networks::parse_networks;
pub use record::{Account, AccountId, ApiToken, Digest, Identity, SecondFactor, Session, SessionKey, Stage};
pub use rules::{PasswordRules, Weakness};
pub use sessions::{Lifetimes, NewSession};
pub use tokens::NewToken;

/// Why an account, a session or a token was not changed. Nothing has happened then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The client's mistake.
    #[error("there is no account {0}")]
    NoAccount(String),
    /// The client's mistake.
    #[error("there is no token {0}")]
    NoToken(String),
    /// The client's mistake.
    #[error("there is no such session: it has ended already")]
    NoSession,
    /// The client's mistake.
    #[error("\"{0}\" is not a mail address such as anna@example.com")]
    Address(String),
    /// The client's mistake.
    #[error("{0} has no such role")]
    NoRole(String),
    /// The address is taken.
    #[error("{0} has an account already: give it another role instead")]
    Exists(String),
    /// Nobody could let anybody in any more.
    #[error("{0} is the last owner: make another first")]
    LastOwner(String),
    /// A setting that would do harm; the text says which.
    #[error("{0}")]
    Refused(String),
    /// The store failed; try again.
    #[error(transparent)]
    Store(#[from] RegistryError),
    /// The system gave no randomness, or hashing failed; try again.
    #[error("{0}")]
    Secret(#[from] crate::tenants::secret::SecretError),
}

#[derive(Default)]
struct Known {
    accounts: HashMap<AccountId, Arc<Account>>,
    by_email: HashMap<String, AccountId>,
    sessions: HashMap<SessionKey, Session>,
    tokens: HashMap<Digest, ApiToken>,
    /// By tenant; `None` is for everybody.
    networks: HashMap<Option<TenantId>, Vec<ipnet::IpNet>>,
}

/// People, sessions and tokens. Share it in an `Arc`.
pub struct Accounts {
    registry: Arc<Registry>,
    clock: Arc<dyn Clock>,
    known: RwLock<Known>,
    /// Held by each change from reading to writing.
    changing: Mutex<()>,
    lifetimes: Lifetimes,
}

/// The form of an address under which it is found: no two differ by case alone.
fn folded(email: &str) -> String {
    email.trim().to_lowercase()
}

fn stored<T: Serialize>(value: &T) -> Result<Vec<u8>, AccountError> {
    serde_json::to_vec(value).map_err(|error| unreadable(&error))
}

fn read<T: DeserializeOwned>(value: &[u8]) -> Result<T, AccountError> {
    serde_json::from_slice(value).map_err(|error| unreadable(&error))
}

fn unreadable(error: &serde_json::Error) -> AccountError {
    AccountError::Store(RegistryError::Record { place: "accounts".to_owned(), why: error.to_string() })
}

impl Accounts {
    /// Reads everything that the control store has. Blocks on the disk.
    pub fn open(registry: Arc<Registry>, clock: Arc<dyn Clock>, lifetimes: Lifetimes) -> Result<Self, AccountError> {
        let mut known = Known::default();
        for (_, value) in registry.kept(Namespace::Account)? {
            let account: Account = read(&value)?;
            known.by_email.insert(folded(&account.email), account.id.clone());
            known.accounts.insert(account.id.clone(), Arc::new(account));
        }
        for (key, value) in registry.kept(Namespace::Session)? {
            if let Some(key) = Digest::from_key(&key) {
                known.sessions.insert(key, read(&value)?);
            }
        }
        for (key, value) in registry.kept(Namespace::ApiToken)? {
            if let Some(key) = Digest::from_key(&key) {
                known.tokens.insert(key, read(&value)?);
            }
        }
        for (key, value) in registry.kept(Namespace::WebSetting)? {
            if let Some(of) = networks::read_key(&key) {
                known.networks.insert(of, read(&value)?);
            }
        }
        Ok(Self { registry, clock, known: RwLock::new(known), changing: Mutex::new(()), lifetimes })
    }

    /// An account.
    pub fn account(&self, id: &AccountId) -> Option<Arc<Account>> {
        self.known.read().accounts.get(id).cloned()
    }

    /// The account with this address, however it is capitalised.
    pub fn by_email(&self, email: &str) -> Option<Arc<Account>> {
        let known = self.known.read();
        known.by_email.get(&folded(email)).and_then(|id| known.accounts.get(id)).cloned()
    }

    /// The account of this subject at an identity provider.
    pub fn by_identity(&self, identity: &Identity) -> Option<Arc<Account>> {
        let known = self.known.read();
        known.accounts.values().find(|account| account.identity.as_ref() == Some(identity)).cloned()
    }

    /// All accounts, by address.
    pub fn list(&self) -> Vec<Arc<Account>> {
        let mut all: Vec<_> = self.known.read().accounts.values().cloned().collect();
        all.sort_by(|a, b| a.email.cmp(&b.email));
        all
    }

    fn keep(&self, by: &str, words: Vec<String>, changes: ChangeSet) -> Result<(), AccountError> {
        Ok(self.registry.keep(by, words, changes)?)
    }
}
