//! Training: posts to weights, the same from the same posts and seed on every machine.
//!
//! Each post is learned as it is; a part also in disguise, or among other posts. The mixing is what keeps languages
//! honest: where a language is known from ham alone, its words would become evidence of ham, and spam in it would
//! pass. Spam set between ham texts of any language takes that evidence away again.

use sha2::{Digest as _, Sha256};

use crate::attack::Attack;
use crate::calibrate::Calibration;
use crate::corpus::Sample;
use crate::features::Features;
use crate::ftrl::Dice;
use crate::learn::{Effort, Example, learn};
use crate::logits::{Logits, logits};
use crate::model::{Card, Model};
use crate::post::{Label, Post};

/// How to train.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// log2 of the number of weights.
    pub bits: u32,
    /// Runs of each learner that are averaged.
    pub runs: usize,
    /// Passes of each run over the examples.
    pub epochs: usize,
    /// Percent of the spam that is learned in a disguise as well, and of the ham.
    pub disguised: [usize; 2],
    /// Percent of the spam that is learned among ham as well, and of the ham that is learned beside other ham.
    pub mixed: [usize; 2],
    /// Percent of the spam that the calibration sees among ham as well, and of the ham beside other ham.
    pub stuffed: [usize; 2],
    /// What such a post counts there.
    pub stuffed_weight: f64,
    /// Seed of shuffles and disguises.
    pub seed: u64,
    /// Parts that the posts are cut in to calibrate: each is scored by a model of the others.
    pub folds: usize,
    /// What the card calls the model.
    pub version: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            bits: 21,
            runs: 2,
            epochs: 5,
            disguised: [60, 10],
            mixed: [40, 10],
            stuffed: [100, 12],
            stuffed_weight: 0.3,
            seed: 5,
            folds: 3,
            version: "1".to_owned(),
        }
    }
}

/// Why nothing can be learned.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// One class is missing.
    #[error("{spam} spam and {ham} ham posts: at least 10 of each are needed")]
    TooFew {
        /// Spam posts given.
        spam: usize,
        /// Ham posts given.
        ham: usize,
    },
}

/// A prepared post: the examples that come of it, and what calibration needs.
struct Prepared {
    examples: Vec<Example>,
    group: u64,
}

/// Trains a model. `progress` is told what is being done.
pub fn train(samples: &[Sample], plan: &Plan, progress: &mut dyn FnMut(&str)) -> Result<Model, TrainError> {
    let spam = samples.iter().filter(|sample| sample.label == Label::Spam).count();
    let ham = samples.len() - spam;
    if spam < 10 || ham < 10 {
        return Err(TrainError::TooFew { spam, ham });
    }
    progress("reading features");
    let mixer = Mixer::new(samples);
    let prepared: Vec<Prepared> = samples.iter().map(|sample| prepare(sample, plan, &mixer)).collect();
    let calibration =
        if plan.folds > 1 { calibrate(samples, &prepared, plan, &mixer, progress) } else { Calibration::PLAIN };
    progress("learning from all posts");
    let (weights, steps) = learn(&examples_of(prepared.iter()), &plan.effort());
    let mut corpora: Vec<String> = samples.iter().map(|sample| sample.corpus.clone()).collect();
    corpora.sort();
    corpora.dedup();
    let card = Card {
        version: plan.version.clone(),
        training_digest: training_digest(samples),
        trained_on: [spam, ham],
        corpora,
        seed: plan.seed,
        bits: plan.bits,
        publish_below: 0.20,
        spam_above: 0.97,
        calibration,
    };
    Ok(Model::from_weights(card, &weights.weights, &steps))
}

/// SHA-256 over every post and label in order, in hex.
pub fn training_digest(samples: &[Sample]) -> String {
    let mut hash = Sha256::new();
    for sample in samples {
        hash.update((sample.post.text.len() as u64).to_le_bytes());
        hash.update(sample.post.text.as_bytes());
        hash.update([u8::from(sample.label == Label::Spam)]);
    }
    crate::model::hex(&hash.finalize())
}

