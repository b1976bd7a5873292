//! Posts, authors and rules as JSON: the stable shapes, apart from how they are kept. Times are RFC 3339; cursors and
//! operations are texts, since they may outgrow a double.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::clock::Timestamp;
use crate::posts::links::{Link, links};
use crate::posts::{
    Author, Body, Cause, Claim, Counts, Decision, Done, Post, PostState, Reason, Rule, Source, Standing, Thresholds,
    Trial,
};

/// A post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PostView {
    /// The help center's name for it.
    pub id: String,
    /// What the help center may do with it: `published`, `held` or `spam`. During the ten seconds in which a decision
    /// can be taken back unheard, it is `held`.
    pub verdict: String,
    /// Where it is, exactly.
    pub state: PostState,
    /// Calibrated probability of spam; absent if the classifier failed.
    pub probability: Option<f64>,
    /// `likely-fine`, `unsure`, `likely-spam`.
    pub band: String,
    /// The strongest signals with their weights.
    pub reasons: Vec<Reason>,
    /// Why it is where it is, in words.
    pub causes: Vec<String>,
    /// The author's id.
    pub author: String,
    /// The author's name.
    pub author_name: Option<String>,
    /// The author's mail address.
    pub author_email: Option<String>,
    /// The title.
    pub title: String,
    /// The beginning of the text.
    pub excerpt: String,
    /// The language.
    pub lang: Option<String>,
    /// The page.
    pub url: Option<String>,
    /// The kind.
    pub kind: Option<String>,
    /// How it came in.
    pub source: Source,
    /// When it came in.
    pub received: String,
    /// When its author changed it last.
    pub edited: Option<String>,
    /// What `If-Match` names.
    pub version: u32,
    /// The cursor of its last change.
    pub change: String,
    /// When a decision is told to the help center, while it is not.
    pub settles: Option<String>,
    /// Card numbers that were struck out.
    pub card_numbers: u32,
}

/// A post with everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FullPostView {
    /// The post.
    #[serde(flatten)]
    pub post: PostView,
    /// Its text.
    pub text: String,
    /// What it answers.
    pub context: Option<String>,
    /// Its links with their real targets.
    pub links: Vec<Link>,
    /// What was decided, oldest first.
    pub history: Vec<DecisionView>,
    /// Who looks at it.
    pub claim: Option<ClaimView>,
}

/// One line of history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DecisionView {
    /// When.
    pub at: String,
    /// By whom.
    pub by: String,
    /// What.
    pub action: String,
    /// Where the post was.
    pub from: PostState,
    /// Where it went.
    pub to: PostState,
    /// Why.
    pub reason: Option<String>,
    /// The operation that it was part of.
    pub operation: String,
    /// Was it taken back?
    pub undone: bool,
}

/// Who looks at a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimView {
    /// Who.
    pub by: String,
    /// Until when.
    pub until: String,
}

/// A page of posts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PostPage {
    /// The posts.
    pub posts: Vec<PostView>,
    /// What `after` is for the next page, or for the next time.
    pub next: String,
    /// How many match, where that was counted.
    pub total: Option<usize>,
}

/// The answer to a decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DoneView {
    /// How many posts match.
    pub matched: usize,
    /// How many authors they have.
    pub authors: usize,
    /// The posts that were changed; in a dry run the first of those that would be.
    pub posts: Vec<PostView>,
    /// Posts that somebody else had decided meanwhile.
    pub skipped: Vec<String>,
    /// What `undo` takes to take all of it back.
    pub operation: Option<String>,
    /// Was it only tried?
    pub dry_run: bool,
}

/// An author.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuthorView {
    /// The id.
    pub id: String,
    /// The name.
    pub name: Option<String>,
    /// The mail address.
    pub email: Option<String>,
    /// `normal`, `trusted`, `silenced`, `banned`.
    pub standing: String,
    /// When a silence ends.
    pub until: Option<String>,
    /// Since when there is an account.
    pub since: Option<String>,
    /// The first post that was seen.
    pub first_seen: String,
    /// The last one.
    pub last_seen: String,
    /// Where the posts are.
    pub counts: Counts,
    /// Changes of the standing, oldest first.
    pub history: Vec<StandingView>,
    /// The last posts, newest first.
    pub posts: Vec<PostView>,
}

/// One change of a standing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StandingView {
    /// When.
    pub at: String,
    /// By whom.
    pub by: String,
    /// What.
    pub action: String,
    /// Why.
    pub reason: Option<String>,
    /// Was it taken back?
    pub undone: bool,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuleView {
    /// Its number.
    pub number: String,
    /// `word`, `link`, `address`.
    pub field: crate::posts::Field,
    /// What it looks for.
    pub pattern: String,
    /// `hold` or `spam`.
    pub effect: crate::posts::Effect,
    /// `shadow` or `enforced`.
    pub mode: crate::posts::RuleMode,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: String,
    /// How often it matched.
    pub hits: u64,
}

