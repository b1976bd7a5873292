//! The manifest: what a backup holds and from when, as JSON that a person can read too.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::digest::hex;
use super::{BackupError, failed};
use crate::store::table::Position;

const NAME: &str = "manifest.json";
/// The latest format that this program reads and the one that it writes.
const FORMAT: u32 = 2;

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFact {
    /// Its path in the backup.
    pub name: String,
    /// Its length.
    pub octets: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// From when a backup is: the recovery point.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stand {
    /// When it began, in RFC 3339: what was acknowledged before is in it.
    pub taken: String,
    /// The gateway's hostname.
    pub hostname: String,
    /// The version of the program that made it.
    pub program: String,
    /// Letters in the queue.
    pub letters: u64,
    /// How many changes the control data had seen.
    pub control_changes: u64,
    /// The name of the key-encryption key; the key itself is nowhere in the backup.
    pub kek: String,
}

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of this file and of the folder.
    pub format: u32,
    /// From when it is.
    #[serde(flatten)]
    pub stand: Stand,
    /// The place in the journal up to which it goes.
    pub position: Position,
    /// Every other file.
    pub files: Vec<FileFact>,
    /// HMAC-SHA-256 of all this (with an empty seal) under a key that the control key gives, in hexadecimal.
    pub seal: String,
}

impl Manifest {
    pub(super) fn new(stand: Stand, position: Position, files: Vec<FileFact>) -> Self {
        Self { format: FORMAT, stand, position, files, seal: String::new() }
    }

    /// The octets that the seal covers.
    pub(super) fn sealed_octets(&self) -> Result<Vec<u8>, BackupError> {
        let open = Self { seal: String::new(), ..self.clone() };
        serde_json::to_vec(&open).map_err(|e| BackupError::Control(e.to_string()))
    }

    pub(super) fn set_seal(&mut self, mac: &[u8]) {
        self.seal = hex(mac);
    }

    /// Octets of all files.
    pub fn octets(&self) -> u64 {
        self.files.iter().map(|file| file.octets).sum()
    }

    /// Writes it under its name, whole or not at all, and makes the backup durable.
    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| BackupError::Control(e.to_string()))?;
        let unfinished = folder.join(format!("{NAME}.new"));
        let mut file = super::digest::Hashed::create(&unfinished)?;
        file.write(&text)?;
        file.finish(NAME)?;
        super::sync_tree(folder)?;
        std::fs::rename(&unfinished, folder.join(NAME)).map_err(failed("renaming", &unfinished))?;
        super::sync_tree(folder)
    }

    /// Reads the manifest of a backup.
    pub(super) fn read(folder: &Path) -> Result<Self, BackupError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let path = folder.join(NAME);
        let text = std::fs::read(&path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => {
                BackupError::NoBackup(folder.to_owned())
            }
            _ => failed("reading", &path)(error),
        })?;
        let unreadable = |e: serde_json::Error| BackupError::Damaged(format!("manifest.json: {e}"));
        let Format { format } = serde_json::from_slice(&text).map_err(unreadable)?;
        if format > FORMAT {
            return Err(BackupError::Newer { found: format, known: FORMAT });
        }
        let manifest: Self = serde_json::from_slice(&text).map_err(unreadable)?;
        // A name is followed into the folder, and on a restore into the data folder: never out of either.
        let outside = |file: &&FileFact| !Path::new(&file.name).components().all(|c| matches!(c, Component::Normal(_)));
        if let Some(file) = manifest.files.iter().find(outside) {
            return Err(BackupError::Damaged(format!(
                "manifest.json names a file outside of the backup: {}",
                file.name
            )));
        }
        Ok(manifest)
    }

    pub(super) fn is_name(name: &str) -> bool {
        name == NAME
    }
}
