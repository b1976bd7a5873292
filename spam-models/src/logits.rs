//! From features to log-odds: of the whole post, and of its most suspicious stretch.
//!
//! Good words around spam pull the whole post's score down, but not the stretch that is spam; so both are looked at,
//! and [`crate::calibrate`] weighs them.

use crate::features::{Distinct, Features, Source};

/// Anything that knows a weight for a hash.
pub trait Weights {
    /// The weight of a 32-bit feature hash.
    fn weight(&self, hash: u32) -> f32;
}

/// Weights not rounded yet, as training leaves them.
#[derive(Debug)]
pub struct Exact {
    /// log2 of the number of weights.
    pub bits: u32,
    /// One weight a bucket.
    pub weights: Vec<f32>,
}

impl Weights for Exact {
    fn weight(&self, hash: u32) -> f32 {
        self.weights[(hash >> (32 - self.bits)) as usize]
    }
}

/// Log-odds before calibration.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Logits {
    /// Of all that is seen.
    pub full: f32,
    /// Of the worst stretch of up to two segments; the same as `full` where there is only one.
    pub best: f32,
    /// Segments, hidden ones too.
    pub segments: u32,
}

/// The scores of a post; `share` is told each first-seen feature's source and weight, and the scale at the end.
pub(crate) fn logits(weights: &impl Weights, features: &Features, mut share: impl FnMut(Source, f32)) -> Logits {
    let mut seen = Distinct::with_room_for(features.list.len());
    let (mut sum, mut count) = (0.0_f32, 0_usize);
    let parts = features.segments as usize;
    if parts <= 1 {
        for feature in &features.list {
            if seen.insert(feature.hash) {
                let weight = weights.weight(feature.hash);
                share(feature.source, weight);
                sum += weight;
                count += 1;
            }
        }
        let full = sum / (count.max(1) as f32).sqrt();
        return Logits { full, best: full, segments: features.segments };
    }
    let mut of_segment = vec![(0.0_f32, 0_u32); parts];
    let mut in_segment = Distinct::with_room_for(features.list.len());
    for feature in &features.list {
        let weight = weights.weight(feature.hash);
        if let Source::Token(at) = feature.source {
            let segment = features.segment_of[at as usize];
            // One set for all segments: the hash is turned by the segment's number.
            if in_segment.insert(feature.hash ^ segment.wrapping_mul(0x9e37_79b9)) {
                let (total, features) = &mut of_segment[segment as usize];
                *total += weight;
                *features += 1;
            }
        }
        if features.counts_for_whole(feature.source) && seen.insert(feature.hash) {
            share(feature.source, weight);
            sum += weight;
            count += 1;
        }
    }
    let full = sum / (count.max(1) as f32).sqrt();
    Logits { full, best: worst_stretch(&of_segment, features.hidden_from as usize), segments: features.segments }
}

/// Features that a stretch needs to be judged alone: three words have no more than this.
const LEAST_FEATURES: u32 = 60;

fn worst_stretch(segments: &[(f32, u32)], hidden_from: usize) -> f32 {
    let score = |(sum, count): (f32, u32)| sum / (count.max(LEAST_FEATURES) as f32).sqrt();
    let singles = segments.iter().copied().map(score);
    let pairs = segments
        .windows(2)
        .enumerate()
        .filter(|(at, _)| at + 1 != hidden_from)
        .map(|(_, pair)| score((pair[0].0 + pair[1].0, pair[0].1 + pair[1].1)));
    singles.chain(pairs).fold(f32::NEG_INFINITY, f32::max)
}
