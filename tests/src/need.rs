//! What a scenario needs of the machine: it runs, or is skipped by name, or fails where everything must be there.
//!
//! `WAXSEAL_PEERS=required` (set by `ops/ci/test` after it installed everything) turns a skip into a failure, so that
//! no test vanishes silently. `WAXSEAL_SKIPPED` names the file that skipped tests are written to.

use std::fmt;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::tidy::root;

/// Something that not every machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Postfix (Debian package), and root: its master runs only as root.
    Postfix,
    /// smtp-source and smtp-sink, which come with Postfix.
    SmtpTools,
    /// nsupdate and named-checkzone, which come with BIND.
    ZoneTools,
    /// octoDNS, python-hcl2 and PyYAML in the virtual environment under target/peers.
    DnsTools,
    /// Node.js.
    Node,
    /// OpenDKIM, as a verifier.
    OpenDkim,
    /// swaks.
    Swaks,
    /// Exim, unpacked under target/peers, and root.
    Exim,
    /// Python with smtplib.
    Python,
    /// dkimpy in the virtual environment under target/peers.
    Dkimpy,
    /// parsedmarc in a virtual environment of its own under target/peers.
    ReportReader,
    /// nodemailer under target/peers, and Node.js.
    Nodemailer,
    /// The clients of Akismet from PyPI and npm under target/peers.
    AkismetClients,
    /// schemathesis in a virtual environment of its own under target/peers.
    ApiClient,
    /// BIND with its tools for keys and signatures.
    Bind,
    /// Chromium, driven by playwright-core, with axe-core under target/peers.
    Chromium,
    /// oidc-provider under target/peers, and Node.js.
    OidcProvider,
    /// LibreOffice without a screen, qpdf and pdftotext.
    Office,
    /// libfaketime, under which a program sees the time that a file says.
    FakeTime,
    /// Root and loop devices: a file system of the test's own.
    OwnFileSystem,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postfix => "Postfix and root",
            Self::SmtpTools => "smtp-source and smtp-sink",
            Self::ZoneTools => "nsupdate and named-checkzone",
            Self::DnsTools => "octoDNS, python-hcl2 and PyYAML",
            Self::Node => "Node.js",
            Self::OpenDkim => "OpenDKIM",
            Self::Swaks => "swaks",
            Self::Exim => "Exim and root",
            Self::Python => "Python",
            Self::Dkimpy => "dkimpy",
            Self::ReportReader => "parsedmarc",
            Self::Nodemailer => "nodemailer",
            Self::AkismetClients => "the akismet packages of PyPI and npm",
            Self::ApiClient => "schemathesis",
            Self::Bind => "BIND and its DNSSEC tools",
            Self::Chromium => "Chromium with playwright-core and axe-core",
            Self::OidcProvider => "oidc-provider",
            Self::Office => "LibreOffice, qpdf and pdftotext",
            Self::FakeTime => "libfaketime",
            Self::OwnFileSystem => "root, mount and loop devices",
        })
    }
}

/// Where `ops/ci/peers` puts what is kept out of the system.
pub fn peers() -> PathBuf {
    root().join("target/peers")
}

/// Where Debian's libfaketime is, whatever the machine's architecture.
pub fn fake_time_library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?.flatten();
    folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}

fn program(name: &str) -> bool {
    let found = Command::new("sh").args(["-c", &format!("command -v {name}")]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

impl Need {
    fn is_met(self) -> bool {
        match self {
            Self::Postfix => is_root() && program("postfix"),
            Self::SmtpTools => program("smtp-source") && program("smtp-sink"),
            Self::ZoneTools => program("nsupdate") && program("named-checkzone"),
            Self::DnsTools => peers().join("venv/dns-tools").exists(),
            Self::Node => program("node"),
            Self::OpenDkim => program("opendkim"),
            Self::Swaks => program("swaks"),
            Self::Exim => is_root() && peers().join("exim/usr/sbin/exim4").exists(),
            Self::Python => program("python3"),
            Self::Dkimpy => peers().join("venv/bin/dkimverify").exists(),
            Self::ReportReader => peers().join("reports/bin/parsedmarc").exists(),
            Self::Nodemailer => program("node") && peers().join("node/node_modules/nodemailer").exists(),
            Self::ApiClient => peers().join("api/bin/schemathesis").exists(),
            Self::Bind => program("named") && program("dnssec-signzone") && program("nsupdate"),
            Self::Chromium => {
                let has = |name: &str| peers().join("node/node_modules").join(name).exists();
                program("chromium") && program("node") && has("playwright-core") && has("axe-core")
            }
            Self::OidcProvider => program("node") && peers().join("node/node_modules/oidc-provider").exists(),
            Self::Office => ["soffice", "qpdf", "pdftotext"].into_iter().all(program),
            Self::AkismetClients => {
                let mut pythons = peers().join("venv/lib").read_dir().into_iter().flatten().flatten();
                program("node")
                    && peers().join("node/node_modules/@cedx/akismet").exists()
                    && pythons.any(|folder| folder.path().join("site-packages/akismet").exists())
            }
            Self::FakeTime => fake_time_library().is_some(),
            Self::OwnFileSystem => is_root() && crate::disk::can_mount(),
        }
    }
}

/// True if everything is there. Otherwise notes the skip and returns false, or panics where peers are required.
pub fn all(needs: &[Need]) -> bool {
    let missing: Vec<String> = needs.iter().filter(|need| !need.is_met()).map(ToString::to_string).collect();
    if missing.is_empty() {
        return true;
    }
    let thread = std::thread::current();
    let line = format!("{}: needs {}", thread.name().unwrap_or("a test"), missing.join(", "));
    // A machine that may not mount says so by itself; everything else was promised by the installation.
    let only_disk = missing.len() == 1 && !Need::OwnFileSystem.is_met() && needs.contains(&Need::OwnFileSystem);
    let required = std::env::var("WAXSEAL_PEERS").is_ok_and(|value| value == "required");
    assert!(!required || only_disk, "{line}, and WAXSEAL_PEERS=required");
    eprintln!("skipped: {line}");
    if let Ok(path) = std::env::var("WAXSEAL_SKIPPED") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| writeln!(file, "{line}"));
    }
    false
}
