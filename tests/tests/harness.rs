//! The harness itself: its servers, clients and wrappers work with each other before they judge anybody.

// A helper of tests is test code as well, though it bears no `#[test]`.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use waxseal_tests::client::Client;
use waxseal_tests::disk::Disk;
use waxseal_tests::dns::{Dns, Trouble};
use waxseal_tests::load::{self, Load};
use waxseal_tests::need::{self, Need};
use waxseal_tests::peers::{self, Exim, Postfix, SmtpSink};
use waxseal_tests::receiver::{Act, Receiver, Stage};
use waxseal_tests::sink::Sink;
use waxseal_tests::tls::Authority;

const MAIL: &[u8] = b"From: a@example.com\r\nSubject: x\r\n\r\nbody\r\n.dot\r\n";

fn send(to: std::net::SocketAddr, recipients: &[&str]) -> u16 {
    let mut client = Client::connect(to).unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    client.send("a@example.com", recipients, MAIL).unwrap().code
}

#[test]
fn the_receiver_keeps_what_came_and_follows_its_script() {
    let receiver = Receiver::start().unwrap();
    assert_eq!(send(receiver.address(), &["b@x.test", "c@x.test"]), 250);
    let arrived = receiver.wait_for(1, Duration::from_secs(5));
    assert_eq!(arrived[0].message, MAIL);
    assert_eq!(arrived[0].recipients(), ["b@x.test", "c@x.test"]);
    receiver.script(|step| match step.stage {
        Stage::Rcpt if step.command.contains("<b@") => Act::Reply("550 5.1.1 no such user".into()),
        _ => Act::GoOn,
    });
    assert_eq!(send(receiver.address(), &["b@x.test"]), 550);
    receiver.script(|step| if step.stage == Stage::FinalReply { Act::Close } else { Act::GoOn });
    let mut client = Client::connect(receiver.address()).unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    assert!(client.send("a@example.com", &["b@x.test"], MAIL).is_err());
    assert_eq!(receiver.arrived().len(), 1);
}

#[test]
fn both_ends_speak_tls_with_the_tests_authority() {
    let authority = Authority::new();
    let certified = authority.certify(&["mx.x.test"]);
    let receiver = Receiver::start_at(([127, 0, 0, 1], 0).into(), Some(certified), &["8BITMIME"]).unwrap();
    let mut client = Client::connect(receiver.address()).unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    let mut client = client.starttls(&authority, "mx.x.test").unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    assert_eq!(client.send("a@example.com", &["b@x.test"], MAIL).unwrap().code, 250);
    assert!(receiver.arrived()[0].tls);
    let mut client = Client::connect(receiver.address()).unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    assert!(client.starttls(&Authority::new(), "mx.x.test").is_err(), "a stranger's certificate is refused");
}

#[test]
fn the_dns_server_answers_as_it_was_told() {
    let dns = Dns::start().unwrap();
    dns.a("mx.x.test", [127, 0, 0, 1].into()).mx("x.test", 10, "mx.x.test").trouble("bad.test", Trouble::Fails);
    if !need::all(&[Need::Dkimpy]) {
        return;
    }
    let script = "import sys, dns.resolver\n\
        r = dns.resolver.Resolver(configure=False); r.nameservers = ['127.0.0.1']; r.port = int(sys.argv[1])\n\
        print(r.resolve('x.test', 'MX')[0].exchange, r.resolve('mx.x.test', 'A')[0])\n\
        for name in ('none.test', 'bad.test'):\n\
        \x20 try: r.resolve(name, 'MX', lifetime=2)\n\
        \x20 except Exception as problem: print(type(problem).__name__)";
    let port = dns.address().port().to_string();
    let mut command = std::process::Command::new(need::peers().join("venv/bin/python"));
    let said = peers::run(command.args(["-c", script, &port])).unwrap();
    assert_eq!(said, "mx.x.test. 127.0.0.1\nNXDOMAIN\nNoNameservers\n");
}

#[test]
fn the_generator_and_the_sink_agree_on_every_mail() {
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), &["8BITMIME"]).unwrap();
    let outcome = load::run(Load { sessions: 4, messages: 250, per_connection: 20, ..Load::to(sink.address()) });
    let counts = sink.counts();
    assert_eq!((outcome.acknowledged.len(), outcome.broken), (250, 0), "{}", outcome.last_trouble);
    assert_eq!((counts.mails, counts.ids.len()), (250, 250));
    assert!(outcome.acknowledged.keys().all(|id| counts.ids.get(id) == Some(&1)));
    assert!(counts.octets / 250 >= 4000, "mails have the size asked for: {}", counts.octets / 250);
}

#[test]
fn real_receivers_take_mail() {
    if !need::all(&[Need::Postfix, Need::SmtpTools, Need::Exim]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    Authority::new().certify(&["localhost"]).write(folder.path()).unwrap();
    let (postfix, exim, sink) =
        (Postfix::receiving(&["x.test"], &[]), Exim::receiving(folder.path()), SmtpSink::start());
    for address in [postfix.address(), exim.address(), sink.address()] {
        assert_eq!(send(address, &["b@x.test"]), 250);
    }
    for messages in [postfix.wait_for(1), exim.wait_for(1), sink.wait_for(1)] {
        assert!(String::from_utf8_lossy(&messages[0]).contains("\n.dot\n"));
    }
    let relay = Postfix::relaying_to(postfix.address(), &[]);
    assert_eq!(send(relay.address(), &["b@x.test"]), 250);
    postfix.wait_for(2);
}

#[test]
fn a_power_cut_keeps_what_was_synced_and_loses_the_rest() {
    if !need::all(&[Need::OwnFileSystem]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut disk = Disk::new(folder.path(), 16).unwrap();
    let synced = disk.path().join("synced");
    std::fs::write(&synced, "kept").unwrap();
    std::fs::File::open(&synced).unwrap().sync_all().unwrap();
    std::fs::File::open(disk.path()).unwrap().sync_all().unwrap();
    std::fs::write(disk.path().join("not-synced"), "lost").unwrap();
    disk.cut_power().unwrap();
    assert!(std::fs::write(disk.path().join("after"), "x").is_err(), "the file system still takes writes");
    disk.power_on().unwrap();
    assert_eq!(std::fs::read_to_string(&synced).unwrap(), "kept");
    assert!(
        std::fs::read_to_string(disk.path().join("not-synced")).is_ok_and(|text| text.is_empty())
            || !disk.path().join("not-synced").exists()
    );
}
