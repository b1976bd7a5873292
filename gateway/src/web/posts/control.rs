//! Posts over the control socket: the same handlers as on the web listener, for the command line.

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::{api, rules};
use crate::posts::{Action, Posts};
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
        .route("/v1/posts/{id}/@approve", api::deciding(Action::Approve))
        .route("/v1/posts/{id}/@spam", api::deciding(Action::Spam))
        .route("/v1/posts/{id}/@reject", api::deciding(Action::Reject))
        .route("/v1/posts/{id}/@undo", api::deciding(Action::Undo))
        .route("/v1/authors/{id}", get(api::author))
        .route("/v1/authors/{id}/@trust", api::standing_as(Action::Trust))
        .route("/v1/authors/{id}/@silence", api::standing_as(Action::Silence))
        .route("/v1/authors/{id}/@ban", api::standing_as(Action::Ban))
        .route("/v1/authors/{id}/@unban", api::standing_as(Action::Unban))
        .route("/v1/backlog", get(api::backlog))
        .route("/v1/post-rules", get(rules::list))
        .with_state(state)
}
