//! `/moderation/authors/{id}`: an author, and what can be done about one; a ban shows first what it hides.

use std::time::Duration;

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use serde::Deserialize;

use super::Place;
use super::act::{Form, with};
use super::show::{Notice, Row, action as words_of, span, standing};
use super::words::Texts;
use crate::admin::Problem;
use crate::admin::client::{query, segment};
use crate::clock::Timestamp;
use crate::posts::{Action, AuthorId, StandingAction, UNCONFIRMED};
use crate::web::caller::Caller;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, see_other, show};
use crate::web::site::local_path;
use crate::web::state::{WebState, blocking};

const POSTS: usize = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AuthorQuery {
    tenant: Option<String>,
    back: Option<String>,
    did: Option<String>,
    op: Option<String>,
    n: Option<usize>,
}

struct Line {
    at: String,
    by: String,
    what: &'static str,
    reason: String,
    undone: bool,
}

#[derive(Template)]
#[template(path = "moderation/author.html")]
struct AuthorPage {
    layout: Layout,
    texts: &'static Texts,
    place: Place,
    notice: Option<Notice>,
    id: String,
    segment: String,
    name: String,
    email: String,
    since: Option<String>,
    first_seen: String,
    standing: &'static str,
    is_normal: bool,
    figures: String,
    history: Vec<Line>,
    rows: Vec<Row>,
    back: String,
    here: String,
    tenant_query: String,
}

#[derive(Template)]
#[template(path = "moderation/ban.html")]
struct BanPage {
    layout: Layout,
    texts: &'static Texts,
    title: String,
    would_hide: String,
    rows: Vec<Row>,
    shown: Option<String>,
    hide: String,
    reason: Option<String>,
    count: usize,
    typed: Option<String>,
    segment: String,
    back: String,
    tenant: Option<String>,
    tenant_query: String,
}

pub(super) async fn page(
    State(web): State<WebState>,
    layout: Layout,
    caller: Caller,
    Path(id): Path<String>,
    Query(asked): Query<AuthorQuery>,
) -> PageResult {
    let place = Place::of(&web, &caller, asked.tenant.as_deref())?;
    let texts = Texts::of(layout.language);
    let id = AuthorId::parse(&id)?;
    let (posts, tenant, wanted) = (place.desk.posts.clone(), place.desk.tenant, id.clone());
    let found = blocking(move || {
        let author = posts.author(tenant, &wanted)?;
        Ok::<_, crate::posts::PostError>((author, posts.posts_of(tenant, &wanted, POSTS)?))
    });
    let (author, posts) = found.await??;
    let (now, thresholds) = (place.desk.posts.now(), place.desk.posts.settings().thresholds);
    let counts = author.counts;
    let public = counts.published + counts.approved;
    let tenant_query = query(&[("tenant", place.tenant())]);
    let back = match asked.back.as_deref() {
        Some(back) => local_path(Some(back)),
        None => format!("/moderation{tenant_query}"),
    };
    let here = format!(
        "/moderation/authors/{}{}",
        segment(id.as_str()),
        query(&[("tenant", place.tenant()), ("back", Some(back.clone()))])
    );
    let history = author.history.iter().rev().map(|line| Line {
        at: line.at.to_rfc3339(),
        by: line.by.clone(),
        what: words_of(line.action, texts),
        reason: line.reason.clone().unwrap_or_default(),
        undone: line.undone,
    });
    let now_standing = author.standing_at(now);
    show(&AuthorPage {
        notice: Notice::of(asked.did.as_deref(), asked.n, None, asked.op.as_deref(), texts),
        segment: segment(id.as_str()),
        id: id.to_string(),
        name: author.name.clone().unwrap_or_default(),
        email: author.email.clone().unwrap_or_default(),
        since: author.since.map(|since| span(now.since(since).as_secs(), texts)),
        first_seen: span(now.since(author.first_seen).as_secs(), texts),
        standing: standing(now_standing, texts),
        is_normal: now_standing.name() == "normal",
        figures: fill(texts.figures, &[&public, &counts.held, &counts.spam, &counts.rejected]),
        history: history.collect(),
        rows: posts.iter().map(|post| Row::of(post, None, &place.desk.by, thresholds, now, texts)).collect(),
        back,
        here,
        tenant_query,
        layout,
        texts,
        place,
    })
}

/// Since when a ban hides posts.
fn since(hide: &str, now: Timestamp) -> Result<Option<Timestamp>, Problem> {
    match hide {
        "" | "nothing" => Ok(None),
        "day" => Ok(Some(now.before(Duration::from_hours(24)))),
        "week" => Ok(Some(now.before(Duration::from_hours(7 * 24)))),
        "all" => Ok(Some(Timestamp::from_millis(0))),
        other => Err(Problem::invalid(format!("\"{other}\" is not a span"))),
    }
}

pub(super) async fn change(
    State(web): State<WebState>,
    layout: Layout,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> PageResult {
    let form = Form::read(&body);
    let place = Place::of(&web, &caller, form.get("tenant"))?;
    let id = AuthorId::parse(&id)?;
    let action = match form.get("action").unwrap_or_default() {
        "trust" => Action::Trust,
        "silence" => Action::Silence,
        "ban" => Action::Ban,
        "unban" => Action::Unban,
        other => return Err(Problem::invalid(format!("\"{other}\" is not an action on an author"))),
    };
    let now = place.desk.posts.now();
    let mut asked = StandingAction::new(action);
    asked.posts_since = since(form.get("hide").unwrap_or_default(), now)?;
    asked.reason = form.get("reason").map(str::to_owned);
    asked.confirmed = form.get("confirm").and_then(|text| text.parse().ok());
    if action == Action::Ban && form.get("sure").is_none() {
        return ban_preview(layout, place, &id, &asked, form.get("hide").unwrap_or_default(), form.back()).await;
    }
    let desk = &place.desk;
    let (_, done) = desk.posts.change_standing(desk.of(), &id, asked, &desk.by).await?;
    let operation = done.operation.map(|number| number.to_string());
    Ok(see_other(&with(&form.back(), &[("did", Some("author".into())), ("op", operation)])))
}

async fn ban_preview(
    layout: Layout,
    place: Place,
    id: &AuthorId,
    asked: &StandingAction,
    hide: &str,
    back: String,
) -> PageResult {
    let texts = Texts::of(layout.language);
    let (now, thresholds) = (place.desk.posts.now(), place.desk.posts.settings().thresholds);
    let (posts, tenant, wanted) = (place.desk.posts.clone(), place.desk.tenant, id.clone());
    // "Now" is later than every post: nothing is hidden then.
    let since = asked.posts_since.unwrap_or(now + Duration::from_secs(1));
    let preview = blocking(move || posts.preview_ban(tenant, &wanted, since)).await??;
    let count = preview.held + preview.public;
    let rows: Vec<Row> =
        preview.posts.iter().map(|post| Row::of(post, None, &place.desk.by, thresholds, now, texts)).collect();
    show(&BanPage {
        title: fill(texts.ban_title, &[id]),
        would_hide: fill(texts.would_hide, &[&preview.held, &preview.public]),
        shown: (rows.len() < count).then(|| fill(texts.first_shown, &[&rows.len()])),
        rows,
        hide: hide.to_owned(),
        reason: asked.reason.clone(),
        count,
        typed: (count > UNCONFIRMED).then(|| fill(texts.type_number, &[&count])),
        segment: segment(id.as_str()),
        back,
        tenant: place.tenant(),
        tenant_query: place.queries().0,
        layout,
        texts,
    })
}
