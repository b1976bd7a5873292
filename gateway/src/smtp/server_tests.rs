//! The server over loopback: real sockets, real TLS, clients that others wrote (lettre, Python's smtplib).

use std::collections::HashMap;

use async_trait::async_trait;
use lettre::transport::smtp::authentication::Mechanism;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use parking_lot::Mutex;
use rustls::pki_types::{PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock::{SystemClock, Timestamp};
use crate::ids::LetterId;
use crate::pipeline::{AcceptError, Submission};
use crate::store::StoreError;
use crate::tenants::Credential;
use crate::tenants::secret::hash as hash_secret;

/// User, message, `with` protocol, TLS facts, client.
type Taken = (String, Vec<u8>, &'static str, Option<String>, IpAddr);
/// Where, how, by which mechanism, and the protocol that `Received` should name.
type Way = (&'static str, fn(TlsParameters) -> Tls, Mechanism, &'static str);

#[derive(Default)]
struct Inbox {
    letters: Mutex<Vec<Taken>>,
    slow: Duration,
}

#[async_trait]
impl Acceptor for Inbox {
    async fn accept(&self, submission: Submission) -> Result<LetterId, AcceptError> {
        if !self.slow.is_zero() {
            tokio::time::sleep(self.slow).await;
        }
        let trace = submission.trace;
        let message = submission.letter.message().to_vec();
        self.letters.lock().push((
            submission.credential.user.clone(),
            message,
            trace.protocol,
            trace.tls,
            trace.client,
        ));
        Ok(LetterId::new(Timestamp::from_millis(1_000_000)))
    }

    fn room_for(&self, _size: usize) -> Result<(), StoreError> {
        Ok(())
    }
}

struct Book(HashMap<String, Arc<Credential>>);

impl Credentials for Book {
    fn credential(&self, user: &str) -> Option<Arc<Credential>> {
        self.0.get(user).cloned()
    }
}

fn certificate() -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap())
}

struct Rig {
    inbox: Arc<Inbox>,
    ports: HashMap<String, u16>,
    tls: TlsSlot,
    stop: watch::Sender<bool>,
    server: tokio::task::JoinHandle<()>,
}

fn listener(name: &str, tls: ListenerTls, proxy_from: &[&str]) -> Listener {
    Listener {
        name: name.into(),
        addresses: vec!["127.0.0.1:0".parse().unwrap()],
        kind: ListenerKind::Submission,
        tls,
        proxy_from: proxy_from.iter().map(|network| network.parse().unwrap()).collect(),
        public_url: None,
    }
}

fn roomy() -> Limits {
    let limits = crate::smtp::session::tests::limits();
    Limits {
        message_size: 1_000_000,
        memory_for_messages: 8_000_000,
        messages_per_session: 1_000,
        commands: 10_000,
        ..limits
    }
}

fn parts(listeners: Vec<Listener>, tls: TlsSlot) -> SmtpParts {
    SmtpParts {
        hostname: "mx.example".parse().unwrap(),
        limits: roomy(),
        listeners,
        tls,
        acceptor: Arc::new(Inbox::default()),
        addressees: Arc::new(crate::smtp::addressees::Anybody),
        bounces: None,
        posts: None,
        credentials: Arc::new(Book(HashMap::new())),
        clock: Arc::new(SystemClock),
        decoy_key: [7; 32],
    }
}

async fn rig_with(limits: Limits, inbox: Inbox) -> Rig {
    let (argon2id, scram) = hash_secret("p").unwrap();
    let credential = Credential {
        user: "u".into(),
        tenant: crate::ids::TenantId(1),
        argon2id,
        scram,
        networks: Vec::new(),
        expires: None,
        created: Timestamp::from_millis(0),
    };
    let inbox = Arc::new(inbox);
    let tls = TlsSlot::new(certificate());
    let listeners = vec![
        listener("starttls", ListenerTls::StartTlsRequired, &[]),
        listener("implicit", ListenerTls::Implicit, &[]),
        listener("plain", ListenerTls::None, &[]),
        listener("proxied", ListenerTls::None, &["127.0.0.0/8"]),
    ];
    let parts = SmtpParts {
        limits,
        acceptor: Arc::clone(&inbox) as _,
        credentials: Arc::new(Book(HashMap::from([("u".to_owned(), Arc::new(credential))]))),
        ..parts(listeners, tls.clone())
    };
    let server = SmtpServer::bind(parts).await.unwrap();
    let bound = server.addresses().into_iter().map(|(name, address)| (name, address.port())).collect();
    let (stop, stopping) = watch::channel(false);
    let server = tokio::spawn(server.serve(stopping, Duration::from_secs(5)));
    Rig { inbox, ports: bound, tls, stop, server }
}

async fn rig() -> Rig {
    rig_with(roomy(), Inbox::default()).await
}

