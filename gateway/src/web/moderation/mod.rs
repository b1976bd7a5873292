//! `/moderation`: the pages of a moderator. The list of held posts, one post with why it is held, its author, rules and
//! history; every decision is a form, so that all of it works without a script.

mod act;
mod author;
mod history;
mod list;
mod post;
mod rules;
mod show;
mod words;

use axum::routing::{get, post};

use super::caller::Caller;
use super::posts::Desk;
use super::role::Role;
use super::route::{DECIDE_POSTS, Route, SEE_POSTS};
use super::state::WebState;
use crate::admin::Problem;
use crate::admin::client::query;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/moderation", SEE_POSTS, || get(list::page)),
    Route::post("/moderation/decide", DECIDE_POSTS, || post(act::decide)),
    Route::post("/moderation/apply", DECIDE_POSTS, || post(act::apply)),
    Route::post("/moderation/undo", DECIDE_POSTS, || post(act::undo)),
    Route::get("/moderation/posts/{id}", SEE_POSTS, || get(post::page)),
    Route::post("/moderation/posts/{id}/redact", DECIDE_POSTS, || post(act::redact)),
    Route::get("/moderation/authors/{id}", SEE_POSTS, || get(author::page)),
    Route::post("/moderation/authors/{id}/standing", DECIDE_POSTS, || post(author::change)),
    Route::get("/moderation/history", SEE_POSTS, || get(history::page)),
    Route::get("/moderation/rules", SEE_POSTS, || get(rules::page)),
    Route::post("/moderation/rules/change", DECIDE_POSTS, || post(rules::change)),
];

/// The desk that a page is about, and what its head needs.
struct Place {
    desk: Desk,
    /// May the caller decide, or only look?
    decides: bool,
    /// The tenants to choose from, where there are several.
    tenants: Vec<String>,
}

impl Place {
    /// The tenant that was asked for, or the first that the caller reaches.
    fn of(state: &WebState, caller: &Caller, asked: Option<&str>) -> Result<Self, Problem> {
        let directory = state.directory();
        let reachable = directory.tenants().filter(|tenant| caller.reach.covers(tenant.id));
        let tenants: Vec<String> = reachable.map(|tenant| tenant.name.clone()).collect();
        let asked = asked.filter(|name| !name.is_empty()).or(tenants.first().map(String::as_str));
        let desk = Desk::of_caller(state, caller, asked)?;
        let decides = caller.may(desk.tenant, &[Role::Owner, Role::Admin, Role::Moderator]);
        let tenants = if tenants.len() > 1 { tenants } else { Vec::new() };
        Ok(Self { desk, decides, tenants })
    }

    /// The tenant's name for addresses; empty where it goes without saying.
    fn tenant(&self) -> Option<String> {
        (!self.tenants.is_empty()).then(|| self.desk.name.clone())
    }

    /// The same as a query of its own, and as one that goes on.
    fn queries(&self) -> (String, String) {
        let query = query(&[("tenant", self.tenant())]);
        let more = query.replacen('?', "&", 1);
        (query, more)
    }
}
