//! A year in the life of a domain's keys, with two BINDs as its authoritative servers, nsupdate as its admin, a clock
//! that the test moves, and dkimpy as the receiver who looks keys up in those BINDs when a letter arrives.

use std::net::Ipv4Addr;
use std::time::Duration;

use serde_json::Value;
use waxseal_tests::bind::Primary;
use waxseal_tests::gateway::{Gateway, Tenant};
use waxseal_tests::need::{self, Need};
use waxseal_tests::peers;
use waxseal_tests::receiver::Receiver;
use waxseal_tests::setup::{Setup, free_port};

use crate::world::{SOON, mail};

const ZONE: &str = "example.com";
/// Making an RSA key without optimisation takes a while.
const KEYS: Duration = Duration::from_mins(2);

/// A gateway whose tenant published nothing yet.
struct Year {
    gateway: Gateway,
    tenant: Tenant,
    receiver: Receiver,
    servers: Vec<Primary>,
    arrived: usize,
}

/// Two authoritative servers of the zone, which know nothing of each other: what a slow secondary looks like.
fn two_servers() -> [Primary; 2] {
    let (port, inner) = (free_port(), free_port());
    let second = Ipv4Addr::new(127, 0, 0, 2);
    let hosts = [("ns1.example.com", Ipv4Addr::LOCALHOST), ("ns2.example.com", second)];
    let serve = |port| Primary::serving((Ipv4Addr::LOCALHOST, port).into(), &[ZONE], &hosts);
    [serve(port), serve(inner).also_at((second, port).into())]
}

fn year() -> Option<Year> {
    if !need::all(&[Need::Bind, Need::Dkimpy, Need::FakeTime]) {
        return None;
    }
    let servers = two_servers();
    let receiver = Receiver::start().unwrap();
    let mut setup = Setup::new();
    setup.set("dns", "servers", format!("[\"{}\"]", servers[0].address())).route_all(receiver.address());
    let mut gateway = setup.prepare();
    gateway.fake_clock();
    gateway.start();
    gateway.cli(&["tenant", "add", "acme"]).ok();
    gateway.cli(&["domain", "add", ZONE, "--tenant", "acme"]).ok();
    let credential = gateway.cli(&["credential", "new", "--tenant", "acme", "--json"]).ok().json();
    let text = |key: &str| credential[key].as_str().unwrap().to_owned();
    let tenant = Tenant { name: "acme".into(), user: text("user"), secret: text("secret"), records: Vec::new() };
    Some(Year { gateway, tenant, receiver, servers: servers.into(), arrived: 0 })
}

impl Year {
    fn keys(&self) -> Vec<Value> {
        self.gateway.cli(&["dkim", "list", ZONE, "--json"]).ok().json().as_array().unwrap().clone()
    }

    fn selectors(&self, state: &str) -> Vec<String> {
        let keys = self.keys();
        let of = keys.iter().filter(|key| key["state"] == state);
        of.map(|key| key["selector"].as_str().unwrap().to_owned()).collect()
    }

    /// What an admin does: copies what `domain records` says of these keys into one server's zone.
    fn publish(&self, server: usize, selectors: &[String]) {
        for key in
            self.keys().iter().filter(|key| selectors.iter().any(|selector| key["selector"] == selector.as_str()))
        {
            let text = |field: &str| key[field].as_str().unwrap().to_owned();
            self.servers[server].txt(ZONE, &text("record_name"), &text("record_value"));
        }
    }

    fn publish_everywhere(&self, selectors: &[String]) {
        self.publish(0, selectors);
        self.publish(1, selectors);
    }

    /// Waits until every one of these keys came into `state`.
    #[track_caller]
    fn wait(&self, state: &str, selectors: &[String]) {
        for selector in selectors {
            self.gateway.wait_event(&format!("dkim.key.{state}"), KEYS, |event| event["selector"] == selector.as_str());
        }
    }

    /// Sends a letter and waits for it; which selectors signed it. Every signature must verify by what BIND has now.
    #[track_caller]
    fn send(&mut self, subject: &str) -> Vec<String> {
        self.gateway.submit(&self.tenant, "sender@example.com", &["someone@rcpt.test"], &mail(subject));
        self.receive()
    }

    #[track_caller]
    fn receive(&mut self) -> Vec<String> {
        self.arrived += 1;
        let letter = self.receiver.wait_for(self.arrived, SOON).pop().unwrap();
        let selectors = selectors_of(&letter.text());
        for server in &self.servers {
            let look = |selector: &String| {
                let name = format!("{selector}._domainkey.{ZONE}");
                let texts = server.texts(&name);
                assert_eq!(texts.len(), 1, "{name}: {texts:?}");
                (name, texts[0].clone())
            };
            let records: Vec<_> = selectors.iter().map(look).collect();
            let judged = peers::dkimpy_in(&letter.message, &records, self.gateway.environment());
            assert!(judged.len() == 2 && judged.iter().all(|one| one.ok), "{selectors:?}: {judged:?}");
        }
        selectors
    }

