//! Records whose value must be ours among others, or the only one of its kind.

use super::finding::{Finding, Status};
use super::view::look;
use super::{Scene, mishaps};
use crate::records::{DnsRecord, Purpose};
use crate::small::{BimiRecord, MtaStsRecord, TlsReportRecord, TlsaRecord};
use crate::{RecordError, dmarc::DmarcRecord};

/// What one value is to the record that is wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kinship {
    /// The same by meaning.
    Ours,
    /// Of the same kind, and another.
    Other,
    /// Of the same kind, and broken.
    Broken,
    /// Of another kind: no business of this check.
    Stranger,
}

fn kin<T: std::str::FromStr<Err = RecordError> + PartialEq>(wanted: &str, value: &str) -> Kinship {
    match (value.parse::<T>(), wanted.parse::<T>()) {
        (Ok(value), Ok(wanted)) if value == wanted => Kinship::Ours,
        (Ok(_), _) => Kinship::Other,
        (Err(RecordError::OtherKind(_)), _) => Kinship::Stranger,
        (Err(_), _) => Kinship::Broken,
    }
}

fn kinship(purpose: Purpose, wanted: &str, value: &str) -> Kinship {
    match purpose {
        Purpose::MtaSts => kin::<MtaStsRecord>(wanted, value),
        Purpose::TlsReports => kin::<TlsReportRecord>(wanted, value),
        Purpose::Bimi => kin::<BimiRecord>(wanted, value),
        Purpose::Tlsa => kin::<TlsaRecord>(wanted, value),
        // Whatever else the record says, its presence is the consent (RFC 9990 §4).
        Purpose::ReportConsent => match value.parse::<DmarcRecord>() {
            Ok(_) => Kinship::Ours,
            Err(RecordError::OtherKind(_)) => Kinship::Stranger,
            Err(_) => Kinship::Broken,
        },
        _ if value.trim() == wanted => Kinship::Ours,
        _ => Kinship::Stranger,
    }
}

/// Checks the record.
pub(super) fn record(scene: &Scene, record: &DnsRecord, finding: &mut Finding) -> Option<()> {
    let view = look(&scene.heard, &record.owner, record.record_type)?;
    if !view.enter(finding) {
        return Some(());
    }
    let of = |value: &str| kinship(record.purpose, &record.value, value);
    let values = view.values();
    // Several proofs of ownership, consents and certificates may stand side by side; policies may not.
    let alone = matches!(record.purpose, Purpose::MtaSts | Purpose::TlsReports | Purpose::Bimi);
    let claims: Vec<&str> = values.iter().copied().filter(|value| of(value) != Kinship::Stranger).collect();
    if alone && claims.len() > 1 {
        let message = format!("{} records of the kind stand there: none of them counts.", claims.len());
        finding.fail(Status::Duplicate, "duplicate", message, "Keep the one that is shown, and delete the others.");
        finding.differ(claims[0]);
    } else if claims.iter().any(|value| of(value) == Kinship::Ours) {
        finding.pass("It is published.");
        view.settle(finding, scene.at, |records| records.iter().any(|seen| of(&seen.value) == Kinship::Ours));
    } else if let Some(found) = claims.first().or_else(|| values.first()) {
        let fallback = || {
            let word = if of(found) == Kinship::Broken { "broken" } else { "other-value" };
            (
                word,
                format!("Another value stands there: \"{}\".", super::short(found)),
                "Publish the value that is shown.".to_owned(),
            )
        };
        let (reason, message, remedy) = mishaps::damage(&record.value, found).unwrap_or_else(fallback);
        finding.fail(Status::Mismatch, reason, message, remedy);
        finding.differ(found);
    } else {
        mishaps::missing(scene, finding, |value| of(value) == Kinship::Ours);
        if view.no_such_name {
            finding.error = Some(super::DnsErrorKind::Nxdomain);
        }
    }
    Some(())
}
