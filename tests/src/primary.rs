//! BIND as a zone's primary server on a loopback address, changed by nsupdate and asked by dig as an admin would.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::peers::{run, wait_listening};

const KEY: &str = "c2l4dGVlbiBvY3RldHMhIHNpeHRlZW4gb2N0ZXRzIQ==";

/// A BIND of its own. Ends with its test.
pub struct Primary {
    folder: TempDir,
    address: SocketAddr,
    process: Child,
}

impl Primary {
    /// Serves these zones, which are empty but for what makes a zone; `servers` are the hosts of their NS records with
    /// their addresses, in the first zone.
    pub fn serving(address: SocketAddr, zones: &[&str], servers: &[(&str, Ipv4Addr)]) -> Self {
        let folder = tempfile::Builder::new().prefix("waxseal-bind-").tempdir().expect("a temporary folder");
        let at = folder.path().display().to_string();
        let mut settings = format!(
            "options {{ directory \"{at}\"; listen-on port {port} {{ {ip}; }}; listen-on-v6 {{ none; }}; recursion no; \
             pid-file none; session-keyfile \"{at}/session.key\"; dnssec-validation no; notify no; minimal-responses yes; }};\n\
             controls {{ }};\nkey \"update\" {{ algorithm hmac-sha256; secret \"{KEY}\"; }};\n",
            port = address.port(),
            ip = address.ip()
        );
        for (number, zone) in zones.iter().enumerate() {
            let _ = writeln!(
                settings,
                "zone \"{zone}\" {{ type primary; file \"{zone}.zone\"; allow-update {{ key update; }}; }};"
            );
            let mut text = format!("$TTL 60\n@ SOA ns1.{zone}. hostmaster.{zone}. 1 3600 600 86400 5\n");
            for (host, server) in servers {
                let _ = writeln!(text, "@ NS {host}.");
                if number == 0 {
                    let _ = writeln!(text, "{host}. A {server}");
                }
            }
            std::fs::write(folder.path().join(format!("{zone}.zone")), text).expect("the folder is ours");
        }
        std::fs::write(folder.path().join("named.conf"), settings).expect("the folder is ours");
        let log = std::fs::File::create(folder.path().join("log")).expect("the folder is ours");
        let process = Command::new("named")
            .args(["-g", "-n", "1", "-c"])
            .arg(folder.path().join("named.conf"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("BIND starts");
        let primary = Self { folder, address, process };
        wait_listening(address);
        primary
    }

    /// Hands on what comes to another loopback address: BIND itself listens on addresses of interfaces only, and two
    /// servers of one zone must answer on the same port of two addresses.
    pub fn also_at(self, address: SocketAddr) -> Self {
        let (udp, tcp) = (UdpSocket::bind(address).expect("free"), TcpListener::bind(address).expect("free"));
        let server = self.address;
        std::thread::spawn(move || {
            let mut packet = [0_u8; 4096];
            while let Ok((length, from)) = udp.recv_from(&mut packet) {
                if let Ok(answer) = relay_packet(server, &packet[..length]) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        std::thread::spawn(move || {
            for mut client in tcp.incoming().flatten() {
                std::thread::spawn(move || relay_stream(&mut client, server));
            }
        });
        self
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Runs update commands of nsupdate (`add NAME TTL TYPE VALUE`, `delete NAME TYPE`), all or none.
    pub fn update(&self, zone: &str, commands: &[String]) {
        let mut script = format!(
            "server {} {}\nzone {zone}\nkey hmac-sha256:update {KEY}\n",
            self.address.ip(),
            self.address.port()
        );
        for command in commands {
            let _ = writeln!(script, "update {command}");
        }
        script.push_str("send\n");
        let path = self.folder.path().join("update");
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(script.as_bytes()))
            .expect("the folder is ours");
        run(Command::new("nsupdate").arg("-v").arg(&path)).expect("nsupdate changes the zone");
    }

    /// The TSIG key for updates, as `nsupdate -y` takes it.
    pub fn key(&self) -> String {
        format!("hmac-sha256:update:{KEY}")
    }

    /// Publishes a TXT record in character-strings of at most 255 octets.
    pub fn txt(&self, zone: &str, owner: &str, value: &str) {
        let mut command = format!("add {owner}. 60 TXT");
        for piece in value.as_bytes().chunks(255) {
            let _ = write!(command, " \"{}\"", String::from_utf8_lossy(piece));
        }
        self.update(zone, &[command]);
    }

    /// The TXT records that it has at `name`, each joined.
    pub fn texts(&self, name: &str) -> Vec<String> {
        let (server, port) = (format!("@{}", self.address.ip()), self.address.port().to_string());
        let said = run(Command::new("dig").args([&server, "-p", &port, "+short", "+tcp", "TXT", name]));
        let joined = |line: &str| line.split('"').skip(1).step_by(2).collect::<String>();
        // An alias on the way is printed without quotes.
        said.expect("dig asks").lines().filter(|line| line.contains('"')).map(joined).collect()
    }
}

fn relay_packet(server: SocketAddr, packet: &[u8]) -> std::io::Result<Vec<u8>> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(Duration::from_secs(2)))?;
    socket.connect(server)?;
    socket.send(packet)?;
    let mut answer = vec![0; 65_535];
    let length = socket.recv(&mut answer)?;
    answer.truncate(length);
    Ok(answer)
}

/// One question and its answer at a time, as long as the client asks.
fn relay_stream(client: &mut TcpStream, server: SocketAddr) -> std::io::Result<()> {
    let mut upstream = TcpStream::connect(server)?;
    let mut answering = (upstream.try_clone()?, client.try_clone()?);
    std::thread::spawn(move || std::io::copy(&mut answering.0, &mut answering.1));
    std::io::copy(client, &mut upstream)?;
    upstream.shutdown(std::net::Shutdown::Write)
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

impl Drop for Primary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- BIND's log ---\n{}", log(self.folder.path()));
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
