//! BIND as the server of one zone that is empty at first, for whoever has the TSIG key: by nsupdate, or by the program
//! under test. [`crate::bind`] has several zones and addresses.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::setup::free_port;

/// The name of the TSIG key.
pub const KEY_NAME: &str = "waxseal-test";
/// Its secret, in base64.
pub const KEY_SECRET: &str = "c2VjcmV0IG9mIGEgdGVzdCB0aGF0IG5vYm9keSBrZWVwcw==";

/// A running named; ends with the value.
pub struct Named {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl Named {
    /// Serves `origin` with nothing but its SOA and NS records; whoever has the key may change it.
    pub fn start(origin: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("waxseal-bind-").tempdir().expect("a temporary folder");
        let port = free_port();
        let path = folder.path().display();
        let config = format!(
            "options {{ directory \"{path}\"; listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
             pid-file none; session-keyfile none; recursion no; dnssec-validation no; notify no; }};\n\
             controls {{ }};\n\
             key \"{KEY_NAME}\" {{ algorithm hmac-sha256; secret \"{KEY_SECRET}\"; }};\n\
             zone \"{origin}\" {{ type primary; file \"zone.db\"; allow-update {{ key \"{KEY_NAME}\"; }}; }};\n"
        );
        let zone = format!(
            "$ORIGIN {origin}.\n$TTL 60\n@ IN SOA ns1 hostmaster 1 60 60 600 5\n@ IN NS ns1\nns1 IN A 127.0.0.1\n"
        );
        std::fs::write(folder.path().join("named.conf"), config).expect("the folder is writable");
        std::fs::write(folder.path().join("zone.db"), zone).expect("the folder is writable");
        let child = Command::new("named")
            .args(["-g", "-4", "-c"])
            .arg(folder.path().join("named.conf"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.path().join("log")).expect("the folder is writable"))
            .spawn()
            .expect("named runs");
        let named = Self { folder, port, child };
        named.wait();
        named
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(self.address()).is_err() {
            assert!(Instant::now() < deadline, "named does not listen:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// What it wrote to its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Runs nsupdate on these commands, against this server and with its key.
    pub fn nsupdate(&self, commands: &str) -> Output {
        let mut child = Command::new("nsupdate")
            .args(["-v", "-y", &format!("hmac-sha256:{KEY_NAME}:{KEY_SECRET}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsupdate runs");
        let text = format!("server 127.0.0.1 {}\n{commands}", self.port);
        child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("nsupdate reads");
        child.wait_with_output().expect("nsupdate ends")
    }

    /// The folder of its files.
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- named's log ---\n{}", self.log());
        }
    }
}
