use proptest::prelude::*;

use super::*;
use crate::post::Label;

#[test]
fn the_shipped_model_loads_and_tells_plain_cases_apart() {
    let model = Model::built_in();
    assert_eq!(model.digest().len(), 64);
    let ham = model.score(&Post::of("Hello, I cannot find the button to download my invoice. Where did it move?"));
    let spam = model.score(&Post::of(
        "🔥 SLOT GACOR hari ini!! Daftar sekarang di bestslot88 dot com bonus 100% maxwin 🔥 https://bit.ly/3xYzAb",
    ));
    assert!(ham.probability < 0.2 && spam.probability > 0.8, "{ham:?} {spam:?}");
    assert!(spam.reasons.iter().any(|reason| reason.weight > 0.0) && spam.reasons.len() <= 8);
}

#[test]
fn bytes_come_back_as_the_same_model_and_damage_is_seen() {
    let built_in = Model::built_in();
    let bytes = built_in.to_bytes();
    let again = Model::load(&bytes).unwrap();
    assert_eq!((again.digest(), again.card()), (built_in.digest(), built_in.card()));
    let mut broken = bytes.clone();
    broken[15] ^= 1;
    assert!(matches!(Model::load(&broken), Err(ModelError::Damaged { .. })));
    broken.clone_from(&bytes);
    broken[8] = 99;
    assert!(matches!(Model::load(&broken), Err(ModelError::Version { found: 99, .. })));
    assert!(matches!(Model::load(&bytes[..bytes.len() / 2]), Err(ModelError::Format(_))));
    assert!(matches!(Model::load(b"junk"), Err(ModelError::Format(_))));
}

#[test]
fn junk_of_ten_megabytes_is_answered_and_held() {
    let model = Model::built_in();
    for junk in ["<", "a", "é\u{301}", "&#", "http://", "a ", "- ", "🎰", "ก", "QUJD"] {
        let verdict = model.score(&Post::of(junk.repeat(10_000_000 / junk.len())));
        assert!(verdict.probability >= 0.5, "{junk}");
    }
}

#[test]
fn what_is_known_of_the_author_moves_a_verdict_but_a_label_in_the_post_does_not() {
    let model = Model::built_in();
    let post = Post::of("Please look at my new page about mobile phones");
    let plain = model.score(&post);
    let listed = model.score_in(&post, &Context { domain_listed: true, ..Context::default() }, None);
    assert!(listed.probability > plain.probability);
    assert_eq!(listed.reasons[0].signal, "links to a site on a blocklist");
    let tagged = Post { lang: Some("ja".into()), ..post.clone() };
    assert_eq!(model.score(&tagged).probability.to_bits(), plain.probability.to_bits());
}

#[test]
fn decisions_of_one_tenant_leave_the_base_as_it_is() {
    let model = Model::built_in();
    let post = Post::of("Buy cheap followers now https://followers.example/buy");
    let before = model.score(&post);
    let mut tenant = Adaptation::new();
    for number in 0..30 {
        let id = number.to_string();
        let decision = crate::Decision { id: &id, post: &post, label: Label::Ham, moderator: "m", at: 0 };
        tenant.learn(&model, &decision);
    }
    assert_eq!(model.score(&post), before);
    let digest = Model::built_in().digest().to_owned();
    assert_eq!(digest, Model::load(&model.to_bytes()).unwrap().digest());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_post_gets_a_probability(text in "\\PC{0,300}", markup in "[<>&;#a-z/\"'= !.-]{0,100}") {
        let model = Model::built_in();
        let verdict = model.score(&Post::of(format!("{text}{markup}")));
        prop_assert!(verdict.probability > 0.0 && verdict.probability < 1.0);
        prop_assert!(verdict.reasons.len() <= 8 && verdict.reasons.iter().all(|reason| reason.weight.is_finite()));
    }
}
