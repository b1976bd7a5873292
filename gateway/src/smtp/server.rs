//! The listeners: sockets for sessions.
//!
//! Binds every address, accepts within the limits on connections, and runs each connection as a task of its own. At
//! the end it stops accepting, lets sessions at rest go with 421 and transactions come to their end, within a time.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::addressees::{Addressees, Desk, Receiver};
use super::auth::{Authenticator, Credentials};
use super::budget::Budget;
use super::connection;
use super::gate::Gate;
use super::session::{Rules, Service};
use crate::clock::Clock;
use crate::config::{Limits, Listener, ListenerKind, ListenerTls};
use crate::message::DomainName;
use crate::pipeline::Acceptor;
use crate::tenants::secret::SecretError;

/// The TLS configuration that the next handshake uses; replaced on reload.
#[derive(Clone, Default)]
pub struct TlsSlot(Arc<RwLock<Option<Arc<ServerConfig>>>>);

impl TlsSlot {
    /// A slot with this configuration.
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self(Arc::new(RwLock::new(Some(config))))
    }

    /// Puts another one in; handshakes under way keep theirs.
    pub fn replace(&self, config: Arc<ServerConfig>) {
        *self.0.write() = Some(config);
    }

    /// The present one.
    pub fn get(&self) -> Option<Arc<ServerConfig>> {
        self.0.read().clone()
    }
}

/// What the server is made of.
pub struct SmtpParts {
    /// Our name.
    pub hostname: DomainName,
    /// Bounds on everything.
    pub limits: Limits,
    /// The listeners; those that are not for mail, or whose desk is missing, are passed over.
    pub listeners: Vec<Listener>,
    /// TLS.
    pub tls: TlsSlot,
    /// Takes letters.
    pub acceptor: Arc<dyn Acceptor>,
    /// Whom the mail of services may go to.
    pub addressees: Arc<dyn Addressees>,
    /// Takes what comes back.
    pub bounces: Option<Desk>,
    /// Takes posts.
    pub posts: Option<Desk>,
    /// Knows credentials.
    pub credentials: Arc<dyn Credentials>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// See [`Authenticator::new`].
    pub decoy_key: [u8; 32],
}

/// Why the server does not start; all are the operator's.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address is taken or not ours.
    #[error("listener \"{listener}\": cannot listen on {address}: {why}")]
    Bind {
        /// The listener.
        listener: String,
        /// Its address.
        address: SocketAddr,
        /// What the system said.
        why: io::Error,
    },
    /// `tls = "none"` on an address that others can reach.
    #[error("listener \"{listener}\": tls = \"none\" is for loopback addresses only, not {address}")]
    PlainOutside {
        /// The listener.
        listener: String,
        /// Its address.
        address: SocketAddr,
    },
    /// A listener needs a certificate and there is none.
    #[error("listener \"{0}\" needs [tls] certificate and key")]
    NoCertificate(String),
    /// No randomness or memory.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What every connection shares.
pub(super) struct Shared {
    pub(super) tls: TlsSlot,
    pub(super) acceptor: Arc<dyn Acceptor>,
    pub(super) authenticator: Authenticator,
    pub(super) clock: Arc<dyn Clock>,
    gate: Arc<Gate>,
}

/// What the connections of one listener share.
pub(super) struct Door {
    pub(super) name: String,
    pub(super) tls: ListenerTls,
    pub(super) proxy_from: Vec<ipnet::IpNet>,
    pub(super) rules: Arc<Rules>,
    /// Takes what comes in, where nobody signs in.
    pub(super) receiver: Option<Arc<dyn Receiver>>,
}

impl Door {
    /// Must a connection from here begin with a PROXY header?
    pub(super) fn proxied(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.proxy_from.iter().any(|network| network.contains(&peer))
    }
}

/// The server, bound and not yet accepting.
pub struct SmtpServer {
    shared: Arc<Shared>,
    sockets: Vec<(Arc<Door>, TcpListener, SocketAddr)>,
}

