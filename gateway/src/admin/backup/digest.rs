//! Files that are hashed while they are written or read.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};

use super::manifest::FileFact;
use super::{BackupError, failed};

/// Octets that are read and written at once.
pub(super) const CHUNK: usize = 1 << 20;

pub(super) fn hex(octets: &[u8]) -> String {
    octets.iter().fold(String::with_capacity(octets.len() * 2), |mut text, octet| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{octet:02x}");
        text
    })
}

/// A new file, mode 0600, that is durable when [`Hashed::finish`] returns.
pub(super) struct Hashed {
    path: PathBuf,
    file: File,
    hash: Context,
    octets: u64,
}

impl Hashed {
    pub(super) fn create(path: &Path) -> Result<Self, BackupError> {
        let file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
        let file = file.map_err(failed("making", path))?;
        Ok(Self { path: path.to_owned(), file, hash: Context::new(&SHA256), octets: 0 })
    }

    pub(super) fn write(&mut self, octets: &[u8]) -> Result<(), BackupError> {
        self.file.write_all(octets).map_err(failed("writing", &self.path))?;
        self.hash.update(octets);
        self.octets += octets.len() as u64;
        Ok(())
    }

    /// What the manifest says of it, under `name`.
    pub(super) fn finish(self, name: &str) -> Result<FileFact, BackupError> {
        self.file.sync_all().map_err(failed("syncing", &self.path))?;
        Ok(FileFact { name: name.to_owned(), octets: self.octets, sha256: hex(self.hash.finish().as_ref()) })
    }
}

/// Reads a file in pieces and returns what a manifest would say of it; `each` gets the pieces.
pub(super) fn read(
    path: &Path,
    name: &str,
    mut each: impl FnMut(&[u8]) -> Result<(), BackupError>,
) -> Result<FileFact, BackupError> {
    let mut file = File::open(path).map_err(failed("reading", path))?;
    let (mut hash, mut octets) = (Context::new(&SHA256), 0);
    let mut chunk = vec![0; CHUNK];
    loop {
        let length = file.read(&mut chunk).map_err(failed("reading", path))?;
        if length == 0 {
            break;
        }
        hash.update(&chunk[..length]);
        octets += length as u64;
        each(&chunk[..length])?;
    }
    Ok(FileFact { name: name.to_owned(), octets, sha256: hex(hash.finish().as_ref()) })
}
