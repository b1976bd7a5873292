//! One SMTP session as a pure state machine (RFC 5321 with the extensions of RFC 1870, 2920, 3030, 3207, 3461, 4954,
//! 6152, 6531, 8689, 9422): octets and the time go in, replies and [`Next`] come out. No socket, no clock, no wait.
//!
//! The driver hands over what it has read; the session takes what it can and says what comes next. While it waits
//! for an answer (TLS, a verdict, a store) it takes nothing, so that commands pipelined behind stay in the driver's
//! buffer and are neither lost nor read too early. Octets behind STARTTLS in the clear end the session (RFC 3207 §4.2).

mod answers;
mod auth;
mod commands;
mod content;

use std::net::IpAddr;
use std::sync::Arc;

use super::addressees::{Addressees, Incoming};
use super::auth::Attempt;
use super::budget::{Budget, Share};
use super::chunk::ChunkReader;
use super::command::{Command, SyntaxError};
use super::data::DataReader;
use super::line::{AUTH_LINE, COMMAND_LINE, Line, LineReader};
use super::reply::Reply;
use super::scram::{Challenge, ClientFirst};
use crate::clock::Timestamp;
use crate::config::Limits;
use crate::ids::SessionId;
use crate::message::{DomainName, Envelope};
use crate::pipeline::{AcceptError, Submission};
use crate::store::StoreError;
use crate::tenants::Credential;

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Mail of services that sign in, to be delivered elsewhere (RFC 6409).
    Submission,
    /// Mail of anybody for addresses of our own (RFC 5321). Nobody signs in.
    Reception {
        /// Nothing is taken before STARTTLS. Public servers cannot ask for that (RFC 3207 §4).
        tls_required: bool,
    },
}

impl Service {
    /// Is nothing but STARTTLS served in the clear, off the loopback interface?
    pub(super) fn needs_tls(self) -> bool {
        matches!(self, Self::Submission | Self::Reception { tls_required: true })
    }
}

/// What all sessions of a listener share.
pub struct Rules {
    /// What the listener is for.
    pub service: Service,
    /// Whom mail may go to.
    pub addressees: Arc<dyn Addressees>,
    /// Our name.
    pub hostname: DomainName,
    /// Bounds.
    pub limits: Limits,
    /// Memory for messages.
    pub budget: Arc<Budget>,
}

/// What carries the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channel {
    /// In the clear on the loopback interface: AUTH and mail are served as they are.
    Loopback,
    /// In the clear; nothing but STARTTLS leads on.
    BeforeTls,
    /// Under TLS: protocol and cipher as `Received` tells them.
    Tls(String),
}

/// What the driver does next.
pub enum Next {
    /// Write the replies, read more, and call [`Session::advance`] again.
    Read,
    /// Write the replies (there are many) and call [`Session::advance`] again.
    Write,
    /// Nothing: an answer is still owed.
    Wait,
    /// Write the replies, do the TLS handshake, answer with [`Session::tls_established`].
    StartTls,
    /// Check, answer with [`Session::authenticated`].
    Authenticate(Attempt),
    /// Answer with [`Session::challenged`]: the user's SCRAM keys, or made-up ones.
    LookupCredential {
        /// Whose.
        user: String,
    },
    /// Answer with [`Session::admitted`]: is the credential still good, and is there room for so many octets?
    Admit {
        /// Who sends; nobody signs in where mail is received.
        credential: Option<Arc<Credential>>,
        /// The announced size, 0 if none was.
        size: usize,
    },
    /// Take the letter through the pipeline, answer with [`Session::submitted`].
    Submit(Box<Submission>),
    /// Take the message in, answer with [`Session::received`].
    Receive(Box<Incoming>),
    /// Write the replies and hang up.
    Close,
}

