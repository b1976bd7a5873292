//! Decisions on posts: approve, spam, reject, undo, claim, strike out; one at a time or many at once.
//!
//! Promises: two people cannot decide the same post differently without knowing (version, or the state that was
//! expected); what was done at once is one operation; an undo brings back the state, what the filter had learned and,
//! where the decision banned its author, the author's standing with every post that the ban hid.

use serde::{Deserialize, Serialize};

use super::book::Book;
use super::room::MAX_HISTORY;
use super::shelf::{Batch, Durable, Kind};
use super::{
    Action, AuthorId, CLAIM_TIME, Claim, Decision, Filter, Post, PostError, PostId, PostState, Posts, UNCONFIRMED,
    UNDO_TIME, submission,
};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::observe::{Event, emit};

const MAX_REASON: usize = 500;

/// Which posts a request is about.
#[derive(Debug, Clone, PartialEq)]
pub enum Asked {
    /// These, each with the version that was seen, if it was named.
    Posts(Vec<(PostId, Option<u32>)>),
    /// All that match.
    Matching(Filter),
}

/// What was done at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What.
    pub action: Action,
    /// The posts.
    pub posts: Vec<u64>,
    /// The author whose standing it changed.
    pub author: Option<AuthorId>,
    /// Was it taken back?
    pub undone: bool,
}

/// The answer to a decision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Done {
    /// The number of the operation, to undo all of it; none if nothing was to do.
    pub operation: Option<u64>,
    /// How many posts match.
    pub matched: usize,
    /// The posts that were changed, as they are now; in a preview the first of those that would be.
    pub posts: Vec<Post>,
    /// Posts that somebody else had decided meanwhile; they were left alone.
    pub skipped: Vec<PostId>,
    /// How many authors the posts have.
    pub authors: usize,
}

/// Posts by number, each with the version that was seen, if it was named.
type Numbers = Vec<(u64, Option<u32>)>;

/// The target of an action on posts.
fn target(action: Action) -> Option<PostState> {
    match action {
        Action::Approve => Some(PostState::Approved),
        Action::Spam => Some(PostState::Spam),
        Action::Reject => Some(PostState::Rejected),
        _ => None,
    }
}

impl Posts {
    /// Decides on posts. One post that was decided by somebody else is an error; of many such posts, those are skipped.
    /// More than [`UNCONFIRMED`] posts need their number in `confirmed`.
    pub async fn decide(
        self: &std::sync::Arc<Self>,
        tenant: (TenantId, &str),
        action: Action,
        asked: Asked,
        by: &str,
        reason: Option<String>,
        confirmed: Option<usize>,
    ) -> Result<Done, PostError> {
        let reason = checked_reason(reason)?;
        let (posts, who, id) = (self.clone(), by.to_owned(), tenant.0);
        let work = move || posts.decide_now(id, action, &asked, &who, reason.as_deref(), confirmed);
        let (done, durable) = self.on_processor(work).await??;
        durable.wait().await?;
        self.learn_lessons(tenant.0).await?;
        for post in &done.posts {
            tell(action, post, tenant.1, by);
        }
        Ok(done)
    }

    fn decide_now(
        &self,
        tenant: TenantId,
        action: Action,
        asked: &Asked,
        by: &str,
        reason: Option<&str>,
        confirmed: Option<usize>,
    ) -> Result<(Done, Durable), PostError> {
        let now = self.clock.now();
        let book = self.book(tenant);
        let mut book = book.lock();
        let (numbers, single) = self.numbers(&book, asked, now)?;
        if numbers.len() > UNCONFIRMED && confirmed != Some(numbers.len()) {
            return Err(PostError::Unconfirmed { found: numbers.len(), confirmed: confirmed.unwrap_or(0) });
        }
        let mut done = Done { matched: numbers.len(), ..Done::default() };
        let mut batch = Batch::default();
        let operation = book.next_number(now);
        for (number, version) in numbers {
            let mut post = self.load(tenant, number)?.ok_or_else(|| PostError::no_post(&number.to_string()))?;
            let result = match action {
                Action::Undo => self.undo_one(tenant, &mut book, &mut batch, &mut post, version, by, now),
                _ => decide_one(&mut book, &mut post, action, version, by, reason, operation, now),
            };
            match result {
                Ok(true) => {
                    self.put_post(&mut batch, tenant, &post)?;
                    book.insert(&post);
                    book.claims.remove(&number);
                    done.posts.push(post);
                }
                Ok(false) => done.skipped.push(post.id),
                Err(error) if single => return Err(error),
                Err(_) => done.skipped.push(post.id),
            }
        }
        let authors: std::collections::BTreeSet<AuthorId> = done.posts.iter().map(|post| post.author.clone()).collect();
        done.authors = authors.len();
        for author in &authors {
            self.put_author(&mut batch, tenant, &book, author)?;
        }
        if !done.posts.is_empty() && action != Action::Undo {
            done.operation = Some(operation);
            let posts = done.posts.iter().map(|post| post.number).collect();
            let record =
                Operation { number: operation, at: now, by: by.to_owned(), action, posts, author: None, undone: false };
            self.put_operation(&mut batch, tenant, &record)?;
        }
        self.shelf.apply(&batch)?;
        Ok((done, self.shelf.durable()))
    }

