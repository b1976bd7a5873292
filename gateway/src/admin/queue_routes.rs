//! The queue over HTTP: each handler is a translation between a request and one call.

use std::collections::BTreeMap;

use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use serde::Deserialize;

use super::problem::Problem;
use super::server::{AdminState, Answer, blocking, by, json};
use super::view::{ActRequest, FilterRequest, LetterView, QueuePage, WhyView, action};
use super::{QueueActionReport, QueueFilter, ShapeRow, Why};
use crate::history::{Past, RecipientTimeline, Timeline, timeline};
use crate::ids::{LetterId, TenantId};
use crate::message::Mailbox;

/// Letters of one page when nobody says how many, and the most that one page has.
const PAGE: usize = 100;
const LARGEST_PAGE: usize = 1000;

/// What a recipient in the queue can be; the other states are ends.
const STATES: [&str; 3] = ["queued", "deferred", "held"];

pub(super) fn router() -> Router<AdminState> {
    Router::new()
        .route("/v1/queue", get(list))
        .route("/v1/queue:act", post(act))
        .route("/v1/queue/shape", get(shape))
        .route("/v1/messages/{id}", get(show).post(act_on_one))
        .route("/v1/messages/{id}/why", get(why))
        .route("/v1/messages/{id}/events", get(events))
        .route("/v1/route/{address}", get(route))
        .merge(super::suspensions::router())
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    limit: Option<usize>,
    after: Option<LetterId>,
    tenant: Option<String>,
    domain: Option<String>,
    recipient: Option<String>,
    sender: Option<String>,
    state: Option<String>,
    older_than_seconds: Option<u64>,
}

