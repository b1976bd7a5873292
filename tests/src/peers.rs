//! Mail software that nobody here wrote, started with folders and loopback ports of its own.
//!
//! Nothing of the system's configuration is read or changed. Postfix and Exim need root (their own rule).

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::need;
use crate::setup::free_port;

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Waits until somebody listens.
pub fn wait_listening(address: SocketAddr) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < deadline, "nobody listens on {address}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A folder that every user of the machine may enter, as daemons that drop root need it.
fn open_folder(prefix: &str) -> TempDir {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir().expect("a temporary folder");
    open_up(folder.path(), 0o755);
    folder
}

fn open_up(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("the folder is ours");
}

fn chown(path: &Path, owner: &str) {
    let done = Command::new("chown").arg(owner).arg(path).status().expect("chown is there");
    assert!(done.success(), "chown {owner} {}", path.display());
}

/// The files of a maildir's `new`, read.
fn maildir(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder.join("new")).into_iter().flatten().flatten();
    entries.filter_map(|entry| std::fs::read(entry.path()).ok()).collect()
}

/// Waits until `read` gives `count` messages.
fn wait_messages(count: usize, read: impl Fn() -> Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let messages = read();
        if messages.len() >= count {
            return messages;
        }
        assert!(Instant::now() < deadline, "{} of {count} messages came", messages.len());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A Postfix of its own: takes mail for everybody into one maildir, or relays it, as its settings say.
pub struct Postfix {
    folder: TempDir,
    port: u16,
}

const POSTFIX_SERVICES: &str = "\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
";

impl Postfix {
    /// A receiver for these domains. `settings` are lines of main.cf.
    pub fn receiving(domains: &[&str], settings: &[String]) -> Self {
        let folder = open_folder("waxseal-postfix-");
        let mail = folder.path().join("mail");
        std::fs::create_dir(&mail).expect("the folder is ours");
        chown(&mail, "nobody");
        let mut lines = vec![
            format!("virtual_mailbox_domains = {}", domains.join(" ")),
            format!("virtual_mailbox_base = {}", folder.path().display()),
            "virtual_mailbox_maps = static:mail/".to_owned(),
            "virtual_uid_maps = static:65534".to_owned(),
            "virtual_gid_maps = static:65534".to_owned(),
        ];
        lines.extend_from_slice(settings);
        Self::start(folder, &lines)
    }

    /// A relay that hands everything to `next_hop` by SMTP. `settings` are lines of main.cf.
    pub fn relaying_to(next_hop: SocketAddr, settings: &[String]) -> Self {
        let mut lines = vec![format!("relayhost = [{}]:{}", next_hop.ip(), next_hop.port())];
        lines.extend_from_slice(settings);
        Self::start(open_folder("waxseal-postfix-"), &lines)
    }

    fn start(folder: TempDir, settings: &[String]) -> Self {
        let port = free_port();
        let at = folder.path().display().to_string();
        for (part, owner) in [("etc", "root"), ("spool", "root"), ("data", "postfix"), ("log", "root")] {
            let path = folder.path().join(part);
            std::fs::create_dir(&path).expect("the folder is ours");
            open_up(&path, 0o755);
            chown(&path, owner);
        }
        let mut main = format!(
            "compatibility_level = 3.6\nqueue_directory = {at}/spool\ndata_directory = {at}/data\n\
             command_directory = /usr/sbin\ndaemon_directory = /usr/lib/postfix/sbin\nmail_owner = postfix\n\
             setgid_group = postdrop\nmaillog_file = {at}/log/mail\nmaillog_file_prefixes = /\n\
             myhostname = postfix.example\nmyorigin = postfix.example\nmydestination =\nalias_maps =\nalias_database =\n\
             local_transport = error:no local mail\ninet_interfaces = 127.0.0.1\ninet_protocols = ipv4\n\
             mynetworks = 127.0.0.0/8\ndisable_dns_lookups = yes\nsmtpd_peername_lookup = no\n\
             message_size_limit = 52428800\nmailbox_size_limit = 0\nvirtual_mailbox_limit = 0\n\
             minimal_backoff_time = 2s\nmaximal_backoff_time = 2s\nqueue_run_delay = 2s\n"
        );
        for line in settings {
            let _ = writeln!(main, "{line}");
        }
        let services = format!("127.0.0.1:{port} inet n - n - - smtpd\n{POSTFIX_SERVICES}");
        std::fs::write(folder.path().join("etc/main.cf"), main).expect("the folder is ours");
        std::fs::write(folder.path().join("etc/master.cf"), services).expect("the folder is ours");
        let postfix = Self { folder, port };
        let output = postfix.postfix("start");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        wait_listening(postfix.address());
        postfix
    }

    fn postfix(&self, verb: &str) -> std::process::Output {
        let mut command = Command::new("postfix");
        command.arg("-c").arg(self.folder.path().join("etc")).arg(verb).stdin(Stdio::null());
        command.output().expect("Postfix is there")
    }

    /// Where it takes mail.
    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// Waits for `count` messages in its maildir. Line ends are those of the local file, LF.
    pub fn wait_for(&self, count: usize) -> Vec<Vec<u8>> {
        let folder = self.folder.path().join("mail");
        wait_messages(count, || maildir(&folder))
    }

    /// Its log.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log/mail")).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- Postfix's log ---\n{}", self.log());
        }
        self.postfix("stop");
    }
}

