//! `waxseal audit show|verify|export`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::control::{GatewayArgs, ListArgs};
use super::{CliError, Exit, print};
use crate::tenants::AuditReport;
use crate::tenants::audit;
use crate::web::control::{AuditLine, AuditPage};

/// `waxseal audit`.
#[derive(Debug, Args)]
pub(super) struct AuditArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show what was changed, oldest first.
    #[command(after_help = "Example:\n  waxseal audit show --after 1000 --limit 50")]
    Show {
        #[command(flatten)]
        list: ListArgs,
        /// Only lines after this number.
        #[arg(long, default_value_t = 0, value_name = "NUMBER")]
        after: u64,
    },
    /// Check that no line was changed or taken out; exit status 3 if one was.
    #[command(after_help = "Examples:\n  waxseal audit verify\n  \
                            waxseal audit verify --file audit.json --public-key 3b6a27bc…")]
    Verify {
        /// Check an export instead of the running gateway's own.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The public key that you have kept, in hexadecimal; without it, the one that the gateway names.
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print everything that a check elsewhere needs, as one JSON document.
    #[command(after_help = "Example:\n  waxseal audit export > audit.json")]
    Export,
}

pub(super) fn run(args: &AuditArgs) -> Result<(), CliError> {
    match &args.verb {
        Verb::Show { list, after } => {
            let path = format!("/v1/audit?after={after}&limit={}", list.limit);
            let page: AuditPage = args.gateway.run(async |client| client.get(&path).await)?;
            print::list(&page.lines, list.json, ["NUMBER", "AT", "BY", "WHAT"], |line| {
                [line.number.to_string(), line.record.at.to_rfc3339(), line.record.by.clone(), line.record.what.clone()]
            })
        }
        Verb::Verify { file, public_key, json } => {
            let page = match file {
                Some(file) => read(file)?,
                None => export(&args.gateway)?,
            };
            let key = public_key.as_deref().unwrap_or(&page.public_key);
            let lines = page.lines.iter().map(|line| (line.number, line.record.clone()));
            report(&audit::verify(lines, &page.checkpoints, key), *json)
        }
        Verb::Export => print::json(&export(&args.gateway)?),
    }
}

fn read(file: &std::path::Path) -> Result<AuditPage, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::new(Exit::Usage, format!("{}: {error}", file.display()));
    let text = std::fs::read(file).map_err(|error| failed(&error))?;
    serde_json::from_slice(&text).map_err(|error| failed(&error))
}

/// All lines; page by page, and in the end once more the checkpoints, of which new ones may have been made.
fn export(gateway: &GatewayArgs) -> Result<AuditPage, CliError> {
    gateway.run(async |client| {
        let mut lines: Vec<AuditLine> = Vec::new();
        loop {
            let after = lines.last().map_or(0, |line| line.number);
            let page: AuditPage = client.get(&format!("/v1/audit?after={after}&limit=10000")).await?;
            if page.lines.is_empty() {
                let last = after;
                let checkpoints = page.checkpoints.into_iter().filter(|one| one.number <= last).collect();
                return Ok(AuditPage { lines, checkpoints, public_key: page.public_key });
            }
            lines.extend(page.lines);
        }
    })
}

fn report(report: &AuditReport, json: bool) -> Result<(), CliError> {
    if json {
        print::json(report)?;
    } else {
        print::text(&print::fields(&[
            ("lines", report.lines.to_string()),
            ("last line", format!("{} {}", report.last, report.head)),
            ("checkpoints", format!("{}, up to line {}", report.checkpoints, report.signed_up_to)),
            ("public key", report.public_key.clone()),
        ]))?;
    }
    if report.problems.is_empty() {
        return Ok(());
    }
    let shown: Vec<&str> = report.problems.iter().take(20).map(String::as_str).collect();
    Err(CliError::new(Exit::Problems, format!("the audit was tampered with:\n{}", shown.join("\n"))))
}
