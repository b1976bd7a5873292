//! One connection: drives a [`Session`] with what the socket brings, within the time limits.
//!
//! **A ClientHello on a STARTTLS port.** The server speaks first, so it has to know before it greets. It looks for
//! octets without taking them, for at most [`HELLO_WAIT`]: a TLS client sends its hello as soon as it is connected, a
//! plain one says nothing. Only STARTTLS listeners pay that wait, once a connection, and there a connection costs its
//! handshake and several round trips anyway. The rejected way, greeting at once and mending afterwards, cannot work: a
//! TLS client takes the greeting for a broken record and gives up.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::addressees::ReceiveError;
use super::auth::Verdict;
use super::gate::Place;
use super::proxy::{self, Source};
use super::reply::{Reply, clean};
use super::server::{Door, Shared};
use super::session::{Channel, Inadmissible, Next, Phase, Rejection, Session, Timeout};
use super::wire::Wire;
use crate::config::ListenerTls;
use crate::ids::SessionId;
use crate::observe::{self, Event};

/// How long a STARTTLS listener looks for a ClientHello before it greets.
const HELLO_WAIT: Duration = Duration::from_millis(20);
/// A PROXY header and a TLS handshake have to be done within this.
const HANDSHAKE: Duration = Duration::from_secs(30);
/// A client has to take its replies within this.
const WRITE: Duration = Duration::from_mins(1);
/// How long we wait for the client to close after we did, so that our last reply is not lost to a reset.
const LINGER: Duration = Duration::from_secs(1);
/// Data has to come at this many octets a second on average, once it has had [`RATE_GRACE`].
const RATE: u64 = 128;
const RATE_GRACE: Duration = Duration::from_secs(30);

/// Refuses a connection before it has a session.
pub(super) fn turn_away(stream: &TcpStream, client: IpAddr, door: &Door, reason: &'static str, text: &'static str) {
    let session = SessionId::new();
    let reply = Reply::refusal(421, "4.7.0", reason, text).line(session);
    if door.tls != ListenerTls::Implicit {
        // Best effort: a socket just accepted has room for a line, and nobody is owed more.
        let _ = stream.try_write(format!("{reply}\r\n").as_bytes());
    }
    report(session, client, Rejection { reason, reply });
}

fn report(session: SessionId, client: IpAddr, rejection: Rejection) {
    metrics::counter!("waxseal_smtp_rejects_total", "reason" => rejection.reason).increment(1);
    let Rejection { reason, reply } = rejection;
    observe::emit(&Event::SmtpReject { session: observe::session(session), client, reason, reply });
}

/// Serves a connection to its end.
pub(super) async fn run(
    mut stream: TcpStream,
    peer: SocketAddr,
    mut place: Place,
    door: Arc<Door>,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
) {
    // Replies are whole flights already: waiting for more only delays them.
    let _ = stream.set_nodelay(true);
    let mut client = peer.ip().to_canonical();
    if door.proxied(client) {
        match timeout(HANDSHAKE, proxy::read(&mut stream)).await {
            Ok(Ok(Source::Client(address))) => client = address.ip().to_canonical(),
            Ok(Ok(Source::Own)) => {}
            Ok(Err(_)) | Err(_) => {
                return turn_away(&stream, client, &door, "proxy-header", "a PROXY header is required from you");
            }
        }
    }
    if !place.claim(client) {
        return turn_away(&stream, client, &door, "connections-per-ip", "too many connections from your address");
    }
    let _counted = Counted::new(&door);
    if let Some(connection) = Connection::open(stream, client, door, shared, stopping).await {
        connection.serve().await;
    }
}

/// A connection in the gauge, taken out however its task ends.
struct Counted(metrics::Gauge);

