//! The audit over the control socket: read it whole, have it checked.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::state::blocking;
use crate::admin::Problem;
use crate::admin::ports::AdminError;
use crate::tenants::{AuditCheckpoint, AuditRecord, AuditReport, Registry};

/// The routes, to be merged into those of the control socket.
pub fn router(registry: Arc<Registry>) -> Router {
    Router::new().route("/v1/audit", get(audit)).route("/v1/audit:verify", post(verify_audit)).with_state(registry)
}

type Answer<T> = Result<Json<T>, Problem>;

/// A line of the audit for export: everything that a check needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    /// Its number.
    pub number: u64,
    /// The line.
    #[serde(flatten)]
    pub record: AuditRecord,
}

/// Lines of the audit, and the checkpoints that cover them.
#[derive(Debug, Serialize, Deserialize)]
pub struct AuditPage {
    /// The lines, oldest first.
    pub lines: Vec<AuditLine>,
    /// All checkpoints, oldest first.
    pub checkpoints: Vec<AuditCheckpoint>,
    /// The public half of the key that signs them, in hexadecimal.
    pub public_key: String,
}

#[derive(Debug, Deserialize)]
struct After {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
}

async fn audit(State(registry): State<Arc<Registry>>, Query(query): Query<After>) -> Answer<AuditPage> {
    let limit = query.limit.unwrap_or(1000).clamp(1, 10_000);
    let read = move || -> Result<AuditPage, crate::tenants::RegistryError> {
        let lines = registry.audit((query.after > 0).then_some(query.after), limit)?;
        let (checkpoints, public_key) = registry.audit_checkpoints()?;
        let lines = lines.into_iter().map(|(number, record)| AuditLine { number, record }).collect();
        Ok(AuditPage { lines, checkpoints, public_key })
    };
    Ok(Json(blocking(read).await?.map_err(AdminError::from)?))
}

async fn verify_audit(State(registry): State<Arc<Registry>>) -> Answer<AuditReport> {
    let report = blocking(move || registry.verify_audit()).await?;
    Ok(Json(report.map_err(AdminError::from)?))
}
