//! Connections, behind a trait: nothing else in this room opens a socket.

use std::io;
use std::net::{IpAddr, SocketAddr};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, TcpStream};

/// A connection, in the clear or under TLS.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Opens connections.
#[async_trait]
pub trait Dialer: Send + Sync + 'static {
    /// Connects to `address`, from `source` if that is given. The caller limits the time.
    async fn dial(&self, address: SocketAddr, source: Option<IpAddr>) -> io::Result<Box<dyn Stream>>;
}

/// TCP.
#[derive(Debug, Default, Clone, Copy)]
pub struct TcpDialer;

#[async_trait]
impl Dialer for TcpDialer {
    async fn dial(&self, address: SocketAddr, source: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let stream = match source {
            Some(source) => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
                socket.bind(SocketAddr::new(source, 0))?;
                socket.connect(address).await?
            }
            None => TcpStream::connect(address).await?,
        };
        // Without it Nagle waits for the delayed acknowledgement: 40 ms a message.
        stream.set_nodelay(true)?;
        Ok(Box::new(stream))
    }
}
