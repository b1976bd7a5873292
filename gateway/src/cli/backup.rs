//! `waxseal backup create|verify|restore`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};
use waxseal_keys::sealing::KeyEncryptionKey;

use super::control::{ConsentArgs, GatewayArgs};
use super::{CliError, Exit, print};
use crate::admin::backup::{self, BackupError, Verified};
use crate::admin::ports::BackupReport;
use crate::admin::server::BackupRequest;
use crate::clock::SystemClock;
use crate::config::SecretRef;

/// `waxseal backup`.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Copy control data and queue of the running gateway into a new folder.
    ///
    /// Everything stays sealed as it is; the key-encryption key is not in the copy: keep it elsewhere. The gateway
    /// writes the folder, so its user must be allowed to.
    #[command(after_help = "Example:\n  waxseal backup create /var/lib/waxseal-backups/monday")]
    Create {
        /// The new folder.
        folder: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Check a backup: every digest and checksum, with the key every seal too; status 3 if anything is wrong.
    ///
    /// Needs no gateway and writes nothing. The key is taken from --kek, or from the configuration if --config is
    /// given; without a key the seals stay closed.
    #[command(after_help = "Example:\n  waxseal backup verify /mnt/backups/monday --kek file:/etc/waxseal/kek")]
    Verify {
        /// The backup.
        folder: PathBuf,
        /// The key-encryption key: file:PATH, env:NAME or cred:NAME.
        #[arg(long, value_name = "SECRET")]
        kek: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Put a backup in the place of the data folder's control data and queue, while no gateway runs on it.
    ///
    /// What is there is put aside in the data folder, never deleted. Mail that was accepted after the backup is not
    /// in it; mail that was delivered after it will be delivered once more.
    #[command(
        after_help = "Example:\n  waxseal backup restore /mnt/backups/monday --config /etc/waxseal/waxseal.toml --yes"
    )]
    Restore {
        /// The backup.
        folder: PathBuf,
        #[command(flatten)]
        consent: ConsentArgs,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl From<BackupError> for CliError {
    fn from(error: BackupError) -> Self {
        let exit = match &error {
            BackupError::NoBackup(_) => Exit::NotFound,
            BackupError::Damaged(_) => Exit::Problems,
            BackupError::OtherKek { .. } | BackupError::NotEmpty(_) => Exit::Refused,
            BackupError::Inside(_) | BackupError::Relative(_) => Exit::Usage,
            BackupError::Newer { .. }
            | BackupError::NoRoom { .. }
            | BackupError::Control(_)
            | BackupError::Store(_)
            | BackupError::Beside(..)
            | BackupError::Io { .. } => Exit::RunTime,
        };
        Self::new(exit, error.to_string())
    }
}

pub(super) fn run(args: &BackupArgs) -> Result<(), CliError> {
    match &args.verb {
        Verb::Create { folder, json } => create(&args.gateway, folder, *json),
        Verb::Verify { folder, kek, json } => {
            let kek = match kek {
                Some(reference) => Some(read_key(reference)?),
                None => args.gateway.named_config()?.map(|config| crate::run::read_kek_of(&config)).transpose()?,
            };
            show(&backup::verify(folder, kek.as_ref(), Arc::new(SystemClock))?, *json)
        }
        Verb::Restore { folder, consent, json } => restore(&args.gateway, folder, consent, *json),
    }
}

fn create(gateway: &GatewayArgs, folder: &Path, json: bool) -> Result<(), CliError> {
    let whole =
        std::path::absolute(folder).map_err(|e| CliError::new(Exit::Usage, format!("{}: {e}", folder.display())))?;
    let request = BackupRequest { folder: whole };
    let made: BackupReport = gateway.run(async |client| client.post("/v1/backups", &request).await)?;
    if json {
        return print::json(&made);
    }
    print::text(&print::fields(&[
        ("folder", made.folder.display().to_string()),
        ("taken", made.taken),
        ("letters", made.letters.to_string()),
        ("size", format!("{} bytes in {}", made.octets, print::count(made.files, "file"))),
        ("took", format!("{} ms", made.millis)),
        ("key", format!("{} (not in the backup: keep it elsewhere)", made.kek)),
    ]))
}

fn read_key(reference: &str) -> Result<KeyEncryptionKey, CliError> {
    let wrong = |e: &dyn std::fmt::Display| CliError::new(Exit::Usage, format!("--kek: {e}"));
    let secret: SecretRef = reference.parse().map_err(|_| {
        CliError::new(Exit::Usage, "--kek: write file:PATH, env:NAME or cred:NAME, never the key itself")
    })?;
    let octets = secret.read().map_err(|e| wrong(&e))?;
    let text = std::str::from_utf8(&octets).map_err(|e| wrong(&e))?;
    KeyEncryptionKey::parse(text).map_err(|e| wrong(&e))
}

fn show(found: &Verified, json: bool) -> Result<(), CliError> {
    if json {
        print::json(found)?;
    } else {
        let seals = match found.readable_letters {
            Some(letters) => {
                format!("opened; the journal alone gives {} back", print::count(letters as usize, "letter"))
            }
            None => "not opened: give --kek or --config to open them".to_owned(),
        };
        print::text(&print::fields(&[
            ("taken", found.stand.taken.clone()),
            ("gateway", format!("{}, waxseal {}", found.stand.hostname, found.stand.program)),
            ("letters", found.stand.letters.to_string()),
            (
                "read",
                format!(
                    "{} bytes in {}, {}",
                    found.octets,
                    print::count(found.files, "file"),
                    print::count(found.records as usize, "record")
                ),
            ),
            ("key", found.stand.kek.clone()),
            ("seals", seals),
            ("problems", found.problems.len().to_string()),
        ]))?;
        let rows = found.problems.iter().map(|problem| [problem.file.clone(), problem.what.clone()]);
        if !found.problems.is_empty() {
            print::text(&print::table(["FILE", "WHAT"], rows))?;
        }
    }
    if found.problems.is_empty() {
        Ok(())
    } else {
        Err(CliError::new(Exit::Problems, print::count(found.problems.len(), "problem")))
    }
}

fn restore(gateway: &GatewayArgs, folder: &Path, consent: &ConsentArgs, json: bool) -> Result<(), CliError> {
    let data_dir = gateway.data_dir()?;
    let kek = gateway.named_config()?.map(|config| crate::run::read_kek_of(&config)).transpose()?;
    // Before anything is touched: the whole of it, with the key that the gateway will have, if that is known.
    let found = backup::verify(folder, kek.as_ref(), Arc::new(SystemClock))?;
    if let Some(first) = found.problems.first() {
        let text = format!("the backup is damaged: {}: {}; nothing was restored", first.file, first.what);
        return Err(CliError::new(Exit::Problems, text));
    }
    let replaced = backup::holds_data(&data_dir);
    if replaced || consent.only_looking() {
        let letters = print::count(found.stand.letters as usize, "letter");
        let aside = if replaced { "put the data in it aside and " } else { "" };
        let what = format!(
            "in {}: {aside}restore the backup of {} with {letters}; what was accepted later is not in it",
            data_dir.display(),
            found.stand.taken
        );
        if !consent.given(&what)? {
            return Ok(());
        }
    }
    let done = crate::run::restore_backup(folder, &data_dir)?;
    let aside = done.set_aside.as_ref().map(|path| path.display().to_string());
    if json {
        return print::json(&serde_json::json!({
            "data_dir": data_dir,
            "taken": done.stand.taken,
            "letters": done.stand.letters,
            "set_aside": aside,
        }));
    }
    print::text(&print::fields(&[
        ("data_dir", data_dir.display().to_string()),
        ("taken", done.stand.taken),
        ("letters", done.stand.letters.to_string()),
        ("put aside", aside.unwrap_or_else(|| "nothing was there".to_owned())),
        ("next", "start the gateway; mail that was delivered after the backup will be delivered once more".to_owned()),
    ]))
}
