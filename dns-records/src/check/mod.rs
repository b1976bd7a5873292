//! The check of a domain: what should be published against what the servers said.
//!
//! Promises: a pure function of expectations, answers and the time, so that every check can be replayed from a saved
//! fixture; each record and rule has exactly one finding; what cannot be seen is `not_checked` and never passed;
//! only an answer makes a record `missing`, a failure never does. SPF is evaluated, not searched (RFC 7208 §4), DMARC
//! found by its tree walk (RFC 9989 §4.10).
//! Refuses: to decide how mail is signed: that is the keys' own life, to which this is only news.

mod difference;
mod dkim;
mod dmarc;
mod exact;
mod finding;
mod heard;
mod hosts;
mod mishaps;
mod readiness;
mod spf;
#[cfg(test)]
mod tests;
mod view;

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use difference::{Difference, Piece};
pub use finding::{DnsErrorKind, Finding, Group, Severity, Sighting, Status};
pub use heard::Question;

use crate::answers::Answer;
use crate::records::{DnsRecord, Purpose};
use heard::Heard;

/// What a domain should look like.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expectations {
    /// The domain that mail is sent as (the From domain).
    pub domain: String,
    /// The records that should be there, the operator's among them.
    pub records: Vec<DnsRecord>,
    /// The domain of the reverse-path, where it is rewritten; else the domain's own is assumed.
    #[serde(default)]
    pub return_path: Option<String>,
    /// The addresses that mail leaves from; empty: not known, and SPF is compared by its terms only.
    #[serde(default)]
    pub egress: Vec<IpAddr>,
    /// The gateway's EHLO name.
    pub hostname: String,
}

impl Expectations {
    /// The domain of the reverse-path.
    pub fn mail_from(&self) -> &str {
        self.return_path.as_deref().unwrap_or(&self.domain)
    }
}

/// A check as it can be saved and replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// What should be there.
    pub expectations: Expectations,
    /// What the servers said.
    pub answers: Vec<Answer>,
    /// When, in RFC 3339.
    pub at: Timestamp,
}

/// Everything that a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The domain.
    pub domain: String,
    /// When it was checked, in RFC 3339.
    pub checked: String,
    /// Is there nothing to do?
    pub ok: bool,
    /// The findings: the records in the order in which people publish them, then the rules of mailbox providers.
    pub findings: Vec<Finding>,
}

impl Report {
    /// The findings that ask for something.
    pub fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.is_problem())
    }
}

/// A report, and what would have to be asked to complete it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What is known so far; findings that wait for an answer are `not_checked`.
    pub report: Report,
    /// The questions that are open; empty: the report is complete.
    pub wanted: Vec<Question>,
}

/// What every rule of a check works on.
struct Scene<'a> {
    heard: Heard<'a>,
    expectations: &'a Expectations,
    at: Timestamp,
}

/// Checks `expectations` against `answers`, at the time `at`.
pub fn check(expectations: &Expectations, answers: &[Answer], at: Timestamp) -> Checked {
    let scene = Scene { heard: Heard::new(answers), expectations, at };
    let mut findings: Vec<Finding> = Vec::new();
    for record in &expectations.records {
        let mut finding = Finding::new(id(record), dkim::group(record), &record.owner, Some(record.record_type));
        finding.expected.clone_from(&record.value);
        record.purpose.breaks().clone_into(&mut finding.breaks);
        let done = match record.purpose {
            Purpose::DkimKey | Purpose::DelegatedKey => dkim::key(&scene, record, &mut finding),
            Purpose::DkimDelegation | Purpose::ReturnPathAlias | Purpose::MtaStsHost => {
                dkim::alias(&scene, record, &mut finding)
            }
            Purpose::Spf | Purpose::ReturnPathSpf | Purpose::OperatorSpf => spf::record(&scene, record, &mut finding),
            Purpose::Dmarc => dmarc::policy(&scene, &mut finding),
            Purpose::ReturnPathMx | Purpose::OperatorMx => hosts::exchanger(&scene, record, &mut finding),
            Purpose::Ptr => hosts::pointer(&scene, record, &mut finding),
            Purpose::HostAddress => hosts::address(&scene, record, &mut finding),
            Purpose::Ownership
            | Purpose::Bimi
            | Purpose::ReportConsent
            | Purpose::MtaSts
            | Purpose::TlsReports
            | Purpose::Tlsa => exact::record(&scene, record, &mut finding),
        };
        if done.is_none() {
            unanswered(&mut finding);
        }
        findings.push(finding);
    }
    let providers = readiness::rules(&findings, expectations);
    findings.extend(providers);
    let ok = !findings.iter().any(Finding::is_problem);
    let report = Report { domain: expectations.domain.clone(), checked: at.to_string(), ok, findings };
    Checked { report, wanted: scene.heard.wanted() }
}

/// The time of the check was over before everything was known.
fn unanswered(finding: &mut Finding) {
    let message = "The servers did not answer in the time of this check.";
    finding.fail(Status::NotChecked, "not-answered", message, "Check again.");
}

/// A record's name from check to check.
fn id(record: &DnsRecord) -> String {
    let label = record.owner.split('.').next().unwrap_or_default();
    match record.purpose {
        Purpose::Ownership => "ownership".to_owned(),
        Purpose::DkimKey | Purpose::DkimDelegation => format!("dkim:{label}"),
        Purpose::DelegatedKey => format!("delegated-key:{}", record.owner),
        Purpose::Dmarc => "dmarc".to_owned(),
        Purpose::Spf => "spf".to_owned(),
        Purpose::ReturnPathMx => "return-path-mx".to_owned(),
        Purpose::ReturnPathSpf => "return-path-spf".to_owned(),
        Purpose::ReturnPathAlias => "return-path".to_owned(),
        Purpose::OperatorMx => "operator-mx".to_owned(),
        Purpose::OperatorSpf => format!("operator-spf:{}", record.owner),
        Purpose::Bimi => "bimi".to_owned(),
        Purpose::ReportConsent => format!("report-consent:{}", record.owner),
        Purpose::Ptr => format!("ptr:{}", record.owner),
        Purpose::HostAddress => format!("address:{}", record.value),
        Purpose::MtaSts => "mta-sts".to_owned(),
        Purpose::MtaStsHost => "mta-sts-host".to_owned(),
        Purpose::TlsReports => "tls-reports".to_owned(),
        Purpose::Tlsa => format!("tlsa:{}", short(&record.value)),
    }
}

/// The beginning of a value, for sentences.
fn short(value: &str) -> String {
    let mut short: String = value.chars().take(40).collect();
    if short.len() < value.len() {
        short.push('…');
    }
    short
}
