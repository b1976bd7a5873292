use std::sync::{Arc, Mutex};

use super::*;
use crate::deliver::outcome::{DialogueStage, Evidence, RemoteReply};
use crate::ids::LetterId;
use crate::message::ReversePath;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const NOW: Timestamp = Timestamp::from_millis(1_795_442_709_123);
const PATIENCE: Duration = Duration::from_secs(10);

fn captured(log: &Log, events: &[Event]) -> Vec<String> {
    let out = Captured::default();
    let writer = EventWriter::new(log, b"key", Box::new(out.clone()), 64).unwrap();
    for event in events {
        writer.emit(event, NOW);
    }
    assert!(writer.flush(PATIENCE));
    let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn accepted() -> Event {
    Event::Accepted {
        id: LetterId::from_bytes([1; 16]),
        tenant: "acme".into(),
        session: Some("s-000000000001".into()),
        from: ReversePath::Mailbox("news@acme.example".parse().unwrap()),
        to: vec!["jane@example.com".parse().unwrap()],
        size: 4096,
        signatures: Vec::new(),
    }
}

fn bounced() -> Event {
    let reply = RemoteReply { code: 550, status: Some((5, 1, 1)), text: "<jane@example.com> unknown\nreally".into() };
    Event::Bounced {
        id: LetterId::from_bytes([1; 16]),
        tenant: "acme".into(),
        to: "jane@example.com".parse().unwrap(),
        notice: None,
        evidence: Evidence {
            at: NOW,
            stage: DialogueStage::Rcpt,
            host: Some("mx.example.com".into()),
            address: None,
            reply: Some(reply),
            tls: None,
            note: String::new(),
            status: (5, 1, 1),
        },
    }
}

#[test]
fn an_event_is_one_line_of_json_that_begins_with_time_level_event_id_tenant() {
    let lines = captured(&Log::default(), &[accepted(), bounced()]);
    assert_eq!(lines.len(), 2);
    let id = LetterId::from_bytes([1; 16]);
    let start = format!(
        "{{\"ts\":\"2026-11-23T14:05:09.123Z\",\"level\":\"info\",\"event\":\"message.accepted\",\"id\":\"{id}\",\"tenant\":\"acme\","
    );
    assert!(lines[0].starts_with(&start), "{}", lines[0]);
    let value: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(value["from"], "news@acme.example");
    let value: serde_json::Value = serde_json::from_str(&lines[1]).unwrap();
    assert_eq!(value["level"], "warn");
    assert_eq!(value["evidence"]["status"], "5.1.1");
    assert_eq!(value["evidence"]["at"], "2026-11-23T14:05:09.123Z");
}

#[test]
fn addresses_are_hidden_in_every_field() {
    for addresses in [AddressDetail::Hashed, AddressDetail::None] {
        let lines = captured(&Log { json: true, addresses }, &[accepted(), bounced()]).join("\n");
        assert!(!lines.contains("jane") && !lines.contains("news"), "{lines}");
        assert!(lines.contains("@example.com") && lines.contains("@acme.example"), "{lines}");
    }
}

#[test]
fn the_text_format_is_one_line_as_well() {
    let lines = captured(&Log { json: false, addresses: AddressDetail::Full }, &[bounced()]);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("2026-11-23T14:05:09.123Z warn message.bounced id="), "{}", lines[0]);
    assert!(lines[0].contains(" to=jane@example.com "), "{}", lines[0]);
}

#[test]
fn a_reader_that_stands_still_never_stops_the_writer_of_events() {
    struct Stuck(Arc<Mutex<()>>);
    impl Write for Stuck {
        fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
            drop(self.0.lock());
            Ok(octets.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            drop(self.0.lock());
            Ok(())
        }
    }
    let gate = Arc::new(Mutex::new(()));
    let held = gate.lock().unwrap();
    let writer = EventWriter::new(&Log::default(), b"key", Box::new(Stuck(gate.clone())), 4).unwrap();
    for _ in 0..1000 {
        writer.emit(&accepted(), NOW);
    }
    assert!(!writer.flush(Duration::from_millis(20)));
    drop(held);
    assert!(writer.flush(PATIENCE));
}

#[test]
fn a_reader_that_went_away_is_survived() {
    struct Gone;
    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    let writer = EventWriter::new(&Log::default(), b"key", Box::new(Gone), 4).unwrap();
    for _ in 0..100 {
        writer.emit(&accepted(), NOW);
    }
    assert!(writer.flush(PATIENCE));
}

#[test]
fn the_event_of_a_key_is_named_after_its_state() {
    let event = Event::DkimKey {
        state: "active",
        domain: "acme.example".into(),
        selector: "s1".into(),
        by: "anna".into(),
        why: "asked for".into(),
    };
    let lines = captured(&Log::default(), &[event]);
    assert!(lines[0].contains("\"event\":\"dkim.key.active\",\"state\":\"active\""), "{}", lines[0]);
}
