//! The control socket: HTTP/1.1 over `<data_dir>/control.sock`, mode 0600.
//!
//! Whoever can open the socket may do everything, so the file system is the authentication: the owner of the data
//! folder and root. The name in `x-waxseal-by` is for the record, not for rights. A socket that a dead gateway left
//! is replaced; one that a living gateway answers on is not.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::HeaderMap;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};

use super::ports::{
    BackupReport, GatewayControl, Health, KekReport, KekRequest, RouteExplainer, StoreCheck, StoreCheckReport,
    TenantAdmin,
};
use super::problem::Problem;
use crate::history::Remembers;
use crate::store::StoreError;

use super::{QueueControl, queue_routes, tenant_routes};

/// The socket's name in the data folder.
pub const SOCKET: &str = "control.sock";

/// The header that names who asks.
pub const BY: &str = "x-waxseal-by";

/// Everything that the control surface can reach.
#[derive(Clone)]
pub struct AdminState {
    /// The queue.
    pub queue: Arc<dyn QueueControl>,
    /// Tenants, domains, credentials, keys.
    pub tenants: Arc<dyn TenantAdmin>,
    /// How mail would go.
    pub routes: Arc<dyn RouteExplainer>,
    /// The gateway as a whole.
    pub gateway: Arc<dyn GatewayControl>,
    /// The store's check.
    pub store: Arc<dyn StoreCheck>,
    /// What happened to letters, those that left the queue included.
    pub history: Arc<dyn Remembers>,
}

pub(super) type Answer<T> = Result<Json<T>, Problem>;

/// What `drain` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drained {
    /// Did everything end in time?
    pub complete: bool,
}

/// The body of `POST /v1/drain`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrainRequest {
    /// How long to wait at most.
    pub timeout_seconds: u64,
}

/// The body of `POST /v1/backups`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// The new folder, as an absolute path that the gateway's user may write.
    pub folder: PathBuf,
}

/// What `reload` did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reloaded {
    /// One sentence for what was read again, or needs a restart.
    pub notes: Vec<String>,
}

/// Why the socket could not be had; the operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A gateway answers there.
    #[error("a gateway answers at {0} already: two must not share a data folder")]
    Taken(PathBuf),
    /// The operating system refused.
    #[error("{path}: {source}")]
    Io {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// The router of the control socket.
pub fn router(state: AdminState) -> Router {
    Router::new()
        .merge(queue_routes::router().route_layer(middleware::from_fn_with_state(state.clone(), only_whole)))
        .merge(tenant_routes::router())
        .route("/v1/health", get(health))
        .route("/v1/drain", post(drain))
        .route("/v1/reload", post(reload))
        .route("/v1/store:check", post(check))
        .route("/v1/kek:rotate", post(rotate_kek))
        .route("/v1/backups", post(backup))
        // A file of many tenants is the largest body; only the owner of the socket can send one.
        .layer(DefaultBodyLimit::max(64 << 20))
        .fallback(|| async { Problem::not_found("there is no such route") })
        .with_state(state)
}

/// Binds the socket in `data_dir`.
pub async fn bind(data_dir: &Path) -> Result<UnixListener, SocketError> {
    let path = data_dir.join(SOCKET);
    let io = |source| SocketError::Io { path: path.clone(), source };
    if std::fs::symlink_metadata(&path).is_ok() {
        if UnixStream::connect(&path).await.is_ok() {
            return Err(SocketError::Taken(path));
        }
        std::fs::remove_file(&path).map_err(io)?;
    }
    // Bound in a private folder and moved out when its mode is right: nobody can connect in between, whatever the
    // umask. The names are short because a socket's path has 107 octets at most.
    let private = data_dir.join(format!(".c{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&private);
    std::fs::DirBuilder::new().mode(0o700).create(&private).map_err(io)?;
    let fresh = private.join("s");
    let bound = UnixListener::bind(&fresh).and_then(|listener| {
        std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o600))?;
        std::fs::rename(&fresh, &path)?;
        Ok(listener)
    });
    let _ = std::fs::remove_dir_all(&private);
    bound.map_err(io)
}

/// Serves the control socket, with the routes of other rooms in `more`, until `stop` is done, then lets open requests end.
pub async fn serve(
    listener: UnixListener,
    state: AdminState,
    more: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    axum::serve(listener, router(state).merge(more)).with_graceful_shutdown(stop).await
}

/// Half a queue would be taken for the whole one.
async fn only_whole(State(state): State<AdminState>, request: Request, next: Next) -> Response {
    if state.store.is_whole() {
        return next.run(request).await;
    }
    let why = "the queue that the last run left is still being read: try again in a moment".to_owned();
    Problem::from(StoreError::Closed(why)).into_response()
}

async fn health(State(state): State<AdminState>) -> Json<Health> {
    Json(state.gateway.health().await)
}

async fn drain(State(state): State<AdminState>, body: Bytes) -> Answer<Drained> {
    let request: DrainRequest = json(&body)?;
    let complete = state.gateway.drain(Duration::from_secs(request.timeout_seconds)).await;
    Ok(Json(Drained { complete }))
}

async fn reload(State(state): State<AdminState>) -> Answer<Reloaded> {
    let notes = state.gateway.reload().await.map_err(Problem::invalid)?;
    Ok(Json(Reloaded { notes }))
}

async fn rotate_kek(State(state): State<AdminState>, headers: HeaderMap, body: Bytes) -> Answer<KekReport> {
    let (by, request): (_, KekRequest) = (by(&headers), json(&body)?);
    Ok(Json(blocking(move || state.gateway.rotate_kek(&request.new, &by)).await??))
}

async fn backup(State(state): State<AdminState>, body: Bytes) -> Answer<BackupReport> {
    let request: BackupRequest = json(&body)?;
    Ok(Json(state.store.backup(request.folder).await?))
}

async fn check(State(state): State<AdminState>) -> Answer<StoreCheckReport> {
    Ok(Json(state.store.check().await?))
}

/// Who asks; printable and short, since it goes into records and events.
pub(crate) fn by(headers: &HeaderMap) -> String {
    let name = headers.get(BY).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name: String = name.chars().filter(char::is_ascii_graphic).take(64).collect();
    if name.is_empty() { "unknown".into() } else { name }
}

pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body)
        .map_err(|error| Problem::invalid(format!("the body is not what this route takes: {error}")))
}

/// Runs what waits for the disk or takes a core for a while outside the I/O threads.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(error.to_string()))
}
