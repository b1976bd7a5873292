//! Rules of a tenant: words, links and addresses that stop a post whatever the filter says.
//!
//! Words match with borders ("doc" is not in "document"), except beside scripts that are written without spaces. A
//! rule is made in shadow, where it only counts; it is tried against the last 1,000 posts before it bites.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;
use utoipa::ToSchema;

use super::PostError;
use super::links::Link;
use crate::clock::Timestamp;

/// How many posts a rule is tried on.
pub const TRIAL: usize = 1000;
/// The most rules of a tenant.
pub const MAX_RULES: usize = 2000;
const MAX_PATTERN: usize = 200;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// Words of title and text.
    Word,
    /// The host of a link, its subdomains too, and the beginning of its path if one is given.
    Link,
    /// The author's mail address, `@domain`, IP address or network.
    Address,
}

/// What happens to a post that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// A person decides.
    Hold,
    /// It is spam.
    Spam,
}

/// Does it bite?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleMode {
    /// It only counts what it would have done.
    Shadow,
    /// It bites.
    Enforced,
}

/// A rule as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NewRule {
    /// What it looks at.
    pub field: Field,
    /// What it looks for.
    pub pattern: String,
    /// What happens.
    pub effect: Effect,
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its number in the tenant.
    pub number: u64,
    /// What it is.
    pub rule: NewRule,
    /// Does it bite?
    pub mode: RuleMode,
    /// Who made it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// How often it matched since.
    pub hits: u64,
}

/// What rules look at.
pub struct Subject<'s> {
    /// [`normalise`]d title and text.
    pub text: &'s str,
    /// The links.
    pub links: &'s [Link],
    /// The author's mail address.
    pub email: Option<&'s str>,
    /// The author's IP address.
    pub ip: Option<IpAddr>,
}

