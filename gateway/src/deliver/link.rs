//! A connection to a receiving server: greeted, introduced, and under TLS where policy has it.
//!
//! Promises: every step has its own time limit; nothing that came before the handshake is read after it (a server
//! that says more than "220" to STARTTLS is cut off, RFC 3207 §4.2); what the server says while we still write is
//! read meanwhile, so that neither side can hold up the other.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use rustls_pki_types::ServerName;
use tokio::io::ReadBuf;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::outcome::{DialogueStage, Evidence, RemoteReply, Scene, TlsFacts};
use super::reply::{BadReply, ReplyReader};
use super::stream::{Dialer, Stream};
use super::targets::Target;
use super::tls::ClientTls;
use crate::clock::Clock;
use crate::config::DialogueTimeouts;
use crate::sign::TlsLevel;

const READ_OCTETS: usize = 4096;

/// What the server offers (its EHLO reply).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)] // each is one line of the server's reply
pub struct Extensions {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 6152.
    pub eight_bit_mime: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 8689.
    pub require_tls: bool,
    /// RFC 1870; 0 means no limit was named.
    pub size: Option<u64>,
}

impl Extensions {
    /// Reads the text of an EHLO reply.
    pub fn read(text: &str) -> Self {
        let mut found = Self::default();
        for line in text.lines().skip(1) {
            let mut words = line.split_ascii_whitespace();
            match words.next().unwrap_or_default().to_ascii_uppercase().as_str() {
                "PIPELINING" => found.pipelining = true,
                "CHUNKING" => found.chunking = true,
                "8BITMIME" => found.eight_bit_mime = true,
                "SMTPUTF8" => found.smtputf8 = true,
                "DSN" => found.dsn = true,
                "STARTTLS" => found.starttls = true,
                "REQUIRETLS" => found.require_tls = true,
                "SIZE" => found.size = Some(words.next().and_then(|n| n.parse().ok()).unwrap_or(0)),
                _ => {}
            }
        }
        found
    }
}

/// What a connection must be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkPolicy {
    /// TLS.
    pub tls: TlsLevel,
    /// The server must offer REQUIRETLS under verified TLS.
    pub require_tls: bool,
}

/// Why a host gave no connection; the next one may.
#[derive(Debug, Clone)]
pub struct NoLink {
    /// What happened.
    pub evidence: Evidence,
    /// The host lacks REQUIRETLS, and the mail asks for it.
    pub lacks_require_tls: bool,
}

/// What ended a connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The other side closed.
    #[error("the server closed the connection")]
    Closed,
    /// The system reports an error.
    #[error("{0}")]
    Io(String),
    /// Nothing moved for so long.
    #[error("no progress for {0:?}")]
    Stalled(Duration),
    /// Not SMTP.
    #[error(transparent)]
    Bad(#[from] BadReply),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Closed } else { Self::Io(error.to_string()) }
    }
}

/// Counts open connections for the metric.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!("waxseal_delivery_connections").increment(1.0);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!("waxseal_delivery_connections").decrement(1.0);
    }
}

/// See the module.
pub struct Link {
    stream: Box<dyn Stream>,
    replies: ReplyReader,
    /// What the server offers.
    pub extensions: Extensions,
    /// The host.
    pub target: Target,
    /// Its TLS.
    pub tls: Option<TlsFacts>,
    /// Transactions so far.
    pub served: usize,
    /// The last transaction did not come to its end: RSET first.
    pub unclean: bool,
    _counted: Counted,
}

/// What opening a connection needs.
pub struct Opening<'o> {
    /// Opens sockets.
    pub dialer: &'o dyn Dialer,
    /// TLS configurations.
    pub tls: &'o ClientTls,
    /// Time limits.
    pub timeouts: &'o DialogueTimeouts,
    /// The time, for evidence.
    pub clock: &'o dyn Clock,
    /// What we call ourselves.
    pub ehlo: &'o str,
    /// The source address.
    pub source: Option<std::net::IpAddr>,
}

