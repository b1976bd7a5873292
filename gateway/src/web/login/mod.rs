//! The sign-in: password, then the second factor where there is one, then a session with a secret of its own.
//!
//! Promises: an address that nobody has costs the same time and gives the same answer as a wrong password; a session's
//! secret is new after every step; a sign-in leads to a path of ours and nowhere else. Follows ASVS 5.0 §6 and §7,
//! NIST SP 800-63B-4.

mod code;
pub mod throttle;

use std::sync::LazyLock;

use askama::Template;
use axum::Extension;
use axum::extract::{Form, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::accounts::{Account, Digest, NewSession, Stage};
use super::caller::{MaybeCaller, Who};
use super::guard::{ClientAddress, HalfSignedIn};
use super::language::{LANGUAGE_COOKIE, Language, fill};
use super::page::{Layout, PageResult, see_other, show, show_as};
use super::route::{Access, Route};
use super::site::local_path;
use super::state::WebState;
use super::{cookie, device};
use crate::admin::Problem;
use crate::observe::{Event, emit};
use crate::tenants::secret;
use crate::words;
use throttle::Attempt;

pub(super) fn routes() -> Vec<Route> {
    [ROUTES, code::ROUTES].concat()
}

const ROUTES: &[Route] = &[
    Route::get("/login", Access::Public, || get(form)),
    Route::post("/login", Access::Public, || post(sign_in)),
    Route::post("/logout", Access::HalfSignedIn, || post(sign_out)),
    Route::post("/language", Access::Public, || post(language)),
];

words! {
    /// Texts of the sign-in.
    LoginWords {
        email: "E-mail address" | "メールアドレス",
        password: "Password" | "パスワード",
        wrong: "Address or password is wrong." | "メールアドレスまたはパスワードが正しくありません。",
        initial_over: "This first password has expired. Ask an owner for a new one." | "初期パスワードの有効期限が切れています。オーナーに再発行を依頼してください。",
        wait: "Too many tries. Wait {} seconds, then try again." | "試行回数が多すぎます。{}秒待ってから、もう一度お試しください。",
        or: "or" | "または",
        sign_in_with: "Sign in with" | "次でログイン:",
        code_title: "Second factor" | "二段階認証",
        code: "Code" | "コード",
        code_hint: "The six digits that your authenticator shows, or one of your recovery codes." | "認証アプリに表示された6桁の数字、または回復コードを入力してください。",
        wrong_code: "This code does not fit, or was used already." | "コードが一致しないか、すでに使用されています。",
        forgot: "Forgotten the password? An owner can give you a new one: waxseal user reset-password." | "パスワードを忘れた場合は、オーナーに再発行を依頼してください(waxseal user reset-password)。",
    }
}

/// How long a browser is known again: a year.
const DEVICE_LIVES: u64 = 365 * 86_400;

#[derive(Template)]
#[template(path = "login.html")]
struct LoginPage {
    layout: Layout,
    words: &'static LoginWords,
    next: String,
    email: String,
    problem: Option<String>,
    provider: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Next {
    next: Option<String>,
}

async fn form(
    State(state): State<WebState>,
    layout: Layout,
    MaybeCaller(caller): MaybeCaller,
    Query(query): Query<Next>,
) -> PageResult {
    let next = local_path(query.next.as_deref());
    if caller.is_some() {
        return Ok(see_other(&next));
    }
    show(&LoginPage {
        words: LoginWords::of(layout.language),
        layout,
        next,
        email: String::new(),
        problem: None,
        provider: state.rooms.provider.as_ref().map(|one| one.name().to_owned()),
    })
}

#[derive(Deserialize)]
struct Credentials {
    #[serde(default)]
    email: String,
    #[serde(default, deserialize_with = "wiped")]
    password: Zeroizing<String>,
    next: Option<String>,
}

/// A secret field of a form: wiped when dropped.
pub(super) fn wiped<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

/// A PHC string that no password belongs to; verifying against it costs what verifying a real one costs.
static DECOY: LazyLock<String> = LazyLock::new(|| {
    let nobodys = secret::generate().map(|secret| secret.to_string()).unwrap_or_default();
    secret::hash_password(&nobodys).unwrap_or_default()
});

#[cfg(test)]
pub(super) fn decoy() -> &'static str {
    &DECOY
}

enum Refused {
    Wrong,
    InitialOver,
}

async fn sign_in(
    State(state): State<WebState>,
    layout: Layout,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(typed): Form<Credentials>,
) -> PageResult {
    let next = local_path(typed.next.as_deref());
    let words = LoginWords::of(layout.language);
    let email = typed.email.trim().to_owned();
    let account = state.rooms.accounts.by_email(&email);
    let device = account.as_ref().and_then(|account| known_device(&state, account, &headers));
    let known = account.as_ref().map(|account| account.email.clone());
    let attempt = Attempt { source: address, account: Digest::of(&email.to_lowercase()), device };
    let again = |problem: String| LoginPage {
        layout,
        words,
        next: next.clone(),
        email: email.clone(),
        problem: Some(problem),
        provider: state.rooms.provider.as_ref().map(|one| one.name().to_owned()),
    };
    if let Some(wait) = state.rooms.throttle.try_now(&attempt, state.rooms.clock.now()) {
        let seconds = wait.as_secs() + 1;
        emit(&failure(known, address, "too many tries"));
        let mut response = show_as(StatusCode::TOO_MANY_REQUESTS, &again(fill(words.wait, &[&seconds])))?;
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        return Ok(response);
    }
    match check_password(&state, account, typed.password).await? {
        Ok(account) => {
            state.rooms.throttle.succeeded(&attempt);
            complete(&state, &account, Shown::Password, &headers, address, &next, None).await
        }
        Err(refused) => {
            emit(&failure(known, address, "wrong password"));
            let text = match refused {
                Refused::Wrong => words.wrong,
                Refused::InitialOver => words.initial_over,
            };
            show_as(StatusCode::UNAUTHORIZED, &again(text.to_owned()))
        }
    }
}

/// What was typed as an address that nobody has may be a password or a card number: it is not noted.
fn failure(known: Option<String>, client: std::net::IpAddr, reason: &'static str) -> Event {
    Event::AuthnFailure { user: known.unwrap_or_else(|| "unknown".to_owned()), client, reason }
}

async fn check_password(
    state: &WebState,
    account: Option<std::sync::Arc<Account>>,
    password: Zeroizing<String>,
) -> Result<Result<std::sync::Arc<Account>, Refused>, Problem> {
    let now = state.rooms.clock.now();
    let verified = state.rooms.processors.run(move || {
        let phc = account.as_ref().and_then(|account| account.password.as_deref());
        let right = secret::verify(&password, phc.unwrap_or(&DECOY));
        account.filter(|account| right && account.password.is_some() && account.disabled.is_none())
    });
    let verified = verified.await.ok_or_else(|| Problem::internal("hashing failed: try again"))?;
    Ok(match verified {
        None => Err(Refused::Wrong),
        Some(account) if account.initial_until.is_some_and(|end| end <= now) => Err(Refused::InitialOver),
        Some(account) => Ok(account),
    })
}

fn known_device(state: &WebState, account: &Account, headers: &HeaderMap) -> Option<Digest> {
    let cookie = cookie::read(headers, state.site.device_cookie())?;
    let digest = Digest::of(&cookie);
    account.devices.contains(&digest).then_some(digest)
}

/// What a person has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The password.
    Password,
    /// The password, and a code.
    PasswordAndCode,
    /// The identity provider's word; a second factor is its business.
    SingleSignOn,
}

