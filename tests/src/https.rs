//! An HTTPS server on a loopback port that answers as it is told and remembers what it was asked.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::tls::Certified;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// `GET /path HTTP/1.1`.
    pub line: String,
    /// The header lines.
    pub headers: Vec<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header field's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

/// Everything after `HTTP/1.1 ` in an answer, without `Content-Length`.
pub type Answer = (String, String);

struct Shared {
    answer: Mutex<Answer>,
    asked: Mutex<Vec<Asked>>,
    came: Condvar,
    certified: Mutex<Certified>,
}

/// The server; ends with the process.
#[derive(Clone)]
pub struct HttpsServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl HttpsServer {
    /// A server with this certificate that answers 404.
    pub fn start(certified: Certified) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            answer: Mutex::new(("404 Not Found".to_owned(), String::new())),
            asked: Mutex::default(),
            came: Condvar::new(),
            certified: Mutex::new(certified),
        });
        let for_thread = shared.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let shared = for_thread.clone();
                std::thread::spawn(move || serve(socket, &shared));
            }
        });
        Ok(Self { address, shared })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers with this status line and header (lines joined by CRLF) and this body from now on.
    pub fn answer(&self, head: &str, body: &str) -> &Self {
        *self.shared.answer.lock() = (head.to_owned(), body.to_owned());
        self
    }

    /// Answers every request with a text.
    pub fn text(&self, body: &str) -> &Self {
        self.answer("200 OK\r\nContent-Type: text/plain; charset=utf-8", body)
    }

    /// Shows another certificate from now on.
    pub fn certify(&self, certified: Certified) -> &Self {
        *self.shared.certified.lock() = certified;
        self
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().clone()
    }

    /// Waits until `count` requests came.
    pub fn wait_for(&self, count: usize, at_most: Duration) -> Vec<Asked> {
        let deadline = std::time::Instant::now() + at_most;
        let mut asked = self.shared.asked.lock();
        while asked.len() < count {
            let over = self.shared.came.wait_until(&mut asked, deadline).timed_out();
            assert!(!over || asked.len() >= count, "{} of {count} requests came within {at_most:?}", asked.len());
        }
        asked.clone()
    }
}

fn serve(socket: TcpStream, shared: &Shared) -> io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let certified = shared.certified.lock().clone();
    let mut stream = certified.accept(socket)?;
    let mut octets = Vec::new();
    let head = loop {
        if let Some(end) = octets.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => octets.extend_from_slice(&piece[..count]),
        }
    };
    let text = String::from_utf8_lossy(&octets[..head]).into_owned();
    let mut lines = text.split("\r\n").map(str::to_owned);
    let mut asked =
        Asked { line: lines.next().unwrap_or_default(), headers: lines.collect(), body: octets.split_off(head + 4) };
    let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while asked.body.len() < length {
        let mut piece = [0; 4096];
        match stream.read(&mut piece)? {
            0 => break,
            count => asked.body.extend_from_slice(&piece[..count]),
        }
    }
    let (head, body) = shared.answer.lock().clone();
    shared.asked.lock().push(asked);
    shared.came.notify_all();
    write!(stream, "HTTP/1.1 {head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())?;
    stream.flush()?;
    stream.conn.send_close_notify();
    stream.flush()
}
