//! `/v1/suppressions`: a tenant's suppression list, for programs and on the control socket for the command line.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::caller::Caller;
use super::posts::desk::{asked, tenant_of};
use super::route::{CHANGE_MAIL, Route, SEE_MAIL};
use super::state::{WebState, blocking};
use crate::admin::Problem;
use crate::admin::server::{by, json};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::message::Mailbox;
use crate::observe::{Event, emit};
use crate::returns::suppressions::compared;
use crate::returns::{Reason, Suppression, Suppressions};
use crate::tenants::Registry;

/// Entries of a page when nobody says how many, the most of one, and the most that are added at once.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;
const MOST_ADDED: usize = 10_000;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/v1/suppressions", SEE_MAIL, || get(list)),
    Route::post("/v1/suppressions", CHANGE_MAIL, || post(add)),
    Route::post("/v1/suppressions:remove", CHANGE_MAIL, || post(remove)),
];

/// What these routes reach on the control socket.
#[derive(Clone)]
pub struct SuppressionAdmin {
    /// The lists.
    pub suppressions: Arc<Suppressions>,
    /// Tenants, for their names.
    pub registry: Arc<Registry>,
}

/// The routes of the control socket.
pub fn control_router(state: SuppressionAdmin) -> Router {
    Router::new()
        .route("/v1/suppressions", get(list).post(add))
        .route("/v1/suppressions/@remove", post(remove))
        .with_state(state)
}

/// The list of the one tenant that a request is about, and who asks.
pub(super) struct OneList {
    suppressions: Arc<Suppressions>,
    tenant: TenantId,
    name: String,
    by: String,
}

impl FromRequestParts<WebState> for OneList {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let directory = state.directory();
        let tenant = caller.tenant(asked(parts)?.as_deref(), &directory)?;
        let name = directory.tenant_name(tenant).unwrap_or_default().to_owned();
        Ok(Self { suppressions: state.rooms.suppressions.clone(), tenant, name, by: caller.by() })
    }
}

impl FromRequestParts<SuppressionAdmin> for OneList {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &SuppressionAdmin) -> Result<Self, Problem> {
        let directory = state.registry.snapshot();
        let tenant = tenant_of(&directory, asked(parts)?)?;
        let name = directory.tenant_name(tenant).unwrap_or_default().to_owned();
        Ok(Self { suppressions: state.suppressions.clone(), tenant, name, by: by(&parts.headers) })
    }
}

/// An entry in its stable JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressionView {
    /// The address, in lower case.
    pub address: String,
    /// `hard-bounce`, `complaint`, `unsubscribed`, `manual`.
    pub reason: String,
    /// Who says so.
    pub source: String,
    /// Since when, in RFC 3339.
    pub since: String,
    /// Until when, in RFC 3339; `null`: for good.
    pub expires: Option<String>,
    /// The letter that brought it here.
    pub letter: Option<String>,
}

impl From<&Suppression> for SuppressionView {
    fn from(entry: &Suppression) -> Self {
        Self {
            address: entry.address.clone(),
            reason: entry.reason.name().to_owned(),
            source: entry.source.clone(),
            since: entry.since.to_rfc3339(),
            expires: entry.expires.map(Timestamp::to_rfc3339),
            letter: entry.letter.map(|id| id.to_string()),
        }
    }
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuppressionPage {
    /// The entries, by address.
    pub suppressions: Vec<SuppressionView>,
    /// What to give as `after` for the next page.
    pub next: Option<String>,
}

/// An entry to be added.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewSuppression {
    /// The address.
    pub address: String,
    /// Why; `manual` if nothing is said.
    pub reason: Option<String>,
    /// Who says so; who asks if nothing is said.
    pub source: Option<String>,
    /// Until when, in RFC 3339; for good if nothing is said.
    pub expires: Option<String>,
}

/// The body of `POST /v1/suppressions`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddRequest {
    /// The entries; all are checked before any is added.
    pub entries: Vec<NewSuppression>,
}

/// The body of `POST /v1/suppressions:remove`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveRequest {
    /// The addresses.
    pub addresses: Vec<String>,
}

/// How many entries a change touched; the others were so already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Their number.
    pub changed: usize,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    search: Option<String>,
    reason: Option<String>,
    after: Option<String>,
    limit: Option<usize>,
}

type Answer<T> = Result<Json<T>, Problem>;

fn reason(name: &str) -> Result<Reason, Problem> {
    let names = || Reason::ALL.map(Reason::name).join(", ");
    Reason::named(name).ok_or_else(|| Problem::invalid(format!("the reasons are {}", names())))
}

async fn list(of: OneList, Query(wanted): Query<Wanted>) -> Answer<SuppressionPage> {
    let some = |text: Option<String>| text.filter(|text| !text.is_empty());
    let reason = some(wanted.reason).as_deref().map(reason).transpose()?;
    let limit = wanted.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let (search, after) = (some(wanted.search), some(wanted.after));
    let find = move || of.suppressions.list(of.tenant, search.as_deref(), reason, after.as_deref(), limit);
    let found = blocking(find).await?;
    let next = (found.len() == limit).then(|| found.last().map(|entry| entry.address.clone())).flatten();
    Ok(Json(SuppressionPage { suppressions: found.iter().map(SuppressionView::from).collect(), next }))
}

fn entry(new: &NewSuppression, by: &str, now: Timestamp) -> Result<Suppression, Problem> {
    let address: Mailbox = new.address.trim().parse().map_err(|error| Problem::invalid(format!("{error}")))?;
    let expires = new.expires.as_deref().filter(|text| !text.is_empty());
    let wrong = || Problem::invalid(format!("{}: expires is not a time of RFC 3339", new.address));
    let source: String = new.source.as_deref().unwrap_or(by).chars().filter(|c| !c.is_control()).take(300).collect();
    Ok(Suppression {
        address: compared(&address),
        reason: new.reason.as_deref().map_or(Ok(Reason::Manual), reason)?,
        source,
        since: now,
        expires: expires.map(|text| Timestamp::parse_rfc3339(text).ok_or_else(wrong)).transpose()?,
        letter: None,
    })
}

async fn add(of: OneList, body: Bytes) -> Answer<Changed> {
    let request: AddRequest = json(&body)?;
    if request.entries.len() > MOST_ADDED {
        return Err(Problem::invalid(format!("at most {MOST_ADDED} entries at once")));
    }
    let now = of.suppressions.now();
    let entries = request.entries.iter().map(|new| entry(new, &of.by, now)).collect::<Result<Vec<_>, _>>()?;
    let (lists, tenant) = (of.suppressions.clone(), of.tenant);
    let added = blocking(move || lists.add(tenant, entries)).await?;
    told(of, "added", added)
}

async fn remove(of: OneList, body: Bytes) -> Answer<Changed> {
    let request: RemoveRequest = json(&body)?;
    let (lists, tenant) = (of.suppressions.clone(), of.tenant);
    let removed = blocking(move || lists.remove(tenant, &request.addresses)).await?;
    told(of, "removed", removed)
}

fn told(
    of: OneList,
    action: &'static str,
    changed: Result<usize, crate::store::ledger::LedgerError>,
) -> Answer<Changed> {
    let addresses = changed.map_err(|error| Problem::internal(error.to_string()))?;
    if addresses > 0 {
        emit(&Event::Suppression { tenant: of.name, action, addresses, by: of.by });
    }
    Ok(Json(Changed { changed: addresses }))
}
