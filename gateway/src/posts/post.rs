//! A post as it is kept: its facts, its verdict, its decisions. The text lies apart ([`Body`]), so that lists need
//! not read it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::PostError;
use crate::clock::Timestamp;

/// The most characters that a post's or an author's id may have.
const MAX_ID: usize = 200;

/// The help center's own name for a post; unique in its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PostId(String);

/// The name of an author in a tenant: what the help center gives, else the mail address, else the IP address.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AuthorId(String);

fn checked(what: &str, text: &str) -> Result<String, PostError> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_ID || text.chars().any(char::is_control) {
        return Err(PostError::invalid(format!("{what} must have 1 to {MAX_ID} characters and no control characters")));
    }
    Ok(text.to_owned())
}

impl PostId {
    /// Checks a text.
    pub fn parse(text: &str) -> Result<Self, PostError> {
        checked("the post's id", text).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AuthorId {
    /// Checks a text.
    pub fn parse(text: &str) -> Result<Self, PostError> {
        checked("the author's id", text).map(Self)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for AuthorId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a post is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PostState {
    /// A person decides.
    Held,
    /// Published on the filter's word.
    Published,
    /// Published on a person's word.
    Approved,
    /// Spam, on the filter's word or a person's.
    Spam,
    /// Refused by a person for another reason than spam.
    Rejected,
    /// Nobody decided within the retention time; the text is gone.
    Expired,
}

impl PostState {
    /// Every state.
    pub const ALL: [Self; 6] = [Self::Held, Self::Published, Self::Approved, Self::Spam, Self::Rejected, Self::Expired];

    /// The name in JSON and in filters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Published => "published",
            Self::Approved => "approved",
            Self::Spam => "spam",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
        }
    }

    /// May the help center show the post?
    pub const fn is_public(self) -> bool {
        matches!(self, Self::Published | Self::Approved)
    }
}

impl fmt::Display for PostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PostState {
    type Err = PostError;
    fn from_str(text: &str) -> Result<Self, PostError> {
        Self::ALL.into_iter().find(|state| state.name() == text).ok_or_else(|| {
            PostError::invalid(format!(
                "\"{text}\" is not a state: held, published, approved, spam, rejected or expired"
            ))
        })
    }
}

/// How a post came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `POST /v1/posts`.
    Api,
    /// The Akismet-compatible endpoints.
    Akismet,
    /// A listener of kind `posts`.
    Mail,
}

/// One signal of the classifier, in words, with its weight in the logit: above zero speaks for spam.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// In plain words.
    pub signal: String,
    /// Its share of the logit.
    pub weight: f64,
}

/// Why a post is where it is, beside the classifier's number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Below `publish_below`.
    LikelyFine,
    /// Between the two thresholds.
    Unsure,
    /// Above `spam_above`.
    LikelySpam,
    /// The classifier failed: invariant 9.
    ClassifierFailed,
    /// The author is trusted.
    AuthorTrusted,
    /// The author is silenced.
    AuthorSilenced,
    /// The author is banned.
    AuthorBanned,
    /// A rule matched.
    Rule {
        /// The rule's name.
        rule: String,
    },
    /// More posts of this author within an hour than is usual.
    Rate {
        /// How many.
        posts: u32,
    },
    /// Nearly the same text from several authors within a day.
    Campaign {
        /// How many such posts.
        posts: u32,
        /// By how many authors.
        authors: u32,
    },
    /// It was changed after it had been stopped.
    Edited,
    /// A field that people do not see was filled in.
    Honeypot,
    /// The mail that brought it could not be authenticated.
    Unauthenticated,
    /// The client's own word: it was submitted as a sample.
    Sample,
}

impl Cause {
    /// The cause in words, for pages and lists in English.
    pub fn words(&self) -> String {
        match self {
            Self::LikelyFine => "likely fine".into(),
            Self::Unsure => "the filter is unsure".into(),
            Self::LikelySpam => "likely spam".into(),
            Self::ClassifierFailed => "the filter failed, so a person decides".into(),
            Self::AuthorTrusted => "the author is trusted".into(),
            Self::AuthorSilenced => "the author is silenced".into(),
            Self::AuthorBanned => "the author is banned".into(),
            Self::Rule { rule } => format!("rule {rule}"),
            Self::Rate { posts } => format!("{posts} posts by this author within an hour"),
            Self::Campaign { posts, authors } => format!("{posts} nearly equal posts by {authors} authors"),
            Self::Edited => "changed after it had been stopped".into(),
            Self::Honeypot => "a hidden field was filled in".into(),
            Self::Unauthenticated => "the mail's sender could not be verified".into(),
            Self::Sample => "submitted as a sample".into(),
        }
    }
}

/// What a person (or a program for a person) did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Publish.
    Approve,
    /// Spam.
    Spam,
    /// Refuse for another reason.
    Reject,
    /// Take the last decision back.
    Undo,
    /// Strike a piece of the text out.
    Redact,
    /// Trust the author.
    Trust,
    /// Hold everything of the author for a while.
    Silence,
    /// Stop everything of the author.
    Ban,
    /// Back to the usual treatment.
    Unban,
    /// The filter's own time-out of a held post.
    Expire,
    /// The author changed the post.
    Edit,
}

