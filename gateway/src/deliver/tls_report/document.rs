//! The report itself: JSON (RFC 8460 §4.4), compressed, and the mail that carries it (§5.3).
//!
//! Promises: names in A-labels, fields that are not known left out rather than null, the same report the same id.
//! The mail says `TLS-Required: No` (RFC 8689 §5): a report about broken TLS must get through broken TLS.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use mail_auth::report::tlsrpt::{
    DateRange, FailureDetails, Policy, PolicyDetails, PolicyType, ResultType, Summary, TlsReport,
};
use serde_json::Value;

use super::FailureKind;
use super::book::{Counts, Day, FailedSession, Page, PolicyKind, ReportedPolicy};
use crate::message::{DomainName, Mailbox};

/// The media type of a compressed report (RFC 8460 §6.4).
pub const MEDIA_TYPE: &str = "application/tlsrpt+gzip";

/// Who reports.
#[derive(Debug, Clone)]
pub struct Reporting {
    /// The organization.
    pub organization: String,
    /// Whom to ask.
    pub contact: String,
    /// The domain that submits: this gateway's name.
    pub submitter: DomainName,
}

/// One domain's day, ready to be sent.
#[derive(Debug, Clone)]
pub struct Document {
    /// The domain that it is about.
    pub domain: DomainName,
    /// The compressed JSON.
    pub compressed: Vec<u8>,
    report: TlsReport,
    submitter: DomainName,
}

impl Document {
    /// Writes a page down; the error is of compressing in memory and so never happens in practice.
    pub fn write(day: Day, domain: &DomainName, page: &Page, by: &Reporting) -> std::io::Result<Self> {
        let (begin, end) = (day.begins().seconds() as i64, day.ends().seconds() as i64 - 1);
        let report = TlsReport {
            organization_name: Some(by.organization.clone()),
            date_range: DateRange::from_timestamps(begin, end),
            contact_info: Some(by.contact.clone()),
            report_id: format!("{begin}.{domain}@{}", by.submitter),
            policies: page.policies.iter().map(|(policy, counts)| described(policy, counts)).collect(),
        };
        // Reports hold numbers and texts only: they always serialize.
        let mut json = serde_json::to_value(&report).unwrap_or_default();
        without_nulls(&mut json);
        let mut compressor = GzEncoder::new(Vec::new(), Compression::default());
        compressor.write_all(json.to_string().as_bytes())?;
        let compressed = compressor.finish()?;
        Ok(Self { domain: domain.clone(), compressed, report, submitter: by.submitter.clone() })
    }

    /// The report's id.
    pub fn id(&self) -> &str {
        &self.report.report_id
    }

    /// The mail that carries it, CRLF line ends.
    pub fn mail(&self, from: &Mailbox, to: &Mailbox) -> std::io::Result<Vec<u8>> {
        let (from, to) = (from.to_string(), to.to_string());
        let mut message = b"TLS-Required: No\r\n".to_vec();
        self.report.write_rfc5322_from_bytes(
            self.domain.as_str(),
            self.submitter.as_str(),
            from.as_str(),
            std::iter::once(to.as_str()),
            &self.compressed,
            &mut message,
        )?;
        Ok(message)
    }
}

fn described(policy: &ReportedPolicy, counts: &Counts) -> Policy {
    let policy_type = match policy.kind {
        PolicyKind::Tlsa => PolicyType::Tlsa,
        PolicyKind::Sts => PolicyType::Sts,
        PolicyKind::NoPolicyFound => PolicyType::NoPolicyFound,
    };
    let number = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Policy {
        policy: PolicyDetails {
            policy_type,
            policy_string: policy.text.clone(),
            policy_domain: policy.domain.clone(),
            mx_host: policy.mx.clone(),
        },
        summary: Summary { total_success: number(counts.good), total_failure: number(counts.failed) },
        failure_details: counts.failures.iter().map(|(failure, count)| detailed(failure, number(*count))).collect(),
    }
}

