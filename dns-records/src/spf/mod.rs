//! SPF records (RFC 7208 §4.6, §5, §6), read into their terms, merged, and evaluated.

mod evaluate;
mod merge;

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::RecordError;

pub use evaluate::{Evaluation, LOOKUPS_MAX, Lookup, SpfQuery, SpfResult, evaluate, weigh};
pub use merge::merge;

/// What a match means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Qualifier {
    /// `+`, and where nothing is written.
    #[default]
    Pass,
    /// `-`.
    Fail,
    /// `~`.
    SoftFail,
    /// `?`.
    Neutral,
}

/// A `domain-spec`: a name, perhaps with macros (RFC 7208 §7). Kept as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainSpec(String);

impl DomainSpec {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DomainSpec {
    type Err = RecordError;
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let bad = || broken(format!("\"{}\" is no domain", text.chars().take(60).collect::<String>()));
        if text.is_empty() || !text.bytes().all(|octet| octet.is_ascii_graphic()) {
            return Err(bad());
        }
        let mut rest = text;
        while let Some(at) = rest.find('%') {
            rest = &rest[at + 1..];
            rest = match rest.as_bytes().first() {
                Some(b'%' | b'_' | b'-') => &rest[1..],
                Some(b'{') => rest.split_once('}').map(|(_, after)| after).ok_or_else(bad)?,
                _ => return Err(bad()),
            };
        }
        // Outside a macro a slash starts a prefix length, and this is where it has been cut off already.
        if !text.contains('{') && text.contains('/') {
            return Err(bad());
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a term matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mechanism {
    /// `all`.
    All,
    /// `include:`.
    Include(DomainSpec),
    /// `a`, with domain and prefix lengths where given.
    A(Option<DomainSpec>, Option<u8>, Option<u8>),
    /// `mx`, likewise.
    Mx(Option<DomainSpec>, Option<u8>, Option<u8>),
    /// `ptr`, which nobody should use (RFC 7208 §5.5).
    Ptr(Option<DomainSpec>),
    /// `ip4:`.
    Ip4(Ipv4Addr, Option<u8>),
    /// `ip6:`.
    Ip6(Ipv6Addr, Option<u8>),
    /// `exists:`.
    Exists(DomainSpec),
}

/// `name=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Modifier {
    /// `redirect=`.
    Redirect(DomainSpec),
    /// `exp=`.
    Explanation(DomainSpec),
    /// One that nobody here knows.
    Unknown(String, String),
}

/// One term.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpfTerm {
    /// A mechanism with its qualifier.
    Directive(Qualifier, Mechanism),
    /// A modifier.
    Modifier(Modifier),
}

/// An SPF record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpfRecord {
    /// The terms in order.
    pub terms: Vec<SpfTerm>,
}

impl SpfRecord {
    /// How many of RFC 7208 §4.6.4's ten look-ups the record itself takes, includes not followed.
    pub fn lookups(&self) -> usize {
        let asks = |term: &&SpfTerm| match term {
            SpfTerm::Directive(_, mechanism) => {
                !matches!(mechanism, Mechanism::All | Mechanism::Ip4(..) | Mechanism::Ip6(..))
            }
            SpfTerm::Modifier(modifier) => matches!(modifier, Modifier::Redirect(_)),
        };
        self.terms.iter().filter(asks).count()
    }
}

fn broken(problem: String) -> RecordError {
    RecordError::Broken { kind: "SPF", problem }
}

impl FromStr for SpfRecord {
    type Err = RecordError;
    fn from_str(text: &str) -> Result<Self, RecordError> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        match words.next() {
            Some(version) if version.eq_ignore_ascii_case("v=spf1") && text.len() >= 6 => {}
            _ => return Err(RecordError::OtherKind("SPF")),
        }
        let terms: Vec<SpfTerm> = words.map(term).collect::<Result<_, _>>()?;
        for name in ["redirect", "exp"] {
            let named = |term: &&SpfTerm| match term {
                SpfTerm::Modifier(Modifier::Redirect(_)) => name == "redirect",
                SpfTerm::Modifier(Modifier::Explanation(_)) => name == "exp",
                _ => false,
            };
            if terms.iter().filter(named).count() > 1 {
                return Err(broken(format!("{name}= stands twice")));
            }
        }
        Ok(Self { terms })
    }
}

