//! The way out: where mail goes, when it waits, when it comes back.

use std::net::SocketAddr;

use waxseal_tests::dns::Trouble;
use waxseal_tests::receiver::{Act, Receiver, Stage};
use waxseal_tests::tls::Authority;

use crate::world::{SOON, mail, world, world_with};

#[test]
fn one_transaction_serves_all_recipients_of_a_domain() {
    let world = world();
    world.submit(&["a@rcpt.test", "b@rcpt.test", "c@rcpt.test"], &mail("three at once"));
    let arrived = world.arrived(1);
    assert_eq!(arrived[0].recipients(), ["a@rcpt.test", "b@rcpt.test", "c@rcpt.test"]);
    assert_eq!(arrived.len(), 1);
}

#[test]
fn a_temporary_refusal_is_tried_again_and_recorded() {
    let world = world();
    world.receiver.script(|step| {
        let refuses = step.stage == Stage::Rcpt && step.times < 2;
        if refuses { Act::Reply("451 4.7.1 greylisted, come back".into()) } else { Act::GoOn }
    });
    let id = world.submit(&["someone@rcpt.test"], &mail("patience"));
    let deferred = world.gateway.wait_for("message.deferred", &id);
    assert_eq!(deferred["evidence"]["code"], 451, "{deferred}");
    world.arrived(1);
    let delivered = world.gateway.wait_for("message.delivered", &id);
    assert_eq!(delivered["attempt"], 3, "{delivered}");
}

