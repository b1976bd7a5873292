//! What one tenant's moderators taught: a small model on top of the immutable base.
//!
//! Promises:
//! - learnt at once: the next post is scored with it;
//! - un-learnt exactly: the state is a pure function of the decisions kept, so taking one back leaves the very state
//!   that would be without it ([`Adaptation::digest`] is equal), for the last [`SPARE`] decisions at least;
//! - bounded: whatever was decided, a post's log-odds move by [`MOST_SHIFT`] at most, so that what the base holds for
//!   beyond doubt cannot be turned round unseen;
//! - weighed: all decisions on one author's posts count as [`AUTHOR_SHARE`] together at most, and a sitting of one
//!   moderator that contradicts the base again and again waits until others confirm it;
//! - guarded: decisions are predicted from each other; where they do not help, they are rolled back to half or nothing.
//!
//! No tenant's state is ever read for another, and the base never changes: other tenants' scores stay the same to the
//! last bit. Retraining from the kept decisions costs some 20 ms at the most, once a decision; counts that are added
//! and subtracted were tried first and moved held-out error less than half as far.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::features::{Distinct, Features};
use crate::ftrl::Dice;
use crate::model::Model;
use crate::post::{Label, Post};

/// Decisions that are learned from: the last ones.
pub const MOST_DECISIONS: usize = 1024;
/// Older decisions kept beside, so that taking one back brings back the one it pushed out.
pub const SPARE: usize = 256;
/// The most that a tenant's decisions move a post's log-odds.
pub const MOST_SHIFT: f64 = 4.0;
/// What all decisions on one author's posts count together.
pub const AUTHOR_SHARE: f32 = 4.0;
/// log2 of the weights of a tenant.
const BITS: u32 = 18;
/// Features kept of a post; a sample spread over the whole where there are more.
const MOST_FEATURES: usize = 1500;
const EPOCHS: usize = 5;
/// AdaGrad's step; small enough that one decision alone moves its own post by about one unit of log-odds.
const STEP: f32 = 0.5;
/// The base's log-odds beyond which contradicting it is remarkable: 1 in 20.
const SURE: f32 = 3.0;
/// What a decision counts that contradicts a sure base: it is as often a slip of the hand as news. With a whole share
/// each, one decision in twenty wrong had a fifth of all ham held.
const CONTRADICTION: f32 = 0.25;
/// Log-odds that the base is trusted with at most while learning: else a few slips outweigh all else.
const TRUSTED: f32 = 5.0;
/// Seconds of a sitting: six hours.
const SITTING: u64 = 6 * 3600;

/// A moderator's decision on a post.
#[derive(Debug, Clone)]
pub struct Decision<'a> {
    /// The post's name; a later decision of the same name replaces the earlier one.
    pub id: &'a str,
    /// The post.
    pub post: &'a Post,
    /// What the moderator says.
    pub label: Label,
    /// Who says it.
    pub moderator: &'a str,
    /// When, in seconds since 1970.
    pub at: u64,
}

/// A decision as it is kept: hashes only, no text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    id: String,
    hashes: Vec<u32>,
    label: Label,
    moderator: u64,
    author: u64,
    at: u64,
    /// The base's log-odds at the time.
    base: f32,
}

impl Kept {
    fn target(&self) -> f32 {
        if self.label == Label::Spam { 1.0 } else { 0.0 }
    }

    fn contradicts(&self) -> bool {
        (self.base > SURE && self.label == Label::Ham) || (self.base < -SURE && self.label == Label::Spam)
    }
}

/// How far a tenant's decisions are followed at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Standing {
    /// Decisions kept.
    pub decisions: usize,
    /// Decisions set aside because their sitting contradicts the base too often.
    pub set_aside: usize,
    /// 1: followed; 0.5: half; 0: rolled back, they did not help on each other.
    pub strength: f32,
    /// Mean log loss of the decisions, predicted by the base alone.
    pub loss_before: f32,
    /// The same, each predicted with what the others taught.
    pub loss_after: f32,
}

/// One tenant's learnt state.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Record", into = "Record")]
pub struct Adaptation {
    kept: Vec<Kept>,
    delta: Vec<f32>,
    standing: Option<Standing>,
}

/// What is stored: all else follows from it.
#[derive(Serialize, Deserialize)]
struct Record {
    kept: Vec<Kept>,
}

impl From<Record> for Adaptation {
    fn from(record: Record) -> Self {
        let mut this = Self { kept: record.kept, ..Self::default() };
        this.rebuild();
        this
    }
}

