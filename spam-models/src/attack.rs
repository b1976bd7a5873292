//! Disguises that spammers use, to measure the filter with, and to train it against.
//!
//! Each is deterministic for a seed. In training a part of the spam is disguised, and a smaller part of the ham too,
//! so that a disguise is a hint and no verdict: honest people write in styled letters.

use crate::ftrl::Dice;

/// A disguise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Attack {
    /// U+200B inside every word.
    ZeroWidth,
    /// U+200C or U+2060 inside half of the words.
    Joiners,
    /// U+00AD inside every word.
    SoftHyphen,
    /// Look-alike Cyrillic letters, 30 % of those there are.
    CyrillicSome,
    /// All of those there are.
    CyrillicAll,
    /// Look-alike Greek letters, 30 %.
    Greek,
    /// Full-width letters.
    FullWidth,
    /// Mathematical bold.
    MathBold,
    /// Letters in boxes.
    Squared,
    /// U+0332 under every letter.
    Underlined,
    /// Digits and signs for letters.
    Leet,
    /// Half of the words letter by letter.
    Spaced,
    /// Dots between the letters of half of the words.
    Dotted,
    /// Links behind a shortener.
    Shortener,
    /// "name dot com".
    SpokenDot,
    /// Emoji before, after and between.
    EmojiWall,
    /// Letters two to four times.
    Stretched,
    /// One ham text after it.
    GoodWords,
    /// Three ham texts around it.
    GoodWordsAround,
    /// A ham text that readers do not see.
    HiddenGoodWords,
    /// Tags inside words.
    SplitByTags,
    /// Letters as character references.
    Entities,
    /// All of it in base64.
    Base64,
    /// Backwards.
    Reversed,
    /// Zero width, Cyrillic and shortener together.
    Mixed,
}

