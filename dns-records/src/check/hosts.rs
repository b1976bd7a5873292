//! Hosts and addresses: the MX of the return path, the PTR of a sending address, the addresses of the host.

use super::finding::{Finding, Status};
use super::view::{View, look};
use super::{Scene, mishaps};
use crate::answers::SeenRecord;
use crate::records::{DnsRecord, RecordType};

fn host(value: &str) -> &str {
    value.split_once(' ').map_or(value, |(_, host)| host)
}

/// Checks the MX of the return path: notices must reach us at every preference that is tried first.
pub(super) fn exchanger(scene: &Scene, record: &DnsRecord, finding: &mut Finding) -> Option<()> {
    let view = look(&scene.heard, &record.owner, RecordType::Mx)?;
    if !view.enter(finding) {
        return Some(());
    }
    let wanted = host(&record.value);
    let ours = |value: &str| host(value).eq_ignore_ascii_case(wanted);
    let values = view.values();
    let preference = |value: &str| value.split(' ').next().and_then(|n| n.parse::<u16>().ok()).unwrap_or(u16::MAX);
    let best = values.iter().map(|value| preference(value)).min();
    if values.is_empty() {
        mishaps::missing(scene, finding, ours);
        if view.no_such_name {
            finding.error = Some(super::DnsErrorKind::Nxdomain);
        }
    } else if !values.iter().any(|value| ours(value)) {
        let message = format!("Mail for {} goes to {}.", record.owner, host(values[0]));
        finding.fail(Status::Mismatch, "other-host", message, format!("Let the MX record name {wanted}."));
        finding.differ(values[0]);
    } else if let Some(other) = values.iter().find(|value| Some(preference(value)) == best && !ours(value)) {
        let message = format!("{} takes notices as well: part of them never reaches us.", host(other));
        finding.fail(
            Status::Conflict,
            "second-host",
            message,
            format!("Delete the MX record that names {}.", host(other)),
        );
    } else {
        finding.pass("Notices reach us.");
        view.settle(finding, scene.at, |records| any(records, ours));
    }
    Some(())
}

fn any(records: &[SeenRecord], ours: impl Fn(&str) -> bool) -> bool {
    records.iter().any(|seen| ours(&seen.value))
}

/// Checks that an address has our name; the name's own addresses are another finding.
pub(super) fn pointer(scene: &Scene, record: &DnsRecord, finding: &mut Finding) -> Option<()> {
    let ours = |value: &str| value.trim_end_matches('.').eq_ignore_ascii_case(&record.value);
    plain(scene, record, finding, ours, "The address has our name.")
}

/// Checks that our name has an address.
pub(super) fn address(scene: &Scene, record: &DnsRecord, finding: &mut Finding) -> Option<()> {
    let wanted: Option<std::net::IpAddr> = record.value.parse().ok();
    let ours = |value: &str| wanted.is_some() && value.parse().ok() == wanted;
    plain(scene, record, finding, ours, "Our name has the address.")
}

fn plain(
    scene: &Scene,
    record: &DnsRecord,
    finding: &mut Finding,
    ours: impl Fn(&str) -> bool,
    well: &str,
) -> Option<()> {
    let view: View = look(&scene.heard, &record.owner, record.record_type)?;
    if !view.enter(finding) {
        return Some(());
    }
    let values = view.values();
    let kind = record.record_type.as_str();
    if values.iter().any(|value| ours(value)) {
        finding.pass(well);
        view.settle(finding, scene.at, |records| any(records, &ours));
    } else if let Some(found) = values.first() {
        let message = format!("{} has the {kind} record {found}.", record.owner);
        finding.fail(Status::Mismatch, "other-value", message, format!("Let it be {}.", record.value));
        finding.differ(found);
    } else {
        let message = format!("{} has no {kind} record.", record.owner);
        finding.fail(Status::Missing, "missing", message, format!("Publish {kind} {}.", record.value));
    }
    Some(())
}
