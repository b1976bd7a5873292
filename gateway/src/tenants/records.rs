//! The DNS records that a tenant's domain should have, from its keys and its policy.

use waxseal_dns::{Operator, PublishedKey, RecordSet, records_for};

use super::Tenant;
use super::dkim_key::DkimKey;
use crate::message::DomainName;

/// The records of `domain`: its keys', its return path's, and a DMARC policy to begin with.
pub(super) fn records<'k>(
    domain: &DomainName,
    keys: impl Iterator<Item = &'k DkimKey>,
    owner: &Tenant,
    operator: &Operator,
) -> RecordSet {
    let published: Vec<PublishedKey> = keys
        .filter(|key| key.wants_record())
        // What the registry wrote is a record; one that is not would be a damaged key, and nothing to publish.
        .filter_map(|key| {
            let record = key.record_value().parse().ok()?;
            Some(PublishedKey { selector: key.selector.clone(), record, delegated_to: None })
        })
        .collect();
    let return_path = owner.policy.return_path.as_ref().filter(|path| path.is_within(domain));
    let records = records_for(domain.as_str(), &published, return_path.map(DomainName::as_str), operator);
    RecordSet { domain: domain.to_string(), records }
}
