//! Domains, records and keys as JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};
use waxseal_dns::check::Report;

use super::domain;
use super::list::add_domain;
use super::one::{Wanted, act_on_key, rotate_keys};
use super::report::DomainReport;
use crate::admin::Problem;
use crate::admin::ports::{ApplyReport, DomainSummary, KeySummary};
use crate::admin::server::json;
use crate::web::caller::Caller;
use crate::web::route::{CHANGE_MAIL, Route, SEE_MAIL};
use crate::web::state::{WebState, blocking};

pub(super) const ROUTES: &[Route] = &[
    Route::get("/v1/domains", SEE_MAIL, || get(list)),
    Route::post("/v1/domains", CHANGE_MAIL, || post(add)),
    Route::get("/v1/domains/{domain}", SEE_MAIL, || get(one)),
    Route::get("/v1/domains/{domain}/records", SEE_MAIL, || get(records)),
    Route::post("/v1/domains/{domain}:check", CHANGE_MAIL, || post(check)),
    Route::post("/v1/domains/{domain}:rotate", CHANGE_MAIL, || post(rotate)),
    Route::get("/v1/domains/{domain}/keys", SEE_MAIL, || get(keys)),
    Route::post("/v1/domains/{domain}/keys", CHANGE_MAIL, || post(new_key)),
    Route::post("/v1/domains/{domain}/keys/{selector}:activate", CHANGE_MAIL, || post(activate)),
    Route::post("/v1/domains/{domain}/keys/{selector}:retire", CHANGE_MAIL, || post(retire)),
    Route::post("/v1/domains/{domain}/keys/{selector}:revoke", CHANGE_MAIL, || post(revoke)),
];

type Answer<T> = Result<Json<T>, Problem>;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listing {
    tenant: Option<String>,
    limit: Option<usize>,
    after: Option<String>,
}

async fn list(
    State(state): State<WebState>,
    caller: Caller,
    Query(listing): Query<Listing>,
) -> Answer<Vec<DomainSummary>> {
    let directory = state.directory();
    let only = listing.tenant.as_deref().map(|name| caller.tenant(Some(name), &directory)).transpose()?;
    let tenants = state.rooms.admin.tenants.clone();
    let all = blocking(move || tenants.list_domains(None)).await??;
    let within = |summary: &DomainSummary| {
        // A claim is its tenant's to see, and nobody's domain yet.
        let claimant = || directory.tenant_by_name(&summary.tenant).map(|tenant| tenant.id);
        let owner = if summary.challenge.is_some() { claimant() } else { directory.owner(&summary.name) };
        owner.is_some_and(|tenant| caller.reach.covers(tenant) && only.is_none_or(|only| only == tenant))
    };
    let later =
        |summary: &DomainSummary| listing.after.as_ref().is_none_or(|after| summary.name.as_str() > after.as_str());
    let limit = listing.limit.unwrap_or(100).clamp(1, 1000);
    Ok(Json(all.into_iter().filter(within).filter(later).take(limit).collect()))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Adding {
    name: String,
    #[serde(default)]
    tenant: String,
}

async fn add(State(state): State<WebState>, caller: Caller, body: Bytes) -> Answer<DomainSummary> {
    let adding: Adding = json(&body)?;
    Ok(Json(add_domain(&state, &caller, &adding.name, &adding.tenant).await?))
}

/// A domain with everything that is known of it.
#[derive(Serialize)]
struct DomainDetail {
    #[serde(flatten)]
    report: DomainReport,
    keys: Vec<KeySummary>,
}

async fn one(State(state): State<WebState>, caller: Caller, Path(text): Path<String>) -> Answer<DomainDetail> {
    let name = domain(&state, &caller, &text)?;
    let report = state.rooms.checks.last(&name)?;
    let tenants = state.rooms.admin.tenants.clone();
    Ok(Json(DomainDetail { report, keys: blocking(move || tenants.list_keys(&name)).await?? }))
}

async fn records(
    State(state): State<WebState>,
    caller: Caller,
    Path(text): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let name = domain(&state, &caller, &text)?;
    let format = wanted.format.unwrap_or_else(|| "json".to_owned());
    let kind = if format == "json" { "application/json" } else { "text/plain; charset=utf-8" };
    let tenants = state.rooms.admin.tenants.clone();
    let records = blocking(move || tenants.domain_records(&name, &format)).await??;
    Ok(([(header::CONTENT_TYPE, kind)], records).into_response())
}

async fn check(State(state): State<WebState>, caller: Caller, Path(text): Path<String>) -> Answer<Report> {
    let name = domain(&state, &caller, &text)?;
    Ok(Json(state.rooms.admin.gateway.check_domain(&name).await?))
}

async fn rotate(State(state): State<WebState>, caller: Caller, Path(text): Path<String>) -> Answer<ApplyReport> {
    Ok(Json(rotate_keys(&state, &caller, &text).await?))
}

async fn keys(State(state): State<WebState>, caller: Caller, Path(text): Path<String>) -> Answer<Vec<KeySummary>> {
    let name = domain(&state, &caller, &text)?;
    let tenants = state.rooms.admin.tenants.clone();
    Ok(Json(blocking(move || tenants.list_keys(&name)).await??))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewKey {
    algorithm: String,
    #[serde(default)]
    selector: Option<String>,
}

async fn new_key(
    State(state): State<WebState>,
    caller: Caller,
    Path(text): Path<String>,
    body: Bytes,
) -> Answer<KeySummary> {
    let name = domain(&state, &caller, &text)?;
    let new: NewKey = json(&body)?;
    let (tenants, by) = (state.rooms.admin.tenants.clone(), caller.by());
    let made = blocking(move || tenants.generate_key(&name, &new.algorithm, new.selector.as_deref(), &by)).await??;
    Ok(Json(made))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Activation {
    even_if_unpublished: bool,
}

type KeyPath = Path<(String, String)>;

async fn activate(
    State(state): State<WebState>,
    caller: Caller,
    Path((text, selector)): KeyPath,
    body: Bytes,
) -> Answer<KeySummary> {
    domain(&state, &caller, &text)?;
    let activation: Activation = if body.is_empty() { Activation::default() } else { json(&body)? };
    let verb = if activation.even_if_unpublished { "activate-unseen" } else { "activate" };
    Ok(Json(act_on_key(&state, &caller, &text, selector, verb).await?))
}

async fn retire(State(state): State<WebState>, caller: Caller, Path((text, selector)): KeyPath) -> Answer<KeySummary> {
    Ok(Json(act_on_key(&state, &caller, &text, selector, "retire").await?))
}

async fn revoke(State(state): State<WebState>, caller: Caller, Path((text, selector)): KeyPath) -> Answer<KeySummary> {
    Ok(Json(act_on_key(&state, &caller, &text, selector, "revoke").await?))
}
