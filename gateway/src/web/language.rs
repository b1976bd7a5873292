//! The languages of the pages, and the tables of words.
//!
//! A table is a struct with a field for each text, made by `words!` with both languages on one line: a text that is
//! missing in one of them does not compile. Message files (Fluent, gettext) would find that out at run time.

use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};

use super::cookie;

/// The name of the cookie that remembers a choice of language.
pub const LANGUAGE_COOKIE: &str = "waxseal-language";

/// A language of the pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Japanese.
    Ja,
}

impl Language {
    /// `en`, `ja`: for the `lang` attribute.
    pub fn code(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Ja => "ja",
        }
    }

    /// The language of this code.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "en" => Some(Self::En),
            "ja" => Some(Self::Ja),
            _ => None,
        }
    }

    /// What a request wants: the cookie, else the best of `Accept-Language` (RFC 9110 §12.5.4), else English.
    pub fn of(headers: &HeaderMap) -> Self {
        let chosen = cookie::read(headers, LANGUAGE_COOKIE).and_then(|code| Self::from_code(&code));
        chosen.or_else(|| accepted(headers)).unwrap_or_default()
    }

    /// The text of the two.
    pub fn pick<T>(self, english: T, japanese: T) -> T {
        match self {
            Self::En => english,
            Self::Ja => japanese,
        }
    }
}

fn accepted(headers: &HeaderMap) -> Option<Language> {
    let wanted = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
    let mut best: Option<(f32, Language)> = None;
    for item in wanted.split(',').take(20) {
        let (range, weight) = item.split_once(';').unwrap_or((item, ""));
        let primary = range.trim().split('-').next().unwrap_or_default().to_ascii_lowercase();
        let weight = weight.trim().strip_prefix("q=").and_then(|q| q.parse().ok()).unwrap_or(1.0);
        if let Some(language) = Language::from_code(&primary)
            && weight > best.map_or(0.0, |(best, _)| best)
        {
            best = Some((weight, language));
        }
    }
    best.map(|(_, language)| language)
}

/// Puts values into the places of a text: `{}` in their order.
pub fn fill(text: &str, values: &[&dyn std::fmt::Display]) -> String {
    let mut values = values.iter();
    let mut pieces = text.split("{}");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        if let Some(value) = values.next() {
            out += &value.to_string();
        }
        out += piece;
    }
    out
}

/// Makes a table of words: `words! { /// Doc. Name { key: "English" | "日本語", … } }`; `Name::of(language)` is the table.
#[macro_export]
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $english:literal | $japanese:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Debug)]
        #[allow(missing_docs)] // the texts are the documentation
        pub struct $name { $(pub $key: &'static str,)+ }

        impl $name {
            /// The texts in this language.
            pub fn of(language: $crate::web::language::Language) -> &'static Self {
                static ENGLISH: $name = $name { $($key: $english,)+ };
                static JAPANESE: $name = $name { $($key: $japanese,)+ };
                language.pick(&ENGLISH, &JAPANESE)
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_accepted_language_counts_and_a_choice_counts_more() {
        let wants = |accept: &str, cookie: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_LANGUAGE, accept.parse().unwrap());
            headers.insert(header::COOKIE, cookie.parse().unwrap());
            Language::of(&headers)
        };
        assert_eq!(wants("fr, ja-JP;q=0.8, en;q=0.5", ""), Language::Ja);
        assert_eq!(wants("en-GB,en;q=0.9,ja;q=0.3", ""), Language::En);
        assert_eq!(wants("de", ""), Language::En);
        assert_eq!(wants("ja", "waxseal-language=en"), Language::En);
        assert_eq!(wants("ja", "waxseal-language=\"><script>"), Language::Ja);
        assert_eq!(fill("{} of {}", &[&1, &"two"]), "1 of two");
    }
}
