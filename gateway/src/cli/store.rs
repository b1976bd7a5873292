//! `waxseal store check`.

use clap::{Args, Subcommand};

use super::control::GatewayArgs;
use super::{CliError, Exit, print};
use crate::admin::ports::StoreCheckReport;

/// `waxseal store`.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check every record's checksum and seal; status 3 if any is damaged.
    #[command(after_help = "Example:\n  waxseal store check --json")]
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: &StoreArgs) -> Result<(), CliError> {
    let Verb::Check { json } = &args.verb;
    let report: StoreCheckReport =
        args.gateway.run(async |client| client.post("/v1/store:check", &serde_json::json!({})).await)?;
    if *json {
        print::json(&report)?;
    } else {
        print::line(&format!("{} records, {} damaged", report.records, report.damaged.len()))?;
        let rows = report.damaged.iter().map(|record| [record.place.clone(), record.why.clone()]);
        if !report.damaged.is_empty() {
            print::text(&print::table(["PLACE", "WHY"], rows))?;
        }
    }
    if report.damaged.is_empty() {
        Ok(())
    } else {
        Err(CliError::new(Exit::Problems, print::count(report.damaged.len(), "damaged record")))
    }
}
