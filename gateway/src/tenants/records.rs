//! The DNS records that a tenant's domain should have, as values; how they are written for a DNS host is
//! `waxseal-dns`'s business.

use serde::Serialize;

use super::Tenant;
use super::dkim_key::DkimKey;
use crate::message::DomainName;

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordPurpose {
    /// A DKIM public key (RFC 6376 §3.6).
    Dkim,
    /// The domain's word on mail that fails (RFC 7489 §6.1).
    Dmarc,
    /// Where bounces go (RFC 5321 §5).
    ReturnPathMx,
    /// Who may send with the return path (RFC 7208 §3).
    ReturnPathSpf,
}

/// One record to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DomainRecord {
    /// What it is for.
    pub purpose: RecordPurpose,
    /// The full name, without a trailing dot.
    pub name: String,
    /// `TXT` or `MX`.
    pub kind: &'static str,
    /// The value as one text; TXT over 255 octets is to be split into strings by the writer.
    pub value: String,
    /// Must it be there, or is it advice?
    pub required: bool,
}

/// The records of `domain`: its keys', a DMARC policy to begin with, and its return path's.
pub(super) fn records<'k>(
    domain: &DomainName,
    keys: impl Iterator<Item = &'k DkimKey>,
    owner: &Tenant,
    hostname: &DomainName,
) -> Vec<DomainRecord> {
    let mut records: Vec<DomainRecord> = keys
        .filter(|key| key.wants_record())
        .map(|key| DomainRecord {
            purpose: RecordPurpose::Dkim,
            name: key.record_name(),
            kind: "TXT",
            value: key.record_value(),
            required: true,
        })
        .collect();
    records.push(DomainRecord {
        purpose: RecordPurpose::Dmarc,
        name: format!("_dmarc.{domain}"),
        kind: "TXT",
        // "none" first: a domain that sends from elsewhere too must see its reports before it asks for more.
        value: "v=DMARC1; p=none".to_owned(),
        required: false,
    });
    if let Some(return_path) = owner.policy.return_path.as_ref().filter(|path| path.is_within(domain)) {
        let record =
            |purpose, kind, value| DomainRecord { purpose, name: return_path.to_string(), kind, value, required: true };
        records.push(record(RecordPurpose::ReturnPathMx, "MX", format!("10 {hostname}.")));
        records.push(record(RecordPurpose::ReturnPathSpf, "TXT", format!("v=spf1 a:{hostname} -all")));
    }
    records
}
