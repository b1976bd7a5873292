//! People and tokens over the control socket: the way to the first owner.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::routing::{delete, get, post};
use axum::{Json, Router, body::Bytes};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::accounts::{Account, Accounts, ApiToken, NewToken, Session, SessionKey};
use super::accounts::{FirstPassword, PasswordRules};
use super::language::Language;
use super::role::{Grant, Role};
use super::state::blocking;
use crate::admin::Problem;
use crate::admin::server::{by, json};
use crate::clock::{Clock, Timestamp};
use crate::ids::TenantId;
use crate::tenants::{AuditCheckpoint, AuditRecord, AuditReport, Registry};

/// What these routes reach.
#[derive(Clone)]
pub struct AccountAdmin {
    /// What a password may be.
    pub rules: PasswordRules,
    /// People, sessions, tokens.
    pub accounts: Arc<Accounts>,
    /// Tenants, for their names.
    pub registry: Arc<Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// A person in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// The address.
    pub email: String,
    /// `owner`, or `owner@acme` for one tenant; several by commas.
    pub roles: Vec<String>,
    /// Is there a second factor?
    pub totp: bool,
    /// Is there a password?
    pub password: bool,
    /// Browsers that are signed in.
    pub sessions: usize,
    /// When it was made, in RFC 3339.
    pub created: String,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Its short id.
    pub id: String,
    /// When it began, in RFC 3339.
    pub created: String,
    /// When it was used last, in RFC 3339.
    pub seen: String,
    /// From where.
    pub address: String,
    /// The browser in words.
    pub device: String,
    /// How it was signed in.
    pub method: String,
}

/// A token in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its tenant's name; `null`: all.
    pub tenant: Option<String>,
    /// When it ends, in RFC 3339.
    pub expires: Option<String>,
    /// When it was used last, in RFC 3339, to ten minutes.
    pub used: Option<String>,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// By whom.
    pub by: String,
}

/// The body of `POST /v1/users`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewUserRequest {
    /// The address.
    pub email: String,
    /// The role.
    pub role: String,
    /// In one tenant; else in all.
    pub tenant: Option<String>,
    /// A chosen password.
    pub password: Option<String>,
    /// No password: only by single sign-on.
    pub single_sign_on: bool,
}

/// What `POST /v1/users` did.
#[derive(Serialize, Deserialize)]
pub struct NewUser {
    /// The person.
    #[serde(flatten)]
    pub user: AccountView,
    /// The first password, where one was made. It cannot be had again.
    pub initial_password: Option<String>,
}

/// The body of `POST /v1/tokens`.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewTokenRequest {
    /// What it is for.
    pub name: String,
    /// The role.
    pub role: String,
    /// In one tenant; else in all.
    pub tenant: Option<String>,
    /// How many seconds it lives.
    pub expires_after_seconds: Option<u64>,
}

/// A token as it is shown once.
#[derive(Serialize, Deserialize)]
pub struct NewTokenAnswer {
    /// The token.
    #[serde(flatten)]
    pub token: TokenView,
    /// Its secret. It cannot be had again.
    pub secret: String,
}

/// What was done, in words.
#[derive(Debug, Serialize, Deserialize)]
pub struct Done {
    /// One sentence.
    pub done: String,
}

/// The routes, to be merged into those of the control socket.
pub fn router(state: AccountAdmin) -> Router {
    Router::new()
        .route("/v1/users", get(list).post(add))
        .route("/v1/users/{email}", delete(remove))
        .route("/v1/users/{email}/sessions", get(sessions).delete(end_sessions))
        .route("/v1/users/{email}/totp", delete(reset_totp))
        .route("/v1/users/{email}/password", post(reset_password))
        .route("/v1/networks", get(networks).post(set_networks))
        .route("/v1/audit", get(audit))
        .route("/v1/audit:verify", post(verify_audit))
        .route("/v1/tokens", get(tokens).post(new_token))
        .route("/v1/tokens/{id}", delete(revoke_token))
        .with_state(state)
}

type Answer<T> = Result<Json<T>, Problem>;

impl AccountAdmin {
    fn find(&self, email: &str) -> Result<Arc<Account>, Problem> {
        let shown: String = email.chars().take(80).collect();
        self.accounts.by_email(email).ok_or_else(|| Problem::not_found(format!("there is no account {shown}")))
    }

    fn grant(&self, role: &str, tenant: Option<&str>) -> Result<Grant, Problem> {
        let role: Role = role.parse().map_err(|error| Problem::invalid(format!("{error}")))?;
        let directory = self.registry.snapshot();
        let unknown = |name: &str| Problem::not_found(format!("there is no tenant \"{name}\""));
        let tenant = tenant.map(|name| directory.tenant_by_name(name).map(|one| one.id).ok_or_else(|| unknown(name)));
        Ok(Grant { tenant: tenant.transpose()?, role })
    }

