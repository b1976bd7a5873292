//! DKIM: the key at its selector, by TXT or at the end of a delegation by CNAME.

use super::finding::{Finding, Group, Status};
use super::view::look;
use super::{Scene, mishaps};
use crate::RecordError;
use crate::answers::{Reply, SeenRecord};
use crate::dkim::DkimRecord;
use crate::records::{DnsRecord, RecordType};

/// Checks a key record.
pub(super) fn key(scene: &Scene, record: &DnsRecord, finding: &mut Finding) -> Option<()> {
    let view = look(&scene.heard, &record.owner, RecordType::Txt)?;
    if !view.enter(finding) {
        return Some(());
    }
    let wanted: Result<DkimRecord, _> = record.value.parse();
    let ours = |value: &str| value.parse::<DkimRecord>().is_ok_and(|found| same_key(wanted.as_ref().ok(), &found));
    let values = view.values();
    let claims: Vec<&str> =
        values.iter().copied().filter(|v| !matches!(v.parse::<DkimRecord>(), Err(RecordError::OtherKind(_)))).collect();
    let right = |records: &[SeenRecord]| records.iter().filter(|seen| ours(&seen.value)).count() == 1;
    match claims.as_slice() {
        [one] if ours(one) => {
            let by = view.aliases.last().map(|alias| format!(", by way of {alias}")).unwrap_or_default();
            finding.pass(format!("The key is published{by}."));
            if one.parse::<DkimRecord>().is_ok_and(|found| found.testing) {
                finding.message.push_str(" It is marked as a test (t=y): receivers may ignore failures.");
            }
            view.settle(finding, scene.at, right);
        }
        [] if values.is_empty() => {
            mishaps::missing(scene, finding, ours);
            if view.no_such_name {
                finding.error = Some(super::DnsErrorKind::Nxdomain);
            }
        }
        [] => {
            let found = values[0];
            let (reason, message, remedy) = mishaps::damage(&record.value, found).unwrap_or_else(|| {
                let message = format!("The name has text, but no DKIM key: \"{}\".", super::short(found));
                ("other-record", message, "Replace the value by the one that is shown.".to_owned())
            });
            finding.fail(Status::Mismatch, reason, message, remedy);
            finding.differ(found);
        }
        [one] => wrong_key(finding, record, one),
        many => {
            let message = format!("{} DKIM keys stand at one name: receivers pick any of them, or none.", many.len());
            let extra = many.iter().find(|value| !ours(value)).copied().unwrap_or(many[0]);
            let remedy = format!("Delete the record that begins with \"{}\".", super::short(extra));
            finding.fail(Status::Duplicate, "duplicate", message, remedy);
            finding.differ(extra);
        }
    }
    Some(())
}

/// Keys are compared by their octets: spacing, order and the case of tags differ among DNS hosts.
fn same_key(wanted: Option<&DkimRecord>, found: &DkimRecord) -> bool {
    wanted.is_some_and(|wanted| {
        wanted.public_key == found.public_key
            && wanted.key_type == found.key_type
            && (found.hashes.is_empty() || found.hashes.iter().any(|hash| hash == "sha256"))
    })
}

fn wrong_key(finding: &mut Finding, record: &DnsRecord, found: &str) {
    let remedy = "Replace the value by the one that is shown.".to_owned();
    let (reason, message, remedy) = match (mishaps::damage(&record.value, found), found.parse::<DkimRecord>()) {
        (Some(damage), _) => damage,
        (None, Err(error)) => ("broken", format!("It is {error}."), remedy),
        (None, Ok(key)) if key.revoked() => {
            ("revoked", "The record says that the key is revoked (empty p=).".into(), remedy)
        }
        (None, Ok(_)) => ("other-key", "Another key stands there.".to_owned(), remedy),
    };
    finding.fail(Status::Mismatch, reason, message, remedy);
    finding.differ(found);
}

/// Checks an alias: of a key that the operator publishes, or of the return path.
pub(super) fn alias(scene: &Scene, record: &DnsRecord, finding: &mut Finding) -> Option<()> {
    let view = look(&scene.heard, &record.owner, RecordType::Cname)?;
    if !view.enter(finding) {
        return Some(());
    }
    let same = |value: &str| value.trim_end_matches('.').eq_ignore_ascii_case(record.value.trim_end_matches('.'));
    let values = view.values();
    if values.iter().any(|value| same(value)) {
        finding.pass("The alias is published.");
        view.settle(finding, scene.at, |records| records.iter().any(|seen| same(&seen.value)));
        return Some(());
    }
    if let Some(found) = values.first() {
        let message = format!("The alias leads to {found}.");
        finding.fail(Status::Mismatch, "other-target", message, format!("Let it lead to {}.", record.value));
        finding.differ(found);
        return Some(());
    }
    if flattened(scene, &record.owner, finding)? {
        return Some(());
    }
    mishaps::missing(scene, finding, same);
    Some(())
}

/// An address where an alias should be: a proxy ("orange cloud") answers in its place.
fn flattened(scene: &Scene, owner: &str, finding: &mut Finding) -> Option<bool> {
    let answer = scene.heard.one(owner, RecordType::A)?;
    let Reply::Records { records } = &answer.reply else { return Some(false) };
    if !answer.aliases.is_empty() {
        return Some(false);
    }
    let cloudflare = records.iter().any(|record| record.value.parse().is_ok_and(is_cloudflare));
    let (who, how) = if cloudflare {
        ("Cloudflare's proxy", "Switch the record from \"Proxied\" (orange cloud) to \"DNS only\" (grey cloud)")
    } else {
        ("the DNS host", "Switch proxying or flattening of this record off")
    };
    let address = records.first().map(|record| record.value.as_str()).unwrap_or_default();
    let message = format!("{who} answers with an address ({address}) in place of the alias.");
    finding.fail(Status::Conflict, "flattened", message, format!("{how}."));
    Some(true)
}

/// The addresses that Cloudflare's proxy answers with, as it publishes them.
fn is_cloudflare(address: std::net::Ipv4Addr) -> bool {
    const NETWORKS: [(u32, u32); 15] = [
        (0xadf5_3000, 20),
        (0x6715_f400, 22),
        (0x6716_c800, 22),
        (0x671f_0400, 22),
        (0x8d65_4000, 18),
        (0x6ca2_c000, 18),
        (0xbe5d_f000, 20),
        (0xbc72_6000, 20),
        (0xc5ea_f000, 22),
        (0xc629_8000, 17),
        (0xa29e_0000, 15),
        (0x6810_0000, 13),
        (0x6818_0000, 14),
        (0xac40_0000, 13),
        (0x8300_4800, 22),
    ];
    let address = u32::from(address);
    NETWORKS.iter().any(|(network, length)| address >> (32 - length) == network >> (32 - length))
}

/// The group of a record.
pub(super) const fn group(record: &DnsRecord) -> Group {
    match (record.purpose.is_operators(), record.required) {
        (true, _) => Group::Operator,
        (false, true) => Group::Required,
        (false, false) => Group::Recommended,
    }
}
