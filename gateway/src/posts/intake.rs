//! Submission: from the help center's words to a durable verdict.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use super::authors::POSTS_AN_HOUR;
use super::book::Book;
use super::fingerprint::fingerprint;
use super::room::MAX_HISTORY;
use super::rules::{Effect, RuleMode, Subject, normalise};
use super::shelf::{Batch, Durable};
use super::verdict::{Evidence, judge};
use super::{
    Action, Answer, Author, Cause, Checked, ClassifierError, Decision, Facts, Post, PostError, PostState, Posts, Score,
    Source, Standing, Submission, links,
};
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::observe::{Event, emit, metrics};
use crate::redact::Policy;

impl Posts {
    /// Takes a submission: strikes card numbers out, scores, judges, keeps. Done when the post is durable.
    pub async fn submit(
        self: &Arc<Self>,
        tenant: TenantId,
        name: &str,
        submission: Submission,
        source: Source,
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
            Subject { text: &text, links: &found, email: checked.byline.email.as_deref(), ip: checked.byline.ip };
        let (rule, counted) = match_rules(&mut book, &subject);
        let author = note_author(&mut book, checked, now, old.is_none());
        let rate = Some(author.1).filter(|posts| *posts > POSTS_AN_HOUR);
        let standing = author.0;
        let campaign = book.campaign(print, &checked.author, number, now);
        let doubts = doubts(checked, old.as_ref());
        let evidence = Evidence { score: &score, standing, rule, rate, campaign, doubts };
        let (state, causes) = judge(&evidence, self.settings().thresholds);
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

    /// Where a post would go, without keeping anything of it.
    pub async fn try_post(self: &Arc<Self>, tenant: TenantId, checked: Checked) -> Result<PostState, PostError> {
        let posts = self.clone();
        let scored = move || {
            let facts = Facts { new: false, ..posts.facts(tenant, &checked, posts.clock.now()) };
            let score = posts.score(tenant, &facts);
            let doubts = doubts(&checked, None);
            let standing = Standing::Normal;
            let evidence = Evidence { score: &score, standing, rule: None, rate: None, campaign: None, doubts };
            judge(&evidence, posts.settings().thresholds).0
        };
        self.on_processor(scored).await
    }

    fn facts(&self, tenant: TenantId, checked: &Checked, now: Timestamp) -> Facts {
        let book = self.book(tenant);
        let book = book.lock();
        let author = book.authors.get(&checked.author);
        let counts = author.map(|author| author.counts).unwrap_or_default();
        Facts {
            title: checked.title.clone(),
            text: checked.body.text.clone(),
            lang: checked.lang.clone(),
            author: checked.author.to_string(),
            author_name: checked.byline.name.clone(),
            author_email: checked.byline.email.clone(),
            author_url: checked.byline.url.clone(),
            author_age: checked.byline.since.map(|since| now.since(since).as_secs()),
            author_published: counts.published + counts.approved,
            author_rate: author.map_or(0, |author| author.rate(now)),
            new: book.find(&checked.id).is_none(),
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
        let part = self.score(tenant, &Facts { text: added, new: false, ..facts.clone() });
        Ok(match (score, part) {
            (Ok(whole), Ok(part)) if part.probability > whole.probability => Ok(part),
            (Ok(whole), Ok(_)) => Ok(whole),
            (Err(error), _) | (_, Err(error)) => Err(error),
        })
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
    for (kept, given) in [(&mut author.name, &checked.byline.name), (&mut author.email, &checked.byline.email)] {
        if given.is_some() {
            kept.clone_from(given);
        }
    }
    author.since = checked.byline.since.or(author.since);
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
        byline: checked.byline.clone(),
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
