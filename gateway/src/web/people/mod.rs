//! People, their roles, API tokens, and where people may enter from: the pages and `/v1/users`, `/v1/tokens`,
//! `/v1/networks`, the same on the control socket.
//!
//! Promises: nobody gives, takes or looks through a role that is above their own ([`Authority`]); an account that has a
//! role elsewhere too is changed by nobody who does not reach all of it; a first password and a token's secret are
//! shown once. Refuses changes to one's own account, so that no click of one's own locks one out.

mod api;
mod authority;
mod control;
mod desk;
mod networks;
mod one;
mod page;
mod tokens;
pub mod view;
mod words;

pub use authority::Authority;
pub use control::{PeopleAdmin, router as control_router};

use axum::routing::{get, post};

use super::role::Role;
use super::route::{Access, OWN, Route};

/// Who looks after people.
const MANAGE: Access = Access::Roles(&[Role::Owner, Role::Admin]);

pub(super) const ROUTES: &[Route] = &[
    Route::get("/people", MANAGE, || get(page::page)),
    Route::post("/people", MANAGE, || post(page::add)),
    Route::get("/people/{email}", MANAGE, || get(one::page)),
    Route::post("/people/{email}", MANAGE, || post(one::change)),
    Route::get("/tokens", MANAGE, || get(tokens::page)),
    Route::post("/tokens", MANAGE, || post(tokens::make)),
    Route::post("/tokens/revoke", MANAGE, || post(tokens::revoke)),
    Route::get("/networks", OWN, || get(networks::page)),
    Route::post("/networks", OWN, || post(networks::set)),
    Route::get("/v1/users", MANAGE, || get(api::list)),
    Route::post("/v1/users", MANAGE, || post(api::add)),
    Route::get("/v1/users/{email}", MANAGE, || get(api::show)),
    Route::get("/v1/users/{email}/sessions", MANAGE, || get(api::sessions)),
    Route::post("/v1/users/{email}:grant", MANAGE, || post(api::grant)),
    Route::post("/v1/users/{email}:withdraw", MANAGE, || post(api::withdraw)),
    Route::post("/v1/users/{email}:disable", MANAGE, || post(api::disable)),
    Route::post("/v1/users/{email}:enable", MANAGE, || post(api::enable)),
    Route::post("/v1/users/{email}:end-sessions", MANAGE, || post(api::end_sessions)),
    Route::post("/v1/users/{email}:reset-totp", MANAGE, || post(api::reset_totp)),
    Route::post("/v1/users/{email}:reset-password", MANAGE, || post(api::reset_password)),
    Route::post("/v1/users/{email}:remove", MANAGE, || post(api::remove)),
    Route::get("/v1/tokens", MANAGE, || get(api::tokens)),
    Route::post("/v1/tokens", MANAGE, || post(api::new_token)),
    Route::post("/v1/tokens/{id}:revoke", MANAGE, || post(api::revoke_token)),
    Route::get("/v1/networks", OWN, || get(api::networks)),
    Route::post("/v1/networks", OWN, || post(api::set_networks)),
];
