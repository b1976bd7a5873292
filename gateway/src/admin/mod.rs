//! The operator's hand on a running gateway: the control socket and what it can ask of the queue.

pub mod backup;
pub mod client;
pub mod health;
pub mod ports;
mod problem;
mod queue_routes;
pub mod server;
pub mod suspensions;
pub mod tenant_routes;
pub mod view;

pub use problem::Problem;
pub(crate) use queue_routes::Known;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::{LetterId, TenantId};
use crate::schedule::limit::Limit;
use crate::schedule::suspension::{Scope, Suspension};
use crate::store::{LetterRecord, StoreError};

/// Which recipients of which letters a verb is about; an empty filter covers everything. All given parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueFilter {
    /// One letter.
    pub id: Option<LetterId>,
    /// A tenant.
    pub tenant: Option<TenantId>,
    /// A recipient domain.
    pub domain: Option<String>,
    /// A recipient address.
    pub recipient: Option<String>,
    /// The sender: the reverse-path's address.
    pub sender: Option<String>,
    /// A state's name ([`crate::store::RecipientState::name`]).
    pub state: Option<String>,
    /// Accepted longer ago than this many seconds.
    pub older_than_seconds: Option<u64>,
}

/// What an operator can do to queued recipients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
pub enum QueueAction {
    /// Attempt now.
    Retry,
    /// Stop attempting until released.
    Hold,
    /// Attempt a held one again.
    Release,
    /// Give up with a notice to the sender.
    Bounce,
    /// Give up without a notice.
    Drop,
}

/// What a verb did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct QueueActionReport {
    /// Letters with a matching recipient.
    pub letters: usize,
    /// Matching recipients that the action applies to.
    pub recipients: usize,
    /// Was it only tried?
    pub dry_run: bool,
    /// The first hundred ids.
    pub ids: Vec<LetterId>,
}

/// Why a recipient's mail is not there yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Why {
    /// The recipient.
    pub recipient: String,
    /// Its state's name.
    pub state: String,
    /// Is an attempt running right now?
    pub in_flight: bool,
    /// The next attempt.
    pub next_attempt: Option<Timestamp>,
    /// Attempts so far.
    pub attempts: u16,
    /// What set the time or stands in the way, in plain words.
    pub reason: String,
    /// The limit that it waits for.
    pub limit: Option<Limit>,
    /// The last attempt.
    pub last: Option<crate::deliver::outcome::Evidence>,
    /// When it is given up.
    pub expires: Timestamp,
}

/// One row of `queue shape`: a recipient domain and how many recipients wait, by age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShapeRow {
    /// The recipient domain.
    pub domain: String,
    /// All of them.
    pub total: usize,
    /// Under 5 min, 10, 20, 40, 80, 160, 320, 640, 1280 and from 1280 min on.
    pub by_age: [usize; 10],
}

/// Changes to the queue's running as a whole.
#[async_trait]
pub trait QueueControl: Send + Sync + 'static {
    /// Letters with a recipient that matches, oldest first, those after `after`.
    fn list(&self, filter: &QueueFilter, after: Option<LetterId>, limit: usize) -> Vec<LetterRecord>;

    /// One letter.
    fn find(&self, id: LetterId) -> Option<LetterRecord>;

    /// Why each recipient of a letter is where it is.
    fn why(&self, id: LetterId) -> Option<Vec<Why>>;

    /// Domains by age.
    fn shape(&self) -> Vec<ShapeRow>;

    /// Does `action` to every matching recipient; `by` and `reason` go into the record.
    async fn act(
        &self,
        action: QueueAction,
        filter: &QueueFilter,
        by: &str,
        reason: &str,
        dry_run: bool,
    ) -> Result<QueueActionReport, StoreError>;

    /// The suspension that keeps a recipient from being attempted.
    fn suspended(&self, record: &LetterRecord, recipient: usize) -> Option<Suspension>;

    /// The suspensions that hold now.
    fn suspensions(&self) -> Vec<Suspension>;

    /// Starts no attempt inside of `scope` for `span`, or until somebody resumes; durable when it returns.
    async fn suspend(
        &self,
        scope: Scope,
        span: Option<Duration>,
        by: &str,
        reason: &str,
    ) -> Result<Suspension, StoreError>;

    /// Ends the suspensions that have every part of `scope`; which ones.
    async fn resume(&self, scope: &Scope, by: &str, dry_run: bool) -> Result<Vec<Suspension>, StoreError>;

    /// Stops starting attempts and waits until those that run have ended, at most this long; true if all did.
    async fn drain(&self, at_most: Duration) -> bool;
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
