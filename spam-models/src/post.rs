//! What goes in and what comes out: a post, what is known about its author, and the verdict.

use serde::{Deserialize, Serialize};

/// A post as a help center submits it. Unknown fields are ignored, so that richer exports read too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Post {
    /// The caller's name for it.
    pub id: String,
    /// The heading, where there is one; read as the first line of the text.
    pub title: Option<String>,
    /// Plain text or HTML.
    pub text: String,
    /// BCP 47 tag as the caller knows it. Kept for reports; the score never depends on it.
    pub lang: Option<String>,
    /// The author's identity or display name.
    pub author: Option<String>,
    /// The author's address.
    pub author_email: Option<String>,
    /// Where the post came from.
    pub author_ip: Option<String>,
    /// The author's own site, or the page the post stands on.
    pub url: Option<String>,
}

impl Post {
    /// A post of which nothing but the text is known.
    pub fn of(text: impl Into<String>) -> Self {
        Self { text: text.into(), ..Self::default() }
    }
}

/// What a person, or a corpus, says of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Label {
    /// Welcome.
    Ham,
    /// Unwelcome advertising or fraud.
    Spam,
}

/// What the caller knows besides the post. All of it is optional: nothing known moves nothing.
///
/// The corpora say nothing about authors, so these weights are set by hand, small and bounded
/// ([`crate::Model::score_in`]): together they can hold a post or clear a doubt, never decide against clear text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools)] // Independent facts, each true or not known.
pub struct Context {
    /// Hours since the author's account was made.
    pub author_age_hours: Option<u32>,
    /// Posts of this author that were published and stayed.
    pub author_approved: Option<u32>,
    /// Posts of this author, or from this address, within the last hour, this one not counted.
    pub posts_last_hour: Option<u32>,
    /// The author never posted a link before.
    pub first_link: bool,
    /// A DNS list names the address.
    pub address_listed: bool,
    /// A DNS list names the domain of a link.
    pub domain_listed: bool,
    /// A field that people cannot see was filled in.
    pub honeypot_filled: bool,
    /// Near-duplicates seen lately ([`crate::Campaigns::sight`]).
    pub sighting: crate::Sighting,
}

/// A signal and what it adds to the log-odds of spam: positive speaks for spam, negative against.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reason {
    /// Plain words, fit for a moderator's page. May quote words of the post.
    pub signal: String,
    /// Its share of the log-odds.
    pub weight: f64,
}

/// The answer to one post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Calibrated P(spam), between 0 and 1, never either.
    pub probability: f64,
    /// The strongest signals first, at most eight.
    pub reasons: Vec<Reason>,
}
