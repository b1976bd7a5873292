//! A load generator: sessions that send mails one after the other and note when each final reply came.
//!
//! No pipelining and a fixed number of mails a connection, as an ordinary client library sends. Every mail bears
//! its id in `X-Load-Id`, so that the sink tells lost from doubled; the id is noted as acknowledged only after
//! the final 250 was read.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine;
use parking_lot::Mutex;

use crate::wire::{Wire, stuff};

/// The field that names a mail of the generator.
pub const ID_FIELD: &str = "X-Load-Id: ";

/// What to send and how.
#[derive(Debug, Clone)]
pub struct Load {
    /// The server.
    pub server: SocketAddr,
    /// Sessions at once.
    pub sessions: usize,
    /// Mails in all.
    pub messages: usize,
    /// Octets of each mail.
    pub size: usize,
    /// User and secret for AUTH PLAIN.
    pub credential: Option<(String, String)>,
    /// The sender, also in From.
    pub sender: String,
    /// The recipient; `{}` becomes the number of the session.
    pub recipient: String,
    /// Mails on one connection.
    pub per_connection: usize,
    /// What every id begins with.
    pub prefix: String,
    /// Try again after a broken connection or a refusal until the time is over, instead of counting it and going on.
    pub persistent: bool,
    /// When the generator gives up.
    pub at_most: Duration,
}

impl Load {
    /// Twenty sessions' worth of small mails to `server`.
    pub fn to(server: SocketAddr) -> Self {
        Self {
            server,
            sessions: 20,
            messages: 1000,
            size: 4096,
            credential: None,
            sender: "sender@example.test".into(),
            recipient: "rcpt{}@sink.test".into(),
            per_connection: 100,
            prefix: "m".into(),
            persistent: false,
            at_most: Duration::from_mins(2),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The ids that got their 250, and when it was read.
    pub acknowledged: HashMap<String, Instant>,
    /// When the first connection was opened, seconds since the epoch.
    pub began: f64,
    /// Seconds until the last acknowledgement.
    pub seconds: f64,
    /// From the final dot to the final reply, in milliseconds, sorted.
    pub final_reply: Vec<f64>,
    /// From MAIL to the final reply, in milliseconds, sorted.
    pub transaction: Vec<f64>,
    /// Replies of class 4.
    pub temporary: usize,
    /// Replies of class 5.
    pub permanent: usize,
    /// Connections that broke or could not be opened.
    pub broken: usize,
    /// The last refusal or error, to show.
    pub last_trouble: String,
}

impl Outcome {
    /// The ids whose 250 was read by `moment`.
    pub fn acknowledged_by(&self, moment: Instant) -> HashSet<String> {
        self.acknowledged.iter().filter(|(_, at)| **at <= moment).map(|(id, _)| id.clone()).collect()
    }

    fn take(&mut self, other: Self) {
        self.acknowledged.extend(other.acknowledged);
        self.final_reply.extend(other.final_reply);
        self.transaction.extend(other.transaction);
        self.temporary += other.temporary;
        self.permanent += other.permanent;
        self.broken += other.broken;
        if !other.last_trouble.is_empty() {
            self.last_trouble = other.last_trouble;
        }
    }
}

/// The value below which `share` (0 to 1) of the sorted values lie; zero of nothing.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    #[allow(clippy::cast_sign_loss, clippy::cast_precision_loss)] // an index into a slice from a share of its length
    let at = ((sorted.len() as f64 * share) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or_default()
}

/// Seconds since the epoch, as both ends of a measurement note them.
pub fn epoch_seconds() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// A running load; what was acknowledged so far can be seen while it runs.
pub struct Running {
    threads: Vec<std::thread::JoinHandle<Outcome>>,
    shared: Arc<Shared>,
    began: f64,
    clock: Instant,
}

struct Shared {
    load: Load,
    next: AtomicUsize,
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    last: Mutex<f64>,
    deadline: Instant,
}

/// Starts the sessions.
pub fn start(load: Load) -> Running {
    let began = epoch_seconds();
    let clock = Instant::now();
    let sessions = load.sessions;
    let shared = Arc::new(Shared {
        next: AtomicUsize::new(0),
        stop: AtomicBool::new(false),
        acknowledged: AtomicUsize::new(0),
        last: Mutex::new(0.0),
        deadline: clock + load.at_most,
        load,
    });
    let threads = (0..sessions)
        .map(|session| {
            let shared = shared.clone();
            std::thread::spawn(move || shared.session(session, clock))
        })
        .collect();
    Running { threads, shared, began, clock }
}

/// Runs a load to its end.
pub fn run(load: Load) -> Outcome {
    start(load).finish()
}

impl Running {
    /// How many mails were acknowledged so far.
    pub fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Seconds since the start.
    pub fn elapsed(&self) -> Duration {
        self.clock.elapsed()
    }

    /// Lets every session stop after the mail that it is sending.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::SeqCst);
    }

    /// Waits for the sessions and adds up what they saw.
    pub fn finish(self) -> Outcome {
        let mut all = Outcome { began: self.began, ..Outcome::default() };
        for thread in self.threads {
            if let Ok(one) = thread.join() {
                all.take(one);
            }
        }
        all.seconds = *self.shared.last.lock();
        all.final_reply.sort_by(f64::total_cmp);
        all.transaction.sort_by(f64::total_cmp);
        all
    }
}

impl Shared {
    fn over(&self) -> bool {
        self.stop.load(Ordering::SeqCst) || Instant::now() >= self.deadline
    }

