//! What the handlers of the web listener can reach.

use std::sync::Arc;

use super::account::PendingFactors;
use super::accounts::{AccountError, Accounts};
use super::domains::report::DomainChecks;
use super::login::throttle::SignInThrottle;
use super::notify::OwnMail;
use super::oidc::Provider;
use super::settings::WebSettings;
use super::site::Site;
use crate::admin::Problem;
use crate::admin::server::AdminState;
use crate::clock::Clock;
use crate::posts::Posts;
use crate::returns::Suppressions;
use crate::tenants::{Directory, Registry};
use crate::threads::Processors;

/// The rooms behind the pages; the same for every listener.
pub struct Rooms {
    /// What the control socket can reach, too: the queue, tenants, domains and keys as verbs.
    pub admin: AdminState,
    /// Tenants, domains and keys as values.
    pub registry: Arc<Registry>,
    /// What is known of domains' records.
    pub checks: Arc<dyn DomainChecks>,
    /// People, sessions, tokens.
    pub accounts: Arc<Accounts>,
    /// Posts for help centers.
    pub posts: Arc<Posts>,
    /// Who gets no more mail.
    pub suppressions: Arc<Suppressions>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where passwords are hashed.
    pub processors: Processors,
    /// What the operator has configured.
    pub settings: WebSettings,
    /// The identity provider, if single sign-on is set up.
    pub provider: Option<Provider>,
    /// Takes mail to accounts.
    pub mail: Arc<dyn OwnMail>,
    /// Second factors that are being set up.
    pub pending_factors: PendingFactors,
    /// Failed sign-ins, over all listeners.
    pub throttle: SignInThrottle,
}

/// The state of every handler.
#[derive(Clone)]
pub struct WebState {
    /// The rooms.
    pub rooms: Arc<Rooms>,
    /// The listener.
    pub site: Arc<Site>,
}

impl WebState {
    /// Everything about tenants as it is now.
    pub fn directory(&self) -> Arc<Directory> {
        self.rooms.registry.snapshot()
    }

    /// Runs a change of accounts outside the threads that move bytes.
    pub async fn accounts<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Accounts) -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, Problem> {
        let accounts = self.rooms.accounts.clone();
        blocking(move || work(&accounts)).await?.map_err(Problem::from)
    }
}

/// Runs what waits for the disk outside the threads that move bytes.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(error.to_string()))
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let text = error.to_string();
        match error {
            AccountError::NoAccount(_)
            | AccountError::NoToken(_)
            | AccountError::NoSession
            | AccountError::NoRole(_) => Self::not_found(text),
            AccountError::Address(_) | AccountError::Refused(_) => Self::invalid(text),
            AccountError::Exists(_) | AccountError::LastOwner(_) => Self::conflict(text),
            AccountError::Store(_) | AccountError::Secret(_) => Self::internal(text),
        }
    }
}
