//! What can be wrong with a request about posts, and how it crosses into an HTTP problem.

use std::borrow::Cow;

use super::PostState;

/// Why a request about posts is not done. Nothing has changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The request is wrong in itself; the client's mistake.
    #[error("{0}")]
    Invalid(Cow<'static, str>),
    /// Text over the limit; the client's mistake.
    #[error("the text has {octets} octets, over the limit of {limit}: submit a shorter one")]
    TooLong {
        /// What it has.
        octets: usize,
        /// What it may have.
        limit: usize,
    },
    /// There is no such post, author, rule or operation in this tenant.
    #[error("there is no {what} \"{name}\"")]
    Unknown {
        /// The kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// Somebody decided already; the other person's right.
    #[error("post \"{id}\" is {state} already, by {by} at {at}: undo that first, or name its version in If-Match")]
    Decided {
        /// The post.
        id: String,
        /// What it is now.
        state: PostState,
        /// Who decided.
        by: String,
        /// When, in RFC 3339.
        at: String,
    },
    /// The version that was named is not the current one.
    #[error("post \"{id}\" is at version {found}, not {expected}: {by} changed it; look again")]
    Version {
        /// The post.
        id: String,
        /// What it is at.
        found: u32,
        /// What the request named.
        expected: u32,
        /// Who changed it last.
        by: String,
    },
    /// Somebody else looks at it.
    #[error("{by} is looking at post \"{id}\" until {until}")]
    Claimed {
        /// The post.
        id: String,
        /// Who.
        by: String,
        /// Until when, in RFC 3339.
        until: String,
    },
    /// The action makes no sense here; the client's mistake.
    #[error("{0}")]
    Conflict(String),
    /// More posts match than were confirmed.
    #[error("{found} posts match and {confirmed} were confirmed: look at the preview and confirm that number")]
    Unconfirmed {
        /// How many match.
        found: usize,
        /// How many the request named.
        confirmed: usize,
    },
    /// The store failed; the operator's to mend, or to try again.
    #[error("posts: {0}")]
    Store(String),
}

impl PostError {
    /// A request that is wrong in itself.
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Invalid(text.into())
    }

    /// A post that is not there.
    pub fn no_post(id: &str) -> Self {
        Self::Unknown { what: "post", name: id.to_owned() }
    }
}
