//! The forms of the list and of a post: decide, preview, apply, undo, strike out.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::response::Response;

use super::Place;
use super::list::{ListQuery, reasons};
use super::show::{Row, action as words_of};
use super::words::Texts;
use crate::admin::Problem;
use crate::posts::{Action, Asked, Done, Filter, PostId, PostState, UNCONFIRMED};
use crate::web::caller::Caller;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, see_other, show};
use crate::web::site::local_path;
use crate::web::state::{WebState, blocking};

/// A form, with fields that come more than once.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn read(body: &[u8]) -> Self {
        Self(crate::web::posts::form::pairs(body))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let value = self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    pub(super) fn all<'f>(&'f self, name: &'f str) -> impl Iterator<Item = &'f str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Where the form came from.
    pub(super) fn back(&self) -> String {
        match self.get("back") {
            Some(back) => local_path(Some(back)),
            None => "/moderation".to_owned(),
        }
    }

    fn reason(&self) -> Option<String> {
        let written = self.get("reason-other").or_else(|| self.get("reason"));
        written.map(str::to_owned)
    }
}

/// `back` with what was done in its query.
pub(super) fn with(back: &str, pairs: &[(&str, Option<String>)]) -> String {
    let query = crate::admin::client::query(pairs);
    if back.contains('?') { format!("{back}{}", query.replacen('?', "&", 1)) } else { format!("{back}{query}") }
}

fn done_at(back: &str, did: Action, done: &Done) -> Response {
    let skipped = (!done.skipped.is_empty()).then(|| done.skipped.len().to_string());
    see_other(&with(
        back,
        &[
            ("did", Some(did.name().to_owned())),
            ("n", Some(done.posts.len().to_string())),
            ("skipped", skipped),
            ("op", done.operation.map(|number| number.to_string())),
        ],
    ))
}

/// `3 the-id`: a version and a post.
fn seen(token: &str) -> Result<(PostId, Option<u32>), Problem> {
    let (version, id) = token.split_once(' ').ok_or_else(|| Problem::invalid("the form names no post"))?;
    let version = version.parse().map_err(|_| Problem::invalid("the form names no version"))?;
    Ok((PostId::parse(id)?, Some(version)))
}

fn action_of(name: &str) -> Result<Action, Problem> {
    match name {
        "approve" => Ok(Action::Approve),
        "spam" => Ok(Action::Spam),
        "reject" => Ok(Action::Reject),
        "undo" => Ok(Action::Undo),
        other => Err(Problem::invalid(format!("\"{other}\" is not a decision"))),
    }
}

