//! `waxseal kek rotate`.
//!
//! With `--new` the key is where the operator put it. Without, a new one is made beside the configured file and takes
//! its place when the gateway has answered; the old one stays under another name, because older backups need it. The
//! steps can be cut off anywhere: the gateway noted where the new key is, and the same command again finishes.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use waxseal_keys::sealing::KeyEncryptionKey;
use zeroize::Zeroizing;

use super::control::GatewayArgs;
use super::{CliError, Exit, print};
use crate::admin::ports::{KekReport, KekRequest};
use crate::config::SecretRef;

/// `waxseal kek`.
#[derive(Debug, Args)]
pub(super) struct KekArgs {
    #[command(flatten)]
    gateway: GatewayArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Wrap every data key under another key-encryption key, while the gateway runs.
    #[command(after_help = "Examples:\n  waxseal kek rotate --config /etc/waxseal/waxseal.toml\n  \
        waxseal kek rotate --new file:/etc/waxseal/kek-2027")]
    Rotate {
        /// Where the new key is: file:PATH or cred:NAME [default: a new one takes the configured file's place].
        #[arg(long, value_name = "REFERENCE")]
        new: Option<String>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
        /// Accepted as everywhere; nothing is destroyed.
        #[arg(long, conflicts_with = "dry_run", hide = true)]
        yes: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(args: KekArgs) -> Result<(), CliError> {
    let Verb::Rotate { new, dry_run, yes: _, json } = args.verb;
    let place = match new {
        Some(reference) => Place::Given(absolute(&reference)),
        None => Place::InPlace(configured_file(&args.gateway)?),
    };
    if dry_run {
        return print::line(&format!("would wrap every data key under {}", place.words()));
    }
    let reference = place.prepare()?;
    let request = KekRequest { new: reference };
    let report: KekReport = args.gateway.run(async |client| client.post("/v1/kek:rotate", &request).await)?;
    let kept = place.finish(&report)?;
    if json {
        return print::json(&report);
    }
    print::line(&if report.changed {
        format!("every data key is wrapped under key {} now, was under {}", report.now, report.before)
    } else {
        format!("every data key was wrapped under key {} already", report.now)
    })?;
    match (kept, report.configured) {
        (Some(kept), _) => {
            let kept = kept.display();
            print::line(&format!("the key before is {kept}: destroy it when no backup needs it any more"))
        }
        (None, true) => Ok(()),
        (None, false) => print::line(&format!(
            "write kek = \"{}\" into [crypto] of the configuration; until then a start finds the key by itself",
            request.new
        )),
    }
}

enum Place {
    /// Where the operator put it.
    Given(String),
    /// In the place of this file.
    InPlace(PathBuf),
}

/// The gateway has a working folder of its own.
fn absolute(reference: &str) -> String {
    match reference.strip_prefix("file:").map(std::path::absolute) {
        Some(Ok(path)) => format!("file:{}", path.display()),
        _ => reference.to_owned(),
    }
}

fn configured_file(gateway: &GatewayArgs) -> Result<PathBuf, CliError> {
    match gateway.load_config()?.kek {
        SecretRef::File(path) => std::path::absolute(&path).map_err(|e| failed(&path, &e)),
        other => Err(CliError::new(
            Exit::Usage,
            format!("[crypto] kek is {other}, which nobody but you can replace: give the new key with --new file:PATH"),
        )),
    }
}

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(Exit::RunTime, format!("{}: {error}", path.display()))
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

impl Place {
    fn words(&self) -> String {
        match self {
            Self::Given(reference) => format!("the key at {reference}"),
            Self::InPlace(path) => format!("a new key in {}", path.display()),
        }
    }

    /// The reference to the new key, which is durable when this returns.
    fn prepare(&self) -> Result<String, CliError> {
        let path = match self {
            Self::Given(reference) => return Ok(reference.clone()),
            Self::InPlace(path) => path,
        };
        let next = beside(path, ".next");
        // One that is there is of a rotation that was cut off: the store may be sealed under it.
        if !next.exists() {
            let kek = KeyEncryptionKey::generate().map_err(|e| CliError::new(Exit::RunTime, e.to_string()))?;
            let text = Zeroizing::new(format!("{}\n", kek.danger_to_hex().as_str()));
            write_like(path, &next, text.as_bytes())?;
        }
        Ok(format!("file:{}", next.display()))
    }

    /// Puts the new key in the old one's place; where the old one is now.
    fn finish(&self, report: &KekReport) -> Result<Option<PathBuf>, CliError> {
        let Self::InPlace(path) = self else { return Ok(None) };
        let (next, before) = (beside(path, ".next"), beside(path, &format!(".before-{}", report.now)));
        // A crash between the two leaves no configured key, and then the gateway's note counts.
        if path.exists() {
            fs::rename(path, &before).map_err(|e| failed(path, &e))?;
        }
        fs::rename(&next, path).map_err(|e| failed(&next, &e))?;
        sync_folder(path)?;
        Ok(Some(before))
    }
}

/// Writes a file that the same people may read as another one.
fn write_like(model: &Path, path: &Path, content: &[u8]) -> Result<(), CliError> {
    let like = fs::metadata(model).map_err(|e| failed(model, &e))?;
    let written = || -> std::io::Result<()> {
        let temporary = beside(path, ".tmp");
        let _ = fs::remove_file(&temporary);
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(content)?;
        // Only root can give a file away; for anybody else it is theirs already.
        if let Err(error) = std::os::unix::fs::fchown(&file, Some(like.uid()), Some(like.gid()))
            && file.metadata()?.uid() != like.uid()
        {
            return Err(error);
        }
        file.set_permissions(like.permissions())?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    written().map_err(|e| failed(path, &e))?;
    sync_folder(path)
}

fn sync_folder(of: &Path) -> Result<(), CliError> {
    let folder = of.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|e| failed(folder, &e))
}
