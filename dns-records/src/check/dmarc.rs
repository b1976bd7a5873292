//! DMARC by its tree walk (RFC 9989 §4.10): which policy holds, and which name it comes from.

use super::finding::{Finding, Status};
use super::view::{View, look};
use super::{Scene, mishaps};
use crate::RecordError;
use crate::answers::Reply;
use crate::dmarc::{DmarcPolicy, DmarcRecord, PublicSuffix, host_of};
use crate::records::{RecordType, is_within};

/// RFC 9989 §4.10: a walk asks at most eight names.
const LABELS_MAX: usize = 8;

/// The names of the walk for `domain`, the domain itself first.
pub(super) fn walk(domain: &str) -> Vec<String> {
    let labels: Vec<&str> = domain.split('.').collect();
    let mut names = vec![domain.to_owned()];
    // From more than eight labels the walk goes straight to seven.
    let first = if labels.len() > LABELS_MAX { labels.len() - (LABELS_MAX - 1) } else { 1 };
    names.extend((first..labels.len()).map(|skip| labels[skip..].join(".")));
    names
}

/// One name of the walk.
enum Step {
    Pending,
    /// No DMARC record; several count as none.
    Nothing,
    Failed,
    Record(DmarcRecord),
}

fn step(scene: &Scene, name: &str) -> Step {
    let owner = format!("_dmarc.{name}");
    let Some(answer) = scene.heard.one(&owner, RecordType::Txt) else { return Step::Pending };
    let answer = match (&answer.reply, answer.aliases.last()) {
        (Reply::Elsewhere, Some(target)) => match scene.heard.one(target, RecordType::Txt) {
            Some(answer) => answer,
            None => return Step::Pending,
        },
        _ => answer,
    };
    if !answer.reply.is_answer() {
        return Step::Failed;
    }
    let mut records = answer.values().filter_map(|value| value.parse::<DmarcRecord>().ok());
    match (records.next(), records.next()) {
        (Some(record), None) => Step::Record(record),
        _ => Step::Nothing,
    }
}

/// A policy in force.
pub(super) struct Found {
    /// The name whose record supplies it.
    pub supplier: String,
    /// The record.
    pub record: DmarcRecord,
    /// What holds for the domain.
    pub policy: DmarcPolicy,
}

/// Walks the tree. The outer `None` while answers are missing; the inner if no policy holds.
fn discover(scene: &Scene, domain: &str) -> Option<Result<Option<Found>, String>> {
    let mut records: Vec<(String, DmarcRecord)> = Vec::new();
    for name in walk(domain) {
        match step(scene, &name) {
            Step::Pending => return None,
            Step::Failed => return Some(Err(name)),
            Step::Nothing => {}
            Step::Record(record) => {
                // The domain's own record decides alone; above it, `psd=` says where the walk ends.
                let last = name == domain || record.public_suffix != PublicSuffix::Unknown;
                records.push((name, record));
                if last {
                    break;
                }
            }
        }
    }
    // The domain's own record wins; else that of the organizational domain, which is the shortest with a record.
    let own = records.iter().position(|(name, _)| name == domain);
    let Some(index) = own.or_else(|| records.len().checked_sub(1)) else { return Some(Ok(None)) };
    let (supplier, record) = records.swap_remove(index);
    // RFC 9989 §4.7: a record without p= is p=none; below the supplier, sp= stands in for it.
    let base = record.policy.unwrap_or(DmarcPolicy::None);
    let policy = if supplier == domain { base } else { record.subdomains.unwrap_or(base) };
    Some(Ok(Some(Found { supplier, record, policy })))
}