#[derive(Template)]
#[template(path = "moderation/confirm.html")]
struct Confirm {
    layout: Layout,
    texts: &'static Texts,
    title: String,
    action: &'static str,
    action_words: &'static str,
    rows: Vec<Row>,
    shown: Option<String>,
    tokens: Vec<String>,
    matching: Option<String>,
    count: usize,
    typed: Option<String>,
    reason: Option<String>,
    ask_reason: bool,
    reasons: [&'static str; 5],
    back: String,
    tenant: Option<String>,
    tenant_query: String,
}

/// A decision on one post is done at once; on several, a preview comes first.
pub(super) async fn decide(State(web): State<WebState>, layout: Layout, caller: Caller, body: Bytes) -> PageResult {
    let form = Form::read(&body);
    let place = Place::of(&web, &caller, form.get("tenant"))?;
    let wish = form.get("do").ok_or_else(|| Problem::invalid("the form asks for nothing"))?;
    let back = form.back();
    if let Some((name, token)) = wish.split_once(' ').filter(|(name, _)| !name.starts_with("bulk")) {
        let action = action_of(name)?;
        let desk = &place.desk;
        let asked = Asked::Posts(vec![seen(token)?]);
        let done = desk.posts.decide(desk.of(), action, asked, &desk.by, form.reason(), None).await?;
        return Ok(done_at(&back, action, &done));
    }
    let (scope, name) = wish.split_once(' ').ok_or_else(|| Problem::invalid("the form asks for nothing"))?;
    let action = action_of(name)?;
    let (asked, tokens, matching) = if scope == "bulk-matching" {
        let matching = form.get("matching").unwrap_or_default().to_owned();
        (Asked::Matching(filter_of(&matching)?), Vec::new(), Some(matching))
    } else {
        let tokens: Vec<String> = form.all("post").map(str::to_owned).collect();
        if tokens.is_empty() {
            return Err(Problem::invalid("no post is selected: go back and select some"));
        }
        let posts = tokens.iter().map(|token| seen(token)).collect::<Result<_, _>>()?;
        (Asked::Posts(posts), tokens, None)
    };
    preview(layout, place, action, asked, tokens, matching, form.reason(), back).await
}

fn filter_of(matching: &str) -> Result<Filter, Problem> {
    let uri: axum::http::Uri =
        format!("/?{}", matching.trim_start_matches('?')).parse().map_err(|_| Problem::invalid("no such filter"))?;
    let query = axum::extract::Query::<ListQuery>::try_from_uri(&uri);
    query.map_err(|error| Problem::invalid(error.body_text()))?.0.filter()
}

#[expect(clippy::too_many_arguments, reason = "what a form has")]
async fn preview(
    layout: Layout,
    place: Place,
    action: Action,
    asked: Asked,
    tokens: Vec<String>,
    matching: Option<String>,
    reason: Option<String>,
    back: String,
) -> PageResult {
    let texts = Texts::of(layout.language);
    let (posts, tenant) = (place.desk.posts.clone(), place.desk.tenant);
    let done = blocking(move || posts.preview(tenant, &asked)).await??;
    let (now, thresholds) = (place.desk.posts.now(), place.desk.posts.settings().thresholds);
    let rows: Vec<Row> =
        done.posts.iter().map(|post| Row::of(post, None, &place.desk.by, thresholds, now, texts)).collect();
    show(&Confirm {
        title: fill(texts.preview_title, &[&done.matched, &done.authors]),
        action: action.name(),
        action_words: words_of(action, texts),
        shown: (rows.len() < done.matched).then(|| fill(texts.first_shown, &[&rows.len()])),
        rows,
        tokens,
        matching,
        count: done.matched,
        typed: (done.matched > UNCONFIRMED).then(|| fill(texts.type_number, &[&done.matched])),
        ask_reason: action == Action::Reject && reason.is_none(),
        reason,
        reasons: reasons(texts),
        back,
        tenant: place.tenant(),
        tenant_query: place.queries().0,
        layout,
        texts,
    })
}

/// What the preview showed.
pub(super) async fn apply(State(web): State<WebState>, caller: Caller, body: Bytes) -> PageResult {
    let form = Form::read(&body);
    let place = Place::of(&web, &caller, form.get("tenant"))?;
    let action = action_of(form.get("action").unwrap_or_default())?;
    let asked = match form.get("matching") {
        Some(matching) => Asked::Matching(filter_of(matching)?),
        None if form.all("similar").next().is_some() => similar(&form)?,
        None => Asked::Posts(form.all("post").map(seen).collect::<Result<_, _>>()?),
    };
    let confirmed = form.get("confirm").and_then(|text| text.parse().ok());
    let desk = &place.desk;
    let done = desk.posts.decide(desk.of(), action, asked, &desk.by, form.reason(), confirmed).await?;
    Ok(done_at(&form.back(), action, &done))
}

fn similar(form: &Form) -> Result<Asked, Problem> {
    let id = PostId::parse(form.get("similar").unwrap_or_default())?;
    Ok(Asked::Matching(Filter { similar: Some(id), state: Some(PostState::Held), ..Filter::default() }))
}

/// Takes a post's last decision back, or a whole operation.
pub(super) async fn undo(State(web): State<WebState>, caller: Caller, body: Bytes) -> PageResult {
    let form = Form::read(&body);
    let place = Place::of(&web, &caller, form.get("tenant"))?;
    let desk = &place.desk;
    let done = match (form.get("operation"), form.get("post")) {
        (Some(operation), _) => {
            let number = operation.parse().map_err(|_| Problem::invalid("the form names no operation"))?;
            desk.posts.undo_operation(desk.of(), number, &desk.by).await?
        }
        (None, Some(token)) => {
            let asked = Asked::Posts(vec![seen(token)?]);
            desk.posts.decide(desk.of(), Action::Undo, asked, &desk.by, None, None).await?
        }
        (None, None) => return Err(Problem::invalid("the form names nothing to take back")),
    };
    Ok(done_at(&form.back(), Action::Undo, &Done { operation: None, ..done }))
}

pub(super) async fn redact(
    State(web): State<WebState>,
    caller: Caller,
    Path(id): Path<String>,
    body: Bytes,
) -> PageResult {
    let form = Form::read(&body);
    let place = Place::of(&web, &caller, form.get("tenant"))?;
    let id = PostId::parse(&id)?;
    let version = form.get("version").and_then(|text| text.parse().ok());
    let piece = form.get("text").ok_or_else(|| Problem::invalid("which piece of text? select it, or write it"))?;
    place.desk.posts.strike_out(place.desk.of(), &id, piece, version, &place.desk.by).await?;
    Ok(see_other(&with(&form.back(), &[("did", Some("redact".into()))])))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_selection_is_read_as_the_list_writes_it(version: u32, id in "[a-zA-Z0-9日 &=+%/-]{1,30}") {
            prop_assume!(!id.trim().is_empty() && id.trim() == id);
            let (read, seen) = seen(&format!("{version} {id}")).unwrap();
            prop_assert_eq!((read.as_str(), seen), (id.as_str(), Some(version)));
        }

        #[test]
        fn any_form_is_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,80}") {
            let form = Form::read(&octets);
            let _ = (form.back(), form.reason(), form.all("post").count(), form.get("do"));
            let _ = (seen(&text), filter_of(&text), action_of(&text));
        }
    }
}
