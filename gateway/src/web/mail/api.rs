//! The queue as JSON.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::suspensions::{resume, suspend, suspensions};
use super::{STATES, act, find, list, view};
use crate::admin::server::json;
use crate::admin::view::{LetterView, QueuePage, RecipientView};
use crate::admin::{Problem, QueueActionReport, QueueFilter};
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
    Ok(Json(view(&state, &find(&state, &caller, &id)?)))
}

/// Something that happened to a letter, or will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct LetterEvent {
    /// When, in RFC 3339.
    pub(super) at: String,
    /// `accepted`, `attempt`, `next-attempt`, `expiry`.
    pub(super) event: &'static str,
    /// Whose, where it is about one recipient.
    pub(super) recipient: Option<RecipientView>,
    /// Is it still to come?
    pub(super) ahead: bool,
}

/// What the store knows of a letter, in the order of time. Of attempts it keeps the last; all of them are events.
pub(super) fn timeline(letter: &LetterView) -> Vec<LetterEvent> {
    let mut events =
        vec![LetterEvent { at: letter.accepted.clone(), event: "accepted", recipient: None, ahead: false }];
    let waits = |recipient: &RecipientView| STATES.contains(&recipient.state.as_str());
    for recipient in &letter.recipients {
        let of = |at: &str, event, ahead| LetterEvent {
            at: at.to_owned(),
            event,
            recipient: Some(recipient.clone()),
            ahead,
        };
        if let Some(last) = &recipient.last {
            events.push(of(&last.at, "attempt", false));
        }
        if let Some(next) = &recipient.next_attempt {
            events.push(of(next, "next-attempt", true));
        }
    }
    if letter.recipients.iter().any(waits) {
        events.push(LetterEvent { at: letter.expires.clone(), event: "expiry", recipient: None, ahead: true });
    }
    // RFC 3339 in one zone and with one number of digits sorts as text.
    events.sort_by(|a, b| (a.ahead, &a.at).cmp(&(b.ahead, &b.at)));
    events
}

async fn events(State(state): State<WebState>, caller: Caller, Path(id): Path<String>) -> Answer<Vec<LetterEvent>> {
    Ok(Json(timeline(&view(&state, &find(&state, &caller, &id)?))))
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
