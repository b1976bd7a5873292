//! Tenants, domains, credentials and keys over HTTP: each handler is a translation between a request and one call.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::ports::{
    ApplyReport, CredentialSummary, DomainSummary, KeySummary, NewCredential, TenantDetail, TenantSummary,
};
use super::problem::Problem;
use super::server::{AdminState, Answer, blocking, by, json};
use crate::message::DomainName;
use crate::tenants::TenantFile;
use crate::zones::ZonePrimary;

pub(super) fn router() -> Router<AdminState> {
    Router::new()
        .route("/v1/tenants", get(list_tenants).post(add_tenant))
        .route("/v1/tenants:apply", post(apply))
        .route("/v1/tenants/{name}", get(show_tenant).delete(remove_tenant))
        .route("/v1/credentials", get(list_credentials).post(new_credential))
        .route("/v1/credentials/{user}", axum::routing::delete(revoke_credential))
        .route("/v1/domains", get(list_domains).post(add_domain))
        .route("/v1/domains/{domain}", axum::routing::delete(remove_domain).post(act_on_domain))
        .route("/v1/domains/{domain}/records", get(records))
        .route("/v1/domains/{domain}/zone", get(zone))
        .route("/v1/domains/{domain}/keys", get(list_keys).post(new_key))
        .route("/v1/domains/{domain}/keys/{selector}", post(change_key))
}

/// `?tenant=`.
#[derive(Debug, Deserialize)]
struct OfTenant {
    tenant: Option<String>,
}

/// `?dry_run=`.
#[derive(Debug, Default, Deserialize)]
struct Tried {
    #[serde(default)]
    dry_run: bool,
}

/// The body of `POST /v1/tenants`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewTenantRequest {
    /// Its name.
    pub name: String,
}

/// The body of `POST /v1/tenants:apply`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApplyRequest {
    /// The tenants as they shall be.
    pub file: TenantFile,
    /// Remove what the file does not name.
    #[serde(default)]
    pub prune: bool,
    /// Only say what would change.
    #[serde(default)]
    pub dry_run: bool,
}

/// The body of `POST /v1/credentials`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewCredentialRequest {
    /// Its tenant.
    pub tenant: String,
    /// Where it may be used from; empty: anywhere.
    #[serde(default)]
    pub networks: Vec<IpNet>,
    /// How many seconds it lives.
    #[serde(default)]
    pub expires_after_seconds: Option<u64>,
}

/// The body of `POST /v1/domains`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewDomainRequest {
    /// The name.
    pub name: String,
    /// Its tenant.
    pub tenant: String,
    /// The operator answers for it, where proof is required.
    #[serde(default)]
    pub vouch: bool,
}

/// The body of `POST /v1/domains/{domain}/keys`: a key is made, or, with `pem`, imported.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewKeyRequest {
    /// `rsa2048`, `rsa3072`, `rsa4096` or `ed25519`, for a new key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<String>,
    /// The selector; required with `pem`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub selector: Option<String>,
    /// The private key to import.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pem: Option<String>,
}

/// The body of `POST /v1/domains/{domain}/keys/{selector}:activate`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ActivateRequest {
    /// Sign although the record was not seen in DNS.
    pub even_if_unpublished: bool,
}

/// The body of `POST …/keys/{selector}:retire`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetireRequest {
    /// The last key that signs too, and one whose letters may still be on their way.
    pub force: bool,
}

/// The body of `POST /v1/domains/{domain}:rotate`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RotateRequest {
    /// At once, and revoke the old keys; needs a reason.
    pub now: bool,
    /// Why, for the record.
    pub reason: String,
    /// Only say what would change.
    pub dry_run: bool,
}

async fn list_tenants(State(state): State<AdminState>) -> Answer<Vec<TenantSummary>> {
    Ok(Json(blocking(move || state.tenants.list_tenants()).await??))
}

async fn show_tenant(State(state): State<AdminState>, Path(name): Path<String>) -> Answer<TenantDetail> {
    Ok(Json(blocking(move || state.tenants.show_tenant(&name)).await??))
}