impl SmtpServer {
    /// Binds all addresses of the listeners for mail.
    pub async fn bind(parts: SmtpParts) -> Result<Self, ServerError> {
        let SmtpParts { hostname, limits, listeners, tls, acceptor, addressees, bounces, posts, .. } = parts;
        let SmtpParts { credentials, clock, decoy_key, .. } = parts;
        let budget = Budget::new(limits.memory_for_messages);
        let mut sockets = Vec::new();
        for listener in listeners {
            let Listener { name, addresses, kind, tls: how, proxy_from, .. } = listener;
            let desk = match kind {
                ListenerKind::Submission => None,
                ListenerKind::Bounce => bounces.clone(),
                ListenerKind::Posts => posts.clone(),
                ListenerKind::Http | ListenerKind::Metrics => continue,
            };
            if desk.is_none() && kind != ListenerKind::Submission {
                continue;
            }
            if how != ListenerTls::None && tls.get().is_none() {
                return Err(ServerError::NoCertificate(name));
            }
            let service = match &desk {
                None => Service::Submission,
                Some(_) => Service::Reception { tls_required: how == ListenerTls::StartTlsRequired },
            };
            let (addressees, receiver) = match desk {
                None => (Arc::clone(&addressees), None),
                Some(desk) => (desk.addressees, Some(desk.receiver)),
            };
            let (hostname, limits, budget) = (hostname.clone(), limits.clone(), Arc::clone(&budget));
            let rules = Arc::new(Rules { service, addressees, hostname, limits, budget });
            let door = Arc::new(Door { name, tls: how, proxy_from, rules, receiver });
            for address in addresses {
                let listener = || door.name.clone();
                if how == ListenerTls::None && !address.ip().to_canonical().is_loopback() {
                    return Err(ServerError::PlainOutside { listener: listener(), address });
                }
                let bind = |why| ServerError::Bind { listener: listener(), address, why };
                let socket = TcpListener::bind(address).await.map_err(bind)?;
                let bound = socket.local_addr().map_err(bind)?;
                sockets.push((Arc::clone(&door), socket, bound));
            }
        }
        let (keeper, counter, bounds) = (credentials, Arc::clone(&clock), limits.clone());
        let authenticator =
            tokio::task::spawn_blocking(move || Authenticator::new(keeper, counter, &bounds, decoy_key))
                .await
                .map_err(|_| SecretError::Panicked)??;
        let gate = Gate::new(limits.connections, limits.connections_per_ip);
        Ok(Self { shared: Arc::new(Shared { tls, acceptor, authenticator, clock, gate }), sockets })
    }

    /// Listener names and the addresses that they got.
    pub fn addresses(&self) -> Vec<(String, SocketAddr)> {
        self.sockets.iter().map(|(door, _, address)| (door.name.clone(), *address)).collect()
    }

    /// Serves until `shutdown` is true (or its sender is gone); then returns when the last session has ended, or
    /// after `drain`.
    pub async fn serve(self, shutdown: watch::Receiver<bool>, drain: Duration) {
        let mut doors = JoinSet::new();
        for (door, socket, _) in self.sockets {
            doors.spawn(accept(door, socket, Arc::clone(&self.shared), shutdown.clone(), drain));
        }
        while doors.join_next().await.is_some() {}
    }
}

async fn accept(
    door: Arc<Door>,
    socket: TcpListener,
    shared: Arc<Shared>,
    mut shutdown: watch::Receiver<bool>,
    drain: Duration,
) {
    let mut connections = JoinSet::new();
    let stopping = shutdown.clone();
    let stop = async move {
        // A dropped sender means that the program is going down: the same as being told.
        let _ = shutdown.wait_for(|stop| *stop).await;
    };
    tokio::pin!(stop);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = socket.accept() => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, peer)) => {
                admit(stream, peer, &door, &shared, &stopping, &mut connections);
            }
            // Out of file descriptors, or a client that went away: neither may spin nor end the listener.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    drop(socket);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Past the time the set is dropped, which ends the tasks at their next wait.
    let _ = tokio::time::timeout(drain, ended).await;
}

fn admit(
    stream: TcpStream,
    peer: SocketAddr,
    door: &Arc<Door>,
    shared: &Arc<Shared>,
    stopping: &watch::Receiver<bool>,
    connections: &mut JoinSet<()>,
) {
    match shared.gate.enter() {
        Some(place) => {
            let work = connection::run(stream, peer, place, Arc::clone(door), Arc::clone(shared), stopping.clone());
            connections.spawn(work);
        }
        None => connection::turn_away(&stream, peer.ip(), door, "connections", "too many connections"),
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;