#[test]
fn each_recipient_of_a_transaction_gets_an_outcome_of_its_own() {
    let world = world();
    world.receiver.script(|step| match (step.stage, step.command.as_str()) {
        (Stage::Rcpt, command) if command.contains("<never@") => Act::Reply("550 5.1.1 no such user".into()),
        (Stage::Rcpt, command) if command.contains("<later@") && step.times < 4 => Act::Reply("452 4.2.2 full".into()),
        _ => Act::GoOn,
    });
    let id = world.submit(&["now@rcpt.test", "later@rcpt.test", "never@rcpt.test"], &mail("three fates"));
    let about = |name: &str, address: &str| {
        world
            .gateway
            .wait_event(name, SOON, |event| event["id"] == id.as_str() && event["to"].as_str() == Some(address))
    };
    about("message.delivered", "now@rcpt.test");
    about("message.bounced", "never@rcpt.test");
    about("message.delivered", "later@rcpt.test");
    let all: Vec<String> = world
        .receiver
        .arrived()
        .iter()
        .flat_map(|mail| mail.recipients().into_iter().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert_eq!(all.iter().filter(|address| *address == "now@rcpt.test").count(), 1, "{all:?}");
}

#[test]
fn dns_that_fails_defers_and_a_missing_domain_bounces() {
    let world = world();
    world.dns.trouble("broken.test", Trouble::Fails);
    let id = world.submit(&["someone@broken.test"], &mail("dns broken"));
    let event = world.gateway.wait_for("message.deferred", &id);
    assert_eq!(event["evidence"]["stage"], "dns", "{event}");
    world.dns.heal("broken.test").mx("broken.test", 10, "mx.rcpt.test");
    world.gateway.wait_for("message.delivered", &id);
    let id = world.submit(&["someone@missing.test"], &mail("no such domain"));
    let event = world.gateway.wait_for("message.bounced", &id);
    assert_eq!(event["evidence"]["stage"], "dns", "{event}");
}

#[test]
fn a_domain_that_takes_no_mail_bounces_at_once() {
    let world = world();
    world.dns.null_mx("null.test");
    let id = world.submit(&["someone@null.test"], &mail("null mx"));
    let event = world.gateway.wait_for("message.bounced", &id);
    // RFC 7505 §4.2.
    assert_eq!(event["evidence"]["status"], "5.1.10", "{event}");
}

#[test]
fn the_next_exchanger_is_tried_when_the_first_is_down() {
    let world = world();
    world.dns.mx("two.test", 10, "down.two.test").mx("two.test", 20, "mx.rcpt.test");
    world.dns.a("down.two.test", [127, 0, 0, 9].into());
    world.submit(&["someone@two.test"], &mail("plan b"));
    world.arrived(1);
}

#[test]
fn a_domain_without_exchanger_is_reached_by_its_address_and_aliases_are_followed() {
    let world = world();
    world.dns.a("bare.test", [127, 0, 0, 1].into());
    world.dns.mx("alias.test", 10, "alias-mx.test").cname("alias-mx.test", "mx.rcpt.test");
    world.submit(&["someone@bare.test"], &mail("no mx"));
    world.arrived(1);
    world.submit(&["someone@alias.test"], &mail("alias"));
    world.arrived(2);
}

#[test]
fn connections_are_used_again() {
    let world = world();
    for number in 0..10 {
        world.submit(&["someone@rcpt.test"], &mail(&format!("number {number}")));
        world.arrived(number + 1);
    }
    assert!(world.receiver.connections() <= 3, "{} connections for ten mails", world.receiver.connections());
}

fn tls_receiver(authority: &Authority, name: &str) -> Receiver {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    Receiver::start_at(any, Some(authority.certify(&[name])), &["PIPELINING", "8BITMIME", "DSN"]).unwrap()
}

#[test]
fn tls_is_used_where_it_is_offered_and_named_in_the_event() {
    let receiver = tls_receiver(&Authority::new(), "mx.rcpt.test");
    let world = world_with(|setup| {
        setup.route_all(receiver.address());
    });
    let id = world.submit(&["someone@rcpt.test"], &mail("encrypted"));
    assert!(receiver.wait_for(1, SOON)[0].tls);
    let event = world.gateway.wait_for("message.delivered", &id);
    assert_eq!(event["evidence"]["tls"]["version"], "TLSv1.3", "{event}");
}

#[test]
fn verified_tls_accepts_the_right_name_and_waits_for_a_wrong_one() {
    let authority = Authority::new();
    let (right, wrong) = (tls_receiver(&authority, "mx.right.test"), tls_receiver(&Authority::new(), "mx.wrong.test"));
    let world = world_with(|setup| {
        let path = std::env::temp_dir().join(format!("waxseal-anchors-{}.pem", std::process::id()));
        std::fs::write(&path, authority.pem()).unwrap();
        setup.set("delivery", "tls", "\"verify\"").set("delivery", "ca_file", format!("\"{}\"", path.display()));
        for (domain, receiver) in [("right.test", &right), ("wrong.test", &wrong)] {
            let port = receiver.address().port();
            setup.tables(&format!("\n[[delivery.route]]\ndomain = \"{domain}\"\nhost = \"mx.{domain}:{port}\"\n"));
        }
    });
    world.dns.a("mx.right.test", [127, 0, 0, 1].into()).a("mx.wrong.test", [127, 0, 0, 1].into());
    let good = world.submit(&["someone@right.test"], &mail("right"));
    let event = world.gateway.wait_for("message.delivered", &good);
    assert_eq!(event["evidence"]["tls"]["verified"], true, "{event}");
    let bad = world.submit(&["someone@wrong.test"], &mail("wrong"));
    world.gateway.wait_for("message.deferred", &bad);
    assert_eq!(wrong.arrived().len(), 0, "mail went to a host that did not prove its name");
}

#[test]
fn required_tls_never_falls_back_to_plain_text() {
    let world = world_with(|setup| {
        setup.set("delivery", "tls", "\"require\"");
    });
    let id = world.submit(&["someone@rcpt.test"], &mail("secret"));
    world.gateway.wait_for("message.deferred", &id);
    assert_eq!(world.receiver.arrived().len(), 0);
    assert_eq!(world.receiver.times(Stage::Mail), 0, "not even the envelope leaves in the clear");
}
