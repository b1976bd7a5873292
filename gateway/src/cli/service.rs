//! The gateway as a whole: `demo`, `serve`, `version`, `health`, `drain`, `reload`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::control::{GatewayArgs, duration, load_config};
use super::{CliError, Exit, print};
use crate::admin::ports::Health;
use crate::admin::server::{DrainRequest, Drained, Reloaded};
use crate::config;

/// Show the whole way of a message on this machine: no configuration, no privileges, no internet.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  waxseal demo\n  waxseal demo --json | jq '.messages[].dkim'")]
pub(super) struct DemoArgs {
    /// Print one JSON object instead of the story.
    #[arg(long)]
    json: bool,
    /// Leave everything running and print the addresses.
    #[arg(long)]
    keep_running: bool,
}

pub(super) fn demo(args: &DemoArgs) -> Result<(), CliError> {
    crate::demo::run(crate::demo::Options { json: args.json, keep_running: args.keep_running })
}

/// Run the gateway in the foreground; SIGTERM drains it, SIGHUP reads configuration and certificates again.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  waxseal serve --config /etc/waxseal/waxseal.toml")]
pub(super) struct ServeArgs {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = config::DEFAULT_PATH)]
    config: PathBuf,
}

pub(super) fn serve(args: &ServeArgs) -> Result<(), CliError> {
    crate::run::serve(load_config(&args.config)?)
}

/// Print the version.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  waxseal version --json")]
pub(super) struct VersionArgs {
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn version(args: &VersionArgs) -> Result<(), CliError> {
    let version = env!("CARGO_PKG_VERSION");
    if args.json {
        let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
        print::json(&serde_json::json!({ "name": "waxseal", "version": version, "os": os, "arch": arch }))
    } else {
        print::line(&format!("waxseal {version}"))
    }
}

/// Ask the running gateway whether it can do its work; status 3 if not.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  waxseal health --config /etc/waxseal/waxseal.toml")]
pub(super) struct HealthArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn health(args: &HealthArgs) -> Result<(), CliError> {
    let health: Health = args.gateway.run(async |client| client.get("/v1/health").await)?;
    if args.json {
        print::json(&health)?;
    } else if health.ok {
        print::line("ok")?;
    }
    let reasons = health.reasons.join("\n");
    if !health.ok {
        return Err(CliError::new(Exit::Problems, if reasons.is_empty() { "not ready".into() } else { reasons }));
    }
    if args.json || reasons.is_empty() { Ok(()) } else { print::line(&reasons) }
}

/// Stop taking mail, let running deliveries end, and stop the gateway. What is queued stays queued.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  waxseal drain --timeout 60s")]
pub(super) struct DrainArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Wait at most so long.
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "TIME")]
    timeout: Duration,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn drain(args: &DrainArgs) -> Result<(), CliError> {
    let request = DrainRequest { timeout_seconds: args.timeout.as_secs() };
    let drained: Drained = args.gateway.run(async |client| client.post("/v1/drain", &request).await)?;
    if args.json {
        print::json(&drained)?;
    }
    match drained.complete {
        true if args.json => Ok(()),
        true => print::line("drained: nothing runs any more"),
        false => {
            let span = config::format_duration(args.timeout);
            Err(CliError::new(
                Exit::RunTime,
                format!("some deliveries still ran after {span}; their letters stay queued"),
            ))
        }
    }
}

/// Read configuration and certificates again. On a mistake everything stays as it was.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  waxseal reload")]
pub(super) struct ReloadArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn reload(args: &ReloadArgs) -> Result<(), CliError> {
    let reloaded: Reloaded =
        args.gateway.run(async |client| client.post("/v1/reload", &serde_json::json!({})).await)?;
    if args.json {
        return print::json(&reloaded);
    }
    print::line("reloaded")?;
    reloaded.notes.iter().try_for_each(|note| print::line(note))
}
