//! `/networks`: where people may enter from, for everybody (an owner of all tenants) or for a tenant's people.

use askama::Template;
use axum::extract::{Form, Query};
use axum::http::StatusCode;
use serde::Deserialize;

use super::desk::Desk;
use super::page::{Place, said};
use super::words::PeopleWords;
use crate::admin::Problem;
use crate::admin::client::query;
use crate::web::accounts::parse_networks;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, see_other, show, show_as};
use crate::web::said::Said;

#[derive(Template)]
#[template(path = "people/networks.html")]
struct NetworksPage {
    layout: Layout,
    words: &'static PeopleWords,
    /// The lists that the caller owns.
    places: Vec<Place>,
    /// The tenant's name; empty: everybody's.
    tenant: String,
    networks: String,
    you_are_at: String,
    problem: Option<Said>,
    done: Option<&'static str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    tenant: Option<String>,
    did: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    tenant: String,
    networks: String,
}

/// The lists that the caller owns: everybody's first, if it is theirs.
fn lists(desk: &Desk, words: &PeopleWords, chosen: Option<&str>) -> Vec<Place> {
    let directory = desk.directory();
    let mut owned: Vec<(String, String)> = directory
        .tenants()
        .filter(|tenant| desk.owns(Some(tenant.id)))
        .map(|tenant| (tenant.name.clone(), tenant.name.clone()))
        .collect();
    owned.sort();
    if desk.owns(None) {
        owned.insert(0, (String::new(), words.everybody.to_owned()));
    }
    let first = owned.first().map(|(value, _)| value.clone()).unwrap_or_default();
    let chosen = chosen.unwrap_or(&first).to_owned();
    owned.into_iter().map(|(value, text)| Place { chosen: value == chosen, value, text }).collect()
}

fn networks_page(
    desk: &Desk,
    layout: Layout,
    asked: &Asked,
    typed: Option<String>,
    problem: Option<Said>,
) -> Result<NetworksPage, Problem> {
    let words = PeopleWords::of(layout.language);
    let places = lists(desk, words, asked.tenant.as_deref());
    let tenant = places.iter().find(|place| place.chosen).map(|place| place.value.clone());
    let tenant = tenant.ok_or_else(|| Problem::not_found("there is no such list, or it is not yours"))?;
    let of = desk.list_of(Some(&tenant))?;
    let kept = || desk.admin.accounts.networks(of).iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Ok(NetworksPage {
        places,
        tenant,
        networks: typed.unwrap_or_else(kept),
        you_are_at: desk.address.map(|address| fill(words.you_are_at, &[&address])).unwrap_or_default(),
        problem,
        done: asked.did.as_deref().and_then(|did| super::one::done(did, words)),
        words,
        layout,
    })
}

pub(super) async fn page(layout: Layout, desk: Desk, Query(asked): Query<Asked>) -> PageResult {
    show(&networks_page(&desk, layout, &asked, None, None)?)
}

async fn kept(desk: &Desk, typed: &Typed) -> Result<(), Problem> {
    let of = desk.list_of(Some(&typed.tenant))?;
    let networks = parse_networks(&typed.networks).map_err(Problem::invalid)?;
    desk.set_networks(of, networks).await
}

pub(super) async fn set(layout: Layout, desk: Desk, Form(typed): Form<Typed>) -> PageResult {
    match kept(&desk, &typed).await {
        Ok(()) => {
            let pairs = [("tenant", Some(typed.tenant)), ("did", Some("networks".to_owned()))];
            Ok(see_other(&format!("/networks{}", query(&pairs))))
        }
        Err(problem) if problem.status >= 500 || problem.status == 403 => Err(problem),
        Err(problem) => {
            let text = said(&problem, &layout);
            let asked = Asked { tenant: Some(typed.tenant), did: None };
            show_as(StatusCode::BAD_REQUEST, &networks_page(&desk, layout, &asked, Some(typed.networks), Some(text))?)
        }
    }
}
