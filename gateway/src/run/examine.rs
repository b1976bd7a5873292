//! Domains checked against DNS: when somebody asks, and again and again by itself.
//!
//! Promises: the checks have no end; the wait between two doubles while nothing changes and starts anew when something
//! does. What was well and is not any more raises `dns.check`; signing goes on, for only the keys' own life decides that.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use waxseal_dns::check::{Expectations, Finding, Fixture, Report, Status};
use waxseal_dns::{DnsRecord, Operator};

use super::Gateway;
use crate::admin::ports::{AdminError, AdminResult};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::message::DomainName;
use crate::observe::{Event, emit};
use crate::tenants::RegistryError;
use crate::zones::{ZonePrimary, ZoneReader, examine};

/// The wait after a check that found something new.
const SOONEST: Duration = Duration::from_mins(5);
/// The longest wait.
const LATEST: Duration = Duration::from_hours(6);
/// How often domains whose time has come are looked for.
const TICK: Duration = Duration::from_secs(30);

struct Kept {
    report: Report,
    next: Timestamp,
    wait: Duration,
}

/// Who is asked, and what was found last.
pub(super) struct Examiner {
    zones: Arc<dyn ZoneReader>,
    clock: Arc<dyn Clock>,
    kept: Mutex<HashMap<DomainName, Kept>>,
}

impl Examiner {
    pub(super) fn new(zones: Arc<dyn ZoneReader>, clock: Arc<dyn Clock>) -> Self {
        Self { zones, clock, kept: Mutex::default() }
    }

    /// Keeps the report; returns what went wrong, or right again, since the last one.
    fn keep(&self, domain: &DomainName, report: &Report) -> Vec<(Status, Finding)> {
        let now = self.clock.now();
        let mut kept = self.kept.lock();
        let before = kept.get(domain);
        let mut changes = Vec::new();
        for finding in &report.findings {
            let old = before.and_then(|kept| kept.report.findings.iter().find(|old| old.id == finding.id));
            if let Some(old) = old.filter(|old| old.is_problem() != finding.is_problem()) {
                changes.push((old.status, finding.clone()));
            }
        }
        let same = before.filter(|kept| {
            let pairs = kept.report.findings.iter().zip(&report.findings);
            kept.report.findings.len() == report.findings.len()
                && pairs.clone().all(|(old, new)| old.id == new.id && old.status == new.status)
        });
        let wait = same.map_or(SOONEST, |kept| (kept.wait * 2).min(LATEST));
        kept.insert(domain.clone(), Kept { report: report.clone(), next: now + wait, wait });
        changes
    }
}

/// What the operator brings to every domain's records.
pub(super) fn operator(config: &Config) -> Operator {
    let records = &config.records;
    let text = |name: Option<&DomainName>| name.map(ToString::to_string);
    Operator {
        hostname: config.hostname.to_string(),
        egress: config.egress.iter().map(|one| one.address).collect(),
        names: config.egress.iter().map(|one| (one.address, one.ehlo.to_string())).collect(),
        spf_include: text(records.spf_include.as_ref()),
        return_path_host: text(records.return_path_host.as_ref()),
        aggregate_reports: records.dmarc_reports.clone(),
        failure_reports: records.dmarc_failure_reports.clone(),
        mta_sts_id: records.mta_sts_id.clone(),
        mta_sts_host: text(records.mta_sts_host.as_ref()),
        tls_reports: records.tls_reports.clone(),
        tlsa: records.tlsa.clone(),
        ownership_token: None,
        logo: None,
    }
}

impl Gateway {
    /// The operator's part of what should be published for a domain.
    pub(super) fn operator_records(&self, domain: &DomainName, operator: &Operator) -> Vec<DnsRecord> {
        let mut records = self.registry.delegated_records(domain);
        records.extend(waxseal_dns::operator_records(domain.as_str(), operator));
        records
    }

    /// What should be published for a domain, the operator's part included.
    pub(super) fn expectations(&self, domain: &DomainName) -> AdminResult<Expectations> {
        let operator = operator(&self.config.read());
        let mut records = self.registry.domain_records(domain, &operator)?.records;
        records.extend(self.operator_records(domain, &operator));
        let directory = self.registry.snapshot();
        let owner = directory.owner(domain).and_then(|id| directory.tenant(id));
        let owner = owner.ok_or_else(|| AdminError::from(RegistryError::NoDomain(domain.clone())))?;
        let return_path = owner.policy.return_path.as_ref().filter(|path| path.is_within(domain));
        Ok(Expectations {
            domain: domain.to_string(),
            records,
            return_path: return_path.map(ToString::to_string),
            egress: operator.egress,
            hostname: operator.hostname,
        })
    }

    /// What a check of the domain goes by now, for keeping.
    pub(super) async fn examine_answers(&self, domain: &DomainName) -> AdminResult<Fixture> {
        let examiner = &self.examiner;
        Ok(examine(&*examiner.zones, self.expectations(domain)?, &*examiner.clock).await.0)
    }

    /// The zone that holds the domain.
    pub(super) async fn zone_of_domain(&self, domain: &DomainName) -> AdminResult<ZonePrimary> {
        let found = self.examiner.zones.primary(domain.as_str()).await;
        found.map_err(|reply| AdminError::Store(format!("the zone of {domain} was not found: {}", reply.describe())))
    }

    /// Checks a domain now.
    pub(super) async fn examine_domain(&self, domain: &DomainName) -> AdminResult<Report> {
        let expectations = self.expectations(domain)?;
        let examiner = &self.examiner;
        let (_, checked) = examine(&*examiner.zones, expectations, &*examiner.clock).await;
        let directory = self.registry.snapshot();
        let owner = directory.owner(domain).and_then(|id| directory.tenant_name(id)).unwrap_or_default();
        for (before, finding) in examiner.keep(domain, &checked.report) {
            emit(&Event::DnsCheck {
                tenant: owner.to_owned(),
                domain: domain.to_string(),
                record: finding.id.clone(),
                name: finding.name.clone(),
                before,
                status: finding.status,
                regression: finding.is_problem(),
                detail: finding.message.clone(),
            });
        }
        Ok(checked.report)
    }

    /// The last report and when the next check is due; `None` before the first.
    pub(super) fn last_examination(&self, domain: &DomainName) -> Option<(Report, Timestamp)> {
        self.examiner.kept.lock().get(domain).map(|kept| (kept.report.clone(), kept.next))
    }

    /// Checks the domains whose time has come, one after the other, until `stop`.
    pub(super) async fn watch_domains(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        // A start has more urgent things to do; and the first wait keeps restarts in a row off the DNS servers.
        while tokio::time::timeout(TICK, stop.wait_for(|stop| *stop)).await.is_err() {
            let now = self.examiner.clock.now();
            let directory = self.registry.snapshot();
            let names: Vec<DomainName> = directory.domains().map(|domain| domain.name.clone()).collect();
            for name in names {
                if self.last_examination(&name).is_none_or(|(_, next)| next <= now) {
                    tokio::select! {
                        // A domain that was removed meanwhile is no news.
                        _ = self.examine_domain(&name) => {}
                        _ = stop.wait_for(|stop| *stop) => return,
                    }
                }
            }
            self.examiner.kept.lock().retain(|name, _| directory.domain(name).is_some());
        }
    }
}
