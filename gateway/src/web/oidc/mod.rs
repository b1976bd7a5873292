//! Single sign-on by OpenID Connect: the authorization code flow with PKCE (RFC 7636), state and nonce, and the issuer
//! in the answer checked where the provider sends it (RFC 9207).
//!
//! A subject enters the account that it was bound to. The first time, it is bound to the account with the address that
//! the provider vouches for (`email_verified`); an account must be there, nobody is let in because the provider knows
//! them. The second factor is then the provider's business.

mod fetch;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, header};
use axum::routing::get;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope, TokenResponse as _,
};
use parking_lot::Mutex;
use serde::Deserialize;

use super::accounts::{Account, Digest, Identity};
use super::cookie;
use super::guard::ClientAddress;
use super::login::{Shown, complete};
use super::page::{PageResult, see_other};
use super::route::{Access, Route};
use super::settings::SingleSignOn;
use super::site::local_path;
use super::state::WebState;
use crate::admin::Problem;
use crate::clock::Timestamp;
use crate::observe::{Event, emit};
use crate::tenants::secret;

pub use fetch::{FetchError, Fetcher};

pub(super) const ROUTES: &[Route] = &[
    Route::get("/login/oidc", Access::Public, || get(begin)),
    Route::get("/login/oidc/return", Access::Public, || get(finish)),
];

/// How long a person may be at the provider.
const AT_PROVIDER: Duration = Duration::from_mins(10);
/// Sign-ins under way at once; more are sent away, so that nobody fills the memory.
const UNDER_WAY: usize = 10_000;
/// How long what the provider says of itself is believed; its keys are in it.
const METADATA_LIVES: Duration = Duration::from_mins(10);

struct UnderWay {
    state: String,
    nonce: Nonce,
    verifier: PkceCodeVerifier,
    next: String,
    begun: Timestamp,
}

/// The provider, and the sign-ins that are at it.
pub struct Provider {
    settings: SingleSignOn,
    fetcher: Fetcher,
    metadata: Mutex<Option<(Arc<CoreProviderMetadata>, Timestamp)>>,
    /// By the digest of the browser's cookie: an answer counts in the browser that asked only.
    under_way: Mutex<HashMap<Digest, UnderWay>>,
}

impl Provider {
    /// A provider that is asked by `fetcher`.
    pub fn new(settings: SingleSignOn, fetcher: Fetcher) -> Self {
        Self { settings, fetcher, metadata: Mutex::default(), under_way: Mutex::default() }
    }

    /// Its name on the button.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    async fn metadata(&self, now: Timestamp) -> Result<Arc<CoreProviderMetadata>, Problem> {
        if let Some((known, at)) = self.metadata.lock().as_ref()
            && now.since(*at) < METADATA_LIVES
        {
            return Ok(known.clone());
        }
        let issuer = IssuerUrl::new(self.settings.issuer.clone()).map_err(|error| failed("the issuer", &error))?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &self.fetcher).await;
        let metadata = Arc::new(metadata.map_err(|error| failed("asking the provider", &error))?);
        *self.metadata.lock() = Some((metadata.clone(), now));
        Ok(metadata)
    }

    fn secret(&self) -> Result<ClientSecret, Problem> {
        let secret = self.settings.client_secret.read().map_err(|error| failed("the client secret", &error))?;
        let text = String::from_utf8_lossy(&secret).trim().to_owned();
        Ok(ClientSecret::new(text))
    }
}

/// The provider's or the operator's fault; the whole story is for the log.
fn failed(what: &str, error: &dyn std::error::Error) -> Problem {
    let mut text = format!("single sign-on: {what}: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    emit(&Event::Gateway { state: "single-sign-on-error", detail: text });
    Problem::bad_gateway(format!("single sign-on failed ({what}): try again, or sign in with your password"))
}

fn cookie_name(state: &WebState) -> &'static str {
    if state.site.secure { "__Host-waxseal-oidc" } else { "waxseal-oidc" }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Next {
    next: Option<String>,
}

macro_rules! client {
    ($provider:expr, $metadata:expr, $back:expr) => {
        CoreClient::from_provider_metadata(
            CoreProviderMetadata::clone(&$metadata),
            ClientId::new($provider.settings.client_id.clone()),
            Some($provider.secret()?),
        )
        .set_redirect_uri(RedirectUrl::new($back).map_err(|error| failed("the return address", &error))?)
    };
}

async fn begin(State(state): State<WebState>, headers: HeaderMap, Query(query): Query<Next>) -> PageResult {
    let provider = provider(&state)?;
    let now = state.rooms.clock.now();
    let metadata = provider.metadata(now).await?;
    let client = client!(provider, metadata, state.site.absolute("/login/oidc/return", &headers));
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (url, csrf, nonce) = client
        .authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random)
        .add_scope(Scope::new("email".to_owned()))
        .set_pkce_challenge(challenge)
        .url();
    let browser = secret::generate().map_err(|error| Problem::internal(error.to_string()))?;
    {
        let mut under_way = provider.under_way.lock();
        under_way.retain(|_, one| now.since(one.begun) < AT_PROVIDER);
        if under_way.len() >= UNDER_WAY {
            return Err(Problem::too_many("too many sign-ins are under way: try again in ten minutes"));
        }
        let next = local_path(query.next.as_deref());
        let one = UnderWay { state: csrf.secret().clone(), nonce, verifier, next, begun: now };
        under_way.insert(Digest::of(&browser), one);
    }
    let mut response = see_other(url.as_str());
    let cookie = cookie::write(cookie_name(&state), &browser, Some(AT_PROVIDER.as_secs()), state.site.secure);
    response.headers_mut().append(header::SET_COOKIE, cookie);
    Ok(response)
}

