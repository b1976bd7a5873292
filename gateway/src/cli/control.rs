//! What commands about a running gateway share: where its socket is, who asks, consent to destruction.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{CliError, Exit, print};
use crate::admin::client::ControlClient;
use crate::admin::ports::ApplyReport;
use crate::config;

/// Which gateway.
#[derive(Debug, Args)]
pub(super) struct GatewayArgs {
    /// The gateway's configuration; its data folder is used [default: /etc/waxseal/waxseal.toml].
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The gateway's data folder, where its control socket is [environment: WAXSEAL_DATA_DIR].
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
}

impl GatewayArgs {
    /// The configuration, if one was named on the command line.
    pub(super) fn named_config(&self) -> Result<Option<config::Config>, CliError> {
        self.config.as_deref().map(load_config).transpose()
    }

    /// The gateway's data folder.
    pub(super) fn data_dir(&self) -> Result<PathBuf, CliError> {
        if let Some(dir) = &self.data_dir {
            return Ok(dir.clone());
        }
        // What is typed stands above the environment; clap's own reading of variables would call that a conflict.
        let variable = std::env::var_os("WAXSEAL_DATA_DIR").filter(|dir| !dir.is_empty());
        if let (None, Some(dir)) = (&self.config, variable) {
            return Ok(dir.into());
        }
        let path = self.config.clone().unwrap_or_else(|| config::DEFAULT_PATH.into());
        if self.config.is_none() && !path.exists() {
            let text =
                format!("which gateway? {} does not exist: give --config FILE or --data-dir DIR", path.display());
            return Err(CliError::new(Exit::Usage, text));
        }
        Ok(load_config(&path)?.data_dir)
    }

    /// The gateway's configuration, from its file.
    pub(super) fn load_config(&self) -> Result<config::Config, CliError> {
        let path = self.config.clone().unwrap_or_else(|| config::DEFAULT_PATH.into());
        if self.config.is_none() && (self.data_dir.is_some() || !path.exists()) {
            return Err(CliError::new(Exit::Usage, "this needs the gateway's configuration: give --config FILE"));
        }
        load_config(&path)
    }

    /// Connects, and runs `work` to its end.
    pub(super) fn run<T>(&self, work: impl AsyncFnOnce(ControlClient) -> Result<T, CliError>) -> Result<T, CliError> {
        let data_dir = self.data_dir()?;
        block_on(async { work(ControlClient::connect(&data_dir, invoker()).await?).await })?
    }
}

/// Runs `work` to its end on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| CliError::new(Exit::RunTime, format!("cannot start: {error}")))?;
    Ok(runtime.block_on(work))
}

/// Reads a configuration; its mistakes are a usage error.
pub(super) fn load_config(path: &std::path::Path) -> Result<config::Config, CliError> {
    config::load(path).map_err(|errors| mistakes(&errors))
}

/// Each complaint on a line of its own that begins with file:line:column, as editors and CI read it.
pub(super) fn mistakes(errors: &config::ConfigErrors) -> CliError {
    let count = print::count(errors.complaints().len(), "mistake");
    CliError::new(Exit::Usage, format!("{count} in the configuration\n{errors}"))
}

/// How a list is shown.
#[derive(Debug, Args)]
pub(super) struct ListArgs {
    /// Print JSON.
    #[arg(long)]
    pub(super) json: bool,
    /// Show at most so many.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(super) limit: usize,
}

/// Consent to what cannot be undone.
#[derive(Debug, Args)]
pub(super) struct ConsentArgs {
    /// Only say what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do it; without this, only the count is told.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

impl ConsentArgs {
    /// Was `--dry-run` given?
    pub(super) fn only_looking(&self) -> bool {
        self.dry_run
    }

    /// Tells `what` would be done; true if it shall be. Without consent it is a usage error.
    pub(super) fn given(&self, what: &str) -> Result<bool, CliError> {
        if self.yes {
            return Ok(true);
        }
        if self.dry_run {
            print::line(&format!("would {what}"))?;
            return Ok(false);
        }
        Err(CliError::new(Exit::Usage, format!("this would {what}: add --yes to do it, or --dry-run to only look")))
    }

    /// The same for a report of single changes.
    pub(super) fn given_for(&self, report: &ApplyReport) -> Result<bool, CliError> {
        let what = format!("make {}", print::count(report.changes.len(), "change"));
        let list: Vec<String> = report.changes.iter().map(|change| print::clean(change)).collect();
        self.given(&format!("{what} ({})", list.join("; ")))
    }
}

/// Prints what was changed.
pub(super) fn print_changes(report: &ApplyReport, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return print::json(report);
    }
    if report.changes.is_empty() {
        return print::line("nothing to change");
    }
    report.changes.iter().try_for_each(|change| print::line(&print::clean(change)))
}

/// A time such as `60s` or `90d`, for clap.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    config::parse_duration(text).ok_or_else(|| "write a time such as 60s, 15m, 4h or 90d".to_owned())
}

/// The name of the user who runs the command, for the record; under sudo the one who called it.
pub(super) fn invoker() -> String {
    let sudo = std::env::var("SUDO_USER").ok().filter(|name| !name.is_empty());
    let uid = rustix::process::getuid().as_raw();
    sudo.or_else(|| user_name(&std::fs::read_to_string("/etc/passwd").unwrap_or_default(), uid))
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_graphic()))
        .unwrap_or_else(|| format!("uid-{uid}"))
}

fn user_name(passwd: &str, uid: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_is_found_by_number() {
        let passwd = "root:x:0:0::/root:/bin/sh\n\nbroken\nanna:x:1000:1000::/home/anna:/bin/sh\n";
        assert_eq!(user_name(passwd, 1000).as_deref(), Some("anna"));
        assert_eq!(user_name(passwd, 7), None);
        assert!(!invoker().is_empty());
    }

    #[test]
    fn consent_is_asked_for_by_status() {
        let consent = |dry_run, yes| ConsentArgs { dry_run, yes }.given("remove 2 domains");
        assert!(consent(false, true).unwrap());
        assert!(!consent(true, false).unwrap());
        let refused = consent(false, false).unwrap_err();
        assert_eq!(refused.exit, Exit::Usage);
        assert!(refused.message.contains("remove 2 domains") && refused.message.contains("--yes"));
    }
}
