//! What every error says when rooms meet: whose fault it is, whether trying again helps, one text for outside
//! and one for inside.
//!
//! Each module has an error enum of its own; where an error crosses into a reply, a notice or an event it is
//! turned into a [`Fault`]. The outside text is plain ASCII and never holds a secret, a card's digits or a path
//! of this machine; the inside text may name files and causes.

use std::borrow::Cow;

/// Whose fault it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The client that speaks to us (a service, an admin) asked for something wrong.
    Client,
    /// The server that we speak to, or its DNS.
    Peer,
    /// The operator: configuration, keys, disk.
    Operator,
    /// This program.
    Ourselves,
}

/// Whether the same request can succeed later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The same request may succeed later without a change.
    Later,
    /// Never without a change.
    Never,
}

/// An error on its way out of a room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{inside}")]
pub struct Fault {
    /// Whose fault it is.
    pub blame: Blame,
    /// Whether trying again helps.
    pub retry: Retry,
    /// What the other side is told: what happened with the value, and what to do. ASCII, one line.
    pub outside: Cow<'static, str>,
    /// What the log keeps.
    pub inside: Cow<'static, str>,
}

impl Fault {
    /// A fault whose inside text is the outside one.
    pub fn new(blame: Blame, retry: Retry, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { blame, retry, outside: text.clone(), inside: text }
    }

    /// The same fault with a text of its own for the log.
    #[must_use]
    pub fn with_inside(mut self, inside: impl Into<Cow<'static, str>>) -> Self {
        self.inside = inside.into();
        self
    }
}
