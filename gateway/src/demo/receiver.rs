//! The demo's other side: a small receiving mail server with STARTTLS that keeps what it gets.
//!
//! It refuses one user (550), answers one domain's first attempt with 451, and takes everything else.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::DemoError;

/// The local part that does not exist at the receiver.
pub const UNKNOWN_USER: &str = "nobody";
/// The domain whose first attempt is put off.
pub const SLOW_DOMAIN: &str = "slow.example";

/// A message as it arrived.
#[derive(Debug, Clone)]
pub struct Arrival {
    /// The bytes.
    pub raw: Vec<u8>,
    /// `TLSv1_3`, if the connection had TLS.
    pub tls: Option<String>,
}

#[derive(Default)]
struct Shared {
    arrivals: Mutex<Vec<Arrival>>,
    put_off: Mutex<HashSet<String>>,
}

/// A running receiver; its task ends with the runtime.
#[derive(Clone)]
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Receiver {
    /// Listens on a free loopback port with a certificate of its own making.
    pub async fn start(host: &str) -> Result<Self, DemoError> {
        let acceptor = self_signed(host)?;
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DemoError::start("the receiving server"))?;
        let address = listener.local_addr().map_err(DemoError::start("the receiving server"))?;
        let shared = Arc::new(Shared::default());
        let (host, inside) = (host.to_owned(), shared.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let session =
                    Session { shared: inside.clone(), host: host.clone(), tls: None, acceptor: acceptor.clone() };
                tokio::spawn(session.serve(stream));
            }
        });
        Ok(Self { shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What arrived so far.
    pub fn arrivals(&self) -> Vec<Arrival> {
        self.shared.arrivals.lock().clone()
    }
}

fn self_signed(host: &str) -> Result<TlsAcceptor, DemoError> {
    let inside = |e: &dyn std::fmt::Display| DemoError::Inside(format!("the receiver's certificate: {e}"));
    let made = rcgen::generate_simple_self_signed([host.to_owned()]).map_err(|e| inside(&e))?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|e| inside(&e))?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .map_err(|e| inside(&e))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

struct Session {
    shared: Arc<Shared>,
    host: String,
    tls: Option<String>,
    acceptor: TlsAcceptor,
}

enum End {
    Quit,
    StartTls,
}

impl Session {
    async fn serve(mut self, mut stream: TcpStream) {
        let greeting = format!("220 {} ESMTP\r\n", self.host);
        if stream.write_all(greeting.as_bytes()).await.is_err() {
            return;
        }
        let mut plain = BufReader::new(stream);
        if let Ok(End::StartTls) = self.dialogue(&mut plain).await
            && let Ok(stream) = self.acceptor.accept(plain.into_inner()).await
        {
            let version = stream.get_ref().1.protocol_version();
            self.tls = version.and_then(|version| version.as_str()).map(|name| name.replace("v1_", "v1."));
            // A client that goes away ends its session; the demo looks at what arrived.
            let _ = self.dialogue(&mut BufReader::new(stream)).await;
        }
    }

    async fn dialogue<S>(&mut self, stream: &mut BufReader<S>) -> std::io::Result<End>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut recipients = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(End::Quit);
            }
            let line = line.trim_end();
            let verb = line.get(..4).unwrap_or(line).to_ascii_uppercase();
            let reply = match verb.as_str() {
                "EHLO" => self.capabilities(),
                "HELO" | "NOOP" => "250 2.0.0 OK\r\n".to_owned(),
                "STAR" if self.tls.is_none() => {
                    stream.write_all(b"220 2.0.0 go ahead\r\n").await?;
                    return Ok(End::StartTls);
                }
                "MAIL" => {
                    recipients.clear();
                    "250 2.1.0 OK\r\n".to_owned()
                }
                "RSET" => {
                    recipients.clear();
                    "250 2.0.0 OK\r\n".to_owned()
                }
                "RCPT" => self.recipient(path(line), &mut recipients),
                "DATA" if recipients.is_empty() => "503 5.5.1 no recipient\r\n".to_owned(),
                "DATA" => {
                    stream.write_all(b"354 go ahead\r\n").await?;
                    let raw = read_data(stream).await?;
                    self.keep(&mut recipients, raw)
                }
                "BDAT" => {
                    let octets = line.split_ascii_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
                    let mut raw = vec![0; octets];
                    stream.read_exact(&mut raw).await?;
                    if recipients.is_empty() {
                        "503 5.5.1 no recipient\r\n".to_owned()
                    } else {
                        self.keep(&mut recipients, raw)
                    }
                }
                "QUIT" => {
                    stream.write_all(b"221 2.0.0 bye\r\n").await?;
                    return Ok(End::Quit);
                }
                _ => "500 5.5.1 unknown command\r\n".to_owned(),
            };
            stream.write_all(reply.as_bytes()).await?;
        }
    }

    fn capabilities(&self) -> String {
        let starttls = if self.tls.is_none() { "250-STARTTLS\r\n" } else { "" };
        format!(
            "250-{}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250-CHUNKING\r\n{starttls}250 SIZE 52428800\r\n",
            self.host
        )
    }

    fn recipient(&self, address: String, recipients: &mut Vec<String>) -> String {
        if address.starts_with(UNKNOWN_USER) {
            return "550 5.1.1 no such user here\r\n".to_owned();
        }
        if address.ends_with(SLOW_DOMAIN) && self.shared.put_off.lock().insert(address.clone()) {
            return "451 4.3.0 mailbox busy, try again\r\n".to_owned();
        }
        recipients.push(address);
        "250 2.1.5 OK\r\n".to_owned()
    }

    fn keep(&self, recipients: &mut Vec<String>, raw: Vec<u8>) -> String {
        recipients.clear();
        self.shared.arrivals.lock().push(Arrival { raw, tls: self.tls.clone() });
        "250 2.0.0 taken\r\n".to_owned()
    }
}

/// What stands between the angle brackets.
fn path(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(path, _)| path);
    inner.unwrap_or_default().to_owned()
}

async fn read_data<S: AsyncRead + Unpin>(stream: &mut BufReader<S>) -> std::io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    loop {
        let begin = raw.len();
        if stream.read_until(b'\n', &mut raw).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if &raw[begin..] == b".\r\n" {
            raw.truncate(begin);
            return Ok(raw);
        }
        if raw[begin] == b'.' {
            raw.remove(begin);
        }
    }
}