impl Opening<'_> {
    /// Opens a connection to `target` as `policy` wants it. A handshake that fails is followed by one attempt in
    /// the clear if the policy is opportunistic: refusing would deliver to nobody what anybody may read anyway
    /// (RFC 7435), and it is counted and recorded.
    pub async fn open(&self, target: &Target, policy: LinkPolicy) -> Result<Link, NoLink> {
        match self.attempt(target, policy, true).await {
            Err(NoLink { evidence, .. })
                if evidence.stage == DialogueStage::Tls && policy.tls == TlsLevel::Opportunistic =>
            {
                count_tls("none", policy.tls, "handshake-failed");
                self.attempt(target, policy, false).await
            }
            other => other,
        }
    }

    fn scene(&self, target: &Target, tls: Option<TlsFacts>) -> Scene {
        Scene {
            at: self.clock.now(),
            host: Some(target.host.clone()),
            address: Some(target.address.ip()),
            tls,
            dsn: false,
        }
    }

    async fn attempt(&self, target: &Target, policy: LinkPolicy, encrypt: bool) -> Result<Link, NoLink> {
        let scene = self.scene(target, None);
        let fail = |stage, note: String| NoLink {
            evidence: scene.note(stage, (4, 4, if stage == DialogueStage::Connect { 1 } else { 2 }), note),
            lacks_require_tls: false,
        };
        let refuse =
            |stage, reply: &RemoteReply| NoLink { evidence: scene.reply(stage, reply), lacks_require_tls: false };
        let dial = self.dialer.dial(target.address, self.source);
        let stream = match timeout(self.timeouts.connect, dial).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(fail(DialogueStage::Connect, error.to_string())),
            Err(_) => {
                return Err(fail(DialogueStage::Connect, format!("no answer within {:?}", self.timeouts.connect)));
            }
        };
        let mut link = Link {
            stream,
            replies: ReplyReader::default(),
            extensions: Extensions::default(),
            target: target.clone(),
            tls: None,
            served: 0,
            unclean: false,
            _counted: Counted::new(),
        };
        let greeting = link.converse(&mut Outgoing::nothing(), 1, self.timeouts.greeting).await;
        let greeting = greeting.map_err(|e| fail(DialogueStage::Greeting, e.to_string()))?;
        if greeting[0].code != 220 {
            return Err(refuse(DialogueStage::Greeting, &greeting[0]));
        }
        self.introduce(&mut link).await.map_err(|end| end.into_no_link(&scene))?;
        if encrypt && link.extensions.starttls {
            link = self.encrypt(link, policy, &scene).await?;
        } else if policy.tls > TlsLevel::Opportunistic {
            let note = "the policy asks for TLS, and the server does not offer STARTTLS";
            return Err(fail(DialogueStage::Tls, note.to_owned()));
        }
        if policy.require_tls && !link.extensions.require_tls {
            let note = "the message asks for REQUIRETLS, and the server does not offer it";
            let evidence = self.scene(target, link.tls.clone()).note(DialogueStage::Policy, (5, 7, 30), note);
            return Err(NoLink { evidence, lacks_require_tls: true });
        }
        if link.tls.is_none() {
            count_tls("none", policy.tls, if encrypt { "not-offered" } else { "fell-back" });
        }
        Ok(link)
    }

    async fn introduce(&self, link: &mut Link) -> Result<(), End> {
        let ehlo = Bytes::from(format!("EHLO {}\r\n", self.ehlo));
        let replies = link.converse(&mut Outgoing::one(ehlo), 1, self.timeouts.command).await?;
        match replies[0].code {
            250 => {
                link.extensions = Extensions::read(&replies[0].text);
                Ok(())
            }
            // RFC 5321 §3.2: a server that knows no EHLO knows HELO.
            500..=504 if link.tls.is_none() => {
                let helo = Bytes::from(format!("HELO {}\r\n", self.ehlo));
                let replies = link.converse(&mut Outgoing::one(helo), 1, self.timeouts.command).await?;
                if replies[0].code == 250 { Ok(()) } else { Err(End::Refused(replies[0].clone())) }
            }
            _ => Err(End::Refused(replies[0].clone())),
        }
    }

    async fn encrypt(&self, mut link: Link, policy: LinkPolicy, scene: &Scene) -> Result<Link, NoLink> {
        let fail = |note: String| NoLink {
            evidence: scene.note(DialogueStage::Tls, (4, 7, 5), note),
            lacks_require_tls: false,
        };
        let command = Bytes::from_static(b"STARTTLS\r\n");
        let replies = link.converse(&mut Outgoing::one(command), 1, self.timeouts.command).await;
        let replies = replies.map_err(|e| fail(format!("STARTTLS: {e}")))?;
        if replies[0].code != 220 {
            return Err(NoLink { evidence: scene.reply(DialogueStage::Tls, &replies[0]), lacks_require_tls: false });
        }
        if link.replies.surplus() > 0 {
            return Err(fail("the server sent more than the reply to STARTTLS in the clear".to_owned()));
        }
        let name = server_name(&link.target).map_err(fail)?;
        let connector = TlsConnector::from(self.tls.config(policy.tls));
        let stream =
            std::mem::replace(&mut link.stream, Box::new(tokio::io::join(tokio::io::empty(), tokio::io::sink())));
        let handshake = timeout(self.timeouts.command, connector.connect(name, stream));
        let stream = match handshake.await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return Err(fail(format!("TLS handshake: {error}"))),
            Err(_) => return Err(fail(format!("TLS handshake: no progress for {:?}", self.timeouts.command))),
        };
        let session = stream.get_ref().1;
        let version = session.protocol_version().and_then(|v| v.as_str()).unwrap_or("unknown").replace("v1_", "v1.");
        let cipher = session.negotiated_cipher_suite().and_then(|suite| suite.suite().as_str()).unwrap_or("unknown");
        let verified = policy.tls == TlsLevel::Verify;
        count_tls(&version, policy.tls, "ok");
        link.tls = Some(TlsFacts { version, cipher: cipher.to_owned(), verified, policy: policy.tls });
        link.stream = Box::new(stream);
        link.replies = ReplyReader::default();
        let scene = self.scene(&link.target.clone(), link.tls.clone());
        self.introduce(&mut link).await.map_err(|end| end.into_no_link(&scene))?;
        Ok(link)
    }
}

