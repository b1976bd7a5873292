//! `/people`: who may enter, and adding somebody.

use askama::Template;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use serde::Deserialize;

use super::desk::Desk;
use super::view::NewUserRequest;
use super::words::PeopleWords;
use crate::admin::Problem;
use crate::admin::client::segment;
use crate::ids::TenantId;
use crate::web::accounts::Account;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, see_other, show, show_as};
use crate::web::role::{Grant, Role};
use crate::web::said::Said;
use crate::web::state::WebState;

/// People on one page.
const ROWS: usize = 100;

/// Class, sign and words of a state.
pub(super) type Status = (&'static str, &'static str, &'static str);

struct Row {
    email: String,
    segment: String,
    roles: Vec<String>,
    factor: bool,
    seen: Option<(String, String)>,
    status: Status,
    mine: bool,
}

/// A place where roles can be given, for a list of choices.
pub(super) struct Place {
    /// The tenant's name; empty: all.
    pub(super) value: String,
    pub(super) text: String,
    pub(super) chosen: bool,
}

#[derive(Template)]
#[template(path = "people/people.html")]
struct PeoplePage {
    layout: Layout,
    words: &'static PeopleWords,
    rows: Vec<Row>,
    shown: String,
    more: Option<String>,
    search: String,
    places: Vec<Place>,
    roles: Vec<(Role, &'static str, bool)>,
    provider: bool,
    typed: String,
    sso: bool,
    problem: Option<Said>,
    done: Option<&'static str>,
}

/// A secret that is shown this once.
#[derive(Template)]
#[template(path = "people/once.html")]
pub(super) struct Once {
    pub(super) layout: Layout,
    pub(super) title: String,
    pub(super) text: &'static str,
    pub(super) done: &'static str,
    pub(super) secret: String,
    pub(super) next: String,
}

/// `owner (acme)`: the roles that the caller may know of.
pub(super) fn role_words(desk: &Desk, layout: &Layout, grant: &Grant) -> String {
    let place = grant.tenant.map_or_else(|| layout.words.all_tenants.to_owned(), |tenant| desk.name(tenant));
    format!("{} ({place})", layout.words.role(grant.role))
}

/// How an account stands.
pub(super) fn status(desk: &Desk, account: &Account, words: &'static PeopleWords) -> Status {
    match account.initial_until {
        _ if account.disabled.is_some() => ("bad", "✕", words.disabled),
        Some(until) if until <= desk.admin.clock.now() => ("warn", "!", words.lapsed),
        Some(_) => ("info", "…", words.invited),
        None => ("good", "✓", words.active),
    }
}

/// The places where the caller gives any role: all tenants first, if they do there.
pub(super) fn places(desk: &Desk, layout: &Layout, chosen: &str) -> Vec<Place> {
    let directory = desk.directory();
    let gives = |tenant: Option<TenantId>| desk.authority.gives(tenant).next().is_some();
    let place =
        |value: &str, text: &str| Place { value: value.to_owned(), text: text.to_owned(), chosen: value == chosen };
    let tenants = directory.tenants().filter(|tenant| gives(Some(tenant.id)));
    let mut places: Vec<Place> = tenants.map(|tenant| place(&tenant.name, &tenant.name)).collect();
    places.sort_by(|one, other| one.value.cmp(&other.value));
    if gives(None) {
        places.insert(0, place("", layout.words.all_tenants));
    }
    places
}

/// The roles that the caller gives anywhere, the least first: a slip gives too little.
pub(super) fn roles(desk: &Desk, layout: &Layout, chosen: &str) -> Vec<(Role, &'static str, bool)> {
    let directory = desk.directory();
    let everywhere = directory.tenants().map(|tenant| Some(tenant.id)).chain([None]);
    let places: Vec<Option<TenantId>> = everywhere.collect();
    let given =
        |role: &Role| places.iter().any(|tenant| desk.authority.may_give(Grant { tenant: *tenant, role: *role }));
    let order = [Role::Moderator, Role::Auditor, Role::Admin, Role::Owner];
    let row = |role: Role| (role, layout.words.role(role), role.name() == chosen);
    order.into_iter().filter(given).map(row).collect()
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    did: Option<String>,
    search: String,
    after: String,
}

fn people_page(
    state: &WebState,
    desk: &Desk,
    layout: Layout,
    asked: &Asked,
    typed: &Adding,
    problem: Option<Said>,
) -> PeoplePage {
    let words = PeopleWords::of(layout.language);
    let needle = asked.search.trim().to_lowercase();
    let all = desk.list(None);
    let found: Vec<_> = all.iter().filter(|account| account.email.to_lowercase().contains(&needle)).collect();
    let page: Vec<_> = found.iter().filter(|account| account.email > asked.after).take(ROWS + 1).collect();
    let row = |account: &Account| {
        let sessions =
            if desk.authority.manages(account) { desk.admin.accounts.sessions_of(&account.id) } else { Vec::new() };
        let known = account.grants.iter().filter(|grant| desk.authority.sees(**grant));
        Row {
            email: account.email.clone(),
            segment: segment(&account.email),
            roles: known.map(|grant| role_words(desk, &layout, grant)).collect(),
            factor: account.totp.is_some(),
            seen: sessions.iter().map(|(_, one)| one.seen).max().map(|at| layout.moment(at)),
            status: status(desk, account, words),
            mine: desk.is_mine(account),
        }
    };
    let rows: Vec<Row> = page.iter().take(ROWS).map(|account| row(account)).collect();
    let more = (page.len() > ROWS).then(|| {
        let after = rows.last().map(|row| row.email.clone());
        let search = (!needle.is_empty()).then(|| asked.search.clone());
        format!("/people{}", crate::admin::client::query(&[("search", search), ("after", after)]))
    });
    PeoplePage {
        shown: fill(words.shown_of, &[&rows.len(), &all.len()]),
        rows,
        more,
        search: asked.search.clone(),
        places: places(desk, &layout, &typed.tenant),
        roles: roles(desk, &layout, &typed.role),
        provider: state.rooms.provider.is_some(),
        typed: typed.email.clone(),
        sso: typed.single_sign_on.is_some(),
        problem,
        done: asked.did.as_deref().and_then(|did| super::one::done(did, words)),
        words,
        layout,
    }
}

pub(super) async fn page(
    State(state): State<WebState>,
    layout: Layout,
    desk: Desk,
    Query(asked): Query<Asked>,
) -> PageResult {
    show(&people_page(&state, &desk, layout, &asked, &Adding::default(), None))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Adding {
    email: String,
    role: String,
    tenant: String,
    single_sign_on: Option<String>,
}

pub(super) async fn add(
    State(state): State<WebState>,
    layout: Layout,
    desk: Desk,
    Form(typed): Form<Adding>,
) -> PageResult {
    let request = NewUserRequest {
        email: typed.email.clone(),
        role: typed.role.clone(),
        tenant: Some(typed.tenant.clone()),
        password: None,
        single_sign_on: typed.single_sign_on.is_some(),
    };
    match desk.add(request, layout.language).await {
        Ok((account, None)) => Ok(see_other(&format!("/people/{}", segment(&account.email)))),
        Ok((account, Some(made))) => show(&once_password(layout, &account, &made)),
        Err(problem) if problem.status >= 500 => Err(problem),
        Err(problem) => {
            let problem = said(&problem, &layout);
            let page = people_page(&state, &desk, layout, &Asked::default(), &typed, Some(problem));
            show_as(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}

/// A problem's detail in the page's language.
pub(super) fn said(problem: &Problem, layout: &Layout) -> Said {
    crate::web::said::problem(&problem.detail, layout.language)
}

/// The page that shows a first password.
pub(super) fn once_password(layout: Layout, account: &Account, made: &str) -> Once {
    let words = PeopleWords::of(layout.language);
    Once {
        title: fill(words.once_password, &[&account.email]),
        text: words.once_password_text,
        done: words.once_done,
        secret: made.to_owned(),
        next: format!("/people/{}", segment(&account.email)),
        layout,
    }
}