    /// What a decision would touch: how many posts, of how many authors, and the first of them.
    pub fn preview(&self, tenant: TenantId, asked: &Asked) -> Result<Done, PostError> {
        let book = self.book(tenant);
        let book = book.lock();
        let (numbers, _) = self.numbers(&book, asked, self.clock.now())?;
        let rows = numbers.iter().filter_map(|(number, _)| book.rows.get(number));
        let authors: std::collections::BTreeSet<&AuthorId> = rows.map(|row| &row.author).collect();
        let mut done = Done { matched: numbers.len(), authors: authors.len(), ..Done::default() };
        for (number, _) in numbers.iter().take(UNCONFIRMED) {
            done.posts.extend(self.load(tenant, *number)?);
        }
        Ok(done)
    }

    fn numbers(&self, book: &Book, asked: &Asked, now: Timestamp) -> Result<(Numbers, bool), PostError> {
        match asked {
            Asked::Posts(posts) => {
                let find = |(id, version): &(PostId, Option<u32>)| Ok((Self::number_of(book, id)?, *version));
                Ok((posts.iter().map(find).collect::<Result<_, PostError>>()?, posts.len() == 1))
            }
            Asked::Matching(filter) => {
                let settings = self.settings();
                let all = filter.numbers(book, settings.thresholds, now);
                Ok((all.into_iter().map(|number| (number, None)).collect(), false))
            }
        }
    }

    pub(super) fn put_operation(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        operation: &Operation,
    ) -> Result<(), PostError> {
        self.shelf.put_pieces(batch, Kind::Operation, tenant, &operation.number.to_be_bytes(), operation)
    }

    pub(super) fn load_operation(&self, tenant: TenantId, number: u64) -> Result<Option<Operation>, PostError> {
        self.shelf.get_pieces(Kind::Operation, tenant, &number.to_be_bytes())
    }

    /// Takes the last decision on a post back. If that decision came with a ban, the ban goes too.
    #[expect(clippy::too_many_arguments, reason = "the state of one decision")]
    fn undo_one(
        &self,
        tenant: TenantId,
        book: &mut Book,
        batch: &mut Batch,
        post: &mut Post,
        version: Option<u32>,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, PostError> {
        check_version(post, version)?;
        let Some(decision) = post.standing_decision().cloned() else {
            return Err(PostError::Conflict(format!(
                "nothing was decided about post \"{}\" that could be undone",
                post.id
            )));
        };
        let operation = self.load_operation(tenant, decision.operation)?;
        if let Some(mut operation) = operation.filter(|operation| operation.author.is_some() && !operation.undone) {
            self.undo_standing(tenant, book, batch, &mut operation, Some(post.number), by, now)?;
        }
        take_back(book, post, &decision, by, now);
        Ok(true)
    }

    /// Says that somebody looks at a post, so that others can see it. Lasts two minutes.
    pub fn claim(&self, tenant: TenantId, id: &PostId, by: &str) -> Result<Claim, PostError> {
        let now = self.clock.now();
        let book = self.book(tenant);
        let mut book = book.lock();
        let number = Self::number_of(&book, id)?;
        if let Some(other) = book.claim(number, now).filter(|claim| claim.by != by) {
            let until = other.until.to_rfc3339();
            return Err(PostError::Claimed { id: id.to_string(), by: other.by.clone(), until });
        }
        let claim = Claim { by: by.to_owned(), until: now + CLAIM_TIME };
        book.claims.retain(|_, claim| claim.until > now);
        book.claims.insert(number, claim.clone());
        Ok(claim)
    }

    /// Strikes a piece out of a post's text and title, everywhere it stands. This cannot be taken back: that is what
    /// it is for.
    pub async fn strike_out(
        self: &std::sync::Arc<Self>,
        tenant: (TenantId, &str),
        id: &PostId,
        piece: &str,
        version: Option<u32>,
        by: &str,
    ) -> Result<Post, PostError> {
        let (posts, id, piece, who) = (self.clone(), id.clone(), piece.to_owned(), by.to_owned());
        let of = tenant.0;
        let work = move || posts.strike_out_now(of, &id, &piece, version, &who);
        let (post, durable) = self.on_processor(work).await??;
        durable.wait().await?;
        tell(Action::Redact, &post, tenant.1, by);
        Ok(post)
    }

    fn strike_out_now(
        &self,
        tenant: TenantId,
        id: &PostId,
        piece: &str,
        version: Option<u32>,
        by: &str,
    ) -> Result<(Post, Durable), PostError> {
        let now = self.clock.now();
        let book = self.book(tenant);
        let mut book = book.lock();
        let number = Self::number_of(&book, id)?;
        let mut post = self.load(tenant, number)?.ok_or_else(|| PostError::no_post(id.as_str()))?;
        check_version(&post, version)?;
        let mut body = self.load_body(tenant, number)?.unwrap_or_default();
        // A browser gives a selection back with its own line ends.
        let piece = piece.replace("\r\n", "\n");
        let text = submission::strike_out(&body.text.replace("\r\n", "\n"), &piece);
        let title = submission::strike_out(&post.title, &piece);
        if text.is_none() && title.is_none() {
            return Err(PostError::invalid("the post does not hold that piece of text: select it again"));
        }
        if let Some(text) = text {
            body.text = text;
        }
        if let Some(title) = title {
            post.title = title;
        }
        post.excerpt = submission::excerpt(&body.text);
        let operation = book.next_number(now);
        push(&mut post, by, Action::Redact, None, operation, now, |post| post.state);
        post.change = book.next_change(now);
        let mut batch = Batch::default();
        self.put_post(&mut batch, tenant, &post)?;
        self.put_body(&mut batch, tenant, number, &body)?;
        self.shelf.apply(&batch)?;
        book.insert(&post);
        Ok((post, self.shelf.durable()))
    }
}

/// Writes the event of a decision.
pub(super) fn tell(action: Action, post: &Post, tenant: &str, by: &str) {
    if let Some(event) = Event::post_decided(action, post.id.clone(), tenant.to_owned(), by.to_owned()) {
        emit(&event);
    }
}

fn checked_reason(reason: Option<String>) -> Result<Option<String>, PostError> {
    let reason = reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > MAX_REASON) {
        return Err(PostError::invalid(format!("a reason has at most {MAX_REASON} characters")));
    }
    Ok(reason)
}