/// Why the introduction failed.
enum End {
    Refused(RemoteReply),
    Broken(Broken),
}

impl From<Broken> for End {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl End {
    fn into_no_link(self, scene: &Scene) -> NoLink {
        let evidence = match self {
            Self::Refused(reply) => scene.reply(DialogueStage::Ehlo, &reply),
            Self::Broken(broken) => scene.note(DialogueStage::Ehlo, (4, 4, 2), broken.to_string()),
        };
        NoLink { evidence, lacks_require_tls: false }
    }
}

fn server_name(target: &Target) -> Result<ServerName<'static>, String> {
    let host = target.host.trim_matches(['[', ']']).to_owned();
    ServerName::try_from(host).map_err(|e| format!("{}: {e}", target.host))
}

fn count_tls(version: &str, policy: TlsLevel, result: &'static str) {
    let policy = match policy {
        TlsLevel::Opportunistic => "opportunistic",
        TlsLevel::Require => "require",
        TlsLevel::Verify => "verify",
    };
    let version = version.to_owned();
    metrics::counter!("waxseal_delivery_tls_total", "version" => version, "policy" => policy, "result" => result)
        .increment(1);
}

/// Octets on their way out, without copying the message.
#[derive(Debug, Default)]
pub struct Outgoing {
    pieces: std::collections::VecDeque<Bytes>,
}

impl Outgoing {
    /// Nothing to send.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// One piece.
    pub fn one(piece: Bytes) -> Self {
        let mut all = Self::default();
        all.push(piece);
        all
    }

    /// Adds a piece at the end.
    pub fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.pieces.push_back(piece);
        }
    }

    /// Is everything sent?
    pub fn is_sent(&self) -> bool {
        self.pieces.is_empty()
    }

    fn poll_write(&mut self, stream: &mut dyn Stream, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut slices = [io::IoSlice::new(&[]); 8];
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = io::IoSlice::new(piece);
            count += 1;
        }
        let written = match Pin::new(stream).poll_write_vectored(cx, &slices[..count]) {
            Poll::Ready(Ok(written)) => written,
            other => return other,
        };
        let mut rest = written;
        while let Some(first) = self.pieces.front_mut() {
            if rest < first.len() {
                first.advance(rest);
                break;
            }
            rest -= first.len();
            self.pieces.pop_front();
        }
        Poll::Ready(Ok(written))
    }
}

impl Link {
    /// The scene of what happens on this connection.
    pub fn scene(&self, clock: &dyn Clock) -> Scene {
        Scene {
            at: clock.now(),
            host: Some(self.target.host.clone()),
            address: Some(self.target.address.ip()),
            tls: self.tls.clone(),
            dsn: self.extensions.dsn,
        }
    }

