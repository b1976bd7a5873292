//! The Akismet API (1.1 and the two calls of 1.2), so that clients that are there already work by changing their host.
//!
//! Promises: what Akismet's documentation and its clients agree on: POST forms, HTTP 200 always, bodies `valid`,
//! `invalid`, `true`, `false`. The key is an API token, in `api_key`, `key`, or as the first label of the host. A post
//! that waits for a person is `true` without the pro-tip: the client keeps it back, nobody throws it away. A failure is
//! neither `true` nor `false`, and never publishes.

use std::collections::HashMap;
use std::net::IpAddr;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::desk::Desk;
use super::form;
use crate::posts::{Action, Answer, Asked, Checked, PostError, PostId, PostState, Source, Submission};
use crate::web::accounts::Digest;
use crate::web::caller::Caller;
use crate::web::guard::caller_of_key;
use crate::web::role::Role;
use crate::web::state::WebState;

/// Above this probability a client may throw a comment away unseen.
const BLATANT: f64 = 0.995;
const THANKS: &str = "Thanks for making the web a better place.";
const MAY: &[Role] = &[Role::Owner, Role::Admin, Role::Moderator];
/// What developers send to see spam (and, older, the author's name alone).
const TEST_AUTHORS: [&str; 2] = ["akismet-guaranteed-spam", "viagra-test-123"];
const TEST_ADDRESS: &str = "akismet-guaranteed-spam@example.com";

type Fields = HashMap<String, String>;

/// What every call begins with.
struct Call {
    fields: Fields,
    desk: Desk,
}

fn plain(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
}

fn with_header(mut response: Response, name: &'static str, value: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

fn invalid(help: &str) -> Response {
    with_header(plain("invalid"), "x-akismet-debug-help", help)
}

/// Neither true nor false: clients hold the comment and ask again.
fn failed(error: &PostError) -> Response {
    match error {
        PostError::Store(_) => with_header(plain("error"), "x-akismet-error", "the gateway failed; try again"),
        error => {
            let help: String = error.to_string().chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).collect();
            invalid(&help)
        }
    }
}

/// The key: `api_key`, `key` (verify-key), or the host's first label (`KEY.rest.akismet.example`).
fn key(fields: &Fields, headers: &HeaderMap) -> Option<String> {
    let given = ["api_key", "key"].into_iter().find_map(|name| fields.get(name).filter(|key| !key.is_empty()));
    let label = || headers.get(header::HOST)?.to_str().ok()?.split('.').next().map(str::to_ascii_lowercase);
    given.cloned().or_else(label)
}

