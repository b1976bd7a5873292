//! What a person's password may be.
//!
//! The rules of ASVS 5.0 §6.2: at least twelve characters, any characters, pasted or typed, no composition rules, no
//! expiry; not one of the passwords that everybody tries, and not made of the person's own address. Instead of a list of
//! breached passwords (the first three thousand hold few of twelve characters), the pieces that such passwords are made
//! of are taken out, and what is left must be enough: that refuses `Password2026!!` and `qwertyuiop1234` alike.
//!
//! Levels like those that help-center platforms had are there for tenants who must keep them.

use serde::{Deserialize, Serialize};

use crate::web::language::{Language, fill};
use crate::words;

/// A password over this is refused: hashing one of a megabyte would be work for nothing.
const LONGEST: usize = 256;
/// What must be left after the usual pieces; a digit counts half.
const OWN_PIECES: usize = 10;

/// Which rules are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PasswordRules {
    /// ASVS 5.0.
    #[default]
    Asvs,
    /// Five characters.
    Low,
    /// Six, letters and digits.
    Medium,
    /// Six, small and capital letters, digits, others; ends after 90 days; none of the last five.
    High,
}

/// What is wrong with a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weakness {
    /// Fewer characters than this.
    Short(usize),
    /// More than [`LONGEST`].
    Long,
    /// Made of pieces that everybody tries, or of the address.
    Common,
    /// Like the address.
    Address,
    /// Kinds of characters are missing (legacy levels).
    Kinds,
    /// One of the last five (legacy level).
    Earlier,
}

words! {
    /// Texts about passwords.
    RuleWords {
        asvs: "At least 12 characters of any kind; a few words that belong together only for you are best. No rules about digits or signs, and no expiry." | "12文字以上。文字の種類は問いません。自分だけが知る組み合わせの単語をいくつか並べるのがおすすめです。記号や数字の強制も有効期限もありません。",
        low: "At least 5 characters, and not your address." | "5文字以上。メールアドレスと同じものは使えません。",
        medium: "At least 6 characters with letters and digits, and not your address." | "英字と数字を含む6文字以上。メールアドレスと同じものは使えません。",
        high: "At least 6 characters with small and capital letters, digits and others. It ends after 90 days." | "大文字・小文字・数字・記号を含む6文字以上。90日で期限切れになります。",
        short: "The password has fewer than {} characters." | "パスワードが{}文字より短いです。",
        long: "The password has more than {} characters." | "パスワードが{}文字を超えています。",
        common: "This password is made of words and sequences that attackers try first, or of your address. Take other words." | "このパスワードは、攻撃者が最初に試す単語や並び、またはメールアドレスからできています。別の言葉にしてください。",
        address: "The password is like your address." | "パスワードがメールアドレスに似ています。",
        kinds: "The password lacks a kind of characters that the rule asks for." | "規則で求められる種類の文字が含まれていません。",
        earlier: "This was one of your last five passwords." | "直近5回のパスワードと同じものは使えません。",
    }
}

impl Weakness {
    /// What to tell the person.
    pub fn text(self, language: Language) -> String {
        let words = RuleWords::of(language);
        match self {
            Self::Short(least) => fill(words.short, &[&least]),
            Self::Long => fill(words.long, &[&LONGEST]),
            Self::Common => words.common.to_owned(),
            Self::Address => words.address.to_owned(),
            Self::Kinds => words.kinds.to_owned(),
            Self::Earlier => words.earlier.to_owned(),
        }
    }
}

impl PasswordRules {
    /// The rules in words.
    pub fn text(self, language: Language) -> &'static str {
        let words = RuleWords::of(language);
        match self {
            Self::Asvs => words.asvs,
            Self::Low => words.low,
            Self::Medium => words.medium,
            Self::High => words.high,
        }
    }

    /// How many days a password lives.
    pub fn days(self) -> Option<u64> {
        (self == Self::High).then_some(90)
    }

    /// How many earlier passwords are refused.
    pub fn earlier(self) -> usize {
        if self == Self::High { 5 } else { 0 }
    }

    /// Is this password good enough for the person with this address?
    pub fn check(self, password: &str, email: &str) -> Result<(), Weakness> {
        let length = password.chars().count();
        let least = match self {
            Self::Asvs => 12,
            Self::Low => 5,
            Self::Medium | Self::High => 6,
        };
        if length < least {
            return Err(Weakness::Short(least));
        }
        if length > LONGEST {
            return Err(Weakness::Long);
        }
        let any = |kind: fn(char) -> bool| password.chars().any(kind);
        let (letter, digit) = (any(char::is_alphabetic), any(char::is_numeric));
        match self {
            Self::Asvs if own_pieces(password, email) < OWN_PIECES => Err(Weakness::Common),
            Self::Low | Self::Medium | Self::High if like_address(password, email) => Err(Weakness::Address),
            Self::Medium if !(letter && digit) => Err(Weakness::Kinds),
            Self::High
                if !(any(char::is_uppercase) && any(char::is_lowercase) && digit && any(|c| !c.is_alphanumeric())) =>
            {
                Err(Weakness::Kinds)
            }
            _ => Ok(()),
        }
    }
}

