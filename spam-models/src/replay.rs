//! Replays: a moderator's days with the filter, honest or hostile, to see what its learning is worth and what it costs.

use serde::Serialize;

use crate::adaptation::{Adaptation, Decision, Standing};
use crate::calibrate::probability;
use crate::corpus::Sample;
use crate::evaluate::Figures;
use crate::features::Features;
use crate::ftrl::Dice;
use crate::logits::logits;
use crate::model::Model;
use crate::post::Label;

/// Posts of one step of an online run.
pub const STEP: usize = 500;

/// One step of an online run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The corpus.
    pub corpus: String,
    /// Posts up to here.
    pub posts: usize,
    /// Posts of this step on the wrong side of one half, by the base alone.
    pub errors_of_base: usize,
    /// The same, with what was learned up to each post.
    pub errors: usize,
    /// Decisions taken so far.
    pub decisions: usize,
}

/// P(spam) with what a tenant learned.
fn score(model: &Model, tenant: &Adaptation, features: &Features) -> (f64, f64) {
    let base = model.card().calibration.apply(logits(model, features, |_, _| {}).0);
    (probability(base), probability(base + tenant.shift(features)))
}

/// Goes through the posts in order, as one tenant a corpus. A person decides on what the filter holds, and on one in
/// twenty of the rest, as reports by readers would have it; at most `most` posts a corpus.
pub fn online(model: &Model, samples: &[Sample], most: usize) -> Vec<Step> {
    let mut out = Vec::new();
    let mut corpora: Vec<&str> = samples.iter().map(|sample| sample.corpus.as_str()).collect();
    corpora.dedup();
    for corpus in corpora {
        let mut tenant = Adaptation::new();
        let mut step = Step { corpus: corpus.to_owned(), posts: 0, errors_of_base: 0, errors: 0, decisions: 0 };
        for (number, sample) in samples.iter().filter(|sample| sample.corpus == corpus).take(most).enumerate() {
            let spam = sample.label == Label::Spam;
            let (base, p) = score(model, &tenant, &Features::of(&sample.post));
            step.errors_of_base += usize::from((base > 0.5) != spam);
            step.errors += usize::from((p > 0.5) != spam);
            step.posts += 1;
            let held = p >= model.card().publish_below && p <= model.card().spam_above;
            if held || Dice::of(3, &sample.post.id).percent(5) {
                tenant.learn(model, &decision(sample, sample.label, number));
                step.decisions += 1;
            }
            if step.posts.is_multiple_of(STEP) {
                out.push(step.clone());
                (step.errors, step.errors_of_base) = (0, 0);
            }
        }
        if !step.posts.is_multiple_of(STEP) {
            out.push(step);
        }
    }
    out
}

fn decision(sample: &Sample, label: Label, number: usize) -> Decision<'_> {
    // A hundred decisions a sitting, by one of three moderators.
    let moderator = ["one", "two", "three"][number / 100 % 3];
    Decision { id: &sample.post.id, post: &sample.post, label, moderator, at: (number / 100) as u64 * 6 * 3600 }
}

/// What wrong decisions do.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Poisoning {
    /// What was done.
    pub what: &'static str,
    /// Figures on posts that nobody decided on.
    pub figures: Figures,
    /// Share of that ham held or stopped by the default threshold.
    pub ham_not_published: f64,
    /// How far the decisions were followed in the end.
    pub standing: Standing,
    /// Of what was learned; equal digests are equal states.
    pub digest: String,
}

/// Teaches one tenant the first thousand of `decided`: honestly, with 5 % wrong, with a careless afternoon of a
/// hundred wrong ones, with a hundred wrong ones taken back, and with one author's spam called ham a hundred times; measures
/// each on `others`.
pub fn poisoning(model: &Model, decided: &[Sample], others: &[Sample]) -> Vec<Poisoning> {
    let decided = &decided[..decided.len().min(1000)];
    let flip = |label: Label| if label == Label::Spam { Label::Ham } else { Label::Spam };
    let mut out = Vec::new();
    let mut measure = |what: &'static str, tenant: &Adaptation| {
        let rows: Vec<(f64, bool)> = others
            .iter()
            .map(|sample| (score(model, tenant, &Features::of(&sample.post)).1, sample.label == Label::Spam))
            .collect();
        let ham = rows.iter().filter(|(_, spam)| !spam).count().max(1) as f64;
        let stopped = rows.iter().filter(|(p, spam)| !spam && *p >= model.card().publish_below).count() as f64;
        if let Some(figures) = Figures::of(&rows) {
            let (standing, digest) = (tenant.standing(), tenant.digest());
            out.push(Poisoning { what, figures, ham_not_published: stopped / ham, standing, digest });
        }
    };
    measure("no decisions", &Adaptation::new());
    let teach = |wrong: &dyn Fn(usize, &Sample) -> bool| {
        let lessons = decided.iter().enumerate().map(|(number, sample)| {
            let label = if wrong(number, sample) { flip(sample.label) } else { sample.label };
            decision(sample, label, number)
        });
        let mut tenant = Adaptation::new();
        tenant.learn_all(model, lessons);
        tenant
    };
    let honest = teach(&|_, _| false);
    measure("1,000 honest decisions", &honest);
    measure("5 % of them wrong", &teach(&|_, sample| Dice::of(9, &sample.post.id).percent(5)));
    measure("a careless afternoon: 100 in a row wrong", &teach(&|number, _| (400..500).contains(&number)));
    let again = |sample: &Sample| {
        let mut sample = sample.clone();
        sample.post.id.insert_str(0, "again-");
        sample
    };
    let wrong: Vec<Sample> = decided.iter().take(100).map(again).collect();
    let mut undone = honest.clone();
    undone.learn_all(model, wrong.iter().enumerate().map(|(n, sample)| decision(sample, flip(sample.label), 1000 + n)));
    for sample in &wrong {
        undone.unlearn(&sample.post.id);
    }
    measure("100 wrong ones on top, taken back", &undone);
    let mut hostile = honest;
    let spam: Vec<Sample> = decided
        .iter()
        .filter(|sample| sample.label == Label::Spam)
        .take(100)
        .map(|sample| {
            let mut sample = again(sample);
            sample.post.author = Some("the hostile author".to_owned());
            sample
        })
        .collect();
    hostile
        .learn_all(model, spam.iter().enumerate().map(|(number, sample)| decision(sample, Label::Ham, 1000 + number)));
    measure("one author's spam called ham 100 times", &hostile);
    out
}
