//! One HTTP request to an identity provider: over TLS with the machine's trust anchors, without redirects, with bounds on
//! time and size. Plain http only to this machine itself.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rustls_pki_types::ServerName;
use tokio_rustls::TlsConnector;

use crate::deliver::tls::TlsClients;
use crate::deliver::tls_policy::Proof;
use crate::deliver::{Dialer, Stream};
use crate::resolver::Resolver;

const PATIENCE: Duration = Duration::from_secs(10);
const LARGEST_BODY: usize = 1 << 20;

/// Why a request has no answer; the provider's or the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not an address that is asked.
    #[error("{0} is not an https address")]
    Address(String),
    /// Not found, not reached, or no TLS.
    #[error("{host}: {why}")]
    Connection {
        /// The host.
        host: String,
        /// Why.
        why: String,
    },
    /// No whole answer.
    #[error("{0}")]
    Answer(String),
    /// It took too long.
    #[error("no answer in {PATIENCE:?}")]
    TooSlow,
}

type Fetched<'c> = Pin<Box<dyn Future<Output = Result<HttpResponse, FetchError>> + Send + 'c>>;

impl<'c> AsyncHttpClient<'c> for Fetcher {
    type Error = FetchError;
    type Future = Fetched<'c>;

    fn call(&'c self, request: HttpRequest) -> Fetched<'c> {
        Box::pin(self.fetch(request))
    }
}

/// Who makes the requests.
pub struct Fetcher {
    resolver: Arc<dyn Resolver>,
    dialer: Arc<dyn Dialer>,
    tls: TlsClients,
}

impl Fetcher {
    /// Through these.
    pub fn new(resolver: Arc<dyn Resolver>, dialer: Arc<dyn Dialer>, tls: TlsClients) -> Self {
        Self { resolver, dialer, tls }
    }

    /// Sends a request and reads its whole answer.
    pub async fn fetch(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        tokio::time::timeout(PATIENCE, self.exchange(request)).await.map_err(|_| FetchError::TooSlow)?
    }

    async fn exchange(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, FetchError> {
        let uri = request.uri().clone();
        let bad = || FetchError::Address(uri.to_string());
        let host = uri.host().ok_or_else(bad)?.trim_matches(['[', ']']).to_owned();
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") if is_this_machine(&host) => false,
            _ => return Err(bad()),
        };
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let failed = |why: &dyn std::fmt::Display| FetchError::Connection { host: host.clone(), why: why.to_string() };
        let stream = self.connect(&host, port).await?;
        let stream: Box<dyn Stream> = if secure {
            let config = self.tls.client(&Proof::WebPki).map_err(|error| failed(&error))?;
            let name = ServerName::try_from(host.clone()).map_err(|error| failed(&error))?;
            Box::new(TlsConnector::from(config).connect(name, stream).await.map_err(|error| failed(&error))?)
        } else {
            stream
        };
        let answer = |error: &dyn std::fmt::Display| FetchError::Answer(error.to_string());
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| answer(&error))?;
        let connection = tokio::spawn(connection);
        let response = sender.send_request(in_origin_form(request, &bad)?).await.map_err(|error| answer(&error))?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_BODY).collect().await.map_err(|error| answer(&error))?;
        connection.abort();
        Ok(Response::from_parts(parts, body.to_bytes().to_vec()))
    }

    async fn connect(&self, host: &str, port: u16) -> Result<Box<dyn Stream>, FetchError> {
        let failed = |why: String| FetchError::Connection { host: host.to_owned(), why };
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) if host == "localhost" => vec![Ipv4Addr::LOCALHOST.into()],
            Err(_) => {
                let name = host.parse().map_err(|error| failed(format!("{error}")))?;
                self.resolver.addresses(&name).await.map_err(|error| failed(error.to_string()))?.addresses
            }
        };
        let mut last = "it has no address".to_owned();
        for address in addresses {
            match self.dialer.dial(SocketAddr::new(address, port), None).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error.to_string(),
            }
        }
        Err(failed(last))
    }
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The request line of HTTP/1.1 has the path only, and the host stands in a field (RFC 9112 §3.2.1).
fn in_origin_form(request: Request<Vec<u8>>, bad: &dyn Fn() -> FetchError) -> Result<Request<Full<Bytes>>, FetchError> {
    let (mut parts, body) = request.into_parts();
    let authority = parts.uri.authority().ok_or_else(bad)?.as_str().to_owned();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    parts.uri = path.parse().map_err(|_| bad())?;
    parts.headers.insert(header::HOST, HeaderValue::from_str(&authority).map_err(|_| bad())?);
    Ok(Request::from_parts(parts, Full::new(Bytes::from(body))))
}
