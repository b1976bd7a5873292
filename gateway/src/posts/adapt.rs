//! Lessons: what the filter learns of decisions, in their order, and how that outlives a restart.
//!
//! What was learned is saved within a second of the decision; a lesson that a crash cut off is taken again at the
//! start, since the post's own record says what should have been learned of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::shelf::{Batch, Durable, Kind};
use super::{Body, Facts, Lesson, Post, PostError, Posts};
use crate::ids::TenantId;
use crate::observe::{Event, emit};

/// Lessons that a decision waits for, and that the keeper takes a turn. A lesson costs some 20 ms; what a decision on
/// hundreds of posts teaches comes within seconds.
pub(super) const AT_ONCE: usize = 20;

/// What was learned for a tenant, and of which posts: number and label.
#[derive(Default, Serialize, Deserialize)]
struct Lessons {
    learned: BTreeMap<u64, bool>,
    classifier: Vec<u8>,
}

impl Posts {
    /// Takes the waiting lessons of a tenant. When it returns, the next score knows them.
    pub(super) async fn learn_lessons(self: &Arc<Self>, tenant: TenantId) -> Result<(), PostError> {
        let posts = self.clone();
        self.on_processor(move || posts.learn_lessons_now(tenant, AT_ONCE)).await?
    }

    pub(super) fn learn_lessons_now(&self, tenant: TenantId, most: usize) -> Result<(), PostError> {
        let learner = self.learning.lock().entry(tenant).or_default().clone();
        let _one_at_a_time = learner.lock();
        let book = self.book(tenant);
        for _ in 0..most {
            let Some((number, label)) = book.lock().lessons.pop_front() else { break };
            match label {
                None => self.classifier.unlearn(tenant, number),
                Some(spam) => {
                    let post = self.load(tenant, number)?;
                    let body = self.load_body(tenant, number)?;
                    if let (Some(post), Some(body)) = (post, body) {
                        self.classifier.learn(tenant, &lesson(&post, &body, spam));
                    }
                }
            }
            book.lock().unsaved = true;
        }
        Ok(())
    }

    /// Saves what was learned since the last time; `None` if there is nothing new.
    pub(super) fn save_lessons(&self, tenant: TenantId) -> Result<Option<Durable>, PostError> {
        let learner = self.learning.lock().entry(tenant).or_default().clone();
        let _one_at_a_time = learner.lock();
        let book = self.book(tenant);
        let learned = {
            let mut book = book.lock();
            if !std::mem::take(&mut book.unsaved) {
                return Ok(None);
            }
            // A lesson that still waits is not in what the classifier gives.
            let waiting: BTreeSet<u64> = book.lessons.iter().map(|(number, _)| *number).collect();
            let rows = book.rows.iter().filter(|(number, _)| !waiting.contains(number));
            rows.filter_map(|(number, row)| Some((*number, row.learned?))).collect()
        };
        let lessons = Lessons { classifier: self.classifier.save(tenant), learned };
        let mut batch = Batch::default();
        self.shelf.put_pieces(&mut batch, Kind::Adaptation, tenant, b"", &lessons)?;
        self.shelf.apply(&batch)?;
        Ok(Some(self.shelf.durable()))
    }

    /// Gives the classifier back what was learned, and takes the lessons that a crash cut off.
    pub(super) fn restore_lessons(&self, tenant: TenantId, posts: &[(TenantId, Post)]) -> Result<(), PostError> {
        let saved: Lessons = self.shelf.get_pieces(Kind::Adaptation, tenant, b"")?.unwrap_or_default();
        let mut kept = saved.learned;
        if !saved.classifier.is_empty()
            && let Err(error) = self.classifier.load(tenant, &saved.classifier)
        {
            // Another version of the model cannot read it: then it learns everything again.
            emit(&Event::Gateway { state: "posts-relearn", detail: format!("tenant {}: {error}", tenant.0) });
            kept.clear();
        }
        let book = self.book(tenant);
        let mut book = book.lock();
        for (_, post) in posts.iter().filter(|(of, _)| *of == tenant) {
            if kept.remove(&post.number) != post.learned {
                book.lessons.push_back((post.number, post.learned));
            }
        }
        // What is left was learned of posts whose decision was undone or that are gone.
        let gone = kept.into_keys().filter(|number| book.rows.contains_key(number)).collect::<Vec<_>>();
        book.lessons.extend(gone.into_iter().map(|number| (number, None)));
        drop(book);
        self.learn_lessons_now(tenant, usize::MAX)
    }
}

fn lesson(post: &Post, body: &Body, spam: bool) -> Lesson {
    let decision = post.standing_decision();
    let by = decision.map_or_else(String::new, |decision| decision.by.clone());
    let at = decision.map_or(post.received, |decision| decision.at);
    Lesson { number: post.number, facts: Facts::of(post, body), spam, by, at }
}
