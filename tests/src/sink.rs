//! A receiving server that is as cheap and as strict as can be: counts mails and their ids, keeps none.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use memchr::memmem;
use parking_lot::Mutex;

use crate::load::{ID_FIELD, epoch_seconds};
use crate::wire::{Wire, ehlo_reply};

/// What the sink saw.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Mails that ended properly.
    pub mails: usize,
    /// Those with at least one DKIM signature field.
    pub signed: usize,
    /// DKIM signature fields in all.
    pub signatures: usize,
    /// Octets of mail.
    pub octets: u64,
    /// Connections.
    pub connections: usize,
    /// When the first mail ended, seconds since the epoch; 0 if none has.
    pub first: f64,
    /// When the last mail ended.
    pub last: f64,
    /// How often each id came.
    pub ids: HashMap<String, usize>,
}

/// The sink; ends with the process.
pub struct Sink {
    address: SocketAddr,
    counts: Arc<Mutex<Counts>>,
}

impl Sink {
    /// Listens on `address` (port 0: any) and offers `extensions` in EHLO, one a line as they stand.
    pub fn start(address: SocketAddr, extensions: &[&str]) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Mutex::new(Counts::default()));
        let ehlo: Arc<[u8]> = ehlo_reply("sink.example", extensions).into_bytes().into();
        let shared = counts.clone();
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (counts, ehlo) = (shared.clone(), ehlo.clone());
                counts.lock().connections += 1;
                std::thread::spawn(move || {
                    let _ = serve(socket, &ehlo, &counts);
                });
            }
        });
        Ok(Self { address, counts })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it saw so far.
    pub fn counts(&self) -> Counts {
        self.counts.lock().clone()
    }

    /// How many mails came so far.
    pub fn mails(&self) -> usize {
        self.counts.lock().mails
    }

    /// Forgets what it saw.
    pub fn reset(&self) {
        *self.counts.lock() = Counts::default();
    }
}

fn serve(socket: TcpStream, ehlo: &[u8], counts: &Mutex<Counts>) -> io::Result<()> {
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(Duration::from_mins(10)))?;
    let mut wire = Wire::new(socket);
    wire.send(b"220 sink.example ESMTP\r\n")?;
    let mut replies = Vec::new();
    let mut chunks = Vec::new();
    loop {
        let line = wire.line()?;
        let verb: String = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
        match verb.as_str() {
            "EHLO" => replies.extend_from_slice(ehlo),
            "HELO" => replies.extend_from_slice(b"250 sink.example\r\n"),
            "MAIL" | "RCPT" | "RSET" | "NOOP" => replies.extend_from_slice(b"250 2.0.0 ok\r\n"),
            "DATA" => {
                replies.extend_from_slice(b"354 go on\r\n");
                wire.send(&replies)?;
                replies.clear();
                let content = wire.data()?;
                counts.lock().note(&content);
                replies.extend_from_slice(b"250 2.0.0 taken\r\n");
            }
            "BDAT" => {
                let count = line.split(' ').nth(1).and_then(|count| count.parse().ok()).unwrap_or_default();
                chunks.extend(wire.exactly(count)?);
                if line.to_ascii_uppercase().ends_with(" LAST") {
                    counts.lock().note(&chunks);
                    chunks.clear();
                }
                replies.extend_from_slice(b"250 2.0.0 taken\r\n");
            }
            "QUIT" => {
                replies.extend_from_slice(b"221 2.0.0 bye\r\n");
                return wire.send(&replies);
            }
            _ => replies.extend_from_slice(b"500 5.5.2 unknown\r\n"),
        }
        // Answers to pipelined commands go out together (RFC 2920 §3.1 allows it; one write is cheaper).
        if !wire.has_early_octets() {
            wire.stream().write_all(&replies)?;
            replies.clear();
        }
    }
}

impl Counts {
    fn note(&mut self, content: &[u8]) {
        let head = memmem::find(content, b"\r\n\r\n").map_or(content, |end| &content[..end]);
        let signatures = memmem::find_iter(head, b"DKIM-Signature:").count();
        self.mails += 1;
        self.signed += usize::from(signatures > 0);
        self.signatures += signatures;
        self.octets += content.len() as u64;
        self.last = epoch_seconds();
        if self.first == 0.0 {
            self.first = self.last;
        }
        if let Some(at) = memmem::find(head, ID_FIELD.as_bytes()) {
            let id = head[at + ID_FIELD.len()..].split(|octet| *octet == b'\r').next().unwrap_or_default();
            *self.ids.entry(String::from_utf8_lossy(id).into_owned()).or_default() += 1;
        }
    }
}
