//! The DNS records that a tenant's domain should have, from its keys and its policy.

use waxseal_dns::{DnsRecord, Operator, PublishedKey, Purpose, RecordSet, RecordType, records_for};
use waxseal_keys::life::Line;

use super::delegation::{self, SLOT_TTL, slots};
use super::dkim_key::DkimKey;
use super::{DomainClaim, Tenant, TenantDomain};
use crate::message::DomainName;

/// Long, since an alias of a slot never changes; short enough to mend a mistake the same day.
const ALIAS_TTL: u32 = 3600;

/// The records of `domain`: its keys' or the aliases of their slots in the operator's `zone`, its return path's, and a
/// DMARC policy to begin with.
pub(super) fn records<'k>(
    owned: &TenantDomain,
    zone: Option<&DomainName>,
    keys: impl Iterator<Item = &'k DkimKey>,
    owner: &Tenant,
    operator: &Operator,
) -> RecordSet {
    let domain = &owned.name;
    let target = |selector: &str| zone.and_then(|zone| delegation::target(selector, owned, zone));
    let keys: Vec<&DkimKey> = keys.collect();
    let has = |line: Line| keys.iter().any(|key| key.life.line == line);
    let aliases = Line::ALL.into_iter().filter(|line| has(*line)).flat_map(|line| {
        let required = line == Line::Rsa || !has(Line::Rsa);
        slots(line).map(|slot| (slot, required))
    });
    let aliases: Vec<DnsRecord> = aliases
        .filter_map(|(slot, required)| {
            Some(DnsRecord {
                owner: format!("{slot}._domainkey.{domain}"),
                record_type: RecordType::Cname,
                value: target(slot)?,
                ttl: ALIAS_TTL,
                purpose: Purpose::DkimDelegation,
                required,
            })
        })
        .collect();
    let published: Vec<PublishedKey> = keys
        .iter()
        .filter(|key| key.wants_record() && target(&key.selector).is_none())
        // What the registry wrote is a record; one that is not would be a damaged key, and nothing to publish.
        .filter_map(|key| {
            let record = key.record_value().parse().ok()?;
            Some(PublishedKey { selector: key.selector.clone(), record, delegated_to: None })
        })
        .collect();
    let return_path = owner.policy.return_path.as_ref().filter(|path| path.is_within(domain));
    let operator = Operator { logo: owner.policy.logo.clone(), ..operator.clone() };
    let mut records = aliases;
    records.extend(records_for(domain.as_str(), &published, return_path.map(DomainName::as_str), &operator));
    RecordSet { domain: domain.to_string(), records }
}

/// The challenges of a domain that nobody has proved to be its own yet.
pub(super) fn challenges<'c>(domain: &DomainName, claims: impl Iterator<Item = &'c DomainClaim>) -> RecordSet {
    let record = |claim: &DomainClaim| DnsRecord {
        owner: claim.record_name(),
        record_type: RecordType::Txt,
        value: claim.record_value(),
        ttl: SLOT_TTL,
        purpose: Purpose::Ownership,
        required: true,
    };
    RecordSet { domain: domain.to_string(), records: claims.map(record).collect() }
}

/// The operator's part of a delegated domain: the records at the ends of its aliases.
pub(super) fn delegated_records<'k>(
    owned: &TenantDomain,
    zone: Option<&DomainName>,
    keys: impl Iterator<Item = &'k DkimKey>,
) -> Vec<DnsRecord> {
    let record = |key: &DkimKey| {
        Some(DnsRecord {
            owner: delegation::target(&key.selector, owned, zone?)?,
            record_type: RecordType::Txt,
            value: key.record_value(),
            ttl: SLOT_TTL,
            purpose: Purpose::DelegatedKey,
            required: true,
        })
    };
    keys.filter(|key| key.wants_record()).filter_map(record).collect()
}
