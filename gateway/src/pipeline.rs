//! The order of the stages: received, redacted, sealed, stored; and the one type of refusal that a session answers.
//!
//! Fails closed: whatever goes wrong in a stage refuses the letter while its sender waits, and nothing of it was
//! written anywhere. Only [`Pipeline::accept`] puts mail of services into the store, and only [`Stages`] makes the
//! sealed letters that it takes.

mod stages;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::clock::Clock;
use crate::ids::{LetterId, TenantId};
use crate::message::{Letter, Mailbox, Received};
use crate::observe::{Event, emit};
use crate::redact;
use crate::schedule::{Scheduler, Sender as _};
use crate::sign::{SealError, TraceFacts};
use crate::store::{LocalStore, StoreError};
use crate::tenants::Credential;
use crate::tenants::quota::OverQuota;
use crate::threads::Processors;
use crate::web::notify::OwnMail;

pub use stages::{Memory, Prepared, Stages, redaction_policy};

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
    /// The tenant has used its quota up.
    #[error(transparent)]
    OverQuota(#[from] OverQuota),
    /// The tenant was removed while the session was open.
    #[error("tenant no longer exists")]
    NoTenant,
    /// Another session brings a letter under the same idempotency key right now.
    #[error("a message with the same X-Waxseal-Idempotency-Key is being accepted right now")]
    KeyBusy,
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

/// The way in.
pub struct Pipeline(Arc<Rooms>);

/// What the way leads through.
struct Rooms {
    stages: Arc<Stages>,
    store: Arc<LocalStore>,
    scheduler: Arc<Scheduler>,
    processors: Processors,
    clock: Arc<dyn Clock>,
    keys_in_use: Mutex<HashSet<(TenantId, String)>>,
}

/// An idempotency key while its letter is on the way into the store.
struct KeyInUse(Arc<Rooms>, (TenantId, String));

impl Drop for KeyInUse {
    fn drop(&mut self) {
        self.0.keys_in_use.lock().remove(&self.1);
    }
}

impl Pipeline {
    /// Puts the way together.
    pub fn new(
        stages: Arc<Stages>,
        store: Arc<LocalStore>,
        scheduler: Arc<Scheduler>,
        processors: Processors,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self(Arc::new(Rooms { stages, store, scheduler, processors, clock, keys_in_use: Mutex::default() }))
    }
}

impl Rooms {
    /// Reserves an idempotency key; the id of the letter that was accepted under it before, if there is one.
    fn reserve(self: &Arc<Self>, tenant: TenantId, key: &str) -> Result<Result<KeyInUse, LetterId>, AcceptError> {
        let name = (tenant, key.to_owned());
        let mut in_use = self.keys_in_use.lock();
        if !self.store.is_whole() {
            // The keys of the last run are not read yet; a second letter under one of them would be sent twice.
            return Err(AcceptError::KeyBusy);
        }
        // Looked up under the lock: a letter is in the store before its key leaves the set.
        if let Some(id) = self.store.accepted_under(tenant, key) {
            return Ok(Err(id));
        }
        if !in_use.insert(name.clone()) {
            return Err(AcceptError::KeyBusy);
        }
        Ok(Ok(KeyInUse(self.clone(), name)))
    }

    /// Takes a letter of a tenant; without a `trace` it is one of our own.
    async fn accept(
        self: Arc<Self>,
        tenant: TenantId,
        received: Letter<Received>,
        trace: Option<TraceFacts>,
    ) -> Result<LetterId, AcceptError> {
        let session = trace.as_ref().map(|trace| trace.session.to_string());
        // Of what a service submits; notices and reports of our own are not its doing.
        let quota = trace.as_ref().map(|_| self.stages.take_quota(tenant, received.envelope().recipients.len()));
        let quota = quota.transpose()?.flatten();
        let id = LetterId::new(self.clock.now());
        let started = std::time::Instant::now();
        let expected = self.store.expect();
        let stages = self.stages.clone();
        let work = move || stages.prepare(id, tenant, received, trace.as_ref());
        let prepared =
            self.processors.run(work).await.unwrap_or(Err(AcceptError::Redaction(redact::Refusal::Internal(
                "the stage did not come back".into(),
            ))))?;
        stage_took("seal", started);
        let Prepared { letter, report, tenant: name } = prepared;
        let key = letter.record.options.idempotency_key.clone();
        let _reserved = match key.as_deref().map(|key| self.reserve(tenant, key)).transpose()? {
            Some(Err(earlier)) => return Ok(earlier),
            Some(Ok(reserved)) => Some(reserved),
            None => None,
        };
        let record = letter.record.clone();
        let signatures = letter.letter.stage().signatures().to_vec();
        let synced = std::time::Instant::now();
        self.store.take_in(vec![letter], Some(expected)).await?;
        stage_took("store", synced);
        self.stages.accepted(&record, session.clone(), &signatures);
        if let Some(quota) = quota {
            quota.keep();
        }
        emit(&Event::Accepted {
            id,
            tenant: name.clone(),
            session,
            from: record.envelope.reverse_path.clone(),
            to: record.envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect(),
            size: record.size as usize,
            signatures,
        });
        if !report.hits.is_empty() || !report.unscanned.is_empty() {
            let event = Event::Redacted { id, tenant: name, hits: report.hits, unscanned: report.unscanned };
            emit(&event);
            self.stages.happened(&record, &[event]);
        }
        self.scheduler.admit(&record);
        stage_took("all", started);
        Ok(id)
    }
}

#[async_trait]
impl Acceptor for Pipeline {
    async fn accept(&self, submission: Submission) -> Result<LetterId, AcceptError> {
        // A task of its own: a client that hangs up must not stop a letter between the store and the schedule.
        let Submission { credential, letter, trace } = submission;
        let accepted = tokio::spawn(self.0.clone().accept(credential.tenant, letter, Some(trace)));
        accepted.await.unwrap_or(Err(AcceptError::ShuttingDown))
    }

    fn room_for(&self, size: usize) -> Result<(), StoreError> {
        self.0.store.room_for(size)
    }
}

#[async_trait]
impl OwnMail for Pipeline {
    async fn send(&self, from: &Mailbox, letter: Letter<Received>) -> Result<(), AcceptError> {
        let tenant = self.0.stages.tenant_of(from.domain()).ok_or(AcceptError::NoTenant)?;
        self.0.clone().accept(tenant, letter, None).await.map(drop)
    }
}

fn stage_took(stage: &'static str, since: std::time::Instant) {
    crate::observe::metrics::accept_duration(stage, since.elapsed());
}
