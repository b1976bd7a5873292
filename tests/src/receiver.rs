//! A receiving mail server with a script: at any step of any conversation it can answer otherwise, stall, close or
//! babble. Keeps what it took.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::tls::Certified;
use crate::wire::{Stream, Wire, ehlo_reply, unstuff};

/// Where in a conversation the script is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Before the greeting.
    Greeting,
    /// EHLO or HELO.
    Ehlo,
    /// STARTTLS.
    StartTls,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA, before any content.
    Data,
    /// Inside the content, after its first line.
    Content,
    /// After the whole content, before the final reply.
    FinalReply,
    /// RSET.
    Rset,
    /// QUIT.
    Quit,
}

/// All of them, in the order of a conversation.
pub const STAGES: [Stage; 10] = [
    Stage::Greeting,
    Stage::Ehlo,
    Stage::StartTls,
    Stage::Mail,
    Stage::Rcpt,
    Stage::Data,
    Stage::Content,
    Stage::FinalReply,
    Stage::Rset,
    Stage::Quit,
];

/// What the script is asked about.
#[derive(Debug, Clone)]
pub struct Step {
    /// Where.
    pub stage: Stage,
    /// The command as it came, empty at stages without one.
    pub command: String,
    /// The connection's number, from 0.
    pub connection: usize,
    /// How many transactions this connection has ended with a final reply.
    pub transactions: usize,
    /// How often this stage was reached before, on any connection.
    pub times: usize,
    /// Is the connection under TLS?
    pub tls: bool,
}

/// What the server does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// What a good server does.
    GoOn,
    /// This reply, CRLF added, instead of the usual one; a mail is kept only under a reply of class 2.
    Reply(String),
    /// These octets as they are, and then the usual way.
    Babble(Vec<u8>),
    /// Silence, until the other side goes or a minute is over.
    Stall,
    /// Closes the connection.
    Close,
    /// Takes the mail and closes the connection without a final reply (only at [`Stage::FinalReply`]).
    TakeAndClose,
}

/// A mail that the server took.
#[derive(Debug, Clone)]
pub struct Arrived {
    /// MAIL's argument: address and parameters.
    pub from: String,
    /// Each RCPT's argument.
    pub to: Vec<String>,
    /// The content, dots unstuffed.
    pub message: Vec<u8>,
    /// Did it come under TLS?
    pub tls: bool,
    /// On which connection.
    pub connection: usize,
}

impl Arrived {
    /// The message as text, octets that are not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.message).into_owned()
    }

    /// The addresses of RCPT, without parameters.
    pub fn recipients(&self) -> Vec<&str> {
        self.to.iter().filter_map(|argument| argument.split(['<', '>']).nth(1)).collect()
    }
}

type Script = dyn Fn(&Step) -> Act + Send + Sync;

struct Shared {
    script: Mutex<Arc<Script>>,
    certified: Option<Certified>,
    extensions: Vec<String>,
    arrived: Mutex<Vec<Arrived>>,
    came: Condvar,
    times: Mutex<std::collections::HashMap<Stage, usize>>,
    connections: Mutex<usize>,
}

/// The server; ends with the process.
#[derive(Clone)]
pub struct Receiver {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Receiver {
    /// A good server on any loopback port, without TLS.
    pub fn start() -> io::Result<Self> {
        Self::start_at(
            (Ipv4Addr::LOCALHOST, 0).into(),
            None,
            &["PIPELINING", "8BITMIME", "SIZE 52428800", "DSN", "SMTPUTF8"],
        )
    }

