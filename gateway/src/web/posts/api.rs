//! `/v1/posts` and `/v1/authors`: each handler is a translation between a request and one call of the posts room.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::desk::Desk;
use super::view::{AuthorView, ClaimView, DoneView, FullPostView, PostPage, PostView};
use crate::admin::Problem;
use crate::admin::server::json;
use crate::clock::Timestamp;
use crate::posts::{
    Action, Asked, AuthorId, Backlog, Filter, Order, PostId, PostState, Source, StandingAction, Submission,
};
use crate::web::state::blocking;

type Answer<T> = Result<Json<T>, Problem>;

const PAGE: usize = 50;

/// The body of a decision on one post; may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::web) struct DecideRequest {
    reason: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct RedactRequest {
    text: String,
}

/// The body of `POST /v1/posts:bulk`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::web) struct BulkRequest {
    action: Action,
    #[serde(default)]
    ids: Vec<String>,
    filter: Option<Filter>,
    operation: Option<String>,
    reason: Option<String>,
    confirm: Option<usize>,
    #[serde(default)]
    dry_run: bool,
}

/// The body of an action on an author; may be empty.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::web) struct StandingRequest {
    reason: Option<String>,
    /// With a ban: hide the posts received since then.
    hide_posts_since: Option<String>,
    /// How long a silence lasts.
    hours: Option<u64>,
    confirm: Option<usize>,
    dry_run: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    state: Option<PostState>,
    after: Option<String>,
    limit: Option<usize>,
    order: Option<Order>,
    skip: Option<usize>,
    band: Option<crate::posts::Band>,
    author: Option<String>,
    lang: Option<String>,
    source: Option<Source>,
    search: Option<String>,
    similar: Option<String>,
    older_than_seconds: Option<u64>,
}

fn optional<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Problem> {
    if body.is_empty() { Ok(T::default()) } else { json(body) }
}

/// The version that `If-Match` names: `"3"`, `W/"3"` or `3`.
fn version(headers: &HeaderMap) -> Result<Option<u32>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let bare = text.trim_start_matches("W/").trim_matches('"');
    bare.parse().map(Some).map_err(|_| Problem::invalid("If-Match names a post's version, as in \"3\""))
}

fn with_tag<T: Serialize>(status: StatusCode, version: u32, view: &T) -> Result<Response, Problem> {
    let tag = HeaderValue::from_str(&format!("\"{version}\"")).map_err(|e| Problem::internal(e.to_string()))?;
    Ok((status, [(header::ETAG, tag)], Json(view)).into_response())
}

pub(super) async fn submit(desk: Desk, body: Bytes) -> Result<Response, Problem> {
    let submission: Submission = json(&body)?;
    let answer = desk.posts.submit(desk.tenant, &desk.name, submission, Source::Api, desk.policy).await?;
    let view = PostView::of(&answer.post, desk.posts.settings().thresholds);
    let status = if answer.new && answer.post.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    with_tag(status, answer.post.version, &view)
}

pub(super) async fn list(
    desk: Desk,
    query: Result<Query<ListQuery>, axum::extract::rejection::QueryRejection>,
) -> Answer<PostPage> {
    let Query(query) = query.map_err(|error| Problem::invalid(error.body_text()))?;
    let limit = query.limit.unwrap_or(PAGE).clamp(1, 500);
    let thresholds = desk.posts.settings().thresholds;
    let (posts, tenant) = (desk.posts.clone(), desk.tenant);
    let after = query.after.as_deref().map(str::trim).filter(|after| !after.is_empty());
    let after: Option<u64> = after
        .map(str::parse)
        .transpose()
        .map_err(|_| Problem::invalid("after is a cursor: the \"next\" of an earlier answer, or 0"))?;
    let filter = Filter {
        state: query.state,
        band: query.band,
        author: query.author.as_deref().map(AuthorId::parse).transpose()?,
        lang: query.lang,
        source: query.source,
        search: query.search,
        similar: query.similar.as_deref().map(PostId::parse).transpose()?,
        older_than_seconds: query.older_than_seconds,
    };
    let only_state = Filter { state: None, ..filter.clone() } == Filter::default();
    if let (None, true) = (query.order, only_state) {
        // In the order of changes: what a help center polls. Without a cursor, decisions of the last seconds are there
        // as well, for a person who looks.
        let cursor = after.unwrap_or(0);
        let changes = move || posts.changes(tenant, filter.state, cursor, after.is_none(), limit);
        let found = blocking(changes).await??;
        let next = found.last().map_or(cursor, |post| post.change).to_string();
        return Ok(Json(PostPage { posts: PostView::all(&found, thresholds), next, total: None }));
    }
    if after.is_some() {
        return Err(Problem::invalid("with order or another filter than state, page with skip instead of after"));
    }
    let skip = query.skip.unwrap_or(0);
    let order = query.order.unwrap_or_default();
    let page = blocking(move || posts.list(tenant, &filter, order, skip, limit)).await??;
    let next = page.posts.iter().map(|post| post.change).max().unwrap_or(0).to_string();
    Ok(Json(PostPage { posts: PostView::all(&page.posts, thresholds), next, total: Some(page.total) }))
}

pub(super) async fn show(desk: Desk, Path(id): Path<String>) -> Result<Response, Problem> {
    let id = PostId::parse(&id)?;
    let (post, body, claim) = desk.posts.show(desk.tenant, &id)?;
    let view = FullPostView::of(&post, body, claim, desk.posts.settings().thresholds);
    with_tag(StatusCode::OK, post.version, &view)
}

