//! The disk under the control store, as the few steps that can each fail or be cut off.
//!
//! Promises of [`LocalDisk`]: what `sync_*` answered is on the medium. sled 0.34 flushes with `sync_file_range`,
//! which leaves file metadata behind, so its `db` file is synced once more by ourselves. Refuses a folder that
//! another process has open. sled panics on some damaged files; that is caught here and told as damage.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file that the database is rebuilt from.
const SNAPSHOT: &str = "control.snapshot";
const TEMPORARY: &str = "control.snapshot.new";
const REFERENCES: &str = "kek.references";
const NEW_REFERENCES: &str = "kek.references.new";
const DATABASE: &str = "database";
const LOCK: &str = "lock";

/// What a step of the disk met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskError {
    /// The files are there and cannot be what was written: worth a rebuild.
    Damaged(String),
    /// The operating system refused: worth nothing but an operator's look.
    Refused(String),
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged(what) | Self::Refused(what) => f.write_str(what),
        }
    }
}

/// One record: its key and its value, sealed as it lies on the disk or opened as the store gives it.
pub type Record = (Vec<u8>, Vec<u8>);
/// One step of a change: a key and its new sealed value, or `None` to remove it.
pub type Write = (Vec<u8>, Option<Vec<u8>>);

/// The steps that the control store is made of. Each may fail; a crash may fall between any two.
pub trait ControlDisk: Send {
    /// Opens the database, making an empty one if there is none. Called once, before any other step.
    fn open_database(&mut self) -> Result<(), DiskError>;

    /// Puts a damaged database aside under a name that it returns and opens an empty one; deletes nothing.
    fn set_database_aside(&mut self) -> Result<String, DiskError>;

    /// One record.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError>;

    /// Records whose key begins with `prefix` and comes after `after`, in the order of keys, at most `limit`.
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Record>, DiskError>;

    /// Applies all of `writes` or, after a crash, none.
    fn apply(&self, writes: &[Write]) -> Result<(), DiskError>;

    /// Makes what was applied survive a power cut.
    fn sync_database(&self) -> Result<(), DiskError>;

    /// The whole snapshot file, if there is one.
    fn read_snapshot(&self) -> Result<Option<Vec<u8>>, DiskError>;

    /// Adds to the end of the snapshot file.
    fn append_snapshot(&self, octets: &[u8]) -> Result<(), DiskError>;

    /// Makes what was appended survive a power cut.
    fn sync_snapshot(&self) -> Result<(), DiskError>;

    /// Writes a new snapshot file beside the old one.
    fn write_new_snapshot(&self, octets: &[u8]) -> Result<(), DiskError>;

    /// Makes the new snapshot file's contents survive a power cut.
    fn sync_new_snapshot(&self) -> Result<(), DiskError>;

    /// Puts the new snapshot file in the old one's place.
    fn rename_new_snapshot(&self) -> Result<(), DiskError>;

    /// Makes the renames survive a power cut.
    fn sync_directory(&self) -> Result<(), DiskError>;

    /// The file that says where key-encryption keys of rotations are, if there is one.
    fn read_references(&self) -> Result<Option<Vec<u8>>, DiskError>;

    /// Writes a new such file beside the old one.
    fn write_references(&self, octets: &[u8]) -> Result<(), DiskError>;

    /// Makes the new one's contents survive a power cut.
    fn sync_references(&self) -> Result<(), DiskError>;

    /// Puts the new one in the old one's place.
    fn rename_references(&self) -> Result<(), DiskError>;

    /// Removes it; it may be there again after a power cut.
    fn remove_references(&self) -> Result<(), DiskError>;
}

/// The real disk: `<data_dir>/control/` with sled in `database/` and the snapshot beside it.
pub struct LocalDisk {
    directory: PathBuf,
    database: Option<sled::Db>,
    // Held, not read: the lock ends with the file.
    _lock: File,
}

fn refused(what: &Path, error: &io::Error) -> DiskError {
    DiskError::Refused(format!("{}: {error}", what.display()))
}

fn sync_folder(path: &Path) -> Result<(), DiskError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| refused(path, &error))
}

impl LocalDisk {
    /// Takes the folder `<data_dir>/control/`, making it (mode 0700) if need be, and locks it against others.
    pub fn new(data_dir: &Path) -> Result<Self, DiskError> {
        let directory = data_dir.join("control");
        if !directory.is_dir() {
            let mut builder = fs::DirBuilder::new();
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.recursive(true).create(&directory).map_err(|error| refused(&directory, &error))?;
            sync_folder(data_dir)?;
        }
        let lock_path = directory.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(|error| refused(&lock_path, &error))?;
        lock.try_lock()
            .map_err(|_| DiskError::Refused(format!("{} is in use by another waxseal process", directory.display())))?;
        Ok(Self { directory, database: None, _lock: lock })
    }

    fn open_sled(&self) -> Result<sled::Db, DiskError> {
        let path = self.directory.join(DATABASE);
        let config = sled::Config::new().path(&path).cache_capacity(16 << 20).flush_every_ms(None);
        let mut attempts = 0;
        let database = loop {
            match catching(|| config.open()) {
                // Our own lock keeps other processes out; this is an earlier handle of this process on its way down.
                Err(DiskError::Damaged(why)) if why.contains("could not acquire lock") && attempts < 100 => {
                    attempts += 1;
                    std::thread::sleep(Duration::from_millis(10));
                }
                Err(DiskError::Damaged(why)) if why.contains("could not acquire lock") => {
                    return Err(DiskError::Refused(why));
                }
                other => break other?,
            }
        };
        sync_folder(&path)?;
        sync_folder(&self.directory)?;
        Ok(database)
    }

