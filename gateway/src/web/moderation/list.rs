//! `/moderation`: the list, its filters in the address.

use askama::Template;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::Place;
use super::show::{Notice, Row, span};
use super::words::Texts;
use crate::admin::Problem;
use crate::admin::client::{query, segment};
use crate::posts::{AuthorId, Band, Filter, Order, PostId, PostState};
use crate::web::caller::Caller;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, show};
use crate::web::state::{WebState, blocking};

/// Posts on one page: what a person looks at before going on, and small enough for a slow line.
const PAGE: usize = 25;

/// The address of a list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQuery {
    pub(super) tenant: Option<String>,
    pub(super) state: Option<String>,
    pub(super) band: Option<String>,
    pub(super) author: Option<String>,
    pub(super) lang: Option<String>,
    pub(super) search: Option<String>,
    pub(super) similar: Option<String>,
    pub(super) order: Option<String>,
    pub(super) page: Option<usize>,
    did: Option<String>,
    n: Option<usize>,
    skipped: Option<usize>,
    op: Option<String>,
}

fn given(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

impl ListQuery {
    /// The filter; held posts unless the address says otherwise.
    pub(super) fn filter(&self) -> Result<Filter, Problem> {
        let state = match given(self.state.as_ref()) {
            None => Some(PostState::Held),
            Some("all") => None,
            Some(name) => Some(name.parse()?),
        };
        let band = match given(self.band.as_ref()) {
            None => None,
            Some("likely-fine") => Some(Band::LikelyFine),
            Some("unsure") => Some(Band::Unsure),
            Some("likely-spam") => Some(Band::LikelySpam),
            Some(other) => return Err(Problem::invalid(format!("there is no band \"{other}\""))),
        };
        Ok(Filter {
            state,
            band,
            author: given(self.author.as_ref()).map(AuthorId::parse).transpose()?,
            lang: given(self.lang.as_ref()).map(str::to_owned),
            source: None,
            search: given(self.search.as_ref()).map(str::to_owned),
            similar: given(self.similar.as_ref()).map(PostId::parse).transpose()?,
            older_than_seconds: None,
        })
    }

    fn order(&self) -> Order {
        match given(self.order.as_ref()) {
            Some("newest") => Order::Newest,
            Some("spam") => Order::Spam,
            Some("fine") => Order::Fine,
            _ => Order::Oldest,
        }
    }

    /// The address of the same list on another page, without what was done.
    pub(super) fn address(&self, page: usize) -> String {
        let text = |field: &Option<String>| given(field.as_ref()).map(str::to_owned);
        let pairs = [
            ("tenant", text(&self.tenant)),
            ("state", text(&self.state)),
            ("band", text(&self.band)),
            ("author", text(&self.author)),
            ("lang", text(&self.lang)),
            ("search", text(&self.search)),
            ("similar", text(&self.similar)),
            ("order", text(&self.order)),
            ("page", (page > 1).then(|| page.to_string())),
        ];
        format!("/moderation{}", query(&pairs))
    }

    /// Is this value chosen in a field of the filter form?
    fn is(&self, field: &str, value: &str) -> bool {
        let chosen = match field {
            "state" => given(self.state.as_ref()).unwrap_or("held"),
            "band" => given(self.band.as_ref()).unwrap_or(""),
            "order" => given(self.order.as_ref()).unwrap_or("oldest"),
            _ => given(self.tenant.as_ref()).unwrap_or(""),
        };
        chosen == value
    }
}

#[derive(Template)]
#[template(path = "moderation/list.html")]
struct ListPage {
    layout: Layout,
    texts: &'static Texts,
    place: Place,
    query: ListQuery,
    notice: Option<Notice>,
    rows: Vec<Row>,
    total: usize,
    figures: Vec<(&'static str, String)>,
    expiring: Option<String>,
    count: String,
    page_of: String,
    all_matching: String,
    matching: String,
    here: String,
    here_segment: String,
    tenant_more: String,
    previous: Option<String>,
    next: Option<String>,
    tenant_query: String,
    states: Vec<(&'static str, &'static str)>,
    bands: Vec<(&'static str, &'static str)>,
    orders: Vec<(&'static str, &'static str)>,
    reasons: [&'static str; 5],
}

/// The reasons that have a number.
pub(super) fn reasons(texts: &Texts) -> [&'static str; 5] {
    [texts.reason_1, texts.reason_2, texts.reason_3, texts.reason_4, texts.reason_5]
}

pub(super) async fn page(
    State(state): State<WebState>,
    layout: Layout,
    caller: Caller,
    Query(query): Query<ListQuery>,
) -> PageResult {
    let place = Place::of(&state, &caller, query.tenant.as_deref())?;
    let texts = Texts::of(layout.language);
    let filter = query.filter()?;
    let (posts, tenant, order) = (place.desk.posts.clone(), place.desk.tenant, query.order());
    let page = query.page.unwrap_or(1).max(1);
    let skip = (page - 1).saturating_mul(PAGE);
    let found = blocking(move || {
        let list = posts.list(tenant, &filter, order, skip, PAGE)?;
        Ok::<_, crate::posts::PostError>((list, posts.backlog(tenant)))
    });
    let (list, backlog) = found.await??;
    let now = place.desk.posts.now();
    let thresholds = place.desk.posts.settings().thresholds;
    let rows = list.posts.iter().zip(&list.claims);
    let rows = rows.map(|(post, claim)| Row::of(post, claim.as_ref(), &place.desk.by, thresholds, now, texts));
    let pages = list.total.div_ceil(PAGE).max(1);
    let notice = Notice::of(query.did.as_deref(), query.n, query.skipped, query.op.as_deref(), texts);
    let (tenant_query, tenant_more) = place.queries();
    let here = query.address(page);
    show(&ListPage {
        rows: rows.collect(),
        notice,
        total: list.total,
        count: fill(texts.count, &[&list.total]),
        page_of: fill(texts.page_of, &[&page, &pages]),
        all_matching: fill(texts.all_matching, &[&list.total]),
        matching: here.split_once('?').map(|(_, query)| query.to_owned()).unwrap_or_default(),
        here_segment: segment(&here),
        figures: vec![
            (texts.waiting, backlog.held.to_string()),
            (texts.oldest, span(backlog.oldest_seconds, texts)),
            (texts.median, span(backlog.median_seconds, texts)),
            (texts.slow, span(backlog.slow_seconds, texts)),
            (texts.decided_today, backlog.decided_today.to_string()),
        ],
        expiring: (backlog.expiring > 0).then(|| fill(texts.expiring, &[&backlog.expiring])),
        here,
        previous: (page > 1).then(|| query.address(page - 1)),
        next: (page < pages).then(|| query.address(page + 1)),
        tenant_query,
        tenant_more,
        states: states(texts),
        bands: vec![
            ("", texts.all),
            ("likely-fine", texts.likely_fine),
            ("unsure", texts.unsure),
            ("likely-spam", texts.likely_spam),
        ],
        orders: vec![
            ("oldest", texts.order_oldest),
            ("newest", texts.order_newest),
            ("spam", texts.order_spam),
            ("fine", texts.order_fine),
        ],
        reasons: reasons(texts),
        layout,
        texts,
        place,
        query,
    })
}

fn states(texts: &Texts) -> Vec<(&'static str, &'static str)> {
    let mut states: Vec<_> =
        PostState::ALL.into_iter().map(|state| (state.name(), super::show::state(state, texts))).collect();
    states.push(("all", texts.all));
    states
}
