//! The room itself: opening, submission, and what its other parts share.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use super::authors::POSTS_AN_HOUR;
use super::book::Book;
use super::disk::LocalPostDisk;
use super::fingerprint::fingerprint;
use super::rules::{Effect, RuleMode, Subject, normalise};
use super::shelf::{Batch, Durable, Kind, Shelf};
use super::verdict::{Evidence, judge};
use super::{
    Action, Author, Body, Cause, Checked, Classifier, ClassifierError, Decision, Facts, Post, PostDisk, PostError,
    PostId, PostState, Score, Standing, Submission, Thresholds, links,
};
use crate::clock::{Clock, Timestamp};
use crate::ids::TenantId;
use crate::observe::{Event, emit, metrics};
use crate::redact::Policy;
use crate::store::control::DiskError;
use crate::store::journal::TenantKeys;
use crate::threads::Processors;

/// Lines of a post's history; an author who changes a post a thousand times pushes the oldest out.
pub(super) const MAX_HISTORY: usize = 100;

/// What the configuration says about posts.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Between these a person decides.
    pub thresholds: Thresholds,
    /// How long posts are kept; held ones expire then.
    pub retention: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            thresholds: Thresholds { publish_below: 0.2, spam_above: 0.97 },
            retention: Duration::from_hours(30 * 24),
        }
    }
}

/// The answer to a submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The post as it is now.
    pub post: Post,
    /// Was it not there before?
    pub new: bool,
}

/// What opening found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenedPosts {
    /// Posts that were read.
    pub posts: usize,
    /// Records that do not open: damaged, or of a tenant whose key is gone.
    pub damaged: usize,
    /// The database could not be opened and was put aside under this name.
    pub set_aside: Option<String>,
}

/// The posts of all tenants. Share it in an `Arc`.
pub struct Posts {
    pub(super) shelf: Shelf,
    pub(super) classifier: Arc<dyn Classifier>,
    pub(super) clock: Arc<dyn Clock>,
    books: RwLock<HashMap<TenantId, Arc<Mutex<Book>>>>,
    /// One learner a tenant at a time, so that lessons are taken in their order.
    pub(super) learning: Mutex<HashMap<TenantId, Arc<Mutex<()>>>>,
    settings: RwLock<Settings>,
    processors: Processors,
}