impl From<Adaptation> for Record {
    fn from(adaptation: Adaptation) -> Self {
        Self { kept: adaptation.kept }
    }
}

impl Adaptation {
    /// A tenant that decided nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Learns a decision, at once.
    pub fn learn(&mut self, base: &Model, decision: &Decision<'_>) -> Standing {
        self.keep(base, decision);
        self.rebuild()
    }

    /// Learns decisions in their order; the same as one by one, in the time of one.
    pub fn learn_all<'a>(&mut self, base: &Model, decisions: impl Iterator<Item = Decision<'a>>) -> Standing {
        for decision in decisions {
            self.keep(base, &decision);
        }
        self.rebuild()
    }

    fn keep(&mut self, base: &Model, decision: &Decision<'_>) {
        self.kept.retain(|kept| kept.id != decision.id);
        let hashes = sampled(Features::of(decision.post).distinct());
        let author = decision.post.author.as_deref().or(decision.post.author_email.as_deref());
        self.kept.push(Kept {
            id: decision.id.to_owned(),
            hashes,
            label: decision.label,
            moderator: Dice::of(1, decision.moderator).roll(),
            // Nobody knows the author: each post is its own.
            author: Dice::of(2, author.unwrap_or(decision.id)).roll(),
            at: decision.at,
            base: base.card().calibration.apply(base.logits(decision.post)) as f32,
        });
        let over = self.kept.len().saturating_sub(MOST_DECISIONS + SPARE);
        self.kept.drain(..over);
    }

    /// Takes a decision back; whether there was one.
    pub fn unlearn(&mut self, id: &str) -> bool {
        let before = self.kept.len();
        self.kept.retain(|kept| kept.id != id);
        let found = self.kept.len() != before;
        if found {
            self.rebuild();
        }
        found
    }

    /// How far the decisions are followed.
    pub fn standing(&self) -> Standing {
        self.standing.unwrap_or(Standing {
            decisions: 0,
            set_aside: 0,
            strength: 1.0,
            loss_before: 0.0,
            loss_after: 0.0,
        })
    }

    /// SHA-256 of the learnt weights, in hex: equal states have equal digests.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        for (slot, weight) in self.delta.iter().enumerate().filter(|(_, weight)| **weight != 0.0) {
            hash.update((slot as u32).to_le_bytes());
            hash.update(weight.to_le_bytes());
        }
        hash.update(self.standing().strength.to_le_bytes());
        crate::model::hex(&hash.finalize())
    }

    /// What the decisions add to a post's log-odds.
    pub(crate) fn shift(&self, features: &Features) -> f64 {
        if self.delta.is_empty() || self.standing().strength == 0.0 {
            return 0.0;
        }
        let mut seen = Distinct::with_room_for(features.list.len());
        let (mut sum, mut count) = (0.0, 0_u32);
        for feature in &features.list {
            if features.counts_for_whole(feature.source) && seen.insert(feature.hash) {
                sum += self.delta[slot(feature.hash)];
                count += 1;
            }
        }
        let shift = self.standing().strength * sum / (count.max(1) as f32).sqrt();
        f64::from(shift).clamp(-MOST_SHIFT, MOST_SHIFT)
    }

    fn rebuild(&mut self) -> Standing {
        let recent = &self.kept[self.kept.len().saturating_sub(MOST_DECISIONS)..];
        let weights = weigh(recent);
        let strength = guard(recent, &weights);
        let all: Vec<usize> = (0..recent.len()).collect();
        let delta = if recent.is_empty() { Vec::new() } else { train(recent, &weights, &all) };
        let standing = Standing {
            decisions: self.kept.len(),
            set_aside: weights.iter().filter(|weight| **weight == 0.0).count(),
            strength: strength.0,
            loss_before: strength.1,
            loss_after: strength.2,
        };
        self.delta = delta;
        self.standing = Some(standing);
        standing
    }
}

fn slot(hash: u32) -> usize {
    (hash >> (32 - BITS)) as usize
}

fn sampled(mut hashes: Vec<u32>) -> Vec<u32> {
    if hashes.len() > MOST_FEATURES {
        // The smallest hashes are a sample that every near duplicate draws alike.
        hashes.sort_unstable();
        hashes.truncate(MOST_FEATURES);
    }
    hashes
}

