//! The order of the stages: received, redacted, sealed, stored; and the one type of refusal that a session answers.

use std::sync::Arc;

use async_trait::async_trait;

use crate::ids::LetterId;
use crate::message::{Letter, Received};
use crate::redact;
use crate::sign::{SealError, TraceFacts};
use crate::store::StoreError;
use crate::tenants::Credential;

/// A letter that a session has received, and who brought it.
pub struct Submission {
    /// Who is signed in.
    pub credential: Arc<Credential>,
    /// The letter.
    pub letter: Letter<Received>,
    /// For the `Received` field.
    pub trace: TraceFacts,
}

/// Why a letter was not accepted. `smtp::reply` turns this into a reply, and nothing else does.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AcceptError {
    /// The redaction stage refused.
    #[error(transparent)]
    Redaction(#[from] redact::Refusal),
    /// The sealing stage refused.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// The store could not take it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tenant was removed while the session was open.
    #[error("tenant no longer exists")]
    NoTenant,
    /// The gateway is shutting down.
    #[error("shutting down")]
    ShuttingDown,
}

/// What a session hands letters to. Implemented by the pipeline; a pretend one serves the session's tests.
#[async_trait]
pub trait Acceptor: Send + Sync + 'static {
    /// Takes a letter through all stages; returns when it is durable.
    async fn accept(&self, submission: Submission) -> Result<LetterId, AcceptError>;

    /// Is there room for a message of this size (memory and disk)? Asked at MAIL, before data is read.
    fn room_for(&self, size: usize) -> Result<(), StoreError>;
}
