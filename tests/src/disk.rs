//! A file system of a test's own on a loop device, and the power cut: the file system is shut down at once without
//! flushing its log, so that only what was synced is there after the next mount.
//!
//! Needs root. The shutdown (`XFS_IOC_GOINGDOWN`, which ext4 has too) goes through Python because an ioctl is `unsafe` in Rust, which this workspace
//! forbids.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Which file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ext4, which e2fsprogs make.
    Ext4,
    /// XFS, which xfsprogs make, of 300 MB at least.
    Xfs,
}

impl Kind {
    /// Those that this machine can make and mount.
    pub fn usable() -> Vec<Self> {
        let attempt = |kind: Self| -> io::Result<()> {
            let folder = tempfile::tempdir()?;
            Disk::of(kind, folder.path(), if kind == Self::Xfs { 320 } else { 8 })?.discard()
        };
        [Self::Ext4, Self::Xfs].into_iter().filter(|kind| attempt(*kind).is_ok()).collect()
    }

    fn make(self, image: &str) -> io::Result<()> {
        let (program, force) = if self == Self::Xfs { ("mkfs.xfs", "-f") } else { ("mkfs.ext4", "-F") };
        run(program, &["-q", force, image]).map(drop)
    }
}

/// A file system in a file.
pub struct Disk {
    kind: Kind,
    image: PathBuf,
    mount_point: PathBuf,
    mounted: bool,
}

fn run(program: &str, arguments: &[&str]) -> io::Result<Output> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(output);
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(io::Error::other(format!("{program} {}: {} {text}", arguments.join(" "), output.status)))
}

/// A process that will shut the file system down at a word.
pub struct Cutter(Child);

impl Cutter {
    /// Cuts the power now; returns when it is done.
    pub fn cut(mut self) -> io::Result<()> {
        self.0.stdin.take().ok_or(io::ErrorKind::BrokenPipe)?.write_all(b"\n")?;
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { Err(io::Error::other(format!("the shutdown failed: {status}"))) }
    }
}

/// May this process mount a file system? Found out by mounting one.
pub fn can_mount() -> bool {
    let attempt = || -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let disk = Disk::new(folder.path(), 8)?;
        disk.discard()
    };
    attempt().is_ok()
}

impl Disk {
    /// Makes an ext4 of `megabytes` below `folder` and mounts it.
    pub fn new(folder: &Path, megabytes: u64) -> io::Result<Self> {
        Self::of(Kind::Ext4, folder, megabytes)
    }

    /// Makes a file system of `megabytes` below `folder` and mounts it.
    pub fn of(kind: Kind, folder: &Path, megabytes: u64) -> io::Result<Self> {
        let image = folder.join("disk.img");
        std::fs::File::create(&image)?.set_len(megabytes << 20)?;
        kind.make(&image.to_string_lossy())?;
        let mount_point = folder.join("disk");
        std::fs::create_dir_all(&mount_point)?;
        let mut disk = Self { kind, image, mount_point, mounted: false };
        disk.mount()?;
        Ok(disk)
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.mount_point
    }

    fn mount(&mut self) -> io::Result<()> {
        run("mount", &["-o", "loop", &self.image.to_string_lossy(), &self.mount_point.to_string_lossy()])?;
        self.mounted = true;
        Ok(())
    }

    /// A hand on the switch: everything that takes time is done, the cut itself is one system call away.
    pub fn cutter(&self) -> io::Result<Cutter> {
        // _IOR('X', 125, __u32) without flushing the log: ext4 took XFS's number and flag.
        let script = "import fcntl, os, struct, sys\n\
            disk = os.open(sys.argv[1], os.O_RDONLY); print(flush=True); sys.stdin.readline()\n\
            fcntl.ioctl(disk, 0x8004587d, struct.pack('I', 2))";
        let mut process = Command::new("python3")
            .args(["-c", script])
            .arg(&self.mount_point)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut ready = [0_u8];
        process.stdout.as_mut().ok_or(io::ErrorKind::BrokenPipe)?.read_exact(&mut ready)?;
        Ok(Cutter(process))
    }

    /// Cuts the power: from here on every write fails, and what was not synced is gone.
    pub fn cut_power(&self) -> io::Result<()> {
        self.cutter()?.cut()
    }

    /// Brings the file system back as a machine does after a power cut: unmount, check (the log is replayed), mount.
    pub fn power_on(&mut self) -> io::Result<()> {
        self.unmount()?;
        if self.kind == Kind::Xfs {
            // XFS replays its log when it is mounted.
            return self.mount();
        }
        // e2fsck ends with 1 when it mended something, which replaying the log counts as.
        let status = Command::new("e2fsck").arg("-p").arg(&self.image).stdout(Stdio::null()).status()?;
        if status.code().is_none_or(|code| code > 1) {
            return Err(io::Error::other(format!("e2fsck: {status}")));
        }
        self.mount()
    }

    fn unmount(&mut self) -> io::Result<()> {
        // A process that was just killed may hold the file system for a moment longer.
        let mut last = Ok(());
        for _ in 0..100 {
            last = run("umount", &[&self.mount_point.to_string_lossy()]).map(drop);
            if last.is_ok() {
                self.mounted = false;
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        last
    }

    /// Unmounts it.
    pub fn discard(mut self) -> io::Result<()> {
        self.unmount()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            let _ = run("umount", &["-l", &self.mount_point.to_string_lossy()]);
        }
    }
}