    #[track_caller]
    fn refused(&self) {
        let reply = self.gateway.client(&self.tenant).send("sender@example.com", &["a@rcpt.test"], &mail("early"));
        let reply = reply.unwrap();
        assert_eq!((reply.code, reply.text().contains("no active DKIM key")), (451, true), "{}", reply.text());
    }
}

/// `s=` of every signature, sorted.
fn selectors_of(text: &str) -> Vec<String> {
    let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n\t", " ");
    let signatures = head.lines().filter_map(|line| line.strip_prefix("DKIM-Signature:"));
    let tag = |signature: &str| {
        let mut tags = signature.split(';').map(str::trim);
        tags.find_map(|tag| tag.strip_prefix("s=")).unwrap().to_owned()
    };
    let mut selectors: Vec<String> = signatures.map(tag).collect();
    selectors.sort_unstable();
    selectors
}

#[test]
fn keys_are_published_verified_rotated_and_destroyed_by_themselves_and_every_letter_verifies() {
    let Some(mut year) = year() else { return };
    let first = year.selectors("generated");
    assert_eq!(first.len(), 2);
    year.refused();
    year.publish(0, &first);
    year.wait("published", &first);
    year.refused();
    year.publish(1, &first);
    year.wait("verified", &first);
    year.wait("active", &first);
    assert_eq!(year.send("the first"), first);

    // A letter that is sealed now and leaves after the next rotation and its overlap.
    let day = std::process::Command::new("date").args(["-u", "-d", "+205 days", "+%FT%TZ"]).output().unwrap();
    let not_before = format!("X-Waxseal-Not-Before: {}\r\n", String::from_utf8(day.stdout).unwrap().trim());
    let late = [not_before.as_bytes(), &mail("late")].concat();
    year.gateway.submit(&year.tenant, "sender@example.com", &["late@rcpt.test"], &late);

    let announced = year.keys()[0]["next"].clone();
    assert!(announced["at"].is_string() && announced["why"].as_str().unwrap().contains("successor"), "{announced}");
    year.gateway.shift_clock("+170d");
    year.gateway.wait_event("dkim.key.generated", KEYS, |event| event["by"] == "steward");
    // One look makes the successors of both lines.
    let second = year.selectors("generated");
    assert_eq!(second.len(), 2);
    year.publish_everywhere(&second);
    year.wait("published", &second);
    assert_eq!(year.send("before the turn"), first);
    year.gateway.shift_clock("+172d");
    year.wait("verified", &second);
    year.gateway.shift_clock("+181d");
    year.wait("active", &second);
    year.wait("retiring", &first);
    assert_eq!(year.send("after the turn"), second);

    // Long after the overlap the late letter still keeps its keys' records wanted; then it arrives, and verifies.
    year.gateway.shift_clock("+200d");
    assert_eq!(year.send("much later"), second);
    assert_eq!(year.selectors("retiring"), first);
    year.gateway.shift_clock("+206d");
    assert_eq!(year.receive(), first);
    year.gateway.shift_clock("+207d");
    year.wait("retired", &first);
    for server in &year.servers {
        let gone: Vec<String> =
            first.iter().map(|selector| format!("delete {selector}._domainkey.{ZONE}. TXT")).collect();
        server.update(ZONE, &gone);
    }
    assert_eq!(year.send("the old records are gone"), second);
    year.gateway.shift_clock("+238d");
    year.wait("destroyed", &first);

    a_record_vanishes(&mut year, &second);
    an_emergency(&mut year, &second);
}

/// The admin deletes a signing key's record at one server: it is told, and signing goes on.
fn a_record_vanishes(year: &mut Year, signing: &[String]) {
    let name = format!("{}._domainkey.{ZONE}", signing[0]);
    year.servers[1].update(ZONE, &[format!("delete {name}. TXT")]);
    year.gateway.shift_clock("+239d");
    year.gateway.wait_event("gateway.state", SOON, |event| {
        event["state"] == "dkim-record-lost" && event["detail"].as_str().unwrap().contains(&signing[0])
    });
    assert_eq!(year.selectors("active"), signing);
    year.publish(1, &signing[..1]);
    year.gateway.shift_clock("+240d");
    year.gateway.wait_event("gateway.state", SOON, |event| event["state"] == "dkim-record-back");
    assert_eq!(year.send("back again"), signing);
}

