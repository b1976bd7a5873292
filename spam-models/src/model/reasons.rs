//! Why: the strongest signals of a post, in plain words.
//!
//! The model is linear, so a signal's share is exact: the sum of the weights of its features, over the scale of the
//! post. What several features say of one word is told once, for the word.

use crate::calibrate::Calibration;
use crate::features::{Features, Source};
use crate::logits::Logits;
use crate::post::Reason;
use crate::text::Class;

/// Signals that a verdict carries at most.
const MOST: usize = 8;
/// Log-odds below which a signal is not worth a person's time.
const LEAST: f64 = 0.05;

/// The sums of weights by source.
pub(super) struct Shares {
    tokens: Vec<f32>,
    signals: Vec<f32>,
    count: u32,
}

impl Shares {
    pub(super) fn new(features: &Features) -> Self {
        Self { tokens: vec![0.0; features.tokens.list.len()], signals: vec![0.0; features.signals.len()], count: 0 }
    }

    #[inline]
    pub(super) fn add(&mut self, source: Source, weight: f32) {
        self.count += 1;
        match source {
            Source::Token(at) => self.tokens[at as usize] += weight,
            Source::Signal(at) => self.signals[at as usize] += weight,
        }
    }

    pub(super) fn reasons(&self, features: &Features, scores: Logits, calibration: &Calibration) -> Vec<Reason> {
        let slope = if scores.segments <= 1 { calibration.short[1] } else { calibration.long[1] };
        let scale = slope / f64::from(self.count.max(1)).sqrt();
        let mut out: Vec<Reason> = Vec::new();
        let mut order: Vec<usize> = (0..self.tokens.len()).filter(|&at| self.tokens[at] != 0.0).collect();
        order.sort_by(|&a, &b| self.tokens[b].abs().total_cmp(&self.tokens[a].abs()).then(a.cmp(&b)));
        for at in order.into_iter().take(MOST) {
            out.push(Reason { signal: token_words(features, at), weight: f64::from(self.tokens[at]) * scale });
        }
        for (at, signal) in features.signals.iter().enumerate() {
            if *signal != crate::features::Signal::Bias {
                let weight = f64::from(self.signals[at]) * scale;
                out.push(Reason { signal: signal.words().to_owned(), weight });
            }
        }
        if scores.segments > 1 {
            let weight = calibration.long[2] * f64::from(scores.best - scores.full).max(0.0);
            out.push(Reason { signal: "one passage is worse than the whole".to_owned(), weight });
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
