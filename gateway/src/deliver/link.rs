//! One connection to a server: commands out, replies in, with a time limit on each step.
//!
//! Promises: while octets go out, replies that come early are read, so that two full buffers never block each other;
//! a write without progress ends by its time limit. A write that failed is told by the next [`Link::reply`], after
//! whatever the server said before it hung up: that explains more than "broken pipe".

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use metrics::gauge;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout, timeout_at};

use super::dialer::Stream;
use super::outcome::{RemoteReply, TlsFacts};
use super::pool::Place;
use super::reply::{ReplyError, ReplyReader};
use super::tls_report::TlsFailure;

/// How long the last words of a server are waited for when our write failed.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// How long `QUIT` may take.
const FAREWELL: Duration = Duration::from_secs(2);

/// The connection is of no further use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The server closed it.
    #[error("the server closed the connection")]
    Closed,
    /// A step took too long.
    #[error("the server did not answer within {} s", .0.as_secs())]
    NoReply(Duration),
    /// The server takes no octets.
    #[error("the server took no data for {} s", .0.as_secs())]
    Stalled(Duration),
    /// The operating system or TLS says so.
    #[error("the connection broke: {0}")]
    Io(String),
    /// The server does not speak SMTP.
    #[error(transparent)]
    Reply(#[from] ReplyError),
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        // rustls reports a close without close_notify as an unexpected end: the same to us.
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Closed } else { Self::Io(error.to_string()) }
    }
}

/// What EHLO offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)] // each is one keyword of the EHLO reply
pub struct Extensions {
    /// RFC 2920.
    pub pipelining: bool,
    /// RFC 3030.
    pub chunking: bool,
    /// RFC 6152.
    pub eight_bit: bool,
    /// RFC 6531.
    pub smtputf8: bool,
    /// RFC 3461.
    pub dsn: bool,
    /// RFC 3207.
    pub starttls: bool,
    /// RFC 8689.
    pub require_tls: bool,
    /// RFC 1870: offered, and the limit if one is told.
    pub size: Option<Option<u64>>,
    /// RFC 9422 `RCPTMAX`.
    pub recipients: Option<usize>,
    /// RFC 9422 `MAILMAX`.
    pub letters: Option<usize>,
}

impl Extensions {
    /// Reads the reply to EHLO; its first line is the server's name.
    pub fn read(reply: &RemoteReply) -> Self {
        let mut offered = Self::default();
        for line in reply.text.lines().skip(1) {
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            match keyword.to_ascii_uppercase().as_str() {
                "PIPELINING" => offered.pipelining = true,
                "CHUNKING" => offered.chunking = true,
                "8BITMIME" => offered.eight_bit = true,
                "SMTPUTF8" => offered.smtputf8 = true,
                "DSN" => offered.dsn = true,
                "STARTTLS" => offered.starttls = true,
                "REQUIRETLS" => offered.require_tls = true,
                // RFC 1870 §4: zero means no fixed limit.
                "SIZE" => offered.size = Some(words.next().and_then(|n| n.parse().ok()).filter(|n| *n > 0)),
                "LIMITS" => offered.read_limits(words),
                _ => {}
            }
        }
        offered
    }

    fn read_limits<'a>(&mut self, words: impl Iterator<Item = &'a str>) {
        for word in words {
            let Some((name, value)) = word.split_once('=') else { continue };
            let value = value.parse().ok().filter(|n| *n > 0);
            if name.eq_ignore_ascii_case("RCPTMAX") {
                self.recipients = value;
            } else if name.eq_ignore_ascii_case("MAILMAX") {
                self.letters = value;
            }
        }
    }
}

/// Counts an open connection as long as it lives.
struct Open;

impl Open {
    fn new() -> Self {
        gauge!("waxseal_delivery_connections").increment(1.0);
        Self
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        gauge!("waxseal_delivery_connections").decrement(1.0);
    }
}

/// A connection, greeted or not.
pub struct Link {
    stream: Box<dyn Stream>,
    replies: ReplyReader,
    write_error: Option<LinkError>,
    /// Commands are put together here; kept so that a letter on a reused link allocates nothing for them.
    pub(super) scratch: Vec<u8>,
    /// What the server offers.
    pub extensions: Extensions,
    /// The name that was looked up.
    pub host: String,
    /// The address that answered.
    pub address: std::net::IpAddr,
    /// The TLS, if any.
    pub tls: Option<TlsFacts>,
    /// What was wrong with TLS although the policy lets the letter go; `None` if nothing was.
    pub tls_failure: Option<TlsFailure>,
    /// Worth remembering, for evidence.
    pub note: String,
    /// Transactions that were begun on it.
    pub transactions: usize,
    /// The last transaction did not end well: RSET goes before the next.
    pub must_reset: bool,
    /// Not to be used again.
    pub doomed: bool,
    /// Its place among the connections of its site.
    pub place: Option<Place>,
    open: Open,
}

enum Step {
    Wrote(usize),
    Heard,
}

impl Link {
    /// A fresh connection; nothing was said yet.
    pub fn new(stream: Box<dyn Stream>, host: &str, address: std::net::IpAddr) -> Self {
        Self {
            stream,
            place: None,
            replies: ReplyReader::default(),
            write_error: None,
            scratch: Vec::new(),
            extensions: Extensions::default(),
            host: host.to_owned(),
            address,
            tls: None,
            tls_failure: None,
            note: String::new(),
            transactions: 0,
            must_reset: false,
            doomed: false,
            open: Open::new(),
        }
    }