fn like_address(password: &str, email: &str) -> bool {
    let (password, email) = (password.to_lowercase(), email.to_lowercase());
    password == email || email.split('@').next() == Some(password.as_str())
}

/// The pieces that the passwords of every breach are made of, in lower case.
static COMMON: &str = include_str!("common.txt");
const ROWS: [&str; 6] =
    ["1234567890", "qwertyuiop", "asdfghjkl", "zxcvbnm", "abcdefghijklmnopqrstuvwxyz", "1qaz2wsx3edc4rfv5tgb6yhn"];

/// How much of a password is the person's own, in half characters: what is left when common words, keyboard rows,
/// sequences, years and repetitions are taken out.
fn own_pieces(password: &str, email: &str) -> usize {
    let plain: Vec<char> = password.to_lowercase().chars().collect();
    let unmasked: Vec<char> = plain.iter().map(|c| unmask(*c)).collect();
    let email = email.to_lowercase();
    let mut words: Vec<Vec<char>> = COMMON.lines().map(|word| word.chars().collect()).collect();
    words.extend(
        email.split(['@', '.', '-', '_', '+']).filter(|part| part.len() >= 3).map(|part| part.chars().collect()),
    );
    let mut own = 0;
    let mut at = 0;
    while at < plain.len() {
        let word = words.iter().filter(|word| plain[at..].starts_with(word) || unmasked[at..].starts_with(word));
        let word = word.map(Vec::len).max().unwrap_or(0);
        let skip = word.max(sequence(&plain[at..])).max(year(&plain[at..]));
        if skip > 0 {
            at += skip;
            continue;
        }
        let repeated = at > 0 && plain[at] == plain[at - 1];
        own += match plain[at] {
            _ if repeated => 0,
            c if c.is_ascii_digit() || c.is_ascii_punctuation() || c == ' ' => 1,
            // A Han character is one of thousands.
            c if c >= '\u{3400}' => 4,
            _ => 2,
        };
        at += 1;
    }
    // The same twice is no more than once.
    let half = plain.len() / 2;
    if plain.len().is_multiple_of(2) && plain[..half] == plain[half..] { own / 2 } else { own }
}

fn unmask(c: char) -> char {
    match c {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    }
}

/// How many characters from the start on are a piece of a row, either way; under three: none.
fn sequence(text: &[char]) -> usize {
    let longest = |row: Vec<char>| {
        (0..row.len()).map(|from| text.iter().zip(&row[from..]).take_while(|(a, b)| a == b).count()).max().unwrap_or(0)
    };
    let both = ROWS.iter().flat_map(|row| [row.chars().collect::<Vec<_>>(), row.chars().rev().collect()]);
    let found = both.map(longest).max().unwrap_or(0);
    if found >= 3 { found } else { 0 }
}

fn year(text: &[char]) -> usize {
    let four: String = text.iter().take(4).collect();
    usize::from(matches!(four.parse::<u16>(), Ok(1930..=2039)) && four.len() == 4) * 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_everybody_tries_is_refused_and_words_of_ones_own_are_not() {
        let check = |password: &str| PasswordRules::Asvs.check(password, "anna.berg@bakery.example");
        for weak in [
            "password1234",
            "Password2026!!",
            "P@ssw0rdP@ssw0rd",
            "qwertyuiop12",
            "123456789012",
            "aaaaaaaaaaaa",
            "iloveyou1234",
            "letmeinletmein",
            "abcdefghijkl",
            "1qaz2wsx3edc",
            "Summer2026!!!",
            "anna.berg2026",
            "bakery-anna-1",
            "welcome12345",
            "AdminAdmin123",
            "trustno1trustno1",
            "changeme12345",
        ] {
            assert_eq!(check(weak), Err(Weakness::Common), "{weak}");
        }
        for good in [
            "three wet herons",
            "kettle under rain",
            "Xq7#vLp2mZ9t",
            "829417503628",
            "青い自転車で海へ行こう今日",
            "purple-otter-violin",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check("short"), Err(Weakness::Short(12)));
        assert_eq!(check(&"ab cd ef ".repeat(40)), Err(Weakness::Long));
    }

    #[test]
    fn the_legacy_levels_ask_for_kinds_of_characters() {
        let check = |rules: PasswordRules, password: &str| rules.check(password, "anna@example.com");
        assert_eq!(check(PasswordRules::Low, "abcde"), Ok(()));
        assert_eq!(check(PasswordRules::Low, "Anna@Example.com"), Err(Weakness::Address));
        assert_eq!(check(PasswordRules::Medium, "abcdef"), Err(Weakness::Kinds));
        assert_eq!(check(PasswordRules::Medium, "abcde1"), Ok(()));
        assert_eq!(check(PasswordRules::High, "Abcde1"), Err(Weakness::Kinds));
        assert_eq!(check(PasswordRules::High, "Abcd1!"), Ok(()));
    }
}
