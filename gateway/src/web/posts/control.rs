//! Posts over the control socket: the same handlers as on the web listener, for the command line.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::{api, rules};
use crate::posts::Posts;
use crate::tenants::Registry;

/// What these routes reach.
#[derive(Clone)]
pub struct PostAdmin {
    /// The posts.
    pub posts: Arc<Posts>,
    /// Tenants, for their names.
    pub registry: Arc<Registry>,
}

/// The routes, to be merged into those of the control socket. Verbs are segments of their own here.
pub fn router(state: PostAdmin) -> Router {
    Router::new()
        .route("/v1/posts", get(api::list).post(api::submit))
        .route("/v1/posts/@bulk", post(api::bulk))
        .route("/v1/posts/{id}", get(api::show))
        .route("/v1/posts/{id}/@approve", post(api::approve))
        .route("/v1/posts/{id}/@spam", post(api::spam))
        .route("/v1/posts/{id}/@reject", post(api::reject))
        .route("/v1/posts/{id}/@undo", post(api::undo))
        .route("/v1/authors/{id}", get(api::author))
        .route("/v1/authors/{id}/@trust", post(api::trust))
        .route("/v1/authors/{id}/@silence", post(api::silence))
        .route("/v1/authors/{id}/@ban", post(api::ban))
        .route("/v1/authors/{id}/@unban", post(api::unban))
        .route("/v1/backlog", get(api::backlog))
        .route("/v1/post-rules", get(rules::list))
        .with_state(state)
}