impl Posts {
    /// Opens `<data_dir>/posts`. A database that cannot be opened is put aside, and that is to be told loudly: mail
    /// must flow, and what was held is not lost to whoever looks at the folder.
    pub fn open(
        data_dir: &Path,
        keys: Arc<dyn TenantKeys>,
        classifier: Arc<dyn Classifier>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<(Arc<Self>, OpenedPosts), PostError> {
        let failed = |error: DiskError| PostError::Store(error.to_string());
        let (disk, set_aside) = match LocalPostDisk::open(data_dir) {
            Ok(disk) => (disk, None),
            Err(DiskError::Damaged(_)) => {
                let aside = LocalPostDisk::move_aside(data_dir, clock.now().seconds()).map_err(failed)?;
                (LocalPostDisk::open(data_dir).map_err(failed)?, Some(aside.display().to_string()))
            }
            Err(error) => return Err(failed(error)),
        };
        let (posts, mut opened) = Self::open_on(Arc::new(disk), keys, classifier, clock, settings)?;
        opened.set_aside = set_aside;
        Ok((posts, opened))
    }

    /// The same on any disk.
    pub fn open_on(
        disk: Arc<dyn PostDisk>,
        keys: Arc<dyn TenantKeys>,
        classifier: Arc<dyn Classifier>,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Result<(Arc<Self>, OpenedPosts), PostError> {
        let shelf = Shelf::new(disk, keys).map_err(|error| PostError::Store(error.to_string()))?;
        let posts = Self {
            shelf,
            classifier,
            clock,
            books: RwLock::default(),
            learning: Mutex::default(),
            settings: RwLock::new(settings),
            processors: Processors::all(),
        };
        let opened = posts.read()?;
        Ok((Arc::new(posts), opened))
    }

    fn read(&self) -> Result<OpenedPosts, PostError> {
        let mut opened = OpenedPosts::default();
        opened.damaged += self.shelf.each(Kind::Author, |tenant, author: Author| {
            self.book(tenant).lock().authors.insert(author.id.clone(), author);
        })?;
        let mut unlearned: Vec<(TenantId, Post)> = Vec::new();
        opened.damaged += self.shelf.each(Kind::Post, |tenant, post: Post| {
            opened.posts += 1;
            self.book(tenant).lock().insert(&post);
            if post.learned.is_some() {
                unlearned.push((tenant, post));
            }
        })?;
        opened.damaged += self.shelf.each(Kind::Operation, |tenant, operation: super::Operation| {
            self.book(tenant).lock().number_was_given(operation.number);
        })?;
        let mut tenants = self.tenants();
        tenants.extend(self.shelf.tenants(Kind::Rules)?);
        tenants.sort_unstable();
        tenants.dedup();
        for tenant in tenants {
            self.read_rules(tenant)?;
            self.restore_lessons(tenant, &unlearned)?;
        }
        Ok(opened)
    }

    /// The book of a tenant.
    pub(super) fn book(&self, tenant: TenantId) -> Arc<Mutex<Book>> {
        if let Some(book) = self.books.read().get(&tenant) {
            return book.clone();
        }
        self.books.write().entry(tenant).or_default().clone()
    }

    /// Every tenant that has posts.
    pub(super) fn tenants(&self) -> Vec<TenantId> {
        self.books.read().keys().copied().collect()
    }

    /// What is in force.
    pub fn settings(&self) -> Settings {
        self.settings.read().clone()
    }

    /// Puts new settings in force; verdicts that were given stay.
    pub fn reconfigure(&self, settings: Settings) {
        *self.settings.write() = settings;
    }

    /// Takes a submission: strikes card numbers out, scores, judges, keeps. Done when the post is durable.
    pub async fn submit(
        self: &Arc<Self>,
        tenant: TenantId,
        name: &str,
        submission: Submission,
        source: super::Source,
        policy: Policy,
    ) -> Result<Answer, PostError> {
        let posts = self.clone();
        let check = move || submission.check(source, &policy, posts.clock.now());
        let checked = self.on_processor(check).await??;
        self.submit_checked(tenant, name, checked).await
    }

    /// The same for what was checked already.
    pub async fn submit_checked(
        self: &Arc<Self>,
        tenant: TenantId,
        name: &str,
        checked: Checked,
    ) -> Result<Answer, PostError> {
        let begun = Instant::now();
        let (posts, name) = (self.clone(), name.to_owned());
        let (answer, durable) = self.on_processor(move || posts.take(tenant, &checked)).await??;
        durable.wait().await?;
        if answer.new {
            let millis = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            let (id, verdict) = (answer.post.id.clone(), answer.post.state.name());
            emit(&Event::PostChecked { id: id.clone(), tenant: name.clone(), verdict, millis });
            if answer.post.state == PostState::Held {
                emit(&Event::PostQueued { id, tenant: name });
            }
        }
        Ok(answer)
    }

    /// Runs work that holds a processor.
    pub(super) async fn on_processor<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PostError> {
        self.processors.run(work).await.ok_or_else(|| PostError::Store("the gateway is going down".into()))
    }

    /// The score of a post; a classifier that panics has failed like one that says so.
    pub(super) fn score(&self, tenant: TenantId, facts: &Facts) -> Result<Score, ClassifierError> {
        let begun = Instant::now();
        let scored = catch_unwind(AssertUnwindSafe(|| self.classifier.score(tenant, facts)));
        metrics::post_classify_duration(begun.elapsed());
        scored.unwrap_or_else(|_| Err(ClassifierError("it panicked".into())))
    }

    /// Scores and judges a checked post and puts it on the shelf. The verdict may be told when the rest is done.
    pub(super) fn take(&self, tenant: TenantId, checked: &Checked) -> Result<(Answer, Durable), PostError> {
        let digest = self.shelf.mac(tenant, &checked.identity())?;
        let book = self.book(tenant);
        let known = { book.lock().find(&checked.id) };
        if let Some(number) = known
            && let Some(post) = self.load(tenant, number)?
            && post.digest == digest
        {
            // The first answer may still be on its way to the disk: this one waits for the same sync.
            return Ok((Answer { post, new: false }, self.shelf.durable()));
        }
        let now = self.clock.now();
        let facts = self.facts(tenant, checked, now);
        let mut score = self.score(tenant, &facts);
        if let Some(number) = known {
            score = self.worst_of_edit(tenant, number, &facts, score)?;
        }
        let print = fingerprint(&format!("{}\n{}", checked.title, checked.body.text));
        let found = links::links(&checked.body.text);
        let text = normalise(&format!("{}\n{}", checked.title, checked.body.text));

        let mut book = book.lock();
        let number = book.find(&checked.id);
        let old = number.map(|number| self.load(tenant, number)).transpose()?.flatten();
        if let Some(post) = old.as_ref().filter(|post| post.digest == digest) {
            return Ok((Answer { post: post.clone(), new: false }, self.shelf.durable()));
        }
        let number = number.unwrap_or_else(|| book.next_number(now));
        let subject =
            Subject { text: &text, links: &found, email: checked.author_email.as_deref(), ip: checked.author_ip };
        let (rule, counted) = match_rules(&mut book, &subject);
        let author = note_author(&mut book, checked, now, old.is_none());
        let rate = Some(author.1).filter(|posts| *posts > POSTS_AN_HOUR);
        let standing = author.0;
        let campaign = book.campaign(print, &checked.author, number, now);
        let doubts = doubts(checked, old.as_ref());
        let evidence = Evidence { score: &score, standing, rule, rate, campaign, doubts };
        let (state, causes) = judge(&evidence, self.settings.read().thresholds);
        let change = book.next_change(now);
        let mut post = new_post(checked, number, score.ok(), now);
        (post.state, post.causes, post.change) = (state, causes, change);
        (post.fingerprint, post.digest) = (print, digest);
        if let Some(old) = &old {
            take_over(&mut post, old, now);
            if old.learned.is_some() {
                book.lessons.push_back((number, None));
            }
        }
        book.count(&post.author, None, Some(post.state));
        if let Some(old) = &old {
            book.count(&old.author, Some(old.state), None);
        }
        let mut batch = Batch::default();
        self.put_post(&mut batch, tenant, &post)?;
        self.put_body(&mut batch, tenant, number, &checked.body)?;
        self.put_author(&mut batch, tenant, &book, &post.author)?;
        // The count of a rule is not worth a write a post; the keeper saves it.
        book.unsaved_rules |= counted;
        self.shelf.apply(&batch)?;
        book.insert(&post);
        Ok((Answer { post, new: true }, self.shelf.durable()))
    }

    fn facts(&self, tenant: TenantId, checked: &Checked, now: Timestamp) -> Facts {
        let book = self.book(tenant);
        let book = book.lock();
        let counts = book.authors.get(&checked.author).map(|author| author.counts).unwrap_or_default();
        Facts {
            title: checked.title.clone(),
            text: checked.body.text.clone(),
            lang: checked.lang.clone(),
            author_name: checked.author_name.clone(),
            author_email: checked.author_email.clone(),
            author_url: checked.author_url.clone(),
            author_age: checked.author_since.map(|since| now.since(since).as_secs()),
            author_published: counts.published + counts.approved,
            author_spam: counts.spam,
        }
    }

    /// A spammer edits a good post: what was added is scored by itself too, and the worst counts.
    fn worst_of_edit(
        &self,
        tenant: TenantId,
        number: u64,
        facts: &Facts,
        score: Result<Score, ClassifierError>,
    ) -> Result<Result<Score, ClassifierError>, PostError> {
        let Some(old) = self.load_body(tenant, number)? else { return Ok(score) };
        let lines: std::collections::HashSet<&str> = old.text.lines().map(str::trim).collect();
        let added: Vec<&str> = facts.text.lines().filter(|line| !lines.contains(line.trim())).collect();
        let added = added.join("\n").replace(old.text.trim(), "");
        if added.trim().is_empty() {
            return Ok(score);
        }
        let part = self.score(tenant, &Facts { text: added, ..facts.clone() });
        Ok(match (score, part) {
            (Ok(whole), Ok(part)) if part.probability > whole.probability => Ok(part),
            (Ok(whole), Ok(_)) => Ok(whole),
            (Err(error), _) | (_, Err(error)) => Err(error),
        })
    }

    /// A post's record.
    pub(super) fn load(&self, tenant: TenantId, number: u64) -> Result<Option<Post>, PostError> {
        self.shelf.get(Kind::Post, tenant, &number.to_be_bytes())
    }

    /// A post's text; `None` after it expired.
    pub(super) fn load_body(&self, tenant: TenantId, number: u64) -> Result<Option<Body>, PostError> {
        self.shelf.get_pieces(Kind::Body, tenant, &number.to_be_bytes())
    }

    pub(super) fn put_post(&self, batch: &mut Batch, tenant: TenantId, post: &Post) -> Result<(), PostError> {
        self.shelf.put(batch, Kind::Post, tenant, &post.number.to_be_bytes(), post)
    }

    pub(super) fn put_body(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        number: u64,
        body: &Body,
    ) -> Result<(), PostError> {
        self.shelf.put_pieces(batch, Kind::Body, tenant, &number.to_be_bytes(), body)
    }

    pub(super) fn put_author(
        &self,
        batch: &mut Batch,
        tenant: TenantId,
        book: &Book,
        id: &super::AuthorId,
    ) -> Result<(), PostError> {
        let Some(author) = book.authors.get(id) else { return Ok(()) };
        let name = self.shelf.mac(tenant, id.as_str().as_bytes())?;
        self.shelf.put(batch, Kind::Author, tenant, &name, author)
    }

    /// The number of a post by its id.
    pub(super) fn number_of(book: &Book, id: &PostId) -> Result<u64, PostError> {
        book.find(id).ok_or_else(|| PostError::no_post(id.as_str()))
    }
}

/// The first enforced rule that matches, the one for spam first; shadow rules only count. True if a count changed.
fn match_rules(book: &mut Book, subject: &Subject<'_>) -> (Option<(String, bool)>, bool) {
    let (mut found, mut counted) = (None::<(String, bool)>, false);
    for rule in book.rules.iter_mut().filter(|rule| rule.rule.matches(subject)) {
        rule.hits += 1;
        counted = true;
        let spam = rule.rule.effect == Effect::Spam;
        if rule.mode == RuleMode::Enforced && found.as_ref().is_none_or(|(_, stronger)| spam && !stronger) {
            found = Some((rule.rule.name(), spam));
        }
    }
    (found, counted)
}

/// Notes a post of the author; the standing and the posts within the last hour.
fn note_author(book: &mut Book, checked: &Checked, now: Timestamp, new: bool) -> (Standing, u32) {
    let author = book.authors.entry(checked.author.clone()).or_insert_with(|| Author::new(checked.author.clone(), now));
    for (kept, given) in [(&mut author.name, &checked.author_name), (&mut author.email, &checked.author_email)] {
        if given.is_some() {
            kept.clone_from(given);
        }
    }
    author.since = checked.author_since.or(author.since);
    let posts = if new { author.saw_post(now) } else { 0 };
    (author.standing_at(now), posts)
}

fn doubts(checked: &Checked, old: Option<&Post>) -> Vec<Cause> {
    let mut doubts = Vec::new();
    if checked.honeypot {
        doubts.push(Cause::Honeypot);
    }
    if checked.unauthenticated {
        doubts.push(Cause::Unauthenticated);
    }
    if old.is_some_and(|old| !old.state.is_public()) {
        doubts.push(Cause::Edited);
    }
    doubts
}

fn new_post(checked: &Checked, number: u64, score: Option<Score>, now: Timestamp) -> Post {
    let (probability, reasons) = score.map_or((None, Vec::new()), |score| (Some(score.probability), score.reasons));
    Post {
        number,
        id: checked.id.clone(),
        author: checked.author.clone(),
        author_name: checked.author_name.clone(),
        author_email: checked.author_email.clone(),
        author_url: checked.author_url.clone(),
        author_ip: checked.author_ip,
        author_since: checked.author_since,
        title: checked.title.clone(),
        excerpt: checked.excerpt(),
        lang: checked.lang.clone(),
        url: checked.url.clone(),
        kind: checked.kind.clone(),
        source: checked.source,
        received: now,
        edited: None,
        probability: probability.filter(|probability| probability.is_finite()),
        reasons,
        causes: Vec::new(),
        state: PostState::Held,
        version: 1,
        change: 0,
        settles: None,
        history: Vec::new(),
        learned: None,
        fingerprint: 0,
        digest: [0; 32],
        struck: checked.struck,
        length: checked.body.text.len() as u32,
    }
}

/// An edited post keeps what was decided about it before.
fn take_over(post: &mut Post, old: &Post, now: Timestamp) {
    post.version = old.version + 1;
    post.received = old.received;
    post.edited = Some(now);
    post.history.clone_from(&old.history);
    if post.history.len() >= MAX_HISTORY {
        post.history.remove(0);
    }
    post.history.push(Decision {
        at: now,
        by: old.author.to_string(),
        action: Action::Edit,
        from: old.state,
        to: post.state,
        reason: None,
        operation: post.change,
        learned_before: old.learned,
        undone: false,
    });
}
