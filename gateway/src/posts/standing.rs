//! Actions on authors: trust, silence, ban, unban; a ban may take the author's posts with it, after a preview.

use std::sync::Arc;
use std::time::Duration;

use super::book::Book;
use super::decide::{decide_one, take_back, tell};
use super::shelf::{Batch, Durable};
use super::{
    Action, Author, AuthorId, Done, Operation, Post, PostError, PostState, Posts, Standing, StandingChange, UNCONFIRMED,
};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::observe::{Event, emit};

/// What to do with an author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingAction {
    /// Trust, silence, ban or unban.
    pub action: Action,
    /// How long a silence lasts.
    pub span: Duration,
    /// With a ban: posts received since then go to spam, held and public ones alike.
    pub posts_since: Option<Timestamp>,
    /// Why.
    pub reason: Option<String>,
    /// How many posts were confirmed to be hidden, if it is more than [`UNCONFIRMED`].
    pub confirmed: Option<usize>,
}

impl StandingAction {
    /// The action alone, for a day where it lasts.
    pub fn new(action: Action) -> Self {
        Self { action, span: Duration::from_hours(24), posts_since: None, reason: None, confirmed: None }
    }
}

/// What a ban would hide.
#[derive(Debug, Clone, PartialEq)]
pub struct StandingPreview {
    /// The author.
    pub author: Author,
    /// How many posts wait.
    pub held: usize,
    /// How many are public.
    pub public: usize,
    /// The first of them.
    pub posts: Vec<Post>,
}

/// The posts that a ban takes along: those that wait or are public.
fn hidden(book: &Book, author: &AuthorId, since: Timestamp) -> Vec<u64> {
    let posts = book.of_author(author).filter(|(_, row)| row.received >= since);
    posts.filter(|(_, row)| row.state == PostState::Held || row.state.is_public()).map(|(number, _)| number).collect()
}

impl Posts {
    /// An author.
    pub fn author(&self, tenant: TenantId, id: &AuthorId) -> Result<Author, PostError> {
        let book = self.book(tenant);
        let author = book.lock().authors.get(id).cloned();
        author.ok_or_else(|| PostError::Unknown { what: "author", name: id.to_string() })
    }

    /// What a ban of the author with the posts since then would hide.
    pub fn preview_ban(&self, tenant: TenantId, id: &AuthorId, since: Timestamp) -> Result<StandingPreview, PostError> {
        let author = self.author(tenant, id)?;
        let book = self.book(tenant);
        let book = book.lock();
        let numbers = hidden(&book, id, since);
        let public = numbers.iter().filter(|number| book.rows.get(number).is_some_and(|row| row.state.is_public()));
        let public = public.count();
        let mut posts = Vec::new();
        for number in numbers.iter().rev().take(UNCONFIRMED) {
            posts.extend(self.load(tenant, *number)?);
        }
        Ok(StandingPreview { author, held: numbers.len() - public, public, posts })
    }

    /// Changes how an author is treated, and hides posts with a ban where that is asked for.
    pub async fn change_standing(
        self: &Arc<Self>,
        tenant: (TenantId, &str),
        id: &AuthorId,
        action: StandingAction,
        by: &str,
    ) -> Result<(Author, Done), PostError> {
        let (posts, author, who, of, what) = (self.clone(), id.clone(), by.to_owned(), tenant.0, action.action);
        let work = move || posts.change_standing_now(of, &author, &action, &who);
        let (author, done, durable) = self.on_processor(work).await??;
        durable.wait().await?;
        self.learn_lessons(tenant.0).await?;
        let name = tenant.1.to_owned();
        emit(&Event::PostAuthor { author: id.clone(), tenant: name, action: what.name(), by: by.to_owned() });
        for post in &done.posts {
            tell(Action::Spam, post, tenant.1, by);
        }
        Ok((author, done))
    }

