//! Posts for help centers: screened, held for a person where the filter is unsure, decided, learned from.
//!
//! Promises: a verdict is given only after the post is durable; the same id gives the same post (per tenant); card
//! numbers are struck out before anything is kept; everything at rest is sealed under the tenant's data key; a failure
//! of any part means held (invariant 9); one tenant's posts, authors, rules and lessons never touch another's
//! (invariant 6); a decision can be taken back, and the filter then forgets exactly what it learned from it. A
//! decision is told to the help center ten seconds after it was made, so that taking it back is real.

mod adapt;
mod authors;
mod book;
mod classifier;
mod decide;
mod disk;
mod error;
mod filter;
mod fingerprint;
mod intake;
mod keeper;
pub mod links;
mod mail;
mod post;
mod query;
mod room;
mod rules;
mod shelf;
mod standing;
mod submission;
#[cfg(test)]
mod tests;
mod trial;
mod verdict;

pub use authors::{Author, Counts, Standing, StandingChange};
pub use book::Claim;
pub use classifier::{Classifier, ClassifierError, Facts, Lesson, NoClassifier, Score};
pub use decide::{Asked, Done, Operation};
pub use disk::{LocalPostDisk, PostDisk};
pub use error::PostError;
pub use filter::SpamFilter;
pub use mail::{MailDesk, NotAPost, submission as submission_of_mail};
pub use post::{Action, AuthorId, Band, Body, Byline, Cause, Decision, Post, PostId, PostState, Reason, Source};
pub use query::{Backlog, Filter, Order, Page, Usage};
pub use room::{Answer, OpenedPosts, Posts, Settings};
pub use rules::{Effect, Field, NewRule, Rule, RuleMode};
pub use standing::{StandingAction, StandingPreview};
pub use submission::{Checked, MAX_TEXT, Submission};
pub use trial::Trial;
pub use verdict::Thresholds;

/// How long a decision can be taken back before the help center hears of it.
pub const UNDO_TIME: std::time::Duration = std::time::Duration::from_secs(10);
/// How long a claim lasts.
pub const CLAIM_TIME: std::time::Duration = std::time::Duration::from_mins(2);
/// How many posts may be changed at once without confirming their number.
pub const UNCONFIRMED: usize = 20;