async fn list(
    State(state): State<AdminState>,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer<QueuePage> {
    let Query(query) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    let request = FilterRequest {
        id: None,
        tenant: query.tenant,
        domain: query.domain,
        recipient: query.recipient,
        sender: query.sender,
        state: query.state,
        older_than_seconds: query.older_than_seconds,
    };
    let limit = query.limit.unwrap_or(PAGE).clamp(1, LARGEST_PAGE);
    let names = tenant_names(&state).await?;
    let filter = filter(&request, &names)?;
    let queue = state.queue.clone();
    let records = blocking(move || queue.list(&filter, query.after, limit)).await?;
    let next = (records.len() == limit).then(|| records.last().map(|record| record.id.to_string())).flatten();
    let view = |record| LetterView::new(record, name_of(&names, record.tenant)).with_suspensions(record, &*state.queue);
    let messages = records.iter().map(view).collect();
    Ok(Json(QueuePage { messages, next }))
}

async fn show(State(state): State<AdminState>, Path(id): Path<String>) -> Answer<LetterView> {
    let id = letter_id(&id)?;
    let names = tenant_names(&state).await?;
    if let Some(record) = state.queue.find(id) {
        let view = LetterView::new(&record, name_of(&names, record.tenant));
        return Ok(Json(view.with_suspensions(&record, &*state.queue)));
    }
    let past = state.past(id).await?.ok_or_else(|| no_letter(id))?;
    Ok(Json(LetterView::of_past(id, &past, name_of(&names, past.tenant))))
}

async fn why(State(state): State<AdminState>, Path(id): Path<String>) -> Answer<Vec<WhyView>> {
    let id = letter_id(&id)?;
    let known = state.timeline(id).await?.ok_or_else(|| no_letter(id))?;
    Ok(Json(known.whys()))
}

async fn events(State(state): State<AdminState>, Path(id): Path<String>) -> Answer<Timeline> {
    let id = letter_id(&id)?;
    Ok(Json(state.timeline(id).await?.ok_or_else(|| no_letter(id))?.timeline))
}

/// What queue and history know of a letter, at one moment.
pub(crate) struct Known {
    /// Whose it is.
    pub(crate) tenant: TenantId,
    /// What is said of those that wait.
    whys: Vec<Why>,
    /// When it is given up, or was to be.
    expires: String,
    /// The timelines.
    pub(crate) timeline: Timeline,
}

impl Known {
    /// Why each recipient is where it is.
    pub(crate) fn whys(&self) -> Vec<WhyView> {
        let one = |recipient: &RecipientTimeline| {
            let waiting = self.whys.iter().find(|why| self.timeline.queued && why.recipient == recipient.address);
            match waiting {
                Some(why) => WhyView { timeline: recipient.steps.clone(), ..WhyView::from(why) },
                None => WhyView::of_past(recipient, self.expires.clone()),
            }
        };
        self.timeline.recipients.iter().map(one).collect()
    }
}

impl AdminState {
    /// What is remembered of a letter.
    pub(crate) async fn past(&self, id: LetterId) -> Result<Option<Past>, Problem> {
        let history = self.history.clone();
        blocking(move || history.past(id)).await
    }

    /// A letter's timelines, whether it waits or has left the queue.
    pub(crate) async fn timeline(&self, id: LetterId) -> Result<Option<Known>, Problem> {
        let past = self.past(id).await?;
        let record = self.queue.find(id);
        let whys = self.queue.why(id).unwrap_or_default();
        let tenant = record.as_ref().map(|record| record.tenant).or(past.as_ref().map(|past| past.tenant));
        let expires = record.as_ref().map(|record| record.expires);
        let expires = expires.or(past.as_ref().and_then(Past::acceptance).map(|known| known.expires));
        let timeline = timeline(id, record.as_ref(), &whys, past.as_ref());
        let expires = expires.map(crate::clock::Timestamp::to_rfc3339).unwrap_or_default();
        Ok(tenant.zip(timeline).map(|(tenant, timeline)| Known { tenant, whys, expires, timeline }))
    }
}

async fn shape(State(state): State<AdminState>) -> Answer<Vec<ShapeRow>> {
    let queue = state.queue.clone();
    Ok(Json(blocking(move || queue.shape()).await?))
}

async fn act(
    State(state): State<AdminState>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Answer<QueueActionReport> {
    let request: ActRequest = json(&body)?;
    perform(&state, &request, &by(&headers)).await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ActOnOne {
    reason: String,
    dry_run: bool,
}

/// `POST /v1/messages/{id}:retry` and so on; the router takes whole segments, so the verb is split off here.
async fn act_on_one(
    State(state): State<AdminState>,
    Path(id_and_verb): Path<String>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Answer<QueueActionReport> {
    let (id, verb) = id_and_verb.rsplit_once(':').unwrap_or((&id_and_verb, ""));
    let id = letter_id(id)?;
    let more: ActOnOne = if body.is_empty() { ActOnOne::default() } else { json(&body)? };
    let filter = FilterRequest { id: Some(id.to_string()), ..FilterRequest::default() };
    if state.queue.find(id).is_none() {
        return Err(no_letter(id));
    }
    let request = ActRequest { action: verb.to_owned(), filter, reason: more.reason, dry_run: more.dry_run };
    perform(&state, &request, &by(&headers)).await
}

async fn perform(state: &AdminState, request: &ActRequest, by: &str) -> Answer<QueueActionReport> {
    let action = action(&request.action).ok_or_else(|| {
        Problem::invalid(format!("\"{}\" is not an action: retry, hold, release, bounce, drop", request.action))
    })?;
    let names = tenant_names(state).await?;
    let filter = filter(&request.filter, &names)?;
    Ok(Json(state.queue.act(action, &filter, by, &request.reason, request.dry_run).await?))
}

async fn route(State(state): State<AdminState>, Path(address): Path<String>) -> Answer<serde_json::Value> {
    // A bare domain is as good a question: nothing in the answer depends on the local part.
    let address = if address.contains('@') { address } else { format!("postmaster@{address}") };
    let address: Mailbox = address.parse().map_err(|error| Problem::invalid(format!("{error}")))?;
    Ok(Json(state.routes.explain(&address).await))
}

pub(super) type Names = BTreeMap<TenantId, String>;

pub(super) async fn tenant_names(state: &AdminState) -> Result<Names, Problem> {
    let tenants = state.tenants.clone();
    let list = blocking(move || tenants.list_tenants()).await??;
    Ok(list.into_iter().map(|tenant| (TenantId(tenant.id), tenant.name)).collect())
}

pub(super) fn tenant_id(names: &Names, name: &str) -> Result<TenantId, Problem> {
    let found = names.iter().find(|(_, known)| *known == name).map(|(id, _)| *id);
    found.ok_or_else(|| Problem::not_found(format!("there is no tenant \"{name}\"")))
}

pub(super) fn name_of(names: &Names, id: TenantId) -> String {
    names.get(&id).cloned().unwrap_or_else(|| format!("#{}", id.0))
}

fn filter(request: &FilterRequest, names: &Names) -> Result<QueueFilter, Problem> {
    let tenant = request.tenant.as_deref().map(|name| tenant_id(names, name)).transpose()?;
    if let Some(state) = request.state.as_deref().filter(|state| !STATES.contains(state)) {
        return Err(Problem::invalid(format!("\"{state}\" is not a state of the queue: {}", STATES.join(", "))));
    }
    Ok(QueueFilter {
        id: request.id.as_deref().map(letter_id).transpose()?,
        tenant,
        domain: request.domain.clone(),
        recipient: request.recipient.clone(),
        sender: request.sender.clone(),
        state: request.state.clone(),
        older_than_seconds: request.older_than_seconds,
    })
}

fn letter_id(text: &str) -> Result<LetterId, Problem> {
    text.parse().map_err(|error| Problem::invalid(format!("{error}")))
}

fn no_letter(id: LetterId) -> Problem {
    Problem::not_found(format!("no letter {id}: never accepted here, or longer ago than [queue] history"))
}