    /// A server at `address` that offers these extensions, and STARTTLS if it has a certificate.
    pub fn start_at(address: SocketAddr, certified: Option<Certified>, extensions: &[&str]) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script: Mutex::new(Arc::new(|_: &Step| Act::GoOn)),
            certified,
            extensions: extensions.iter().map(|name| (*name).to_owned()).collect(),
            arrived: Mutex::default(),
            came: Condvar::new(),
            times: Mutex::default(),
            connections: Mutex::default(),
        });
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = for_thread.clone();
                std::thread::spawn(move || {
                    let _ = Conversation::open(socket, &shared).and_then(Conversation::run);
                });
            }
        });
        Ok(Self { address, shared })
    }

    /// Gives it a script; conversations under way follow it from their next step.
    pub fn script(&self, script: impl Fn(&Step) -> Act + Send + Sync + 'static) -> &Self {
        *self.shared.script.lock() = Arc::new(script);
        self
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What came so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.shared.arrived.lock().clone()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        *self.shared.connections.lock()
    }

    /// How often a stage was reached.
    pub fn times(&self, stage: Stage) -> usize {
        self.shared.times.lock().get(&stage).copied().unwrap_or_default()
    }

    /// Waits until `count` mails came; panics with what did come after `at_most`.
    pub fn wait_for(&self, count: usize, at_most: Duration) -> Vec<Arrived> {
        let deadline = Instant::now() + at_most;
        let mut arrived = self.shared.arrived.lock();
        while arrived.len() < count {
            let over = self.shared.came.wait_until(&mut arrived, deadline).timed_out();
            assert!(!over || arrived.len() >= count, "{} of {count} mails came within {at_most:?}", arrived.len());
        }
        arrived.clone()
    }
}

struct Conversation<'a> {
    wire: Wire<Box<dyn Stream>>,
    shared: &'a Shared,
    number: usize,
    transactions: usize,
    tls: bool,
    from: String,
    to: Vec<String>,
    chunks: Vec<u8>,
}

/// Goes on, or ends the conversation.
enum Next {
    GoOn,
    End,
}

impl<'a> Conversation<'a> {
    fn open(socket: TcpStream, shared: &'a Shared) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(Duration::from_mins(2)))?;
        let number = {
            let mut connections = shared.connections.lock();
            *connections += 1;
            *connections - 1
        };
        Ok(Self {
            wire: Wire::new(Box::new(socket)),
            shared,
            number,
            transactions: 0,
            tls: false,
            from: String::new(),
            to: Vec::new(),
            chunks: Vec::new(),
        })
    }

    fn ask(&self, stage: Stage, command: &str) -> Act {
        let times = {
            let mut all = self.shared.times.lock();
            let times = all.entry(stage).or_default();
            *times += 1;
            *times - 1
        };
        let step = Step {
            stage,
            command: command.to_owned(),
            connection: self.number,
            transactions: self.transactions,
            times,
            tls: self.tls,
        };
        let script = self.shared.script.lock().clone();
        script(&step)
    }