/// What a rule would have matched.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrialView {
    /// On how many posts it was tried.
    pub tried: usize,
    /// How many it matches.
    pub matched: usize,
    /// How many of those are public.
    pub public: usize,
    /// The first of them.
    pub posts: Vec<PostView>,
}

fn verdict(post: &Post) -> &'static str {
    match post.state {
        _ if post.settles.is_some() => "held",
        PostState::Published | PostState::Approved => "published",
        PostState::Held => "held",
        PostState::Spam | PostState::Rejected | PostState::Expired => "spam",
    }
}

fn written(at: Option<Timestamp>) -> Option<String> {
    at.map(Timestamp::to_rfc3339)
}

impl PostView {
    /// The view of a post.
    pub fn of(post: &Post, thresholds: Thresholds) -> Self {
        Self {
            id: post.id.to_string(),
            verdict: verdict(post).to_owned(),
            state: post.state,
            probability: post.probability,
            band: post.band(thresholds).name().to_owned(),
            reasons: post.reasons.clone(),
            causes: post.causes.iter().map(Cause::words).collect(),
            author: post.author.to_string(),
            author_name: post.byline.name.clone(),
            author_email: post.byline.email.clone(),
            title: post.title.clone(),
            excerpt: post.excerpt.clone(),
            lang: post.lang.clone(),
            url: post.url.clone(),
            kind: post.kind.clone(),
            source: post.source,
            received: post.received.to_rfc3339(),
            edited: written(post.edited),
            version: post.version,
            change: post.change.to_string(),
            settles: written(post.settles),
            card_numbers: post.struck,
        }
    }

    /// The views of several.
    pub fn all(posts: &[Post], thresholds: Thresholds) -> Vec<Self> {
        posts.iter().map(|post| Self::of(post, thresholds)).collect()
    }
}

impl FullPostView {
    /// The view of a post with its text.
    pub fn of(post: &Post, body: Body, claim: Option<Claim>, thresholds: Thresholds) -> Self {
        Self {
            post: PostView::of(post, thresholds),
            links: links(&body.text),
            text: body.text,
            context: body.context,
            history: post.history.iter().map(DecisionView::of).collect(),
            claim: claim.map(|claim| ClaimView::of(&claim)),
        }
    }
}

impl DecisionView {
    fn of(decision: &Decision) -> Self {
        Self {
            at: decision.at.to_rfc3339(),
            by: decision.by.clone(),
            action: decision.action.name().to_owned(),
            from: decision.from,
            to: decision.to,
            reason: decision.reason.clone(),
            operation: decision.operation.to_string(),
            undone: decision.undone,
        }
    }
}

impl ClaimView {
    /// The view of a claim.
    pub fn of(claim: &Claim) -> Self {
        Self { by: claim.by.clone(), until: claim.until.to_rfc3339() }
    }
}

impl DoneView {
    /// The view of what was done.
    pub fn of(done: &Done, thresholds: Thresholds, dry_run: bool) -> Self {
        Self {
            matched: done.matched,
            authors: done.authors,
            posts: PostView::all(&done.posts, thresholds),
            skipped: done.skipped.iter().map(ToString::to_string).collect(),
            operation: done.operation.map(|number| number.to_string()),
            dry_run,
        }
    }
}

impl AuthorView {
    /// The view of an author as of now.
    pub fn of(author: &Author, posts: &[Post], thresholds: Thresholds, now: Timestamp) -> Self {
        let standing = author.standing_at(now);
        let until = match standing {
            Standing::Silenced { until } => Some(until.to_rfc3339()),
            _ => None,
        };
        Self {
            id: author.id.to_string(),
            name: author.name.clone(),
            email: author.email.clone(),
            standing: standing.name().to_owned(),
            until,
            since: written(author.since),
            first_seen: author.first_seen.to_rfc3339(),
            last_seen: author.last_seen.to_rfc3339(),
            counts: author.counts,
            history: author
                .history
                .iter()
                .map(|change| StandingView {
                    at: change.at.to_rfc3339(),
                    by: change.by.clone(),
                    action: change.action.name().to_owned(),
                    reason: change.reason.clone(),
                    undone: change.undone,
                })
                .collect(),
            posts: PostView::all(posts, thresholds),
        }
    }
}

impl RuleView {
    /// The view of a rule.
    pub fn of(rule: &Rule) -> Self {
        Self {
            number: rule.number.to_string(),
            field: rule.rule.field,
            pattern: rule.rule.pattern.clone(),
            effect: rule.rule.effect,
            mode: rule.mode,
            by: rule.by.clone(),
            at: rule.at.to_rfc3339(),
            hits: rule.hits,
        }
    }
}

impl TrialView {
    /// The view of a trial.
    pub fn of(trial: &Trial, thresholds: Thresholds) -> Self {
        Self {
            tried: trial.tried,
            matched: trial.matched,
            public: trial.public,
            posts: PostView::all(&trial.posts, thresholds),
        }
    }
}
