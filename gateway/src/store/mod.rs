//! The queue's store: a letter is safe when [`Store::accept`] returns, and afterwards always in one legal state.
//!
//! A trait of whole operations, not a key-value interface, so that a shared engine can implement it with its own
//! strengths. The local one is [`journal`] (sealed records, group commit) with sled as its checkpointed index.

mod catalogue;
pub mod control;
#[cfg(test)]
mod crash_tests;
pub mod disk;
pub mod frame;
mod inbox;
mod index;
pub mod journal;
pub mod ledger;
mod local;
mod pin;
#[cfg(test)]
pub(crate) mod pretend;
mod reading;
pub mod record;
mod recover;
#[cfg(test)]
mod samples;
mod search;
pub mod shelf;
pub mod sled_file;
mod summary;
pub(crate) mod table;
mod tally;
mod traffic;

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::deliver::outcome::Evidence;
use crate::ids::{LetterId, TenantId};
use crate::message::{Envelope, Letter};
use crate::sign::{Sealed, SendOptions};

pub use catalogue::Sought;
pub use inbox::Expected;
pub use journal::WriterPlace;
pub use local::{LocalStore, Settings};
pub use recover::{DamagedRecord, Recovery};
#[cfg(test)]
pub(crate) use samples::sample_letter;
pub use search::Census;
pub use summary::Waits;
pub use table::Agenda;

/// Where a recipient of a queued letter stands. Exactly one of these at every moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecipientState {
    /// To be attempted at `next`.
    Waiting {
        /// When the next attempt is due.
        next: Timestamp,
        /// How many attempts there were.
        attempts: u16,
        /// What the last one said.
        last: Option<Box<Evidence>>,
    },
    /// Held by a person; not attempted, but expires all the same.
    Held {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// Attempts so far.
        attempts: u16,
    },
    /// The other side took it.
    Delivered(Box<Evidence>),
    /// Refused for good, with a notice where one was due.
    Bounced(Box<Evidence>),
    /// Time ran out, with a notice where one was due.
    Expired(Box<Evidence>),
    /// Dropped by a named person.
    Dropped {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
}

impl RecipientState {
    /// Is this an end?
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Waiting { .. } | Self::Held { .. })
    }

    /// The name that metrics, lists and filters use.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Waiting { attempts: 0, .. } => "queued",
            Self::Waiting { .. } => "deferred",
            Self::Held { .. } => "held",
            Self::Delivered(_) => "delivered",
            Self::Bounced(_) => "bounced",
            Self::Expired(_) => "expired",
            Self::Dropped { .. } => "dropped",
        }
    }
}

/// What the queue knows of a letter beside its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterRecord {
    /// Its id.
    pub id: LetterId,
    /// Whose it is.
    pub tenant: TenantId,
    /// When it was accepted.
    pub accepted: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// Its envelope, the reverse-path as the client gave it.
    pub envelope: Envelope,
    /// One state a recipient, in the envelope's order.
    pub states: Vec<RecipientState>,
    /// What the sender asked for.
    pub options: SendOptions,
    /// The tenant's return-path domain at acceptance: MAIL FROM is rewritten to a token there.
    pub return_path: Option<crate::message::DomainName>,
    /// The Subject after redaction, shortened, for lists.
    pub subject: String,
    /// The From domain.
    pub from_domain: String,
    /// Octets of the sealed message.
    pub size: u64,
    /// Do the bytes need 8BITMIME?
    pub eight_bit: bool,
    /// Was a delay notice sent?
    pub delay_notified: bool,
    /// Is it a notice of our own (never answered with another)?
    pub notice: bool,
}

/// The tag of TLS reports of our own; a tenant's letter with this tag is no notice, and so no report.
pub const TLS_REPORT_TAG: &str = "tls-report";

impl LetterRecord {
    /// Is it a TLS report of our own (RFC 8460)?
    pub fn is_tls_report(&self) -> bool {
        self.notice && self.options.tags.iter().any(|tag| tag == TLS_REPORT_TAG)
    }
}

/// A letter on its way into the store.
pub struct NewLetter {
    /// What the queue will know of it.
    pub record: LetterRecord,
    /// Its bytes: only a sealed letter is stored.
    pub letter: Letter<Sealed>,
}

/// A change of one recipient's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The recipient, by its place in the envelope.
    pub recipient: u32,
    /// Its new state.
    pub state: RecipientState,
}

/// What went wrong in the store.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Less free disk than `reserve_free`: try later (452).
    #[error("short of disk: {free} bytes free, {reserve} are reserved")]
    DiskShort {
        /// Free octets.
        free: u64,
        /// Reserved octets.
        reserve: u64,
    },
    /// The operating system refused.
    #[error("{what}: {why}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        why: String,
    },
    /// A record does not pass its checksum or cannot be opened.
    #[error("damaged record: {0}")]
    Damaged(String),
    /// There is no such letter.
    #[error("no letter {0} in the queue")]
    Unknown(LetterId),
    /// The store was shut after an earlier failure; nothing is accepted until a restart.
    #[error("the store is closed: {0}")]
    Closed(String),
}

/// The queue's store.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Takes letters in, all or none; returns when they survive a power cut.
    async fn accept(&self, letters: Vec<NewLetter>) -> Result<(), StoreError>;

    /// Records what became of recipients of one letter, and takes in the notices that this causes, all or none;
    /// returns when durable.
    async fn settle(
        &self,
        id: LetterId,
        transitions: Vec<Transition>,
        notices: Vec<NewLetter>,
        delay_notified: bool,
    ) -> Result<(), StoreError>;

    /// A letter's bytes.
    async fn message(&self, id: LetterId) -> Result<Bytes, StoreError>;

    /// What is known of a letter that is still queued.
    fn find(&self, id: LetterId) -> Option<LetterRecord>;

    /// Every letter still queued, oldest first, in pages: those after `after`, at most `limit`.
    fn scan(&self, after: Option<LetterId>, limit: usize) -> Vec<LetterRecord>;

    /// When something is to be done about every letter still queued, oldest first, in pages as [`Store::scan`].
    fn agenda(&self, after: Option<LetterId>, limit: usize) -> Vec<Agenda>;

    /// Letters after `after` that may be meant, oldest first, at most `limit`; fewer only at the queue's end. None that is
    /// meant is missing; one that is not may be among them.
    fn candidates(&self, sought: &Sought, after: Option<LetterId>, limit: usize) -> Vec<LetterId>;

    /// Recipients that wait, by their domain and by the class that `class` puts their letter's acceptance into.
    fn census(&self, class: &dyn Fn(Timestamp) -> usize) -> Census;
}
