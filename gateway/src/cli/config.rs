//! `waxseal config check|example`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::control::mistakes;
use super::{CliError, print};
use crate::config;

/// `waxseal config`.
#[derive(Debug, Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Check a file; tells every mistake at once, with file:line:column.
    #[command(after_help = "Example:\n  waxseal config check --config /etc/waxseal/waxseal.toml")]
    Check {
        /// The file.
        #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
        config: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print the default file: every key, its default, and what it is for.
    #[command(after_help = "Example:\n  waxseal config example > waxseal.toml")]
    Example,
}

pub(super) fn run(args: ConfigArgs) -> Result<(), CliError> {
    match args.verb {
        Verb::Example => print::text(&config::example()),
        Verb::Check { config: path, json } => check(&path, json),
    }
}

fn check(path: &std::path::Path, as_json: bool) -> Result<(), CliError> {
    let result = config::load(path);
    let warnings = result.as_ref().map(warnings).unwrap_or_default();
    if as_json {
        let complaints: Vec<_> =
            result.as_ref().err().map_or(&[][..], config::ConfigErrors::complaints).iter().collect();
        print::json(&serde_json::json!({
            "ok": complaints.is_empty(),
            "complaints": complaints.iter().map(|complaint| serde_json::json!({
                "place": complaint.place.to_string(),
                "key": complaint.key,
                "problem": complaint.problem,
                "remedy": complaint.remedy,
            })).collect::<Vec<_>>(),
            "warnings": warnings,
        }))?;
    }
    match result {
        Ok(_) if as_json => Ok(()),
        Ok(_) => {
            for warning in &warnings {
                eprintln!("waxseal: warning: {warning}");
            }
            print::line(&format!("{}: no mistakes", path.display()))
        }
        Err(errors) => Err(mistakes(&errors)),
    }
}

/// What this machine adds: secrets that are not there or that everybody may read. Warnings only, since a file is
/// often checked on another machine than the one that it is for.
fn warnings(config: &config::Config) -> Vec<String> {
    let tls = config.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
    let secrets = std::iter::once(&config.kek).chain(tls);
    // A certificate is public; only keys are worth a warning about who may read them.
    let certificate = config.tls.as_ref().map(|tls| &tls.certificate);
    secrets
        .filter_map(|secret| match secret.read() {
            Err(error) => Some(error.to_string()),
            Ok(_) if Some(secret) == certificate => None,
            Ok(_) => secret.warning(),
        })
        .collect()
}