/// An Exim of its own, unpacked: takes mail for everybody into one maildir; TLS with the certificate given.
pub struct Exim {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl Exim {
    /// Starts it; `certificate` is a folder with `certificate.pem` and `key.pem`.
    pub fn receiving(certificate: &Path) -> Self {
        let (folder, port) = (open_folder("waxseal-exim-"), free_port());
        for part in ["mail", "spool", "log", "tls"] {
            std::fs::create_dir(folder.path().join(part)).expect("the folder is ours");
        }
        for file in ["certificate.pem", "key.pem"] {
            std::fs::copy(certificate.join(file), folder.path().join("tls").join(file))
                .expect("the certificate is there");
        }
        chown(folder.path(), "Debian-exim:Debian-exim");
        let done = Command::new("chown").arg("-R").arg("Debian-exim:Debian-exim").arg(folder.path()).status();
        assert!(done.is_ok_and(|status| status.success()), "chown for Exim");
        let exim = need::peers().join("exim/usr/sbin/exim4");
        let at = folder.path().display().to_string();
        let configuration = format!(
            "exim_path = {exim}\nspool_directory = {at}/spool\nlog_file_path = {at}/log/%slog\n\
             pid_file_path = {at}/spool/pid\nprimary_hostname = exim.example\nlocal_interfaces = 127.0.0.1\n\
             daemon_smtp_ports = {port}\nkeep_environment =\nhost_lookup =\nrfc1413_query_timeout = 0s\n\
             message_size_limit = 50M\nsmtp_accept_queue_per_connection = 0\ntls_advertise_hosts = *\ntls_certificate = {at}/tls/certificate.pem\n\
             tls_privatekey = {at}/tls/key.pem\nacl_smtp_rcpt = take\nacl_smtp_data = accept\nsmtputf8_advertise_hosts = *\n\
             begin acl\ntake:\n  accept control = dkim_disable_verify\nbegin routers\nall:\n  driver = accept\n  transport = keep\n\
             begin transports\nkeep:\n  driver = appendfile\n  directory = {at}/mail\n  maildir_format\n  user = Debian-exim\n",
            exim = exim.display()
        );
        let path = folder.path().join("exim.conf");
        std::fs::write(&path, configuration).expect("the folder is ours");
        let log = std::fs::File::create(folder.path().join("log/stderr")).expect("the folder is ours");
        let process = Command::new(exim)
            .arg("-C")
            .arg(&path)
            .args(["-bdf", "-odi"])
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("Exim starts");
        let exim = Self { folder, port, process };
        wait_listening(exim.address());
        exim
    }

