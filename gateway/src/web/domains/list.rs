//! `/domains`.

use askama::Template;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;

use super::DomainWords;
use crate::admin::Problem;
use crate::admin::client::segment;
use crate::message::DomainName;
use crate::tenants::DkimState;
use crate::web::caller::Caller;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, see_other, show, show_as};
use crate::web::role::Role;
use crate::web::route::{CHANGE_MAIL, Route, SEE_MAIL};
use crate::web::state::{WebState, blocking};

pub(super) const ROUTES: &[Route] =
    &[Route::get("/domains", SEE_MAIL, || get(page)), Route::post("/domains", CHANGE_MAIL, || post(add))];

struct Row {
    name: String,
    tenant: String,
    active_keys: usize,
    added: (String, String),
    /// Class, sign and words of its required records.
    records: (&'static str, &'static str, String),
}

/// A domain whose proof is waited for.
struct ClaimRow {
    number: usize,
    domain: String,
    tenant: String,
    name: String,
    value: String,
}

#[derive(Template)]
#[template(path = "domains.html")]
struct DomainsPage {
    layout: Layout,
    words: &'static DomainWords,
    rows: Vec<Row>,
    claims: Vec<ClaimRow>,
    /// Where one may add; empty: nowhere.
    tenants: Vec<String>,
    typed: String,
    problem: Option<String>,
}

fn domains_page(
    state: &WebState,
    layout: Layout,
    caller: &Caller,
    typed: String,
    problem: Option<String>,
) -> DomainsPage {
    let directory = state.directory();
    let words = DomainWords::of(layout.language);
    let rows = directory.domains().filter(|domain| caller.reach.covers(domain.tenant)).map(|domain| {
        let keys = directory.dkim_keys(&domain.name);
        let known = state.rooms.checks.last(&domain.name).ok();
        let (good, all) = known.as_ref().map(super::report::DomainReport::required).unwrap_or_default();
        let checked = known.is_some_and(|report| report.checked.is_some());
        let records = match (checked, good == all) {
            (false, _) => ("", "–", words.not_checked.to_owned()),
            (true, true) => ("good", "✓", fill(words.n_ok, &[&good, &all])),
            (true, false) => ("bad", "✕", fill(words.n_ok, &[&good, &all])),
        };
        Row {
            name: domain.name.to_string(),
            tenant: directory.tenant_name(domain.tenant).unwrap_or_default().to_owned(),
            active_keys: keys.filter(|key| key.state() == DkimState::Active).count(),
            added: layout.moment(domain.created),
            records,
        }
    });
    let claimed = directory.claimed_domains();
    let claims = claimed.iter().flat_map(|domain| directory.claims(domain));
    let claims = claims.filter(|claim| caller.reach.covers(claim.tenant)).enumerate().map(|(number, claim)| ClaimRow {
        number,
        domain: claim.domain.to_string(),
        tenant: directory.tenant_name(claim.tenant).unwrap_or_default().to_owned(),
        name: claim.record_name(),
        value: claim.record_value(),
    });
    let claims = claims.collect();
    let may = directory.tenants().filter(|tenant| caller.may(tenant.id, &[Role::Owner, Role::Admin]));
    let tenants = may.map(|tenant| tenant.name.clone()).collect();
    DomainsPage { rows: rows.collect(), claims, words, tenants, typed, problem, layout }
}

async fn page(State(state): State<WebState>, layout: Layout, caller: Caller) -> PageResult {
    show(&domains_page(&state, layout, &caller, String::new(), None))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Adding {
    domain: String,
    tenant: String,
}

/// Adds a domain for who may: the same for the page and the API.
pub(super) async fn add_domain(
    state: &WebState,
    caller: &Caller,
    domain: &str,
    tenant: &str,
) -> Result<crate::admin::ports::DomainSummary, Problem> {
    let directory = state.directory();
    let tenant = caller.tenant(Some(tenant), &directory)?;
    let tenant = directory.tenant_name(tenant).unwrap_or_default().to_owned();
    let name: DomainName = domain.trim().parse().map_err(|error| Problem::invalid(format!("{error}")))?;
    let (tenants, by) = (state.rooms.admin.tenants.clone(), caller.by());
    Ok(blocking(move || tenants.add_domain(&name, &tenant, &by)).await??)
}

async fn add(State(state): State<WebState>, layout: Layout, caller: Caller, Form(adding): Form<Adding>) -> PageResult {
    match add_domain(&state, &caller, &adding.domain, &adding.tenant).await {
        Ok(added) if added.challenge.is_some() => Ok(see_other("/domains#claims")),
        Ok(added) => Ok(see_other(&format!("/domains/{}", segment(&added.name.to_string())))),
        Err(problem) if problem.status >= 500 => Err(problem),
        Err(problem) => {
            let page = domains_page(&state, layout, &caller, adding.domain, Some(problem.detail));
            show_as(StatusCode::UNPROCESSABLE_ENTITY, &page)
        }
    }
}
