//! One HTTPS request to a host of the public Internet, for MTA-STS policies (RFC 8461 §3.3) and TLS reports
//! (RFC 8460 §5.4).
//!
//! Promises: the certificate proves the host's name by the web's authorities or `ca_file`; no redirect is followed;
//! the answer is bounded and so is the time, all of it together. The address is looked up and dialled as for mail:
//! somebody else's DNS must not make us speak to machines beside us.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST, USER_AGENT};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::dialer::Dialer;
use super::targets::{Surroundings, is_public};
use crate::message::DomainName;
use crate::resolver::{DnsFailure, Resolver};

/// All of a request together (RFC 8461 §3.3 suggests a minute; senders wait meanwhile).
pub const TIME_LIMIT: Duration = Duration::from_secs(30);
/// Addresses that are tried.
const MAX_ADDRESSES: usize = 4;

/// Why there is no answer. Nothing of it is for good.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HttpsError {
    /// The host's address is not to be had.
    #[error("{0}: {1}")]
    Dns(String, DnsFailure),
    /// It has no public address.
    #[error("{0} has no public address")]
    NotPublic(String),
    /// Nobody takes the connection.
    #[error("connecting to {0}: {1}")]
    Connect(String, String),
    /// The certificate does not prove the name.
    #[error("the certificate of {0} does not prove its name: {1}")]
    Certificate(String, String),
    /// The handshake failed otherwise.
    #[error("TLS with {0}: {1}")]
    Tls(String, String),
    /// The other side does not speak HTTP as it should.
    #[error("{0}: {1}")]
    Http(String, String),
    /// The answer is too long.
    #[error("{0}: the answer is over {1} octets")]
    TooLong(String, usize),
    /// It took too long.
    #[error("{0}: no answer in time")]
    TimedOut(String),
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpsAnswer {
    /// 200 and so on.
    pub status: u16,
    /// The media type without parameters, in lower case; empty if none was said.
    pub media_type: String,
    /// The body.
    pub body: Bytes,
}

/// What a client is made of.
pub struct HttpsClient<'a> {
    /// Who knows addresses.
    pub resolver: &'a dyn Resolver,
    /// Who opens connections.
    pub dialer: &'a dyn Dialer,
    /// TLS that proves names.
    pub tls: Arc<ClientConfig>,
    /// Which addresses may be dialled.
    pub surroundings: &'a Surroundings,
}

impl HttpsClient<'_> {
    /// GET; a body of more than `most` octets is an error.
    pub async fn get(&self, host: &DomainName, path: &str, most: usize) -> Result<HttpsAnswer, HttpsError> {
        let request = Request::get(path).body(Full::default());
        self.limited(host, self.surroundings.https_port, request, most).await
    }

    /// POST of a body of this type.
    pub async fn post(
        &self,
        host: &DomainName,
        port: Option<u16>,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<HttpsAnswer, HttpsError> {
        let request = Request::post(path).header(CONTENT_TYPE, media_type).body(Full::new(body));
        self.limited(host, port.unwrap_or(self.surroundings.https_port), request, 64 * 1024).await
    }

    async fn limited(
        &self,
        host: &DomainName,
        port: u16,
        request: Result<Request<Full<Bytes>>, hyper::http::Error>,
        most: usize,
    ) -> Result<HttpsAnswer, HttpsError> {
        let request = request.map_err(|error| HttpsError::Http(host.to_string(), error.to_string()))?;
        let answer = tokio::time::timeout(TIME_LIMIT, self.request(host, port, request, most));
        answer.await.unwrap_or_else(|_| Err(HttpsError::TimedOut(host.to_string())))
    }

    async fn request(
        &self,
        host: &DomainName,
        port: u16,
        mut request: Request<Full<Bytes>>,
        most: usize,
    ) -> Result<HttpsAnswer, HttpsError> {
        let wrong = |error: &dyn std::fmt::Display| HttpsError::Http(host.to_string(), error.to_string());
        let stream = self.connect(host, port).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| wrong(&error))?;
        let driver = tokio::spawn(connection);
        let authority = if port == 443 { host.to_string() } else { format!("{host}:{port}") };
        let headers = request.headers_mut();
        headers.insert(HOST, authority.parse().map_err(|error| wrong(&error))?);
        headers.insert(
            USER_AGENT,
            hyper::header::HeaderValue::from_static(concat!("waxseal/", env!("CARGO_PKG_VERSION"))),
        );
        let answer = sender.send_request(request).await.map_err(|error| wrong(&error))?;
        let status = answer.status().as_u16();
        let media_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let body = Limited::new(answer.into_body(), most).collect().await;
        driver.abort();
        let body = body.map_err(|error| {
            if error.is::<http_body_util::LengthLimitError>() {
                HttpsError::TooLong(host.to_string(), most)
            } else {
                wrong(&error)
            }
        })?;
        Ok(HttpsAnswer { status, media_type, body: body.to_bytes() })
    }

    async fn connect(
        &self,
        host: &DomainName,
        port: u16,
    ) -> Result<tokio_rustls::client::TlsStream<Box<dyn super::Stream>>, HttpsError> {
        let found = self.resolver.addresses(host).await.map_err(|why| HttpsError::Dns(host.to_string(), why))?;
        let reachable = |address: &std::net::IpAddr| {
            is_public(*address) || (self.surroundings.allow_loopback_mx && address.to_canonical().is_loopback())
        };
        let mut last = HttpsError::NotPublic(host.to_string());
        for address in found.addresses.into_iter().filter(reachable).take(MAX_ADDRESSES) {
            match self.dialer.dial(SocketAddr::new(address, port), None).await {
                Ok(stream) => return self.secure(host, stream).await,
                Err(error) => last = HttpsError::Connect(host.to_string(), error.to_string()),
            }
        }
        Err(last)
    }

    async fn secure(
        &self,
        host: &DomainName,
        stream: Box<dyn super::Stream>,
    ) -> Result<tokio_rustls::client::TlsStream<Box<dyn super::Stream>>, HttpsError> {
        let name = ServerName::try_from(host.to_string());
        let name = name.map_err(|error| HttpsError::Tls(host.to_string(), error.to_string()))?;
        TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await.map_err(|error| {
            let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            if matches!(inner, Some(rustls::Error::InvalidCertificate(_))) {
                HttpsError::Certificate(host.to_string(), error.to_string())
            } else {
                HttpsError::Tls(host.to_string(), error.to_string())
            }
        })
    }
}
