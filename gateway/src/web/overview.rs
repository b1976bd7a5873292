//! `/`: what there is and what should be looked at.

use askama::Template;
use axum::extract::State;
use axum::routing::get;

use super::caller::Caller;
use super::page::{Layout, PageResult, show};
use super::route::{Route, SEE};
use super::state::WebState;

pub(super) const ROUTES: &[Route] = &[Route::get("/", SEE, || get(overview))];

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    layout: Layout,
    tenants: Vec<String>,
}

async fn overview(State(state): State<WebState>, layout: Layout, caller: Caller) -> PageResult {
    let directory = state.directory();
    let tenants = directory.tenants().filter(|tenant| caller.reach.covers(tenant.id));
    let tenants = tenants.map(|tenant| tenant.name.clone()).collect();
    show(&Overview { layout, tenants })
}
