//! `/v1/users`, `/v1/tokens`, `/v1/networks`: each handler is a translation between a request and one call of the desk.

use std::time::Duration;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use serde::Deserialize;

use super::desk::{Change, Desk};
use super::view::{
    AccountView, Done, GrantRequest, Networks, NewTokenAnswer, NewTokenRequest, NewUser, NewUserRequest, SessionView,
    TokenView, WithdrawRequest,
};
use crate::admin::Problem;
use crate::admin::server::json;
use crate::web::language::Language;

type Answer<T> = Result<Json<T>, Problem>;
type Asked<T> = Result<Query<T>, axum::extract::rejection::QueryRejection>;

/// Rows of a list that does not say how many.
const ROWS: usize = 100;
const MOST_ROWS: usize = 1000;
/// Ten years: a longer life is a slip of the keyboard.
const LONGEST: Duration = Duration::from_hours(10 * 366 * 24);

#[derive(Debug, Deserialize)]
pub(super) struct Page {
    tenant: Option<String>,
    /// The last address or token of the page before.
    after: Option<String>,
    limit: Option<usize>,
}

fn page(asked: Asked<Page>) -> Result<(Page, usize), Problem> {
    let Query(page) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let limit = page.limit.unwrap_or(ROWS).clamp(1, MOST_ROWS);
    Ok((page, limit))
}

pub(super) async fn list(desk: Desk, asked: Asked<Page>) -> Answer<Vec<AccountView>> {
    let (page, limit) = page(asked)?;
    let accounts = desk.list(desk.tenant(page.tenant.as_deref())?);
    let after = page.after.unwrap_or_default();
    let rest = accounts.iter().filter(|account| account.email > after).take(limit);
    Ok(Json(rest.map(|account| desk.view(account)).collect()))
}

pub(super) async fn show(desk: Desk, Path(email): Path<String>) -> Answer<AccountView> {
    Ok(Json(desk.view(&*desk.find(&email)?)))
}

pub(super) async fn add(desk: Desk, body: Bytes) -> Answer<NewUser> {
    let request: NewUserRequest = json(&body)?;
    let (account, made) = desk.add(request, Language::En).await?;
    Ok(Json(NewUser { user: desk.view(&account), initial_password: made.map(|made| made.to_string()) }))
}

pub(super) async fn sessions(desk: Desk, Path(email): Path<String>) -> Answer<Vec<SessionView>> {
    let account = desk.find(&email)?;
    if !desk.authority.manages(&account) {
        return Err(Problem::forbidden("where this person is signed in is for who could have given all of its roles"));
    }
    let sessions = desk.admin.accounts.sessions_of(&account.id);
    Ok(Json(sessions.iter().map(|(key, session)| SessionView::new(key, session)).collect()))
}

pub(super) async fn grant(desk: Desk, Path(email): Path<String>, body: Bytes) -> Answer<AccountView> {
    let request: GrantRequest = json(&body)?;
    let account = desk.give(&email, &request.role, request.tenant.as_deref()).await?;
    Ok(Json(desk.view(&account)))
}

pub(super) async fn withdraw(desk: Desk, Path(email): Path<String>, body: Bytes) -> Answer<Done> {
    let request: WithdrawRequest = json(&body)?;
    let account = desk.withdraw(&email, request.tenant.as_deref()).await?;
    let place = request.tenant.map_or_else(|| "all tenants".to_owned(), |name| format!("tenant {name}"));
    Ok(Json(Done { done: format!("{} has no role in {place} any more", account.email) }))
}

async fn change(desk: Desk, email: &str, change: Change) -> Answer<Done> {
    Ok(Json(Done { done: desk.change(email, change).await? }))
}

pub(super) async fn disable(desk: Desk, Path(email): Path<String>) -> Answer<Done> {
    change(desk, &email, Change::Disable).await
}

pub(super) async fn enable(desk: Desk, Path(email): Path<String>) -> Answer<Done> {
    change(desk, &email, Change::Enable).await
}

pub(super) async fn end_sessions(desk: Desk, Path(email): Path<String>) -> Answer<Done> {
    change(desk, &email, Change::EndSessions).await
}

pub(super) async fn reset_totp(desk: Desk, Path(email): Path<String>) -> Answer<Done> {
    change(desk, &email, Change::ResetFactor).await
}

pub(super) async fn remove(desk: Desk, Path(email): Path<String>) -> Answer<Done> {
    change(desk, &email, Change::Remove).await
}

pub(super) async fn reset_password(desk: Desk, Path(email): Path<String>) -> Answer<NewUser> {
    let (account, made) = desk.make_password(&email).await?;
    Ok(Json(NewUser { user: desk.view(&account), initial_password: Some(made.to_string()) }))
}

pub(super) async fn tokens(desk: Desk, asked: Asked<Page>) -> Answer<Vec<TokenView>> {
    let (page, limit) = page(asked)?;
    let tokens = desk.tokens(desk.tenant(page.tenant.as_deref())?);
    let from = page.after.and_then(|after| tokens.iter().position(|token| token.id == after)).map_or(0, |at| at + 1);
    Ok(Json(tokens.iter().skip(from).take(limit).map(|token| desk.token_view(token)).collect()))
}

pub(super) async fn new_token(desk: Desk, body: Bytes) -> Answer<NewTokenAnswer> {
    let request: NewTokenRequest = json(&body)?;
    let grant = desk.grant(&request.role, request.tenant.as_deref())?;
    let lives = request.expires_after_seconds.map(Duration::from_secs);
    if lives.is_some_and(|lives| lives > LONGEST) {
        return Err(Problem::invalid("a token lives ten years at most; without expires_after_seconds it has no end"));
    }
    let expires = lives.map(|lives| desk.admin.clock.now() + lives);
    let (token, secret) = desk.new_token(request.name, grant, expires).await?;
    Ok(Json(NewTokenAnswer { token: desk.token_view(&token), secret: secret.to_string() }))
}

pub(super) async fn revoke_token(desk: Desk, Path(id): Path<String>) -> Answer<Done> {
    desk.revoke_token(&id).await?;
    Ok(Json(Done { done: format!("revoked token {id}") }))
}

#[derive(Debug, Deserialize)]
pub(super) struct OfTenant {
    tenant: Option<String>,
}

pub(super) async fn networks(desk: Desk, asked: Asked<OfTenant>) -> Answer<Networks> {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let of = desk.list_of(asked.tenant.as_deref())?;
    Ok(Json(Networks { networks: desk.admin.accounts.networks(of) }))
}

pub(super) async fn set_networks(desk: Desk, asked: Asked<OfTenant>, body: Bytes) -> Answer<Networks> {
    let Query(asked) = asked.map_err(|error| Problem::invalid(error.body_text()))?;
    let request: Networks = json(&body)?;
    let of = desk.list_of(asked.tenant.as_deref())?;
    desk.set_networks(of, request.networks).await?;
    Ok(Json(Networks { networks: desk.admin.accounts.networks(of) }))
}