async fn decide(desk: Desk, action: Action, id: String, headers: HeaderMap, body: Bytes) -> Result<Response, Problem> {
    let request: DecideRequest = optional(&body)?;
    let id = PostId::parse(&id)?;
    let asked = Asked::Posts(vec![(id.clone(), version(&headers)?)]);
    desk.posts.decide(desk.of(), action, asked, &desk.by, request.reason, None).await?;
    let (post, body, claim) = desk.posts.show(desk.tenant, &id)?;
    let view = FullPostView::of(&post, body, claim, desk.posts.settings().thresholds);
    with_tag(StatusCode::OK, post.version, &view)
}

/// The handler of a decision on one post, for either listener.
pub(super) fn deciding<S: Clone + Send + Sync + 'static>(action: Action) -> MethodRouter<S>
where
    Desk: FromRequestParts<S>,
{
    post(move |desk: Desk, Path(id): Path<String>, headers: HeaderMap, body: Bytes| {
        decide(desk, action, id, headers, body)
    })
}

pub(super) async fn claim(desk: Desk, Path(id): Path<String>) -> Answer<ClaimView> {
    let claim = desk.posts.claim(desk.tenant, &PostId::parse(&id)?, &desk.by)?;
    Ok(Json(ClaimView::of(&claim)))
}

pub(super) async fn redact(
    desk: Desk,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let request: RedactRequest = json(&body)?;
    let id = PostId::parse(&id)?;
    let post = desk.posts.strike_out(desk.of(), &id, &request.text, version(&headers)?, &desk.by).await?;
    with_tag(StatusCode::OK, post.version, &PostView::of(&post, desk.posts.settings().thresholds))
}

pub(super) async fn bulk(desk: Desk, body: Bytes) -> Answer<DoneView> {
    let request: BulkRequest = json(&body)?;
    let thresholds = desk.posts.settings().thresholds;
    if let Some(operation) = &request.operation {
        if request.action != Action::Undo || !request.ids.is_empty() || request.filter.is_some() {
            return Err(Problem::invalid("operation goes with the action undo, and with nothing else"));
        }
        let number = operation.parse().map_err(|_| Problem::invalid("operation is what an earlier answer named so"))?;
        let done = desk.posts.undo_operation(desk.of(), number, &desk.by).await?;
        return Ok(Json(DoneView::of(&done, thresholds, false)));
    }
    let asked = match (request.ids.is_empty(), request.filter) {
        (false, None) => {
            let ids = request.ids.iter().map(|id| Ok((PostId::parse(id)?, None)));
            Asked::Posts(ids.collect::<Result<_, Problem>>()?)
        }
        (true, Some(filter)) => Asked::Matching(filter),
        _ => return Err(Problem::invalid("name posts by ids or by a filter, not both")),
    };
    if request.dry_run {
        let (posts, tenant) = (desk.posts.clone(), desk.tenant);
        let done = blocking(move || posts.preview(tenant, &asked)).await??;
        return Ok(Json(DoneView::of(&done, thresholds, true)));
    }
    let done = desk.posts.decide(desk.of(), request.action, asked, &desk.by, request.reason, request.confirm).await?;
    Ok(Json(DoneView::of(&done, thresholds, false)))
}

pub(super) async fn author(desk: Desk, Path(id): Path<String>) -> Answer<AuthorView> {
    Ok(Json(author_view(&desk, &AuthorId::parse(&id)?)?))
}

fn author_view(desk: &Desk, id: &AuthorId) -> Result<AuthorView, Problem> {
    let author = desk.posts.author(desk.tenant, id)?;
    let posts = desk.posts.posts_of(desk.tenant, id, 20)?;
    Ok(AuthorView::of(&author, &posts, desk.posts.settings().thresholds, desk.posts.now()))
}

async fn standing(desk: Desk, action: Action, id: String, body: Bytes) -> Result<Response, Problem> {
    let request: StandingRequest = optional(&body)?;
    let id = AuthorId::parse(&id)?;
    let since = request.hide_posts_since.as_deref();
    let since = since
        .map(|since| {
            Timestamp::parse_rfc3339(since).ok_or_else(|| Problem::invalid("hide_posts_since is a time of RFC 3339"))
        })
        .transpose()?;
    let thresholds = desk.posts.settings().thresholds;
    if request.dry_run {
        let preview = desk.posts.preview_ban(desk.tenant, &id, since.unwrap_or(desk.posts.now()))?;
        let matched = preview.held + preview.public;
        let posts = PostView::all(&preview.posts, thresholds);
        let view = DoneView { matched, authors: 1, posts, skipped: Vec::new(), operation: None, dry_run: true };
        return Ok(Json(view).into_response());
    }
    let mut asked = StandingAction::new(action);
    asked.posts_since = since;
    asked.reason = request.reason;
    asked.confirmed = request.confirm;
    if let Some(hours) = request.hours {
        asked.span = std::time::Duration::from_hours(hours.clamp(1, 24 * 365));
    }
    desk.posts.change_standing(desk.of(), &id, asked, &desk.by).await?;
    Ok(Json(author_view(&desk, &id)?).into_response())
}

/// The handler of an action on an author, for either listener.
pub(super) fn standing_as<S: Clone + Send + Sync + 'static>(action: Action) -> MethodRouter<S>
where
    Desk: FromRequestParts<S>,
{
    post(move |desk: Desk, Path(id): Path<String>, body: Bytes| standing(desk, action, id, body))
}

pub(super) async fn backlog(desk: Desk) -> Json<Backlog> {
    Json(desk.posts.backlog(desk.tenant))
}
