//! `/messages/{id}`: what happened to a letter, what happens next, and what can be done.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::routing::{get, post};
use serde::Deserialize;

use super::api::{LetterEvent, timeline};
use super::{MailWords, STATES, act, find, sign, view};
use crate::admin::view::{LetterView, RecipientView};
use crate::clock::Timestamp;
use crate::observe::EvidenceView;
use crate::web::caller::Caller;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, see_other, show};
use crate::web::role::Role;
use crate::web::route::{CHANGE_MAIL, Route, SEE_MAIL};
use crate::web::state::WebState;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/messages/{id}", SEE_MAIL, || get(page)),
    Route::post("/messages/{id}", CHANGE_MAIL, || post(act_on)),
];

struct RecipientRow {
    recipient: RecipientView,
    state: (&'static str, &'static str, &'static str),
    next: Option<(String, String)>,
    why: Option<String>,
    answer: Option<String>,
    tls: Option<String>,
}

struct Step {
    at: (String, String),
    text: String,
    ahead: bool,
}

#[derive(Template)]
#[template(path = "message.html")]
struct MessagePage {
    layout: Layout,
    words: &'static MailWords,
    letter: LetterView,
    accepted: (String, String),
    expires: (String, String),
    size: String,
    steps: Vec<Step>,
    recipients: Vec<RecipientRow>,
    may_act: bool,
    done: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Told {
    done: Option<usize>,
}

/// What the other side said, in one line.
fn answer(evidence: &EvidenceView) -> String {
    let mut parts = Vec::new();
    if let Some(host) = &evidence.host {
        parts.push(format!("{host}:"));
    }
    match (evidence.code, &evidence.reply) {
        (Some(code), Some(reply)) => parts.push(format!("{code} {reply}")),
        _ => parts.push(evidence.note.clone()),
    }
    parts.join(" ")
}

fn tls(evidence: &EvidenceView, words: &MailWords) -> Option<String> {
    evidence.address?;
    Some(match &evidence.tls {
        None => words.tls_no.to_owned(),
        Some(facts) if facts.verified => fill(words.tls_verified, &[&facts.version]),
        Some(facts) => fill(words.tls_yes, &[&facts.version]),
    })
}

fn step(event: &LetterEvent, layout: &Layout, words: &MailWords) -> Step {
    let address = event.recipient.as_ref().map(|recipient| recipient.address.clone()).unwrap_or_default();
    let text = match event.event {
        "accepted" => words.event_accepted.to_owned(),
        "next-attempt" => format!("{}: {address}", words.event_next),
        "expiry" => words.event_expiry.to_owned(),
        _ => {
            let last = event.recipient.as_ref().and_then(|recipient| recipient.last.as_ref());
            format!("{address}: {}", fill(words.event_attempt, &[&last.map(answer).unwrap_or_default()]))
        }
    };
    Step { at: shown(&event.at, layout), text, ahead: event.ahead }
}

fn shown(at: &str, layout: &Layout) -> (String, String) {
    Timestamp::parse_rfc3339(at).map_or_else(|| (at.to_owned(), at.to_owned()), |at| layout.moment(at))
}

async fn page(
    State(state): State<WebState>,
    layout: Layout,
    caller: Caller,
    Path(id): Path<String>,
    Query(told): Query<Told>,
) -> PageResult {
    let record = find(&state, &caller, &id)?;
    let letter = view(&state, &record);
    let words = MailWords::of(layout.language);
    let reasons = state.rooms.admin.queue.why(record.id).unwrap_or_default();
    let row = |recipient: &RecipientView| {
        let waits = STATES.contains(&recipient.state.as_str());
        let why = reasons.iter().find(|why| waits && why.recipient == recipient.address).map(|why| why.reason.clone());
        let (class, mark) = sign(&recipient.state);
        RecipientRow {
            state: (class, mark, words.state(&recipient.state)),
            next: recipient.next_attempt.as_deref().map(|at| shown(at, &layout)),
            why: why.or_else(|| recipient.reason.clone()).filter(|why| !why.is_empty()),
            answer: recipient.last.as_ref().map(answer),
            tls: recipient.last.as_ref().and_then(|last| tls(last, words)),
            recipient: recipient.clone(),
        }
    };
    let recipients = letter.recipients.iter().map(row).collect();
    let steps = timeline(&letter).iter().map(|event| step(event, &layout, words)).collect();
    let done =
        told.done.map(|count| if count == 0 { words.no_effect.to_owned() } else { fill(words.acted, &[&count]) });
    show(&MessagePage {
        words,
        accepted: layout.moment(record.accepted),
        expires: layout.moment(record.expires),
        size: fill(words.octets, &[&letter.size]),
        steps,
        recipients,
        may_act: caller.may(record.tenant, &[Role::Owner, Role::Admin]),
        done,
        letter,
        layout,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Doing {
    action: String,
    reason: String,
}

async fn act_on(
    State(state): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    Form(doing): Form<Doing>,
) -> PageResult {
    let report = act(&state, &caller, &id, &doing.action, &doing.reason, false).await?;
    // A letter whose last recipient is done has left the queue, and its page with it.
    let there = find(&state, &caller, &id).is_ok();
    let path = format!("/messages/{}?done={}", crate::admin::client::segment(&id), report.recipients);
    Ok(see_other(if there { &path } else { "/queue" }))
}
