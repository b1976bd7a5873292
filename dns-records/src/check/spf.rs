//! SPF: evaluated for every address that mail leaves from, its look-ups counted, merged where it is not enough.

use super::finding::{Finding, Status};
use super::view::look;
use super::{Scene, mishaps};
use crate::RecordError;
use crate::answers::Reply;
use crate::records::{DnsRecord, RecordType};
use crate::spf::{LOOKUPS_MAX, Lookup, SpfQuery, SpfRecord, SpfResult, evaluate, merge, weigh};

/// Look-ups on the answers that there are. The record in question is the published one, not a resolver's memory.
fn lookup(scene: &Scene, name: &str, record_type: RecordType) -> Lookup {
    let Some(answer) = scene.heard.one(name, record_type) else { return Lookup::Pending };
    match &answer.reply {
        Reply::Elsewhere => match answer.aliases.last() {
            Some(target) if target != name => lookup(scene, target, record_type),
            _ => Lookup::Failed,
        },
        Reply::Records { .. } => Lookup::Values(answer.values().map(str::to_owned).collect()),
        Reply::NoData { .. } | Reply::NoSuchName { .. } => Lookup::Values(Vec::new()),
        _ => Lookup::Failed,
    }
}

/// Checks the SPF record at `record.owner`.
pub(super) fn record(scene: &Scene, record: &DnsRecord, finding: &mut Finding) -> Option<()> {
    let view = look(&scene.heard, &record.owner, RecordType::Txt)?;
    if !view.enter(finding) {
        return Some(());
    }
    let ours: SpfRecord = record.value.parse().unwrap_or_default();
    let values = view.values();
    let claims: Vec<&str> = values
        .iter()
        .copied()
        .filter(|value| !matches!(value.parse::<SpfRecord>(), Err(RecordError::OtherKind(_))))
        .collect();
    match claims.as_slice() {
        [] => {
            let damaged = values.iter().find_map(|value| {
                let damage = mishaps::damage(&record.value, value).filter(|_| value.contains("spf1"))?;
                Some((value, damage))
            });
            if let Some((value, (reason, message, remedy))) = damaged {
                finding.fail(Status::Mismatch, reason, message, remedy);
                finding.differ(value);
                return Some(());
            }
            mishaps::missing(scene, finding, |value| value.parse::<SpfRecord>().is_ok());
            if view.no_such_name {
                finding.error = Some(super::DnsErrorKind::Nxdomain);
            }
        }
        [one] => match one.parse::<SpfRecord>() {
            Err(error) => {
                let message = format!("It is {error}: receivers treat it as a permanent error.");
                let remedy = format!("Replace it by {}", record.value);
                finding.fail(Status::Mismatch, "broken", message, remedy);
                finding.differ(one);
            }
            Ok(found) => {
                evaluated(scene, record, finding, &ours, &found)?;
                if finding.status == Status::Ok {
                    view.settle(finding, scene.at, |records| records.iter().any(|seen| seen.value == *one));
                }
            }
        },
        many => {
            let mut all: Vec<SpfRecord> = many.iter().filter_map(|value| value.parse().ok()).collect();
            all.push(ours);
            let merged = merge(&all).to_string();
            let message = format!("{} SPF records stand there: receivers treat that as a permanent error.", many.len());
            finding.fail(Status::Duplicate, "duplicate", message, format!("Replace them by one: {merged}"));
            finding.expected = merged;
            finding.differ(many[0]);
        }
    }
    Some(())
}

fn evaluated(
    scene: &Scene,
    record: &DnsRecord,
    finding: &mut Finding,
    ours: &SpfRecord,
    found: &SpfRecord,
) -> Option<()> {
    let ask = |name: &str, record_type: RecordType| lookup(scene, name, record_type);
    let (sum, parts) = weigh(found, &ask)?;
    let merged = merge(&[found.clone(), ours.clone()]).to_string();
    if sum > LOOKUPS_MAX {
        let heaviest =
            parts.first().map_or_else(String::new, |(term, weight)| format!("; the heaviest is {term} with {weight}"));
        let message =
            format!("It takes {sum} DNS look-ups{heaviest}: receivers stop at {LOOKUPS_MAX} with a permanent error.");
        let part = parts.first().map_or("an include", |(term, _)| term.as_str());
        finding.fail(
            Status::Conflict,
            "too-many-lookups",
            message,
            format!("Remove {part}, or move what it serves to a subdomain."),
        );
        return Some(());
    }
    if scene.expectations.egress.is_empty() {
        let missing: Vec<String> =
            ours.terms.iter().filter(|term| !found.terms.contains(term)).map(ToString::to_string).collect();
        let missing: Vec<String> = missing.into_iter().filter(|term| !term.ends_with("all")).collect();
        if !missing.is_empty() {
            let message = format!("It does not have {}.", missing.join(" "));
            finding.fail(Status::Mismatch, "not-ours", message, format!("Replace it by {merged}"));
            finding.expected = merged;
            finding.differ(&found.to_string());
            return Some(());
        }
        finding.pass(format!("Our servers are in it; it takes {sum} of {LOOKUPS_MAX} DNS look-ups."));
        return Some(());
    }
    let sender = format!("bounces@{}", record.owner);
    for ip in &scene.expectations.egress {
        let query = SpfQuery { ip: *ip, domain: &record.owner, sender: &sender, helo: &scene.expectations.hostname };
        let why = match evaluate(query, &ask).result {
            SpfResult::Pass => continue,
            SpfResult::Pending => return None,
            SpfResult::TempError(problem) => {
                let message = format!("It could not be evaluated: {problem}.");
                finding.fail(
                    Status::DnsError,
                    "dns-error",
                    message,
                    "Check again; if it goes on, remove the part that fails.",
                );
                return Some(());
            }
            SpfResult::PermError(problem) => {
                let message = format!("Receivers treat it as a permanent error: {problem}.");
                finding.fail(Status::Conflict, "permanent-error", message, format!("Replace it by {}", record.value));
                return Some(());
            }
            SpfResult::Fail => "fail",
            SpfResult::SoftFail => "softfail",
            SpfResult::Neutral | SpfResult::None => "neutral",
        };
        let message = format!("Mail from {ip} gets \"{why}\": the record does not let it send.");
        finding.fail(Status::Mismatch, "not-ours", message, format!("Replace it by {merged}"));
        finding.expected = merged;
        finding.differ(&found.to_string());
        return Some(());
    }
    let addresses: Vec<String> = scene.expectations.egress.iter().map(ToString::to_string).collect();
    finding.pass(format!("It lets {} send, and takes {sum} of {LOOKUPS_MAX} DNS look-ups.", addresses.join(", ")));
    Some(())
}
