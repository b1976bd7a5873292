//! Suspensions as JSON. Whoever's roles stand in some tenants only sees and makes those that name one of them: one
//! without a tenant stops everybody's mail.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;

use crate::admin::Problem;
use crate::admin::server::json;
use crate::admin::suspensions::{SuspensionRequest, SuspensionView, asked, reason, scope};
use crate::schedule::suspension::{Scope, Suspension};
use crate::web::caller::Caller;
use crate::web::role::Reach;
use crate::web::state::WebState;

type Answer<T> = Result<Json<T>, Problem>;

fn view(state: &WebState, suspension: &Suspension) -> SuspensionView {
    let directory = state.directory();
    let name = |id| directory.tenant_name(id).map_or_else(|| format!("#{}", id.0), str::to_owned);
    SuspensionView::new(suspension, suspension.scope.tenant.map(name))
}

fn may_see(caller: &Caller, suspension: &Suspension) -> bool {
    match suspension.scope.tenant {
        Some(tenant) => caller.reach.covers(tenant),
        None => matches!(caller.reach, Reach::Everything),
    }
}

/// The scope of a request, inside of the caller's reach.
fn reached(state: &WebState, caller: &Caller, request: &SuspensionRequest) -> Result<Scope, Problem> {
    let directory = state.directory();
    let scope = scope(request, |name| caller.tenant(Some(name), &directory))?;
    match (&scope.tenant, &caller.reach) {
        (None, Reach::Tenants(_)) => Err(Problem::invalid("name a tenant: your roles do not stand in all of them")),
        _ => Ok(scope),
    }
}

pub(super) async fn suspensions(State(state): State<WebState>, caller: Caller) -> Answer<Vec<SuspensionView>> {
    let all = state.rooms.admin.queue.suspensions();
    Ok(Json(all.iter().filter(|one| may_see(&caller, one)).map(|one| view(&state, one)).collect()))
}

pub(super) async fn suspend(State(state): State<WebState>, caller: Caller, body: Bytes) -> Answer<SuspensionView> {
    let request: SuspensionRequest = json(&body)?;
    let scope = reached(&state, &caller, &request)?.checked();
    let scope = scope.map_err(|error| Problem::invalid(error.to_string()))?;
    let span = request.for_seconds.map(Duration::from_secs);
    let made = state.rooms.admin.queue.suspend(scope, span, &caller.by(), &reason(&request)?).await?;
    Ok(Json(view(&state, &made)))
}

pub(super) async fn resume(State(state): State<WebState>, caller: Caller, body: Bytes) -> Answer<Vec<SuspensionView>> {
    let request: SuspensionRequest = json(&body)?;
    let asked = asked(reached(&state, &caller, &request)?)?;
    let ended = state.rooms.admin.queue.resume(&asked, &caller.by(), request.dry_run).await?;
    Ok(Json(ended.iter().map(|one| view(&state, one)).collect()))
}