/// Compatibility forms folded, lower case, no characters that are not seen.
pub fn normalise(text: &str) -> String {
    let hidden = |c: &char| matches!(*c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{feff}');
    text.nfkc().filter(|c| !hidden(c)).flat_map(char::to_lowercase).collect()
}

impl NewRule {
    /// Checks the pattern.
    pub fn check(mut self) -> Result<Self, PostError> {
        self.pattern = self.pattern.trim().to_owned();
        if self.pattern.is_empty() || self.pattern.chars().count() > MAX_PATTERN {
            return Err(PostError::invalid(format!("a pattern has 1 to {MAX_PATTERN} characters")));
        }
        if self.field != Field::Address {
            self.pattern = normalise(&self.pattern);
        }
        if self.field == Field::Link {
            let bare = self.pattern.trim_start_matches("https://").trim_start_matches("http://");
            self.pattern = bare.trim_start_matches("*.").trim_end_matches('/').to_owned();
            if !self.pattern.contains('.') || self.pattern.contains(char::is_whitespace) {
                return Err(PostError::invalid("a link's pattern is a domain, as in \"casino.example\""));
            }
        }
        if self.field == Field::Address
            && !self.pattern.contains('@')
            && self.pattern.parse::<IpNet>().is_err()
            && self.pattern.parse::<IpAddr>().is_err()
        {
            return Err(PostError::invalid(
                "an address is a mail address, \"@domain\", an IP address or a network such as 192.0.2.0/24",
            ));
        }
        Ok(self)
    }

    /// Does it match?
    pub fn matches(&self, subject: &Subject<'_>) -> bool {
        match self.field {
            Field::Word => has_word(subject.text, &self.pattern),
            Field::Link => subject.links.iter().any(|link| self.matches_link(link)),
            Field::Address => self.matches_address(subject.email, subject.ip),
        }
    }

    fn matches_link(&self, link: &Link) -> bool {
        let (host, path) = self.pattern.split_once('/').unwrap_or((&self.pattern, ""));
        let below = link.host.strip_suffix(host);
        below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
            && link.path.trim_start_matches('/').to_lowercase().starts_with(path)
    }

    fn matches_address(&self, email: Option<&str>, ip: Option<IpAddr>) -> bool {
        let pattern = self.pattern.to_lowercase();
        if let Some(domain) = pattern.strip_prefix('@') {
            return email.is_some_and(|email| {
                let host = email.rsplit('@').next().unwrap_or_default().to_lowercase();
                host.strip_suffix(domain).is_some_and(|below| below.is_empty() || below.ends_with('.'))
            });
        }
        if pattern.contains('@') {
            return email.is_some_and(|email| email.to_lowercase() == pattern);
        }
        let network = pattern.parse::<IpNet>().or_else(|_| pattern.parse::<IpAddr>().map(IpNet::from));
        network.is_ok_and(|network| ip.is_some_and(|ip| network.contains(&ip)))
    }

    /// The rule in words.
    pub fn name(&self) -> String {
        let field = match self.field {
            Field::Word => "word",
            Field::Link => "link",
            Field::Address => "address",
        };
        format!("{field} \"{}\"", self.pattern)
    }
}

/// Is the pattern in the text with a border on both sides?
fn has_word(text: &str, pattern: &str) -> bool {
    text.match_indices(pattern).any(|(at, found)| {
        let end = at + found.len();
        let border = |inside: Option<char>, outside: Option<char>| match (inside, outside) {
            (Some(inside), Some(outside)) => !(joins(inside) && joins(outside)),
            _ => true,
        };
        border(found.chars().next(), text[..at].chars().next_back())
            && border(found.chars().next_back(), text[end..].chars().next())
    })
}

/// Letters and digits join to words; those of scripts without spaces stand for themselves.
fn joins(c: char) -> bool {
    let without_spaces = matches!(u32::from(c), 0x0e00..=0x0eff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x3040..=0x30ff
        | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff);
    c.is_alphanumeric() && !without_spaces
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(field: Field, pattern: &str) -> NewRule {
        NewRule { field, pattern: pattern.into(), effect: Effect::Hold }.check().unwrap()
    }

    fn word(pattern: &str, text: &str) -> bool {
        let text = normalise(text);
        rule(Field::Word, pattern).matches(&Subject { text: &text, links: &[], email: None, ip: None })
    }

    #[test]
    fn words_have_borders_where_their_script_has() {
        assert!(!word("doc", "the document is here"));
        assert!(word("doc", "see the DOC."));
        assert!(word("cheap watches", "buy ＣＨＥＡＰ watch\u{200b}es!"));
        assert!(word("無料", "今なら無料プレゼント"));
        assert!(!word("spa", "spam"));
        assert!(word("c++", "i like c++"));
    }

    #[test]
    fn links_match_by_host_and_path() {
        let links = super::super::links::links("see https://shop.Casino.example/win/now and notcasino.example");
        let matches = |pattern: &str| {
            rule(Field::Link, pattern).matches(&Subject { text: "", links: &links, email: None, ip: None })
        };
        assert!(matches("casino.example") && matches("https://casino.example/win") && matches("*.casino.example"));
        assert!(!matches("casino.example/lose") && !matches("sino.example"));
        assert!(NewRule { field: Field::Link, pattern: "casino".into(), effect: Effect::Spam }.check().is_err());
    }

    #[test]
    fn addresses_match_mail_domain_machine_and_network() {
        let matches = |pattern: &str| {
            let ip = Some("192.0.2.9".parse().unwrap());
            let subject = Subject { text: "", links: &[], email: Some("Bob@Mail.example"), ip };
            rule(Field::Address, pattern).matches(&subject)
        };
        assert!(matches("bob@mail.example") && matches("@mail.example") && matches("@example"));
        assert!(matches("192.0.2.9") && matches("192.0.2.0/24"));
        assert!(!matches("@ail.example") && !matches("192.0.3.0/24") && !matches("ob@mail.example"));
        assert!(NewRule { field: Field::Address, pattern: "bob".into(), effect: Effect::Spam }.check().is_err());
    }
}
