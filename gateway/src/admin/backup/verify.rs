//! Checking a backup without a gateway, and without writing anything: read-only media will do.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use waxseal_keys::sealing::KeyEncryptionKey;

use super::digest::{hex, read};
use super::manifest::{Manifest, Stand};
use super::{BackupError, CONTROL, JOURNAL, failed, files};
use crate::clock::Clock;
use crate::ids::TenantId;
use crate::store::control::FrozenDisk;
use crate::store::disk::segment_number;
use crate::store::frame::{self, HEADER_LEN, Step};
use crate::store::journal::{FrameKeys, SEGMENT_HEADER_LEN, TenantKeys, read_segment_header};
use crate::store::record;
use crate::store::table::{Effect, Position, Table};
use crate::tenants::Registry;

/// Something wrong with a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

/// What a check of a backup found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// From when it is.
    #[serde(flatten)]
    pub stand: Stand,
    /// How many files were read.
    pub files: usize,
    /// Their octets.
    pub octets: u64,
    /// How many records of the journal were read.
    pub records: u64,
    /// Were the seals opened too, with the key-encryption key?
    pub opened: bool,
    /// Letters that a restore brings back by the journal alone; known if the seals were opened.
    pub readable_letters: Option<u64>,
    /// What is wrong; empty: it is whole.
    pub problems: Vec<Problem>,
}

struct RegistryKeys(Registry);

impl TenantKeys for RegistryKeys {
    fn data_key(&self, tenant: TenantId) -> Option<Arc<waxseal_keys::sealing::DataKey>> {
        self.0.data_key(tenant)
    }
}

/// Checks every digest and every record's checksum; with the key-encryption key every seal too, and that control
/// data and journal give the queue back without the index.
pub fn verify(folder: &Path, kek: Option<&KeyEncryptionKey>, clock: Arc<dyn Clock>) -> Result<Verified, BackupError> {
    let manifest = Manifest::read(folder)?;
    if let Some(kek) = kek
        && kek.id().to_string() != manifest.stand.kek
    {
        return Err(BackupError::OtherKek { backup: manifest.stand.kek, given: kek.id() });
    }
    let mut found = Verified {
        files: manifest.files.len(),
        octets: manifest.octets(),
        records: 0,
        opened: false,
        readable_letters: None,
        problems: digests(folder, &manifest)?,
        stand: manifest.stand.clone(),
    };
    let keys = match kek {
        None => None,
        Some(kek) => open_control(folder, kek, clock, &manifest, &mut found)?,
    };
    found.opened = keys.is_some();
    let mut table = Table::new(0);
    for number in segments(&manifest) {
        read_segment(folder, number, keys.as_ref(), &mut table, &mut found)?;
    }
    if found.opened {
        let readable = table.len() as u64;
        found.readable_letters = Some(readable);
        if readable != manifest.stand.letters {
            let what = format!("{} letters were queued, the journal gives {readable} back", manifest.stand.letters);
            found.problems.push(Problem { file: JOURNAL.to_owned(), what });
        }
    }
    Ok(found)
}

/// What does not have the length and digest of the manifest, is missing, or is not in it.
pub(super) fn digests(folder: &Path, manifest: &Manifest) -> Result<Vec<Problem>, BackupError> {
    let mut problems = Vec::new();
    let mut problem = |file: &str, what: String| problems.push(Problem { file: file.to_owned(), what });
    for wanted in &manifest.files {
        match read(&folder.join(&wanted.name), &wanted.name, |_| Ok(())) {
            Ok(fact) if fact == *wanted => {}
            Ok(fact) if fact.octets != wanted.octets => {
                problem(&wanted.name, format!("has {} octets instead of {}", fact.octets, wanted.octets));
            }
            Ok(_) => problem(&wanted.name, "does not have the digest of the manifest".to_owned()),
            Err(BackupError::Io { why, .. }) => problem(&wanted.name, why.to_string()),
            Err(other) => return Err(other),
        }
    }
    for name in files(folder)? {
        if !Manifest::is_name(&name) && manifest.files.iter().all(|file| file.name != name) {
            problem(&name, "is not in the manifest".to_owned());
        }
    }
    Ok(problems)
}

fn open_control(
    folder: &Path,
    kek: &KeyEncryptionKey,
    clock: Arc<dyn Clock>,
    manifest: &Manifest,
    found: &mut Verified,
) -> Result<Option<FrameKeys>, BackupError> {
    let Ok(octets) = std::fs::read(folder.join(CONTROL)) else { return Ok(None) };
    let registry = match Registry::open_on(Box::new(FrozenDisk::new(octets)), kek, clock) {
        Ok(registry) => registry,
        Err(error) => {
            found.problems.push(Problem { file: CONTROL.to_owned(), what: error.to_string() });
            return Ok(None);
        }
    };
    if hex(&registry.seal_of_backup(&manifest.sealed_octets()?)) != manifest.seal {
        let what = "its seal does not fit: it was changed, or its files are of several backups";
        found.problems.push(Problem { file: "manifest.json".to_owned(), what: what.to_owned() });
    }
    Ok(Some(FrameKeys::new(Arc::new(RegistryKeys(registry)))))
}

/// The numbers of a backup's segments, ascending.
fn segments(manifest: &Manifest) -> Vec<u64> {
    let number = |name: &str| segment_number(name.strip_prefix(JOURNAL)?.strip_prefix('/')?);
    let mut numbers: Vec<u64> = manifest.files.iter().filter_map(|file| number(&file.name)).collect();
    numbers.sort_unstable();
    numbers
}

fn read_segment(
    folder: &Path,
    number: u64,
    keys: Option<&FrameKeys>,
    table: &mut Table,
    found: &mut Verified,
) -> Result<(), BackupError> {
    let name = format!("{JOURNAL}/{}", crate::store::disk::segment_name(number));
    let path = folder.join(&name);
    let octets = match std::fs::read(&path) {
        Ok(octets) => octets,
        // Told with the digests.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed("reading", &path)(error)),
    };
    let mut problem = |what: String| found.problems.push(Problem { file: name.clone(), what });
    let Some(salt) = read_segment_header(&octets, number) else {
        // A crash between making a segment and its first sync leaves less than a header, and no record.
        if octets.len() > SEGMENT_HEADER_LEN {
            problem("the segment's header is damaged".to_owned());
        }
        return Ok(());
    };
    for step in frame::walk(&octets, SEGMENT_HEADER_LEN) {
        match step {
            Step::Damaged(at, bad) | Step::Tail(at, bad) => {
                problem(format!("{} octets from octet {at} on are no record", bad.len()));
            }
            Step::Frame(at, header, payload) => {
                found.records += 1;
                let Some(keys) = keys else { continue };
                let plain = keys.open(&salt, &header, payload).map_err(|e| e.to_string());
                match plain.and_then(|plain| record::decode(&plain).map_err(|e| e.to_string())) {
                    Ok(entries) => {
                        let effects = entries.into_iter().map(|(entry, body)| Effect::of(entry, &body, None)).collect();
                        let at = Position { segment: number, offset: at as u64 };
                        table.apply(at, (HEADER_LEN + payload.len()) as u32, effects);
                    }
                    Err(what) => problem(format!("letter {}, octet {at}: {what}", header.letter)),
                }
            }
        }
    }
    Ok(())
}