/// Checks the policy of the From domain.
pub(super) fn policy(scene: &Scene, finding: &mut Finding) -> Option<()> {
    let domain = scene.expectations.domain.as_str();
    let view = look(&scene.heard, &format!("_dmarc.{domain}"), RecordType::Txt)?;
    if !view.enter(finding) {
        return Some(());
    }
    if own_record_is_wrong(&view, finding) {
        return Some(());
    }
    let found = match discover(scene, domain)? {
        Err(name) => {
            let message = format!("_dmarc.{name} could not be looked up: receivers may not find the policy.");
            finding.fail(Status::DnsError, "dns-error", message, "Check again; if it goes on, look at that zone.");
            return Some(());
        }
        Ok(None) => {
            let damaged =
                view.values().iter().find_map(|value| Some((*value, mishaps::damage(&finding.expected, value)?)));
            if let Some((value, (reason, message, remedy))) = damaged {
                finding.fail(Status::Mismatch, reason, message, remedy);
                finding.differ(value);
                return Some(());
            }
            mishaps::missing(scene, finding, |value| value.parse::<DmarcRecord>().is_ok());
            if view.no_such_name {
                finding.error = Some(super::DnsErrorKind::Nxdomain);
            }
            return Some(());
        }
        Ok(Some(found)) => found,
    };
    let from = if found.supplier == domain {
        String::new()
    } else {
        format!(" It comes from _dmarc.{}: {domain} has none of its own.", found.supplier)
    };
    finding.pass(format!("The policy is {}.{from}", found.policy.as_str()));
    // Any policy will do; the owner's wish for a stricter one is no mismatch.
    if found.supplier == domain {
        view.settle(finding, scene.at, |records| records.iter().any(|seen| seen.value.parse::<DmarcRecord>().is_ok()));
    }
    if finding.status == Status::Ok {
        consent(scene, &found, finding)?;
    }
    Some(())
}

/// Two records, or a broken one: receivers act as if there were none.
fn own_record_is_wrong(view: &View, finding: &mut Finding) -> bool {
    let values = view.values();
    let claims: Vec<&str> = values
        .iter()
        .copied()
        .filter(|value| !matches!(value.parse::<DmarcRecord>(), Err(RecordError::OtherKind(_))))
        .collect();
    match claims.as_slice() {
        [one] => {
            let Err(error) = one.parse::<DmarcRecord>() else { return false };
            let (reason, message, remedy) = mishaps::damage(&finding.expected, one).unwrap_or_else(|| {
                let message = format!("It is {error}: receivers act as if it were not there.");
                ("broken", message, "Correct the value as it is shown.".to_owned())
            });
            finding.fail(Status::Mismatch, reason, message, remedy);
            finding.differ(one);
            true
        }
        [first, second, ..] => {
            let message = format!("{} DMARC records stand there: receivers act as if there were none.", claims.len());
            let remedy = format!("Keep one, and delete the others; one of them is \"{}\".", super::short(second));
            finding.fail(Status::Duplicate, "duplicate", message, remedy);
            finding.differ(first);
            true
        }
        [] => false,
    }
}

/// Reports that go to another organization need its consent (RFC 9990 §4).
fn consent(scene: &Scene, found: &Found, finding: &mut Finding) -> Option<()> {
    for uri in &found.record.aggregate_reports {
        let Some(host) = host_of(uri) else { continue };
        if is_within(host, &found.supplier) || is_within(&found.supplier, host) {
            continue;
        }
        let owner = format!("{}._report._dmarc.{host}", found.supplier);
        let answer = scene.heard.one(&owner, RecordType::Txt)?;
        let given = answer.values().any(|value| value.trim_start().starts_with("v=DMARC1"));
        if answer.reply.is_answer() && !given {
            let message =
                format!("{} Reports to {host} are not sent: it has not agreed to take them.", finding.message);
            let remedy = format!("Ask the owner of {host} to publish TXT v=DMARC1 at {owner}.");
            finding.fail(Status::Conflict, "no-report-consent", message, remedy);
            // Only reports are lost.
            finding.severity = super::Severity::Info;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::walk;

    #[test]
    fn the_walk_is_that_of_the_standard() {
        assert_eq!(walk("mail.example.com"), ["mail.example.com", "example.com", "com"]);
        let long = walk("a.b.c.d.e.f.g.h.i.j.mail.example.com");
        assert_eq!(long[1], "g.h.i.j.mail.example.com");
        assert_eq!(long.len(), 8);
    }
}
