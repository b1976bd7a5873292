//! The guard before every route: who asks, from where, by which right, from a page of ours?
//!
//! Refuses with 401 who is nobody, with 403 whose role the route does not admit, and with 403 what another site has a
//! browser send. A person without a session is led to the sign-in and back.

use std::net::IpAddr;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::accounts::Stage;
use super::caller::{Caller, Who};
use super::role::{Grant, Reach};
use super::route::{Access, is_page};
use super::site::Peer;
use super::state::WebState;
use super::{cookie, csrf};
use crate::admin::Problem;
use crate::observe::{Event, emit};

/// Who asks, before the route's rights are known.
struct Identity {
    who: Who,
    grants: Vec<Grant>,
    stage: Stage,
}

/// The client's address, for handlers that have no caller yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientAddress(pub IpAddr);

/// A session that has shown its password only: what the second step of the sign-in needs.
#[derive(Debug, Clone)]
pub(super) struct HalfSignedIn {
    pub(super) session: super::accounts::SessionKey,
    pub(super) account: super::accounts::AccountId,
    /// Is a password of one's own all that is missing?
    pub(super) password_due: bool,
}

pub(super) async fn guard(
    State((state, access)): State<(WebState, Access)>,
    ConnectInfo(Peer(peer)): ConnectInfo<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let address = state.site.client(peer, request.headers());
    request.extensions_mut().insert(ClientAddress(address));
    match admit(&state, access, address, &mut request) {
        Ok(()) => next.run(request).await,
        Err(Refusal::SignIn { path }) => to_sign_in(&request, path),
        Err(Refusal::Problem(problem)) => problem.into_response(),
    }
}

enum Refusal {
    SignIn { path: &'static str },
    Problem(Problem),
}

fn admit(state: &WebState, access: Access, address: IpAddr, request: &mut Request) -> Result<(), Refusal> {
    let headers = request.headers();
    if access == Access::OwnKey {
        return Ok(());
    }
    if !csrf::host(headers).is_some_and(|host| state.site.serves(host)) && bearer(headers).is_none() {
        let detail = "this name is not served here: use the public address of the listener ([[listen]] public_url)";
        return Err(Refusal::Problem(Problem::misdirected(detail)));
    }
    let mut identity = identify(state, headers).map_err(Refusal::Problem)?;
    let by_token = matches!(&identity, Some(Identity { who: Who::Token { .. }, .. }));
    if !by_token && !csrf::is_ours(&state.site, request.method(), headers) {
        let detail = "this request came from another site, or from a browser that does not say from where: \
                      open the page here and try again";
        return Err(Refusal::Problem(Problem::forbidden(detail)));
    }
    if !by_token && !state.rooms.accounts.admits(None, address) && !request.uri().path().starts_with("/assets/") {
        return Err(Refusal::Problem(Problem::forbidden(format!("persons may not enter from {address}"))));
    }
    let away = !by_token && identity.as_mut().is_some_and(|identity| leave_out_far_tenants(state, identity, address));
    admit_by(access, identity, address, request).map_err(|refusal| match refusal {
        Refusal::Problem(problem) if away && problem.status == 403 => {
            Refusal::Problem(Problem::forbidden(format!("your tenant's people may not enter from {address}")))
        }
        other => other,
    })
}

/// A role in a tenant counts only from where the tenant's people may enter. Was one left out?
fn leave_out_far_tenants(state: &WebState, identity: &mut Identity, address: IpAddr) -> bool {
    let before = identity.grants.len();
    let near = |grant: &Grant| grant.tenant.is_none() || state.rooms.accounts.admits(grant.tenant, address);
    identity.grants.retain(near);
    identity.grants.len() < before
}

fn admit_by(access: Access, identity: Option<Identity>, address: IpAddr, request: &mut Request) -> Result<(), Refusal> {
    let page = is_page(request.uri().path());
    let nobody = || {
        if page {
            Refusal::SignIn { path: "/login" }
        } else {
            Refusal::Problem(Problem::unauthorized("sign in, or send a token: Authorization: Bearer wxt…"))
        }
    };
    let Some(identity) = identity else {
        return if access == Access::Public { Ok(()) } else { Err(nobody()) };
    };
    let half = identity.stage != Stage::Complete;
    if half && access != Access::Public && access != Access::HalfSignedIn {
        let path = if identity.stage == Stage::PasswordDue { "/account/password" } else { "/login/code" };
        return Err(if page { Refusal::SignIn { path } } else { nobody() });
    }
    if half {
        let password_due = identity.stage == Stage::PasswordDue;
        // A half sign-in is nobody yet, but for the pages that complete it.
        if let Who::Person { id, session, .. } = identity.who {
            request.extensions_mut().insert(HalfSignedIn { session, account: id, password_due });
        }
        return Ok(());
    }
    let reach = match access {
        Access::Roles(roles) => Reach::of(&identity.grants, roles),
        Access::Operator(roles) => Reach::of(&identity.grants, roles).filter(|reach| *reach == Reach::Everything),
        Access::Person if matches!(identity.who, Who::Token { .. }) => None,
        Access::Public | Access::OwnKey | Access::HalfSignedIn | Access::Person => Some(Reach::Tenants(Vec::new())),
    };
    let Some(reach) = reach else {
        let user = match &identity.who {
            Who::Person { email, .. } => email.clone(),
            Who::Token { id } => format!("token:{id}"),
        };
        let (method, path) = (request.method().to_string(), request.uri().path().chars().take(200).collect());
        emit(&Event::AuthzFailure { user, client: address, method, path });
        let detail = "your role does not allow this: ask an owner";
        return Err(Refusal::Problem(Problem::forbidden(detail)));
    };
    request.extensions_mut().insert(Caller { who: identity.who, grants: identity.grants, reach, address });
    Ok(())
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A token counts before a cookie, and a wrong one is an error even where a cookie would do.
fn identify(state: &WebState, headers: &HeaderMap) -> Result<Option<Identity>, Problem> {
    let accounts = &state.rooms.accounts;
    if let Some(secret) = bearer(headers) {
        let token =
            accounts.token(secret).ok_or_else(|| Problem::unauthorized("this token is unknown or has ended"))?;
        let who = Who::Token { id: token.id };
        return Ok(Some(Identity { who, grants: vec![token.grant], stage: Stage::Complete }));
    }
    let Some(secret) = cookie::read(headers, state.site.session_cookie()) else { return Ok(None) };
    Ok(accounts.session(&secret).map(|(session, kept, account)| Identity {
        who: Who::Person { id: account.id.clone(), email: account.email.clone(), session },
        grants: account.grants.clone(),
        stage: kept.stage,
    }))
}

/// The caller of a key that a client sends in its own way (Akismet's `api_key`), for a route with these roles.
pub fn caller_of_key(state: &WebState, secret: &str, roles: &[super::role::Role], address: IpAddr) -> Option<Caller> {
    let token = state.rooms.accounts.token(secret)?;
    let reach = Reach::of(&[token.grant], roles)?;
    Some(Caller { who: Who::Token { id: token.id }, grants: vec![token.grant], reach, address })
}

/// Leads a person to the sign-in; back to where they were only if that can be repeated.
fn to_sign_in(request: &Request, path: &str) -> Response {
    let from = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let location = if *request.method() == Method::GET && from != "/" && path == "/login" {
        format!("{path}?next={}", crate::admin::client::segment(from))
    } else {
        path.to_owned()
    };
    if request.headers().contains_key("hx-request") {
        // A fragment cannot show a sign-in; the whole page goes there.
        return ([("hx-redirect", location)], "").into_response();
    }
    super::page::see_other(&location)
}
