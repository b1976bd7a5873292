//! Setting the second factor up and taking it away.

use std::collections::HashMap;
use std::time::Duration;

use askama::Template;
use askama::filters::Safe;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use parking_lot::Mutex;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{AccountWords, confirmed, done, person};
use crate::admin::Problem;
use crate::clock::Timestamp;
use crate::web::accounts::{Account, Accounts, SecondFactor, SessionKey};
use crate::web::caller::Caller;
use crate::web::login::wiped;
use crate::web::notify::{Matter, Notices};
use crate::web::page::{Layout, PageResult, show, show_as};
use crate::web::route::{Access, Route};
use crate::web::second_factor::{self, picture, recovery_codes, step_of, typed_form};
use crate::web::state::WebState;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/account/totp", Access::Person, || get(form)),
    Route::post("/account/totp", Access::Person, || post(turn_on)),
    Route::post("/account/totp/off", Access::Person, || post(turn_off)),
    Route::post("/account/recovery", Access::Person, || post(new_codes)),
];

const SET_UP_WITHIN: Duration = Duration::from_mins(30);

/// Secrets that were shown and not confirmed yet, by session. Only in memory: one that is never confirmed is nobody's.
#[derive(Default)]
pub struct PendingFactors(Mutex<HashMap<SessionKey, (Vec<u8>, Timestamp)>>);

impl PendingFactors {
    fn put(&self, session: SessionKey, secret: Vec<u8>, now: Timestamp) {
        let mut pending = self.0.lock();
        pending.retain(|_, (_, shown)| now.since(*shown) < SET_UP_WITHIN);
        pending.insert(session, (secret, now));
    }

    fn get(&self, session: &SessionKey, now: Timestamp) -> Option<Vec<u8>> {
        let pending = self.0.lock();
        pending.get(session).filter(|(_, shown)| now.since(*shown) < SET_UP_WITHIN).map(|(secret, _)| secret.clone())
    }
}

#[derive(Template)]
#[template(path = "factor.html")]
struct FactorPage {
    layout: Layout,
    words: &'static AccountWords,
    picture: Option<Safe<String>>,
    key: String,
    has_password: bool,
    problem: Option<&'static str>,
}

#[derive(Template)]
#[template(path = "recovery.html")]
struct CodesPage {
    layout: Layout,
    words: &'static AccountWords,
    codes: Vec<Zeroizing<String>>,
}

#[derive(Deserialize)]
struct Typed {
    #[serde(default)]
    code: String,
    #[serde(default, deserialize_with = "wiped")]
    password: Zeroizing<String>,
}

fn page(
    state: &WebState,
    layout: Layout,
    secret: &[u8],
    email: &str,
    has_password: bool,
    problem: Option<&'static str>,
) -> FactorPage {
    let host = state.site.public_url.as_deref().and_then(|url| url.split("://").nth(1)).unwrap_or("localhost");
    let uri = second_factor::uri(secret, host, email);
    FactorPage {
        words: AccountWords::of(layout.language),
        picture: picture(&uri),
        key: typed_form(secret),
        has_password,
        problem,
        layout,
    }
}

async fn form(State(state): State<WebState>, layout: Layout, caller: Caller) -> PageResult {
    let (account, session) = person(&state, &caller)?;
    if account.totp.is_some() {
        return Ok(done("/account"));
    }
    let now = state.rooms.clock.now();
    // The same until it is confirmed or too old: a reload must not make the picture that was read worthless.
    let secret = match state.rooms.pending_factors.get(&session, now) {
        Some(secret) => secret,
        None => second_factor::new_secret().map_err(|error| Problem::internal(error.to_string()))?,
    };
    state.rooms.pending_factors.put(session, secret.clone(), now);
    show(&page(&state, layout, &secret, &account.email, account.password.is_some(), None))
}

async fn turn_on(
    State(state): State<WebState>,
    layout: Layout,
    caller: Caller,
    Form(typed): Form<Typed>,
) -> PageResult {
    let (account, session) = person(&state, &caller)?;
    let now = state.rooms.clock.now();
    let words = AccountWords::of(layout.language);
    let Some(secret) = state.rooms.pending_factors.get(&session, now) else { return Ok(done("/account/totp")) };
    let fresh = SecondFactor { secret: secret.clone(), last_step: 0 };
    let problem = if !confirmed(&state, &account, typed.password, caller.address).await? {
        Some(words.wrong_password)
    } else if step_of(&fresh, &typed.code, now).is_none() {
        Some(words.wrong_code)
    } else {
        None
    };
    if let Some(problem) = problem {
        let page = page(&state, layout, &secret, &account.email, account.password.is_some(), Some(problem));
        return show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let last_step = step_of(&fresh, &typed.code, now).unwrap_or_default();
    let (codes, recovery) = recovery_codes().map_err(|error| Problem::internal(error.to_string()))?;
    let (id, by) = (account.id.clone(), caller.by());
    let set = move |accounts: &Accounts| {
        accounts.change(&id, &by, |account| {
            account.totp = Some(SecondFactor { secret, last_step });
            account.recovery = recovery;
            Some("turned the second factor on".to_owned())
        })?;
        accounts.end_sessions(&id, Some(session), &by)
    };
    state.accounts(set).await?;
    show(&CodesPage { layout, words, codes })
}

/// The account of a person who has typed the password once more and has a second factor.
async fn sure(
    state: &WebState,
    caller: &Caller,
    password: Zeroizing<String>,
    words: &AccountWords,
) -> Result<std::sync::Arc<Account>, Problem> {
    let (account, _) = person(state, caller)?;
    if account.totp.is_none() || !confirmed(state, &account, password, caller.address).await? {
        return Err(Problem::forbidden(words.wrong_password));
    }
    Ok(account)
}

async fn turn_off(
    State(state): State<WebState>,
    layout: Layout,
    caller: Caller,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> PageResult {
    let account = sure(&state, &caller, typed.password, AccountWords::of(layout.language)).await?;
    let (id, by) = (account.id.clone(), caller.by());
    let clear = move |accounts: &Accounts| {
        accounts.change(&id, &by, |account| {
            account.totp = None;
            account.recovery.clear();
            Some("turned the second factor off".to_owned())
        })
    };
    state.accounts(clear).await?;
    Notices::new(&state, &headers).tell(&account, Matter::OwnFactorOff, &account.email);
    Ok(done("/account"))
}

async fn new_codes(
    State(state): State<WebState>,
    layout: Layout,
    caller: Caller,
    Form(typed): Form<Typed>,
) -> PageResult {
    let words = AccountWords::of(layout.language);
    let account = sure(&state, &caller, typed.password, words).await?;
    let (codes, recovery) = recovery_codes().map_err(|error| Problem::internal(error.to_string()))?;
    let (id, by) = (account.id.clone(), caller.by());
    let renew = move |accounts: &Accounts| {
        accounts.change(&id, &by, |account| {
            account.recovery = recovery;
            Some("made new recovery codes".to_owned())
        })
    };
    state.accounts(renew).await?;
    show(&CodesPage { layout, words, codes })
}
