//! Posts over HTTP: `/v1/posts` and `/v1/authors` for help centers and moderators' programs, the endpoints of Akismet
//! for clients that are there already, and the same as verbs on the control socket.

pub mod akismet;
pub(super) mod api;
mod control;
pub(super) mod desk;
pub mod form;
mod rules;
#[cfg(test)]
mod tests;
pub mod view;

pub use control::{PostAdmin, router as control_router};
pub use desk::Desk;

use axum::routing::{get, post};

use super::route::{Access, DECIDE_POSTS, Route, SEE_POSTS};
use crate::posts::Action;

pub(super) const ROUTES: &[Route] = &[
    Route::post("/v1/posts", DECIDE_POSTS, || post(api::submit)),
    Route::get("/v1/posts", SEE_POSTS, || get(api::list)),
    Route::post("/v1/posts:bulk", DECIDE_POSTS, || post(api::bulk)),
    Route::get("/v1/posts/{id}", SEE_POSTS, || get(api::show)),
    Route::post("/v1/posts/{id}:approve", DECIDE_POSTS, || api::deciding(Action::Approve)),
    Route::post("/v1/posts/{id}:spam", DECIDE_POSTS, || api::deciding(Action::Spam)),
    Route::post("/v1/posts/{id}:reject", DECIDE_POSTS, || api::deciding(Action::Reject)),
    Route::post("/v1/posts/{id}:undo", DECIDE_POSTS, || api::deciding(Action::Undo)),
    Route::post("/v1/posts/{id}:claim", DECIDE_POSTS, || post(api::claim)),
    Route::post("/v1/posts/{id}:redact", DECIDE_POSTS, || post(api::redact)),
    Route::get("/v1/authors/{id}", SEE_POSTS, || get(api::author)),
    Route::post("/v1/authors/{id}:trust", DECIDE_POSTS, || api::standing_as(Action::Trust)),
    Route::post("/v1/authors/{id}:silence", DECIDE_POSTS, || api::standing_as(Action::Silence)),
    Route::post("/v1/authors/{id}:ban", DECIDE_POSTS, || api::standing_as(Action::Ban)),
    Route::post("/v1/authors/{id}:unban", DECIDE_POSTS, || api::standing_as(Action::Unban)),
    Route::get("/v1/backlog", SEE_POSTS, || get(api::backlog)),
    Route::get("/v1/post-rules", SEE_POSTS, || get(rules::list)),
    Route::post("/v1/post-rules", DECIDE_POSTS, || post(rules::add)),
    Route::post("/v1/post-rules:try", DECIDE_POSTS, || post(rules::try_on)),
    Route::post("/v1/post-rules/{number}:enforce", DECIDE_POSTS, || post(rules::enforce)),
    Route::post("/v1/post-rules/{number}:shadow", DECIDE_POSTS, || post(rules::shadow)),
    Route::post("/v1/post-rules/{number}:remove", DECIDE_POSTS, || post(rules::remove)),
    Route::post("/1.1/verify-key", Access::OwnKey, || post(akismet::verify_key)),
    Route::post("/1.1/comment-check", Access::OwnKey, || post(akismet::comment_check)),
    Route::post("/1.1/submit-spam", Access::OwnKey, || post(akismet::submit_spam)),
    Route::post("/1.1/submit-ham", Access::OwnKey, || post(akismet::submit_ham)),
    Route::get("/1.2/usage-limit", Access::OwnKey, || get(akismet::usage_limit)),
    Route::get("/1.2/key-sites", Access::OwnKey, || get(akismet::key_sites)),
];
