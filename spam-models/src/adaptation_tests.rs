use super::*;

fn post(number: usize, author: &str, text: &str) -> Post {
    Post { id: number.to_string(), author: Some(author.to_owned()), ..Post::of(text) }
}

fn decide(tenant: &mut Adaptation, post: &Post, label: Label, moderator: &str, at: u64) -> Standing {
    tenant.learn(&Model::built_in(), &Decision { id: &post.id, post, label, moderator, at })
}

const OFFERS: [&str; 4] = ["garden gnomes", "used pianos", "cactus seeds", "model trains"];

#[test]
fn a_decision_counts_at_once_and_taking_it_back_leaves_no_trace() {
    let model = Model::built_in();
    let mut tenant = Adaptation::new();
    for (number, offer) in OFFERS.iter().enumerate() {
        decide(
            &mut tenant,
            &post(number, "ann", &format!("I collect {offer} and look for others")),
            Label::Ham,
            "m",
            0,
        );
    }
    let (digest, plain) = (tenant.digest(), post(90, "bob", "We deliver artificial turf to your door, any size"));
    let score = |tenant: &Adaptation| model.score_in(&plain, &crate::Context::default(), Some(tenant)).probability;
    let before = score(&tenant);
    decide(&mut tenant, &plain, Label::Spam, "m", 60);
    assert!(score(&tenant) > before && tenant.digest() != digest);
    assert!(tenant.unlearn("90") && !tenant.unlearn("90"));
    assert_eq!((tenant.digest(), score(&tenant).to_bits()), (digest, before.to_bits()));
}

#[test]
fn changing_ones_mind_is_the_same_as_having_decided_so() {
    let (mut changed, mut direct) = (Adaptation::new(), Adaptation::new());
    let other = post(1, "bob", "We deliver artificial turf to your door, any size");
    decide(&mut changed, &other, Label::Ham, "m", 0);
    decide(&mut changed, &other, Label::Spam, "m", 60);
    decide(&mut direct, &other, Label::Spam, "m", 60);
    assert_eq!(changed.digest(), direct.digest());
    assert_eq!(changed.standing().decisions, 1);
}

#[test]
fn the_state_is_stored_and_read_back_whole() {
    let mut tenant = Adaptation::new();
    for (number, offer) in OFFERS.iter().enumerate() {
        decide(&mut tenant, &post(number, "ann", &format!("Order {offer} here")), Label::Spam, "m", 0);
    }
    let stored = serde_json::to_string(&tenant).unwrap();
    assert!(OFFERS.iter().all(|offer| !stored.contains(offer)), "text is kept");
    let again: Adaptation = serde_json::from_str(&stored).unwrap();
    assert_eq!((again.digest(), again.standing()), (tenant.digest(), tenant.standing()));
}

#[test]
fn one_author_or_one_sitting_moves_little() {
    let model = Model::built_in();
    let ham: Vec<Post> = (0..40)
        .map(|n| post(n, &format!("author {n}"), &format!("Where do I find invoice number {n} of {}?", OFFERS[n % 4])))
        .collect();
    let mut tenant = Adaptation::new();
    for post in &ham {
        decide(&mut tenant, post, Label::Ham, "careful", 0);
    }
    let sure = model.score(&ham[0]).probability < 0.04;
    assert!(sure, "the base is in no doubt of this text");
    for (number, one) in ham.iter().enumerate() {
        let again = Post { id: format!("again {number}"), ..one.clone() };
        decide(&mut tenant, &again, Label::Spam, "careless", 100_000);
    }
    assert!(tenant.standing().set_aside >= 40, "{:?}", tenant.standing());
    let asked = post(99, "new", "Where do I find invoice number 7 of used pianos?");
    assert!(model.score_in(&asked, &crate::Context::default(), Some(&tenant)).probability < 0.2);
}

#[test]
fn the_window_of_decisions_is_bounded() {
    let mut tenant = Adaptation::new();
    tenant.kept = (0..MOST_DECISIONS + SPARE)
        .map(|n| Kept {
            id: format!("x{n}"),
            hashes: vec![n as u32],
            label: Label::Ham,
            moderator: 1,
            author: n as u64,
            at: 0,
            base: 0.0,
        })
        .collect();
    let standing = decide(&mut tenant, &post(1, "a", "hello there"), Label::Ham, "m", 0);
    assert_eq!(standing.decisions, MOST_DECISIONS + SPARE);
}
