//! `/moderation/posts/{id}`: one post with everything that a decision needs; with `?pane=1` as a piece of the list page.

use askama::Template;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::Place;
use super::list::reasons;
use super::show::{Notice, Row, action, span, standing, state};
use super::words::Texts;
use crate::admin::client::{query, segment};
use crate::clock::Timestamp;
use crate::posts::links::{Link, links};
use crate::posts::{Author, Body, Filter, Order, Post, PostId, PostState};
use crate::web::caller::Caller;
use crate::web::language::{Language, fill};
use crate::web::page::{Layout, PageResult, show};
use crate::web::said::{self, Said};
use crate::web::site::local_path;
use crate::web::state::{WebState, blocking};

/// Similar posts that are shown; the count is of all.
const SIMILAR: usize = 6;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PostQuery {
    tenant: Option<String>,
    back: Option<String>,
    pane: Option<String>,
    did: Option<String>,
    n: Option<usize>,
    op: Option<String>,
}

/// A link as the page shows it.
struct ShownLink {
    target: String,
    host: String,
    shown: Option<String>,
    deceives: bool,
}

/// A signal with the length of its bar.
struct Signal {
    words: Said,
    weight: String,
    size: String,
    spam: bool,
}

struct Line {
    at: String,
    by: String,
    what: &'static str,
    to: &'static str,
    reason: String,
    undone: bool,
}

/// What the author card says.
struct Card {
    segment: String,
    id: String,
    name: String,
    email: String,
    ip: String,
    since: Option<String>,
    first_seen: String,
    standing: &'static str,
    figures: String,
}

struct Detail {
    row: Row,
    text: String,
    context: Option<String>,
    links: Vec<ShownLink>,
    signals: Vec<Signal>,
    cards: Option<String>,
    card: Card,
    similar: Vec<Row>,
    similar_count: usize,
    history: Vec<Line>,
    can_undo: bool,
    settling: bool,
    edited: Option<String>,
    url: Option<String>,
    expired: bool,
}

