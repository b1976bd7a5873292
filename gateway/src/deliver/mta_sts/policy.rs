//! The two texts of MTA-STS (RFC 8461 §3): the TXT record that names a policy, and the policy.
//!
//! Refuses whatever the grammar refuses; of what it does not know it takes no notice (§3.1, §3.2: extensions).
//! Host names are compared in A-labels.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::message::DomainName;

/// The longest policy that is read; RFC 8461 §3.3 leaves the limit to us and suggests 64 KB.
pub const MAX_POLICY: usize = 64 * 1024;
/// `max_age` may be about a year (RFC 8461 §3.2).
const MAX_AGE: u64 = 31_557_600;
/// More patterns than any domain has hosts; a longer list is an attack on our memory.
const MAX_PATTERNS: usize = 1_000;

/// What a domain wants (RFC 8461 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// No mail to hosts that the policy does not name or that do not prove their name.
    Enforce,
    /// Mail as without the policy; failures are reported.
    Testing,
    /// As if there were no policy.
    None,
}

impl Mode {
    /// The word in the policy.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Enforce => "enforce",
            Self::Testing => "testing",
            Self::None => "none",
        }
    }
}

/// One `mx` of a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MxPattern {
    /// This host.
    Host(DomainName),
    /// `*.example.com`: exactly one label in front (RFC 8461 §4.1).
    OneBelow(DomainName),
}

impl MxPattern {
    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("*.") {
            Some(parent) => parent.parse().ok().map(Self::OneBelow),
            None => text.parse().ok().map(Self::Host),
        }
    }

    fn matches(&self, host: &DomainName) -> bool {
        match self {
            Self::Host(name) => name == host,
            Self::OneBelow(parent) => host.as_str().split_once('.').is_some_and(|(_, rest)| rest == parent.as_str()),
        }
    }
}

impl std::fmt::Display for MxPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host(name) => name.fmt(f),
            Self::OneBelow(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// A policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// What the domain wants.
    pub mode: Mode,
    /// How long the policy holds from when it was fetched.
    pub max_age: Duration,
    /// The hosts that may take its mail; empty only in mode `none`.
    pub mx: Vec<MxPattern>,
}

/// Why a text is no policy or names none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// No `version: STSv1`.
    #[error("the policy has no \"version: STSv1\"")]
    Version,
    /// No `mode`, or one of another name.
    #[error("the policy has no mode enforce, testing or none")]
    Mode,
    /// No `max_age`, or no number up to a year of seconds.
    #[error("the policy has no max_age between 0 and 31557600")]
    MaxAge,
    /// No `mx` although the mode needs one.
    #[error("the policy names no mx")]
    NoMx,
    /// An `mx` that is neither a host name nor `*.` and one.
    #[error("the policy's mx \"{0}\" is no host name")]
    BadMx(String),
    /// A line that is not `name: value`.
    #[error("the policy's line \"{0}\" is not \"name: value\"")]
    Line(String),
    /// Over [`MAX_POLICY`], or not UTF-8.
    #[error("the policy is not text of at most 64 KB")]
    NotText,
    /// The TXT records name no single policy.
    #[error("the TXT record does not name a policy: {0}")]
    Record(&'static str),
}

impl Policy {
    /// Reads a policy; lines end in LF or CRLF. The first of several fields of a name counts, but for `mx`.
    pub fn parse(octets: &[u8]) -> Result<Self, PolicyError> {
        if octets.len() > MAX_POLICY {
            return Err(PolicyError::NotText);
        }
        let text = std::str::from_utf8(octets).map_err(|_| PolicyError::NotText)?;
        let (mut version, mut mode, mut max_age, mut mx) = (None, None, None, Vec::new());
        for line in text.split('\n') {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.trim_matches([' ', '\t']).is_empty() {
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| PolicyError::Line(start(line)))?;
            let value = value.trim_matches([' ', '\t']);
            match name {
                "version" => _ = version.get_or_insert(value),
                "mode" => _ = mode.get_or_insert(value),
                "max_age" => _ = max_age.get_or_insert(value),
                "mx" if mx.len() < MAX_PATTERNS => {
                    mx.push(MxPattern::parse(value).ok_or_else(|| PolicyError::BadMx(start(value)))?);
                }
                "mx" => return Err(PolicyError::NotText),
                _ => {}
            }
        }
        if version != Some("STSv1") {
            return Err(PolicyError::Version);
        }
        let mode = match mode {
            Some("enforce") => Mode::Enforce,
            Some("testing") => Mode::Testing,
            Some("none") => Mode::None,
            _ => return Err(PolicyError::Mode),
        };
        let digits = |text: &&str| (1..=10).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        let seconds = max_age.filter(digits).and_then(|text| text.parse().ok()).filter(|age| *age <= MAX_AGE);
        let max_age = Duration::from_secs(seconds.ok_or(PolicyError::MaxAge)?);
        if mx.is_empty() && mode != Mode::None {
            return Err(PolicyError::NoMx);
        }
        Ok(Self { mode, max_age, mx })
    }

    /// May this host take the domain's mail?
    pub fn allows(&self, host: &DomainName) -> bool {
        self.mx.iter().any(|pattern| pattern.matches(host))
    }

    /// The policy's lines as TLS-RPT quotes them (RFC 8460 §4.4, `policy-string`).
    pub fn lines(&self) -> Vec<String> {
        let head = ["version: STSv1".to_owned(), format!("mode: {}", self.mode.word())];
        let mx = self.mx.iter().map(|pattern| format!("mx: {pattern}"));
        head.into_iter().chain(mx).chain([format!("max_age: {}", self.max_age.as_secs())]).collect()
    }
}

/// The id that the TXT records of `_mta-sts.<domain>` give (RFC 8461 §3.1); `None` if none of them is of MTA-STS.
/// With more than one there is no policy.
pub fn read_record(texts: &[String]) -> Result<Option<String>, PolicyError> {
    let ours = |text: &&String| {
        text.strip_prefix("v=STSv1").is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
    };
    let mut records = texts.iter().filter(ours);
    let Some(record) = records.next() else { return Ok(None) };
    if records.next().is_some() {
        return Err(PolicyError::Record("there is more than one"));
    }
    let mut id = None;
    for field in record.split(';').skip(1) {
        let field = field.trim_matches([' ', '\t']);
        if let Some(value) = field.strip_prefix("id=") {
            let good = (1..=32).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric());
            let value =
                good.then(|| value.to_owned()).ok_or(PolicyError::Record("its id is no 1 to 32 letters or digits"))?;
            id.get_or_insert(value);
        }
    }
    id.map(Some).ok_or(PolicyError::Record("it has no id"))
}

fn start(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
