//! DANE: a real BIND with a signed root, and mail exchangers whose certificates its TLSA records name, or do not.

use std::net::SocketAddr;

use waxseal_tests::bind::{Bind, Signed, Zone};
use waxseal_tests::gateway::{Gateway, Tenant};
use waxseal_tests::need::{self, Need};
use waxseal_tests::receiver::Receiver;
use waxseal_tests::setup::Setup;
use waxseal_tests::tls::{Authority, Certified};

use crate::world::{SOON, mail};

/// One gateway, one BIND, and receivers on neighbouring loopback addresses with one port.
struct World {
    gateway: Gateway,
    tenant: Tenant,
    bind: Bind,
    port: u16,
}

const MODES: &[&str] = &["PIPELINING", "8BITMIME"];

/// Receivers at 127.0.0.1, 127.0.0.2 and so on; one without a certificate offers no STARTTLS.
fn receivers(certified: Vec<Option<Certified>>) -> (Vec<Receiver>, u16) {
    let mut port = 0;
    let mut receivers = Vec::new();
    for (place, certified) in certified.into_iter().enumerate() {
        let at: SocketAddr = ([127, 0, 0, place as u8 + 1], port).into();
        let receiver = Receiver::start_at(at, certified, MODES).unwrap();
        port = receiver.address().port();
        receivers.push(receiver);
    }
    (receivers, port)
}

fn world(port: u16, zones: &[Zone<'_>]) -> World {
    let bind = Bind::start(zones);
    let mut setup = Setup::new();
    setup.set("dns", "servers", format!("[\"{}\"]", bind.address())).set("dns", "smtp_port", port.to_string()).set(
        "dns",
        "trust_anchor",
        format!("\"{}\"", bind.anchor().display()),
    );
    let gateway = setup.start();
    let tenant = gateway.tenant("acme", &["example.com"]);
    World { gateway, tenant, bind, port }
}

impl World {
    fn send(&self, to: &str) -> String {
        self.gateway.submit(&self.tenant, "sender@example.com", &[to], &mail(to))
    }

    #[track_caller]
    fn delivered(&self, to: &str, policy: &str) {
        let id = self.send(to);
        let event = self.gateway.wait_event("message.delivered", SOON, |event| event["id"] == id.as_str());
        let proven = policy == "dane";
        assert_eq!(event["evidence"]["tls"]["policy"], policy, "{event}\n{}", self.bind.log());
        assert_eq!(event["evidence"]["tls"]["verified"], proven, "{event}");
    }

    #[track_caller]
    fn deferred(&self, to: &str, because: &str) {
        let id = self.send(to);
        let event = self.gateway.wait_event("message.deferred", SOON, |event| event["id"] == id.as_str());
        let note = event["evidence"]["note"].as_str().unwrap_or_default();
        assert!(note.contains(because), "{event}\n{}", self.bind.log());
    }
}

/// A domain whose exchanger is `mx.<domain>` at 127.0.0.`last`, with a TLSA record if there is one.
fn mail_zone(last: u8, tlsa: Option<(u16, &str)>) -> String {
    let record = tlsa.map(|(port, data)| format!("_{port}._tcp.mx IN TLSA {data}\n")).unwrap_or_default();
    format!("@ IN MX 10 mx\nmx IN A 127.0.0.{last}\n{record}")
}

#[test]
fn tlsa_records_of_a_signed_zone_decide_and_nothing_rescues_what_fails_them() {
    if !need::all(&[Need::Bind]) {
        return;
    }
    let (authority, other) = (Authority::new(), Authority::new());
    let named = authority.certify(&["mx.ta.test"]);
    let certified = other.certify(&["anything.invalid"]);
    let (tlsa, stranger) = (certified.tlsa.clone(), other.certify(&["x.invalid"]).tlsa);
    let (receivers, port) = receivers(vec![Some(certified), Some(named), None]);
    let world = world(
        port,
        &[
            ("ee.test", Signed::Yes, mail_zone(1, Some((port, &tlsa)))),
            ("port25.test", Signed::Yes, mail_zone(1, Some((25, &tlsa)))),
            ("ta.test", Signed::Yes, mail_zone(2, Some((port, &authority.tlsa())))),
            ("mismatch.test", Signed::Yes, mail_zone(1, Some((port, &stranger)))),
            ("plain.test", Signed::Yes, mail_zone(3, Some((port, &tlsa)))),
            ("unusable.test", Signed::Yes, mail_zone(1, Some((port, &tlsa.replace("3 1 0", "1 1 0"))))),
            ("none.test", Signed::Yes, mail_zone(1, None)),
            ("unsigned.test", Signed::No, mail_zone(1, Some((port, &stranger)))),
            ("bogus.test", Signed::Wrongly, mail_zone(1, None)),
            ("alias.test", Signed::Yes, "@ IN MX 10 mx\nmx IN CNAME mx.ee.test.\n".to_owned()),
            ("silent.test", Signed::Yes, mail_zone(1, None)),
            ("_tcp.mx.silent.test", Signed::NotLoaded, String::new()),
        ],
    );
    world.delivered("a@ee.test", "dane");
    world.delivered("a@port25.test", "dane");
    world.delivered("a@ta.test", "dane");
    world.delivered("a@alias.test", "dane");
    world.delivered("a@none.test", "opportunistic");
    world.delivered("a@unsigned.test", "opportunistic");
    world.deferred("a@mismatch.test", "does not prove");
    world.deferred("a@plain.test", "TLSA records (DANE) wants TLS");
    world.deferred("a@silent.test", "TLSA records could not be looked up");
    world.deferred("a@bogus.test", "DNSSEC");
    let id = world.send("a@unusable.test");
    let event = world.gateway.wait_for("message.delivered", &id);
    assert_eq!(
        (&event["evidence"]["tls"]["policy"], &event["evidence"]["tls"]["verified"]),
        (&"dane".into(), &false.into())
    );
    assert_eq!(receivers[2].arrived().len(), 0, "mail in plain text to a host with TLSA records");
    let explained = world.gateway.cli(&["route", "explain", "a@ee.test", "--json"]).ok().json();
    let ruling = &explained["tls_by_host"][0];
    assert_eq!(ruling["tlsa_name"], format!("_{}._tcp.mx.ee.test", world.port), "{explained}");
    assert_eq!((&ruling["policy"], &ruling["tlsa"][0]), (&"dane".into(), &tlsa.into()), "{explained}");
}

#[test]
fn without_signatures_from_the_servers_dane_is_off_and_says_so() {
    let world = crate::world::world();
    world.submit(&["someone@rcpt.test"], &mail("no dnssec here"));
    world.arrived(1);
    let explained = world.gateway.cli(&["route", "explain", "someone@rcpt.test", "--json"]).ok().json();
    let why = explained["tls_by_host"][0]["dane"].as_str().unwrap().to_owned();
    assert!(why.contains("validated") || why.contains("signatures"), "{explained}");
    world.gateway.wait_event("gateway.state", SOON, |event| event["state"] == "dnssec");
}