/// Why a transaction is not let in at MAIL.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Inadmissible {
    /// The credential was revoked or changed since it signed in.
    #[error("the credential is no longer valid")]
    Credential,
    /// No room.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What ran out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timeout {
    /// No command came (`limits.idle`).
    Idle,
    /// A message's data took too long or came too slowly (`limits.data`).
    Data,
    /// The session is over its whole time (`limits.session`).
    Session,
}

/// What the client is busy with; it decides which time limit applies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Commands.
    Command,
    /// The data of a message, or a chunk that is thrown away.
    Content,
}

/// A refusal that was sent, for events and metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Its label.
    pub reason: &'static str,
    /// The reply's line.
    pub reply: String,
}

/// Who is on the other side, once they have said EHLO or HELO.
#[derive(Clone)]
struct Peer {
    helo: String,
    /// EHLO, not HELO.
    extended: bool,
    credential: Option<Arc<Credential>>,
}

/// A transaction from MAIL on.
struct Draft {
    credential: Option<Arc<Credential>>,
    envelope: Envelope,
    announced: usize,
    share: Share,
}

/// Where an AUTH exchange stands: what the next line of the client is.
enum Exchange {
    Plain,
    LoginUser,
    LoginSecret {
        user: String,
    },
    ScramFirst,
    ScramFinal(Box<Challenge>),
    /// The empty answer to the server's last message.
    ScramDone(Arc<Credential>),
}

/// The answer that is owed.
enum Awaited {
    Tls,
    ScramKeys(Peer, ClientFirst),
    /// With the server's last message, under SCRAM.
    Verdict(Peer, Option<String>),
    Admission(Peer, Box<Draft>),
    /// The share of memory lives as long as the letter is on its way.
    Acceptance(Peer, Share),
}

enum State {
    /// Before EHLO, and again after STARTTLS.
    Unknown,
    Ready(Peer),
    Sasl(Peer, Exchange),
    Mail(Peer, Box<Draft>),
    Data(Peer, Box<Draft>, DataReader),
    /// Inside a chunk.
    Chunk(Peer, Box<Draft>, ChunkReader),
    /// Between chunks.
    Chunks(Peer, Box<Draft>, ChunkReader),
    /// Inside a chunk that nobody wants; then the reply, then the state.
    Discard(Box<State>, u64, Reply),
    Waiting(Awaited),
    Closed,
}

#[derive(Default)]
struct Tally {
    commands: usize,
    errors: usize,
    messages: usize,
    throttled: bool,
}

/// A session.
pub struct Session {
    rules: Arc<Rules>,
    id: SessionId,
    client: IpAddr,
    channel: Channel,
    lines: LineReader,
    state: State,
    tally: Tally,
    draining: bool,
    rejections: Vec<Rejection>,
}

/// Replies are handed over for writing when so many octets have gathered: a client that pipelines without reading
/// is held up by its own socket, not by our memory.
const REPLIES: usize = 8 * 1024;

impl Session {
    /// A session with a client at `client`; greets into `out`.
    pub fn new(rules: Arc<Rules>, id: SessionId, client: IpAddr, channel: Channel, out: &mut Vec<u8>) -> Self {
        out.extend_from_slice(format!("220 {} ESMTP ready\r\n", rules.hostname).as_bytes());
        Self {
            rules,
            id,
            client,
            channel,
            lines: LineReader::default(),
            state: State::Unknown,
            tally: Tally::default(),
            draining: false,
            rejections: Vec::new(),
        }
    }

    /// Takes octets from the front of `input`: how many, and what comes next. Replies are added to `out`.
    pub fn advance(&mut self, input: &[u8], now: Timestamp, out: &mut Vec<u8>) -> (usize, Next) {
        let mut taken = 0;
        loop {
            if self.draining && matches!(self.state, State::Unknown | State::Ready(_) | State::Sasl(..)) {
                self.say(&Reply::from(&AcceptError::ShuttingDown), out);
                self.state = State::Closed;
            }
            match self.state {
                State::Closed => return (taken, Next::Close),
                State::Waiting(_) => return (taken, Next::Wait),
                _ if out.len() >= REPLIES => return (taken, Next::Write),
                _ => {}
            }
            let rest = &input[taken..];
            let step = match self.state {
                State::Data(..) => self.data_step(rest, out),
                State::Chunk(..) => self.chunk_step(rest, out),
                State::Discard(..) => self.discard_step(rest, out),
                _ => self.line_step(rest, now, out),
            };
            let Some((used, next)) = step else { return (taken, Next::Read) };
            taken += used;
            if let Some(next) = next {
                return (taken, next);
            }
        }
    }

