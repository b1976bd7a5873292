//! The disk as the journal uses it: a folder of numbered, append-only segment files.
//!
//! Behind a trait so that a test can stop persisting at the n-th operation and reopen what survived (see
//! `crash_tests.rs`). The real one names its order: a segment's directory entry is synced before the first record
//! in it is acknowledged; `sync` is `fdatasync`, which covers the file's length.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// One segment, open for appending and reading.
pub trait Segment: Send + Sync {
    /// Appends the slices in order, wholly or with an error (then an unknown part of them is there).
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<()>;
    /// Makes everything appended so far survive a power cut.
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file to this length.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// Fills `buffer` from `offset`.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;
    /// The length in octets.
    fn length(&self) -> io::Result<u64>;
}

/// The folder.
pub trait Disk: Send + Sync + 'static {
    /// The numbers of the segments there are, ascending.
    fn list(&self) -> io::Result<Vec<u64>>;
    /// Makes an empty segment whose name survives a power cut.
    fn create(&self, number: u64) -> io::Result<Box<dyn Segment>>;
    /// Opens one that is there.
    fn open(&self, number: u64) -> io::Result<Box<dyn Segment>>;
    /// Removes one.
    fn remove(&self, number: u64) -> io::Result<()>;
    /// Keeps a copy of damaged octets for a person to look at.
    fn quarantine(&self, number: u64, offset: u64, octets: &[u8]) -> io::Result<()>;
    /// Free octets for this process.
    fn free(&self) -> io::Result<u64>;
}

/// A folder of the machine.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Uses `path`, making it if need be.
    pub fn open(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        if let Some(parent) = path.parent() {
            sync_directory(parent)?;
        }
        Ok(Self { path: path.to_owned() })
    }

    fn name(&self, number: u64) -> PathBuf {
        self.path.join(segment_name(number))
    }
}

/// The file name of a segment.
pub fn segment_name(number: u64) -> String {
    format!("{number:012}.journal")
}

/// The number of the segment that has this file name, if one has.
pub fn segment_number(name: &str) -> Option<u64> {
    name.strip_suffix(".journal")?.parse().ok()
}

/// Makes the names in a directory survive a power cut.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            numbers.extend(name.to_str().and_then(segment_number));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn create(&self, number: u64) -> io::Result<Box<dyn Segment>> {
        let file = OpenOptions::new().create_new(true).append(true).read(true).open(self.name(number))?;
        sync_directory(&self.path)?;
        Ok(Box::new(SegmentFile { file }))
    }

    fn open(&self, number: u64) -> io::Result<Box<dyn Segment>> {
        let file = OpenOptions::new().append(true).read(true).open(self.name(number))?;
        Ok(Box::new(SegmentFile { file }))
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        std::fs::remove_file(self.name(number))?;
        sync_directory(&self.path)
    }

    fn quarantine(&self, number: u64, offset: u64, octets: &[u8]) -> io::Result<()> {
        let folder = self.path.join("quarantine");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join(format!("{number:012}-{offset:09}.damaged")), octets)
    }

    fn free(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

struct SegmentFile {
    file: File,
}

impl Segment for SegmentFile {
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let mut file = &self.file;
        let mut slices = slices.to_vec();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            // The kernel takes at most 1,024 slices a call (IOV_MAX) and may write part of them.
            let now = rest.len().min(1024);
            let written = file.write_vectored(&rest[..now])?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.set_len(length)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }
}
