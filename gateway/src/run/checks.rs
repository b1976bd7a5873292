//! A domain's records as they should be against what its zone's servers say, for the pages and the API: asked when a
//! person asks, and again by itself, less often the longer nothing changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::watch;
use waxseal_dns::{Answer, DnsRecord, RecordType, Reply, VantageKind};

use super::Gateway;
use crate::admin::ports::AdminError;
use crate::clock::{Clock, Timestamp};
use crate::message::DomainName;
use crate::web::domains::report::{CheckedRecord, DomainChecks, DomainReport, Group, Seen, Standing};
use crate::zones::{Survey, ZoneReader};

/// The first wait between two checks; each check that finds the same doubles it.
const SOONEST: Duration = Duration::from_mins(5);
const LATEST: Duration = Duration::from_hours(6);
/// One check of a domain, all questions together.
const DEADLINE: Duration = Duration::from_secs(20);

struct Known {
    report: DomainReport,
    next: Timestamp,
    wait: Duration,
}

/// See the module.
pub(super) struct Checks {
    gateway: Arc<Gateway>,
    zones: Arc<dyn ZoneReader>,
    clock: Arc<dyn Clock>,
    known: Mutex<HashMap<DomainName, Known>>,
}

impl Checks {
    pub(super) fn new(gateway: Arc<Gateway>, zones: Arc<dyn ZoneReader>, clock: Arc<dyn Clock>) -> Self {
        Self { gateway, zones, clock, known: Mutex::default() }
    }

    fn records(&self, domain: &DomainName) -> Result<Vec<DnsRecord>, AdminError> {
        let config = self.gateway.config.read().clone();
        let operator = waxseal_dns::Operator {
            hostname: config.hostname.to_string(),
            egress: config.egress.iter().map(|one| one.address).collect(),
            ..waxseal_dns::Operator::default()
        };
        Ok(self.gateway.registry.domain_records(domain, &operator)?.records)
    }

    /// Checks, one after the other, the domains whose time has come; until `stop`.
    pub(super) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let now = self.clock.now();
            let directory = self.gateway.registry.snapshot();
            let due = |name: &DomainName| self.known.lock().get(name).is_none_or(|known| known.next <= now);
            let names: Vec<DomainName> = directory.domains().map(|domain| domain.name.clone()).filter(due).collect();
            for name in names {
                if *stop.borrow() {
                    return;
                }
                let _ = self.check(&name).await;
            }
            self.known.lock().retain(|name, _| directory.domain(name).is_some());
            let _ = tokio::time::timeout(Duration::from_secs(30), stop.wait_for(|stop| *stop)).await;
        }
    }
}

#[async_trait]
impl DomainChecks for Checks {
    fn last(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        let wanted = self.records(domain)?;
        let known = self.known.lock();
        let known = known.get(domain);
        // Keys come and go between checks: a record that was not looked at yet says so.
        let records = wanted.iter().map(|record| {
            let seen = known.and_then(|known| {
                known.report.records.iter().find(|seen| {
                    seen.name == record.owner
                        && seen.expected == record.value
                        && seen.record_type == record.record_type.as_str()
                })
            });
            seen.cloned().unwrap_or_else(|| plain(record))
        });
        Ok(DomainReport {
            domain: domain.to_string(),
            checked: known.and_then(|known| known.report.checked.clone()),
            next: known.map(|known| known.next.to_rfc3339()),
            records: records.collect(),
        })
    }

    async fn check(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        let wanted = self.records(domain)?;
        let ask = wanted.iter().map(|record| async {
            let survey = tokio::time::timeout(DEADLINE, self.zones.survey(&record.owner, record.record_type)).await;
            judge(record, survey.ok())
        });
        let records = futures_util::future::join_all(ask).await;
        let now = self.clock.now();
        let report = DomainReport { domain: domain.to_string(), checked: Some(now.to_rfc3339()), next: None, records };
        let mut known = self.known.lock();
        let same = known.get(domain).filter(|known| known.report.records == report.records);
        let wait = same.map_or(SOONEST, |known| (known.wait * 2).min(LATEST));
        known.insert(domain.clone(), Known { report, next: now + wait, wait });
        drop(known);
        self.last(domain)
    }
}

