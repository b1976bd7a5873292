//! `/queue`.

use askama::Template;
use axum::extract::{Query, State};
use axum::routing::get;

use super::api::Wanted;
use super::{MailWords, STATES, list, sign, view};
use crate::admin::view::LetterView;
use crate::web::caller::Caller;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, show};
use crate::web::route::{Route, SEE_MAIL};
use crate::web::state::WebState;

pub(super) const ROUTES: &[Route] = &[Route::get("/queue", SEE_MAIL, || get(page))];

const ROWS: usize = 50;

struct Row {
    letter: LetterView,
    accepted: (String, String),
    to: String,
    more: Option<String>,
    /// Class, sign and word of each state that a recipient is in.
    states: Vec<(&'static str, &'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    layout: Layout,
    words: &'static MailWords,
    wanted: Wanted,
    /// Value, word and whether it is chosen.
    states: Vec<(&'static str, &'static str, bool)>,
    tenants: Vec<(String, bool)>,
    rows: Vec<Row>,
    next: Option<String>,
    filtered: bool,
}

async fn page(
    State(state): State<WebState>,
    layout: Layout,
    caller: Caller,
    Query(wanted): Query<Wanted>,
) -> PageResult {
    let words = MailWords::of(layout.language);
    let (filter, after) = wanted.filter(&state, &caller)?;
    let letters = list(&state, &caller.reach, filter, after, ROWS).await?;
    let last = letters.last().map(|letter| letter.id.to_string());
    let next = last.filter(|_| letters.len() == ROWS).map(|last| {
        crate::admin::client::query(&[
            ("tenant", Some(wanted.tenant.clone()).filter(|text| !text.is_empty())),
            ("domain", Some(wanted.domain.clone()).filter(|text| !text.is_empty())),
            ("recipient", Some(wanted.recipient.clone()).filter(|text| !text.is_empty())),
            ("state", Some(wanted.state.clone()).filter(|text| !text.is_empty())),
            ("after", Some(last)),
        ])
    });
    let rows = letters.iter().map(|record| {
        let letter = view(&state, record);
        let mut states: Vec<&str> = letter.recipients.iter().map(|recipient| recipient.state.as_str()).collect();
        states.sort_unstable();
        states.dedup();
        let states = states.into_iter().map(|name| (sign(name).0, sign(name).1, words.state(name))).collect();
        let to = letter.recipients.first().map(|recipient| recipient.address.clone()).unwrap_or_default();
        let others = letter.recipients.len().saturating_sub(1);
        let more = (others > 0).then(|| fill(words.and_more, &[&others]));
        Row { accepted: layout.moment(record.accepted), letter, to, more, states }
    });
    let rows = rows.collect();
    let directory = state.directory();
    let tenants = directory.tenants().filter(|tenant| caller.reach.covers(tenant.id));
    let tenants = tenants.map(|tenant| (tenant.name.clone(), tenant.name == wanted.tenant)).collect();
    let states = STATES.into_iter().map(|name| (name, words.state(name), wanted.state == name)).collect();
    let filtered =
        [&wanted.tenant, &wanted.domain, &wanted.recipient, &wanted.state].iter().any(|text| !text.is_empty());
    show(&QueuePage { layout, words, wanted, states, tenants, rows, next, filtered })
}