    fn database(&self) -> Result<&sled::Db, DiskError> {
        self.database.as_ref().ok_or_else(|| DiskError::Refused("the control database is not open".to_owned()))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DiskError> {
        let path = self.directory.join(name);
        match fs::read(&path) {
            Ok(octets) => Ok(Some(octets)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(refused(&path, &error)),
        }
    }

    fn sync_file(&self, name: &str) -> Result<(), DiskError> {
        let path = self.directory.join(name);
        OpenOptions::new()
            .write(true)
            .open(&path)
            .and_then(|file| file.sync_data())
            .map_err(|error| refused(&path, &error))
    }
}

/// Runs a call into sled; a panic in it is damage (it asserts what it reads), an error is sorted.
fn catching<T>(call: impl FnOnce() -> sled::Result<T>) -> Result<T, DiskError> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(sled::Error::Io(error)))
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied
                    | io::ErrorKind::StorageFull
                    | io::ErrorKind::QuotaExceeded
                    | io::ErrorKind::ReadOnlyFilesystem
                    | io::ErrorKind::OutOfMemory
            ) =>
        {
            Err(DiskError::Refused(format!("sled: {error}")))
        }
        Ok(Err(error)) => Err(DiskError::Damaged(format!("sled: {error}"))),
        Err(panic) => {
            let text = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied())
                .unwrap_or("no text");
            Err(DiskError::Damaged(format!("sled panicked: {text}")))
        }
    }
}

impl ControlDisk for LocalDisk {
    fn open_database(&mut self) -> Result<(), DiskError> {
        self.database = Some(self.open_sled()?);
        Ok(())
    }

    fn set_database_aside(&mut self) -> Result<String, DiskError> {
        // A damaged database may panic while it shuts down: its handle is given up, not dropped.
        std::mem::forget(self.database.take());
        let from = self.directory.join(DATABASE);
        let mut number = 1;
        let (name, to) = loop {
            let name = format!("{DATABASE}.damaged-{number}");
            let to = self.directory.join(&name);
            if !to.exists() {
                break (name, to);
            }
            number += 1;
        };
        fs::rename(&from, &to).map_err(|error| refused(&from, &error))?;
        sync_folder(&self.directory)?;
        self.database = Some(self.open_sled()?);
        Ok(name)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        let database = self.database()?;
        catching(|| Ok(database.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Record>, DiskError> {
        use std::ops::Bound;
        let database = self.database()?;
        catching(|| {
            let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
            database
                .range::<&[u8], _>((from, Bound::Unbounded))
                .take(limit)
                .take_while(|record| record.as_ref().map_or(true, |(key, _)| key.starts_with(prefix)))
                .map(|record| record.map(|(key, value)| (key.to_vec(), value.to_vec())))
                .collect()
        })
    }

    fn apply(&self, writes: &[Write]) -> Result<(), DiskError> {
        let database = self.database()?;
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        catching(|| database.apply_batch(batch))
    }

    fn sync_database(&self) -> Result<(), DiskError> {
        let database = self.database()?;
        catching(|| database.flush())?;
        self.sync_file(&format!("{DATABASE}/db"))
    }

    fn read_snapshot(&self) -> Result<Option<Vec<u8>>, DiskError> {
        self.read(SNAPSHOT)
    }

    fn append_snapshot(&self, octets: &[u8]) -> Result<(), DiskError> {
        let path = self.directory.join(SNAPSHOT);
        OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|mut file| file.write_all(octets))
            .map_err(|error| refused(&path, &error))
    }

    fn sync_snapshot(&self) -> Result<(), DiskError> {
        self.sync_file(SNAPSHOT)
    }

    fn write_new_snapshot(&self, octets: &[u8]) -> Result<(), DiskError> {
        let path = self.directory.join(TEMPORARY);
        fs::write(&path, octets).map_err(|error| refused(&path, &error))
    }

    fn sync_new_snapshot(&self) -> Result<(), DiskError> {
        self.sync_file(TEMPORARY)
    }

    fn rename_new_snapshot(&self) -> Result<(), DiskError> {
        let path = self.directory.join(TEMPORARY);
        fs::rename(&path, self.directory.join(SNAPSHOT)).map_err(|error| refused(&path, &error))
    }

    fn sync_directory(&self) -> Result<(), DiskError> {
        sync_folder(&self.directory)
    }

    fn read_references(&self) -> Result<Option<Vec<u8>>, DiskError> {
        self.read(REFERENCES)
    }

    fn write_references(&self, octets: &[u8]) -> Result<(), DiskError> {
        let path = self.directory.join(NEW_REFERENCES);
        fs::write(&path, octets).map_err(|error| refused(&path, &error))
    }

    fn sync_references(&self) -> Result<(), DiskError> {
        self.sync_file(NEW_REFERENCES)
    }

    fn rename_references(&self) -> Result<(), DiskError> {
        let path = self.directory.join(NEW_REFERENCES);
        fs::rename(&path, self.directory.join(REFERENCES)).map_err(|error| refused(&path, &error))
    }

    fn remove_references(&self) -> Result<(), DiskError> {
        let path = self.directory.join(REFERENCES);
        fs::remove_file(&path).map_err(|error| refused(&path, &error))
    }
}
