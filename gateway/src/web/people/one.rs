//! `/people/{email}`: one person, and what can be done about one.

use askama::Template;
use axum::extract::{Form, Path, Query};
use axum::http::StatusCode;
use serde::Deserialize;

use super::desk::{Change, Desk};
use super::page::{Place, Status, once_password, places, role_words, roles, said, status};
use super::words::PeopleWords;
use crate::admin::Problem;
use crate::admin::client::segment;
use crate::web::accounts::{Account, Session};
use crate::web::page::{Layout, PageResult, see_other, show, show_as};
use crate::web::role::{Grant, Role};
use crate::web::said::Said;

struct RoleRow {
    text: String,
    /// The tenant's name; empty: all.
    tenant: String,
    may_take: bool,
}

struct SessionRow {
    session: Session,
    began: (String, String),
    seen: (String, String),
}

/// What the caller may change of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Right {
    /// It is the caller's own: nothing here.
    Own,
    /// All of it.
    Whole,
    /// The roles in the caller's reach.
    Roles,
}

impl Right {
    fn of(desk: &Desk, account: &Account) -> Self {
        match () {
            () if desk.is_mine(account) => Self::Own,
            () if desk.manages(account) => Self::Whole,
            () => Self::Roles,
        }
    }
}

#[derive(Template)]
#[template(path = "people/one.html")]
struct OnePage {
    layout: Layout,
    words: &'static PeopleWords,
    email: String,
    path: String,
    status: Status,
    created: (String, String),
    factor: bool,
    disabled: bool,
    role_rows: Vec<RoleRow>,
    places: Vec<Place>,
    roles: Vec<(Role, &'static str, bool)>,
    sessions: Vec<SessionRow>,
    right: Right,
    problem: Option<Said>,
    done: Option<&'static str>,
}

/// What a form has done, in words.
pub(super) fn done(did: &str, words: &'static PeopleWords) -> Option<&'static str> {
    Some(match did {
        "grant" => words.did_grant,
        "withdraw" => words.did_withdraw,
        "disable" => words.did_disable,
        "enable" => words.did_enable,
        "end-sessions" => words.did_end_sessions,
        "reset-totp" => words.did_reset_totp,
        "remove" => words.did_remove,
        "revoke" => words.did_revoke,
        "networks" => words.did_networks,
        _ => return None,
    })
}

fn one_page(desk: &Desk, layout: Layout, account: &Account, did: Option<&str>, problem: Option<Said>) -> OnePage {
    let words = PeopleWords::of(layout.language);
    let right = Right::of(desk, account);
    let mine = right == Right::Own;
    let role = |grant: &Grant| RoleRow {
        text: role_words(desk, &layout, grant),
        tenant: grant.tenant.map(|tenant| desk.name(tenant)).unwrap_or_default(),
        may_take: !mine && desk.authority.may_give(*grant),
    };
    let sessions = if right == Right::Whole { desk.admin.accounts.sessions_of(&account.id) } else { Vec::new() };
    let session = |session: Session| SessionRow {
        began: layout.moment(session.created),
        seen: layout.moment(session.seen),
        session,
    };
    OnePage {
        path: format!("/people/{}", segment(&account.email)),
        email: account.email.clone(),
        status: status(desk, account, words),
        created: layout.moment(account.created),
        factor: account.totp.is_some(),
        disabled: account.disabled.is_some(),
        role_rows: account.grants.iter().filter(|grant| desk.authority.sees(**grant)).map(role).collect(),
        places: if mine { Vec::new() } else { places(desk, &layout, "") },
        roles: roles(desk, &layout, ""),
        sessions: sessions.into_iter().map(|(_, one)| session(one)).collect(),
        right,
        problem,
        done: did.and_then(|did| done(did, words)),
        words,
        layout,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    did: Option<String>,
}

pub(super) async fn page(
    layout: Layout,
    desk: Desk,
    Path(email): Path<String>,
    Query(asked): Query<Asked>,
) -> PageResult {
    let account = desk.find(&email)?;
    show(&one_page(&desk, layout, &account, asked.did.as_deref(), None))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wish {
    r#do: String,
    role: String,
    tenant: String,
    confirm: String,
}

pub(super) async fn change(
    layout: Layout,
    desk: Desk,
    Path(email): Path<String>,
    Form(wish): Form<Wish>,
) -> PageResult {
    let account = desk.find(&email)?;
    if wish.r#do == "reset-password" {
        return match desk.make_password(&email).await {
            Ok((account, made)) => show(&once_password(layout, &account, &made)),
            Err(problem) => again(&desk, layout, &account, &problem),
        };
    }
    match act(&desk, &layout, &account, &wish).await {
        Ok(()) if wish.r#do == "remove" => Ok(see_other("/people?did=remove")),
        Ok(()) => Ok(see_other(&format!("/people/{}?did={}", segment(&account.email), segment(&wish.r#do)))),
        Err(problem) if problem.status >= 500 => Err(problem),
        Err(problem) => again(&desk, layout, &account, &problem),
    }
}

async fn act(desk: &Desk, layout: &Layout, account: &Account, wish: &Wish) -> Result<(), Problem> {
    let change = match wish.r#do.as_str() {
        "grant" => return desk.give(&account.email, &wish.role, Some(&wish.tenant)).await.map(drop),
        "withdraw" => return desk.withdraw(&account.email, Some(&wish.tenant)).await.map(drop),
        "disable" => Change::Disable,
        "enable" => Change::Enable,
        "end-sessions" => Change::EndSessions,
        "reset-totp" => Change::ResetFactor,
        "remove" if !wish.confirm.trim().eq_ignore_ascii_case(&account.email) => {
            return Err(Problem::invalid(PeopleWords::of(layout.language).remove_mismatch));
        }
        "remove" => Change::Remove,
        _ => return Err(Problem::invalid("the form asks for nothing")),
    };
    desk.change(&account.email, change).await.map(drop)
}

fn again(desk: &Desk, layout: Layout, account: &Account, problem: &Problem) -> PageResult {
    let text = said(problem, &layout);
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
    show_as(status, &one_page(desk, layout, account, None, Some(text)))
}