/// What each decision counts.
fn weigh(kept: &[Kept]) -> Vec<f32> {
    let mut by_author: HashMap<u64, f32> = HashMap::new();
    let mut sittings: HashMap<(u64, u64), (usize, usize)> = HashMap::new();
    for decision in kept {
        *by_author.entry(decision.author).or_default() += 1.0;
        let (all, contradicting) = sittings.entry((decision.moderator, decision.at / SITTING)).or_default();
        *all += 1;
        *contradicting += usize::from(decision.contradicts());
    }
    let odd = |&(all, contradicting): &(usize, usize)| contradicting >= 4 && contradicting * 4 > all;
    // Where several sittings of several moderators contradict the base, it is the base that is wrong here.
    let odd_moderators: std::collections::HashSet<u64> =
        sittings.iter().filter(|(_, counts)| odd(counts)).map(|((moderator, _), _)| *moderator).collect();
    let confirmed = odd_moderators.len() >= 3;
    let spam: f32 = kept.iter().map(Kept::target).sum();
    let ham = kept.len() as f32 - spam;
    kept.iter()
        .map(|decision| {
            let set_aside = sittings.get(&(decision.moderator, decision.at / SITTING)).is_some_and(odd) && !confirmed;
            if set_aside {
                return 0.0;
            }
            let author = (AUTHOR_SHARE / by_author.get(&decision.author).copied().unwrap_or(1.0)).min(1.0);
            let doubt = if decision.contradicts() && !confirmed { CONTRADICTION } else { 1.0 };
            let (own, other) = if decision.label == Label::Spam { (spam, ham) } else { (ham, spam) };
            // The rarer class counts more, three times at most.
            let balance = (other / own.max(1.0)).sqrt().clamp(1.0, 3.0);
            author * balance * doubt
        })
        .collect()
}

/// AdaGrad over the decisions at `chosen`, on top of the base's log-odds.
fn train(kept: &[Kept], weights: &[f32], chosen: &[usize]) -> Vec<f32> {
    let mut delta = vec![0.0_f32; 1 << BITS];
    let mut squares = vec![0.0_f32; 1 << BITS];
    let mut order = chosen.to_vec();
    let mut dice = Dice::new(5);
    for _ in 0..EPOCHS {
        dice.shuffle(&mut order);
        for &at in &order {
            let (decision, weight) = (&kept[at], weights[at]);
            if weight == 0.0 {
                continue;
            }
            let scale = 1.0 / (decision.hashes.len().max(1) as f32).sqrt();
            let error = predict(decision, &delta, 1.0) - decision.target();
            let gradient = error * scale * weight;
            for &hash in &decision.hashes {
                let slot = slot(hash);
                squares[slot] += gradient * gradient;
                delta[slot] -= STEP * gradient / (0.1 + squares[slot].sqrt());
            }
        }
    }
    delta
}

fn predict(decision: &Kept, delta: &[f32], strength: f32) -> f32 {
    let scale = 1.0 / (decision.hashes.len().max(1) as f32).sqrt();
    let sum: f32 = decision.hashes.iter().map(|&hash| delta[slot(hash)]).sum();
    let shift = (strength * sum * scale).clamp(-MOST_SHIFT as f32, MOST_SHIFT as f32);
    1.0 / (1.0 + (-(decision.base.clamp(-TRUSTED, TRUSTED) + shift)).exp())
}

/// Decisions below which there is nothing to judge them by.
const LEAST_TO_GUARD: usize = 20;

/// The strength at which the decisions help on each other, and the losses without and with it.
fn guard(kept: &[Kept], weights: &[f32]) -> (f32, f32, f32) {
    if kept.len() < LEAST_TO_GUARD {
        return (1.0, 0.0, 0.0);
    }
    let half = |decision: &Kept| Dice::of(7, &decision.id).roll() & 1;
    let strengths = [1.0, 0.5, 0.0];
    let mut losses = [0.0_f32; 3];
    let mut total = 0.0;
    for side in 0..2 {
        let (learn, judge): (Vec<usize>, Vec<usize>) = (0..kept.len()).partition(|&at| half(&kept[at]) == side);
        let delta = train(kept, weights, &learn);
        for at in judge {
            total += weights[at];
            for (loss, strength) in losses.iter_mut().zip(strengths) {
                let p = predict(&kept[at], &delta, strength).clamp(1e-3, 1.0 - 1e-3);
                *loss -= weights[at] * if kept[at].label == Label::Spam { p.ln() } else { (1.0 - p).ln() };
            }
        }
    }
    let losses = losses.map(|loss| loss / total.max(1.0));
    let best = (0..3).min_by(|&a, &b| losses[a].total_cmp(&losses[b])).unwrap_or(2);
    (strengths[best], losses[2], losses[best])
}

#[cfg(test)]
#[path = "adaptation_tests.rs"]
mod tests;
