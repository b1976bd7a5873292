//! The table of routes: method, path, who may use it, what serves it. There is no other way onto the web listener,
//! and so nothing is served without a decision on who may have it; a test walks the table with every role and tenant.
//!
//! Paths are written as clients write them, verbs included: `/v1/messages/{id}:retry`. The router knows whole segments
//! only, so the verb becomes a segment of its own (`/v1/messages/{id}/@retry`) in the table and in each request.

use axum::extract::Request;
use axum::http::{Method, Uri};
use axum::routing::MethodRouter;
use axum::{Router, middleware};

use super::guard;
use super::role::Role;
use super::state::WebState;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody. A session that is there is recognised.
    Public,
    /// Anybody; the handler checks a key of its own, and cookies mean nothing there.
    OwnKey,
    /// A session that has shown its password only: the second step of the sign-in.
    HalfSignedIn,
    /// A person with a session, whatever the role; tokens are refused.
    Person,
    /// Persons and tokens with one of these roles.
    Roles(&'static [Role]),
}

/// Who sees.
pub const SEE: Access = Access::Roles(&[Role::Owner, Role::Admin, Role::Moderator, Role::Auditor]);
/// Who sees domains and the queue: moderators have nothing to do there.
pub const SEE_MAIL: Access = Access::Roles(&[Role::Owner, Role::Admin, Role::Auditor]);
/// Who changes domains, keys and the queue.
pub const CHANGE_MAIL: Access = Access::Roles(&[Role::Owner, Role::Admin]);
/// Who sees posts.
pub const SEE_POSTS: Access = Access::Roles(&[Role::Owner, Role::Admin, Role::Moderator, Role::Auditor]);
/// Who decides on posts.
pub const DECIDE_POSTS: Access = Access::Roles(&[Role::Owner, Role::Admin, Role::Moderator]);
/// Who reads the audit.
pub const SEE_AUDIT: Access = Access::Roles(&[Role::Owner, Role::Auditor]);
/// Who decides on people.
pub const OWN: Access = Access::Roles(&[Role::Owner]);

/// A row of the table.
#[derive(Clone)]
pub struct Route {
    /// The method. GET answers HEAD too.
    pub method: Method,
    /// The path, with `{parameters}` and `:verb`s.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
    /// The handler: a function, so that a table can be a constant. It must answer to `method` only.
    pub serve: fn() -> MethodRouter<WebState>,
}

impl Route {
    /// A row for GET.
    pub const fn get(path: &'static str, access: Access, serve: fn() -> MethodRouter<WebState>) -> Self {
        Self { method: Method::GET, path, access, serve }
    }

    /// A row for POST.
    pub const fn post(path: &'static str, access: Access, serve: fn() -> MethodRouter<WebState>) -> Self {
        Self { method: Method::POST, path, access, serve }
    }

    /// Is it a page for people, whose errors are pages too? Else it is for programs.
    pub fn is_page(&self) -> bool {
        is_page(self.path)
    }
}

pub(super) fn is_page(path: &str) -> bool {
    !(path.starts_with("/v1/")
        || path.starts_with("/1.1/")
        || path.starts_with("/1.2/")
        || path == "/healthz"
        || path == "/readyz")
}

/// The router of the whole table, each route behind its guard.
pub(super) fn router(state: &WebState, table: &[Route]) -> Router<WebState> {
    table.iter().fold(Router::new(), |router, route| {
        let guard = middleware::from_fn_with_state((state.clone(), route.access), guard::guard);
        router.route(&with_verb_as_segment(route.path), (route.serve)().route_layer(guard))
    })
}

/// `/v1/messages/{id}:retry` → `/v1/messages/{id}/@retry`.
fn with_verb_as_segment(path: &str) -> String {
    match path.rsplit_once(':') {
        Some((thing, verb)) if is_verb(verb) => format!("{thing}/@{verb}"),
        _ => path.to_owned(),
    }
}

fn is_verb(text: &str) -> bool {
    (1..=24).contains(&text.len()) && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-')
}

/// Does to a request what [`with_verb_as_segment`] does to the table. Only where a verb can stand: on POST under `/v1`.
pub(super) async fn split_verb(mut request: Request) -> Request {
    let path = request.uri().path();
    if request.method() == Method::POST && path.starts_with("/v1/") {
        let split = with_verb_as_segment(path);
        if split != path {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            if let Ok(uri) = format!("{split}{query}").parse::<Uri>() {
                *request.uri_mut() = uri;
            }
        }
    }
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_verb_becomes_a_segment_in_the_table_and_in_the_request() {
        for (path, expected) in [
            ("/v1/messages/01J:retry?dry_run=1", "/v1/messages/01J/@retry?dry_run=1"),
            ("/v1/posts:bulk", "/v1/posts/@bulk"),
            ("/v1/authors/user:42:ban", "/v1/authors/user:42/@ban"),
            ("/v1/authors/user:42", "/v1/authors/user:42"),
            ("/moderation/a:b", "/moderation/a:b"),
        ] {
            let request = Request::post(path).body(axum::body::Body::empty()).unwrap();
            assert_eq!(split_verb(request).await.uri().to_string(), expected);
        }
        assert_eq!(
            with_verb_as_segment("/v1/domains/{domain}/keys/{selector}:activate"),
            "/v1/domains/{domain}/keys/{selector}/@activate"
        );
    }
}