    /// Sends `out` and reads `wanted` replies, whichever comes first; `patience` is the time without any progress.
    ///
    /// Returns with fewer replies only in the error; those that were read by then are lost with the connection.
    pub async fn converse(
        &mut self,
        out: &mut Outgoing,
        wanted: usize,
        patience: Duration,
    ) -> Result<Vec<RemoteReply>, Broken> {
        let mut replies = Vec::with_capacity(wanted);
        self.converse_into(out, wanted, patience, &mut replies).await?;
        Ok(replies)
    }

    /// Like [`Link::converse`], but keeps the replies that came before an error.
    pub async fn converse_into(
        &mut self,
        out: &mut Outgoing,
        wanted: usize,
        patience: Duration,
        replies: &mut Vec<RemoteReply>,
    ) -> Result<(), Broken> {
        let mut flushed = out.is_sent();
        loop {
            while replies.len() < wanted {
                match self.replies.next_reply()? {
                    Some(reply) => replies.push(reply),
                    None => break,
                }
            }
            if replies.len() >= wanted && out.is_sent() && flushed {
                return Ok(());
            }
            let reading = replies.len() < wanted;
            let stream = &mut *self.stream;
            let inbox = &mut self.replies;
            let step = std::future::poll_fn(|cx| step(stream, out, &mut flushed, reading, inbox, cx));
            match timeout(patience, step).await {
                Ok(result) => result?,
                Err(_) => return Err(Broken::Stalled(patience)),
            }
        }
    }

    /// Says goodbye and does not wait long for the answer.
    pub async fn quit(mut self) {
        let goodbye = Bytes::from_static(b"QUIT\r\n");
        // The connection ends either way.
        let _ = self.converse(&mut Outgoing::one(goodbye), 1, Duration::from_secs(2)).await;
    }

    /// Does the connection look alive? A server that has closed, or said something unasked, is seen here.
    pub fn looks_alive(&mut self) -> bool {
        let mut buffer = [0; 64];
        let mut buffer = ReadBuf::new(&mut buffer);
        let waker = std::task::Waker::noop();
        let read = Pin::new(&mut *self.stream).poll_read(&mut Context::from_waker(waker), &mut buffer);
        read.is_pending() && self.replies.surplus() == 0
    }
}

/// Moves octets either way; ready when anything moved.
fn step(
    stream: &mut dyn Stream,
    out: &mut Outgoing,
    flushed: &mut bool,
    reading: bool,
    inbox: &mut ReplyReader,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Broken>> {
    let mut moved = false;
    while !out.is_sent() {
        match out.poll_write(stream, cx) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(Broken::Closed)),
            Poll::Ready(Ok(_)) => {
                *flushed = false;
                moved = true;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(read_last_words(stream, inbox, cx, error)),
            Poll::Pending => break,
        }
    }
    if out.is_sent() && !*flushed {
        match Pin::new(&mut *stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                *flushed = true;
                moved = true;
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            Poll::Pending => {}
        }
    }
    if reading {
        match read_once(stream, inbox, cx) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(Broken::Closed)),
            Poll::Ready(Ok(_)) => moved = true,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
            Poll::Pending => {}
        }
    }
    if moved { Poll::Ready(Ok(())) } else { Poll::Pending }
}

fn read_once(stream: &mut dyn Stream, inbox: &mut ReplyReader, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
    let mut buffer = [0; READ_OCTETS];
    let mut buffer = ReadBuf::new(&mut buffer);
    match Pin::new(stream).poll_read(cx, &mut buffer) {
        Poll::Ready(Ok(())) => {
            inbox.feed(buffer.filled());
            Poll::Ready(Ok(buffer.filled().len()))
        }
        Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
        Poll::Pending => Poll::Pending,
    }
}

/// A server that hangs up while we write may have said why ("421", "552"): that is worth more than the error.
fn read_last_words(
    stream: &mut dyn Stream,
    inbox: &mut ReplyReader,
    cx: &mut Context<'_>,
    error: io::Error,
) -> Result<(), Broken> {
    match read_once(stream, inbox, cx) {
        Poll::Ready(Ok(octets)) if octets > 0 => Ok(()),
        _ => Err(error.into()),
    }
}
