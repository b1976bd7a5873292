//! The classifier as this room needs it: a narrow trait, so that the model can be tried, replaced and made to fail.

use super::{Body, Post, Reason};
use crate::clock::Timestamp;
use crate::ids::TenantId;

/// What the classifier sees of a post.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Facts {
    /// The title.
    pub title: String,
    /// The text.
    pub text: String,
    /// The language, if it is known.
    pub lang: Option<String>,
    /// The author's id.
    pub author: String,
    /// The author's name.
    pub author_name: Option<String>,
    /// The author's mail address.
    pub author_email: Option<String>,
    /// The author's web page.
    pub author_url: Option<String>,
    /// Seconds that the author has had an account.
    pub author_age: Option<u64>,
    /// Posts of this author that were published before.
    pub author_published: u32,
    /// Posts of this author within the last hour, this one not counted.
    pub author_rate: u32,
    /// Is it seen for the first time? Then it counts for campaigns.
    pub new: bool,
}

impl Facts {
    /// The facts of a post that is kept.
    pub fn of(post: &Post, body: &Body) -> Self {
        Self {
            title: post.title.clone(),
            text: body.text.clone(),
            lang: post.lang.clone(),
            author: post.author.to_string(),
            author_name: post.byline.name.clone(),
            author_email: post.byline.email.clone(),
            author_url: post.byline.url.clone(),
            author_age: post.byline.since.map(|since| post.received.since(since).as_secs()),
            // What the author did since must not change what is learned of this post.
            author_published: 0,
            author_rate: 0,
            new: false,
        }
    }
}

/// A verdict in numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// Calibrated probability of spam, 0 to 1.
    pub probability: f64,
    /// The strongest signals first.
    pub reasons: Vec<Reason>,
}

/// A person's word on a post.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// The post's number.
    pub number: u64,
    /// The post.
    pub facts: Facts,
    /// Is it spam?
    pub spam: bool,
    /// Who says so.
    pub by: String,
    /// When.
    pub at: Timestamp,
}

/// The classifier cannot say; the post waits for a person.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("classifier: {0}")]
pub struct ClassifierError(pub String);

/// Scores posts, and learns from decisions tenant by tenant. All calls hold a processor: use the blocking pool.
pub trait Classifier: Send + Sync + 'static {
    /// The score of a post for this tenant.
    fn score(&self, tenant: TenantId, facts: &Facts) -> Result<Score, ClassifierError>;

    /// Learns a person's word on a post; a later word on the same number replaces the earlier one.
    fn learn(&self, tenant: TenantId, lesson: &Lesson);

    /// Forgets what was learned of post `number`, exactly.
    fn unlearn(&self, tenant: TenantId, number: u64);

    /// Everything that was learned for the tenant, to be kept.
    fn save(&self, tenant: TenantId) -> Vec<u8>;

    /// Takes what [`Classifier::save`] gave.
    fn load(&self, tenant: TenantId, saved: &[u8]) -> Result<(), ClassifierError>;
}

/// No classifier: every post waits for a person.
#[derive(Debug, Default, Clone, Copy)]
pub struct NoClassifier;

impl Classifier for NoClassifier {
    fn score(&self, _: TenantId, _: &Facts) -> Result<Score, ClassifierError> {
        Err(ClassifierError("there is none".into()))
    }

    fn learn(&self, _: TenantId, _: &Lesson) {}

    fn unlearn(&self, _: TenantId, _: u64) {}

    fn save(&self, _: TenantId) -> Vec<u8> {
        Vec::new()
    }

    fn load(&self, _: TenantId, _: &[u8]) -> Result<(), ClassifierError> {
        Ok(())
    }
}
