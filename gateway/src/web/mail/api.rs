//! The queue as JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use serde::Deserialize;

use super::suspensions::{resume, suspend, suspensions};
use super::{STATES, act, list, look, view};
use crate::admin::server::json;
use crate::admin::view::{LetterView, QueuePage};
use crate::admin::{Problem, QueueActionReport, QueueFilter};
use crate::history::Timeline;
use crate::ids::LetterId;
use crate::web::caller::Caller;
use crate::web::route::{CHANGE_MAIL, Route, SEE_MAIL};
use crate::web::state::WebState;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/v1/queue", SEE_MAIL, || get(queue)),
    Route::get("/v1/queue/suspensions", SEE_MAIL, || get(suspensions)),
    Route::post("/v1/queue:suspend", CHANGE_MAIL, || post(suspend)),
    Route::post("/v1/queue:resume", CHANGE_MAIL, || post(resume)),
    Route::get("/v1/messages/{id}", SEE_MAIL, || get(message)),
    Route::get("/v1/messages/{id}/events", SEE_MAIL, || get(events)),
    Route::post("/v1/messages/{id}:retry", CHANGE_MAIL, || post(retry)),
    Route::post("/v1/messages/{id}:hold", CHANGE_MAIL, || post(hold)),
    Route::post("/v1/messages/{id}:release", CHANGE_MAIL, || post(release)),
    Route::post("/v1/messages/{id}:bounce", CHANGE_MAIL, || post(bounce)),
    Route::post("/v1/messages/{id}:drop", CHANGE_MAIL, || post(drop_it)),
];

type Answer<T> = Result<Json<T>, Problem>;

/// The filters of the queue, from a query.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) limit: Option<usize>,
    pub(super) after: String,
    pub(super) tenant: String,
    pub(super) domain: String,
    pub(super) recipient: String,
    pub(super) sender: String,
    pub(super) state: String,
}

impl Wanted {
    /// As the queue takes it. Empty fields (a form sends them) are none.
    pub(super) fn filter(&self, state: &WebState, caller: &Caller) -> Result<(QueueFilter, Option<LetterId>), Problem> {
        let text = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_lowercase());
        let wanted = text(&self.state);
        if let Some(state) = wanted.as_deref().filter(|state| !STATES.contains(state)) {
            return Err(Problem::invalid(format!("\"{state}\" is not a state of the queue: {}", STATES.join(", "))));
        }
        let tenant = match self.tenant.trim() {
            "" => None,
            name => Some(caller.tenant(Some(name), &state.directory())?),
        };
        let after = text(&self.after).map(|_| self.after.trim().parse());
        let after = after.transpose().map_err(|error| Problem::invalid(format!("{error}")))?;
        let filter = QueueFilter {
            tenant,
            domain: text(&self.domain),
            recipient: text(&self.recipient),
            sender: text(&self.sender),
            state: wanted,
            ..QueueFilter::default()
        };
        Ok((filter, after))
    }
}

async fn queue(State(state): State<WebState>, caller: Caller, Query(wanted): Query<Wanted>) -> Answer<QueuePage> {
    let (filter, after) = wanted.filter(&state, &caller)?;
    let limit = wanted.limit.unwrap_or(100).clamp(1, 1000);
    let letters = list(&state, &caller.reach, filter, after, limit).await?;
    let next = (letters.len() == limit).then(|| letters.last().map(|letter| letter.id.to_string())).flatten();
    Ok(Json(QueuePage { messages: letters.iter().map(|letter| view(&state, letter)).collect(), next }))
}

async fn message(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer<LetterView> {
    Ok(Json(look(&state, &caller, &id).await?.0))
}

async fn events(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer<Timeline> {
    Ok(Json(look(&state, &caller, &id).await?.1.timeline))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Doing {
    reason: String,
    dry_run: bool,
}

async fn verb(state: &WebState, caller: &Caller, id: &str, verb: &str, body: &[u8]) -> Answer<QueueActionReport> {
    let doing: Doing = if body.is_empty() { Doing::default() } else { json(body)? };
    Ok(Json(act(state, caller, id, verb, &doing.reason, doing.dry_run).await?))
}

macro_rules! verbs {
    ($($name:ident => $verb:literal),+ $(,)?) => {
        $(async fn $name(State(state): State<WebState>, caller: Caller, Path(id): Path<String>, body: Bytes) -> Answer<QueueActionReport> {
            verb(&state, &caller, &id, $verb, &body).await
        })+
    };
}

verbs! { retry => "retry", hold => "hold", release => "release", bounce => "bounce", drop_it => "drop" }
