//! TLS for web listeners: handshakes run beside each other, so that a slow one holds up nobody.

use std::net::SocketAddr;
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::smtp::TlsSlot;
use crate::web::site::Peer;

const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once; past it nobody is accepted until one ends.
const AT_ONCE: usize = 512;

type Connection = (TlsStream<TcpStream>, SocketAddr);

/// A socket whose connections begin with TLS.
pub(super) struct TlsDoor {
    socket: TcpListener,
    tls: TlsSlot,
    handshakes: JoinSet<Option<Connection>>,
}

impl TlsDoor {
    pub(super) fn new(socket: TcpListener, tls: TlsSlot) -> Self {
        Self { socket, tls, handshakes: JoinSet::new() }
    }
}

impl Listener for TlsDoor {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> Connection {
        loop {
            tokio::select! {
                Some(done) = self.handshakes.join_next() => {
                    if let Ok(Some(connection)) = done {
                        return connection;
                    }
                }
                (stream, peer) = Listener::accept(&mut self.socket), if self.handshakes.len() < AT_ONCE => {
                    // The configuration's check has seen to it that there is a certificate.
                    let Some(config) = self.tls.get() else { continue };
                    let handshake = TlsAcceptor::from(config).accept(stream);
                    self.handshakes.spawn(async move {
                        let stream = tokio::time::timeout(HANDSHAKE, handshake).await.ok()?.ok()?;
                        Some((stream, peer))
                    });
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Connected<IncomingStream<'_, TlsDoor>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TlsDoor>) -> Self {
        Self(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, TcpListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, TcpListener>) -> Self {
        Self(*stream.remote_addr())
    }
}