    fn change_standing_now(
        &self,
        tenant: TenantId,
        id: &AuthorId,
        asked: &StandingAction,
        by: &str,
    ) -> Result<(Author, Done, Durable), PostError> {
        let now = self.clock.now();
        let to = match asked.action {
            Action::Trust => Standing::Trusted,
            Action::Silence => Standing::Silenced { until: now + asked.span },
            Action::Ban => Standing::Banned,
            Action::Unban => Standing::Normal,
            _ => return Err(PostError::invalid("that is not an action on an author")),
        };
        let book = self.book(tenant);
        let mut book = book.lock();
        let mut batch = Batch::default();
        let operation = book.next_number(now);
        // Somebody may be banned before the first post.
        let author = book.authors.entry(id.clone()).or_insert_with(|| Author::new(id.clone(), now));
        let change = StandingChange {
            at: now,
            by: by.to_owned(),
            action: asked.action,
            before: author.standing,
            reason: asked.reason.clone(),
            operation,
            undone: false,
        };
        let numbers = match (asked.action, asked.posts_since) {
            (Action::Ban, Some(since)) => hidden(&book, id, since),
            _ => Vec::new(),
        };
        if numbers.len() > UNCONFIRMED && asked.confirmed != Some(numbers.len()) {
            return Err(PostError::Unconfirmed { found: numbers.len(), confirmed: asked.confirmed.unwrap_or(0) });
        }
        let mut done = Done { operation: Some(operation), matched: numbers.len(), authors: 1, ..Done::default() };
        for number in numbers {
            let Some(mut post) = self.load(tenant, number)? else { continue };
            let reason = asked.reason.as_deref();
            // A ban is about the author whatever was decided about a post before, so the version is the current one.
            let version = Some(post.version);
            if decide_one(&mut book, &mut post, Action::Spam, version, by, reason, operation, now)? {
                self.put_post(&mut batch, tenant, &post)?;
                book.insert(&post);
                done.posts.push(post);
            }
        }
        let posts = done.posts.iter().map(|post| post.number).collect();
        let (by, author) = (by.to_owned(), Some(id.clone()));
        let record = Operation { number: operation, at: now, by, action: asked.action, posts, author, undone: false };
        self.put_operation(&mut batch, tenant, &record)?;
        if let Some(author) = book.authors.get_mut(id) {
            author.change(to, change);
        }
        self.put_author(&mut batch, tenant, &book, id)?;
        self.shelf.apply(&batch)?;
        let author = book.authors.get(id).cloned();
        let author = author.ok_or_else(|| PostError::Unknown { what: "author", name: id.to_string() })?;
        Ok((author, done, self.shelf.durable()))
    }

    /// Takes an operation back: every post of it that nobody decided since, and the author's standing.
    pub async fn undo_operation(
        self: &Arc<Self>,
        tenant: (TenantId, &str),
        number: u64,
        by: &str,
    ) -> Result<Done, PostError> {
        let (posts, who, of) = (self.clone(), by.to_owned(), tenant.0);
        let (done, durable) = self.on_processor(move || posts.undo_operation_now(of, number, &who)).await??;
        durable.wait().await?;
        self.learn_lessons(tenant.0).await?;
        for post in &done.posts {
            tell(Action::Undo, post, tenant.1, by);
        }
        Ok(done)
    }

    fn undo_operation_now(&self, tenant: TenantId, number: u64, by: &str) -> Result<(Done, Durable), PostError> {
        let now = self.clock.now();
        let book = self.book(tenant);
        let mut book = book.lock();
        let mut operation = self
            .load_operation(tenant, number)?
            .ok_or_else(|| PostError::Unknown { what: "operation", name: number.to_string() })?;
        if operation.undone {
            return Err(PostError::Conflict("that was taken back already".into()));
        }
        let mut batch = Batch::default();
        let done = self.undo_standing(tenant, &mut book, &mut batch, &mut operation, None, by, now)?;
        self.shelf.apply(&batch)?;
        Ok((done, self.shelf.durable()))
    }

    /// The posts of an operation but `except`, and its author.
    #[expect(clippy::too_many_arguments, reason = "the state of one decision")]
    pub(super) fn undo_standing(
        &self,
        tenant: TenantId,
        book: &mut Book,
        batch: &mut Batch,
        operation: &mut Operation,
        except: Option<u64>,
        by: &str,
        now: Timestamp,
    ) -> Result<Done, PostError> {
        let mut done = Done { matched: operation.posts.len(), ..Done::default() };
        for number in operation.posts.iter().filter(|number| Some(**number) != except) {
            let Some(mut post) = self.load(tenant, *number)? else { continue };
            let decision = post.standing_decision().cloned();
            match decision.filter(|decision| decision.operation == operation.number) {
                Some(decision) => {
                    take_back(book, &mut post, &decision, by, now);
                    self.put_post(batch, tenant, &post)?;
                    book.insert(&post);
                    done.posts.push(post);
                }
                None => done.skipped.push(post.id),
            }
        }
        if let Some(id) = &operation.author {
            if let Some(author) = book.authors.get_mut(id) {
                author.undo(operation.number);
            }
            self.put_author(batch, tenant, book, id)?;
        }
        let authors: std::collections::BTreeSet<AuthorId> = done.posts.iter().map(|post| post.author.clone()).collect();
        for author in &authors {
            self.put_author(batch, tenant, book, author)?;
        }
        done.authors = authors.len();
        operation.undone = true;
        self.put_operation(batch, tenant, operation)?;
        Ok(done)
    }
}
