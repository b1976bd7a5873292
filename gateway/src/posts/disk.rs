//! The disk under the posts, as the few steps that can each fail or be cut off: a sled database of its own.
//!
//! Promises of [`LocalPostDisk`]: what `sync` answered is on the medium. sled 0.34 flushes with `sync_file_range`,
//! which does not survive a power cut, so its `db` file is synced once more. sled panics on some damaged files; that
//! is caught and told as damage. Values over 64 KB are refused: sled would put them into files that it does not sync.

use std::fs::{self, File};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use parking_lot::RwLock;

use crate::store::control::{DiskError, Record, Write};

/// The most that one sealed value may be.
pub const MAX_VALUE: usize = 64 << 10;
const CACHE_OCTETS: u64 = 32 << 20;

/// The steps. `apply` is seen by `get` and `scan` at once; after a crash before `sync`, all of it is there or none.
pub trait PostDisk: Send + Sync + 'static {
    /// One record.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError>;
    /// Records whose key begins with `prefix`, in the order of keys; `each` says whether to go on.
    fn scan(&self, prefix: &[u8], each: &mut dyn FnMut(Record) -> bool) -> Result<(), DiskError>;
    /// Applies all of `writes`.
    fn apply(&self, writes: &[Write]) -> Result<(), DiskError>;
    /// Makes what was applied survive a power cut.
    fn sync(&self) -> Result<(), DiskError>;
    /// Copies everything, as it is at one moment, into the new folder `target`, for a backup.
    fn copy_into(&self, _target: &Path) -> Result<(), String> {
        Err("these posts are not on a disk".to_owned())
    }
}

/// `<data_dir>/posts/` with sled in it.
pub struct LocalPostDisk {
    path: PathBuf,
    database: sled::Db,
    /// Held by changes together, by a copy alone: a post and its text are of one moment.
    copying: RwLock<()>,
}

fn refused(path: &Path, error: &std::io::Error) -> DiskError {
    DiskError::Refused(format!("{}: {error}", path.display()))
}

fn sync_folder(path: &Path) -> Result<(), DiskError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| refused(path, &error))
}

fn catching<T>(work: impl FnOnce() -> Result<T, sled::Error>) -> Result<T, DiskError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error))) => Err(DiskError::Refused(error.to_string())),
        Ok(Err(error)) => Err(DiskError::Damaged(error.to_string())),
        Err(_) => Err(DiskError::Damaged("sled could not read its own file".to_owned())),
    }
}

impl LocalPostDisk {
    /// Opens the database in `<data_dir>/posts/`, making it (mode 0700) if need be.
    pub fn open(data_dir: &Path) -> Result<Self, DiskError> {
        let path = data_dir.join("posts");
        if !path.is_dir() {
            let mut builder = fs::DirBuilder::new();
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(&path).map_err(|error| refused(&path, &error))?;
            sync_folder(data_dir)?;
        }
        let config = sled::Config::new().path(&path).cache_capacity(CACHE_OCTETS).flush_every_ms(None);
        let database = catching(|| config.open())?;
        sync_folder(&path)?;
        Ok(Self { path, database, copying: RwLock::default() })
    }

    /// Moves a damaged database out of the way and returns its new name; deletes nothing.
    pub fn move_aside(data_dir: &Path, seconds: u64) -> Result<PathBuf, DiskError> {
        let path = data_dir.join("posts");
        let aside = data_dir.join(format!("posts.damaged-{seconds}"));
        fs::rename(&path, &aside).map_err(|error| refused(&path, &error))?;
        Ok(aside)
    }
}

impl PostDisk for LocalPostDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        catching(|| self.database.get(key)).map(|value| value.map(|value| value.to_vec()))
    }

    fn scan(&self, prefix: &[u8], each: &mut dyn FnMut(Record) -> bool) -> Result<(), DiskError> {
        catching(|| {
            for item in self.database.scan_prefix(prefix) {
                let (key, value) = item?;
                if !each((key.to_vec(), value.to_vec())) {
                    break;
                }
            }
            Ok(())
        })
    }

    fn apply(&self, writes: &[Write]) -> Result<(), DiskError> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) if value.len() > MAX_VALUE => {
                    return Err(DiskError::Refused(format!("a record of {} octets is too large", value.len())));
                }
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        let _no_copy = self.copying.read();
        catching(|| self.database.apply_batch(batch))
    }

    fn copy_into(&self, target: &Path) -> Result<(), String> {
        let _no_change = self.copying.write();
        crate::store::sled_file::copy(&self.database, target)
    }

    fn sync(&self) -> Result<(), DiskError> {
        catching(|| self.database.flush())?;
        let file = self.path.join("db");
        File::open(&file).and_then(|opened| opened.sync_data()).map_err(|error| refused(&file, &error))
    }
}
