//! A zone's primary server on a loopback address, changed by nsupdate and asked by dig as an admin would, or changed by
//! the program under test.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use super::{Named, new_folder};
use crate::peers::run;
use crate::setup::free_port;

/// The name of the TSIG key.
pub const KEY_NAME: &str = "waxseal-test";
/// Its secret, in base64.
pub const KEY_SECRET: &str = "c2VjcmV0IG9mIGEgdGVzdCB0aGF0IG5vYm9keSBrZWVwcw==";

/// A primary server. Whoever has the key may change its zones.
pub struct Primary(Named);

impl Primary {
    /// Serves these zones on a free port of 127.0.0.1, with itself as `ns1` of the first.
    pub fn start(zones: &[&str]) -> Self {
        let host = format!("ns1.{}", zones[0]);
        Self::serving((Ipv4Addr::LOCALHOST, free_port()).into(), zones, &[(host.as_str(), Ipv4Addr::LOCALHOST)])
    }

    /// Serves these zones, which are empty but for what makes a zone; `servers` are the hosts of their NS records with
    /// their addresses, in the first zone.
    pub fn serving(address: SocketAddr, zones: &[&str], servers: &[(&str, Ipv4Addr)]) -> Self {
        Self::with("recursion no;", address, zones, servers)
    }

    /// The same as [`Primary::start`], and a resolver too: it follows an alias from one of its zones into another. Of other
    /// zones it knows nothing, at once.
    pub fn resolving(zones: &[&str]) -> Self {
        let host = format!("ns1.{}", zones[0]);
        let options = "recursion yes; forward only; forwarders { 127.0.0.1 port 9; }; empty-zones-enable no;";
        Self::with(options, (Ipv4Addr::LOCALHOST, free_port()).into(), zones, &[(host.as_str(), Ipv4Addr::LOCALHOST)])
    }

    fn with(options: &str, address: SocketAddr, zones: &[&str], servers: &[(&str, Ipv4Addr)]) -> Self {
        let folder = new_folder();
        let mut settings = format!("key \"{KEY_NAME}\" {{ algorithm hmac-sha256; secret \"{KEY_SECRET}\"; }};\n");
        for (number, zone) in zones.iter().enumerate() {
            let _ = writeln!(
                settings,
                "zone \"{zone}\" {{ type primary; file \"{zone}.zone\"; allow-update {{ key \"{KEY_NAME}\"; }}; }};"
            );
            let primary = servers.first().map_or("ns1.invalid", |(host, _)| host);
            let mut text = format!("$TTL 60\n@ SOA {primary}. hostmaster.{zone}. 1 3600 600 86400 5\n");
            for (host, server) in servers {
                let _ = writeln!(text, "@ NS {host}.");
                if number == 0 {
                    let _ = writeln!(text, "{host}. A {server}");
                }
            }
            std::fs::write(folder.path().join(format!("{zone}.zone")), text).expect("the folder is ours");
        }
        Self(Named::start(folder, address, &format!("minimal-responses yes; {options}"), &settings))
    }

    /// Hands on what comes to another loopback address: BIND itself listens on addresses of interfaces only, and two
    /// servers of one zone must answer on the same port of two addresses.
    pub fn also_at(self, address: SocketAddr) -> Self {
        let (udp, tcp) = (UdpSocket::bind(address).expect("free"), TcpListener::bind(address).expect("free"));
        let server = self.0.address;
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
        self.0.address
    }

    /// Runs update commands of nsupdate (`add NAME TTL TYPE VALUE`, `delete NAME TYPE`), all or none.
    pub fn update(&self, zone: &str, commands: &[String]) {
        let mut script = format!("zone {zone}\n");
        for command in commands {
            let _ = writeln!(script, "update {command}");
        }
        script.push_str("send\n");
        let done = self.nsupdate(&script);
        assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// Runs nsupdate on this script, against this server and with its key.
    pub fn nsupdate(&self, script: &str) -> Output {
        let mut child = Command::new("nsupdate")
            .args(["-v", "-y", &self.key()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsupdate runs");
        let text = format!("server {} {}\n{script}", self.0.address.ip(), self.0.address.port());
        child.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("nsupdate reads");
        child.wait_with_output().expect("nsupdate ends")
    }

    /// The TSIG key, as `nsupdate -y` takes it.
    pub fn key(&self) -> String {
        format!("hmac-sha256:{KEY_NAME}:{KEY_SECRET}")
    }

    /// The folder of its files.
    pub fn folder(&self) -> PathBuf {
        self.0.path().to_owned()
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
        let (server, port) = (format!("@{}", self.0.address.ip()), self.0.address.port().to_string());
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
