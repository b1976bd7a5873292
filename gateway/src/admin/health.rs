//! `/healthz` and `/readyz` for http listeners, `/metrics` for metrics listeners.
//!
//! `/healthz` says that the process runs and its reactor turns; `/readyz` whether it takes mail. A supervisor restarts
//! on the first and only stops sending on the second: a full disk is not mended by a restart.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};

use super::ports::{GatewayControl, Health};
use crate::observe::metrics;

/// The routes of an http listener that need no sign-in.
pub fn http_router(gateway: Arc<dyn GatewayControl>) -> Router {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz)).with_state(gateway)
}

/// The routes of a metrics listener.
pub fn metrics_router() -> Router {
    Router::new().route("/metrics", get(render))
}

async fn healthz() -> Json<Health> {
    Json(Health { ok: true, reasons: Vec::new() })
}

async fn readyz(State(gateway): State<Arc<dyn GatewayControl>>) -> (StatusCode, Json<Health>) {
    let health = gateway.health().await;
    (if health.ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(health))
}

async fn render() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], metrics::render())
}
