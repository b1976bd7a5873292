//! MTA-STS: policies from a real HTTPS server, kept to against mail exchangers that do and do not prove their names.

use std::net::SocketAddr;

use waxseal_tests::dns::{Dns, Trouble};
use waxseal_tests::gateway::{Gateway, Tenant};
use waxseal_tests::https::HttpsServer;
use waxseal_tests::receiver::{Receiver, Stage};
use waxseal_tests::setup::Setup;
use waxseal_tests::tls::Authority;

use crate::world::{SOON, mail};

/// A gateway that trusts one authority, a policy host of it for `sts.test`, and two exchangers on one port:
/// `mx.sts.test`, which proves its name, and `bad.sts.test`, which does not.
pub struct World {
    pub gateway: Gateway,
    pub tenant: Tenant,
    pub dns: Dns,
    pub web: HttpsServer,
    pub good: Receiver,
    pub bad: Receiver,
}

const MODES: &[&str] = &["PIPELINING", "8BITMIME", "DSN"];

pub fn world() -> World {
    world_with(|_| ())
}

/// The same with a change to the configuration.
pub fn world_with(change: impl FnOnce(&mut Setup)) -> World {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let local: SocketAddr = ([127, 0, 0, 1], 0).into();
    let good = Receiver::start_at(local, Some(authority.certify(&["mx.sts.test"])), MODES).unwrap();
    let port = good.address().port();
    let beside: SocketAddr = ([127, 0, 0, 2], port).into();
    let bad = Receiver::start_at(beside, Some(stranger.certify(&["bad.sts.test"])), MODES).unwrap();
    let web = HttpsServer::start(authority.certify(&["mta-sts.sts.test", "mta-sts.other.test"])).unwrap();
    let dns = Dns::start().unwrap();
    dns.mx("sts.test", 10, "mx.sts.test").a("mx.sts.test", [127, 0, 0, 1].into());
    dns.a("bad.sts.test", [127, 0, 0, 2].into()).a("mta-sts.sts.test", [127, 0, 0, 1].into());
    dns.txt("_mta-sts.sts.test", "v=STSv1; id=one;");
    let mut setup = Setup::new();
    setup.dns(&dns, port).set("dns", "https_port", web.address().port().to_string());
    let file = tempfile::NamedTempFile::new().unwrap();
    let (_, path) = file.keep().unwrap();
    std::fs::write(&path, authority.pem()).unwrap();
    setup.set("delivery", "ca_file", format!("\"{}\"", path.display()));
    change(&mut setup);
    let gateway = setup.start();
    let tenant = gateway.tenant("acme", &["example.com"]);
    World { gateway, tenant, dns, web, good, bad }
}

fn policy(mode: &str, mx: &str) -> String {
    format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n")
}

impl World {
    pub fn send(&self, subject: &str) -> String {
        self.gateway.submit(&self.tenant, "sender@example.com", &["someone@sts.test"], &mail(subject))
    }
}

#[test]
fn an_enforced_policy_is_kept_to_and_told_in_every_place() {
    let world = world();
    world.web.text(&policy("enforce", "*.sts.test"));
    let id = world.send("proven");
    let event = world.gateway.wait_for("message.delivered", &id);
    assert_eq!(event["evidence"]["tls"]["policy"], "mta-sts", "{event}");
    assert_eq!(event["evidence"]["tls"]["verified"], true, "{event}");
    assert!(event["evidence"]["note"].as_str().unwrap().contains("policy one in mode enforce"), "{event}");
    assert_eq!(world.web.asked()[0].line, "GET /.well-known/mta-sts.txt HTTP/1.1");
    assert!(world.web.asked()[0].header("host").unwrap().starts_with("mta-sts.sts.test"));
    world.send("from the cache");
    world.good.wait_for(2, SOON);
    assert_eq!(world.web.asked().len(), 1, "one fetch");
    let explained = world.gateway.cli(&["route", "explain", "someone@sts.test", "--json"]).ok().json();
    assert_eq!(explained["mta_sts"]["mode"], "enforce", "{explained}");
    assert_eq!(explained["tls_by_host"][0]["policy"], "mta-sts", "{explained}");
    assert_eq!(explained["tls"]["proof"], "web-pki", "{explained}");
}

#[test]
fn hosts_that_a_policy_does_not_name_or_that_prove_nothing_get_no_mail() {
    let mut world = world();
    world.web.text(&policy("enforce", "bad.sts.test"));
    let id = world.send("not named");
    let event = world.gateway.wait_for("message.deferred", &id);
    assert!(event["evidence"]["note"].as_str().unwrap().contains("does not name it"), "{event}");
    world.dns.mx("wrong.test", 10, "bad.sts.test").txt("_mta-sts.wrong.test", "v=STSv1; id=two;");
    assert_eq!(world.good.times(Stage::Greeting), 0, "it was dialled");
    // Nothing answers any more, and the gateway is another process: what is remembered holds.
    world.web.answer("500 No", "");
    world.dns.trouble("_mta-sts.sts.test", Trouble::Fails);
    assert!(world.gateway.terminate(SOON).success());
    world.gateway.start();
    let event = world.gateway.wait_event("message.deferred", SOON, |event| {
        event["id"] == id.as_str() && event["attempt"].as_u64() > Some(2)
    });
    assert!(event["evidence"]["note"].as_str().unwrap().contains("remembered"), "{event}");
    assert_eq!(world.good.times(Stage::Greeting), 0, "a failed fetch lowered the policy");
}

#[test]
fn a_newer_policy_is_asked_for_before_mail_fails() {
    let world = world();
    world.web.text(&policy("enforce", "bad.sts.test"));
    let id = world.send("waits for the new policy");
    world.gateway.wait_for("message.deferred", &id);
    world.web.text(&policy("enforce", "mx.sts.test"));
    world.dns.replace_txt("_mta-sts.sts.test", "v=STSv1; id=two;");
    let event = world.gateway.wait_for("message.delivered", &id);
    assert!(event["evidence"]["note"].as_str().unwrap().contains("policy two"), "{event}");
}

#[test]
fn testing_and_broken_policies_hold_nothing_back() {
    let world = world();
    world.dns.mx("wrong.test", 10, "bad.sts.test").txt("_mta-sts.wrong.test", "v=STSv1; id=t;");
    world.dns.a("mta-sts.wrong.test", [127, 0, 0, 1].into());
    // The policy host has no certificate for this name: no policy, plain opportunistic TLS.
    let send = |subject| world.gateway.submit(&world.tenant, "sender@example.com", &["a@wrong.test"], &mail(subject));
    let id = send("no policy to be had");
    let event = world.gateway.wait_for("message.delivered", &id);
    assert_eq!(event["evidence"]["tls"]["policy"], "opportunistic", "{event}");
    // A redirect is no answer either.
    world.web.answer("301 Moved\r\nLocation: https://mta-sts.sts.test/\r\nContent-Type: text/plain", "");
    let id = world.send("redirected");
    let event = world.gateway.wait_for("message.delivered", &id);
    assert_eq!(event["evidence"]["tls"]["policy"], "opportunistic", "{event}");
    world.web.text(&policy("testing", "nobody.sts.test"));
    world.dns.replace_txt("_mta-sts.sts.test", "v=STSv1; id=tested;");
    world.gateway.cli(&["route", "explain", "someone@sts.test"]).ok();
    let id = world.send("only tested");
    world.gateway.wait_for("message.delivered", &id);
    assert_eq!(world.bad.arrived().len(), 1);
}
