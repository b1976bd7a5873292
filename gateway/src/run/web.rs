//! The web and metrics listeners, the control socket, and what they reach.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Gateway, RunError, tenancy};
use crate::admin::server::AdminState;
use crate::admin::{health, server as admin};
use crate::clock::Clock;
use crate::config::{Listener, ListenerKind};
use crate::observe::{Event, emit};
use crate::schedule::Control;
use crate::tenants::Registry;
use crate::threads::Processors;
use crate::web::accounts::{Accounts, Lifetimes};
use crate::web::control::AccountAdmin;
use crate::web::login::throttle::SignInThrottle;
use crate::web::posts::PostAdmin;
use crate::web::site::Site;
use crate::web::{self, Rooms};

/// How often the use of sessions and tokens is written down.
const SWEEP: Duration = Duration::from_mins(5);

/// A listener with its socket and the address that it got.
pub(super) type Bound = (Listener, TcpListener, SocketAddr);

pub(super) fn open_accounts(registry: &Arc<Registry>, clock: Arc<dyn Clock>) -> Result<Arc<Accounts>, RunError> {
    let accounts = Accounts::open(registry.clone(), clock, Lifetimes::default());
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
        }
    }

    pub(super) fn serve_web(self: &Arc<Self>, bound: Vec<Bound>, clock: &Arc<dyn Clock>) -> Vec<JoinHandle<()>> {
        let rooms = Arc::new(Rooms {
            admin: self.admin_state(),
            registry: self.registry.clone(),
            accounts: self.accounts.clone(),
            posts: self.posts.clone(),
            clock: clock.clone(),
            processors: Processors::all(),
            throttle: SignInThrottle::default(),
        });
        bound.into_iter().map(|(listener, socket, _)| self.serve_one(&listener, socket, rooms.clone())).collect()
    }

    fn serve_one(self: &Arc<Self>, listener: &Listener, socket: TcpListener, rooms: Arc<Rooms>) -> JoinHandle<()> {
        let router = match listener.kind {
            ListenerKind::Metrics => health::metrics_router(),
            _ => health::http_router(self.clone()).merge(web::router(rooms, Site::new(listener))),
        };
        let mut stop = self.stop_doors.subscribe();
        tokio::spawn(async move {
            let stopped = async move {
                let _ = stop.wait_for(|stop| *stop).await;
            };
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            // Errors of single connections are the clients'; the listener itself was bound.
            let _ = axum::serve(socket, service).with_graceful_shutdown(stopped).await;
        })
    }

    pub(super) fn serve_control(self: &Arc<Self>, socket: UnixListener, clock: &Arc<dyn Clock>) -> JoinHandle<()> {
        let state = self.admin_state();
        let accounts =
            AccountAdmin { accounts: self.accounts.clone(), registry: self.registry.clone(), clock: clock.clone() };
        let posts = PostAdmin { posts: self.posts.clone(), registry: self.registry.clone() };
        let more = web::control::router(accounts).merge(web::posts::control_router(posts));
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
            let accounts = self.accounts.clone();
            if let Ok(Err(error)) = tokio::task::spawn_blocking(move || accounts.sweep()).await {
                emit(&Event::Gateway { state: "accounts-error", detail: error.to_string() });
            }
            if *stop.borrow() {
                return;
            }
        }
    }
}