fn provider(state: &WebState) -> Result<&Provider, Problem> {
    state.rooms.provider.as_ref().ok_or_else(|| Problem::not_found("single sign-on is not set up here"))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Answer {
    code: Option<String>,
    state: String,
    iss: Option<String>,
    error: Option<String>,
}

async fn finish(
    State(state): State<WebState>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
) -> PageResult {
    let provider = provider(&state)?;
    let over = || Problem::forbidden("this sign-in was not begun in this browser, or took too long: begin again");
    let browser = cookie::read(&headers, cookie_name(&state)).ok_or_else(over)?;
    let now = state.rooms.clock.now();
    // Taken out: an answer counts once.
    let under_way = provider.under_way.lock().remove(&Digest::of(&browser)).ok_or_else(over)?;
    let same_state = Digest::of(&under_way.state) == Digest::of(&answer.state);
    let same_issuer = answer.iss.as_ref().is_none_or(|issuer| *issuer == provider.settings.issuer);
    if !same_state || !same_issuer || now.since(under_way.begun) >= AT_PROVIDER {
        return Err(over());
    }
    let Some(code) = answer.code else {
        // The provider's own words are anybody's words: they are not shown.
        let refused = if answer.error.as_deref() == Some("access_denied") { "was refused" } else { "failed" };
        return Err(Problem::forbidden(format!("the sign-in at the provider {refused}: begin again")));
    };
    let identity = identity(&state, provider, &headers, code, under_way.verifier, &under_way.nonce).await?;
    let account = account(&state, identity, address).await?;
    complete(&state, &account, Shown::SingleSignOn, &headers, address, &under_way.next, None).await
}

/// Who the provider says it is: the subject, and the address if it vouches for it.
async fn identity(
    state: &WebState,
    provider: &Provider,
    headers: &HeaderMap,
    code: String,
    verifier: PkceCodeVerifier,
    nonce: &Nonce,
) -> Result<(Identity, Option<String>), Problem> {
    let metadata = provider.metadata(state.rooms.clock.now()).await?;
    let client = client!(provider, metadata, state.site.absolute("/login/oidc/return", headers));
    let exchange =
        client.exchange_code(AuthorizationCode::new(code)).map_err(|error| failed("the token endpoint", &error))?;
    let tokens = exchange.set_pkce_verifier(verifier).request_async(&provider.fetcher).await;
    let tokens = tokens.map_err(|error| failed("exchanging the code", &error))?;
    let token =
        tokens.id_token().ok_or_else(|| Problem::bad_gateway("single sign-on: the provider sent no ID token"))?;
    let claims = token.claims(&client.id_token_verifier(), nonce).map_err(|error| failed("the ID token", &error))?;
    let identity = Identity { issuer: claims.issuer().to_string(), subject: claims.subject().to_string() };
    let address = claims.email().filter(|_| claims.email_verified() == Some(true)).map(|email| email.to_string());
    Ok((identity, address))
}

async fn account(
    state: &WebState,
    (identity, address): (Identity, Option<String>),
    client: std::net::IpAddr,
) -> Result<Arc<Account>, Problem> {
    let shut = |account: &Account| account.disabled.is_some();
    if let Some(account) = state.rooms.accounts.by_identity(&identity) {
        if shut(&account) {
            emit(&Event::AuthnFailure { user: account.email.clone(), client, reason: "the account is disabled" });
            return Err(Problem::forbidden("this account is disabled: ask an owner"));
        }
        return Ok(account);
    }
    let unbound = address.and_then(|address| state.rooms.accounts.by_email(&address));
    let Some(account) = unbound.filter(|account| account.identity.is_none() && !shut(account)) else {
        emit(&Event::AuthnFailure { user: "unknown".to_owned(), client, reason: "no account for this subject" });
        let detail = "nobody here has the address that the provider vouches for: ask an owner for an account";
        return Err(Problem::forbidden(detail));
    };
    let (id, by) = (account.id.clone(), account.email.clone());
    let bind = move |accounts: &super::accounts::Accounts| {
        accounts.change(&id, &by, |account| {
            let words = format!("bound {} to subject {} of {}", account.email, identity.subject, identity.issuer);
            account.identity = Some(identity);
            Some(words)
        })
    };
    state.accounts(bind).await
}