fn term(word: &str) -> Result<SpfTerm, RecordError> {
    let name_end = word.find([':', '/', '=']).unwrap_or(word.len());
    if word[name_end..].starts_with('=') {
        let (name, value) = (&word[..name_end], &word[name_end + 1..]);
        return Ok(SpfTerm::Modifier(match name.to_ascii_lowercase().as_str() {
            "redirect" => Modifier::Redirect(value.parse()?),
            "exp" => Modifier::Explanation(value.parse()?),
            known if valid_name(known) => Modifier::Unknown(known.to_owned(), value.to_owned()),
            _ => return Err(broken(format!("\"{}\" is no modifier", shown(word)))),
        }));
    }
    let (qualifier, rest) = match word.as_bytes()[0] {
        b'+' => (Qualifier::Pass, &word[1..]),
        b'-' => (Qualifier::Fail, &word[1..]),
        b'~' => (Qualifier::SoftFail, &word[1..]),
        b'?' => (Qualifier::Neutral, &word[1..]),
        _ => (Qualifier::Pass, word),
    };
    Ok(SpfTerm::Directive(qualifier, mechanism(rest)?))
}

fn valid_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.'))
}

fn shown(word: &str) -> String {
    word.chars().take(60).collect()
}

fn mechanism(word: &str) -> Result<Mechanism, RecordError> {
    let bad = || broken(format!("\"{}\" is no mechanism", shown(word)));
    let end = word.find([':', '/']).unwrap_or(word.len());
    let (name, rest) = word.split_at(end);
    let argument = rest.strip_prefix(':');
    let name = name.to_ascii_lowercase();
    match name.as_str() {
        "all" if rest.is_empty() => Ok(Mechanism::All),
        "include" => Ok(Mechanism::Include(argument.ok_or_else(bad)?.parse()?)),
        "exists" => Ok(Mechanism::Exists(argument.ok_or_else(bad)?.parse()?)),
        "ptr" if rest.is_empty() => Ok(Mechanism::Ptr(None)),
        "ptr" => Ok(Mechanism::Ptr(Some(argument.ok_or_else(bad)?.parse()?))),
        "a" | "mx" => {
            let (domain, four, six) = domain_and_lengths(rest).ok_or_else(bad)?;
            let domain = domain.map(str::parse).transpose()?;
            Ok(if name == "a" { Mechanism::A(domain, four, six) } else { Mechanism::Mx(domain, four, six) })
        }
        "ip4" | "ip6" => {
            let argument = argument.ok_or_else(bad)?;
            let (address, length) = match argument.split_once('/') {
                Some((address, length)) => (address, Some(length)),
                None => (argument, None),
            };
            let limit = if name == "ip4" { 32 } else { 128 };
            let length = length.map(|text| prefix(text, limit).ok_or_else(bad)).transpose()?;
            if name == "ip4" {
                Ok(Mechanism::Ip4(address.parse().map_err(|_| bad())?, length))
            } else {
                Ok(Mechanism::Ip6(address.parse().map_err(|_| bad())?, length))
            }
        }
        _ => Err(bad()),
    }
}

fn prefix(text: &str, limit: u8) -> Option<u8> {
    let plain = text.bytes().all(|octet| octet.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|length| plain && *length <= limit)
}

/// `[:domain][/4][//6]`. A slash inside a macro is the macro's.
fn domain_and_lengths(rest: &str) -> Option<(Option<&str>, Option<u8>, Option<u8>)> {
    let after_macros = rest.rfind('}').map_or(0, |at| at + 1);
    let cut = rest[after_macros..].find('/').map_or(rest.len(), |at| after_macros + at);
    let (domain, lengths) = rest.split_at(cut);
    let domain = match domain {
        "" => None,
        text => Some(text.strip_prefix(':').filter(|name| !name.is_empty())?),
    };
    let (four, six) = match lengths.split_once("//") {
        Some((four, six)) => (four, Some(prefix(six, 128)?)),
        None => (lengths, None),
    };
    let four = match four {
        "" => None,
        text => Some(prefix(text.strip_prefix('/')?, 32)?),
    };
    Some((domain, four, six))
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pass => "",
            Self::Fail => "-",
            Self::SoftFail => "~",
            Self::Neutral => "?",
        })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = |f: &mut fmt::Formatter<'_>, slashes: &str, length: &Option<u8>| match length {
            Some(length) => write!(f, "{slashes}{length}"),
            None => Ok(()),
        };
        match self {
            Self::All => f.write_str("all"),
            Self::Include(domain) => write!(f, "include:{}", domain.0),
            Self::Exists(domain) => write!(f, "exists:{}", domain.0),
            Self::Ptr(None) => f.write_str("ptr"),
            Self::Ptr(Some(domain)) => write!(f, "ptr:{}", domain.0),
            Self::A(domain, four, six) | Self::Mx(domain, four, six) => {
                f.write_str(if matches!(self, Self::A(..)) { "a" } else { "mx" })?;
                if let Some(domain) = domain {
                    write!(f, ":{}", domain.0)?;
                }
                length(f, "/", four)?;
                length(f, "//", six)
            }
            Self::Ip4(address, prefix) => {
                write!(f, "ip4:{address}")?;
                length(f, "/", prefix)
            }
            Self::Ip6(address, prefix) => {
                write!(f, "ip6:{address}")?;
                length(f, "/", prefix)
            }
        }
    }
}

