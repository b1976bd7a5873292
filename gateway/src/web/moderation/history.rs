//! `/moderation/history`: decisions that stand, each with its way back.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::Place;
use super::show::{Notice, Row, action as words_of};
use super::words::Texts;
use crate::admin::client::query;
use crate::web::caller::Caller;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, show};
use crate::web::state::{WebState, blocking};

const PAGE: usize = 50;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HistoryQuery {
    tenant: Option<String>,
    page: Option<usize>,
    did: Option<String>,
    n: Option<usize>,
}

struct Line {
    row: Row,
    at: String,
    by: String,
    what: &'static str,
    reason: String,
}

#[derive(Template)]
#[template(path = "moderation/history.html")]
struct HistoryPage {
    layout: Layout,
    texts: &'static Texts,
    place: Place,
    notice: Option<Notice>,
    lines: Vec<Line>,
    page_of: String,
    here: String,
    previous: Option<String>,
    next: Option<String>,
    tenant_query: String,
}

pub(super) async fn page(
    State(web): State<WebState>,
    layout: Layout,
    caller: Caller,
    Query(asked): Query<HistoryQuery>,
) -> PageResult {
    let place = Place::of(&web, &caller, asked.tenant.as_deref())?;
    let texts = Texts::of(layout.language);
    let page = asked.page.unwrap_or(1).max(1);
    let (posts, tenant) = (place.desk.posts.clone(), place.desk.tenant);
    let (found, total) = blocking(move || posts.decided(tenant, (page - 1).saturating_mul(PAGE), PAGE)).await??;
    let (now, thresholds) = (place.desk.posts.now(), place.desk.posts.settings().thresholds);
    let lines = found.iter().filter_map(|post| {
        let decision = post.standing_decision()?;
        Some(Line {
            row: Row::of(post, None, &place.desk.by, thresholds, now, texts),
            at: decision.at.to_rfc3339(),
            by: decision.by.clone(),
            what: words_of(decision.action, texts),
            reason: decision.reason.clone().unwrap_or_default(),
        })
    });
    let address = |page: usize| {
        let number = (page > 1).then(|| page.to_string());
        format!("/moderation/history{}", query(&[("tenant", place.tenant()), ("page", number)]))
    };
    let pages = total.div_ceil(PAGE).max(1);
    show(&HistoryPage {
        notice: Notice::of(asked.did.as_deref(), asked.n, None, None, texts),
        lines: lines.collect(),
        page_of: fill(texts.page_of, &[&page, &pages]),
        here: address(page),
        previous: (page > 1).then(|| address(page - 1)),
        next: (page < pages).then(|| address(page + 1)),
        tenant_query: query(&[("tenant", place.tenant())]),
        layout,
        texts,
        place,
    })
}