impl Shown {
    fn name(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::PasswordAndCode => "password and code",
            Self::SingleSignOn => "single sign-on",
        }
    }
}

/// Goes one step on: to the second factor, to a new password, or in.
pub(super) async fn complete(
    state: &WebState,
    account: &Account,
    shown: Shown,
    headers: &HeaderMap,
    address: std::net::IpAddr,
    next: &str,
    half: Option<HalfSignedIn>,
) -> PageResult {
    let stage = match account {
        _ if shown == Shown::SingleSignOn => Stage::Complete,
        Account { totp: Some(_), .. } if shown == Shown::Password => Stage::SecondFactorDue,
        Account { initial_until: Some(_), .. } => Stage::PasswordDue,
        Account { password_set: Some(set), .. }
            if state
                .rooms
                .settings
                .password_lives()
                .is_some_and(|lives| state.rooms.clock.now().since(*set) >= lives) =>
        {
            Stage::PasswordDue
        }
        _ => Stage::Complete,
    };
    let old = cookie::read(headers, state.site.session_cookie()).map(|secret| Digest::of(&secret));
    let replaces = half.map(|half| half.session).or(old);
    let (id, method) = (account.id.clone(), shown.name());
    let browser = device::in_words(headers);
    let begun = move |accounts: &super::accounts::Accounts| {
        accounts.begin(NewSession { account: &id, stage, address, device: browser, method, replaces })
    };
    let secret = state.accounts(begun).await?;
    let mut response = match stage {
        Stage::SecondFactorDue => see_other(&format!("/login/code?next={}", crate::admin::client::segment(next))),
        Stage::PasswordDue => see_other("/account/password"),
        Stage::Complete => see_other(next),
    };
    let session = cookie::write(state.site.session_cookie(), &secret, None, state.site.secure);
    response.headers_mut().append(header::SET_COOKIE, session);
    if stage == Stage::Complete {
        emit(&Event::AuthnSuccess { user: account.email.clone(), client: address, method });
        if known_device(state, account, headers).is_none() {
            super::notify::new_device(state, account, headers, address, method);
            remember_device(state, account, &mut response).await?;
        }
    }
    Ok(response)
}

