//! The event writer: lines go over a bounded channel to a thread of their own, so that a slow reader of standard
//! output never holds up mail. A line that finds the channel full is dropped and counted.

use std::io::{BufWriter, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::detail::Veil;
use super::events::Event;
use super::metrics;
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::config::{AddressDetail, Log};

/// Lines that may wait; at 400 octets each about 6 MB.
const WAITING: usize = 16_384;

/// How long the first line after a silence waits for others: one wake and one write for all of them, where each
/// would cost the thread that emits it a system call.
const GATHER: Duration = Duration::from_millis(2);

enum Item {
    Line(String),
    /// Write out what came before, then say so.
    Flush(SyncSender<()>),
}

/// Where events go.
#[derive(Debug)]
pub struct EventWriter {
    lines: SyncSender<Item>,
    json: AtomicBool,
    addresses: AtomicU8,
    veil: Veil,
}

static WRITER: OnceLock<EventWriter> = OnceLock::new();
static LISTENER: OnceLock<UnboundedSender<Event>> = OnceLock::new();

/// Every event from now on, for who shows a gateway at work in its own process (the demo). `None` if somebody
/// listens already.
pub fn listen() -> Option<UnboundedReceiver<Event>> {
    let (sender, receiver) = unbounded_channel();
    LISTENER.set(sender).ok().map(|()| receiver)
}

/// Starts writing events to standard output. `hash_key` keys the hashes of `addresses = "hashed"`: give the same
/// one at every start to have the same hashes. Only the first call has an effect beyond [`configure`]'s.
pub fn start(log: &Log, hash_key: &[u8]) -> std::io::Result<()> {
    if WRITER.get().is_none() {
        let writer = EventWriter::new(log, hash_key, Box::new(std::io::stdout()), WAITING)?;
        // A second starter at the same moment loses its writer, whose thread then ends by itself.
        let _ = WRITER.set(writer);
    }
    configure(log);
    Ok(())
}

/// Applies a reloaded `[log]` section.
pub fn configure(log: &Log) {
    if let Some(writer) = WRITER.get() {
        writer.configure(log);
    }
}

/// Waits until every event so far is written, at most this long; true if they are. Call it last before exit.
pub fn flush(at_most: Duration) -> bool {
    WRITER.get().is_none_or(|writer| writer.flush(at_most))
}

/// Writes one event and counts it. Never blocks and never fails; before [`start`] it only counts.
pub fn emit(event: &Event) {
    metrics::count_event(event);
    if let Some(listener) = LISTENER.get() {
        // A listener that went away has heard enough.
        let _ = listener.send(event.clone());
    }
    if let Some(writer) = WRITER.get() {
        writer.emit(event, SystemClock.now());
    }
}

impl EventWriter {
    /// A writer to `out` with room for `waiting` lines; [`emit`] has its own to standard output.
    pub fn new(log: &Log, hash_key: &[u8], out: Box<dyn Write + Send>, waiting: usize) -> std::io::Result<Self> {
        let (lines, items) = sync_channel(waiting);
        std::thread::Builder::new().name("events".into()).spawn(move || write_out(&items, BufWriter::new(out)))?;
        let writer =
            Self { lines, json: AtomicBool::new(true), addresses: AtomicU8::new(0), veil: Veil::new(hash_key) };
        writer.configure(log);
        Ok(writer)
    }

    /// Changes format and address detail for the events to come.
    pub fn configure(&self, log: &Log) {
        self.json.store(log.json, Ordering::Relaxed);
        let detail = match log.addresses {
            AddressDetail::Full => 0,
            AddressDetail::Hashed => 1,
            AddressDetail::None => 2,
        };
        self.addresses.store(detail, Ordering::Relaxed);
    }

    fn addresses(&self) -> AddressDetail {
        match self.addresses.load(Ordering::Relaxed) {
            0 => AddressDetail::Full,
            1 => AddressDetail::Hashed,
            _ => AddressDetail::None,
        }
    }

    /// Writes one event as of `now`.
    pub fn emit(&self, event: &Event, now: Timestamp) {
        let line = self.line(event, now);
        match self.lines.try_send(Item::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => metrics::event_dropped(),
        }
    }

    /// Waits until every event so far is written; true if that happened in time.
    pub fn flush(&self, at_most: Duration) -> bool {
        let deadline = Instant::now() + at_most;
        let (done, written) = sync_channel(1);
        let mut item = Item::Flush(done);
        while let Err(TrySendError::Full(back)) = self.lines.try_send(item) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
            item = back;
        }
        written.recv_timeout(deadline.saturating_duration_since(Instant::now())) != Err(RecvTimeoutError::Timeout)
    }

    fn line(&self, event: &Event, now: Timestamp) -> String {
        // Every event is a struct, so its JSON begins with a brace; a serializer error cannot happen with these
        // field types, and an empty event is better than a lost process.
        let body = serde_json::to_string(event).unwrap_or_else(|_| "{}".into());
        let body = match event {
            // The name ends in the state (the contract of events), which a tag of serde cannot.
            Event::DkimKey { state, .. } => body.replacen("\"dkim.key\"", &format!("\"dkim.key.{state}\""), 1),
            _ => body,
        };
        let line = format!("{{\"ts\":\"{now}\",\"level\":\"{}\",{}", event.level().name(), &body[1..]);
        let line = self.veil.over_json(&line, self.addresses()).into_owned();
        if self.json.load(Ordering::Relaxed) { line } else { text_line(&line) }
    }
}

/// The same for people: time, level, event, then `name=value` in the event's order.
fn text_line(json: &str) -> String {
    let Ok(Pairs(pairs)) = serde_json::from_str::<Pairs>(json) else { return json.to_owned() };
    let mut words = Vec::with_capacity(pairs.len());
    for (name, value) in pairs {
        let value = match value {
            serde_json::Value::Null => continue,
            serde_json::Value::String(text) if is_word(&text) => text,
            other => other.to_string(),
        };
        words.push(if matches!(&*name, "ts" | "level" | "event") { value } else { format!("{name}={value}") });
    }
    words.join(" ")
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '"')
}

/// An object's members in the order in which they stand.
struct Pairs(Vec<(String, serde_json::Value)>);

impl<'de> serde::Deserialize<'de> for Pairs {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Pairs;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Visitor)
    }
}

fn write_out(items: &Receiver<Item>, mut out: impl Write) {
    // A reader that went away (EPIPE) must not end the gateway: lines are then dropped and counted.
    let mut open = true;
    loop {
        let item = match items.try_recv() {
            Ok(item) => item,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                open = open && out.flush().is_ok();
                match items.recv() {
                    Ok(item @ Item::Line(_)) => {
                        std::thread::sleep(GATHER);
                        item
                    }
                    Ok(item @ Item::Flush(_)) => item,
                    Err(_) => break,
                }
            }
        };
        match item {
            Item::Line(line) => {
                open = open && out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).is_ok();
                if !open {
                    metrics::event_dropped();
                }
            }
            Item::Flush(done) => {
                open = open && out.flush().is_ok();
                let _ = done.send(());
            }
        }
    }
    let _ = out.flush();
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