async fn add_tenant(State(state): State<AdminState>, headers: HeaderMap, body: Bytes) -> Answer<TenantSummary> {
    let request: NewTenantRequest = json(&body)?;
    let by = by(&headers);
    Ok(Json(blocking(move || state.tenants.add_tenant(&request.name, &by)).await??))
}

async fn remove_tenant(
    State(state): State<AdminState>,
    Path(name): Path<String>,
    Query(tried): Query<Tried>,
    headers: HeaderMap,
) -> Answer<ApplyReport> {
    let by = by(&headers);
    Ok(Json(blocking(move || state.tenants.remove_tenant(&name, tried.dry_run, &by)).await??))
}

async fn apply(State(state): State<AdminState>, headers: HeaderMap, body: Bytes) -> Answer<ApplyReport> {
    let request: ApplyRequest = json(&body)?;
    let by = by(&headers);
    let report = blocking(move || state.tenants.apply(&request.file, request.prune, request.dry_run, &by)).await??;
    Ok(Json(report))
}

async fn list_credentials(
    State(state): State<AdminState>,
    Query(of): Query<OfTenant>,
) -> Answer<Vec<CredentialSummary>> {
    Ok(Json(blocking(move || state.tenants.list_credentials(of.tenant.as_deref())).await??))
}

async fn new_credential(State(state): State<AdminState>, headers: HeaderMap, body: Bytes) -> Answer<NewCredential> {
    let request: NewCredentialRequest = json(&body)?;
    let by = by(&headers);
    let expires = request.expires_after_seconds.map(Duration::from_secs);
    let made = move || state.tenants.new_credential(&request.tenant, &request.networks, expires, &by);
    Ok(Json(blocking(made).await??))
}

async fn revoke_credential(
    State(state): State<AdminState>,
    Path(user): Path<String>,
    headers: HeaderMap,
) -> Answer<ApplyReport> {
    let by = by(&headers);
    let changes = vec![format!("credential {user} revoked")];
    blocking(move || state.tenants.revoke_credential(&user, &by)).await??;
    Ok(Json(ApplyReport { changes, dry_run: false }))
}

async fn list_domains(State(state): State<AdminState>, Query(of): Query<OfTenant>) -> Answer<Vec<DomainSummary>> {
    Ok(Json(blocking(move || state.tenants.list_domains(of.tenant.as_deref())).await??))
}

async fn add_domain(State(state): State<AdminState>, headers: HeaderMap, body: Bytes) -> Answer<DomainSummary> {
    let request: NewDomainRequest = json(&body)?;
    let by = by(&headers);
    let name = domain_name(&request.name)?;
    let add = move || {
        if request.vouch {
            state.tenants.vouch_for_domain(&name, &request.tenant, &by)
        } else {
            state.tenants.add_domain(&name, &request.tenant, &by)
        }
    };
    Ok(Json(blocking(add).await??))
}

async fn remove_domain(
    State(state): State<AdminState>,
    Path(domain): Path<String>,
    Query(tried): Query<Tried>,
    headers: HeaderMap,
) -> Answer<ApplyReport> {
    let (by, domain) = (by(&headers), domain_name(&domain)?);
    Ok(Json(blocking(move || state.tenants.remove_domain(&domain, tried.dry_run, &by)).await??))
}

#[derive(Debug, Deserialize)]
struct Format {
    format: Option<String>,
    /// The operator's records in place of the domain owner's.
    #[serde(default)]
    operators: bool,
}