impl Counted {
    fn new(door: &Door) -> Self {
        let gauge = metrics::gauge!("waxseal_smtp_connections", "listener" => door.name.clone());
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

struct Connection {
    wire: Wire,
    session: Session,
    id: SessionId,
    client: IpAddr,
    door: Arc<Door>,
    shared: Arc<Shared>,
    stopping: watch::Receiver<bool>,
    winding_down: bool,
    pending: Vec<u8>,
    out: Vec<u8>,
    clocks: Clocks,
}

/// What the time limits are counted from.
struct Clocks {
    born: Instant,
    /// The last time that the session took something, or, in a message's data, that octets came.
    moved: Instant,
    /// Since when a message's data comes, and how much of it came.
    content: Option<(Instant, u64)>,
}

impl Connection {
    /// Does what comes before the greeting.
    async fn open(
        stream: TcpStream,
        client: IpAddr,
        door: Arc<Door>,
        shared: Arc<Shared>,
        stopping: watch::Receiver<bool>,
    ) -> Option<Self> {
        let id = SessionId::new();
        let starttls = matches!(door.tls, ListenerTls::StartTls | ListenerTls::StartTlsRequired);
        let surprise = starttls && client_hello(&stream).await;
        let listener = if surprise { format!("{} (implicit TLS)", door.name) } else { door.name.clone() };
        observe::emit(&Event::SmtpConnect { session: observe::session(id), listener, client });
        let (wire, channel) = if surprise || door.tls == ListenerTls::Implicit {
            let (wire, facts) = encrypt(stream, &shared, id, client).await?;
            (wire, Channel::Tls(facts))
        } else if starttls {
            (Wire::Plain(stream), Channel::BeforeTls)
        } else {
            (Wire::Plain(stream), Channel::Loopback)
        };
        let mut out = Vec::new();
        let session = Session::new(Arc::clone(&door.rules), id, client, channel, &mut out);
        let now = Instant::now();
        let clocks = Clocks { born: now, moved: now, content: None };
        Some(Self {
            wire,
            session,
            id,
            client,
            door,
            shared,
            stopping,
            winding_down: false,
            pending: Vec::new(),
            out,
            clocks,
        })
    }

    async fn serve(mut self) {
        // An error of the socket ends the connection, and nobody is left to tell.
        let _ = self.converse().await;
    }

    async fn converse(&mut self) -> io::Result<()> {
        loop {
            let (taken, next) = self.session.advance(&self.pending, self.shared.clock.now(), &mut self.out);
            if taken == self.pending.len() {
                self.pending.clear();
            } else {
                self.pending.drain(..taken);
            }
            if taken > 0 {
                self.clocks.moved = Instant::now();
            }
            for rejection in self.session.take_rejections() {
                report(self.id, self.client, rejection);
            }
            match next {
                Next::Read => {
                    self.write_out().await?;
                    if !self.read_more().await? {
                        return Ok(());
                    }
                }
                Next::Write => self.write_out().await?,
                Next::StartTls => {
                    self.write_out().await?;
                    if !self.start_tls().await {
                        return Ok(());
                    }
                }
                Next::Close => return self.close().await,
                other => self.answer(other).await,
            }
        }
    }

    /// Gets the session the answer that it waits for.
    async fn answer(&mut self, next: Next) {
        let Self { session, door, shared, out, client, .. } = self;
        match next {
            Next::Authenticate(attempt) => {
                let (user, mechanism) = (attempt.user().to_owned(), attempt.mechanism().name());
                let verdict = shared.authenticator.judge(attempt, *client).await;
                let ok = matches!(verdict, Verdict::Accepted(_));
                let user = clean(&user);
                let name = observe::session(self.id);
                observe::emit(&Event::SmtpAuth { session: name, client: *client, user, mechanism, ok });
                session.authenticated(verdict, out);
            }
            Next::LookupCredential { user } => {
                let nonce = format!("{:032x}", rand::random::<u128>());
                session.challenged(shared.authenticator.scram_keys(&user), &nonce, out);
            }
            Next::Admit { credential, size } => {
                let valid = |credential| shared.authenticator.still_valid(credential, *client);
                let answer = if credential.as_ref().is_none_or(valid) {
                    shared.acceptor.room_for(size).map_err(Inadmissible::from)
                } else {
                    Err(Inadmissible::Credential)
                };
                session.admitted(answer, out);
            }
            Next::Receive(incoming) => {
                let answer = match &door.receiver {
                    Some(receiver) => receiver.receive(*incoming).await,
                    // The server opens no such door without one.
                    None => Err(ReceiveError::Later("nobody takes mail here".to_owned())),
                };
                session.received(&answer, out);
            }
            Next::Submit(submission) => session.submitted(&shared.acceptor.accept(*submission).await, out),
            // The rest is served by the caller; nothing is owed.
            Next::Read | Next::Write | Next::Wait | Next::StartTls | Next::Close => {}
        }
        self.clocks.moved = Instant::now();
    }

    async fn write_out(&mut self) -> io::Result<()> {
        if !self.out.is_empty() {
            timeout(WRITE, self.wire.write(&self.out)).await??;
            self.out = Vec::new();
            self.clocks.moved = Instant::now();
        }
        Ok(())
    }

    /// Waits for octets, for the end of the program, or for a time limit. False: the connection is over.
    async fn read_more(&mut self) -> io::Result<bool> {
        if self.pending.is_empty() {
            // Given back while nothing is known to come.
            self.pending = Vec::new();
        }
        let phase = self.session.phase();
        let (deadline, what) = self.deadline(phase);
        // A sender that is gone means the end of the program, too.
        let told = async {
            let _ = self.stopping.wait_for(|stop| *stop).await;
        };
        tokio::select! {
            biased;
            read = timeout_at(deadline, self.wire.read(&mut self.pending)) => match read {
                Ok(Ok(0)) => return Ok(false),
                Ok(Ok(count)) => self.note(phase, count),
                Ok(Err(error)) => return Err(error),
                Err(_) => self.session.timed_out(what, &mut self.out),
            },
            () = told, if !self.winding_down => {
                self.winding_down = true;
                self.session.wind_down();
            }
        }
        Ok(true)
    }

    /// Which limit runs out first.
    fn deadline(&mut self, phase: Phase) -> (Instant, Timeout) {
        let limits = &self.door.rules.limits;
        let Clocks { born, moved, content } = &mut self.clocks;
        let whole = (*born + limits.session, Timeout::Session);
        let quiet = match phase {
            Phase::Command => {
                *content = None;
                (*moved + limits.idle, Timeout::Idle)
            }
            Phase::Content => {
                let (since, _) = *content.get_or_insert((Instant::now(), 0));
                ((*moved + limits.idle).min(since + limits.data), Timeout::Data)
            }
        };
        if whole.0 < quiet.0 { whole } else { quiet }
    }

    /// Octets came: is the message's data fast enough?
    fn note(&mut self, phase: Phase, count: usize) {
        if phase == Phase::Command {
            return;
        }
        let Some((since, octets)) = &mut self.clocks.content else { return };
        *octets += count as u64;
        let elapsed = since.elapsed();
        if elapsed > RATE_GRACE && *octets < elapsed.as_secs() * RATE {
            self.session.timed_out(Timeout::Data, &mut self.out);
        }
    }

    async fn start_tls(&mut self) -> bool {
        // The session lets nothing stand behind STARTTLS; a second lock on the same door (RFC 3207 §4.2).
        if !self.pending.is_empty() {
            return false;
        }
        let Some(stream) = self.take_plain() else { return false };
        match encrypt(stream, &self.shared, self.id, self.client).await {
            Some((wire, facts)) => {
                self.wire = wire;
                self.session.tls_established(facts);
                self.clocks.moved = Instant::now();
                true
            }
            None => false,
        }
    }

    fn take_plain(&mut self) -> Option<TcpStream> {
        match std::mem::replace(&mut self.wire, Wire::Gone) {
            Wire::Plain(stream) => Some(stream),
            Wire::Tls(_) | Wire::Gone => None,
        }
    }

    /// Says the last replies, ends our side, and waits a little for the client's.
    async fn close(&mut self) -> io::Result<()> {
        self.write_out().await?;
        let end = async {
            self.wire.finish().await?;
            let mut rest = Vec::new();
            while self.wire.read(&mut rest).await? > 0 && rest.len() < 1 << 20 {}
            Ok(())
        };
        timeout(LINGER, end).await.unwrap_or(Ok(()))
    }
}

async fn encrypt(stream: TcpStream, shared: &Shared, id: SessionId, client: IpAddr) -> Option<(Wire, String)> {
    let config = shared.tls.get()?;
    match timeout(HANDSHAKE, Wire::encrypt(stream, config)).await {
        Ok(Ok(encrypted)) => Some(encrypted),
        Ok(Err(error)) => {
            report(id, client, Rejection { reason: "tls-handshake", reply: clean(&error.to_string()) });
            None
        }
        Err(_) => {
            report(id, client, Rejection { reason: "tls-handshake", reply: "no handshake in time".into() });
            None
        }
    }
}

/// Does the connection begin with a TLS handshake record? Nothing is taken from it.
async fn client_hello(stream: &TcpStream) -> bool {
    let mut first = [0; 2];
    match timeout(HELLO_WAIT, stream.peek(&mut first)).await {
        Ok(Ok(1)) => first[0] == 0x16,
        Ok(Ok(2)) => first == [0x16, 0x03],
        _ => false,
    }
}
