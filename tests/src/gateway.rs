//! The real binary as a test runs it: configuration and data in a temporary folder, loopback ports, the command
//! line as a user types it, events from standard output, signals, kill and restart.

use std::io::{self, BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::client::Client;
use crate::need;
use crate::setup::Ports;
use crate::tls::Authority;

/// The binary under test: `WAXSEAL_BIN`, or the one that cargo built beside the test.
pub fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("WAXSEAL_BIN") {
        return path.into();
    }
    // The test executable is in target/<profile>/deps.
    let beside = std::env::current_exe().ok().and_then(|test| Some(test.parent()?.parent()?.join("waxseal")));
    let path = beside.unwrap_or_default();
    assert!(path.exists(), "{} is not built: cargo build -p waxseal, or run ops/ci/test", path.display());
    path
}

/// A tenant that was made for a test.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its name.
    pub name: String,
    /// The user of its credential.
    pub user: String,
    /// The secret of its credential.
    pub secret: String,
    /// The DKIM records to publish: name and TXT value.
    pub records: Vec<(String, String)>,
}

/// A gateway: configuration, data and, while it runs, a process.
pub struct Gateway {
    folder: TempDir,
    data_dir: PathBuf,
    ports: Ports,
    /// Whom its certificate comes from.
    pub authority: Authority,
    environment: Vec<(String, String)>,
    child: Option<Child>,
    events: Arc<Mutex<Vec<Value>>>,
    stderr: Arc<Mutex<String>>,
}

/// How a command of the command line ended.
#[derive(Debug)]
pub struct Ran {
    /// The exit status.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Panics with everything it said unless it ended with 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Its standard output as one JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|problem| panic!("{problem}: {self:?}"))
    }
}

impl Gateway {
    /// A gateway that was not started yet; [`crate::setup::Setup`] wrote the files.
    pub(crate) fn new(folder: TempDir, data_dir: PathBuf, ports: Ports, authority: Authority) -> Self {
        Self {
            folder,
            data_dir,
            ports,
            authority,
            environment: Vec::new(),
            child: None,
            events: Arc::default(),
            stderr: Arc::default(),
        }
    }

