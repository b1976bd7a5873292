//! What every page has around its content: language, navigation, who is signed in; and how a page or an error becomes
//! an answer.
//!
//! A page is an askama template that extends `layout.html` and has a field `layout: Layout`.

use askama::Template;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Response};

use super::assets::asset;
use super::caller::{Caller, Who};
use super::language::Language;
use super::role::{Reach, Role};
use super::route::is_page;
use super::said::Said;
use super::state::WebState;
use super::words::Words;
use crate::admin::Problem;
use crate::clock::Timestamp;

/// An entry of the navigation.
pub struct NavigationItem {
    /// Where it leads.
    pub path: &'static str,
    /// Its text.
    pub text: &'static str,
    /// Is the page below it?
    pub current: bool,
}

/// What a page has around its content. An extractor: take it as an argument.
pub struct Layout {
    /// The language.
    pub language: Language,
    /// The common texts.
    pub words: &'static Words,
    /// Who is signed in.
    pub email: Option<String>,
    /// The entries that the caller's roles admit.
    pub navigation: Vec<NavigationItem>,
    /// Is the caller an owner anywhere?
    pub owner: bool,
    /// The path and query of this page, for the language switch.
    pub here: String,
}

impl Layout {
    /// The layout for a request with these headers and path.
    pub fn new(caller: Option<&Caller>, language: Language, here: &str) -> Self {
        let words = Words::of(language);
        let email = caller.and_then(|caller| match &caller.who {
            Who::Person { email, .. } => Some(email.clone()),
            Who::Token { .. } => None,
        });
        let navigation = caller.map(|caller| navigation(caller, words, here)).unwrap_or_default();
        let owner = caller.is_some_and(|caller| caller.has_any(&[Role::Owner]));
        Self { language, words, email, navigation, owner, here: here.to_owned() }
    }

    /// The address of an asset.
    pub fn asset(&self, name: &str) -> &'static str {
        asset(name)
    }

    /// A moment for a `time` element: RFC 3339, and the text.
    pub fn moment(&self, at: Timestamp) -> (String, String) {
        moment(at, self.language)
    }

    /// The other language, for the switch.
    pub fn other(&self) -> Language {
        self.language.pick(Language::Ja, Language::En)
    }
}

/// A moment in RFC 3339 and as a person of this language reads it, in UTC; a script shows the reader's own zone.
pub fn moment(at: Timestamp, language: Language) -> (String, String) {
    let format = language.pick("%-d %b %Y, %H:%M UTC", "%Y年%-m月%-d日 %H:%M UTC");
    (at.to_rfc3339(), at.written(format))
}

fn navigation(caller: &Caller, words: &'static Words, here: &str) -> Vec<NavigationItem> {
    use Role::{Admin, Auditor, Moderator, Owner};
    let entries: [(&'static str, &'static str, &[Role]); 6] = [
        ("/", words.overview, &Role::ALL),
        ("/domains", words.domains, &[Owner, Admin, Auditor]),
        ("/queue", words.queue, &[Owner, Admin, Auditor]),
        ("/moderation", words.moderation, &[Owner, Admin, Moderator, Auditor]),
        ("/people", words.people, &[Owner, Admin]),
        ("/audit", words.audit, &[Owner, Auditor]),
    ];
    let everywhere = |roles| Reach::of(&caller.grants, roles) == Some(Reach::Everything);
    let below = |path: &str| match path {
        "/" => here == "/",
        // Its tabs have paths of their own.
        "/people" => ["/people", "/tokens", "/networks"].iter().any(|tab| here.starts_with(tab)),
        path => here.starts_with(path),
    };
    let admitted = entries
        .into_iter()
        .filter(|(path, _, roles)| if *path == "/audit" { everywhere(roles) } else { caller.has_any(roles) });
    admitted.map(|(path, text, _)| NavigationItem { path, text, current: below(path) }).collect()
}

impl<S: Send + Sync> FromRequestParts<S> for Layout {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let here = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self::new(parts.extensions.get::<Caller>(), Language::of(&parts.headers), here))
    }
}

/// The answer of a page's handler.
pub type PageResult = Result<Response, Problem>;

/// Writes a page.
pub fn show(page: &impl Template) -> PageResult {
    show_as(StatusCode::OK, page)
}

/// Writes a page with a status of its own.
pub fn show_as(status: StatusCode, page: &impl Template) -> PageResult {
    let text = page.render().map_err(|error| Problem::internal(format!("page: {error}")))?;
    Ok((status, Html(text)).into_response())
}

/// Leads a browser on after a form: 303, so that a reload does not send the form again.
pub fn see_other(path: &str) -> Response {
    // A path of ours is ASCII; anything else could only come from a mistake here.
    let location = HeaderValue::from_str(path).unwrap_or_else(|_| HeaderValue::from_static("/"));
    (StatusCode::SEE_OTHER, [(header::LOCATION, location)]).into_response()
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    layout: Layout,
    title: String,
    detail: Said,
}

/// What the router and its extractors refuse by themselves (a query or form that cannot be read, a method that a route
/// does not take) is a problem like any other.
async fn with_problem(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let bare = kind.is_empty() || kind.starts_with("text/plain");
    if !status.is_client_error() || !bare || response.extensions().get::<Problem>().is_some() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = axum::body::to_bytes(body, 4096).await.unwrap_or_default();
    let title = status.canonical_reason().unwrap_or("Problem").to_owned();
    let detail = match String::from_utf8_lossy(&text).trim() {
        "" if status == StatusCode::METHOD_NOT_ALLOWED => "this path does not take this method".to_owned(),
        "" => title.to_lowercase(),
        text => text.to_owned(),
    };
    let mut problem = Problem { status: status.as_u16(), title, detail }.into_response();
    for (name, value) in &parts.headers {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}

/// A page's script shows a problem of the API to a person: it speaks the page's language.
fn in_the_pages_language(response: Response, language: Language) -> Response {
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    let detail = super::said::problem(&problem.detail, language);
    if detail.text == problem.detail {
        return response;
    }
    let mut said = Problem { detail: detail.text, ..problem.clone() }.into_response();
    for (name, value) in response.headers() {
        if ![header::CONTENT_TYPE, header::CONTENT_LENGTH].contains(name) {
            said.headers_mut().insert(name, value.clone());
        }
    }
    said
}

/// Makes a page of the problem that a page's handler answered with.
pub(super) async fn problems_as_pages(State(_): State<WebState>, request: Request, next: Next) -> Response {
    let language = Language::of(request.headers());
    if !is_page(request.uri().path()) {
        let headers = request.headers();
        let for_a_page = headers.contains_key("sec-fetch-site") && !headers.contains_key(header::AUTHORIZATION);
        let response = with_problem(next.run(request).await).await;
        return if for_a_page { in_the_pages_language(response, language) } else { response };
    }
    let here = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let response = with_problem(next.run(request).await).await;
    let Some(problem) = response.extensions().get::<Problem>() else { return response };
    let caller = response.extensions().get::<Caller>();
    let words = Words::of(language);
    let title = match problem.status {
        403 => words.forbidden.to_owned(),
        404 => words.not_found.to_owned(),
        _ => super::said::title(&problem.title, language),
    };
    let detail = super::said::problem(&problem.detail, language);
    let page = ProblemPage { layout: Layout::new(caller, language, &here), title, detail };
    let status = response.status();
    show_as(status, &page).unwrap_or(response)
}
