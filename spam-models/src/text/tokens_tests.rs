use proptest::prelude::*;

use super::*;

fn read(text: &str) -> Vec<(Class, String)> {
    let tokens = tokenize(text);
    tokens.list.iter().map(|token| (token.class, tokens.letters(token).iter().collect())).collect()
}

fn letters(text: &str) -> Vec<String> {
    read(text).into_iter().map(|(_, letters)| letters).collect()
}

#[test]
fn words_numbers_links_and_signs_come_apart() {
    use Class::{Emoji, Handle, Mail, Mixed, Money, Number, Run, Sign, Tag, Url, Word};
    let expected = [
        (Word, "don't"),
        (Word, "pay"),
        (Money, "$"),
        (Number, "50"),
        (Sign, ":"),
        (Mixed, "slot88"),
        (Handle, "me"),
        (Tag, "win"),
        (Url, "https://x.example/a"),
        (Mail, "a@b.com"),
        (Emoji, "🎰🎰"),
        (Run, "です"),
        (Sign, "!!!"),
    ];
    let expected: Vec<(Class, String)> = expected.into_iter().map(|(class, text)| (class, text.to_owned())).collect();
    assert_eq!(read("Don't pay $50: SLOT88 @me #win https://x.example/a a@b.com 🎰🎰 です!!!!"), expected);
}

#[test]
fn spelled_words_are_joined() {
    assert_eq!(letters("get f r e e money"), ["get", "free", "money"]);
    assert_eq!(letters("get f.r.e.e money"), ["get", "free", "money"]);
    assert_eq!(letters("f-r-e-e"), ["free"]);
    assert_eq!(letters("I a man"), ["i", "a", "man"]);
    assert_eq!(letters("a b"), ["a", "b"]);
}

#[test]
fn spoken_dots_make_links() {
    for text in [
        "visit bestwin dot com now",
        "visit bestwin [.] com now",
        "visit bestwin (dot) com now",
        "visit bestwin . com now",
    ] {
        let tokens = tokenize(text);
        assert_eq!(tokens.links.first().map(|link| link.host.as_str()), Some("bestwin.com"), "{text}");
        assert_eq!(letters(text), ["visit", "bestwin.com", "now"]);
    }
    assert!(tokenize("Press the dot in the middle. Me too.").links.is_empty());
}

#[test]
fn stretched_words_are_read_once() {
    assert_eq!(letters("freeee monnney !!!!!!"), ["fre", "money", "!!!"]);
    assert!(tokenize("freeee").list[0].stretched && !tokenize("free").list[0].stretched);
}

proptest! {
    #[test]
    fn every_token_lies_within_the_text(text in "[a-zA-Zа-я0-9 .@#!$\\[\\]()\\n🎰ไทยでดñ\u{200b}\u{301}]{0,120}", any in "\\PC{0,80}") {
        for text in [text, any] {
            let tokens = tokenize(&text);
            for token in &tokens.list {
                prop_assert!(token.start <= token.end && token.end as usize <= tokens.chars.len());
                prop_assert!(text.contains(tokens.written(token)));
            }
        }
    }
}
