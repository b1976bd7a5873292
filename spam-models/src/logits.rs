//! From features to log-odds: of the whole post, and of its most suspicious stretch, each by two learners.
//!
//! Good words around spam pull the whole post's score down, but not the stretch that is spam; so both are looked at,
//! and [`crate::calibrate`] weighs them. Three sets of weights share one table ([`crate::learn`] says how each is
//! learned): a feature costs one access to memory, not three.

use crate::features::{Distinct, Features, Source};

/// What a model knows of a feature.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Weight {
    /// For the whole post, by the learner that takes every feature alike.
    pub plain: f32,
    /// For the whole post, by the learner that listens most to features which differ between spam and ham.
    pub contrast: f32,
    /// Square of the value that the second learner gives the feature: the lengths of its posts are made of these.
    pub square: f32,
    /// For a stretch of a post alone.
    pub stretch: f32,
}

/// Anything that knows a weight for a hash.
pub trait Weights {
    /// The weight of a 32-bit feature hash.
    fn weight(&self, hash: u32) -> Weight;
}

/// Weights not rounded yet, as training leaves them.
#[derive(Debug)]
pub struct Exact {
    /// log2 of the number of weights.
    pub bits: u32,
    /// One weight a bucket.
    pub weights: Vec<Weight>,
}

impl Weights for Exact {
    fn weight(&self, hash: u32) -> Weight {
        self.weights[(hash >> (32 - self.bits)) as usize]
    }
}

/// Log-odds before calibration.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Logits {
    /// Of all that is seen, by [`Weight::plain`].
    pub plain: f32,
    /// Of all that is seen, by [`Weight::contrast`].
    pub contrast: f32,
    /// Of the worst stretch of up to two segments, by [`Weight::stretch`]; `plain` where there is only one segment.
    pub worst: f32,
    /// Of the worst stretch, by [`Weight::contrast`]; `contrast` where there is only one segment.
    pub worst_contrast: f32,
    /// Segments, hidden ones too.
    pub segments: u32,
}

/// Sums over some features.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    plain: f32,
    contrast: f32,
    squares: f32,
    stretch: f32,
    count: u32,
}

/// Features that a stretch needs to be judged alone: three words have no more than this.
pub(crate) const LEAST_FEATURES: u32 = 60;

impl Sums {
    fn add(&mut self, weight: Weight) {
        self.plain += weight.plain;
        self.contrast += weight.contrast;
        self.squares += weight.square;
        self.stretch += weight.stretch;
        self.count += 1;
    }

    fn with(self, other: Self) -> Self {
        Self {
            plain: self.plain + other.plain,
            contrast: self.contrast + other.contrast,
            squares: self.squares + other.squares,
            stretch: self.stretch + other.stretch,
            count: self.count + other.count,
        }
    }

    /// What the sums are divided by.
    fn lengths(self) -> Lengths {
        Lengths { plain: (self.count.max(1) as f32).sqrt(), contrast: self.squares.max(1e-3).sqrt() }
    }

    fn stretch(self) -> f32 {
        self.stretch / (self.count.max(LEAST_FEATURES) as f32).sqrt()
    }

    fn stretch_contrast(self) -> f32 {
        self.contrast / self.squares.max(LEAST_FEATURES as f32).sqrt()
    }
}

/// The lengths of a post, as each learner measures it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lengths {
    pub plain: f32,
    pub contrast: f32,
}

/// The scores of a post and its lengths; `share` is told each first-seen feature's source and weight.
pub(crate) fn logits(
    weights: &impl Weights,
    features: &Features,
    mut share: impl FnMut(Source, Weight),
) -> (Logits, Lengths) {
    let mut seen = Distinct::with_room_for(features.list.len());
    let mut whole = Sums::default();
    let parts = features.segments as usize;
    let mut of_segment = vec![Sums::default(); if parts > 1 { parts } else { 0 }];
    let mut in_segment = Distinct::with_room_for(if parts > 1 { features.list.len() } else { 0 });
    for feature in &features.list {
        let weight = weights.weight(feature.hash);
        if parts > 1
            && let Source::Token(at) = feature.source
        {
            let segment = features.segment_of[at as usize];
            // One set for all segments: the hash is turned by the segment's number.
            if in_segment.insert(feature.hash ^ segment.wrapping_mul(0x9e37_79b9)) {
                of_segment[segment as usize].add(weight);
            }
        }
        if features.counts_for_whole(feature.source) && seen.insert(feature.hash) {
            share(feature.source, weight);
            whole.add(weight);
        }
    }
    let lengths = whole.lengths();
    let (plain, contrast) = (whole.plain / lengths.plain, whole.contrast / lengths.contrast);
    let mut scores = Logits { plain, contrast, worst: plain, worst_contrast: contrast, segments: features.segments };
    if parts > 1 {
        let worst = |score: fn(Sums) -> f32| {
            stretches(&of_segment, features.hidden_from).map(score).fold(f32::NEG_INFINITY, f32::max)
        };
        scores.worst = worst(Sums::stretch);
        scores.worst_contrast = worst(Sums::stretch_contrast);
    }
    (scores, lengths)
}

/// Each segment, and each two in a row; what is hidden is never joined to what is seen.
fn stretches(segments: &[Sums], hidden_from: u32) -> impl Iterator<Item = Sums> {
    let pairs = segments
        .windows(2)
        .enumerate()
        .filter(move |(at, _)| at + 1 != hidden_from as usize)
        .map(|(_, pair)| pair[0].with(pair[1]));
    segments.iter().copied().chain(pairs)
}
