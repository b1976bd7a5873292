//! Connections behind a trait (invariant 8): nothing else in this room opens a socket.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

/// Octets both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin + ?Sized> Stream for T {}

/// Who opens connections.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// Connects to `to`, from `source` if one is given. The caller limits the time.
    async fn dial(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<Box<dyn Stream>>;
}

/// TCP of this machine.
#[derive(Debug, Default, Clone, Copy)]
pub struct TcpDialer;

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, to: SocketAddr, source: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let stream = match source {
            None => TcpStream::connect(to).await?,
            Some(source) => {
                let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                socket.bind(SocketAddr::new(source, 0))?;
                socket.connect(to).await?
            }
        };
        // Without it the last, short segment of a letter waits for the delayed ACK of the one before: 40 ms each.
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
