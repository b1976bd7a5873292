//! Whom a listener takes mail for: asked at each RCPT, so that a refusal costs one recipient and not the message.
//!
//! An answer comes from memory at once, since a session does no I/O.

use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::message::{Letter, Mailbox, Received};
use crate::sign::TraceFacts;
use crate::tenants::Credential;

/// Why a recipient is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unwanted {
    /// The tenant wants no mail sent to it. The sender's to mend: take the entry off, or the address out.
    #[error("the recipient is on the suppression list of tenant {tenant} since {since} ({reason})")]
    Suppressed {
        /// Whose list.
        tenant: String,
        /// Since when.
        since: Timestamp,
        /// Why it stands there.
        reason: String,
    },
    /// No address of ours, or one that has ended.
    #[error("{0}")]
    NotOurs(&'static str),
}

/// See the module.
pub trait Addressees: Send + Sync + 'static {
    /// May mail go to `recipient`? `sender` is who is signed in, where the listener asks for that.
    fn wanted(&self, sender: Option<&Credential>, recipient: &Mailbox, now: Timestamp) -> Result<(), Unwanted>;
}

/// Everybody, for tests.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anybody;

impl Addressees for Anybody {
    fn wanted(&self, _: Option<&Credential>, _: &Mailbox, _: Timestamp) -> Result<(), Unwanted> {
        Ok(())
    }
}

/// A message that came in for an address of ours.
pub struct Incoming {
    /// The message with its envelope. Every recipient was wanted.
    pub letter: Letter<Received>,
    /// Who brought it.
    pub trace: TraceFacts,
}

/// Why a message that came in is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// It is not what the address is for. The sender's.
    #[error("{0}")]
    NotTaken(String),
    /// Ours, or DNS could not be asked: try again.
    #[error("{0}")]
    Later(String),
}

/// Takes messages that come in.
#[async_trait]
pub trait Receiver: Send + Sync + 'static {
    /// Takes one; returns when what it changes is durable.
    async fn receive(&self, incoming: Incoming) -> Result<(), ReceiveError>;
}

/// Who answers for a listener to which nobody signs in.
#[derive(Clone)]
pub struct Desk {
    /// Its addresses.
    pub addressees: Arc<dyn Addressees>,
    /// What becomes of the mail.
    pub receiver: Arc<dyn Receiver>,
}
