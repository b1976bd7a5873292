//! A receiving server that misbehaves on demand, and a dialer that leads to it without a network, so that time can
//! stand still and a connection can be cut at any octet.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use parking_lot::Mutex;
use rustls_pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::deliver::{Dialer, Stream};

/// Where the server hangs up or falls silent instead of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Point {
    Greeting,
    Ehlo,
    StartTls,
    EhloInTls,
    Mail,
    Rcpt,
    Data,
    /// The whole message was read.
    End,
}

impl Point {
    pub(super) const ALL: [Self; 8] =
        [Self::Greeting, Self::Ehlo, Self::StartTls, Self::EhloInTls, Self::Mail, Self::Rcpt, Self::Data, Self::End];
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StartTls {
    NotOffered,
    Works,
    Answers(&'static str),
    /// 220, and in the same breath a reply that would pass for one inside TLS.
    Injects,
    /// 220, then nothing but an end.
    HangsUp,
    /// 220, then no TLS.
    Babbles,
}

/// What one connection meets.
#[derive(Clone)]
pub(super) struct Script {
    pub(super) greeting: String,
    pub(super) ehlo: Option<&'static str>,
    pub(super) extensions: Vec<&'static str>,
    pub(super) starttls: StartTls,
    pub(super) mail: &'static str,
    /// From the second transaction of a connection on.
    pub(super) mail_again: &'static str,
    /// Replies by local part; others are accepted.
    pub(super) rcpt: HashMap<&'static str, String>,
    pub(super) data: &'static str,
    pub(super) end: &'static str,
    pub(super) hang_up: Option<Point>,
    pub(super) stall: Option<Point>,
    /// The connection ends after so many octets from the server.
    pub(super) cut_after: usize,
    /// After so many octets of a message: this reply, and no further reading.
    pub(super) gives_up: Option<(usize, &'static str)>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            greeting: "220 mx.there.example ESMTP".into(),
            ehlo: None,
            extensions: vec!["PIPELINING", "CHUNKING", "SIZE 10000000", "8BITMIME", "SMTPUTF8", "DSN"],
            starttls: StartTls::NotOffered,
            mail: "250 2.1.0 ok",
            mail_again: "250 2.1.0 ok",
            rcpt: HashMap::new(),
            data: "354 go on",
            end: "250 2.0.0 taken",
            hang_up: None,
            stall: None,
            cut_after: usize::MAX,
            gives_up: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) from: String,
    pub(super) to: Vec<String>,
    pub(super) message: Vec<u8>,
}

/// One server: scripts for its connections in turn (the last one repeats) and what it saw.
#[derive(Default)]
pub(super) struct Server {
    pub(super) scripts: Mutex<Vec<Script>>,
    pub(super) connections: AtomicUsize,
    pub(super) commands: Mutex<Vec<String>>,
    pub(super) taken: Mutex<Vec<Taken>>,
    pub(super) said: AtomicUsize,
    pub(super) certificate: Mutex<Option<Arc<rustls::ServerConfig>>>,
}

impl Server {
    pub(super) fn new(scripts: Vec<Script>) -> Arc<Self> {
        Arc::new(Self { scripts: Mutex::new(scripts), ..Self::default() })
    }

    pub(super) fn commands(&self) -> Vec<String> {
        self.commands.lock().clone()
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Makes a certificate for `name` and gives it back in PEM.
    pub(super) fn certify(&self, name: &str) -> String {
        let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        *self.certificate.lock() = Some(Arc::new(config));
        made.cert.pem()
    }

    pub(super) async fn serve(self: Arc<Self>, stream: Box<dyn Stream>) {
        let number = self.connections.fetch_add(1, Ordering::SeqCst);
        let script = {
            let scripts = self.scripts.lock();
            scripts[number.min(scripts.len() - 1)].clone()
        };
        let mut talk = Talk { server: self, script, stream, inbox: Vec::new(), said: 0, secure: false };
        let _ = talk.run().await;
        let _ = talk.stream.shutdown().await;
    }
}

struct Talk {
    server: Arc<Server>,
    script: Script,
    stream: Box<dyn Stream>,
    inbox: Vec<u8>,
    said: usize,
    secure: bool,
}

fn over() -> io::Error {
    io::Error::other("over")
}

impl Talk {
    async fn say(&mut self, point: Point, reply: &str) -> io::Result<()> {
        if self.script.stall == Some(point) {
            std::future::pending::<()>().await;
        }
        if self.script.hang_up == Some(point) {
            return Err(over());
        }
        let octets = format!("{reply}\r\n").into_bytes();
        let allowed = octets.len().min(self.script.cut_after - self.said);
        self.stream.write_all(&octets[..allowed]).await?;
        self.stream.flush().await?;
        self.said += allowed;
        self.server.said.fetch_max(self.said, Ordering::SeqCst);
        if allowed < octets.len() { Err(over()) } else { Ok(()) }
    }

    async fn more(&mut self) -> io::Result<()> {
        let mut space = [0; 4_096];
        match self.stream.read(&mut space).await? {
            0 => Err(over()),
            octets => {
                self.inbox.extend_from_slice(&space[..octets]);
                Ok(())
            }
        }
    }

    async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(end) = self.inbox.windows(2).position(|pair| pair == b"\r\n") {
                let line: Vec<u8> = self.inbox.drain(..end + 2).collect();
                return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
            }
            self.more().await?;
        }
    }

    async fn give_up(&mut self) -> io::Result<()> {
        if let Some((after, reply)) = self.script.gives_up
            && self.inbox.len() >= after
        {
            self.stream.write_all(reply.as_bytes()).await?;
            self.stream.flush().await?;
            if reply.ends_with('\n') {
                // It said why; now it waits for us to stop, without reading.
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
                return Err(over());
            }
            std::future::pending::<()>().await;
        }
        Ok(())
    }

    async fn chunk(&mut self, octets: usize) -> io::Result<Vec<u8>> {
        while self.inbox.len() < octets {
            self.give_up().await?;
            self.more().await?;
        }
        Ok(self.inbox.drain(..octets).collect())
    }

    async fn dotted(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::new();
        loop {
            self.give_up().await?;
            let end = loop {
                if let Some(end) = self.inbox.windows(2).position(|pair| pair == b"\r\n") {
                    break end + 2;
                }
                self.more().await?;
            };
            let line: Vec<u8> = self.inbox.drain(..end).collect();
            if line == b".\r\n" {
                return Ok(message);
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    async fn run(&mut self) -> io::Result<()> {
        let greeting = self.script.greeting.clone();
        self.say(Point::Greeting, &greeting).await?;
        let (mut from, mut to, mut transactions) = (String::new(), Vec::new(), 0);
        loop {
            let line = self.line().await?;
            self.server.commands.lock().push(line.clone());
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" => self.hello().await?,
                "HELO" => self.say(Point::Ehlo, "250 mx.there.example").await?,
                "STARTTLS" => self.start_tls().await?,
                "RSET" => {
                    (from, to) = (String::new(), Vec::new());
                    self.say(Point::Mail, "250 reset").await?;
                }
                "MAIL" => {
                    transactions += 1;
                    let reply = if transactions > 1 { self.script.mail_again } else { self.script.mail };
                    let reply = if from.is_empty() { reply } else { "503 5.5.1 nested MAIL" };
                    if reply.starts_with('2') {
                        from = line[10..].to_owned();
                    }
                    self.say(Point::Mail, reply).await?;
                    if reply.starts_with("421") {
                        return Ok(());
                    }
                }
                "RCPT" => {
                    let local = line[9..].split('@').next().unwrap_or_default();
                    let refusal = self.script.rcpt.get(local).cloned();
                    let reply = match refusal {
                        _ if from.is_empty() => "503 5.5.1 MAIL first".to_owned(),
                        Some(refusal) => refusal,
                        None => "250 2.1.5 ok".to_owned(),
                    };
                    if reply.starts_with('2') {
                        to.push(line[8..].to_owned());
                    }
                    self.say(Point::Rcpt, &reply).await?;
                }
                "DATA" if to.is_empty() && !self.script.data.starts_with("354 even") => {
                    self.say(Point::Data, "503 5.5.1 RCPT first").await?;
                }
                "DATA" => {
                    let reply = self.script.data;
                    self.say(Point::Data, reply).await?;
                    if reply.starts_with("354") {
                        let message = self.dotted().await?;
                        self.finish(&mut from, &mut to, message).await?;
                    }
                }
                "BDAT" => {
                    let octets = line.split(' ').nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
                    let message = self.chunk(octets).await?;
                    if to.is_empty() {
                        self.say(Point::End, "503 5.5.1 RCPT first").await?;
                    } else {
                        self.finish(&mut from, &mut to, message).await?;
                    }
                }
                "QUIT" => return self.say(Point::End, "221 bye").await,
                _ => self.say(Point::Mail, "500 what").await?,
            }
        }
    }

    async fn finish(&mut self, from: &mut String, to: &mut Vec<String>, message: Vec<u8>) -> io::Result<()> {
        let reply = if to.is_empty() { "554 5.5.1 no valid recipients" } else { self.script.end };
        let (from, to) = (std::mem::take(from), std::mem::take(to));
        if reply.starts_with('2') {
            self.server.taken.lock().push(Taken { from, to, message });
        }
        self.say(Point::End, reply).await
    }

    async fn hello(&mut self) -> io::Result<()> {
        let point = if self.secure { Point::EhloInTls } else { Point::Ehlo };
        if let Some(refusal) = self.script.ehlo {
            return self.say(point, refusal).await;
        }
        let mut lines = vec!["mx.there.example"];
        lines.extend(&self.script.extensions);
        if self.script.starttls != StartTls::NotOffered && !self.secure {
            lines.push("STARTTLS");
        }
        let last = lines.len() - 1;
        let text: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(place, line)| format!("250{}{line}", if place == last { ' ' } else { '-' }))
            .collect();
        self.say(point, &text.join("\r\n")).await
    }

    async fn start_tls(&mut self) -> io::Result<()> {
        match self.script.starttls {
            StartTls::NotOffered => self.say(Point::StartTls, "502 5.5.1 no").await,
            StartTls::Answers(reply) => self.say(Point::StartTls, reply).await,
            StartTls::Injects => self.say(Point::StartTls, "220 go\r\n250 2.0.0 injected").await,
            StartTls::HangsUp => {
                self.say(Point::StartTls, "220 go").await?;
                Err(over())
            }
            StartTls::Babbles => {
                self.say(Point::StartTls, "220 go").await?;
                self.more().await?;
                self.stream.write_all(b"250 what is this\r\n").await?;
                Err(over())
            }
            StartTls::Works => {
                self.say(Point::StartTls, "220 go").await?;
                let config = self.server.certificate.lock().clone().expect("a certificate was made");
                let plain = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
                self.stream = Box::new(TlsAcceptor::from(config).accept(plain).await?);
                self.secure = true;
                Ok(())
            }
        }
    }
}

/// Leads to servers by address, through pipes of this process.
pub(super) struct Pipes {
    pub(super) servers: HashMap<IpAddr, Arc<Server>>,
    pub(super) capacity: usize,
}

#[async_trait]
impl Dialer for Pipes {
    async fn dial(&self, to: SocketAddr, _source: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let server = self.servers.get(&to.ip()).ok_or(io::ErrorKind::ConnectionRefused)?;
        let (near, far) = tokio::io::duplex(self.capacity);
        tokio::spawn(Arc::clone(server).serve(Box::new(far)));
        Ok(Box::new(near))
    }
}
