//! BIND, the name server: as the primary of zones that nsupdate changes, and with a signed world of its own.

mod primary;
mod signed;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::peers::wait_listening;

pub use primary::{KEY_NAME, KEY_SECRET, Primary};
pub use signed::{Bind, Signed, Zone};

/// A named of its own in a folder of its own. Ends with its test; of a test that fails it shows the log.
struct Named {
    folder: TempDir,
    address: SocketAddr,
    child: Child,
}

/// A folder for a server's files.
fn new_folder() -> TempDir {
    tempfile::Builder::new().prefix("waxseal-bind-").tempdir().expect("a temporary folder")
}

impl Named {
    /// Starts it on the files in `folder`, at `address`, and waits until it listens. `settings` come after the options
    /// that every test's server has; `options` go into them.
    fn start(folder: TempDir, address: SocketAddr, options: &str, settings: &str) -> Self {
        let at = folder.path().display();
        let config = format!(
            "options {{ directory \"{at}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; \
             pid-file none; session-keyfile none; dnssec-validation no; notify no; {options} }};\ncontrols {{ }};\n{settings}",
            port = address.port(),
            ip = address.ip()
        );
        let path = folder.path().join("named.conf");
        std::fs::write(&path, config).expect("the folder is ours");
        let log = std::fs::File::create(folder.path().join("log")).expect("the folder is ours");
        let child = Command::new("named")
            .args(["-g", "-n", "1", "-c"])
            .arg(path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("BIND starts");
        let named = Self { folder, address, child };
        wait_listening(address);
        named
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- BIND's log ---\n{}", self.log());
        }
    }
}
