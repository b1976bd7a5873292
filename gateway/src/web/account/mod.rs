//! `/account`: a person's own sessions, password and second factor.
//!
//! What changes how one signs in asks for the password again (ASVS 5.0 §7.5.1): a browser left open must not be enough
//! to take an account over.

mod factor;
mod password;

use askama::Template;
use axum::extract::{Form, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::accounts::{Account, AccountId, Session, SessionKey};
use super::caller::{Caller, Who};
use super::page::{Layout, PageResult, see_other, show};
use super::route::{Access, Route};
use super::state::WebState;
use crate::admin::Problem;
use crate::tenants::secret;
use crate::words;

pub use factor::PendingFactors;

const OWN_ROUTES: &[Route] = &[
    Route::get("/account", Access::Person, || get(page)),
    Route::post("/account/sessions", Access::Person, || post(end)),
];

pub(super) fn routes() -> Vec<Route> {
    [OWN_ROUTES, password::ROUTES, factor::ROUTES].concat()
}

words! {
    /// Texts of the account page.
    AccountWords {
        title: "Your account" | "アカウント",
        roles: "Roles" | "権限",
        sessions: "Where you are signed in" | "ログイン中の端末",
        device: "Browser" | "ブラウザー",
        place: "From" | "接続元",
        method: "Signed in by" | "ログイン方法",
        began: "Since" | "開始",
        seen: "Last used" | "最終利用",
        this_one: "this browser" | "このブラウザー",
        end: "Sign out" | "ログアウトさせる",
        end_others: "Sign out everywhere else" | "ほかの端末をすべてログアウト",
        password: "Password" | "パスワード",
        change_password: "Change password" | "パスワードを変更",
        set_on: "Set on" | "設定日",
        no_password: "You sign in by single sign-on; there is no password here." | "シングルサインオンでログインしているため、パスワードはありません。",
        current_password: "Current password" | "現在のパスワード",
        new_password: "New password" | "新しいパスワード",
        repeat_password: "New password again" | "新しいパスワード(確認)",
        wrong_password: "The current password is wrong." | "現在のパスワードが正しくありません。",
        not_repeated: "The two new passwords differ." | "新しいパスワードが一致しません。",
        password_due: "Choose a password of your own to go on." | "続けるには、ご自身のパスワードを設定してください。",
        password_changed: "The password is changed, and every other browser is signed out." | "パスワードを変更し、ほかの端末をすべてログアウトしました。",
        factor: "Second factor" | "二段階認証",
        factor_on: "On: each sign-in asks for a code." | "有効: ログインのたびにコードを入力します。",
        factor_off: "Off: your password alone opens this account." | "無効: パスワードだけでログインできます。",
        codes_left: "Recovery codes left: {}" | "残りの回復コード: {}",
        set_up: "Set up" | "設定する",
        turn_off: "Turn off" | "無効にする",
        new_codes: "New recovery codes" | "回復コードを再発行",
        scan: "Read this picture with an authenticator app, or type the key into it." | "認証アプリでこの画像を読み取るか、キーを入力してください。",
        key: "Key" | "キー",
        code: "Code that the app shows" | "アプリに表示されたコード",
        turn_on: "Turn on" | "有効にする",
        wrong_code: "This code does not fit. Check the clock of the device, and type the present code." | "コードが一致しません。端末の時刻を確認し、現在のコードを入力してください。",
        codes_title: "Recovery codes" | "回復コード",
        codes_text: "Each opens your account once when the authenticator is lost. Keep them where the authenticator is not; they are shown this once." | "認証アプリを失ったとき、1つにつき1回だけログインできます。認証アプリとは別の場所に保管してください。再表示はできません。",
        done: "I have kept them" | "保管しました",
        started_over: "This set-up took too long. Begin again." | "設定の有効期限が切れました。最初からやり直してください。",
    }
}

/// A session as a row.
struct SessionRow {
    id: String,
    session: Session,
    began: (String, String),
    seen: (String, String),
    current: bool,
}

#[derive(Template)]
#[template(path = "account.html")]
struct AccountPage {
    layout: Layout,
    words: &'static AccountWords,
    email: String,
    roles: Vec<(&'static str, String)>,
    sessions: Vec<SessionRow>,
    password_set: Option<(String, String)>,
    has_password: bool,
    factor: bool,
    codes_left: String,
    changed: bool,
}

/// The person's account and session; the guard has let only persons through.
fn person(state: &WebState, caller: &Caller) -> Result<(std::sync::Arc<Account>, SessionKey), Problem> {
    match &caller.who {
        Who::Person { id, session, .. } => {
            let account = state.rooms.accounts.account(id).ok_or_else(|| Problem::not_found("this account is gone"))?;
            Ok((account, *session))
        }
        Who::Token { .. } => Err(Problem::forbidden("this is for persons")),
    }
}

async fn page(State(state): State<WebState>, layout: Layout, caller: Caller, uri: axum::http::Uri) -> PageResult {
    let (account, current) = person(&state, &caller)?;
    let directory = state.directory();
    let role = |grant: &super::role::Grant| {
        let place = match grant.tenant {
            None => layout.words.all_tenants.to_owned(),
            Some(tenant) => directory.tenant_name(tenant).unwrap_or_default().to_owned(),
        };
        (layout.words.role(grant.role), place)
    };
    let row = |(key, session): (SessionKey, Session)| SessionRow {
        id: key.short(),
        began: layout.moment(session.created),
        seen: layout.moment(session.seen),
        session,
        current: key == current,
    };
    let words = AccountWords::of(layout.language);
    show(&AccountPage {
        words,
        email: account.email.clone(),
        roles: account.grants.iter().map(role).collect(),
        sessions: state.rooms.accounts.sessions_of(&account.id).into_iter().map(row).collect(),
        password_set: account.password_set.map(|at| super::page::moment(at, layout.language)),
        has_password: account.password.is_some(),
        factor: account.totp.is_some(),
        codes_left: super::language::fill(words.codes_left, &[&account.recovery.len()]),
        changed: uri.query() == Some("changed"),
        layout,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ending {
    /// A session's short id; empty: all but this one.
    session: String,
}

async fn end(State(state): State<WebState>, caller: Caller, Form(ending): Form<Ending>) -> PageResult {
    let (account, current) = person(&state, &caller)?;
    let by = caller.by();
    let id = account.id.clone();
    if ending.session.is_empty() {
        state.accounts(move |accounts| accounts.end_sessions(&id, Some(current), &by).map(drop)).await?;
        return Ok(see_other("/account"));
    }
    let sessions = state.rooms.accounts.sessions_of(&id);
    let found = sessions.into_iter().map(|(key, _)| key).find(|key| key.short() == ending.session);
    let key = found.ok_or_else(|| Problem::not_found("there is no such session: it has ended already"))?;
    state.accounts(move |accounts| accounts.end_session(&id, &key, &by)).await?;
    Ok(see_other("/account"))
}

/// Is this the person's password? Where there is none (single sign-on), nothing is asked. Tries are slowed down like
/// those at the door.
async fn confirmed(
    state: &WebState,
    account: &Account,
    typed: Zeroizing<String>,
    from: std::net::IpAddr,
) -> Result<bool, Problem> {
    let Some(phc) = account.password.clone() else { return Ok(true) };
    let subject = super::accounts::Digest::of(&format!("password of {}", account.id));
    let attempt = super::login::throttle::Attempt { source: from, account: subject, device: None };
    if let Some(wait) = state.rooms.throttle.try_now(&attempt, state.rooms.clock.now()) {
        return Err(Problem::too_many(format!("too many tries: wait {} seconds", wait.as_secs() + 1)));
    }
    let verified = state.rooms.processors.run(move || secret::verify(&typed, &phc)).await;
    let right = verified.ok_or_else(|| Problem::internal("hashing failed: try again"))?;
    if right {
        state.rooms.throttle.succeeded(&attempt);
    }
    Ok(right)
}

/// The account of a half or whole sign-in.
fn account_of(state: &WebState, id: &AccountId) -> Result<std::sync::Arc<Account>, Problem> {
    state.rooms.accounts.account(id).ok_or_else(|| Problem::not_found("this account is gone"))
}

fn done(path: &str) -> Response {
    see_other(path)
}
