//! Bringing a backup back into a data folder on which no gateway runs.
//!
//! The order: every digest, then copies beside the old data, then renames. From the first copy to the last rename
//! the folder [`UNFINISHED`] stands in the data folder, and a gateway does not start: half of a restore (control
//! data without its queue) would look like an empty queue.

use std::path::{Path, PathBuf};

use super::digest::{Hashed, read};
use super::manifest::{Manifest, Stand};
use super::verify::digests;
use super::{BESIDE, BackupError, CONTROL, failed, free_octets, make_folder, sync_tree};
use crate::clock::Timestamp;

/// The folder in a data folder that is there while a restore is not finished.
pub const UNFINISHED: &str = "restoring";
/// What a restore replaces.
const PARTS: [&str; 2] = ["control", "queue"];

/// What a restore did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// From when the backup is: what was acknowledged later is not in it.
    pub stand: Stand,
    /// Where the data that was there has been put.
    pub set_aside: Option<PathBuf>,
}

/// Is there data that a restore would replace?
pub fn holds_data(data_dir: &Path) -> bool {
    PARTS.iter().any(|part| data_dir.join(part).exists())
}

/// Checks the backup's digests, puts what is in `data_dir` aside and the backup in its place. The caller holds the
/// lock of the data folder and has asked for consent.
pub fn restore(folder: &Path, data_dir: &Path, now: Timestamp) -> Result<Restored, BackupError> {
    let manifest = Manifest::read(folder)?;
    let problems = digests(folder, &manifest)?;
    if let Some(first) = problems.first() {
        let more = if problems.len() > 1 { format!(" and {} more", problems.len() - 1) } else { String::new() };
        return Err(BackupError::Damaged(format!("{} {}{more}", first.file, first.what)));
    }
    let (needed, free) = (manifest.octets(), free_octets(data_dir));
    if needed > free {
        return Err(BackupError::NoRoom { needed, free, place: data_dir.to_owned() });
    }
    let staging = data_dir.join(UNFINISHED);
    if staging.exists() {
        // Of a restore that was cut off; its source is the backup.
        std::fs::remove_dir_all(&staging).map_err(failed("removing", &staging))?;
    }
    let parts = parts_of(&manifest);
    for part in &parts {
        make_folder(&staging.join(part))?;
    }
    sync_tree(&staging)?;
    crate::store::disk::sync_directory(data_dir).map_err(failed("syncing", data_dir))?;
    for file in &manifest.files {
        let target = match beside(&file.name) {
            Some(_) => staging.join(&file.name),
            None if file.name == CONTROL => staging.join("control").join(&file.name),
            None => staging.join("queue").join(&file.name),
        };
        if let Some(parent) = target.parent() {
            make_folder(parent)?;
        }
        let mut copy = Hashed::create(&target)?;
        read(&folder.join(&file.name), &file.name, |octets| copy.write(octets))?;
        if copy.finish(&file.name)? != *file {
            return Err(BackupError::Damaged(format!("{} changed while it was read", file.name)));
        }
    }
    sync_tree(&staging)?;
    let set_aside = put_aside(data_dir, &parts, now)?;
    for part in &parts {
        let from = staging.join(part);
        std::fs::rename(&from, data_dir.join(part)).map_err(failed("renaming", &from))?;
    }
    crate::store::disk::sync_directory(data_dir).map_err(failed("syncing", data_dir))?;
    std::fs::remove_dir(&staging).map_err(failed("removing", &staging))?;
    crate::store::disk::sync_directory(data_dir).map_err(failed("syncing", data_dir))?;
    Ok(Restored { stand: manifest.stand, set_aside })
}

/// Which of [`BESIDE`] a file belongs to.
fn beside(name: &str) -> Option<&'static str> {
    let (first, _) = name.split_once('/')?;
    BESIDE.into_iter().find(|part| *part == first)
}

/// What this backup replaces; of the databases beside the queue those that are in it.
fn parts_of(manifest: &Manifest) -> Vec<&'static str> {
    let there = |part: &&'static str| manifest.files.iter().any(|file| beside(&file.name) == Some(part));
    PARTS.into_iter().chain(BESIDE.into_iter().filter(there)).collect()
}

fn put_aside(data_dir: &Path, parts: &[&str], now: Timestamp) -> Result<Option<PathBuf>, BackupError> {
    if !holds_data(data_dir) {
        return Ok(None);
    }
    let names = (0..).map(|n| data_dir.join(format!("replaced-{}", now.seconds() + n)));
    let aside = names.into_iter().find(|path| !path.exists()).unwrap_or_else(|| data_dir.join("replaced"));
    make_folder(&aside)?;
    for part in parts {
        let from = data_dir.join(part);
        if from.exists() {
            std::fs::rename(&from, aside.join(part)).map_err(failed("renaming", &from))?;
        }
    }
    crate::store::disk::sync_directory(&aside).map_err(failed("syncing", &aside))?;
    Ok(Some(aside))
}
