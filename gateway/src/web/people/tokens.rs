//! `/tokens`: the API tokens, making and revoking them.

use std::time::Duration;

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use serde::Deserialize;

use super::desk::Desk;
use super::page::{Once, Place, places, role_words, roles, said};
use super::words::PeopleWords;
use crate::admin::Problem;
use crate::web::accounts::ApiToken;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, see_other, show, show_as};
use crate::web::role::Role;
use crate::web::said::Said;

struct Row {
    id: String,
    name: String,
    role: String,
    by: String,
    created: (String, String),
    expires: Option<(String, String)>,
    ended: bool,
    used: Option<(String, String)>,
    may_revoke: bool,
}

#[derive(Template)]
#[template(path = "people/tokens.html")]
struct TokensPage {
    layout: Layout,
    words: &'static PeopleWords,
    rows: Vec<Row>,
    places: Vec<Place>,
    roles: Vec<(Role, &'static str, bool)>,
    lives: [(&'static str, &'static str, bool); 4],
    name: String,
    problem: Option<Said>,
    done: Option<&'static str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    did: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Making {
    name: String,
    role: String,
    tenant: String,
    days: String,
}

fn tokens_page(desk: &Desk, layout: Layout, did: Option<&str>, typed: &Making, problem: Option<Said>) -> TokensPage {
    let words = PeopleWords::of(layout.language);
    let now = desk.admin.clock.now();
    let row = |token: ApiToken| Row {
        role: role_words(desk, &layout, &token.grant),
        created: layout.moment(token.created),
        expires: token.expires.map(|at| layout.moment(at)),
        ended: token.expires.is_some_and(|at| at <= now),
        used: token.used.map(|at| layout.moment(at)),
        may_revoke: desk.authority.may_give(token.grant),
        id: token.id,
        name: token.name,
        by: token.by,
    };
    let lives = [("30", words.lives_30), ("90", words.lives_90), ("365", words.lives_365), ("", words.lives_ever)];
    TokensPage {
        rows: desk.tokens(None).into_iter().map(row).collect(),
        places: places(desk, &layout, &typed.tenant),
        roles: roles(desk, &layout, &typed.role),
        lives: lives.map(|(value, text)| (value, text, value == typed.days)),
        name: typed.name.clone(),
        problem,
        done: did.and_then(|did| super::one::done(did, words)),
        words,
        layout,
    }
}

pub(super) async fn page(layout: Layout, desk: Desk, Query(asked): Query<Asked>) -> PageResult {
    let typed = Making { days: "90".to_owned(), ..Making::default() };
    show(&tokens_page(&desk, layout, asked.did.as_deref(), &typed, None))
}

async fn made(desk: &Desk, typed: &Making) -> Result<(String, String), Problem> {
    let grant = desk.grant(&typed.role, Some(&typed.tenant))?;
    let expires = match typed.days.as_str() {
        "" => None,
        days => {
            let days = days.parse::<u64>().ok().filter(|days| (1..=3660).contains(days));
            let days = days.ok_or_else(|| Problem::invalid("a token lives 1 to 3660 days"))?;
            Some(desk.admin.clock.now() + Duration::from_hours(days * 24))
        }
    };
    let (token, secret) = desk.new_token(typed.name.clone(), grant, expires).await?;
    Ok((token.id, secret.to_string()))
}

pub(super) async fn make(layout: Layout, desk: Desk, Form(typed): Form<Making>) -> PageResult {
    let words = PeopleWords::of(layout.language);
    match made(&desk, &typed).await {
        Ok((id, secret)) => show(&Once {
            title: fill(words.once_token, &[&id]),
            text: words.once_token_text,
            done: words.once_done,
            secret,
            next: "/tokens".to_owned(),
            layout,
        }),
        Err(problem) if problem.status >= 500 => Err(problem),
        Err(problem) => {
            let text = said(&problem, &layout);
            show_as(StatusCode::UNPROCESSABLE_ENTITY, &tokens_page(&desk, layout, None, &typed, Some(text)))
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Revoking {
    id: String,
}

pub(super) async fn revoke(desk: Desk, Form(typed): Form<Revoking>) -> PageResult {
    desk.revoke_token(&typed.id).await?;
    Ok(see_other("/tokens?did=revoke"))
}