async fn records(
    State(state): State<AdminState>,
    Path(domain): Path<String>,
    Query(Format { format, operators }): Query<Format>,
) -> Result<Response, Problem> {
    let domain = domain_name(&domain)?;
    let format = format.unwrap_or_else(|| "json".into());
    let kind = if format == "json" { "application/json" } else { "text/plain; charset=utf-8" };
    let tenants = state.tenants;
    let text = blocking(move || {
        if operators { tenants.operator_records(&domain, &format) } else { tenants.domain_records(&domain, &format) }
    });
    let text = text.await??;
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

async fn list_keys(State(state): State<AdminState>, Path(domain): Path<String>) -> Answer<Vec<KeySummary>> {
    let domain = domain_name(&domain)?;
    Ok(Json(blocking(move || state.tenants.list_keys(&domain)).await??))
}

async fn new_key(
    State(state): State<AdminState>,
    Path(domain): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<KeySummary> {
    let (by, domain) = (by(&headers), domain_name(&domain)?);
    let request: NewKeyRequest = json(&body)?;
    let made = match (request.algorithm, request.selector, request.pem) {
        (None, Some(selector), Some(pem)) => {
            let pem = zeroize::Zeroizing::new(pem);
            blocking(move || state.tenants.import_key(&domain, &selector, &pem, &by)).await
        }
        (Some(algorithm), selector, None) => {
            blocking(move || state.tenants.generate_key(&domain, &algorithm, selector.as_deref(), &by)).await
        }
        _ => return Err(Problem::invalid("give an algorithm to make a key, or selector and pem to import one")),
    };
    Ok(Json(made??))
}

/// The query of `POST /v1/domains/{domain}:check`.
#[derive(Debug, Default, Deserialize)]
struct Saving {
    /// Answer with everything that the check went by, in place of its report.
    #[serde(default)]
    save: bool,
}

async fn zone(State(state): State<AdminState>, Path(domain): Path<String>) -> Answer<ZonePrimary> {
    Ok(Json(state.gateway.zone_of(&domain_name(&domain)?).await?))
}

/// `POST /v1/domains/{domain}:rotate|check`; the router takes whole segments, so the verb is split off here.
async fn act_on_domain(
    State(state): State<AdminState>,
    Path(domain_and_verb): Path<String>,
    Query(saving): Query<Saving>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    match domain_and_verb.rsplit_once(':') {
        Some((domain, "rotate")) => {
            Ok(rotate_keys(state, domain_name(domain)?, by(&headers), &body).await?.into_response())
        }
        Some((domain, "check")) if saving.save => {
            Ok(Json(state.gateway.check_domain_answers(&domain_name(domain)?).await?).into_response())
        }
        Some((domain, "check")) => Ok(Json(state.gateway.check_domain(&domain_name(domain)?).await?).into_response()),
        _ => Err(Problem::invalid("a domain can be checked, and its keys rotated: …/domains/DOMAIN:check or :rotate")),
    }
}

async fn rotate_keys(state: AdminState, domain: DomainName, by: String, body: &Bytes) -> Answer<ApplyReport> {
    let request: RotateRequest = if body.is_empty() { RotateRequest::default() } else { json(body)? };
    let reason = request.reason.trim().to_owned();
    if request.now && reason.is_empty() {
        return Err(Problem::invalid("a rotation at once revokes keys: say why (reason)"));
    }
    let at_once = request.now.then_some(reason);
    Ok(Json(blocking(move || state.tenants.rotate_keys(&domain, at_once.as_deref(), request.dry_run, &by)).await??))
}

/// `POST …/keys/{selector}:activate|retire|revoke`; the router takes whole segments, so the verb is split off here.
async fn change_key(
    State(state): State<AdminState>,
    Path((domain, selector_and_verb)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<KeySummary> {
    let (by, domain) = (by(&headers), domain_name(&domain)?);
    let (selector, verb) = selector_and_verb.rsplit_once(':').unwrap_or((&selector_and_verb, ""));
    let selector = selector.to_owned();
    let key = match verb {
        "activate" => {
            let request: ActivateRequest = if body.is_empty() { ActivateRequest::default() } else { json(&body)? };
            blocking(move || state.tenants.activate_key(&domain, &selector, request.even_if_unpublished, &by)).await
        }
        "retire" => {
            let request: RetireRequest = if body.is_empty() { RetireRequest::default() } else { json(&body)? };
            blocking(move || state.tenants.retire_key(&domain, &selector, request.force, &by)).await
        }
        "revoke" => blocking(move || state.tenants.revoke_key(&domain, &selector, &by)).await,
        _ => return Err(Problem::invalid("a key can be activated, retired or revoked: …/keys/SELECTOR:activate")),
    };
    Ok(Json(key??))
}

fn domain_name(text: &str) -> Result<DomainName, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("{error}")))
}