impl Action {
    /// The name in JSON and routes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Spam => "spam",
            Self::Reject => "reject",
            Self::Undo => "undo",
            Self::Redact => "redact",
            Self::Trust => "trust",
            Self::Silence => "silence",
            Self::Ban => "ban",
            Self::Unban => "unban",
            Self::Expire => "expire",
            Self::Edit => "edit",
        }
    }
}

/// One line of a post's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What.
    pub action: Action,
    /// Where the post was.
    pub from: PostState,
    /// Where it went.
    pub to: PostState,
    /// The reason that was given.
    pub reason: Option<String>,
    /// What was done at once with it has the same number.
    pub operation: u64,
    /// What the filter had learned of the post before: spam or not.
    pub learned_before: Option<bool>,
    /// Was it taken back?
    pub undone: bool,
}

/// Who wrote a post, in the help center's words, beside the id. Each may be missing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Byline {
    /// The name as it is shown.
    pub name: Option<String>,
    /// The mail address.
    pub email: Option<String>,
    /// The web page.
    pub url: Option<String>,
    /// Where it was written from.
    pub ip: Option<IpAddr>,
    /// Since when there is an account.
    pub since: Option<Timestamp>,
}

/// A post without its text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Post {
    /// Its number in the tenant; ascends with time.
    pub number: u64,
    /// The help center's name for it.
    pub id: PostId,
    /// Its author.
    pub author: AuthorId,
    /// Who wrote it, as the help center says.
    pub byline: Byline,
    /// Its title.
    pub title: String,
    /// The beginning of its text.
    pub excerpt: String,
    /// Its language, as the help center says.
    pub lang: Option<String>,
    /// Its page in the help center.
    pub url: Option<String>,
    /// What it is: `comment`, `forum-post`…
    pub kind: Option<String>,
    /// How it came in.
    pub source: Source,
    /// When it came in.
    pub received: Timestamp,
    /// When it was changed last by its author.
    pub edited: Option<Timestamp>,
    /// Calibrated probability of spam; `None` if the classifier failed.
    pub probability: Option<f64>,
    /// The strongest signals.
    pub reasons: Vec<Reason>,
    /// Why it is where it is.
    pub causes: Vec<Cause>,
    /// Where it is.
    pub state: PostState,
    /// Rises with each change; what `If-Match` names.
    pub version: u32,
    /// The tenant's change number at its last change; the cursor of polling.
    pub change: u64,
    /// Until then a decision is not told to the help center.
    pub settles: Option<Timestamp>,
    /// What was decided, oldest first.
    pub history: Vec<Decision>,
    /// What the filter has learned of it: spam or not.
    pub learned: Option<bool>,
    /// A similarity hash of the text.
    pub fingerprint: u64,
    /// A keyed hash of what was submitted.
    pub digest: [u8; 32],
    /// How many card numbers were struck out.
    pub struck: u32,
    /// Octets of its text.
    pub length: u32,
}

impl Post {
    /// The last decision that stands. One from before the author changed the post was about another text.
    pub fn standing_decision(&self) -> Option<&Decision> {
        let since_edit = self.history.iter().rev().take_while(|decision| decision.action != Action::Edit);
        since_edit
            .filter(|decision| matches!(decision.action, Action::Approve | Action::Spam | Action::Reject))
            .find(|decision| !decision.undone)
    }

    /// Which third of the scale it is in.
    pub fn band(&self, thresholds: super::Thresholds) -> Band {
        Band::of(self.probability, thresholds)
    }
}

/// The three bands that moderators see instead of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Band {
    /// Below one third of the scale between the thresholds.
    LikelyFine,
    /// In the middle, or without a number.
    Unsure,
    /// Above two thirds.
    LikelySpam,
}

impl Band {
    /// The band of a probability: the scale between the thresholds in thirds, what lies outside counts to its side.
    pub fn of(probability: Option<f64>, thresholds: super::Thresholds) -> Self {
        let Some(probability) = probability else { return Self::Unsure };
        let span = (thresholds.spam_above - thresholds.publish_below).max(0.0);
        if probability < thresholds.publish_below + span / 3.0 {
            Self::LikelyFine
        } else if probability > thresholds.publish_below + span * 2.0 / 3.0 {
            Self::LikelySpam
        } else {
            Self::Unsure
        }
    }

    /// The name in JSON and filters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LikelyFine => "likely-fine",
            Self::Unsure => "unsure",
            Self::LikelySpam => "likely-spam",
        }
    }
}

/// The text of a post and what only a person's look or the classifier needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Body {
    /// The text, card numbers struck out.
    pub text: String,
    /// The page or thread that it answers, if the help center gave it.
    pub context: Option<String>,
    /// The browser.
    pub user_agent: Option<String>,
    /// Where the author came from.
    pub referrer: Option<String>,
}
