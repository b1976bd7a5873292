//! People and tokens over the control socket: the way to the first owner, and back in for who has shut everybody out.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::api;
use crate::clock::Clock;
use crate::tenants::Registry;
use crate::web::accounts::{Accounts, PasswordRules};

/// What these routes reach.
#[derive(Clone)]
pub struct PeopleAdmin {
    /// What a password may be.
    pub rules: PasswordRules,
    /// People, sessions, tokens.
    pub accounts: Arc<Accounts>,
    /// Tenants, for their names.
    pub registry: Arc<Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// The routes, to be merged into those of the control socket. Verbs are segments of their own here.
pub fn router(state: PeopleAdmin) -> Router {
    Router::new()
        .route("/v1/users", get(api::list).post(api::add))
        .route("/v1/users/{email}", get(api::show))
        .route("/v1/users/{email}/sessions", get(api::sessions))
        .route("/v1/users/{email}/@grant", post(api::grant))
        .route("/v1/users/{email}/@withdraw", post(api::withdraw))
        .route("/v1/users/{email}/@disable", post(api::disable))
        .route("/v1/users/{email}/@enable", post(api::enable))
        .route("/v1/users/{email}/@end-sessions", post(api::end_sessions))
        .route("/v1/users/{email}/@reset-totp", post(api::reset_totp))
        .route("/v1/users/{email}/@reset-password", post(api::reset_password))
        .route("/v1/users/{email}/@remove", post(api::remove))
        .route("/v1/tokens", get(api::tokens).post(api::new_token))
        .route("/v1/tokens/{id}/@revoke", post(api::revoke_token))
        .route("/v1/networks", get(api::networks).post(api::set_networks))
        .with_state(state)
}
