//! The classifier of `waxseal-spam` as this room's: one immutable base model, one adaptation a tenant on top of it.
//!
//! A lesson is learned on a copy that then takes the old one's place, so that nobody who scores waits for a learner.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use waxseal_spam::{Adaptation, Campaigns, Context, Decision, Label, Model, ModelError, Post, Sighting};

use super::{Classifier, ClassifierError, Facts, Lesson, Reason, Score};
use crate::ids::TenantId;

/// Posts that the look for campaigns remembers, over all tenants; about 600 octets each.
const WINDOW: usize = 20_000;

/// See the module.
pub struct SpamFilter {
    base: Arc<Model>,
    tenants: RwLock<HashMap<TenantId, Arc<Adaptation>>>,
    campaigns: Mutex<Campaigns>,
}

impl SpamFilter {
    /// The model of this file, or the one that is shipped.
    pub fn open(file: Option<&Path>) -> Result<Self, ModelError> {
        let base = match file {
            Some(path) => Arc::new(Model::open(path)?),
            None => Model::built_in(),
        };
        Ok(Self { base, tenants: RwLock::default(), campaigns: Mutex::new(Campaigns::new(WINDOW)) })
    }

    fn adaptation(&self, tenant: TenantId) -> Option<Arc<Adaptation>> {
        self.tenants.read().get(&tenant).cloned()
    }

    fn change(&self, tenant: TenantId, change: impl FnOnce(&mut Adaptation)) {
        // One learner a tenant at a time is the room's promise, so nothing happens between the copy and the swap.
        let mut adaptation = self.adaptation(tenant).map(|old| Adaptation::clone(&old)).unwrap_or_default();
        change(&mut adaptation);
        self.tenants.write().insert(tenant, Arc::new(adaptation));
    }
}

fn post_of(facts: &Facts) -> Post {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Post {
        id: String::new(),
        title: some(&facts.title),
        text: facts.text.clone(),
        lang: facts.lang.clone(),
        author: facts.author_name.clone().or_else(|| some(&facts.author)),
        author_email: facts.author_email.clone(),
        author_ip: None,
        url: facts.author_url.clone(),
    }
}

impl Classifier for SpamFilter {
    fn score(&self, tenant: TenantId, facts: &Facts) -> Result<Score, ClassifierError> {
        let post = post_of(facts);
        let sighting = if facts.new {
            let seen = Post { author: Some(facts.author.clone()), ..post.clone() };
            self.campaigns.lock().sight(&seen, &tenant.0.to_string())
        } else {
            Sighting::default()
        };
        let context = Context {
            author_age_hours: facts.author_age.map(|seconds| (seconds / 3600) as u32),
            author_approved: (facts.author_published > 0).then_some(facts.author_published),
            posts_last_hour: Some(facts.author_rate),
            // The same author again is what the rate is for.
            sighting: if sighting.authors > 0 { sighting } else { Sighting::default() },
            ..Context::default()
        };
        let verdict = self.base.score_in(&post, &context, self.adaptation(tenant).as_deref());
        let reasons =
            verdict.reasons.into_iter().map(|one| Reason { signal: one.signal, weight: one.weight }).collect();
        Ok(Score { probability: verdict.probability, reasons })
    }

    fn learn(&self, tenant: TenantId, lesson: &Lesson) {
        let post = Post { author: Some(lesson.facts.author.clone()), ..post_of(&lesson.facts) };
        let id = lesson.number.to_string();
        let label = if lesson.spam { Label::Spam } else { Label::Ham };
        let decision = Decision { id: &id, post: &post, label, moderator: &lesson.by, at: lesson.at.seconds() };
        self.change(tenant, |adaptation| {
            adaptation.learn(&self.base, &decision);
        });
    }

    fn unlearn(&self, tenant: TenantId, number: u64) {
        if self.adaptation(tenant).is_some() {
            self.change(tenant, |adaptation| {
                adaptation.unlearn(&number.to_string());
            });
        }
    }

    fn save(&self, tenant: TenantId) -> Vec<u8> {
        let saved = self.adaptation(tenant).map(|adaptation| postcard::to_stdvec(&*adaptation));
        // What cannot be written is learned again at the next start.
        saved.and_then(Result::ok).unwrap_or_default()
    }

    fn load(&self, tenant: TenantId, saved: &[u8]) -> Result<(), ClassifierError> {
        let adaptation: Adaptation = postcard::from_bytes(saved).map_err(|e| ClassifierError(e.to_string()))?;
        self.tenants.write().insert(tenant, Arc::new(adaptation));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn facts(text: &str) -> Facts {
        Facts { text: text.into(), author: "ann".into(), ..Facts::default() }
    }

    fn lesson(number: u64, text: &str, spam: bool) -> Lesson {
        Lesson { number, facts: facts(text), spam, by: "kim".into(), at: Timestamp::from_millis(1_795_000_000_000) }
    }

    #[test]
    fn a_lesson_moves_its_own_tenant_and_an_undo_leaves_nothing() {
        let filter = SpamFilter::open(None).unwrap();
        let text = "Our spring catalogue of garden chairs is here, ask us for a copy";
        let score = |tenant| filter.score(TenantId(tenant), &facts(text)).unwrap().probability;
        let (before, other) = (score(1), score(2));
        // Few enough not to be taken for a careless afternoon.
        for number in 0..3 {
            filter.learn(TenantId(1), &lesson(number, text, true));
        }
        assert!(score(1) > before);
        assert!((score(2) - other).abs() < f64::EPSILON);
        let saved = filter.save(TenantId(1));
        let again = SpamFilter::open(None).unwrap();
        again.load(TenantId(1), &saved).unwrap();
        assert!((again.score(TenantId(1), &facts(text)).unwrap().probability - score(1)).abs() < f64::EPSILON);
        (0..3).for_each(|number| filter.unlearn(TenantId(1), number));
        assert!((score(1) - before).abs() < f64::EPSILON);
        assert!(filter.load(TenantId(1), b"\xff").is_err());
    }
}
