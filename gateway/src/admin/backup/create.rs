//! Making a backup of a running store.

use std::path::{Path, PathBuf};

use super::digest::{CHUNK, Hashed, read};
use super::manifest::{FileFact, Manifest, Stand};
use super::{BESIDE, BackupError, CONTROL, CopyInto, INDEX, JOURNAL, failed, files, free_octets, make_folder};
use crate::clock::{Clock, Timestamp};
use crate::store::LocalStore;
use crate::tenants::Registry;

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// From when it is.
    pub stand: Stand,
    /// How many files.
    pub files: usize,
    /// Their octets.
    pub octets: u64,
}

/// Copies `registry` and `store` of the gateway `hostname` with this data folder into the new folder `target`.
/// Blocks for as long as the disk needs; mail goes on meanwhile, only the index's checkpoints wait while it is
/// copied. After an error the folder is as it was.
pub fn create(
    store: &LocalStore,
    registry: &Registry,
    clock: &dyn Clock,
    hostname: &str,
    data_dir: &Path,
    target: &Path,
    beside: &[CopyInto<'_>],
) -> Result<Made, BackupError> {
    let was_there = prepare(data_dir, target)?;
    let made = copy(store, registry, (clock.now(), hostname), target, beside);
    if made.is_err() {
        // Only what this call wrote: the folder was empty or not there.
        for name in [JOURNAL, INDEX].into_iter().chain(BESIDE) {
            let _ = std::fs::remove_dir_all(target.join(name));
        }
        let _ = [CONTROL, "manifest.json.new"].map(|name| std::fs::remove_file(target.join(name)));
        if !was_there {
            let _ = std::fs::remove_dir(target);
        }
    }
    made
}

/// Makes the folder; was it there, and empty?
fn prepare(data_dir: &Path, target: &Path) -> Result<bool, BackupError> {
    if !target.is_absolute() {
        return Err(BackupError::Relative(target.to_owned()));
    }
    let was_there = match std::fs::read_dir(target) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(BackupError::NotEmpty(target.to_owned()));
            }
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
            return Err(BackupError::NotEmpty(target.to_owned()));
        }
        Err(error) => return Err(failed("reading", target)(error)),
    };
    // Compared after links are followed; what is not there yet has no links of its own.
    let whole = |path: &Path| -> PathBuf {
        path.ancestors()
            .find_map(|above| {
                let rest = path.strip_prefix(above).ok()?;
                Some(above.canonicalize().ok()?.join(rest))
            })
            .unwrap_or_else(|| path.to_owned())
    };
    if whole(target).starts_with(whole(data_dir)) {
        return Err(BackupError::Inside(target.to_owned()));
    }
    make_folder(target)?;
    Ok(was_there)
}

fn copy(
    store: &LocalStore,
    registry: &Registry,
    (taken, hostname): (Timestamp, &str),
    target: &Path,
    beside: &[CopyInto<'_>],
) -> Result<Made, BackupError> {
    let (needed, free) = (store.octets().0, free_octets(target));
    if needed > free {
        return Err(BackupError::NoRoom { needed, free, place: target.to_owned() });
    }
    let pinned = store.pin();
    let index = target.join(INDEX);
    let (position, letters) = pinned.copy_index(&index)?;
    let journal = target.join(JOURNAL);
    make_folder(&journal)?;
    let mut facts = Vec::new();
    for (number, length) in pinned.segments(position)? {
        facts.push(copy_segment(store, number, length, &journal)?);
    }
    drop(pinned);
    // After the journal: a letter's tenant, and so its data key, was there before the letter.
    let control = registry.copy_of_control().map_err(|e| BackupError::Control(e.to_string()))?;
    let mut file = Hashed::create(&target.join(CONTROL))?;
    file.write(&control.octets)?;
    facts.push(file.finish(CONTROL)?);
    hash_files(target, INDEX, &mut facts)?;
    for (name, copy_into) in beside {
        let folder = target.join(name);
        make_folder(&folder)?;
        copy_into(&folder).map_err(|problem| BackupError::Beside(name, problem))?;
        hash_files(target, name, &mut facts)?;
    }
    let stand = Stand {
        taken: taken.to_rfc3339(),
        hostname: hostname.to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        letters,
        control_changes: control.changes,
        kek: control.kek.to_string(),
    };
    let mut manifest = Manifest::new(stand, position, facts);
    manifest.set_seal(&registry.seal_of_backup(&manifest.sealed_octets()?));
    manifest.write(target)?;
    Ok(Made { files: manifest.files.len(), octets: manifest.octets(), stand: manifest.stand })
}

/// Makes what a database wrote durable, and hashes it.
fn hash_files(target: &Path, part: &str, facts: &mut Vec<FileFact>) -> Result<(), BackupError> {
    let folder = target.join(part);
    for name in files(&folder)? {
        let path = folder.join(&name);
        facts.push(read(&path, &format!("{part}/{name}"), |_| Ok(()))?);
        std::fs::File::open(&path).and_then(|file| file.sync_all()).map_err(failed("syncing", &path))?;
    }
    Ok(())
}

fn copy_segment(store: &LocalStore, number: u64, length: u64, folder: &Path) -> Result<FileFact, BackupError> {
    let name = crate::store::disk::segment_name(number);
    let mut file = Hashed::create(&folder.join(&name))?;
    let mut chunk = vec![0; CHUNK];
    let mut offset = 0;
    while offset < length {
        let part = &mut chunk[..usize::try_from(length - offset).unwrap_or(CHUNK).min(CHUNK)];
        store.read_raw(number, offset, part)?;
        file.write(part)?;
        offset += part.len() as u64;
    }
    file.finish(&format!("{JOURNAL}/{name}"))
}
