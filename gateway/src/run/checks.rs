//! What the examiner knows of a domain's records, for the pages.

use std::sync::Arc;

use async_trait::async_trait;
use waxseal_dns::DnsRecord;
use waxseal_dns::check::{Finding, Group as FindingGroup, Status};

use super::Gateway;
use crate::admin::ports::AdminError;
use crate::message::DomainName;
use crate::web::domains::report::{CheckedRecord, DomainChecks, DomainReport, Group, Seen};

/// See the module.
pub(super) struct Checks(pub(super) Arc<Gateway>);

#[async_trait]
impl DomainChecks for Checks {
    fn last(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        let wanted = self.0.expectations(domain)?.records;
        let known = self.0.last_examination(domain);
        let findings = known.as_ref().map(|(report, _)| report.findings.as_slice()).unwrap_or_default();
        // Keys come and go between checks: a record that was not looked at yet says so.
        let new = wanted.iter().filter(|record| !findings.iter().any(|finding| finding.name == record.owner));
        let mut records: Vec<CheckedRecord> = findings.iter().map(found).chain(new.map(unseen)).collect();
        records.sort_by_key(|record| record.group);
        Ok(DomainReport {
            domain: domain.to_string(),
            checked: known.as_ref().map(|(report, _)| report.checked.clone()),
            next: known.as_ref().map(|(_, next)| next.to_rfc3339()),
            records,
        })
    }

    async fn check(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        self.0.examine_domain(domain).await?;
        self.last(domain)
    }
}

fn unseen(record: &DnsRecord) -> CheckedRecord {
    CheckedRecord {
        name: record.owner.clone(),
        record_type: record.record_type.as_str().to_owned(),
        group: match (record.purpose.is_operators(), record.required) {
            (true, _) => Group::Operator,
            (false, true) => Group::Required,
            (false, false) => Group::Recommended,
        },
        purpose: record.purpose.explanation().to_owned(),
        expected: record.value.clone(),
        status: Status::NotChecked,
        found: Vec::new(),
        difference: None,
        breaks: String::new(),
        remedy: String::new(),
    }
}

fn found(finding: &Finding) -> CheckedRecord {
    let seen = finding.found.iter().flat_map(|sighting| {
        let seen = |value: &str, outcome: &str| Seen {
            place: sighting.vantage.to_string(),
            value: value.to_owned(),
            outcome: outcome.to_owned(),
        };
        if sighting.values.is_empty() {
            vec![seen("", &sighting.outcome)]
        } else {
            sighting.values.iter().map(|value| seen(value, "")).collect()
        }
    });
    CheckedRecord {
        name: if finding.name.is_empty() { finding.id.clone() } else { finding.name.clone() },
        record_type: finding.record_type.map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        group: match finding.group {
            FindingGroup::Required => Group::Required,
            FindingGroup::Recommended => Group::Recommended,
            FindingGroup::Operator => Group::Operator,
            FindingGroup::Google | FindingGroup::Yahoo | FindingGroup::Microsoft => Group::Receivers,
        },
        purpose: finding.message.clone(),
        expected: finding.expected.clone(),
        status: finding.status,
        found: seen.collect(),
        difference: finding.difference.clone(),
        breaks: finding.breaks.clone(),
        remedy: finding.remedy.clone(),
    }
}
