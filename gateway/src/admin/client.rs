//! The other end of the control socket, for the command line.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::problem::Problem;
use super::server::{BY, SOCKET};
use crate::cli::{CliError, Exit};

/// A gateway's control socket. Each request opens a connection of its own: commands make one or two.
#[derive(Debug, Clone)]
pub struct ControlClient {
    socket: PathBuf,
    by: String,
}

impl ControlClient {
    /// A client of the gateway that runs on `data_dir`, in the name of `by`. Fails if none answers.
    pub async fn connect(data_dir: &Path, by: impl Into<String>) -> Result<Self, CliError> {
        let client = Self { socket: data_dir.join(SOCKET), by: by.into() };
        client.open().await?;
        Ok(client)
    }

    /// The document at `path`.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.read(&self.request(Method::GET, path, Bytes::new()).await?)
    }

    /// The text at `path`, as it is.
    pub async fn text(&self, path: &str) -> Result<String, CliError> {
        Ok(String::from_utf8_lossy(&self.request(Method::GET, path, Bytes::new()).await?).into_owned())
    }

    /// Posts a document.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        let body = serde_json::to_vec(body).map_err(|error| CliError::new(Exit::RunTime, error.to_string()))?;
        self.read(&self.request(Method::POST, path, body.into()).await?)
    }

    /// Deletes what is at `path`.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        self.read(&self.request(Method::DELETE, path, Bytes::new()).await?)
    }

    async fn open(&self) -> Result<UnixStream, CliError> {
        UnixStream::connect(&self.socket).await.map_err(|error| {
            let socket = self.socket.display();
            let text = if error.kind() == std::io::ErrorKind::PermissionDenied {
                format!("{socket} may not be opened by this user: run as the user of the gateway, or as root")
            } else {
                format!("no gateway answers at {socket}: start it with waxseal serve --config F")
            };
            CliError::new(Exit::RunTime, text)
        })
    }

    async fn request(&self, method: Method, path: &str, body: Bytes) -> Result<Bytes, CliError> {
        let broken = |error: &dyn std::fmt::Display| {
            CliError::new(Exit::RunTime, format!("the gateway at {} broke off: {error}", self.socket.display()))
        };
        let stream = self.open().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| broken(&error))?;
        let driver = tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(CONTENT_TYPE, "application/json")
            .header(BY, &self.by)
            .body(Full::new(body))
            .map_err(|error| CliError::new(Exit::Usage, format!("{path}: {error}")))?;
        let response = sender.send_request(request).await.map_err(|error| broken(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| broken(&error))?.to_bytes();
        drop(sender);
        driver.abort();
        if status.is_success() { Ok(body) } else { Err(failure(status, &body)) }
    }

    fn read<T: DeserializeOwned>(&self, body: &[u8]) -> Result<T, CliError> {
        serde_json::from_slice(body).map_err(|error| {
            let socket = self.socket.display();
            CliError::new(
                Exit::RunTime,
                format!("the answer of {socket} is not understood ({error}): is it of another version?"),
            )
        })
    }
}

/// A problem as the exit status and text of a command.
fn failure(status: StatusCode, body: &[u8]) -> CliError {
    let text = match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => problem.detail,
        Err(_) => format!("the gateway answered {status}"),
    };
    let exit = match status {
        StatusCode::NOT_FOUND => Exit::NotFound,
        StatusCode::CONFLICT | StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED | StatusCode::PRECONDITION_FAILED => {
            Exit::Refused
        }
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => Exit::Usage,
        _ => Exit::RunTime,
    };
    CliError::new(exit, text)
}

/// A path segment with everything but unreserved characters escaped (RFC 3986 §2.3).
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// A query of the pairs that have a value, with its `?`; empty if none has.
pub fn query(pairs: &[(&str, Option<String>)]) -> String {
    let parts: Vec<String> = pairs
        .iter()
        .filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", segment(value))))
        .collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}