fn check_version(post: &Post, version: Option<u32>) -> Result<(), PostError> {
    match version {
        Some(expected) if expected != post.version => {
            let by = post.history.last().map_or_else(|| "the author".to_owned(), |decision| decision.by.clone());
            Err(PostError::Version { id: post.id.to_string(), found: post.version, expected, by })
        }
        _ => Ok(()),
    }
}

/// Adds a line of history and moves the post; returns where it was.
pub(super) fn push(
    post: &mut Post,
    by: &str,
    action: Action,
    reason: Option<&str>,
    operation: u64,
    now: Timestamp,
    to: impl FnOnce(&Post) -> PostState,
) {
    let (from, to) = (post.state, to(post));
    if post.history.len() >= MAX_HISTORY {
        post.history.remove(0);
    }
    post.history.push(Decision {
        at: now,
        by: by.to_owned(),
        action,
        from,
        to,
        reason: reason.map(str::to_owned),
        operation,
        learned_before: post.learned,
        undone: false,
    });
    post.state = to;
    post.version += 1;
}

/// True if the post changed; false if it is where it should go already.
#[expect(clippy::too_many_arguments, reason = "the state of one decision")]
pub(super) fn decide_one(
    book: &mut Book,
    post: &mut Post,
    action: Action,
    version: Option<u32>,
    by: &str,
    reason: Option<&str>,
    operation: u64,
    now: Timestamp,
) -> Result<bool, PostError> {
    let to = target(action).ok_or_else(|| PostError::invalid("that is not a decision on a post"))?;
    check_version(post, version)?;
    if post.state == PostState::Expired {
        return Err(PostError::Conflict(format!("post \"{}\" expired: its text is gone", post.id)));
    }
    if let Some(decision) = post.standing_decision()
        && version.is_none()
    {
        if post.state == to {
            return Ok(false);
        }
        return Err(PostError::Decided {
            id: post.id.to_string(),
            state: post.state,
            by: decision.by.clone(),
            at: decision.at.to_rfc3339(),
        });
    }
    if post.standing_decision().is_none() && post.state == PostState::Held {
        book.took(now.since(post.received));
    }
    let before = post.state;
    push(post, by, action, reason, operation, now, |_| to);
    book.count(&post.author, Some(before), Some(to));
    book.lesson(post, action);
    post.settles = Some(now + UNDO_TIME);
    post.change = book.next_change(now);
    Ok(true)
}

/// Brings back what a decision changed.
pub(super) fn take_back(book: &mut Book, post: &mut Post, decision: &Decision, by: &str, now: Timestamp) {
    let before = post.state;
    for line in post.history.iter_mut().filter(|line| line.operation == decision.operation) {
        line.undone = true;
    }
    push(post, by, Action::Undo, None, decision.operation, now, |_| decision.from);
    if let Some(line) = post.history.last_mut() {
        line.undone = true;
    }
    book.count(&post.author, Some(before), Some(decision.from));
    if post.learned != decision.learned_before {
        post.learned = decision.learned_before;
        book.lessons.push_back((post.number, decision.learned_before));
    }
    post.settles = None;
    post.change = book.next_change(now);
}