fn detailed(failed: &FailedSession, count: u32) -> FailureDetails {
    FailureDetails {
        result_type: result_type(failed.failure.kind),
        sending_mta_ip: failed.source,
        receiving_mx_hostname: failed.host.clone(),
        receiving_mx_helo: None,
        receiving_ip: failed.address,
        failed_session_count: count,
        additional_information: None,
        failure_reason_code: Some(failed.failure.reason.to_string()),
    }
}

const fn result_type(kind: FailureKind) -> ResultType {
    match kind {
        FailureKind::StarttlsNotSupported => ResultType::StartTlsNotSupported,
        FailureKind::CertificateHostMismatch => ResultType::CertificateHostMismatch,
        FailureKind::CertificateExpired => ResultType::CertificateExpired,
        FailureKind::CertificateNotTrusted => ResultType::CertificateNotTrusted,
        FailureKind::ValidationFailure => ResultType::ValidationFailure,
        FailureKind::TlsaInvalid => ResultType::TlsaInvalid,
        FailureKind::DnssecInvalid => ResultType::DnssecInvalid,
        FailureKind::DaneRequired => ResultType::DaneRequired,
        FailureKind::StsPolicyFetchError => ResultType::StsPolicyFetchError,
        FailureKind::StsPolicyInvalid => ResultType::StsPolicyInvalid,
        FailureKind::StsWebpkiInvalid => ResultType::StsWebpkiInvalid,
    }
}

/// What is not known is not there: the schema has no null, and empty lists say less than none.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            let empty = |value: &Value| value.is_null() || value.as_array().is_some_and(Vec::is_empty);
            members.retain(|name, value| name == "policies" || !empty(value));
            members.values_mut().for_each(without_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::clock::Timestamp;
    use crate::deliver::tls_report::TlsFailure;

    #[test]
    fn a_report_has_the_fields_of_the_rfc_and_no_null() {
        let policy = ReportedPolicy {
            kind: PolicyKind::Sts,
            domain: "there.example".into(),
            text: vec!["version: STSv1".into(), "mode: testing".into()],
            mx: vec!["*.there.example".into()],
        };
        let failed = FailedSession {
            failure: TlsFailure::new(FailureKind::CertificateExpired, "expired"),
            host: Some("mx.there.example".into()),
            address: Some([192, 0, 2, 1].into()),
            source: None,
        };
        let counts = Counts { good: 5, failed: 2, failures: vec![(failed, 2)] };
        let page = Page { policies: vec![(policy, counts)], ..Page::default() };
        let by = Reporting {
            organization: "Relay".into(),
            contact: "mailto:postmaster@relay.example".into(),
            submitter: "mx1.relay.example".parse().unwrap(),
        };
        let day = Day::of(Timestamp::parse_rfc3339("2026-11-24T12:00:00Z").unwrap());
        let document = Document::write(day, &"there.example".parse().unwrap(), &page, &by).unwrap();
        let mut json = String::new();
        flate2::read::GzDecoder::new(document.compressed.as_slice()).read_to_string(&mut json).unwrap();
        let value: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["date-range"]["start-datetime"], "2026-11-24T00:00:00Z");
        assert_eq!(value["date-range"]["end-datetime"], "2026-11-24T23:59:59Z");
        assert_eq!(value["policies"][0]["policy"]["policy-type"], "sts");
        assert_eq!(value["policies"][0]["summary"]["total-failure-session-count"], 2);
        let detail = &value["policies"][0]["failure-details"][0];
        assert_eq!(
            (&detail["result-type"], &detail["receiving-ip"]),
            (&"certificate-expired".into(), &"192.0.2.1".into())
        );
        assert!(!json.contains("null"), "{json}");
        let (from, to) = ("reports@relay.example".parse().unwrap(), "tls@there.example".parse().unwrap());
        let mail = String::from_utf8(document.mail(&from, &to).unwrap()).unwrap();
        for field in [
            "TLS-Required: No\r\n",
            "TLS-Report-Domain: there.example\r\n",
            "TLS-Report-Submitter: mx1.relay.example\r\n",
            "report-type=\"tlsrpt\"",
            "mx1.relay.example!there.example!1795478400!1795564799.json.gz",
        ] {
            assert!(mail.contains(field), "{field} is missing in\n{mail}");
        }
    }
}