#[derive(Template)]
#[template(path = "moderation/post.html")]
struct PostPage {
    layout: Layout,
    texts: &'static Texts,
    place: Place,
    notice: Option<Notice>,
    detail: Detail,
    back: String,
    here: String,
    here_segment: String,
    tenant_query: String,
    tenant_more: String,
    apply_similar: String,
    reasons: [&'static str; 5],
}

#[derive(Template)]
#[template(path = "moderation/pane.html")]
struct Pane {
    texts: &'static Texts,
    place: Place,
    detail: Detail,
    back: String,
    here: String,
    here_segment: String,
    tenant_query: String,
    tenant_more: String,
    apply_similar: String,
    reasons: [&'static str; 5],
}

pub(super) async fn page(
    State(web): State<WebState>,
    layout: Layout,
    caller: Caller,
    Path(id): Path<String>,
    Query(asked): Query<PostQuery>,
) -> PageResult {
    let place = Place::of(&web, &caller, asked.tenant.as_deref())?;
    let texts = Texts::of(layout.language);
    let id = PostId::parse(&id)?;
    if place.decides {
        // Soft: somebody else's claim is shown, and hinders nobody.
        let _ = place.desk.posts.claim(place.desk.tenant, &id, &place.desk.by);
    }
    let (posts, tenant, wanted) = (place.desk.posts.clone(), place.desk.tenant, id.clone());
    let found = blocking(move || {
        let (post, body, claim) = posts.show(tenant, &wanted)?;
        let author = posts.author(tenant, &post.author)?;
        let similar = Filter { similar: Some(wanted), state: Some(PostState::Held), ..Filter::default() };
        let similar = posts.list(tenant, &similar, Order::Newest, 0, SIMILAR)?;
        Ok::<_, crate::posts::PostError>((post, body, claim, author, similar))
    });
    let (post, body, claim, author, similar) = found.await??;
    let now = place.desk.posts.now();
    let thresholds = place.desk.posts.settings().thresholds;
    let row = |post: &Post, claim| Row::of(post, claim, &place.desk.by, thresholds, now, texts);
    let detail = Detail {
        similar: similar.posts.iter().map(|post| row(post, None)).collect(),
        similar_count: similar.total,
        row: row(&post, claim.as_ref()),
        ..detail(&post, body, &author, now, layout.language, row(&post, None))
    };
    let (tenant_query, tenant_more) = place.queries();
    let back = match asked.back.as_deref() {
        Some(back) => local_path(Some(back)),
        None => format!("/moderation{tenant_query}"),
    };
    let here = format!(
        "/moderation/posts/{}{}",
        segment(id.as_str()),
        query(&[("tenant", place.tenant()), ("back", Some(back.clone()))])
    );
    let reasons = reasons(texts);
    let here_segment = segment(&here);
    let apply_similar = fill(texts.apply_similar, &[&detail.similar_count]);
    if asked.pane.is_some() {
        return show(&Pane {
            texts,
            place,
            detail,
            back,
            here,
            here_segment,
            tenant_query,
            tenant_more,
            apply_similar,
            reasons,
        });
    }
    let notice = Notice::of(asked.did.as_deref(), asked.n, None, asked.op.as_deref(), texts);
    show(&PostPage {
        layout,
        texts,
        place,
        notice,
        detail,
        back,
        here,
        here_segment,
        tenant_query,
        tenant_more,
        apply_similar,
        reasons,
    })
}

fn shown_link(link: Link, texts: &Texts) -> ShownLink {
    let host = match link.host_shown {
        Some(seen) => format!("{seen} = {}", link.host),
        None => link.host,
    };
    let shown = link.shown.map(|shown| fill(texts.shown_as, &[&shown]));
    ShownLink { target: link.target, host: fill(texts.host, &[&host]), shown, deceives: link.deceives }
}

fn detail(post: &Post, body: Body, author: &Author, now: Timestamp, language: Language, row: Row) -> Detail {
    let texts = Texts::of(language);
    let signals = post.reasons.iter().map(|reason| Signal {
        words: said::signal(&reason.signal, language),
        weight: format!("{:+.1}", reason.weight),
        size: format!("{:.2}", reason.weight.abs().min(6.0)),
        spam: reason.weight > 0.0,
    });
    let counts = author.counts;
    let public = counts.published + counts.approved;
    let card = Card {
        segment: segment(author.id.as_str()),
        id: author.id.to_string(),
        name: author.name.clone().unwrap_or_default(),
        email: author.email.clone().unwrap_or_default(),
        ip: post.byline.ip.map(|ip| ip.to_string()).unwrap_or_default(),
        since: author.since.map(|since| span(now.since(since).as_secs(), texts)),
        first_seen: span(now.since(author.first_seen).as_secs(), texts),
        standing: standing(author.standing_at(now), texts),
        figures: fill(texts.figures, &[&public, &counts.held, &counts.spam, &counts.rejected]),
    };
    let history = post.history.iter().rev().map(|line| Line {
        at: line.at.to_rfc3339(),
        by: line.by.clone(),
        what: action(line.action, texts),
        to: state(line.to, texts),
        reason: line.reason.clone().unwrap_or_default(),
        undone: line.undone,
    });
    Detail {
        row,
        links: links(&body.text).into_iter().map(|link| shown_link(link, texts)).collect(),
        text: body.text,
        context: body.context,
        signals: signals.collect(),
        cards: (post.struck > 0).then(|| fill(texts.card_numbers, &[&post.struck])),
        card,
        similar: Vec::new(),
        similar_count: 0,
        history: history.collect(),
        can_undo: post.standing_decision().is_some(),
        settling: post.settles.is_some(),
        edited: post.edited.map(Timestamp::to_rfc3339),
        url: post.url.as_ref().map(|url| fill(texts.open_page, &[url])),
        expired: post.state == PostState::Expired,
    }
}
