//! Errors over HTTP: RFC 9457 problem details, and the one place where a room's error becomes a status.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ports::AdminError;
use crate::fault::{Blame, Fault, Retry};
use crate::store::StoreError;

/// A problem, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error, ToSchema)]
#[error("{detail}")]
pub struct Problem {
    /// The HTTP status.
    pub status: u16,
    /// The status in words.
    pub title: String,
    /// What happened with the value, and what to do.
    pub detail: String,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem").to_owned();
        Self { status: status.as_u16(), title, detail: detail.into() }
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 400.
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401, with the challenge that RFC 6750 §3 asks for.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 412: somebody else was first (`If-Match`).
    pub fn precondition_failed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PRECONDITION_FAILED, detail)
    }

    /// 421: this host name is not served here.
    pub fn misdirected(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, detail)
    }

    /// 429.
    pub fn too_many(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail)
    }

    /// 502: a server that we asked failed.
    pub fn bad_gateway(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, detail)
    }

    /// 500, for what should not happen.
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }
}

impl From<AdminError> for Problem {
    fn from(error: AdminError) -> Self {
        match error {
            AdminError::NotFound(text) => Self::not_found(text),
            AdminError::Conflict(text) => Self::new(StatusCode::CONFLICT, text),
            AdminError::Invalid(text) => Self::invalid(text),
            AdminError::Store(text) => Self::internal(text),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        let status = match &error {
            StoreError::Unknown(_) => StatusCode::NOT_FOUND,
            StoreError::DiskShort { .. } => StatusCode::INSUFFICIENT_STORAGE,
            StoreError::Closed(_) => StatusCode::SERVICE_UNAVAILABLE,
            StoreError::Io { .. } | StoreError::Damaged(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let status = match (fault.blame, fault.retry) {
            (Blame::Client, _) => StatusCode::BAD_REQUEST,
            (Blame::Peer, _) => StatusCode::BAD_GATEWAY,
            (Blame::Operator | Blame::Ourselves, Retry::Later) => StatusCode::SERVICE_UNAVAILABLE,
            (Blame::Operator | Blame::Ourselves, Retry::Never) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, fault.outside)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response =
            (status, [(header::CONTENT_TYPE, "application/problem+json")], Json(self.clone())).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // For the web listener, which shows a page of it to a person.
        response.extensions_mut().insert(self);
        response
    }
}
