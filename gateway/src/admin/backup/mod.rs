//! Backups: a consistent copy of control data and queue while the gateway runs, its check, and its way back.
//!
//! Promises: a copy holds every letter and every change that was acknowledged before it began, as it lies on disk
//! (sealed; the key-encryption key is not in it); a copy without a manifest is unfinished and never used; the
//! manifest names every file with length and SHA-256 and is itself sealed by the control key, so that a file of
//! another day is seen. A restore touches nothing before every digest was checked, deletes nothing, and a gateway
//! does not start on a folder in which a restore stopped half-way. Refuses: to write into a folder that holds
//! something, to restore over data without consent.
//!
//! ```text
//! manifest.json  control.snapshot  journal/<number>.journal  index/…  posts/…  suppressions/…  history/…
//! ```
//!
//! The last three are databases of their own, each of one moment shortly after the queue's.

mod create;
mod digest;
mod manifest;
mod restore;
#[cfg(test)]
mod tests;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

use waxseal_keys::sealing::KeyId;

use crate::store::StoreError;

pub use create::{Made, create};
pub use manifest::{FileFact, Manifest, Stand};
pub use restore::{Restored, UNFINISHED, holds_data, restore};
pub use verify::{Problem, Verified, verify};

/// The control data's file in a backup, and in `<data_dir>/control/`.
const CONTROL: &str = "control.snapshot";
const JOURNAL: &str = "journal";
const INDEX: &str = "index";
/// The databases beside control data and queue; in a backup and in the data folder by the same names. A backup of an
/// earlier program has none of them.
pub const BESIDE: [&str; 3] = ["posts", "suppressions", "history"];

/// Copies one of [`BESIDE`] into a new folder.
pub type CopyInto<'a> = (&'static str, &'a dyn Fn(&Path) -> Result<(), String>);

/// Why a backup is not made, read or restored. Nothing has changed then, unless the text says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is no finished backup; the operator's mistake.
    #[error("{0} holds no manifest.json: it is not a backup, or one that was not finished")]
    NoBackup(PathBuf),
    /// Written by a later program.
    #[error(
        "this backup has format {found}; this program knows up to {known}: use the waxseal that made it, or a later one"
    )]
    Newer {
        /// The backup's.
        found: u32,
        /// The latest one that is known.
        known: u32,
    },
    /// The folder holds something already.
    #[error("{0} is not an empty folder: give the name of a new one")]
    NotEmpty(PathBuf),
    /// The folder lies inside the data that it shall hold.
    #[error("{0} lies in the data folder: a backup beside its original is lost together with it")]
    Inside(PathBuf),
    /// The name says nothing to a process with another working folder.
    #[error("{0} is not an absolute path")]
    Relative(PathBuf),
    /// No room for the copy.
    #[error("the backup needs {needed} bytes, {free} are free at {place}")]
    NoRoom {
        /// Octets to be written.
        needed: u64,
        /// Octets free there.
        free: u64,
        /// Where.
        place: PathBuf,
    },
    /// The key is not the one that the backup was sealed under.
    #[error(
        "the backup is sealed under key-encryption key {backup}, but the key at hand is {given}: find the right one"
    )]
    OtherKek {
        /// The backup's.
        backup: String,
        /// The one that was given.
        given: KeyId,
    },
    /// The copy is not what was written; see `waxseal backup verify`.
    #[error("the backup is damaged: {0}; nothing was restored")]
    Damaged(String),
    /// Control data could not be copied or opened.
    #[error("control data: {0}")]
    Control(String),
    /// The queue could not be copied.
    #[error("queue: {0}")]
    Store(#[from] StoreError),
    /// One of the databases beside them could not be copied.
    #[error("{0}: {1}")]
    Beside(&'static str, String),
    /// The operating system refused.
    #[error("{what} {path}: {why}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        why: io::Error,
    },
}

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    move |why| BackupError::Io { what, path: path.to_owned(), why }
}

/// Every file under `folder`, by its path in it with `/` between names, in that order.
fn files(folder: &Path) -> Result<Vec<String>, BackupError> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), String::new())];
    while let Some((path, prefix)) = open.pop() {
        for entry in std::fs::read_dir(&path).map_err(failed("reading", &path))? {
            let entry = entry.map_err(failed("reading", &path))?;
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                open.push((entry.path(), format!("{name}/")));
            } else {
                found.push(name);
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Makes the names in a folder and in its folders survive a power cut.
fn sync_tree(folder: &Path) -> Result<(), BackupError> {
    for entry in std::fs::read_dir(folder).map_err(failed("reading", folder))? {
        let path = entry.map_err(failed("reading", folder))?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        }
    }
    crate::store::disk::sync_directory(folder).map_err(failed("syncing", folder))
}

/// Makes a folder that only its owner may enter, with those above it.
fn make_folder(path: &Path) -> Result<(), BackupError> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("making", path))
}

fn free_octets(path: &Path) -> u64 {
    rustix::fs::statvfs(path).map_or(u64::MAX, |stat| stat.f_bavail.saturating_mul(stat.f_frsize))
}