impl Attack {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::ZeroWidth,
        Self::Joiners,
        Self::SoftHyphen,
        Self::CyrillicSome,
        Self::CyrillicAll,
        Self::Greek,
        Self::FullWidth,
        Self::MathBold,
        Self::Squared,
        Self::Underlined,
        Self::Leet,
        Self::Spaced,
        Self::Dotted,
        Self::Shortener,
        Self::SpokenDot,
        Self::EmojiWall,
        Self::Stretched,
        Self::GoodWords,
        Self::GoodWordsAround,
        Self::HiddenGoodWords,
        Self::SplitByTags,
        Self::Entities,
        Self::Base64,
        Self::Reversed,
        Self::Mixed,
    ];

    /// What it is called in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::ZeroWidth => "zero-width in every word",
            Self::Joiners => "joiners in half of the words",
            Self::SoftHyphen => "soft hyphens",
            Self::CyrillicSome => "Cyrillic look-alikes, 30 %",
            Self::CyrillicAll => "Cyrillic look-alikes, all",
            Self::Greek => "Greek look-alikes, 30 %",
            Self::FullWidth => "full-width letters",
            Self::MathBold => "mathematical bold",
            Self::Squared => "squared letters",
            Self::Underlined => "combining underline",
            Self::Leet => "leetspeak",
            Self::Spaced => "letters spaced, half of the words",
            Self::Dotted => "dots between letters, half of the words",
            Self::Shortener => "links behind a shortener",
            Self::SpokenDot => "\"name dot com\"",
            Self::EmojiWall => "emoji wall",
            Self::Stretched => "letters repeated",
            Self::GoodWords => "one ham text appended",
            Self::GoodWordsAround => "three ham texts around",
            Self::HiddenGoodWords => "ham text hidden in HTML",
            Self::SplitByTags => "HTML tags inside words",
            Self::Entities => "HTML entities",
            Self::Base64 => "base64 of the text",
            Self::Reversed => "reversed",
            Self::Mixed => "zero-width, look-alikes and shortener",
        }
    }

    /// Whether it takes ham texts to do it.
    pub fn stuffs(self) -> bool {
        matches!(self, Self::GoodWords | Self::GoodWordsAround | Self::HiddenGoodWords)
    }

    /// The text in this disguise; `ham` gives texts for those that take some.
    pub fn apply(self, text: &str, dice: &mut Dice, ham: &mut dyn FnMut(&mut Dice) -> String) -> String {
        match self {
            Self::ZeroWidth => inside_words(text, "\u{200b}", 100, dice),
            Self::Joiners => {
                let joiner = if dice.percent(50) { "\u{200c}" } else { "\u{2060}" };
                inside_words(text, joiner, 50, dice)
            }
            Self::SoftHyphen => inside_words(text, "\u{ad}", 100, dice),
            Self::CyrillicSome => look_alike(text, CYRILLIC, 30, dice),
            Self::CyrillicAll => look_alike(text, CYRILLIC, 100, dice),
            Self::Greek => look_alike(text, GREEK, 30, dice),
            Self::FullWidth => letters(text, |c| if c.is_ascii_alphanumeric() { shift(c, '!', '\u{ff01}') } else { c }),
            Self::MathBold => letters(text, |c| match c {
                'a'..='z' => shift(c, 'a', '\u{1d41a}'),
                'A'..='Z' => shift(c, 'A', '\u{1d400}'),
                _ => c,
            }),
            Self::Squared => letters(text, |c| match c.to_ascii_uppercase() {
                upper @ 'A'..='Z' => shift(upper, 'A', '\u{1f130}'),
                _ => c,
            }),
            Self::Underlined => {
                text.chars().flat_map(|c| [Some(c), c.is_alphabetic().then_some('\u{332}')]).flatten().collect()
            }
            Self::Leet => letters(text, leet),
            Self::Spaced => {
                words(text, |word, dice| if dice.percent(50) { spell(word, " ") } else { word.to_owned() }, dice)
            }
            Self::Dotted => {
                words(text, |word, dice| if dice.percent(50) { spell(word, ".") } else { word.to_owned() }, dice)
            }
            Self::Shortener => links(text, dice, |_, dice| format!("https://bit.ly/{}", token(dice))),
            Self::SpokenDot => links(text, dice, |host, _| host.replace('.', " dot ")),
            Self::EmojiWall => {
                let wall: String = (0..12).map(|_| WALL[dice.below(WALL.len())]).collect();
                format!(
                    "{wall} {} {wall}",
                    words(
                        text,
                        |word, dice| format!(
                            "{word}{}",
                            if dice.percent(30) { WALL[dice.below(WALL.len())] } else { "" }
                        ),
                        dice
                    )
                )
            }
            Self::Stretched => {
                let mut out = String::new();
                for c in text.chars() {
                    let times = if c.is_alphabetic() && dice.percent(40) { 2 + dice.below(3) } else { 1 };
                    out.extend(std::iter::repeat_n(c, times));
                }
                out
            }
            Self::GoodWords => format!("{text}\n{}", ham(dice)),
            Self::GoodWordsAround => format!("{}\n{text}\n{}\n{}", ham(dice), ham(dice), ham(dice)),
            Self::HiddenGoodWords => format!("<p>{text}</p><div style=\"display:none\">{}</div>", ham(dice)),
            Self::SplitByTags => inside_words(text, "<b></b>", 100, dice),
            Self::Entities => text
                .chars()
                .map(|c| if c.is_alphanumeric() { format!("&#{};", c as u32) } else { c.to_string() })
                .collect(),
            Self::Base64 => {
                use base64::Engine as _;
                base64::engine::general_purpose::STANDARD.encode(text)
            }
            Self::Reversed => format!("{} (read backwards)", text.chars().rev().collect::<String>()),
            Self::Mixed => {
                let text = Self::Shortener.apply(text, dice, ham);
                let text = look_alike(&text, CYRILLIC, 30, dice);
                inside_words(&text, "\u{200b}", 50, dice)
            }
        }
    }
}

const CYRILLIC: (&str, &str) = ("aceopxyijsABCEHKMOPTXSIJ", "асеорхуіјѕАВСЕНКМОРТХЅІЈ");
const GREEK: (&str, &str) = ("aeioptuvxABEZHIKMNOPTYX", "αειορτυνχΑΒΕΖΗΙΚΜΝΟΡΤΥΧ");
const WALL: [&str; 10] = ["🔥", "💰", "🎰", "✅", "🚀", "💎", "👉", "⭐", "😍", "🎁"];