async fn remember_device(state: &WebState, account: &Account, response: &mut Response) -> Result<(), Problem> {
    let secret = secret::generate().map_err(|error| Problem::internal(error.to_string()))?;
    let digest = Digest::of(&secret);
    let (id, email) = (account.id.clone(), account.email.clone());
    let remember = move |accounts: &super::accounts::Accounts| {
        accounts.change(&id, &email, |account| {
            account.devices.push(digest);
            let over = account.devices.len().saturating_sub(20);
            account.devices.drain(..over);
            None
        })
    };
    state.accounts(remember).await?;
    let cookie = cookie::write(state.site.device_cookie(), &secret, Some(DEVICE_LIVES), state.site.secure);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(())
}

async fn sign_out(
    State(state): State<WebState>,
    MaybeCaller(caller): MaybeCaller,
    half: Option<Extension<HalfSignedIn>>,
) -> PageResult {
    let ending = match (&caller.map(|caller| caller.who), half) {
        (Some(Who::Person { id, email, session }), _) => Some((id.clone(), email.clone(), *session)),
        (_, Some(Extension(half))) => Some((half.account, "half a sign-in".to_owned(), half.session)),
        _ => None,
    };
    if let Some((id, by, session)) = ending {
        state.accounts(move |accounts| accounts.end_session(&id, &session, &by)).await?;
    }
    let mut response = see_other("/login");
    let gone = cookie::write(state.site.session_cookie(), "", Some(0), state.site.secure);
    response.headers_mut().append(header::SET_COOKIE, gone);
    // The back button must not show what the session saw.
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    Ok(response)
}

#[derive(Debug, Deserialize)]
struct Chosen {
    language: String,
    next: Option<String>,
}

async fn language(State(state): State<WebState>, Form(chosen): Form<Chosen>) -> Response {
    let mut response = see_other(&local_path(chosen.next.as_deref()));
    if let Some(language) = Language::from_code(&chosen.language) {
        let cookie = cookie::write(LANGUAGE_COOKIE, language.code(), Some(DEVICE_LIVES), state.site.secure);
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    response
}