fn plain(record: &DnsRecord) -> CheckedRecord {
    CheckedRecord {
        name: record.owner.clone(),
        record_type: record.record_type.as_str().to_owned(),
        group: if record.required { Group::Required } else { Group::Recommended },
        purpose: record.purpose.explanation().to_owned(),
        expected: record.value.clone(),
        status: Standing::NotChecked,
        found: Vec::new(),
        breaks: String::new(),
        remedy: String::new(),
    }
}

/// What a server's values are compared by: tags without the space around them and without a final `;`, in TXT; the rest
/// without case.
fn normal(record_type: RecordType, value: &str) -> String {
    if record_type != RecordType::Txt {
        return value.trim().trim_end_matches('.').to_lowercase();
    }
    let tags = value.split(';').map(|tag| {
        let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
        format!("{}={}", name.trim().to_lowercase(), value.split_whitespace().collect::<Vec<_>>().join(" "))
    });
    tags.filter(|tag| tag != "=").collect::<Vec<_>>().join(";")
}

/// A pure function of what is expected and what was heard.
fn judge(record: &DnsRecord, survey: Option<Survey>) -> CheckedRecord {
    let mut checked = plain(record);
    let Some(survey) = survey else {
        return with(
            checked,
            Standing::DnsError,
            "The servers did not answer in time: check the domain's name servers.",
        );
    };
    let kind = |value: &str| value.split([';', ' ']).next().unwrap_or_default().to_lowercase();
    let of_kind = |answer: &Answer| -> Vec<String> {
        let all = answer.values().map(str::to_owned);
        all.filter(|value| record.record_type != RecordType::Txt || kind(value) == kind(&record.value)).collect()
    };
    for answer in &survey.answers {
        for value in of_kind(answer) {
            checked.found.push(Seen { place: answer.vantage.to_string(), value });
        }
    }
    let own: Vec<&Answer> =
        survey.answers.iter().filter(|one| one.vantage.kind == VantageKind::Authoritative).collect();
    let asked: Vec<&Answer> = if own.is_empty() { survey.answers.iter().collect() } else { own };
    let heard: Vec<&&Answer> = asked.iter().filter(|answer| answer.reply.is_answer()).collect();
    if heard.is_empty() {
        let why = survey.problem.as_ref().or(asked.first().map(|answer| &answer.reply)).map(Reply::describe);
        let remedy =
            format!("{}: check the domain's name servers.", why.unwrap_or_else(|| "nobody answered".to_owned()));
        return with(checked, Standing::DnsError, &remedy);
    }
    let right = |answer: &&&Answer| {
        of_kind(answer)
            .iter()
            .any(|value| normal(record.record_type, value) == normal(record.record_type, &record.value))
    };
    let several = record.record_type == RecordType::Txt && heard.iter().any(|answer| of_kind(answer).len() > 1);
    match (heard.iter().all(right), checked.found.is_empty()) {
        (_, false) if several => {
            with(checked, Standing::Duplicate, "Leave one of these records and remove the others.")
        }
        (true, _) => {
            let old = survey.answers.iter().any(|answer| answer.reply.is_answer() && !right(&&answer));
            let remedy = "Wait: a resolver still has the old answer.";
            if old { with(checked, Standing::Stale, remedy) } else { with(checked, Standing::Ok, "") }
        }
        (false, true) => with(checked, Standing::Missing, "Publish this record with the name and value above."),
        (false, false) => with(checked, Standing::Mismatch, "Replace the value by the expected one."),
    }
}

fn with(mut checked: CheckedRecord, status: Standing, remedy: &str) -> CheckedRecord {
    checked.status = status;
    CheckedRecord { remedy: remedy.to_owned(), ..checked }
}