fn shift(c: char, from: char, to: char) -> char {
    char::from_u32(c as u32 - from as u32 + to as u32).unwrap_or(c)
}

fn leet(c: char) -> char {
    match c.to_ascii_lowercase() {
        'a' => '4',
        'e' => '3',
        'i' => '1',
        'o' => '0',
        's' => '5',
        't' => '7',
        _ => c,
    }
}

/// Maps each character outside links: a link must still lead somewhere.
fn letters(text: &str, map: impl Fn(char) -> char) -> String {
    parts(text).map(|part| if is_link(part) { part.to_owned() } else { part.chars().map(&map).collect() }).collect()
}

fn look_alike(text: &str, (latin, other): (&str, &str), percent: usize, dice: &mut Dice) -> String {
    let swap = |c: char, dice: &mut Dice| {
        latin.find(c).filter(|_| dice.percent(percent)).and_then(|at| other.chars().nth(at)).unwrap_or(c)
    };
    let mut out = String::new();
    for part in parts(text) {
        if is_link(part) { out.push_str(part) } else { out.extend(part.chars().map(|c| swap(c, dice))) }
    }
    out
}

/// The text in words and the spaces between them.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split_inclusive(char::is_whitespace)
}

fn is_link(part: &str) -> bool {
    part.contains("://") || part.starts_with("www.")
}

fn words(text: &str, map: impl Fn(&str, &mut Dice) -> String, dice: &mut Dice) -> String {
    let mut out = String::new();
    for part in parts(text) {
        let word = part.trim_end();
        out.push_str(&if is_link(word) || word.is_empty() { word.to_owned() } else { map(word, dice) });
        out.push_str(&part[word.len()..]);
    }
    out
}

fn inside_words(text: &str, what: &str, percent: usize, dice: &mut Dice) -> String {
    words(
        text,
        |word, dice| {
            let letters: Vec<char> = word.chars().collect();
            if letters.len() < 3 || !dice.percent(percent) {
                return word.to_owned();
            }
            let at = 1 + dice.below(letters.len() - 1);
            letters[..at].iter().copied().chain(what.chars()).chain(letters[at..].iter().copied()).collect()
        },
        dice,
    )
}

fn spell(word: &str, by: &str) -> String {
    if word.chars().count() < 3 || !word.chars().all(char::is_alphabetic) {
        return word.to_owned();
    }
    word.chars().map(String::from).collect::<Vec<_>>().join(by)
}

fn links(text: &str, dice: &mut Dice, map: impl Fn(&str, &mut Dice) -> String) -> String {
    let mut out = String::new();
    for part in parts(text) {
        let word = part.trim_end();
        let bare = word.trim_matches(|c: char| "()[].,!?\"'".contains(c));
        let link = crate::text::links::Link::parse(bare)
            .filter(|link| is_link(bare) || crate::text::links::is_domain(&link.host));
        match link.filter(|_| bare.contains('.') && !bare.contains('@')) {
            Some(link) => out.push_str(&map(&link.host, dice)),
            None => out.push_str(word),
        }
        out.push_str(&part[word.len()..]);
    }
    out
}

fn token(dice: &mut Dice) -> String {
    const LETTERS: &[u8] = b"abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789";
    (0..7).map(|_| char::from(LETTERS[dice.below(LETTERS.len())])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_disguise_changes_the_text_or_adds_to_it() {
        let text = "Visit https://casino.example.com/win today for free money";
        let mut names = std::collections::BTreeSet::new();
        for attack in Attack::ALL {
            let mut dice = Dice::new(3);
            let out = attack.apply(text, &mut dice, &mut |_| "How do I reset my password?".to_owned());
            assert_ne!(out, text, "{attack:?}");
            assert!(names.insert(attack.name()));
            let again = attack.apply(text, &mut Dice::new(3), &mut |_| "How do I reset my password?".to_owned());
            assert_eq!(out, again);
        }
    }
}
