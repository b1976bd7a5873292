//! The three learners behind a model, and the examples that they learn from.
//!
//! - *plain*: all features alike. An L1 penalty drops what was seen in a post or two.
//! - *contrast*: a feature's value is how differently it occurs in spam and in ham (its log-count ratio; Wang and
//!   Manning, ACL 2012). It knows less of each corpus and is right more often about posts of a new kind.
//! - *stretch*: parts of posts alone. Nobody said which part of a long spam post is the spam, so the part that looks
//!   worst so far is taken for it, and the worst part of a ham post is learned as ham (multiple-instance learning).
//!
//! Each is linear, so their sum still tells exactly what each word did. Passes over shuffled posts are averaged: a
//! single pass ends wherever its last posts led it. One learner alone, or two of the same kind, did worse on posts
//! kept back; an embedding with a hidden layer did no better beside these three.

use crate::features::Features;
use crate::ftrl::{Dice, Ftrl, Rates};
use crate::logits::{Exact, LEAST_FEATURES, Weight};

/// What is learned from: a post as the model sees it, and what it is.
#[derive(Debug)]
pub(crate) struct Example {
    /// Distinct hashes of the whole.
    hashes: Vec<u32>,
    /// Distinct hashes of each segment, structure left out.
    segments: Vec<Vec<u32>>,
    hidden_from: usize,
    spam: bool,
}

impl Example {
    pub(crate) fn of(features: &Features, spam: bool) -> Self {
        Self {
            hashes: features.distinct(),
            segments: features.distinct_by_segment(),
            hidden_from: features.hidden_from as usize,
            spam,
        }
    }
}

/// How long to learn.
#[derive(Debug, Clone, PartialEq)]
pub struct Effort {
    /// log2 of the number of weights.
    pub bits: u32,
    /// Runs over differently shuffled posts that are averaged.
    pub runs: usize,
    /// Passes of each run over the posts.
    pub epochs: usize,
    /// Seed of the shuffles.
    pub seed: u64,
}

const PLAIN: Rates = Rates { alpha: 6.0, beta: 1.0, l1: 0.05, l2: 0.0 };
const CONTRAST: Rates = Rates { alpha: 2.0, ..PLAIN };
const STRETCH: Rates = PLAIN;

/// Steps that a contrast is rounded to, so that a model's file holds the very value that was learned with.
pub(crate) const STEPS: u8 = 15;

/// The value of a feature in the second learner. A feature never seen keeps a little: it makes a post longer.
pub(crate) fn value_of(step: u8) -> f32 {
    0.2 + f32::from(step.min(STEPS)) * 3.2 / f32::from(STEPS)
}

/// Learns all weights; the three learners beside each other. The steps are of [`value_of`].
pub(crate) fn learn(examples: &[&Example], effort: &Effort) -> (Exact, Vec<u8>) {
    let steps = contrasts(examples, effort.bits);
    let values: Vec<f32> = steps.iter().map(|&step| value_of(step)).collect();
    let (plain, contrast, stretch) = std::thread::scope(|scope| {
        let plain = scope.spawn(|| whole(examples, effort, PLAIN, &[]));
        let contrast = scope.spawn(|| whole(examples, effort, CONTRAST, &values));
        let stretch = stretch(examples, effort);
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<f32>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        (join(plain), join(contrast), stretch)
    });
    let weights = (0..steps.len())
        .map(|at| Weight {
            plain: plain[at],
            contrast: contrast[at],
            square: values[at] * values[at],
            stretch: stretch[at],
        })
        .collect();
    (Exact { bits: effort.bits, weights }, steps)
}

/// How differently each feature occurs in spam and in ham, in steps.
fn contrasts(examples: &[&Example], bits: u32) -> Vec<u8> {
    let mut counts = vec![[0_u32; 2]; 1 << bits];
    let mut totals = [0_u32; 2];
    for example in examples {
        let class = usize::from(example.spam);
        totals[class] += 1;
        for hash in &example.hashes {
            counts[(hash >> (32 - bits)) as usize][class] += 1;
        }
    }
    let rate = |count: u32, total: u32| (count as f32 + 1.0) / (total as f32 + 1.0);
    counts
        .iter()
        .map(|&[ham, spam]| {
            if ham + spam == 0 {
                return 0;
            }
            let ratio = (rate(spam, totals[1]) / rate(ham, totals[0])).ln().abs().min(4.0);
            (ratio / 4.0 * f32::from(STEPS)).round() as u8
        })
        .collect()
}

