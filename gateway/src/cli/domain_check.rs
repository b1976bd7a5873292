//! `waxseal domain check`: how a domain's records stand, for people and programs.

use std::path::Path;
use std::time::Duration;

use waxseal_dns::check::{Difference, Finding, Fixture, Group, Piece, Report, Severity, Status, check};

use super::control::GatewayArgs;
use super::{CliError, Exit, print};
use crate::admin::client::{query, segment};

/// The first wait of `--watch`, and the longest.
const WAITS: (Duration, Duration) = (Duration::from_secs(5), Duration::from_mins(5));

/// Checks by the running gateway; with `watch` again and again until nothing is left to do.
pub(super) fn by_gateway(gateway: &GatewayArgs, domain: &str, watch: bool, json: bool) -> Result<(), CliError> {
    let path = format!("/v1/domains/{}:check", segment(domain));
    let report = gateway.run(async |client| {
        let mut wait = WAITS.0;
        let mut last: Option<Report> = None;
        loop {
            let report: Report = client.post(&path, &()).await?;
            if !watch || report.ok {
                return Ok(report);
            }
            let same = |old: &Report| {
                old.findings.iter().map(|f| (&f.id, f.status)).eq(report.findings.iter().map(|f| (&f.id, f.status)))
            };
            if last.as_ref().is_some_and(same) {
                wait = (wait * 2).min(WAITS.1);
            } else {
                wait = WAITS.0;
                show(&report, json)?;
            }
            last = Some(report);
            tokio::time::sleep(wait).await;
        }
    })?;
    finish(&report, json)
}

/// Checks by the running gateway, and keeps what the servers said. The report is made from the file's content, so that a
/// replay shows the same.
pub(super) fn saved(gateway: &GatewayArgs, domain: &str, file: &Path, json: bool) -> Result<(), CliError> {
    let path = format!("/v1/domains/{}:check{}", segment(domain), query(&[("save", Some("true".to_owned()))]));
    let fixture: Fixture = gateway.run(async |client| client.post(&path, &()).await)?;
    let text = serde_json::to_string_pretty(&fixture).map_err(|e| CliError::new(Exit::RunTime, e.to_string()))?;
    let unwritten = |error| CliError::new(Exit::RunTime, format!("{}: {error}", file.display()));
    std::fs::write(file, text + "\n").map_err(unwritten)?;
    finish(&check(&fixture.expectations, &fixture.answers, fixture.at).report, json)
}

/// Replays a saved check; no network is touched.
pub(super) fn by_fixture(file: &Path, json: bool) -> Result<(), CliError> {
    let unreadable = |why: &dyn std::fmt::Display| CliError::new(Exit::Usage, format!("{}: {why}", file.display()));
    let text = std::fs::read(file).map_err(|error| unreadable(&error))?;
    let fixture: Fixture = serde_json::from_slice(&text).map_err(|error| unreadable(&error))?;
    finish(&check(&fixture.expectations, &fixture.answers, fixture.at).report, json)
}

fn finish(report: &Report, json: bool) -> Result<(), CliError> {
    show(report, json)?;
    if report.ok {
        return Ok(());
    }
    let count = print::count(report.problems().count(), "problem");
    Err(CliError::new(Exit::Problems, format!("{}: {count}", report.domain)))
}

fn show(report: &Report, json: bool) -> Result<(), CliError> {
    if json { print::json(report) } else { print::text(&text(report)) }
}

/// The report as a person reads it: what is wrong in full, what is well in one line.
fn text(report: &Report) -> String {
    let mut lines = vec![format!("{}, checked {}", report.domain, report.checked)];
    let groups = [
        (Group::Required, "Required"),
        (Group::Recommended, "Recommended"),
        (Group::Operator, "The gateway's operator"),
        (Group::Google, "Google's rules for bulk senders"),
        (Group::Yahoo, "Yahoo's"),
        (Group::Microsoft, "Microsoft's"),
    ];
    for (group, title) in groups {
        let findings: Vec<&Finding> = report.findings.iter().filter(|finding| finding.group == group).collect();
        if !findings.is_empty() {
            lines.extend([String::new(), title.to_owned()]);
            for finding in findings {
                describe(finding, &mut lines);
            }
        }
    }
    lines.iter().map(|line| print::clean(line) + "\n").collect()
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Ok => "ok",
        Status::Missing => "missing",
        Status::Mismatch => "mismatch",
        Status::Duplicate => "duplicate",
        Status::Conflict => "conflict",
        Status::DnsError => "dns error",
        Status::Stale => "stale",
        Status::NotChecked => "not checked",
    }
}

fn describe(finding: &Finding, lines: &mut Vec<String>) {
    let sign = match finding.severity {
        Severity::None => "  ",
        Severity::Info => "i ",
        Severity::Warning => "! ",
        Severity::Error => "x ",
    };
    let name = match finding.record_type {
        Some(record_type) => format!("{} {}", record_type.as_str(), finding.name),
        None => finding.id.clone(),
    };
    lines.push(format!("{sign}{:<11} {name}: {}", word(finding.status), finding.message));
    if !finding.is_problem() {
        return;
    }
    if let Some(Difference { expected, found }) = &finding.difference {
        lines.push(format!("      expected  {}", marked(expected)));
        lines.push(format!("      found     {}", marked(found)));
    } else if !finding.expected.is_empty() {
        lines.push(format!("      expected  {}", finding.expected));
    }
    for seen in &finding.found {
        let what = if seen.values.is_empty() { seen.outcome.clone() } else { format!("{} found", seen.values.len()) };
        lines.push(format!("      seen at   {}: {what}", seen.vantage));
    }
    if !finding.breaks.is_empty() {
        lines.push(format!("      breaks    {}", finding.breaks));
    }
    if !finding.remedy.is_empty() {
        lines.push(format!("      do        {}", finding.remedy));
    }
}

/// What differs stands between » and «: colours would not survive a copy into a ticket.
fn marked(pieces: &[Piece]) -> String {
    pieces.iter().fold(String::new(), |mut out, piece| {
        if piece.same {
            out.push_str(&piece.text);
        } else {
            out.extend(["»", &piece.text, "«"]);
        }
        out
    })
}
