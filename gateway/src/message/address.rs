//! Domain names and mailboxes as the envelope has them.
//!
//! A [`DomainName`] is always in A-labels and lower case, so that comparing, looking up, SNI and policies never
//! meet a second spelling. Address literals (`[192.0.2.1]`) are refused: a gateway for tenants' notifications
//! has no use for them, and they walk around MX, MTA-STS and DANE.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Why a text is not an address; the sender's mistake, never worth a retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or nothing on one side of it.
    #[error("\"{0}\" is not an address: it needs a local part, \"@\" and a domain")]
    Shape(String),
    /// The local part breaks RFC 5321 §4.1.2 (or RFC 6531 §3.3).
    #[error("local part \"{0}\" is not valid")]
    LocalPart(String),
    /// The domain is not a host name, or IDNA (RFC 5891) refuses it.
    #[error("\"{0}\" is not a valid domain name")]
    Domain(String),
    /// `user@[192.0.2.1]`.
    #[error("address literals are not served here: use a domain name instead of \"{0}\"")]
    Literal(String),
}

/// A host or mail domain: A-labels, lower case, no trailing dot, at most 253 octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(Box<str>);

impl DomainName {
    /// The name in A-labels.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as people read it; A-labels that do not decode stay as they are.
    pub fn to_unicode(&self) -> String {
        idna::domain_to_unicode(&self.0).0
    }

    /// Is `self` the same as `parent` or below it?
    pub fn is_within(&self, parent: &Self) -> bool {
        self.0.strip_suffix(&*parent.0).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl FromStr for DomainName {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let bad = || AddressError::Domain(text.chars().take(80).collect());
        let trimmed = text.strip_suffix('.').unwrap_or(text);
        let ascii = if trimmed.is_ascii() {
            trimmed.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(trimmed).map_err(|_| bad())?
        };
        let label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if ascii.is_empty() || ascii.len() > 253 || !ascii.split('.').all(label) {
            return Err(bad());
        }
        Ok(Self(ascii.into_boxed_str()))
    }
}

impl TryFrom<String> for DomainName {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `local-part@domain`. The local part is kept as it was written (quotes included), since only its own domain
/// may interpret it (RFC 5321 §2.3.11).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mailbox {
    local: Box<str>,
    domain: DomainName,
}

impl Mailbox {
    /// Puts a mailbox together; the local part must be a dot-string or a quoted string, at most 64 octets.
    pub fn new(local: &str, domain: DomainName) -> Result<Self, AddressError> {
        if valid_local_part(local) {
            Ok(Self { local: local.into(), domain })
        } else {
            Err(AddressError::LocalPart(local.chars().take(80).collect()))
        }
    }

    /// The local part as written.
    pub fn local_part(&self) -> &str {
        &self.local
    }

    /// The domain.
    pub fn domain(&self) -> &DomainName {
        &self.domain
    }

    /// Does the address need SMTPUTF8 (RFC 6531)? The domain never does, being in A-labels.
    pub fn needs_smtputf8(&self) -> bool {
        !self.local.is_ascii()
    }
}

/// RFC 5321 §4.1.2 `Dot-string` or `Quoted-string`, with RFC 6531 §3.3's UTF-8; no control characters, so that
/// an address can never carry a line end into a command.
fn valid_local_part(local: &str) -> bool {
    if local.is_empty() || local.len() > 64 || local.chars().any(char::is_control) {
        return false;
    }
    if let Some(inner) = local.strip_prefix('"') {
        let Some(inner) = inner.strip_suffix('"') else { return false };
        let mut chars = inner.chars();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.next().is_none() => return false,
                '"' => return false,
                _ => {}
            }
        }
        return true;
    }
    let atext = |c: char| c.is_ascii_alphanumeric() || !c.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(c);
    local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext))
}

impl FromStr for Mailbox {
    type Err = AddressError;
    fn from_str(text: &str) -> Result<Self, AddressError> {
        let shape = || AddressError::Shape(text.chars().take(80).collect());
        let (local, domain) = text.rsplit_once('@').ok_or_else(shape)?;
        if local.is_empty() || domain.is_empty() {
            return Err(shape());
        }
        if domain.starts_with('[') {
            return Err(AddressError::Literal(domain.chars().take(80).collect()));
        }
        Self::new(local, domain.parse()?)
    }
}

impl TryFrom<String> for Mailbox {
    type Error = AddressError;
    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Mailbox> for String {
    fn from(mailbox: Mailbox) -> Self {
        mailbox.to_string()
    }
}

impl fmt::Display for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `MAIL FROM`: a mailbox, or `<>` for notices, which are never answered with a notice (RFC 5321 §4.5.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReversePath {
    /// `<>`.
    Null,
    /// An address that notices go to.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// The mailbox, unless it is the null path.
    pub fn mailbox(&self) -> Option<&Mailbox> {
        match self {
            Self::Null => None,
            Self::Mailbox(mailbox) => Some(mailbox),
        }
    }
}

impl fmt::Display for ReversePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("<>"),
            Self::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_domain_has_one_spelling() {
        let name: DomainName = "Bücher.Example.".parse().unwrap();
        assert_eq!(name.as_str(), "xn--bcher-kva.example");
        assert_eq!(name.to_unicode(), "bücher.example");
        for bad in ["", ".", "a..b", "-a.example", "a b.example", "exa\r\nmple.com", &"a".repeat(64)] {
            assert!(bad.parse::<DomainName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn within_means_the_same_or_below() {
        let parent: DomainName = "example.com".parse().unwrap();
        for (name, expected) in [("example.com", true), ("a.example.com", true), ("notexample.com", false)] {
            assert_eq!(name.parse::<DomainName>().unwrap().is_within(&parent), expected, "{name}");
        }
    }

    #[test]
    fn mailboxes_keep_their_local_part_and_refuse_line_ends() {
        for good in ["a@b.example", "\"a b\"@c.example", "o'brien+tag@x.example", "用户@例子.example"] {
            let mailbox: Mailbox = good.parse().unwrap();
            assert_eq!(mailbox.to_string().parse::<Mailbox>().unwrap(), mailbox);
        }
        for bad in ["a", "@b", "a@", "a..b@c", "a\r\nRCPT@c", "\"a@c", "\"a\"b\"@c", "a@[192.0.2.1]", "a b@c"] {
            assert!(bad.parse::<Mailbox>().is_err(), "{bad:?}");
        }
    }
}
