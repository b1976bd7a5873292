//! The web and metrics listeners, the control socket, and what they reach.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::checks::Checks;
use super::web_tls::TlsDoor;
use super::{Gateway, RunError, tenancy};
use crate::admin::server::AdminState;
use crate::admin::{health, server as admin};
use crate::clock::Clock;
use crate::config::{Listener, ListenerKind, ListenerTls};
use crate::deliver::TcpDialer;
use crate::deliver::tls::TlsClients;
use crate::observe::{Event, emit};
use crate::resolver::HickoryResolver;
use crate::schedule::Control;
use crate::tenants::Registry;
use crate::threads::Processors;
use crate::web::account::PendingFactors;
use crate::web::accounts::{AccountError, Accounts, Lifetimes};
use crate::web::login::throttle::SignInThrottle;
use crate::web::notify::OwnMail;
use crate::web::oidc::{Fetcher, Provider};
use crate::web::people::PeopleAdmin;
use crate::web::posts::PostAdmin;
use crate::web::site::{Peer, Site};
use crate::web::suppressions::SuppressionAdmin;
use crate::web::{self, Rooms};

/// How often the use of sessions and tokens is written down.
const SWEEP: Duration = Duration::from_mins(5);

/// A listener with its socket and the address that it got.
pub(super) type Bound = (Listener, TcpListener, SocketAddr);

pub(super) fn open_accounts(
    registry: &Arc<Registry>,
    lifetimes: Lifetimes,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Accounts>, RunError> {
    let accounts = Accounts::open(registry.clone(), clock, lifetimes);
    Ok(Arc::new(accounts.map_err(|error| RunError::Control(error.to_string()))?))
}

pub(super) async fn bind(listeners: &[Listener]) -> Result<Vec<Bound>, RunError> {
    let mut bound = Vec::new();
    for listener in listeners {
        if !matches!(listener.kind, ListenerKind::Http | ListenerKind::Metrics) {
            continue;
        }
        for address in &listener.addresses {
            let fail = |e: std::io::Error| {
                RunError::Listen(format!("listener \"{}\": cannot listen on {address}: {e}", listener.name))
            };
            let socket = TcpListener::bind(address).await.map_err(fail)?;
            let got = socket.local_addr().map_err(fail)?;
            bound.push((listener.clone(), socket, got));
        }
    }
    Ok(bound)
}

impl Gateway {
    fn admin_state(self: &Arc<Self>) -> AdminState {
        AdminState {
            queue: Arc::new(Control(self.scheduler.clone())),
            tenants: Arc::new(tenancy::Tenancy::new(self.clone())),
            routes: self.courier.clone(),
            gateway: self.clone(),
            store: self.clone(),
            history: self.remembered.history.clone(),
        }
    }

    pub(super) fn serve_web(
        self: &Arc<Self>,
        bound: Vec<Bound>,
        mail: Arc<dyn OwnMail>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Vec<JoinHandle<()>>, RunError> {
        let config = self.config.read().clone();
        let unusable = |error: &dyn std::fmt::Display| RunError::Dns(error.to_string());
        let checks = Arc::new(Checks(self.clone()));
        let provider = config.web.single_sign_on.clone().map(|settings| -> Result<_, RunError> {
            let resolver = HickoryResolver::new(&config.dns, false).map_err(|error| unusable(&error))?;
            let tls = TlsClients::new(config.delivery.ca_file.as_deref());
            let tls = tls.map_err(|error| RunError::Tls(error.to_string()))?;
            Ok(Provider::new(settings, Fetcher::new(Arc::new(resolver), Arc::new(TcpDialer), tls)))
        });
        let rooms = Arc::new(Rooms {
            admin: self.admin_state(),
            registry: self.registry.clone(),
            checks,
            accounts: self.accounts.clone(),
            posts: self.posts.clone(),
            suppressions: self.remembered.suppressions.clone(),
            clock: clock.clone(),
            processors: Processors::all(),
            settings: config.web.clone(),
            provider: provider.transpose()?,
            mail,
            pending_factors: PendingFactors::default(),
            throttle: SignInThrottle::default(),
        });
        let served = bound.into_iter().map(|(listener, socket, _)| self.serve_one(&listener, socket, rooms.clone()));
        Ok(served.collect())
    }

    fn serve_one(self: &Arc<Self>, listener: &Listener, socket: TcpListener, rooms: Arc<Rooms>) -> JoinHandle<()> {
        let router = match listener.kind {
            ListenerKind::Metrics => health::metrics_router(),
            _ => health::http_router(self.clone()).merge(web::router(rooms, Site::new(listener))),
        };
        let mut stop = self.stop_doors.subscribe();
        let tls = (listener.tls == ListenerTls::Implicit).then(|| self.tls.clone());
        tokio::spawn(async move {
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            let service = router.into_make_service_with_connect_info::<Peer>();
            // Errors of single connections are the clients'; the listener itself was bound.
            let _ = match tls {
                None => axum::serve(socket, service).with_graceful_shutdown(stopped).await,
                Some(tls) => axum::serve(TlsDoor::new(socket, tls), service).with_graceful_shutdown(stopped).await,
            };
        })
    }

    pub(super) fn serve_control(self: &Arc<Self>, socket: UnixListener, clock: &Arc<dyn Clock>) -> JoinHandle<()> {
        let state = self.admin_state();
        let people = PeopleAdmin {
            rules: self.config.read().web.password_rules,
            accounts: self.accounts.clone(),
            registry: self.registry.clone(),
            clock: clock.clone(),
        };
        let posts = PostAdmin { posts: self.posts.clone(), registry: self.registry.clone() };
        let suppressions = self.remembered.suppressions.clone();
        let suppressions = SuppressionAdmin { suppressions, registry: self.registry.clone() };
        let more = web::control::router(self.registry.clone())
            .merge(web::people::control_router(people))
            .merge(web::posts::control_router(posts))
            .merge(web::suppressions::control_router(suppressions));
        let mut stop = self.stop_rest.subscribe();
        tokio::spawn(async move {
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            let _ = admin::serve(socket, state, more, stopped).await;
        })
    }

    pub(super) async fn sweep_accounts(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            let _ = tokio::time::timeout(SWEEP, stop.wait_for(|stop| *stop)).await;
            let (accounts, registry) = (self.accounts.clone(), self.registry.clone());
            let swept = tokio::task::spawn_blocking(move || {
                accounts.sweep()?;
                Ok::<_, AccountError>(registry.checkpoint_audit()?)
            });
            match swept.await {
                Ok(Ok(Some(made))) => {
                    emit(&Event::AuditCheckpoint { number: made.number, head: made.head, signature: made.signature });
                }
                Ok(Err(error)) => emit(&Event::Gateway { state: "accounts-error", detail: error.to_string() }),
                Ok(Ok(None)) | Err(_) => {}
            }
            if *stop.borrow() {
                return;
            }
        }
    }
}
