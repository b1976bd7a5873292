//! The web listener without a socket: every route with every role and tenant, and what a sign-in must not allow.

mod door;
mod hostile;
mod people;
mod table;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::connect_info::MockConnectInfo;
use axum::http::{Request, StatusCode, header};
use axum::response::Response;
use tower::ServiceExt as _;
use waxseal_keys::sealing::KeyEncryptionKey;
use zeroize::Zeroizing;

use super::accounts::{Accounts, FirstPassword, Lifetimes, NewToken};
use super::domains::report::{DomainChecks, DomainReport};
use super::login::throttle::SignInThrottle;
use super::notify::OwnMail;
use super::role::{Grant, Role};
use super::site::{Peer, Site};
use super::{Rooms, router};
use crate::admin::fake::Fake;
use crate::admin::ports::AdminError;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::ids::TenantId;
use crate::message::{DomainName, Letter, Mailbox, Received};
use crate::pipeline::AcceptError;
use crate::posts::{self, NoClassifier, Posts};
use crate::returns::Suppressions;
use crate::store::journal::TenantKeys;
use crate::store::ledger::MemoryLedger;
use crate::tenants::Registry;
use crate::threads::Processors;

pub(super) const NOW: Timestamp = Timestamp::from_millis(1_795_442_709_123);
pub(super) const PASSWORD: &str = "three wet herons";

struct NoChecks;

#[async_trait::async_trait]
impl DomainChecks for NoChecks {
    fn last(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        Ok(DomainReport { domain: domain.to_string(), checked: None, next: None, records: Vec::new() })
    }
    async fn check(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        self.last(domain)
    }
}

struct NoMail;

#[async_trait::async_trait]
impl OwnMail for NoMail {
    async fn send(&self, _: &Mailbox, _: Letter<Received>) -> Result<(), AcceptError> {
        Ok(())
    }
}

/// Two tenants (alpha with alpha.example, bravo with bravo.example) behind a web listener on loopback.
pub(super) struct House {
    pub(super) rooms: Arc<Rooms>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) router: Router,
    _dir: tempfile::TempDir,
}

struct Keys(Arc<Registry>);

impl TenantKeys for Keys {
    fn data_key(&self, tenant: TenantId) -> Option<Arc<waxseal_keys::sealing::DataKey>> {
        self.0.data_key(tenant)
    }
}

fn posts(dir: &std::path::Path, registry: &Arc<Registry>, clock: &Arc<ManualClock>) -> Arc<Posts> {
    let keys = Arc::new(Keys(registry.clone()));
    Posts::open(dir, keys, Arc::new(NoClassifier), clock.clone(), posts::Settings::default()).unwrap().0
}

fn suppressions(registry: &Registry, clock: &Arc<ManualClock>) -> Arc<Suppressions> {
    let ledger = Arc::new(MemoryLedger::default());
    Suppressions::open(ledger, registry.derived_key(b"test"), clock.clone()).unwrap()
}

impl House {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let kek = KeyEncryptionKey::parse(&"5a".repeat(32)).unwrap();
        let registry = Arc::new(Registry::open(dir.path(), &kek, clock.clone()).unwrap());
        registry.set_default_algorithms(vec![waxseal_keys::Algorithm::Ed25519]);
        for tenant in ["alpha", "bravo"] {
            registry.add_tenant(tenant, "test").unwrap();
            registry.add_domain(&format!("{tenant}.example").parse().unwrap(), tenant, "test").unwrap();
        }
        let accounts = Accounts::open(registry.clone(), clock.clone(), Lifetimes::default()).unwrap();
        let rooms = Arc::new(Rooms {
            admin: Arc::new(Fake::default()).state(),
            registry: registry.clone(),
            checks: Arc::new(NoChecks),
            accounts: Arc::new(accounts),
            posts: posts(dir.path(), &registry, &clock),
            suppressions: suppressions(&registry, &clock),
            clock: clock.clone() as Arc<dyn Clock>,
            processors: Processors::all(),
            settings: super::settings::WebSettings::default(),
            provider: None,
            mail: Arc::new(NoMail),
            pending_factors: super::account::PendingFactors::default(),
            throttle: SignInThrottle::default(),
        });
        let site = Site { public_url: None, secure: false, proxies: Vec::new() };
        let peer = Peer("127.0.0.1:50000".parse().unwrap());
        let router = router(rooms.clone(), site).layer(MockConnectInfo(peer));
        Self { rooms, clock, router, _dir: dir }
    }

    pub(super) fn tenant(&self, name: &str) -> TenantId {
        self.rooms.registry.snapshot().tenant_by_name(name).unwrap().id
    }

    /// A token for a role in a tenant, or in all.
    pub(super) fn token(&self, role: Role, tenant: Option<&str>) -> Zeroizing<String> {
        let grant = Grant { tenant: tenant.map(|name| self.tenant(name)), role };
        self.rooms.accounts.new_token(&NewToken { name: "test", grant, expires: None }, "test").unwrap().1
    }

    /// A person with [`PASSWORD`].
    pub(super) fn person(&self, email: &str, role: Role, tenant: Option<&str>) {
        let grant = Grant { tenant: tenant.map(|name| self.tenant(name)), role };
        let password = FirstPassword::Chosen(Zeroizing::new(PASSWORD.to_owned()));
        self.rooms.accounts.add(email, grant, password, "test").unwrap();
    }

    pub(super) async fn ask(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// Sends a form as a browser does from a page of ours.
    pub(super) async fn form(&self, path: &str, cookies: &str, body: &str) -> Response {
        let request = Request::post(path)
            .header(header::HOST, "localhost:8080")
            .header("sec-fetch-site", "same-origin")
            .header(header::COOKIE, cookies)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(body.to_owned()));
        self.ask(request.unwrap()).await
    }

    pub(super) async fn get(&self, path: &str, cookies: &str) -> Response {
        let request = Request::get(path).header(header::HOST, "localhost:8080").header(header::COOKIE, cookies);
        self.ask(request.body(Body::empty()).unwrap()).await
    }

    /// Signs a person in; the cookies.
    pub(super) async fn sign_in(&self, email: &str) -> String {
        let response = self.form("/login", "", &format!("email={email}&password={}", PASSWORD.replace(' ', "+"))).await;
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        cookies(&response)
    }
}

/// What a browser sends back of the cookies that it was given.
pub(super) fn cookies(response: &Response) -> String {
    let set = response.headers().get_all(header::SET_COOKIE).iter();
    set.filter_map(|value| value.to_str().unwrap().split(';').next()).collect::<Vec<_>>().join("; ")
}

pub(super) fn location(response: &Response) -> &str {
    response.headers().get(header::LOCATION).map_or("", |value| value.to_str().unwrap())
}

pub(super) async fn text(response: Response) -> String {
    let body = axum::body::to_bytes(response.into_body(), 10 << 20).await.unwrap();
    String::from_utf8_lossy(&body).into_owned()
}
