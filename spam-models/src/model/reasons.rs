//! Why: the strongest signals of a post, in plain words.
//!
//! The model is linear, so a signal's share is exact: the weights of its features by each learner, over the length of
//! the post as that learner measures it. What several features say of one word is told once, for the word.

use crate::calibrate::Calibration;
use crate::features::{Features, Source};
use crate::logits::{Lengths, Logits, Weight};
use crate::post::Reason;
use crate::text::Class;

/// Signals that a verdict carries at most.
const MOST: usize = 8;
/// Log-odds below which a signal is not worth a person's time.
const LEAST: f64 = 0.05;

/// The sums of weights by source, of contrast and plain.
pub(super) struct Shares {
    tokens: Vec<[f32; 2]>,
    signals: Vec<[f32; 2]>,
}

impl Shares {
    pub(super) fn new(features: &Features) -> Self {
        Self { tokens: vec![[0.0; 2]; features.tokens.list.len()], signals: vec![[0.0; 2]; features.signals.len()] }
    }

    #[inline]
    pub(super) fn add(&mut self, source: Source, weight: Weight) {
        let sum = match source {
            Source::Token(at) => &mut self.tokens[at as usize],
            Source::Signal(at) => &mut self.signals[at as usize],
        };
        sum[0] += weight.contrast;
        sum[1] += weight.plain;
    }

    pub(super) fn reasons(
        &self,
        features: &Features,
        scores: Logits,
        lengths: Lengths,
        calibration: &Calibration,
    ) -> Vec<Reason> {
        let slopes = calibration.slopes(scores.segments);
        let scales = [slopes[0] / f64::from(lengths.contrast), slopes[1] / f64::from(lengths.plain)];
        let share = |sum: [f32; 2]| f64::from(sum[0]) * scales[0] + f64::from(sum[1]) * scales[1];
        let mut tokens: Vec<(usize, f64)> = self.tokens.iter().map(|&sum| share(sum)).enumerate().collect();
        tokens.retain(|(_, weight)| *weight != 0.0);
        tokens.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0)));
        let mut out: Vec<Reason> = Vec::new();
        for (at, weight) in tokens.into_iter().take(MOST) {
            out.push(Reason { signal: token_words(features, at), weight });
        }
        for (signal, &sum) in features.signals.iter().zip(&self.signals) {
            if *signal != crate::features::Signal::Bias {
                out.push(Reason { signal: signal.words().to_owned(), weight: share(sum) });
            }
        }
        let stretch = calibration.of_stretch(scores);
        if stretch > 0.0 {
            out.push(Reason { signal: "one passage is worse than the whole".to_owned(), weight: stretch });
        }
        out
    }
}

fn token_words(features: &Features, at: usize) -> String {
    let token = features.tokens.list[at];
    let letters: String = features.tokens.letters(&token).iter().take(40).collect();
    let hidden = if features.segment_of[at] >= features.hidden_from { "hidden " } else { "" };
    let disguise = match () {
        () if token.disguised => ", written in disguise",
        () if token.spaced => ", spelled letter by letter",
        () if token.stretched => ", stretched",
        () => "",
    };
    let noun = match token.class {
        Class::Word | Class::Mixed => "word",
        Class::Run => "words",
        Class::Number => "number",
        Class::Url => "link",
        Class::Mail => "mail address",
        Class::Handle => "account name",
        Class::Tag => "hash tag",
        Class::Emoji => "emoji",
        Class::Money | Class::Sign => "sign",
    };
    // A person must not be led to click, nor a number be spread further than it was.
    let digits = letters.chars().filter(char::is_ascii_digit).count();
    if matches!(token.class, Class::Number | Class::Mail) || digits > 8 {
        return format!("{hidden}{noun}{disguise}");
    }
    format!("{hidden}{noun} \"{letters}\"{disguise}")
}

pub(super) fn learnt(shift: f64) -> Option<Reason> {
    (shift != 0.0).then(|| Reason { signal: "earlier decisions of your moderators".to_owned(), weight: shift })
}

pub(super) fn cut() -> Reason {
    Reason { signal: "too long to be read whole".to_owned(), weight: 1.0 }
}

/// Keeps the strongest, strongest first.
pub(super) fn strongest(reasons: &mut Vec<Reason>) {
    reasons.retain(|reason| reason.weight.abs() >= LEAST);
    reasons.sort_by(|a, b| b.weight.abs().total_cmp(&a.weight.abs()).then_with(|| a.signal.cmp(&b.signal)));
    reasons.dedup_by(|later, first| {
        let same = later.signal == first.signal;
        if same {
            first.weight += later.weight;
        }
        same
    });
    reasons.truncate(MOST);
    for reason in reasons {
        reason.weight = (reason.weight * 1000.0).round() / 1000.0;
    }
}