impl Rig {
    async fn raw(&self, listener: &str) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.ports[listener])).await.unwrap()
    }

    async fn end(self) {
        self.stop.send_replace(true);
        tokio::time::timeout(Duration::from_secs(5), self.server).await.expect("ends in time").unwrap();
    }
}

/// Reads until the text holds `end`, or the connection ends.
async fn until(stream: &mut (impl tokio::io::AsyncRead + Unpin), end: &str) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 1024];
    let read = async {
        while !String::from_utf8_lossy(&text).contains(end) {
            match stream.read(&mut piece).await {
                Ok(0) | Err(_) => break,
                Ok(count) => text.extend_from_slice(&piece[..count]),
            }
        }
    };
    let timely = tokio::time::timeout(Duration::from_secs(15), read).await.is_ok();
    let text = String::from_utf8(text).unwrap();
    assert!(timely, "waiting for {end:?}, got {text:?}");
    text
}

async fn exchange(stream: &mut TcpStream, send: &str, end: &str) -> String {
    stream.write_all(send.as_bytes()).await.unwrap();
    until(stream, end).await
}

const SIGN_IN: &str = "EHLO c\r\nAUTH PLAIN AHUAcA==\r\n";
const OPEN: &str = "MAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\n";

async fn lettre_sends(port: u16, tls: fn(TlsParameters) -> Tls, mechanism: Mechanism) -> Result<String, String> {
    let parameters = TlsParameters::builder("localhost".into()).dangerous_accept_invalid_certs(true).build().unwrap();
    let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous("127.0.0.1")
        .port(port)
        .tls(tls(parameters))
        .credentials(("u".to_owned(), "p".to_owned()).into())
        .authentication(vec![mechanism])
        .build();
    let message = Message::builder()
        .from("A <a@b.example>".parse().unwrap())
        .to("C <c@d.example>".parse().unwrap())
        .subject("from lettre")
        .body(".a dot, and more\r\n..\r\n".to_owned())
        .unwrap();
    let reply = transport.send(message).await.map_err(|error| error.to_string())?;
    Ok(reply.message().collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn lettre_submits_in_every_way_that_it_can() {
    let rig = rig().await;
    let ways: [Way; 5] = [
        ("starttls", Tls::Required, Mechanism::Plain, "ESMTPSA"),
        ("starttls", Tls::Required, Mechanism::Login, "ESMTPSA"),
        ("implicit", Tls::Wrapper, Mechanism::Plain, "ESMTPSA"),
        ("starttls", Tls::Wrapper, Mechanism::Plain, "ESMTPSA"),
        ("plain", |_| Tls::None, Mechanism::Plain, "ESMTPA"),
    ];
    for (listener, tls, mechanism, protocol) in ways {
        let reply = lettre_sends(rig.ports[listener], tls, mechanism).await;
        let reply = reply.unwrap_or_else(|error| panic!("{listener}: {error}"));
        assert!(reply.starts_with("2.0.0 queued as ") && reply.len() == 16 + 26, "{reply}");
        let (user, message, with, facts, _) = rig.inbox.letters.lock().pop().unwrap();
        assert_eq!((user.as_str(), with), ("u", protocol));
        // lettre ends DATA with a line end of its own.
        let body = b"\r\n\r\n.a dot, and more\r\n..\r\n\r\n";
        assert!(message.ends_with(body), "{}", message.escape_ascii());
        assert_eq!(facts.is_some_and(|facts| facts.starts_with("TLSv1.3 with cipher TLS13_")), protocol == "ESMTPSA");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn smtplib_submits() {
    let rig = rig().await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/smtp/submit.py");
    for (listener, mode) in [
        ("starttls", "starttls"),
        ("implicit", "implicit"),
        ("starttls", "implicit"),
        ("plain", "plain"),
        ("plain", "scram"),
    ] {
        let port = rig.ports[listener].to_string();
        let run = move || std::process::Command::new("python3").args([script, &port, mode, "u", "p"]).output();
        let output = match tokio::task::spawn_blocking(run).await.unwrap() {
            Ok(output) => output,
            Err(error) => {
                eprintln!("skipped: no python3 ({error})");
                break;
            }
        };
        let (said, failed) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{mode} on {listener}: {failed}");
        if said.starts_with("skipped") {
            eprintln!("{mode}: {said}");
            continue;
        }
        assert_eq!(said.matches("250 2.0.0 queued as ").count(), 3, "{said}");
        let messages: Vec<Vec<u8>> = rig.inbox.letters.lock().drain(..).map(|letter| letter.1).collect();
        assert_eq!(messages[1], b"Subject: from smtplib\r\n\r\n.dot\r\n..two dots\r\n");
    }
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_injected_before_the_handshake_are_never_run() {
    let rig = rig().await;
    let mut stream = rig.raw("starttls").await;
    until(&mut stream, "\r\n").await;
    exchange(&mut stream, "EHLO c\r\n", "250 LIMITS").await;
    let said = exchange(&mut stream, &format!("STARTTLS\r\n{SIGN_IN}{OPEN}"), "no more").await;
    assert!(said.starts_with("421 4.7.0"), "{said}");

    // A moment later the same octets are no handshake, and the connection ends.
    let mut stream = rig.raw("starttls").await;
    until(&mut stream, "\r\n").await;
    exchange(&mut stream, "EHLO c\r\n", "250 LIMITS").await;
    exchange(&mut stream, "STARTTLS\r\n", "220").await;
    stream.write_all(format!("{SIGN_IN}{OPEN}").as_bytes()).await.unwrap();
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said).await;
    assert!(!said.windows(3).any(|w| w == b"235" || w == b"250"), "{}", said.escape_ascii());
    assert!(rig.inbox.letters.lock().is_empty());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_starttls_everything_is_forgotten() {
    let rig = rig().await;
    let mut stream = rig.raw("starttls").await;
    until(&mut stream, "\r\n").await;
    exchange(&mut stream, "EHLO c\r\n", "250 LIMITS").await;
    exchange(&mut stream, "STARTTLS\r\n", "220").await;
    let mut stream = encrypted(stream).await;
    stream.write_all(b"MAIL FROM:<>\r\n").await.unwrap();
    assert!(until(&mut stream, "\r\n").await.starts_with("503 5.5.1 EHLO first"));
    stream.write_all(b"EHLO c\r\n").await.unwrap();
    let list = until(&mut stream, "250 LIMITS").await;
    assert!(list.contains("250-AUTH PLAIN LOGIN SCRAM-SHA-256\r\n250-REQUIRETLS\r\n") && !list.contains("STARTTLS"));
    rig.end().await;
}

async fn encrypted(stream: TcpStream) -> tokio_rustls::client::TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let parameters = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate))
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(parameters));
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reloaded_certificate_serves_the_next_handshake() {
    let rig = rig().await;
    let presented = async || {
        let mut stream = encrypted(rig.raw("implicit").await).await;
        until(&mut stream, "220").await;
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let before = presented().await;
    assert_eq!(presented().await, before);
    rig.tls.replace(certificate());
    assert_ne!(presented().await, before);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn guessing_ends_in_454_and_then_421() {
    let rig = rig().await;
    let mut stream = rig.raw("plain").await;
    until(&mut stream, "220").await;
    exchange(&mut stream, "EHLO c\r\n", "250 LIMITS").await;
    for expected in ["535 5.7.8", "535 5.7.8", "535 5.7.8", "454 4.7.0", "421 4.7.0"] {
        // The user's right secret at the end does not help: the address is known for guessing.
        let line = if expected.starts_with('5') { "AUTH PLAIN AHUAcQ==\r\n" } else { "AUTH PLAIN AHUAcA==\r\n" };
        let said = exchange(&mut stream, line, "\r\n").await;
        assert!(said.starts_with(expected), "{said}");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_connection_at_rest_is_its_task_and_no_buffer() {
    let server =
        SmtpServer::bind(parts(vec![listener("plain", ListenerTls::None, &[])], TlsSlot::default())).await.unwrap();
    let (door, socket, address) = &server.sockets[0];
    let client = TcpStream::connect(address).await.unwrap();
    let (stream, peer) = socket.accept().await.unwrap();
    let (_stop, stopping) = watch::channel(false);
    let place = server.shared.gate.enter().unwrap();
    let task = connection::run(stream, peer, place, Arc::clone(door), Arc::clone(&server.shared), stopping);
    assert!(std::mem::size_of_val(&task) <= 8 * 1024, "{}", std::mem::size_of_val(&task));
    drop(client);
    task.await;
}

#[derive(Debug)]
struct AnyCertificate;

impl rustls::client::danger::ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_flight_is_answered_at_once() {
    let rig = rig().await;
    let mut stream = rig.raw("plain").await;
    until(&mut stream, "ready\r\n").await;
    exchange(&mut stream, SIGN_IN, "235").await;
    let body = "x".repeat(70_000);
    let flight = format!("{OPEN}BDAT 2\r\n\r\nBDAT {} LAST\r\n{body}QUIT\r\n", body.len());
    let said = exchange(&mut stream, &flight, "221").await;
    let codes: Vec<&str> = said.lines().map(|line| &line[..3]).collect();
    assert_eq!(codes, ["250", "250", "250", "250", "221"], "{said}");
    assert_eq!(rig.inbox.letters.lock()[0].1.len(), 70_002);
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_are_limited_in_all_and_per_address() {
    let rig = rig_with(Limits { connections: 3, connections_per_ip: 2, ..roomy() }, Inbox::default()).await;
    let (mut one, mut two) = (rig.raw("plain").await, rig.raw("plain").await);
    until(&mut one, "220").await;
    until(&mut two, "220").await;
    let said = until(&mut rig.raw("plain").await, "\r\n").await;
    assert!(said.starts_with("421 4.7.0 too many connections from your address"), "{said}");
    drop(one);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(until(&mut rig.raw("plain").await, "\r\n").await.starts_with("220"));
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_and_dripping_clients_are_sent_away() {
    let short = Duration::from_millis(400);
    let rig = rig_with(Limits { idle: short, data: Duration::from_millis(900), ..roomy() }, Inbox::default()).await;
    let mut silent = rig.raw("plain").await;
    assert!(until(&mut silent, "4.4.2").await.contains("421 4.4.2 no command for too long"));

    // Octets without a line end are not progress.
    let mut dripping = rig.raw("plain").await;
    until(&mut dripping, "220").await;
    let (mut reader, mut writer) = dripping.into_split();
    let drip = tokio::spawn(async move {
        while writer.write_all(b"N").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(until(&mut reader, "4.4.2").await.contains("421 4.4.2 no command"));
    drop(reader);
    drip.await.unwrap();

    // Data may take `data`, however steadily it drips.
    let mut stream = rig.raw("plain").await;
    until(&mut stream, "220").await;
    exchange(&mut stream, SIGN_IN, "235").await;
    exchange(&mut stream, &format!("{OPEN}DATA\r\n"), "354").await;
    let (mut reader, mut writer) = stream.into_split();
    let drip = tokio::spawn(async move {
        while writer.write_all(b"x\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(until(&mut reader, "4.4.2").await.contains("421 4.4.2 the message's data came too slowly"));
    drop(reader);
    drip.await.unwrap();
    assert!(rig.inbox.letters.lock().is_empty());
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_tells_the_client_and_only_where_it_is_named() {
    let rig = rig().await;
    let v2 = [b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".as_slice(), &[192, 0, 2, 55, 1, 2, 3, 4, 5, 6, 2, 75]].concat();
    for header in [b"PROXY TCP4 192.0.2.55 198.51.100.1 56324 587\r\n".as_slice(), &v2] {
        let mut stream = rig.raw("proxied").await;
        // The client's first octets may come in the segment of the header.
        stream.write_all(&[header, SIGN_IN.as_bytes()].concat()).await.unwrap();
        until(&mut stream, "235").await;
        exchange(&mut stream, &format!("{OPEN}BDAT 2 LAST\r\n\r\n"), "queued as").await;
        assert_eq!(rig.inbox.letters.lock().pop().unwrap().4, "192.0.2.55".parse::<IpAddr>().unwrap());
    }
    let mut stream = rig.raw("proxied").await;
    let said = exchange(&mut stream, "EHLO client.example\r\n", "\r\n").await;
    assert!(said.starts_with("421 4.7.0 a PROXY header is required"), "{said}");
    let mut stream = rig.raw("plain").await;
    until(&mut stream, "220").await;
    let said = exchange(&mut stream, "PROXY TCP4 192.0.2.55 198.51.100.1 56324 587\r\n", "\r\n").await;
    assert!(said.starts_with("500 5.5.1"), "{said}");
    rig.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shutting_down_sends_the_idle_away_and_waits_for_a_transaction() {
    let rig = rig_with(roomy(), Inbox { slow: Duration::from_millis(300), ..Inbox::default() }).await;
    let (mut idle, mut busy) = (rig.raw("plain").await, rig.raw("plain").await);
    until(&mut idle, "220").await;
    until(&mut busy, "220").await;
    exchange(&mut busy, SIGN_IN, "235").await;
    exchange(&mut busy, &format!("{OPEN}DATA\r\n"), "354").await;
    rig.stop.send_replace(true);
    assert!(until(&mut idle, "4.3.2").await.contains("421 4.3.2"));
    let said = exchange(&mut busy, "\r\n.\r\n", "421").await;
    assert!(said.starts_with("250 2.0.0 queued as ") && said.contains("421 4.3.2"), "{said}");
    assert_eq!(rig.inbox.letters.lock().len(), 1);
    rig.end().await;
}

#[tokio::test]
async fn plain_listeners_are_for_loopback_and_tls_needs_a_certificate() {
    let mut outside = listener("x", ListenerTls::None, &[]);
    outside.addresses = vec!["0.0.0.0:0".parse().unwrap()];
    assert!(matches!(
        SmtpServer::bind(parts(vec![outside], TlsSlot::default())).await,
        Err(ServerError::PlainOutside { .. })
    ));
    let implicit = listener("x", ListenerTls::Implicit, &[]);
    assert!(matches!(
        SmtpServer::bind(parts(vec![implicit], TlsSlot::default())).await,
        Err(ServerError::NoCertificate(_))
    ));
}