    /// Takes the stream out, to be wrapped in TLS. Refused while anything that came in plain text is unread:
    /// carried over, it would pass for a reply inside TLS (RFC 3207 §4.2, CVE-2011-0411).
    pub fn into_stream(self) -> Result<Box<dyn Stream>, LinkError> {
        if self.replies.has_leftovers() {
            return Err(LinkError::Io("plain text was injected after the reply to STARTTLS".into()));
        }
        Ok(self.stream)
    }

    /// Sends all of it, reading early replies meanwhile. `limit` bounds each step of progress, not the whole.
    /// A failure is told by the next [`Link::reply`].
    pub async fn send(&mut self, chunks: [&[u8]; 3], limit: Duration) {
        if self.write_error.is_none()
            && let Err(error) = self.send_all(chunks, limit).await
        {
            self.write_error = Some(error);
            self.doomed = true;
        }
    }

    async fn send_all(&mut self, chunks: [&[u8]; 3], limit: Duration) -> Result<(), LinkError> {
        let mut slices = chunks.map(IoSlice::new);
        let mut rest: &mut [IoSlice<'_>] = &mut slices;
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let step = timeout(limit, poll_fn(|cx| self.poll_write_or_read(cx, rest))).await;
            match step.map_err(|_| LinkError::Stalled(limit))?? {
                Step::Wrote(octets) => IoSlice::advance_slices(&mut rest, octets),
                Step::Heard => {}
            }
        }
        loop {
            let step = timeout(limit, poll_fn(|cx| self.poll_flush_or_read(cx))).await;
            if let Step::Wrote(_) = step.map_err(|_| LinkError::Stalled(limit))?? {
                return Ok(());
            }
        }
    }

    fn poll_write_or_read(&mut self, cx: &mut Context<'_>, rest: &[IoSlice<'_>]) -> Poll<Result<Step, LinkError>> {
        match Pin::new(&mut self.stream).poll_write_vectored(cx, rest) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(LinkError::Closed)),
            Poll::Ready(Ok(octets)) => Poll::Ready(Ok(Step::Wrote(octets))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => self.poll_hear(cx).map_ok(|()| Step::Heard),
        }
    }

    fn poll_flush_or_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, LinkError>> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => Poll::Ready(Ok(Step::Wrote(0))),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending => self.poll_hear(cx).map_ok(|()| Step::Heard),
        }
    }

    /// Reads what is there; ready once anything was.
    fn poll_hear(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        let mut space = [std::mem::MaybeUninit::uninit(); 4_096];
        let mut buffer = ReadBuf::uninit(&mut space);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => Poll::Ready(Err(LinkError::Closed)),
            Poll::Ready(Ok(())) => Poll::Ready(self.replies.feed(buffer.filled()).map_err(LinkError::from)),
        }
    }

    /// The next reply. `limit` bounds the whole reply, however it drips in.
    pub async fn reply(&mut self, limit: Duration) -> Result<RemoteReply, LinkError> {
        let limit = if self.write_error.is_some() { limit.min(LAST_WORDS) } else { limit };
        let result = self.next_reply(limit).await;
        if let Err(error) = result {
            self.doomed = true;
            return Err(self.write_error.clone().unwrap_or(error));
        }
        result
    }

    async fn next_reply(&mut self, limit: Duration) -> Result<RemoteReply, LinkError> {
        let mut deadline = None;
        loop {
            if let Some(reply) = self.replies.next_reply()? {
                return Ok(reply);
            }
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + limit);
            timeout_at(deadline, poll_fn(|cx| self.poll_hear(cx))).await.map_err(|_| LinkError::NoReply(limit))??;
        }
    }

    /// One command and its reply.
    pub async fn ask(&mut self, command: &[u8], limit: Duration) -> Result<RemoteReply, LinkError> {
        self.send([command, b"", b""], limit).await;
        self.reply(limit).await
    }

    /// One EHLO: its reply is kept whole.
    pub async fn ask_ehlo(&mut self, command: &[u8], limit: Duration) -> Result<RemoteReply, LinkError> {
        self.replies.keep_whole_text(true);
        let reply = self.ask(command, limit).await;
        self.replies.keep_whole_text(false);
        reply
    }

    /// Did everything that was sent leave this machine?
    pub fn all_sent(&self) -> bool {
        self.write_error.is_none()
    }

    /// Is an idle link still as it was left: open, and silent? Costs no system call when nothing came in.
    pub async fn is_quiet(&mut self) -> bool {
        if self.doomed || self.replies.has_leftovers() {
            return false;
        }
        poll_fn(|cx| Poll::Ready(self.poll_hear(cx).is_pending())).await
    }

    /// `QUIT`, politely but not patiently.
    pub async fn quit(mut self) {
        let farewell = async {
            if !self.doomed {
                let _ = self.ask(b"QUIT\r\n", FAREWELL).await;
            }
            let _ = self.stream.shutdown().await;
        };
        let _ = timeout(FAREWELL, farewell).await;
        drop(self.open);
    }
}
