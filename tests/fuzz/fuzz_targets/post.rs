//! Posts: any text is read, folded, cut and scored, the same way each time, and what it was told stays bounded.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal_spam::{Fingerprint, Model, Post};

fuzz_target!(|text: &str| {
    let model = Model::built_in();
    let post = Post::of(text);
    let verdict = model.score(&post);
    assert!(verdict.probability > 0.0 && verdict.probability < 1.0);
    assert!(verdict.reasons.len() <= 8 && verdict.reasons.iter().all(|reason| reason.weight.is_finite()));
    assert_eq!(model.score(&post), verdict);
    if let Some(fingerprint) = Fingerprint::of(&post) {
        assert!((fingerprint.similarity(&fingerprint) - 1.0).abs() < f64::EPSILON);
    }
});
