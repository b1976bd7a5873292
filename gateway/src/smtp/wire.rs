//! A connection's octets, in the clear or under TLS, read without a buffer of its own.
//!
//! A connection that waits for its client holds no read buffer: octets land in one of the thread's and are copied
//! from there once they exist. Ten thousand idle clients cost their sessions and nothing more.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::ready;

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// Octets of one read: one flight of a client that sends a message of usual size.
const READ: usize = 64 * 1024;

thread_local! {
    static LANDING: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into_boxed_slice());
}

/// A connection.
pub(super) enum Wire {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// Taken for a handshake that did not come to its end.
    Gone,
}

impl Wire {
    /// Does the server's side of the handshake; what `Received` says of it.
    pub(super) async fn encrypt(stream: TcpStream, config: Arc<ServerConfig>) -> io::Result<(Self, String)> {
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        let connection = stream.get_ref().1;
        let version = match connection.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => "TLSv1.2",
            _ => "TLSv1.3",
        };
        let cipher = connection.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite()));
        let facts = format!("{version} with cipher {}", cipher.as_deref().unwrap_or("unknown"));
        Ok((Self::Tls(Box::new(stream)), facts))
    }

    /// Appends what there is to `pending`; 0 at the end of the stream.
    pub(super) async fn read(&mut self, pending: &mut Vec<u8>) -> io::Result<usize> {
        poll_fn(|context| {
            LANDING.with_borrow_mut(|landing| {
                let mut buffer = ReadBuf::new(landing);
                ready!(match self {
                    Self::Plain(stream) => Pin::new(stream).poll_read(context, &mut buffer),
                    Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, &mut buffer),
                    Self::Gone => return std::task::Poll::Ready(Ok(0)),
                })?;
                pending.extend_from_slice(buffer.filled());
                std::task::Poll::Ready(Ok(buffer.filled().len()))
            })
        })
        .await
    }

    /// Writes all of it.
    pub(super) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
            Self::Gone => Ok(()),
        }
    }

    /// Ends our side.
    pub(super) async fn finish(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::Gone => Ok(()),
        }
    }
}
