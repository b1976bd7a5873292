//! `queue suspend` and `queue resume` over HTTP: shapes and routes.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::problem::Problem;
use super::queue_routes::{Names, name_of, tenant_id, tenant_names};
use super::server::{AdminState, Answer, by, json};
use crate::schedule::suspension::{Scope, Suspension};

/// What is to be suspended, or resumed; all given parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SuspensionRequest {
    /// A tenant's name.
    pub tenant: Option<String>,
    /// A recipient domain, `*.domain` or `*`.
    pub domain: Option<String>,
    /// A site's name, or an MX host.
    pub site: Option<String>,
    /// For how long; without it until somebody resumes.
    pub for_seconds: Option<u64>,
    /// Why, for the record; needed to suspend.
    pub reason: String,
    /// Only tell what would be resumed.
    pub dry_run: bool,
}

/// A suspension as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspensionView {
    /// The tenant's name.
    pub tenant: Option<String>,
    /// The recipient domain.
    pub domain: Option<String>,
    /// The site.
    pub site: Option<String>,
    /// Since when, in RFC 3339.
    pub since: String,
    /// Until when, in RFC 3339; `null` is until somebody resumes.
    pub until: Option<String>,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
}

impl SuspensionView {
    /// A suspension under its tenant's name.
    pub fn new(suspension: &Suspension, tenant: Option<String>) -> Self {
        Self {
            tenant,
            domain: suspension.scope.domain.clone(),
            site: suspension.scope.site.clone(),
            since: suspension.since.to_rfc3339(),
            until: suspension.until.map(crate::clock::Timestamp::to_rfc3339),
            by: suspension.by.clone(),
            reason: suspension.reason.clone(),
        }
    }

    /// `domain example.net of tenant acme until …, by anna: their outage`.
    pub fn words(&self) -> String {
        let parts = [("tenant", &self.tenant), ("domain", &self.domain), ("site", &self.site)];
        let parts = parts.iter().filter_map(|(what, name)| name.as_ref().map(|name| format!("{what} {name}")));
        let until = self.until.as_ref().map_or_else(String::new, |until| format!(" until {until}"));
        format!("{}{until}, by {}: {}", parts.collect::<Vec<_>>().join(", "), self.by, self.reason)
    }
}

pub(super) fn router() -> Router<AdminState> {
    Router::new()
        .route("/v1/queue/suspensions", get(list))
        .route("/v1/queue:suspend", post(suspend))
        .route("/v1/queue:resume", post(resume))
}

/// What the request is about, its tenant's number found by `number`.
pub fn scope(
    request: &SuspensionRequest,
    number: impl FnOnce(&str) -> Result<crate::ids::TenantId, Problem>,
) -> Result<Scope, Problem> {
    let tenant = request.tenant.as_deref().map(number).transpose()?;
    Ok(Scope { tenant, domain: request.domain.clone(), site: request.site.clone() })
}

/// A reason as it is kept: on one line, and never empty.
pub fn reason(request: &SuspensionRequest) -> Result<String, Problem> {
    let reason: String = request.reason.trim().chars().filter(|c| !c.is_control()).take(200).collect();
    if reason.is_empty() {
        return Err(Problem::invalid("a suspension needs a reason: whoever wonders why mail waits will read it"));
    }
    Ok(reason)
}

fn view(suspension: &Suspension, names: &Names) -> SuspensionView {
    SuspensionView::new(suspension, suspension.scope.tenant.map(|tenant| name_of(names, tenant)))
}

async fn list(State(state): State<AdminState>) -> Answer<Vec<SuspensionView>> {
    let names = tenant_names(&state).await?;
    Ok(Json(state.queue.suspensions().iter().map(|one| view(one, &names)).collect()))
}

async fn suspend(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Answer<SuspensionView> {
    let request: SuspensionRequest = json(&body)?;
    let names = tenant_names(&state).await?;
    let scope = scope(&request, |name| tenant_id(&names, name))?.checked();
    let scope = scope.map_err(|error| Problem::invalid(error.to_string()))?;
    let span = request.for_seconds.map(Duration::from_secs);
    let made = state.queue.suspend(scope, span, &by(&headers), &reason(&request)?).await?;
    Ok(Json(view(&made, &names)))
}

async fn resume(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Answer<Vec<SuspensionView>> {
    let request: SuspensionRequest = json(&body)?;
    let names = tenant_names(&state).await?;
    let asked = asked(scope(&request, |name| tenant_id(&names, name))?)?;
    let ended = state.queue.resume(&asked, &by(&headers), request.dry_run).await?;
    Ok(Json(ended.iter().map(|one| view(one, &names)).collect()))
}

/// Nothing given means all of them.
pub fn asked(scope: Scope) -> Result<Scope, Problem> {
    if scope == Scope::default() {
        return Ok(scope);
    }
    scope.checked().map_err(|error| Problem::invalid(error.to_string()))
}
