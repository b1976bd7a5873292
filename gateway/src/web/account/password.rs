//! Changing the password, and choosing the first one of one's own.

use askama::Template;
use axum::Extension;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{AccountWords, account_of, confirmed, person};
use crate::admin::Problem;
use crate::tenants::secret;
use crate::web::accounts::{Account, hash};
use crate::web::caller::MaybeCaller;
use crate::web::guard::{ClientAddress, HalfSignedIn};
use crate::web::login::{Shown, complete, wiped};
use crate::web::notify::{Matter, Notices};
use crate::web::page::{Layout, PageResult, show, show_as};
use crate::web::route::{Access, Route};
use crate::web::state::WebState;

pub(super) const ROUTES: &[Route] = &[
    Route::get("/account/password", Access::HalfSignedIn, || get(form)),
    Route::post("/account/password", Access::HalfSignedIn, || post(change)),
];

#[derive(Template)]
#[template(path = "password.html")]
struct PasswordPage {
    layout: Layout,
    words: &'static AccountWords,
    rules: &'static str,
    /// Must it be changed before anything else?
    due: bool,
    problem: Option<String>,
}

async fn form(State(state): State<WebState>, layout: Layout, half: Option<Extension<HalfSignedIn>>) -> PageResult {
    let rules = state.rooms.settings.password_rules.text(layout.language);
    show(&PasswordPage { words: AccountWords::of(layout.language), rules, due: half.is_some(), problem: None, layout })
}

#[derive(Deserialize)]
struct Typed {
    #[serde(deserialize_with = "wiped")]
    current: Zeroizing<String>,
    #[serde(deserialize_with = "wiped")]
    new: Zeroizing<String>,
    #[serde(deserialize_with = "wiped")]
    again: Zeroizing<String>,
}

async fn change(
    State(state): State<WebState>,
    layout: Layout,
    MaybeCaller(caller): MaybeCaller,
    half: Option<Extension<HalfSignedIn>>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Form(typed): Form<Typed>,
) -> PageResult {
    let half = half.map(|Extension(half)| half);
    let account = match (&caller, &half) {
        (Some(caller), _) => person(&state, caller)?.0,
        (None, Some(half)) => account_of(&state, &half.account)?,
        (None, None) => return Err(Problem::unauthorized("sign in first")),
    };
    if account.totp.is_some() && half.is_some() && !half.as_ref().is_some_and(|half| half.password_due) {
        return Err(Problem::forbidden("the code comes first"));
    }
    let words = AccountWords::of(layout.language);
    let problem = if !confirmed(&state, &account, typed.current, address).await? {
        Some(words.wrong_password.to_owned())
    } else if *typed.new != *typed.again {
        Some(words.not_repeated.to_owned())
    } else {
        weakness(&state, &account, &typed.new).await?.map(|weakness| weakness.text(layout.language))
    };
    if let Some(problem) = problem {
        let rules = state.rooms.settings.password_rules.text(layout.language);
        let page = PasswordPage { words, rules, due: half.is_some(), problem: Some(problem), layout };
        return show_as(StatusCode::UNPROCESSABLE_ENTITY, &page);
    }
    let account = set(&state, &account, typed.new).await?;
    if caller.is_some() {
        Notices::new(&state, &headers).tell(&account, Matter::OwnPassword, &account.email);
    }
    // Every other session ends, and this one gets a secret of its own.
    let shown = if account.totp.is_some() { Shown::PasswordAndCode } else { Shown::Password };
    complete(&state, &account, shown, &headers, address, "/account?changed", half).await
}

async fn weakness(
    state: &WebState,
    account: &Account,
    new: &Zeroizing<String>,
) -> Result<Option<crate::web::accounts::Weakness>, Problem> {
    let rules = state.rooms.settings.password_rules;
    if let Err(weakness) = rules.check(new, &account.email) {
        return Ok(Some(weakness));
    }
    let earlier: Vec<String> =
        account.earlier_passwords.iter().chain(&account.password).rev().take(rules.earlier()).cloned().collect();
    let new = new.clone();
    let used = state.rooms.processors.run(move || earlier.iter().any(|phc| secret::verify(&new, phc))).await;
    let used = used.ok_or_else(|| Problem::internal("hashing failed: try again"))?;
    Ok(used.then_some(crate::web::accounts::Weakness::Earlier))
}

async fn set(state: &WebState, account: &Account, new: Zeroizing<String>) -> Result<std::sync::Arc<Account>, Problem> {
    let (id, email, now) = (account.id.clone(), account.email.clone(), state.rooms.clock.now());
    let keep = state.rooms.settings.password_rules.earlier();
    let processors = state.rooms.processors.clone();
    let phc =
        processors.run(move || hash(&new)).await.ok_or_else(|| Problem::internal("hashing failed: try again"))??;
    state
        .accounts(move |accounts| {
            let account = accounts.change(&id, &email, |account| {
                account.earlier_passwords.extend(account.password.replace(phc));
                let over = account.earlier_passwords.len().saturating_sub(keep);
                account.earlier_passwords.drain(..over);
                account.password_set = Some(now);
                account.initial_until = None;
                Some("changed the password".to_owned())
            })?;
            accounts.end_sessions(&id, None, &email)?;
            Ok(account)
        })
        .await
}