impl Call {
    fn new(state: &WebState, address: IpAddr, headers: &HeaderMap, body: &[u8]) -> Result<Self, Box<Response>> {
        let fields = form::read(body);
        let key = key(&fields, headers);
        let caller: Option<Caller> = key.and_then(|key| caller_of_key(state, key.trim(), MAY, address));
        let caller = caller.ok_or_else(|| Box::new(invalid("api_key is not a living token of this gateway")))?;
        let tenant = fields.get("tenant").map(String::as_str);
        let desk = Desk::of_caller(state, &caller, tenant).map_err(|problem| Box::new(invalid(&problem.detail)))?;
        Ok(Self { fields, desk })
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    fn require(&self, names: &[&str]) -> Result<(), Box<Response>> {
        match names.iter().find(|name| self.get(name).is_none()) {
            Some(missing) => Err(Box::new(invalid(&format!("Missing required field: {missing}.")))),
            None => Ok(()),
        }
    }

    fn is_test_spam(&self) -> bool {
        self.get("comment_author").is_some_and(|author| TEST_AUTHORS.contains(&author))
            || self.get("comment_author_email") == Some(TEST_ADDRESS)
    }

    /// The same comment has the same name, however often it is checked or reported.
    fn id(&self) -> Result<PostId, PostError> {
        let mut words = String::new();
        for name in ["permalink", "comment_author", "comment_author_email", "comment_content"] {
            let value = self.get(name).unwrap_or_default();
            // Clients add a slash to addresses, or take it away.
            words += value.trim_end_matches('/');
            words.push('\0');
        }
        // Letters for digits: a digest of digits alone could look like a card number.
        let letters = |c: char| c.to_digit(16).and_then(|digit| char::from_digit(digit + 10, 26)).unwrap_or(c);
        let digest: String = Digest::of(&words).hex().chars().take(24).map(letters).collect();
        PostId::parse(&format!("comment-{digest}"))
    }

    fn check(&self) -> Result<Checked, PostError> {
        let owned = |name: &str| self.get(name).map(str::to_owned);
        let submission = Submission {
            id: Some(self.id()?.to_string()),
            text: self.fields.get("comment_content").cloned().unwrap_or_default(),
            title: owned("comment_title"),
            lang: self
                .get("blog_lang")
                .and_then(|lang| lang.split(',').next())
                .map(|lang| lang.trim().replace('_', "-")),
            author: owned("comment_author_id"),
            author_name: owned("comment_author"),
            author_email: owned("comment_author_email"),
            author_url: owned("comment_author_url"),
            // An address that is none is the client's own business.
            author_ip: owned("user_ip").filter(|ip| ip.parse::<IpAddr>().is_ok()),
            author_since: None,
            url: owned("permalink"),
            kind: owned("comment_type").or_else(|| owned("content_type")),
            context: owned("comment_context"),
            user_agent: owned("user_agent"),
            referrer: owned("referrer").or_else(|| owned("referer")),
        };
        let mut checked = submission.check(Source::Akismet, &self.desk.policy, self.desk.posts.now())?;
        let honeypot = self.get("honeypot_field_name").and_then(|field| self.get(field));
        checked.honeypot = honeypot.is_some();
        Ok(checked)
    }

    async fn submit(&self) -> Result<Answer, PostError> {
        let checked = self.check()?;
        self.desk.posts.submit_checked(self.desk.tenant, &self.desk.name, checked).await
    }
}

/// The client's address; only for the record, so a missing one does not matter.
fn peer(request: &Request) -> IpAddr {
    let peer = request.extensions().get::<ConnectInfo<std::net::SocketAddr>>();
    peer.map_or(std::net::Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip())
}

async fn call(state: &WebState, request: Request) -> Result<Call, Box<Response>> {
    let address = peer(&request);
    let (parts, body) = request.into_parts();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = axum::body::to_bytes(body, 1 << 20).await;
    let mut body = body.map_err(|_| Box::new(invalid("the form is larger than 1 MB")))?;
    if !query.is_empty() {
        body = [&body, &b"&"[..], query.as_bytes()].concat().into();
    }
    let body: Bytes = body;
    Call::new(state, address, &parts.headers, &body)
}

pub(super) async fn verify_key(State(state): State<WebState>, request: Request) -> Response {
    match call(&state, request).await {
        Ok(_) => plain("valid"),
        Err(answer) => *answer,
    }
}

pub(super) async fn comment_check(State(state): State<WebState>, request: Request) -> Response {
    let call = match call(&state, request).await {
        Ok(call) => call,
        Err(answer) => return *answer,
    };
    if let Err(answer) = call.require(&["blog", "user_ip"]) {
        return *answer;
    }
    if call.is_test_spam() {
        return plain("true");
    }
    if call.get("is_test").is_some_and(|test| test != "0" && test != "false") {
        return checked_only(&call).await;
    }
    match call.submit().await {
        Ok(answer) => verdict(&answer),
        Err(error) => failed(&error),
    }
}

/// A test leaves nothing behind.
async fn checked_only(call: &Call) -> Response {
    if call.get("user_role") == Some("administrator") {
        return plain("false");
    }
    let scored = match call.check() {
        Ok(checked) => call.desk.posts.try_post(call.desk.tenant, checked).await,
        Err(error) => Err(error),
    };
    match scored {
        Ok(PostState::Published) => plain("false"),
        Ok(_) => plain("true"),
        Err(error) => failed(&error),
    }
}

fn verdict(answer: &Answer) -> Response {
    let post = &answer.post;
    let response = match post.state {
        PostState::Published | PostState::Approved if post.settles.is_none() => plain("false"),
        PostState::Spam if post.probability.is_some_and(|probability| probability > BLATANT) => {
            with_header(plain("true"), "x-akismet-pro-tip", "discard")
        }
        _ => plain("true"),
    };
    with_header(with_header(response, "x-akismet-guid", post.id.as_str()), "x-waxseal-state", post.state.name())
}

async fn report(state: WebState, request: Request, action: Action) -> Response {
    let call = match call(&state, request).await {
        Ok(call) => call,
        Err(answer) => return *answer,
    };
    if let Err(answer) = call.require(&["blog"]) {
        return *answer;
    }
    match told(&call, action).await {
        // Somebody decided in the queue: that stands, and the client need not know.
        Ok(()) | Err(PostError::Decided { .. }) => plain(THANKS),
        Err(error) => failed(&error),
    }
}

/// What was checked before is decided; what was not is taken in first.
async fn told(call: &Call, action: Action) -> Result<(), PostError> {
    if call.is_test_spam() || call.get("is_test").is_some_and(|test| test != "0" && test != "false") {
        return Ok(());
    }
    let answer = call.submit().await?;
    let asked = Asked::Posts(vec![(answer.post.id, None)]);
    call.desk.posts.decide(call.desk.of(), action, asked, &call.desk.by, None, None).await.map(|_| ())
}

pub(super) async fn submit_spam(State(state): State<WebState>, request: Request) -> Response {
    report(state, request, Action::Spam).await
}

pub(super) async fn submit_ham(State(state): State<WebState>, request: Request) -> Response {
    report(state, request, Action::Approve).await
}

pub(super) async fn usage_limit(State(state): State<WebState>, request: Request) -> Response {
    match call(&state, request).await {
        Ok(call) => {
            let usage = call.desk.posts.usage(call.desk.tenant);
            Json(json!({ "limit": "none", "usage": usage.calls, "percentage": 0, "throttled": false })).into_response()
        }
        Err(answer) => *answer,
    }
}

pub(super) async fn key_sites(State(state): State<WebState>, request: Request) -> Response {
    let call = match call(&state, request).await {
        Ok(call) => call,
        Err(answer) => return *answer,
    };
    let usage = call.desk.posts.usage(call.desk.tenant);
    let month: String = call.desk.posts.now().to_rfc3339().chars().take(7).collect();
    let month = call.get("month").map_or(month, str::to_owned);
    if call.get("format") == Some("csv") {
        let head = "Active sites for the key during the month\nSite,Total API Calls,Spam,Ham,Missed Spam,False Positives,Is Revoked";
        let row = format!(
            "{head}\n{},{},{},{},{},{},false\n",
            call.desk.name, usage.calls, usage.spam, usage.ham, usage.missed_spam, usage.false_positives
        );
        return ([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], row).into_response();
    }
    let site = json!({
        "site": call.desk.name,
        "api_calls": usage.calls.to_string(),
        "spam": usage.spam.to_string(),
        "ham": usage.ham.to_string(),
        "missed_spam": usage.missed_spam.to_string(),
        "false_positives": usage.false_positives.to_string(),
        "is_revoked": false,
    });
    let number = |name: &str, value: usize| call.get(name).and_then(|text| text.parse().ok()).unwrap_or(value);
    let (limit, offset) = (number("limit", 500), number("offset", 0));
    let sites: Vec<_> = [site].into_iter().skip(offset).take(limit).collect();
    let mut answer = json!({ "limit": limit, "offset": offset, "total": 1 });
    answer[month] = json!(sites);
    Json(answer).into_response()
}
