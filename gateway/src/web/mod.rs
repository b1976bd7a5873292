//! The web listener: pages for people, JSON for programs, and who may have which.
//!
//! Promises: every route stands in one table with the roles that may use it ([`route::Route`]), and the guard asks before
//! the handler runs; a handler sees only what the caller's [`role::Reach`] covers; pages work without a script and load
//! nothing from elsewhere. Refuses requests that another site has a browser send.

pub mod account;
pub mod accounts;
mod assets;
mod audit;
pub mod caller;
pub mod control;
pub mod cookie;
mod csrf;
mod device;
pub mod domains;
pub mod guard;
mod headers;
pub mod language;
pub mod login;
mod mail;
mod moderation;
pub mod notify;
pub mod oidc;
mod openapi;
mod overview;
pub mod page;
pub mod people;
pub mod posts;
pub mod role;
pub mod route;
mod said;
mod second_factor;
pub mod settings;
pub mod site;
pub mod state;
pub mod suppressions;
#[cfg(test)]
mod tests;
mod words;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Router, middleware};

pub use caller::{Caller, MaybeCaller};
pub use page::{Layout, PageResult};
pub use route::{Access, Route};
pub use state::{Rooms, WebState};

use crate::admin::Problem;
use site::Site;

/// The largest body of a request; a route that takes more says so itself.
const LARGEST_BODY: usize = 1 << 20;

/// Every route of the web listener. A room with routes of its own adds its table here.
pub fn table() -> Vec<Route> {
    let tables = [
        assets::ROUTES.to_vec(),
        login::routes(),
        oidc::ROUTES.to_vec(),
        openapi::ROUTES.to_vec(),
        account::routes(),
        domains::routes(),
        mail::routes(),
        people::ROUTES.to_vec(),
        suppressions::ROUTES.to_vec(),
        audit::ROUTES.to_vec(),
        overview::ROUTES.to_vec(),
        posts::ROUTES.to_vec(),
        moderation::ROUTES.to_vec(),
    ];
    tables.concat()
}

/// The router of one web listener. It needs the peer's address (`ConnectInfo<site::Peer>`).
pub fn router(rooms: Arc<Rooms>, site: Site) -> Router {
    let secure = site.secure;
    let state = WebState { rooms, site: Arc::new(site) };
    let routes = route::router(&state, &table())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .fallback(|| async { Problem::not_found("there is no such page") })
        .layer(middleware::from_fn_with_state(state.clone(), page::problems_as_pages))
        .with_state(state);
    // The verb is split off before the routes are asked, so this stands around them.
    Router::new()
        .fallback_service(routes)
        .layer(middleware::map_request(route::split_verb))
        .layer(middleware::from_fn(move |request, next| headers::add(secure, request, next)))
}