    fn line_step(&mut self, input: &[u8], now: Timestamp, out: &mut Vec<u8>) -> Option<(usize, Option<Next>)> {
        let authenticating = matches!(self.state, State::Sasl(..))
            || input.get(..5).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        match self.lines.read(input, if authenticating { AUTH_LINE } else { COMMAND_LINE }) {
            Line::Incomplete => None,
            Line::Skipped(taken) => (taken > 0).then_some((taken, None)),
            Line::Refused(fault, taken) => {
                self.state = match std::mem::replace(&mut self.state, State::Closed) {
                    State::Sasl(peer, _) => State::Ready(peer),
                    state => state,
                };
                self.fault(&fault.into(), out);
                Some((taken, None))
            }
            Line::Complete(line, taken) => {
                self.tally.commands += 1;
                if self.tally.commands > self.rules.limits.commands {
                    let text = format!("more than {} commands in one session", self.rules.limits.commands);
                    self.end(&Reply::refusal(421, "4.7.0", "commands", text), out);
                    return Some((taken, None));
                }
                let next = match std::mem::replace(&mut self.state, State::Closed) {
                    State::Sasl(peer, exchange) => self.sasl_line(peer, exchange, line, out),
                    state => match Command::parse(line) {
                        Ok(command) => self.command(state, command, input.len() > taken, now, out),
                        // Without a size nobody can tell the chunk's octets from commands.
                        Err(error @ SyntaxError::Chunk) => {
                            self.end(&error.into(), out);
                            None
                        }
                        Err(error) => {
                            self.state = state;
                            self.fault(&error.into(), out);
                            None
                        }
                    },
                };
                Some((taken, next))
            }
        }
    }

    /// Time ran out: says so and closes.
    pub fn timed_out(&mut self, what: Timeout, out: &mut Vec<u8>) {
        let (reason, text) = match what {
            Timeout::Idle => ("idle", "no command for too long - closing"),
            Timeout::Data => ("slow-data", "the message's data came too slowly - closing"),
            Timeout::Session => ("session-time", "this session has lasted long enough - open a new one"),
        };
        self.end(&Reply::refusal(421, "4.4.2", reason, text), out);
    }

    /// The gateway is going to stop: a session at rest ends with the next [`Session::advance`], one in a transaction
    /// after it.
    pub fn wind_down(&mut self) {
        self.draining = true;
    }

    /// What the client is busy with.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Data(..) | State::Chunk(..) | State::Discard(..) => Phase::Content,
            _ => Phase::Command,
        }
    }

    /// The refusals since the last call.
    pub fn take_rejections(&mut self) -> Vec<Rejection> {
        std::mem::take(&mut self.rejections)
    }

    fn say(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        let line = reply.line(self.id);
        out.extend_from_slice(line.as_bytes());
        out.extend_from_slice(b"\r\n");
        if let Some(reason) = reply.reason() {
            self.rejections.push(Rejection { reason, reply: line });
        }
    }

    /// A refusal that counts as the client's error; too many of them end the session.
    fn fault(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        self.say(reply, out);
        self.tally.errors += 1;
        if self.tally.errors > self.rules.limits.errors {
            self.end(&Reply::refusal(421, "4.7.0", "errors", "too many errors - closing"), out);
        }
    }

    fn end(&mut self, reply: &Reply, out: &mut Vec<u8>) {
        self.say(reply, out);
        self.state = State::Closed;
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
pub(in crate::smtp) mod tests;
