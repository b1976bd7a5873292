//! `/messages/{id}`: what happened to a letter, what happens next, and what can be done.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::routing::{get, post};
use serde::Deserialize;

use super::{MailWords, act, look, sign};
use crate::admin::view::{LetterView, WhyView};
use crate::clock::Timestamp;
use crate::history::Step;
use crate::observe::EvidenceView;
use crate::returns::Again;
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
    address: String,
    attempts: Option<u16>,
    state: (&'static str, &'static str, &'static str),
    next: Option<(String, String)>,
    why: Option<String>,
    answer: Option<String>,
    tls: Option<String>,
    category: Option<String>,
    steps: Vec<StepRow>,
}

struct StepRow {
    at: (String, String),
    event: &'static str,
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

fn event(name: &str, words: &MailWords) -> &'static str {
    match name {
        "accepted" => words.event_accepted,
        "redacted" => words.event_redacted,
        "signed" => words.event_signed,
        "returned" => words.event_returned,
        "next-attempt" => words.event_next,
        "expiry" => words.event_expiry,
        state => words.state(state),
    }
}

fn step(step: &Step, layout: &Layout, words: &MailWords) -> StepRow {
    // The words of "expiry" say it all; the others have their facts, which are names and servers' words.
    let text = if step.event == "expiry" { String::new() } else { step.text.clone() };
    StepRow { at: shown(&step.at, layout), event: event(&step.event, words), text, ahead: step.ahead }
}

fn category(evidence: &EvidenceView, words: &MailWords) -> Option<String> {
    let class = evidence.class.as_ref()?;
    let again = match class.again {
        Again::Yes => words.again_yes,
        Again::AfterRepair => words.again_repair,
        Again::Never => words.again_never,
    };
    Some(format!("{} - {again}", class.category.name()))
}

fn row(why: &WhyView, layout: &Layout, words: &MailWords) -> RecipientRow {
    let (class, mark) = sign(&why.state);
    RecipientRow {
        address: why.recipient.clone(),
        attempts: Some(why.attempts).filter(|attempts| *attempts > 0),
        state: (class, mark, words.state(&why.state)),
        next: why.next_attempt.as_deref().map(|at| shown(at, layout)),
        why: Some(why.reason.clone()).filter(|why| !why.is_empty()),
        answer: why.last.as_ref().map(answer),
        tls: why.last.as_ref().and_then(|last| tls(last, words)),
        category: why.last.as_ref().and_then(|last| category(last, words)),
        steps: why.timeline.iter().map(|one| step(one, layout, words)).collect(),
    }
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
    let (letter, known) = look(&state, &caller, &id).await?;
    let words = MailWords::of(layout.language);
    let recipients = known.whys().iter().map(|why| row(why, &layout, words)).collect();
    let done =
        told.done.map(|count| if count == 0 { words.no_effect.to_owned() } else { fill(words.acted, &[&count]) });
    show(&MessagePage {
        words,
        accepted: shown(&letter.accepted, &layout),
        expires: shown(&letter.expires, &layout),
        size: fill(words.octets, &[&letter.size]),
        recipients,
        may_act: letter.queued && caller.may(known.tenant, &[Role::Owner, Role::Admin]),
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
    let path = format!("/messages/{}?done={}", crate::admin::client::segment(&id), report.recipients);
    Ok(see_other(&path))
}