    /// Where it takes mail.
    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// Waits for `count` messages. Line ends are those of the local file, LF.
    pub fn wait_for(&self, count: usize) -> Vec<Vec<u8>> {
        let folder = self.folder.path().join("mail");
        wait_messages(count, || maildir(&folder))
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for name in ["stderr", "mainlog", "paniclog", "rejectlog"] {
                let path = self.folder.path().join("log").join(name);
                eprintln!("--- Exim's {name} ---\n{}", std::fs::read_to_string(path).unwrap_or_default());
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Postfix's smtp-sink, keeping what it takes.
pub struct SmtpSink {
    folder: TempDir,
    port: u16,
    process: Child,
}

impl SmtpSink {
    /// Starts it.
    pub fn start() -> Self {
        let (folder, port) = (open_folder("waxseal-sink-"), free_port());
        open_up(folder.path(), 0o777);
        let process = Command::new("smtp-sink")
            .args(["-d", "mail.", "-u", "nobody", &format!("127.0.0.1:{port}"), "100"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("smtp-sink starts");
        wait_listening(loopback(port));
        Self { folder, port, process }
    }

    /// Where it takes mail.
    pub fn address(&self) -> SocketAddr {
        loopback(self.port)
    }

    /// Waits for `count` messages; smtp-sink puts a few lines of its own before each.
    pub fn wait_for(&self, count: usize) -> Vec<Vec<u8>> {
        let read = || {
            let entries = std::fs::read_dir(self.folder.path()).into_iter().flatten().flatten();
            entries.filter_map(|entry| std::fs::read(entry.path()).ok()).filter(|text| !text.is_empty()).collect()
        };
        wait_messages(count, read)
    }
}

impl Drop for SmtpSink {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A script of this crate's folder `peers`.
fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

/// Runs a program to its end; its output, or an error with everything that it said.
pub fn run(command: &mut Command) -> io::Result<String> {
    let output = command.stdin(Stdio::null()).output()?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(stdout.into_owned());
    }
    Err(io::Error::other(format!("{command:?}: {}\n{stdout}\n{stderr}", output.status)))
}

/// Python's smtplib with a message in a file; see the script for the arguments.
pub fn smtplib(arguments: &[&str]) -> io::Result<String> {
    run(Command::new("python3").arg(script("smtplib_send.py")).args(arguments))
}

/// nodemailer; see the script for the arguments.
pub fn nodemailer(arguments: &[&str]) -> io::Result<String> {
    let modules = need::peers().join("node/node_modules");
    run(Command::new("node").arg(script("nodemailer_send.js")).args(arguments).env("NODE_MODULES", modules))
}

/// swaks with these arguments.
pub fn swaks(arguments: &[&str]) -> io::Result<String> {
    run(Command::new("swaks").args(arguments))
}

/// One signature as a verifier judged it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// `d=`.
    pub domain: String,
    /// `a=`.
    pub algorithm: String,
    /// Does it verify?
    pub ok: bool,
}

/// Every signature of `message`, judged by dkimpy with these key records.
pub fn dkimpy(message: &[u8], records: &[(String, String)]) -> Vec<Judged> {
    dkimpy_in(message, records, &[])
}

/// The same with these variables in dkimpy's environment: it refuses signatures of the future, so where the gateway
/// has a clock of the test's, its judge needs the same one.
pub fn dkimpy_in(message: &[u8], records: &[(String, String)], environment: &[(String, String)]) -> Vec<Judged> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keys: serde_json::Map<String, Value> =
        records.iter().map(|(name, text)| (name.clone(), Value::String(text.clone()))).collect();
    let (keys_path, mail) = (folder.path().join("keys.json"), folder.path().join("mail.eml"));
    std::fs::write(&keys_path, Value::Object(keys).to_string()).expect("the folder is ours");
    std::fs::write(&mail, message).expect("the folder is ours");
    let python = need::peers().join("venv/bin/python");
    let mut command = Command::new(python);
    command.arg(script("dkimpy_verify.py")).arg(&keys_path).arg(&mail).envs(environment.iter().cloned());
    let said = run(&mut command).expect("dkimpy runs");
    let rows: Vec<Value> = serde_json::from_str(said.trim()).expect("one line of JSON");
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| Judged { domain: text(row, "domain"), algorithm: text(row, "algorithm"), ok: row["ok"] == true })
        .collect()
}

/// A TLS report, compressed or as mail, as parsedmarc reads it; panics if it is none.
pub fn read_tls_report(octets: &[u8]) -> Value {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("report");
    std::fs::write(&file, octets).expect("the folder is ours");
    let python = need::peers().join("reports/bin/python");
    let said = run(Command::new(python).arg(script("read_tls_report.py")).arg(&file)).expect("parsedmarc reads it");
    serde_json::from_str(said.trim()).expect("one line of JSON")
}

/// Every signature of `message`, judged by OpenDKIM with these key records.
pub fn opendkim(message: &[u8], records: &[(String, String)]) -> Vec<Judged> {
    let folder = open_folder("waxseal-opendkim-");
    let path = |name: &str| folder.path().join(name);
    let keys: String = records.iter().fold(String::new(), |mut text, (name, value)| {
        let _ = writeln!(text, "{name} {value}");
        text
    });
    std::fs::write(path("keys"), keys).expect("the folder is ours");
    std::fs::write(path("mail.eml"), message).expect("the folder is ours");
    let settings = format!(
        "Syslog no\nMode v\nTestDNSData file:{}\nRequireSafeKeys no\nAlwaysAddARHeader yes\n",
        path("keys").display()
    );
    std::fs::write(path("opendkim.conf"), settings).expect("the folder is ours");
    let mut command = Command::new("opendkim");
    command.arg("-x").arg(path("opendkim.conf")).arg("-vvv").arg("-t").arg(path("mail.eml"));
    // In test mode it prints the Authentication-Results field (RFC 8601) that it would add.
    let said = run(&mut command).expect("OpenDKIM runs");
    let property = |line: &str, name: &str| {
        line.split([' ', ';']).find_map(|word| word.strip_prefix(name)).unwrap_or_default().to_owned()
    };
    said.lines()
        .filter(|line| line.trim_start().starts_with("dkim="))
        .map(|line| Judged {
            domain: property(line, "header.d="),
            algorithm: property(line, "header.a="),
            ok: line.trim_start().starts_with("dkim=pass"),
        })
        .collect()
}
