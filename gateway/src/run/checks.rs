//! A domain's records as they should be, for the pages: what the checker knows of them, if there is one.

use std::sync::Arc;

use async_trait::async_trait;

use super::Gateway;
use crate::admin::ports::AdminError;
use crate::message::DomainName;
use crate::web::domains::report::{CheckedRecord, DomainChecks, DomainReport, Group, Standing};

/// See the module.
pub(super) struct Checks(pub(super) Arc<Gateway>);

impl Checks {
    fn expected(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        let config = self.0.config.read().clone();
        let operator = waxseal_dns::Operator {
            hostname: config.hostname.to_string(),
            egress: config.egress.iter().map(|one| one.address).collect(),
            ..waxseal_dns::Operator::default()
        };
        let set = self.0.registry.domain_records(domain, &operator)?;
        let records = set.records.into_iter().map(|record| CheckedRecord {
            name: record.owner,
            record_type: record.record_type.as_str().to_owned(),
            group: if record.required { Group::Required } else { Group::Recommended },
            purpose: record.purpose.explanation().to_owned(),
            expected: record.value,
            status: Standing::NotChecked,
            found: Vec::new(),
            breaks: String::new(),
            remedy: String::new(),
        });
        Ok(DomainReport { domain: set.domain, checked: None, next: None, records: records.collect() })
    }
}

#[async_trait]
impl DomainChecks for Checks {
    fn last(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        self.expected(domain)
    }

    async fn check(&self, domain: &DomainName) -> Result<DomainReport, AdminError> {
        self.expected(domain)
    }
}