    fn name(&self, tenant: TenantId) -> String {
        self.registry.snapshot().tenant_name(tenant).map_or_else(|| format!("#{}", tenant.0), str::to_owned)
    }

    fn view(&self, account: &Account) -> AccountView {
        let role = |grant: &Grant| match grant.tenant {
            None => grant.role.to_string(),
            Some(tenant) => format!("{}@{}", grant.role, self.name(tenant)),
        };
        AccountView {
            email: account.email.clone(),
            roles: account.grants.iter().map(role).collect(),
            totp: account.totp.is_some(),
            password: account.password.is_some(),
            sessions: self.accounts.sessions_of(&account.id).len(),
            created: account.created.to_rfc3339(),
        }
    }

    fn token_view(&self, token: &ApiToken) -> TokenView {
        TokenView {
            id: token.id.clone(),
            name: token.name.clone(),
            role: token.grant.role.to_string(),
            tenant: token.grant.tenant.map(|tenant| self.name(tenant)),
            expires: token.expires.map(Timestamp::to_rfc3339),
            used: token.used.map(Timestamp::to_rfc3339),
            created: token.created.to_rfc3339(),
            by: token.by.clone(),
        }
    }
}

impl SessionView {
    /// A session under its key.
    pub fn new(key: &SessionKey, session: &Session) -> Self {
        Self {
            id: key.short(),
            created: session.created.to_rfc3339(),
            seen: session.seen.to_rfc3339(),
            address: session.address.to_string(),
            device: session.device.clone(),
            method: session.method.clone(),
        }
    }
}

#[derive(Debug, Deserialize)]
struct OfTenant {
    tenant: Option<String>,
}

async fn list(State(state): State<AccountAdmin>, Query(of): Query<OfTenant>) -> Answer<Vec<AccountView>> {
    let only = of.tenant.as_deref().map(|name| state.grant("owner", Some(name))).transpose()?;
    let wanted = |account: &Account| {
        only.is_none_or(|only| account.grants.iter().any(|grant| grant.tenant.is_none() || grant.tenant == only.tenant))
    };
    let accounts = state.accounts.list();
    Ok(Json(accounts.iter().filter(|account| wanted(account)).map(|account| state.view(account)).collect()))
}

async fn add(State(state): State<AccountAdmin>, headers: HeaderMap, body: Bytes) -> Answer<NewUser> {
    let request: NewUserRequest = json(&body)?;
    let grant = state.grant(&request.role, request.tenant.as_deref())?;
    let by = by(&headers);
    let password = match (request.password, request.single_sign_on) {
        (Some(_), true) => return Err(Problem::invalid("a password, or single sign-on only: not both")),
        (Some(password), false) => {
            let weak = |weakness: super::accounts::Weakness| Problem::invalid(weakness.text(Language::En));
            state.rules.check(&password, &request.email).map_err(weak)?;
            FirstPassword::Chosen(Zeroizing::new(password))
        }
        (None, true) => FirstPassword::None,
        (None, false) => FirstPassword::Made,
    };
    let accounts = state.accounts.clone();
    let (account, made) = blocking(move || accounts.add(&request.email, grant, password, &by)).await??;
    Ok(Json(NewUser { user: state.view(&account), initial_password: made.map(|made| made.to_string()) }))
}

async fn remove(State(state): State<AccountAdmin>, Path(email): Path<String>, headers: HeaderMap) -> Answer<Done> {
    let (account, by) = (state.find(&email)?, by(&headers));
    let done = Done { done: format!("removed the account {}", account.email) };
    blocking(move || state.accounts.remove(&account.id, &by)).await??;
    Ok(Json(done))
}

async fn sessions(State(state): State<AccountAdmin>, Path(email): Path<String>) -> Answer<Vec<SessionView>> {
    let account = state.find(&email)?;
    let sessions = state.accounts.sessions_of(&account.id);
    Ok(Json(sessions.iter().map(|(key, session)| SessionView::new(key, session)).collect()))
}

async fn end_sessions(
    State(state): State<AccountAdmin>,
    Path(email): Path<String>,
    headers: HeaderMap,
) -> Answer<Done> {
    let (account, by) = (state.find(&email)?, by(&headers));
    let id = account.id.clone();
    let count = blocking(move || state.accounts.end_sessions(&id, None, &by)).await??;
    Ok(Json(Done { done: format!("ended {count} sessions of {}", account.email) }))
}