    /// Does what the script says at a stage whose usual reply is `usual`; true if the usual way was taken.
    fn step(&mut self, stage: Stage, command: &str, usual: &str) -> io::Result<bool> {
        match self.ask(stage, command) {
            Act::GoOn => self.wire.send(format!("{usual}\r\n").as_bytes()).map(|()| true),
            Act::Reply(reply) => {
                self.wire.send(format!("{reply}\r\n").as_bytes())?;
                Ok(reply.starts_with(['2', '3']))
            }
            Act::Babble(octets) => {
                self.wire.send(&octets)?;
                self.wire.send(format!("{usual}\r\n").as_bytes()).map(|()| true)
            }
            Act::Stall => {
                std::thread::sleep(Duration::from_mins(1));
                Err(io::ErrorKind::TimedOut.into())
            }
            Act::Close | Act::TakeAndClose => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn run(mut self) -> io::Result<()> {
        if !self.step(Stage::Greeting, "", "220 receiver.example ESMTP")? {
            return Ok(());
        }
        loop {
            let line = self.wire.line()?;
            if matches!(self.command(&line)?, Next::End) {
                return Ok(());
            }
        }
    }

    fn command(&mut self, line: &str) -> io::Result<Next> {
        let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
        let argument = line.split_once(':').map_or("", |(_, argument)| argument).to_owned();
        match verb.as_str() {
            "EHLO" | "HELO" => {
                let usual = self.ehlo();
                self.step(Stage::Ehlo, line, &usual)?;
            }
            "STARTTLS" if self.shared.certified.is_some() => return self.starttls(line),
            "MAIL" => {
                if self.step(Stage::Mail, line, "250 2.1.0 ok")? {
                    self.from = argument;
                }
            }
            "RCPT" if self.from.is_empty() => self.wire.send(b"503 5.5.1 no sender\r\n")?,
            "RCPT" => {
                if self.step(Stage::Rcpt, line, "250 2.1.5 ok")? {
                    self.to.push(argument);
                }
            }
            "DATA" => self.data(line)?,
            "BDAT" => self.bdat(line)?,
            "RSET" => {
                self.forget();
                self.step(Stage::Rset, line, "250 2.0.0 ok")?;
            }
            "NOOP" => self.wire.send(b"250 2.0.0 ok\r\n")?,
            "QUIT" => {
                self.step(Stage::Quit, line, "221 2.0.0 bye")?;
                return Ok(Next::End);
            }
            _ => self.wire.send(b"500 5.5.2 unknown command\r\n")?,
        }
        Ok(Next::GoOn)
    }

    fn ehlo(&self) -> String {
        let mut lines = self.shared.extensions.clone();
        if self.shared.certified.is_some() && !self.tls {
            lines.push("STARTTLS".to_owned());
        }
        ehlo_reply("receiver.example", &lines).trim_end().to_owned()
    }

    fn starttls(&mut self, line: &str) -> io::Result<Next> {
        if !self.step(Stage::StartTls, line, "220 2.0.0 go")? {
            return Ok(Next::GoOn);
        }
        let Some(certified) = &self.shared.certified else { return Ok(Next::GoOn) };
        let nothing: Box<dyn Stream> = Box::new(io::Cursor::new(Vec::new()));
        let clear = std::mem::replace(&mut self.wire, Wire::new(nothing)).into_stream();
        self.wire = Wire::new(Box::new(certified.accept(clear)?));
        self.tls = true;
        self.forget();
        Ok(Next::GoOn)
    }

    fn data(&mut self, line: &str) -> io::Result<()> {
        if self.to.is_empty() {
            return self.wire.send(b"503 5.5.1 no recipient\r\n");
        }
        if !self.step(Stage::Data, line, "354 go on")? {
            return Ok(());
        }
        let mut content = self.wire.line()?.into_bytes();
        if content == b"." {
            content.clear();
        } else {
            content.extend_from_slice(b"\r\n");
            match self.ask(Stage::Content, "") {
                Act::Close | Act::TakeAndClose => return Err(io::ErrorKind::ConnectionAborted.into()),
                Act::Stall => {
                    std::thread::sleep(Duration::from_mins(1));
                    return Err(io::ErrorKind::TimedOut.into());
                }
                Act::Babble(octets) => self.wire.send(&octets)?,
                Act::Reply(reply) => self.wire.send(format!("{reply}\r\n").as_bytes())?,
                Act::GoOn => {}
            }
            content.extend(self.wire.data()?);
        }
        self.finish(&unstuff(&content))
    }

    fn bdat(&mut self, line: &str) -> io::Result<()> {
        let mut words = line.split(' ').skip(1);
        let count = words.next().and_then(|count| count.parse().ok()).unwrap_or_default();
        let chunk = self.wire.exactly(count)?;
        self.chunks.extend(chunk);
        if words.next().is_some_and(|word| word.eq_ignore_ascii_case("LAST")) {
            let message = std::mem::take(&mut self.chunks);
            return self.finish(&message);
        }
        self.wire.send(b"250 2.0.0 chunk\r\n")
    }

    fn finish(&mut self, message: &[u8]) -> io::Result<()> {
        let act = self.ask(Stage::FinalReply, "");
        let takes = match &act {
            Act::GoOn | Act::TakeAndClose | Act::Babble(_) => true,
            Act::Reply(reply) => reply.starts_with('2'),
            Act::Stall | Act::Close => false,
        };
        if takes && !self.to.is_empty() {
            self.shared.arrived.lock().push(Arrived {
                from: self.from.clone(),
                to: self.to.clone(),
                message: message.to_vec(),
                tls: self.tls,
                connection: self.number,
            });
            self.shared.came.notify_all();
        }
        self.forget();
        self.transactions += 1;
        match act {
            Act::GoOn => self.wire.send(b"250 2.0.0 taken\r\n"),
            Act::Reply(reply) => self.wire.send(format!("{reply}\r\n").as_bytes()),
            Act::Babble(octets) => self.wire.send(&[&octets[..], b"250 2.0.0 taken\r\n"].concat()),
            Act::Stall => {
                std::thread::sleep(Duration::from_mins(1));
                Err(io::ErrorKind::TimedOut.into())
            }
            Act::Close | Act::TakeAndClose => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    fn forget(&mut self) {
        self.from.clear();
        self.to.clear();
        self.chunks.clear();
    }
}