/// The mean of the weights over the later half of the passes of each run.
fn whole(examples: &[&Example], effort: &Effort, rates: Rates, values: &[f32]) -> Vec<f32> {
    let mut totals = vec![0.0; 1 << effort.bits];
    let first = effort.epochs / 2;
    let share = 1.0 / ((effort.epochs - first) * effort.runs) as f32;
    let mut order = examples.to_vec();
    for run in 0..effort.runs {
        let mut dice = Dice::of(effort.seed, &format!("run {run}"));
        let mut learner = Ftrl::new(effort.bits, rates, values.to_vec());
        for epoch in 0..effort.epochs {
            dice.shuffle(&mut order);
            for example in &order {
                learner.learn(&example.hashes, example.spam, 1.0, 1.0);
            }
            if epoch >= first {
                learner.add_to(&mut totals, share);
            }
        }
    }
    totals
}

fn stretch(examples: &[&Example], effort: &Effort) -> Vec<f32> {
    let mut dice = Dice::of(effort.seed, "stretches");
    let mut learner = Ftrl::new(effort.bits, STRETCH, Vec::new());
    let mut order = examples.to_vec();
    for epoch in 0..effort.epochs {
        dice.shuffle(&mut order);
        for example in &order {
            learn_stretches(&mut learner, example, epoch == 0, &mut dice);
        }
    }
    let mut totals = vec![0.0; 1 << effort.bits];
    learner.add_to(&mut totals, 1.0);
    totals
}

fn learn_stretches(learner: &mut Ftrl, example: &Example, first_pass: bool, dice: &mut Dice) {
    let (spam, count) = (example.spam, example.segments.len());
    let learn = |learner: &mut Ftrl, from: usize, size: usize, weight: f32| {
        let hashes = example.segments[from..from + size].concat();
        if !hashes.is_empty() {
            learner.learn(&hashes, spam, weight, LEAST_FEATURES as f32);
        }
    };
    if count <= 1 {
        if count == 1 {
            learn(learner, 0, 1, 1.0);
        }
        return;
    }
    if first_pass {
        // Nothing is known yet of what looks bad: any stretch of ham, and of spam that is short enough to be all spam.
        let from = dice.below(count);
        let size = 1 + dice.below((count - from).min(2));
        if !spam || count <= 3 {
            learn(learner, from, size, if spam { 0.5 } else { 1.0 });
        }
    }
    if !first_pass || spam {
        let (from, size) = worst(learner, example);
        learn(learner, from, size, 1.0);
    }
    if !first_pass && !spam {
        let from = dice.below(count);
        learn(learner, from, 1, 0.5);
    }
}

/// Where the worst stretch of one or two segments begins, and its size.
fn worst(learner: &Ftrl, example: &Example) -> (usize, usize) {
    let sums: Vec<[f32; 2]> = example.segments.iter().map(|hashes| learner.sums(hashes)).collect();
    let score = |[sum, squares]: [f32; 2]| sum / squares.max(LEAST_FEATURES as f32).sqrt();
    let singles = (0..sums.len()).map(|at| ((at, 1), score(sums[at])));
    let pairs = (1..sums.len())
        .filter(|&at| at != example.hidden_from)
        .map(|at| ((at - 1, 2), score([sums[at - 1][0] + sums[at][0], sums[at - 1][1] + sums[at][1]])));
    singles.chain(pairs).max_by(|a, b| a.1.total_cmp(&b.1)).map_or((0, 1), |(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::Features;
    use crate::logits::logits;
    use crate::post::Post;

    #[test]
    fn the_spam_in_a_long_post_is_found_though_nobody_said_where_it_is() {
        let topics = ["gardens", "trains", "recipes", "paintings", "weather", "bridges", "chess", "birds"];
        let ham = |n: usize| {
            let topic = topics[n % topics.len()];
            format!("We talked about {topic} and then went home by road number {n}.\n")
        };
        let offer =
            |n: usize| format!("Buy cheap lottery tickets today, win cash number {n}, order now and be rich!\n");
        let mut examples = Vec::new();
        for n in 0..120 {
            for (text, spam) in [
                (ham(n), false),
                (offer(n), true),
                (format!("{}{}{}", ham(n), ham(n + 3), ham(n + 5)), false),
                (format!("{}{}{}", ham(n + 1), offer(n), ham(n + 2)), true),
            ] {
                examples.push(Example::of(&Features::of(&Post::of(text)), spam));
            }
        }
        let effort = Effort { bits: 16, runs: 1, epochs: 4, seed: 1 };
        let (weights, _) = learn(&examples.iter().collect::<Vec<_>>(), &effort);
        let score = |text: String| logits(&weights, &Features::of(&Post::of(text)), |_, _| {}).0.worst;
        let clean = score(format!("{}{}{}{}", ham(7), ham(12), ham(1), ham(4)));
        let stuffed = score(format!("{}{}{}{}", ham(7), ham(12), offer(300), ham(4)));
        assert!(stuffed > clean + 1.0, "{clean} {stuffed}");
    }

    #[test]
    fn a_value_survives_its_rounding() {
        assert!((value_of(0) - 0.2).abs() < 1e-6 && (value_of(STEPS) - 3.4).abs() < 1e-6);
        assert_eq!(value_of(200).to_bits(), value_of(STEPS).to_bits());
    }
}
