//! What DNS servers said, as values: who was asked, for what, and how the answer came out.
//!
//! Promises: NXDOMAIN, no data, SERVFAIL, refusal, time-out and failed validation stay apart, for each asks for
//! another remedy and only the first two say that a record is missing. All of it reads back from JSON, so that a
//! check can be replayed from a fixture.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use crate::records::RecordType;

/// Where an answer was seen.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vantage {
    /// What kind of server it is.
    pub kind: VantageKind,
    /// The server's name as the zone's NS record has it; empty for a resolver.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
}

/// The kinds of server that are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VantageKind {
    /// One of the zone's own servers: what it says is what is published.
    Authoritative,
    /// A configured resolver: what it says may be as old as the record's TTL.
    Resolver,
}

impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            VantageKind::Authoritative => write!(f, "{} ({})", self.name, self.address),
            VantageKind::Resolver => write!(f, "resolver {}", self.address),
        }
    }
}

/// One record as a server has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenRecord {
    /// The value: TXT in one piece without quotes, names in lower case without a dot at their end.
    pub value: String,
    /// Seconds.
    pub ttl: u32,
}

/// How an answer came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Reply {
    /// There are records of the type; at least one.
    Records {
        /// The records, in the server's order.
        records: Vec<SeenRecord>,
    },
    /// The name is an alias for one that this server does not know: ask about [`Answer::aliases`]' last.
    Elsewhere,
    /// The name exists and has no record of the type.
    NoData {
        /// How many seconds resolvers may remember that (RFC 2308 §5).
        negative_ttl: Option<u32>,
    },
    /// The name does not exist (NXDOMAIN).
    NoSuchName {
        /// The same.
        negative_ttl: Option<u32>,
    },
    /// SERVFAIL: the server could not find out.
    ServFail,
    /// REFUSED: the server does not answer for this zone, or not us.
    Refused,
    /// Nothing came in time.
    Timeout,
    /// The answer fails DNSSEC validation: the resolver gives it only when told not to check (RFC 4035 §3.2.2).
    Bogus,
    /// Anything else.
    Failed {
        /// What happened.
        reason: String,
    },
}

impl Reply {
    /// Is it an answer, and not the lack of one?
    pub const fn is_answer(&self) -> bool {
        matches!(self, Self::Records { .. } | Self::Elsewhere | Self::NoData { .. } | Self::NoSuchName { .. })
    }

    /// Does it say that there is no such record?
    pub const fn is_denial(&self) -> bool {
        matches!(self, Self::NoData { .. } | Self::NoSuchName { .. })
    }

    /// The failure in the words of DNS.
    pub fn describe(&self) -> String {
        match self {
            Self::Records { records } => format!("{} records", records.len()),
            Self::Elsewhere => "an alias".to_owned(),
            Self::NoData { .. } => "no such record".to_owned(),
            Self::NoSuchName { .. } => "no such name (NXDOMAIN)".to_owned(),
            Self::ServFail => "SERVFAIL: the server could not find out".to_owned(),
            Self::Refused => "REFUSED: the server does not answer for this zone".to_owned(),
            Self::Timeout => "no answer in time".to_owned(),
            Self::Bogus => "the answer fails DNSSEC validation (bogus)".to_owned(),
            Self::Failed { reason } => reason.clone(),
        }
    }
}

/// One answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The name that was asked about, in lower case without a dot at its end.
    pub name: String,
    /// The type that was asked for.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// Who answered.
    pub vantage: Vantage,
    /// The names that the server followed from `name`, in order, where it is an alias (CNAME).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<String>,
    /// What it said.
    pub reply: Reply,
}

impl Answer {
    /// The records' values; empty for every other reply.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        let records = match &self.reply {
            Reply::Records { records } => records.as_slice(),
            _ => &[],
        };
        records.iter().map(|record| record.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_reads_back_from_json() {
        let answer = Answer {
            name: "_dmarc.example.com".to_owned(),
            record_type: RecordType::Txt,
            vantage: Vantage {
                kind: VantageKind::Authoritative,
                name: "ns1.example.com".to_owned(),
                address: "192.0.2.1:53".parse().unwrap(),
            },
            aliases: vec!["dmarc.example.net".to_owned()],
            reply: Reply::NoSuchName { negative_ttl: Some(300) },
        };
        let text = serde_json::to_string(&answer).unwrap();
        assert!(text.contains(r#""outcome":"no-such-name""#), "{text}");
        assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
        assert!(answer.reply.is_denial() && answer.reply.is_answer() && !Reply::Timeout.is_answer());
    }
}