    /// Starts the process and waits until it takes mail.
    pub fn start(&mut self) {
        let starts = self.ready_times();
        self.spawn();
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.ready_times() == starts {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "the gateway ended at start: {ended:?}\n{}", self.stderr());
            assert!(Instant::now() < deadline, "the gateway is not ready\n{}", self.stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn ready_times(&self) -> usize {
        let is_ready = |event: &&Value| event["event"] == "gateway.state" && event["state"] == "ready";
        self.events.lock().iter().filter(is_ready).count()
    }

    /// Starts the process and waits for nothing.
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "it runs already");
        let mut child = Command::new(binary())
            .arg("serve")
            .arg("--config")
            .arg(self.config())
            .envs(self.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (events, text) = (self.events.clone(), self.stderr.clone());
        std::thread::spawn(move || {
            for line in stdout.into_iter().flat_map(|stream| BufReader::new(stream).lines().map_while(Result::ok)) {
                events.lock().push(serde_json::from_str(&line).unwrap_or(Value::String(line)));
            }
        });
        std::thread::spawn(move || {
            for line in stderr.into_iter().flat_map(|stream| BufReader::new(stream).lines().map_while(Result::ok)) {
                let mut text = text.lock();
                text.push_str(&line);
                text.push('\n');
            }
        });
        self.child = Some(child);
    }

    /// From its next start on, the process's wall clock is off by what [`Gateway::shift_clock`] says. The clock that
    /// measures spans stays true, as when an operator or NTP sets the time.
    pub fn fake_clock(&mut self) {
        self.shift_clock("+0");
        let library = need::fake_time_library().expect("asked for before");
        let file = self.folder.path().join("clock");
        self.environment = [
            ("LD_PRELOAD", library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec();
    }

    /// The variables of its environment that are the test's: with them another program sees the same clock.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// Sets a variable of its environment, from its next start on.
    pub fn variable(&mut self, name: &str, value: &str) {
        self.environment.push((name.to_owned(), value.to_owned()));
    }

    /// Sets the wall clock off by this much: `+10d`, `-3h`.
    pub fn shift_clock(&self, by: &str) {
        std::fs::write(self.folder.path().join("clock"), by).expect("the folder is ours");
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.folder.path().join("waxseal.toml")
    }

    /// The folder with the configuration, the certificates and, unless set otherwise, the data.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The data.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    fn at(port: u16) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, port).into()
    }

    /// The listener without TLS.
    pub fn clear(&self) -> SocketAddr {
        Self::at(self.ports.clear)
    }

    /// The listener that requires STARTTLS.
    pub fn starttls(&self) -> SocketAddr {
        Self::at(self.ports.starttls)
    }

    /// The listener with TLS from the first octet.
    pub fn implicit(&self) -> SocketAddr {
        Self::at(self.ports.implicit)
    }

    /// The listener of the metrics.
    pub fn metrics(&self) -> SocketAddr {
        Self::at(self.ports.metrics)
    }

    /// Runs a command of the command line with this gateway's configuration.
    pub fn cli(&self, words: &[&str]) -> Ran {
        let output =
            Command::new(binary()).args(words).arg("--config").arg(self.config()).stdin(Stdio::null()).output();
        Ran::of(&output.expect("the binary starts"))
    }

    /// Makes a tenant with domains, active keys and a credential.
    pub fn tenant(&self, name: &str, domains: &[&str]) -> Tenant {
        self.cli(&["tenant", "add", name]).ok();
        let mut records = Vec::new();
        for domain in domains {
            self.cli(&["domain", "add", domain, "--tenant", name]).ok();
            records.extend(self.activate_keys(domain));
        }
        let credential = self.cli(&["credential", "new", "--tenant", name, "--json"]).ok().json();
        let text = |key: &str| credential[key].as_str().unwrap_or_default().to_owned();
        Tenant { name: name.to_owned(), user: text("user"), secret: text("secret"), records }
    }

    /// Lets every key of a domain sign, published or not; the records that a verifier needs.
    fn activate_keys(&self, domain: &str) -> Vec<(String, String)> {
        let keys = self.cli(&["dkim", "list", domain, "--json"]).ok().json();
        for key in keys.as_array().expect("a list of keys") {
            if key["state"] != "active" {
                let selector = key["selector"].as_str().expect("a selector");
                self.cli(&["dkim", "activate", domain, selector, "--even-if-unpublished"]).ok();
            }
        }
        let records = self.cli(&["domain", "records", domain, "--format", "json"]).ok().json();
        let all = records.as_array().or_else(|| records["records"].as_array()).expect("a list of records").clone();
        let is_key = |record: &&Value| record["fqdn"].as_str().is_some_and(|name| name.contains("._domainkey."));
        let pair = |record: &Value| {
            let name = record["fqdn"].as_str()?.trim_end_matches('.').to_owned();
            Some((name, record["value"].as_str()?.to_owned()))
        };
        all.iter().filter(is_key).filter_map(pair).collect()
    }

    /// A client that is signed in as the tenant on the listener without TLS.
    pub fn client(&self, tenant: &Tenant) -> Client {
        Client::signed_in(self.clear(), &tenant.user, &tenant.secret).expect("the credential is good")
    }

    /// Sends one message as the tenant and returns its id; panics unless it is accepted.
    #[track_caller]
    pub fn submit(&self, tenant: &Tenant, from: &str, to: &[&str], message: &[u8]) -> String {
        let reply = self.client(tenant).send(from, to, message).expect("a reply");
        assert_eq!(reply.code, 250, "{}", reply.text());
        queued_id(&reply.text())
    }

    /// The events so far.
    pub fn events(&self) -> Vec<Value> {
        self.events.lock().clone()
    }

    /// Waits for an event of this name for which `wanted` holds.
    #[track_caller]
    pub fn wait_event(&self, name: &str, at_most: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + at_most;
        loop {
            let found = self.events.lock().iter().find(|event| event["event"] == name && wanted(event)).cloned();
            if let Some(event) = found {
                return event;
            }
            assert!(
                Instant::now() < deadline,
                "no {name} within {at_most:?}; events: {:#?}\n{}",
                self.events.lock(),
                self.stderr()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the event of this name about the letter `id`.
    #[track_caller]
    pub fn wait_for(&self, name: &str, id: &str) -> Value {
        self.wait_event(name, Duration::from_secs(30), |event| event["id"] == id)
    }

    /// What it wrote on standard error.
    pub fn stderr(&self) -> String {
        self.stderr.lock().clone()
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map(Child::id).unwrap_or_default()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).ok().and_then(Pid::from_raw).expect("it runs");
        kill_process(pid, signal).expect("it is ours");
    }

    /// Kills it as the system does: no chance to tidy up.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Asks it to end by SIGTERM and waits.
    #[track_caller]
    pub fn terminate(&mut self, at_most: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait_end(at_most)
    }

    /// Waits for the end of the process.
    #[track_caller]
    pub fn wait_end(&mut self, at_most: Duration) -> ExitStatus {
        let deadline = Instant::now() + at_most;
        let child = self.child.as_mut().expect("it runs");
        loop {
            if let Some(status) = child.try_wait().expect("it is ours") {
                self.child = None;
                return status;
            }
            assert!(Instant::now() < deadline, "it has not ended within {at_most:?}\n{}", self.stderr.lock());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The metrics page.
    pub fn metrics_text(&self) -> io::Result<String> {
        use std::io::{Read, Write};
        let mut socket = TcpStream::connect(self.metrics())?;
        socket.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut page = String::new();
        socket.read_to_string(&mut page)?;
        Ok(page)
    }

    /// The files of the data folder, and what was logged, in which `needle` stands.
    pub fn places_with(&self, needle: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.data_dir.clone()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if std::fs::read(&path).is_ok_and(|text| memchr::memmem::find(&text, needle).is_some()) {
                    found.push(path.display().to_string());
                }
            }
        }
        let logged = self.events.lock().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n") + &self.stderr();
        if memchr::memmem::find(logged.as_bytes(), needle).is_some() {
            found.push("the log".to_owned());
        }
        found
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the gateway's standard error ---\n{}", self.stderr());
        }
    }
}

/// The id in `… queued as <id>`.
#[track_caller]
pub fn queued_id(reply: &str) -> String {
    let id = reply.rsplit("queued as ").next().unwrap_or_default().trim();
    assert_eq!(id.len(), 26, "no id in {reply:?}");
    id.to_owned()
}
