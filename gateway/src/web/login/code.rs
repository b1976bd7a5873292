//! The second step of a sign-in: a code of the authenticator, or a recovery code.

use askama::Template;
use axum::Extension;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::routing::{get, post};
use serde::Deserialize;

use super::{LoginWords, Next, Shown, complete};
use crate::admin::Problem;
use crate::observe::{Event, emit};
use crate::web::accounts::Digest;
use crate::web::guard::{ClientAddress, HalfSignedIn};
use crate::web::language::fill;
use crate::web::login::throttle::Attempt;
use crate::web::page::{Layout, PageResult, see_other, show, show_as};
use crate::web::route::{Access, Route};
use crate::web::second_factor;
use crate::web::site::local_path;
use crate::web::state::WebState;

pub(in crate::web) const ROUTES: &[Route] = &[
    Route::get("/login/code", Access::HalfSignedIn, || get(form)),
    Route::post("/login/code", Access::HalfSignedIn, || post(check)),
];

#[derive(Template)]
#[template(path = "login_code.html")]
struct CodePage {
    layout: Layout,
    words: &'static LoginWords,
    next: String,
    problem: Option<String>,
}

async fn form(layout: Layout, half: Option<Extension<HalfSignedIn>>, Query(query): Query<Next>) -> PageResult {
    let next = local_path(query.next.as_deref());
    if half.is_none() {
        return Ok(see_other(&next));
    }
    show(&CodePage { words: LoginWords::of(layout.language), layout, next, problem: None })
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Typed {
    code: String,
    next: Option<String>,
}

async fn check(
    State(state): State<WebState>,
    layout: Layout,
    half: Option<Extension<HalfSignedIn>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> PageResult {
    let next = local_path(typed.next.as_deref());
    let Some(Extension(half)) = half else { return Ok(see_other(&next)) };
    let words = LoginWords::of(layout.language);
    let gone = || Problem::unauthorized("this sign-in is over: begin again");
    let account = state.rooms.accounts.account(&half.account).ok_or_else(gone)?;
    // Codes have few digits: their count is one of their own, and no known browser is free of it.
    let attempt = Attempt { source: address, account: Digest::of(&format!("code of {}", account.id)), device: None };
    let now = state.rooms.clock.now();
    if let Some(wait) = state.rooms.throttle.try_now(&attempt, now) {
        let seconds = wait.as_secs() + 1;
        let page = CodePage { layout, words, next, problem: Some(fill(words.wait, &[&seconds])) };
        let mut response = show_as(StatusCode::TOO_MANY_REQUESTS, &page)?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    let (id, email) = (account.id.clone(), account.email.clone());
    let spent = state.accounts(move |accounts| {
        let mut spent = false;
        let account = accounts.change(&id, &email, |account| {
            let left = account.recovery.len();
            spent = second_factor::spend(account, &typed.code, now);
            (account.recovery.len() < left).then(|| "used a recovery code".to_owned())
        })?;
        Ok(spent.then_some(account))
    });
    let Some(account) = spent.await? else {
        emit(&Event::AuthnFailure { user: account.email.clone(), client: address, reason: "wrong code" });
        let page = CodePage { layout, words, next, problem: Some(words.wrong_code.to_owned()) };
        return show_as(StatusCode::UNAUTHORIZED, &page);
    };
    state.rooms.throttle.succeeded(&attempt);
    complete(&state, &account, Shown::PasswordAndCode, &headers, address, &next, Some(half)).await
}
