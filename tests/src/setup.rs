//! What a gateway shall be like before it starts: its configuration file, keys, certificates and ports.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use parking_lot::Mutex;

use crate::dns::Dns;
use crate::gateway::Gateway;
use crate::tls::Authority;

/// The name that the gateway's certificate and greeting bear.
pub const HOSTNAME: &str = "mx1.relay.example";

/// A loopback port that nobody listens on, below the range that the system gives to outgoing connections, so that
/// nobody takes it by chance before the program under test does.
pub fn free_port() -> u16 {
    // Tests run as processes with neighbouring ids: each begins in a stretch of its own.
    let mut port = 10_000 + u16::try_from(std::process::id() * 64 % 20_000).unwrap_or_default();
    loop {
        static LAST: Mutex<u16> = Mutex::new(0);
        let mut last = LAST.lock();
        port = if *last == 0 { port } else { *last + 1 };
        if port > 32_000 {
            port = 10_000;
        }
        *last = port;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

/// What a gateway shall be like, before it starts.
pub struct Setup {
    sections: BTreeMap<&'static str, BTreeMap<&'static str, String>>,
    tables: String,
    data_dir: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        let mut setup = Self { sections: BTreeMap::new(), tables: String::new(), data_dir: None };
        setup.set("queue", "retry", r#"["1s", "1s", "2s", "2s", "5s"]"#).set("queue", "reserve_free", r#""1MB""#).set(
            "limits",
            "connections_per_ip",
            "1000",
        );
        setup
    }
}

impl Setup {
    /// Retries after a second, a small reserve of disk, mail by MX from the system's resolver.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets `key` in `[section]` to a value as TOML writes it.
    pub fn set(&mut self, section: &'static str, key: &'static str, value: impl Into<String>) -> &mut Self {
        self.sections.entry(section).or_default().insert(key, value.into());
        self
    }

    /// Adds tables as TOML writes them.
    pub fn tables(&mut self, text: &str) -> &mut Self {
        self.tables.push_str(text);
        self
    }

    /// Sends everything to one server, whatever the recipient.
    pub fn route_all(&mut self, to: SocketAddr) -> &mut Self {
        self.tables(&format!("\n[[delivery.route]]\ndomain = \"*\"\nhost = \"{to}\"\n"))
    }

    /// Looks names up at `dns` and dials mail exchangers on `port`.
    pub fn dns(&mut self, dns: &Dns, port: u16) -> &mut Self {
        self.set("dns", "servers", format!("[\"{}\"]", dns.address())).set("dns", "smtp_port", port.to_string())
    }

    /// Keeps the data in this folder instead of a temporary one.
    pub fn data_dir(&mut self, folder: &Path) -> &mut Self {
        self.data_dir = Some(folder.to_owned());
        self
    }

    /// Writes configuration, keys and certificates, starts the gateway and waits until it takes mail.
    pub fn start(&self) -> Gateway {
        let mut gateway = self.prepare();
        gateway.start();
        gateway
    }

    /// All of [`Setup::start`] but the start.
    pub fn prepare(&self) -> Gateway {
        let folder = tempfile::Builder::new().prefix("waxseal-test-").tempdir().expect("a temporary folder");
        let data_dir = self.data_dir.clone().unwrap_or_else(|| folder.path().join("data"));
        let authority = Authority::new();
        authority
            .certify(&[HOSTNAME, "localhost", "127.0.0.1"])
            .write(folder.path())
            .expect("the temporary folder is writable");
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("writable");
        write("authority.pem", &authority.pem());
        write("kek", &"5a".repeat(32));
        let ports = Ports { clear: free_port(), starttls: free_port(), implicit: free_port(), metrics: free_port() };
        write("waxseal.toml", &self.render(folder.path(), &data_dir, ports));
        Gateway::new(folder, data_dir, ports, authority)
    }

    fn render(&self, folder: &Path, data_dir: &Path, ports: Ports) -> String {
        let folder = folder.display();
        let mut text = format!("version = 1\nhostname = \"{HOSTNAME}\"\ndata_dir = \"{}\"\n", data_dir.display());
        for (name, port, kind, tls) in [
            ("clear", ports.clear, "submission", "none"),
            ("starttls", ports.starttls, "submission", "starttls-required"),
            ("implicit", ports.implicit, "submission", "implicit"),
            ("metrics", ports.metrics, "metrics", "none"),
        ] {
            let _ = write!(text, "[[listen]]\nname = \"{name}\"\naddr = [\"127.0.0.1:{port}\"]\nkind = \"{kind}\"\n");
            if kind == "submission" {
                let _ = writeln!(text, "tls = \"{tls}\"");
            }
        }
        let _ =
            writeln!(text, "[tls]\ncertificate = \"file:{folder}/certificate.pem\"\nkey = \"file:{folder}/key.pem\"");
        let _ = writeln!(text, "[crypto]\nkek = \"file:{folder}/kek\"");
        for (section, keys) in &self.sections {
            let _ = writeln!(text, "[{section}]");
            for (key, value) in keys {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        text + &self.tables
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) clear: u16,
    pub(crate) starttls: u16,
    pub(crate) implicit: u16,
    pub(crate) metrics: u16,
}