/// One command: new keys sign, the old ones are revoked, and their records say so.
fn an_emergency(year: &mut Year, stolen: &[String]) {
    year.gateway.cli(&["dkim", "rotate", ZONE, "--now", "--reason", "laptop stolen"]).ok();
    year.wait("revoked", stolen);
    let third = year.selectors("active");
    assert!(third.len() == 2 && third.iter().all(|selector| !stolen.contains(selector)), "{third:?}");
    for server in &year.servers {
        let gone: Vec<String> =
            stolen.iter().map(|selector| format!("delete {selector}._domainkey.{ZONE}. TXT")).collect();
        server.update(ZONE, &gone);
    }
    year.publish_everywhere(stolen);
    year.publish_everywhere(&third);
    assert!(year.servers[0].texts(&format!("{}._domainkey.{ZONE}", stolen[0]))[0].ends_with("p="));
    assert_eq!(year.send("after the emergency"), third);
}

#[test]
fn a_domain_is_of_the_tenant_that_can_publish_its_token() {
    if !need::all(&[Need::Bind]) {
        return;
    }
    let servers = two_servers();
    let mut setup = Setup::new();
    setup.set("dns", "servers", format!("[\"{}\"]", servers[0].address())).set("domains", "proof", "\"required\"");
    setup.set("dkim", "algorithms", "[\"ed25519\"]");
    let gateway = setup.start();
    let claim = |tenant: &str| {
        gateway.cli(&["tenant", "add", tenant]).ok();
        let made = gateway.cli(&["domain", "add", ZONE, "--tenant", tenant, "--json"]).ok().json();
        assert_eq!(made["proof"], "claimed", "{made}");
        made["challenge"].clone()
    };
    let (first, second) = (claim("squatter"), claim("owner"));
    assert_ne!(first["value"], second["value"]);
    for server in &servers {
        server.txt(ZONE, second["name"].as_str().unwrap(), second["value"].as_str().unwrap());
    }
    gateway.wait_event("gateway.state", KEYS, |event| event["state"] == "domain-proved");
    let domains = gateway.cli(&["domain", "list", "--json"]).ok().json();
    let rows = domains.as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["tenant"], &rows[0]["proof"]), (1, &"owner".into(), &"shown".into()), "{domains}");
    assert_eq!(gateway.cli(&["domain", "add", ZONE, "--tenant", "squatter"]).code, 5);
}

#[test]
fn delegated_keys_are_published_by_the_gateway_itself() {
    if !need::all(&[Need::Bind, Need::Dkimpy, Need::FakeTime]) {
        return;
    }
    let server = Primary::resolving(&[ZONE, "dkim.relay.example"]);
    let receiver = Receiver::start().unwrap();
    let mut setup = Setup::new();
    let address = format!("\"{}\"", server.address());
    setup.set("dns", "servers", format!("[{address}]")).set("dkim", "delegation", "\"dkim.relay.example\"");
    setup.set("dkim", "delegation_server", address).set("dkim", "delegation_key", "\"env:WAXSEAL_TEST_TSIG\"");
    setup.route_all(receiver.address());
    let mut gateway = setup.prepare();
    gateway.fake_clock();
    gateway.variable("WAXSEAL_TEST_TSIG", &server.key());
    gateway.start();
    gateway.cli(&["tenant", "add", "acme"]).ok();
    gateway.cli(&["domain", "add", ZONE, "--tenant", "acme"]).ok();
    let credential = gateway.cli(&["credential", "new", "--tenant", "acme", "--json"]).ok().json();
    let text = |key: &str| credential[key].as_str().unwrap().to_owned();
    let tenant = Tenant { name: "acme".into(), user: text("user"), secret: text("secret"), records: Vec::new() };
    // The admin publishes once, and never thinks of it again.
    let records = gateway.cli(&["domain", "records", ZONE, "--format", "json"]).ok().json();
    let all = records.as_array().or_else(|| records["records"].as_array()).unwrap();
    let aliases: Vec<String> = all
        .iter()
        .filter(|record| record["type"] == "CNAME")
        .map(|record| {
            format!(
                "add {}. 60 CNAME {}.",
                record["fqdn"].as_str().unwrap().trim_end_matches('.'),
                record["value"].as_str().unwrap().trim_end_matches('.')
            )
        })
        .collect();
    assert_eq!(aliases.len(), 4, "two slots for each of two lines: {records}");
    server.update(ZONE, &aliases);
    let mut year = Year { gateway, tenant, receiver, servers: Vec::new(), arrived: 0 };
    year.servers.push(server);
    let slots = |number: &str| vec![format!("wax{number}"), format!("waxe{number}")];
    year.wait("active", &slots("1"));
    assert_eq!(year.send("the first"), slots("1"));
}