    fn session(&self, session: usize, clock: Instant) -> Outcome {
        let mut outcome = Outcome::default();
        let text = Text::new(&self.load, session);
        let mut pending: Option<usize> = None;
        while !self.over() && (pending.is_some() || self.next.load(Ordering::SeqCst) < self.load.messages) {
            if let Err(trouble) = self.connection(&text, session, clock, &mut pending, &mut outcome) {
                outcome.broken += 1;
                outcome.last_trouble = trouble.to_string();
                if !self.load.persistent {
                    pending = None;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        outcome
    }

    fn connection(
        &self,
        text: &Text,
        session: usize,
        clock: Instant,
        pending: &mut Option<usize>,
        outcome: &mut Outcome,
    ) -> io::Result<()> {
        let mut wire = open(&self.load)?;
        for _ in 0..self.load.per_connection {
            if self.over() {
                break;
            }
            let number = match pending.take() {
                Some(number) => number,
                None => self.next.fetch_add(1, Ordering::SeqCst),
            };
            if number >= self.load.messages {
                break;
            }
            *pending = Some(number);
            let id = format!("{}-{session}-{number}", self.load.prefix);
            match text.send(&mut wire, &id)? {
                Sent::Acknowledged { transaction, final_reply } => {
                    *pending = None;
                    outcome.transaction.push(transaction);
                    outcome.final_reply.push(final_reply);
                    outcome.acknowledged.insert(id, Instant::now());
                    self.acknowledged.fetch_add(1, Ordering::SeqCst);
                    let now = clock.elapsed().as_secs_f64();
                    let mut last = self.last.lock();
                    *last = last.max(now);
                }
                Sent::Refused(code, reply) => {
                    *(if code < 500 { &mut outcome.temporary } else { &mut outcome.permanent }) += 1;
                    outcome.last_trouble = reply;
                    if code == 421 {
                        return Ok(());
                    }
                    if !self.load.persistent {
                        *pending = None;
                    }
                    expect(&mut wire, b"RSET\r\n", 250)?;
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
        }
        let _ = wire.send(b"QUIT\r\n");
        let _ = wire.reply();
        Ok(())
    }
}

fn expect(wire: &mut Wire<TcpStream>, command: &[u8], code: u16) -> io::Result<()> {
    wire.send(command)?;
    let reply = wire.reply()?;
    if reply.code == code { Ok(()) } else { Err(io::Error::other(format!("{} {}", reply.code, reply.text()))) }
}

fn open(load: &Load) -> io::Result<Wire<TcpStream>> {
    let socket = TcpStream::connect_timeout(&load.server, Duration::from_secs(5))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_mins(1)))?;
    let mut wire = Wire::new(socket);
    let greeting = wire.reply()?;
    if greeting.code != 220 {
        return Err(io::Error::other(greeting.text()));
    }
    expect(&mut wire, b"EHLO load.example\r\n", 250)?;
    if let Some((user, secret)) = &load.credential {
        let token = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{secret}"));
        expect(&mut wire, format!("AUTH PLAIN {token}\r\n").as_bytes(), 235)?;
    }
    Ok(wire)
}

enum Sent {
    Acknowledged { transaction: f64, final_reply: f64 },
    Refused(u16, String),
}

/// The parts of a session's mails that never change, made once.
struct Text {
    mail: Vec<u8>,
    recipient: Vec<u8>,
    before_id: Vec<u8>,
    after_id: Vec<u8>,
}

impl Text {
    fn new(load: &Load, session: usize) -> Self {
        let recipient = load.recipient.replace("{}", &session.to_string());
        let before_id = format!(
            "From: Load Test <{sender}>\r\nTo: <{recipient}>\r\nSubject: Your order has been shipped\r\n\
             Date: Mon, 23 Nov 2026 14:05:09 +0000\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\
             {ID_FIELD}",
            sender = load.sender
        );
        let head = before_id.len() + 64;
        let mut body = String::from("\r\n\r\n");
        let line = "Thank you for writing to us. We have looked into it and will come back to you soon.\r\n";
        while head + body.len() + line.len() <= load.size {
            body.push_str(line);
        }
        while head + body.len() + 2 < load.size {
            body.push('.');
        }
        body.push_str("\r\n");
        Self {
            mail: format!("MAIL FROM:<{}>\r\n", load.sender).into_bytes(),
            recipient: format!("RCPT TO:<{recipient}>\r\n").into_bytes(),
            before_id: before_id.into_bytes(),
            after_id: stuff(body.as_bytes()),
        }
    }

    fn send(&self, wire: &mut Wire<TcpStream>, id: &str) -> io::Result<Sent> {
        let began = Instant::now();
        for (command, wanted) in [(&self.mail[..], 250), (&self.recipient[..], 250), (b"DATA\r\n", 354)] {
            wire.send(command)?;
            let reply = wire.reply()?;
            if reply.code != wanted {
                return Ok(Sent::Refused(reply.code, reply.text()));
            }
        }
        let mut octets = Vec::with_capacity(self.before_id.len() + self.after_id.len() + 128);
        octets.extend_from_slice(&self.before_id);
        octets.extend_from_slice(format!("{id}\r\nMessage-ID: <{id}@load.example.test>").as_bytes());
        octets.extend_from_slice(&self.after_id);
        wire.send(&octets)?;
        let sent = Instant::now();
        let reply = wire.reply()?;
        if reply.code != 250 {
            return Ok(Sent::Refused(reply.code, reply.text()));
        }
        let millis = |since: Instant| since.elapsed().as_secs_f64() * 1000.0;
        Ok(Sent::Acknowledged { transaction: millis(began), final_reply: millis(sent) })
    }
}