async fn reset_totp(State(state): State<AccountAdmin>, Path(email): Path<String>, headers: HeaderMap) -> Answer<Done> {
    let (account, by) = (state.find(&email)?, by(&headers));
    let done = Done { done: format!("removed the second factor of {}; its sessions have ended", account.email) };
    let reset = move || {
        state.accounts.change(&account.id, &by, |account| {
            account.totp = None;
            account.recovery.clear();
            Some(format!("removed the second factor of {}", account.email))
        })?;
        state.accounts.end_sessions(&account.id, None, &by)
    };
    blocking(reset).await??;
    Ok(Json(done))
}

async fn reset_password(
    State(state): State<AccountAdmin>,
    Path(email): Path<String>,
    headers: HeaderMap,
) -> Answer<NewUser> {
    let (account, by) = (state.find(&email)?, by(&headers));
    let (accounts, id) = (state.accounts.clone(), account.id.clone());
    let (account, made) = blocking(move || accounts.make_password(&id, &by)).await??;
    Ok(Json(NewUser { user: state.view(&account), initial_password: Some(made.to_string()) }))
}

async fn tokens(State(state): State<AccountAdmin>, Query(of): Query<OfTenant>) -> Answer<Vec<TokenView>> {
    let only = of.tenant.as_deref().map(|name| state.grant("owner", Some(name))).transpose()?;
    let tokens = state.accounts.tokens();
    let wanted = tokens.iter().filter(|token| only.is_none_or(|only| token.grant.tenant == only.tenant));
    Ok(Json(wanted.map(|token| state.token_view(token)).collect()))
}

async fn new_token(State(state): State<AccountAdmin>, headers: HeaderMap, body: Bytes) -> Answer<NewTokenAnswer> {
    let request: NewTokenRequest = json(&body)?;
    let grant = state.grant(&request.role, request.tenant.as_deref())?;
    let by = by(&headers);
    let expires = request.expires_after_seconds.map(|seconds| state.clock.now() + Duration::from_secs(seconds));
    let accounts = state.accounts.clone();
    let made = move || accounts.new_token(&NewToken { name: &request.name, grant, expires }, &by);
    let (token, secret) = blocking(made).await??;
    Ok(Json(NewTokenAnswer { token: state.token_view(&token), secret: secret.to_string() }))
}

async fn revoke_token(State(state): State<AccountAdmin>, Path(id): Path<String>, headers: HeaderMap) -> Answer<Done> {
    let by = by(&headers);
    let done = Done { done: format!("revoked token {id}") };
    blocking(move || state.accounts.revoke_token(&id, &by)).await??;
    Ok(Json(done))
}

/// Where persons may enter from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Networks {
    /// Empty: anywhere.
    pub networks: Vec<ipnet::IpNet>,
}

async fn networks(State(state): State<AccountAdmin>) -> Answer<Networks> {
    Ok(Json(Networks { networks: state.accounts.networks() }))
}

async fn set_networks(State(state): State<AccountAdmin>, headers: HeaderMap, body: Bytes) -> Answer<Networks> {
    let (request, by): (Networks, String) = (json(&body)?, by(&headers));
    let accounts = state.accounts.clone();
    blocking(move || accounts.set_networks(&request.networks, None, &by)).await??;
    Ok(Json(Networks { networks: state.accounts.networks() }))
}

/// A line of the audit for export: everything that a check needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Its number.
    pub number: u64,
    /// The line.
    #[serde(flatten)]
    pub record: AuditRecord,
}

/// Lines of the audit, and the checkpoints that cover them.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// The lines, oldest first.
    pub lines: Vec<AuditLine>,
    /// All checkpoints, oldest first.
    pub checkpoints: Vec<AuditCheckpoint>,
    /// The public half of the key that signs them, in hexadecimal.
    pub public_key: String,
}

#[derive(Debug, Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn audit(State(state): State<AccountAdmin>, Query(query): Query<After>) -> Answer<AuditPage> {
    let registry = state.registry.clone();
    let limit = query.limit.unwrap_or(1000).clamp(1, 10_000);
    let read = move || -> Result<AuditPage, crate::tenants::RegistryError> {
        let lines = registry.audit((query.after > 0).then_some(query.after), limit)?;
        let (checkpoints, public_key) = registry.audit_checkpoints()?;
        let lines = lines.into_iter().map(|(number, record)| AuditLine { number, record }).collect();
        Ok(AuditPage { lines, checkpoints, public_key })
    };
    Ok(Json(blocking(read).await?.map_err(crate::admin::ports::AdminError::from)?))
}

async fn verify_audit(State(state): State<AccountAdmin>) -> Answer<AuditReport> {
    let report = blocking(move || state.registry.verify_audit()).await?;
    Ok(Json(report.map_err(crate::admin::ports::AdminError::from)?))
}