impl fmt::Display for SpfTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directive(qualifier, mechanism) => write!(f, "{qualifier}{mechanism}"),
            Self::Modifier(Modifier::Redirect(domain)) => write!(f, "redirect={}", domain.0),
            Self::Modifier(Modifier::Explanation(domain)) => write!(f, "exp={}", domain.0),
            Self::Modifier(Modifier::Unknown(name, value)) => write!(f, "{name}={value}"),
        }
    }
}

impl fmt::Display for SpfRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=spf1")?;
        self.terms.iter().try_for_each(|term| write!(f, " {term}"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn broken_claims_are_told_from_other_records() {
        for other in ["", "v=spf10 -all", "v=DKIM1; p=", "spf1 -all"] {
            assert_eq!(other.parse::<SpfRecord>(), Err(RecordError::OtherKind("SPF")), "{other}");
        }
        for bad in [
            "ip4:1.2.3",
            "ip4:1.2.3.4/33",
            "ip6:::/129",
            "include",
            "a:/24",
            "all:x",
            "foo",
            "mx/024",
            "-",
            "redirect=%x",
            "redirect=a redirect=b",
        ] {
            let text = format!("v=spf1 {bad}");
            assert!(matches!(text.parse::<SpfRecord>(), Err(RecordError::Broken { .. })), "{bad}");
        }
        let record: SpfRecord = "V=SPF1 +A:x.example/24//64 MX  include:%{d}.y.example ~all".parse().unwrap();
        assert_eq!(record.to_string(), "v=spf1 a:x.example/24//64 mx include:%{d}.y.example ~all");
        assert_eq!(record.lookups(), 3);
    }

    fn any_term() -> impl Strategy<Value = SpfTerm> {
        let domain = || "[a-z0-9_]{1,8}\\.example|%\\{[ids]r?/?\\}\\.[a-z]{1,5}|a%%b%_%-".prop_map(DomainSpec);
        let some = move || prop::option::of(domain());
        let four = || prop::option::of(0..=32_u8);
        let six = || prop::option::of(0..=128_u8);
        let mechanism = prop_oneof![
            Just(Mechanism::All),
            domain().prop_map(Mechanism::Include),
            domain().prop_map(Mechanism::Exists),
            some().prop_map(Mechanism::Ptr),
            (some(), four(), six()).prop_map(|(domain, four, six)| Mechanism::A(domain, four, six)),
            (some(), four(), six()).prop_map(|(domain, four, six)| Mechanism::Mx(domain, four, six)),
            (any::<Ipv4Addr>(), four()).prop_map(|(address, length)| Mechanism::Ip4(address, length)),
            (any::<Ipv6Addr>(), six()).prop_map(|(address, length)| Mechanism::Ip6(address, length)),
        ];
        let qualifier =
            prop::sample::select(vec![Qualifier::Pass, Qualifier::Fail, Qualifier::SoftFail, Qualifier::Neutral]);
        prop_oneof![
            8 => (qualifier, mechanism).prop_map(|(qualifier, mechanism)| SpfTerm::Directive(qualifier, mechanism)),
            1 => ("z[a-z]{0,4}", "[a-z0-9]{0,5}").prop_map(|(n, v)| SpfTerm::Modifier(Modifier::Unknown(n, v))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(terms in prop::collection::vec(any_term(), 0..8), to in prop::option::of("[a-z]{1,5}\\.example")) {
            let mut record = SpfRecord { terms };
            record.terms.extend(to.map(|to| SpfTerm::Modifier(Modifier::Redirect(DomainSpec(to)))));
            prop_assert_eq!(record.to_string().parse::<SpfRecord>().unwrap(), record);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(v=spf1 )?([-+~?]?(a|mx|ip4|ip6|ptr|all)?[:/=%{}]{0,2}\\PC{0,6} ){0,6}") {
            let _ = text.parse::<SpfRecord>();
        }
    }
}