/// Ham texts to set spam among; from any corpus, so any language.
struct Mixer<'a> {
    ham: Vec<&'a str>,
}

impl<'a> Mixer<'a> {
    fn new(samples: &'a [Sample]) -> Self {
        Self { ham: samples.iter().filter(|s| s.label == Label::Ham).map(|s| s.post.text.as_str()).collect() }
    }

    fn pick(&self, dice: &mut Dice) -> String {
        self.ham[dice.below(self.ham.len())].to_owned()
    }
}

impl Plan {
    fn effort(&self) -> Effort {
        Effort { bits: self.bits, runs: self.runs, epochs: self.epochs, seed: self.seed }
    }
}

fn examples_of<'a>(posts: impl Iterator<Item = &'a Prepared>) -> Vec<&'a Example> {
    posts.flat_map(|post| &post.examples).collect()
}

fn prepare(sample: &Sample, plan: &Plan, mixer: &Mixer<'_>) -> Prepared {
    let mut dice = Dice::of(plan.seed, &format!("{}/{}", sample.corpus, sample.post.id));
    let spam = sample.label == Label::Spam;
    let class = usize::from(!spam);
    let example = |post: &Post| Example::of(&Features::of(post), spam);
    let mut examples = vec![example(&sample.post)];
    if dice.percent(plan.disguised[class]) {
        examples.push(example(&disguised(&sample.post, &mut dice, mixer)));
    }
    if dice.percent(plan.mixed[class]) {
        examples.push(example(&among_ham(&sample.post, &mut dice, mixer)));
    }
    Prepared { examples, group: Dice::of(0, &sample.group()).roll() }
}

/// The post in one of the disguises that change letters.
fn disguised(post: &Post, dice: &mut Dice, mixer: &Mixer<'_>) -> Post {
    let attacks: Vec<Attack> = Attack::ALL.into_iter().filter(|attack| !attack.stuffs()).collect();
    let attack = attacks[dice.below(attacks.len())];
    let text = attack.apply(&post.text, dice, &mut |dice| mixer.pick(dice));
    Post { text, ..post.clone() }
}

/// The post with ham before or after it, or both.
fn among_ham(post: &Post, dice: &mut Dice, mixer: &Mixer<'_>) -> Post {
    let join = |dice: &mut Dice| if dice.percent(50) { "\n" } else { " " };
    let mut text = post.text.clone();
    for _ in 0..=dice.below(3) {
        let (ham, join) = (mixer.pick(dice), join(dice));
        text = if dice.percent(50) { format!("{text}{join}{ham}") } else { format!("{ham}{join}{text}") };
    }
    Post { text, ..post.clone() }
}

/// Scores every post by a model that has not seen it or its like, and fits the calibration on that.
fn calibrate(
    samples: &[Sample],
    prepared: &[Prepared],
    plan: &Plan,
    mixer: &Mixer<'_>,
    progress: &mut dyn FnMut(&str),
) -> Calibration {
    let mut scored: Vec<(Logits, bool, f64)> = Vec::new();
    for fold in 0..plan.folds {
        progress(&format!("calibrating, part {} of {}", fold + 1, plan.folds));
        let held = |post: &Prepared| post.group % plan.folds as u64 == fold as u64;
        let (weights, _) = learn(&examples_of(prepared.iter().filter(|post| !held(post))), &plan.effort());
        let score = |post: &Post| logits(&weights, &Features::of(post), |_, _| {}).0;
        for (sample, _) in samples.iter().zip(prepared).filter(|(_, post)| held(post)) {
            let spam = sample.label == Label::Spam;
            scored.push((score(&sample.post), spam, 1.0));
            let mut dice = Dice::of(plan.seed + 1, &sample.post.id);
            // Long posts are few in the corpora, and stuffed ones are not in them at all.
            if dice.percent(plan.stuffed[usize::from(!spam)]) {
                scored.push((score(&among_ham(&sample.post, &mut dice, mixer)), spam, plan.stuffed_weight));
            }
        }
    }
    Calibration::fit(&scored)
}
