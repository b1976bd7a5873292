//! What comes back: a real Postfix takes mail, fails to hand it on and says so to the return-path token; others try
//! addresses that are no tokens, complain, or are out of office.

use std::net::{Ipv4Addr, SocketAddr};

use waxseal_tests::client::Client;
use waxseal_tests::dns::Dns;
use waxseal_tests::gateway::{Gateway, Tenant};
use waxseal_tests::need::{self, Need};
use waxseal_tests::peers::Postfix;
use waxseal_tests::receiver::{Act, Receiver, Stage};
use waxseal_tests::setup::{Setup, free_port};

use crate::world::{SOON, mail};

/// A gateway with a door for bounces; mail for `rcpt.test` goes to `to`, everything else to `receiver`.
struct World {
    gateway: Gateway,
    tenant: Tenant,
    receiver: Receiver,
    dns: Dns,
    bounces: SocketAddr,
}

fn world(bounces: u16, to: Option<SocketAddr>) -> World {
    let receiver = Receiver::start().unwrap();
    let dns = Dns::start().unwrap();
    let mut setup = Setup::new();
    setup.set("dns", "servers", format!("[\"{}\"]", dns.address()));
    let to = to.unwrap_or_else(|| receiver.address());
    setup.tables(&format!(
        "\n[[delivery.route]]\ndomain = \"rcpt.test\"\nhost = \"{to}\"\n\
         [[listen]]\nname = \"bounces\"\naddr = [\"127.0.0.1:{bounces}\"]\nkind = \"bounce\"\ntls = \"starttls\"\n"
    ));
    setup.route_all(receiver.address());
    let gateway = setup.start();
    let tenant = gateway.tenant("acme", &["example.com"]);
    let file = gateway.folder().join("tenants.toml");
    let policy = "policy = { return_path = \"bounce.example.com\" }";
    std::fs::write(&file, format!("[[tenant]]\nname = \"acme\"\ndomains = [\"example.com\"]\n{policy}\n")).unwrap();
    gateway.cli(&["tenant", "apply", "-f", &file.display().to_string(), "--yes"]).ok();
    World { gateway, tenant, receiver, dns, bounces: (Ipv4Addr::LOCALHOST, bounces).into() }
}

impl World {
    fn submit(&self, to: &str) -> String {
        self.gateway.submit(&self.tenant, "sender@example.com", &[to], &mail("to be returned"))
    }

    /// The address that notices about the only mail that arrived so far go to.
    fn token(&self) -> String {
        let arrived = self.receiver.wait_for(1, SOON).remove(0);
        let token = arrived.from.split(['<', '>']).nth(1).unwrap().to_owned();
        assert!(token.starts_with("b1-") && token.ends_with("@bounce.example.com"), "{token}");
        token
    }

    /// Sends a message to the door for bounces.
    fn bounce(&self, from: &str, to: &str, message: &str) -> u16 {
        let mut client = Client::connect(self.bounces).unwrap();
        client.expect("EHLO mx.isp.test", 250).unwrap();
        client.send(from, &[to], message.replace('\n', "\r\n").as_bytes()).unwrap().code
    }
}

#[test]
fn a_bounce_from_postfix_is_understood_told_and_remembered() {
    if !need::all(&[Need::Postfix]) {
        return;
    }
    let inner = Receiver::start().unwrap();
    inner.script(|step| {
        let unknown = step.stage == Stage::Rcpt;
        if unknown { Act::Reply("550 5.1.1 <gone@rcpt.test>: User unknown".into()) } else { Act::GoOn }
    });
    let bounces = free_port();
    let postfix = Postfix::receiving(
        &["elsewhere.test"],
        &[
            "relay_domains = rcpt.test".to_owned(),
            format!(
                "transport_maps = inline:{{ rcpt.test=smtp:[127.0.0.1]:{}, bounce.example.com=smtp:[127.0.0.1]:{bounces} }}",
                inner.address().port()
            ),
            "smtp_tls_security_level = may".to_owned(),
        ],
    );
    let world = world(bounces, Some(postfix.address()));
    let id = world.submit("gone@rcpt.test");
    world.gateway.wait_for("message.delivered", &id);
    let returned = world.gateway.wait_for("message.returned", &id);
    for (field, expected) in [
        ("kind", "failed"),
        ("class", "bad-mailbox"),
        ("status", "5.1.1"),
        ("to", "gone@rcpt.test"),
        ("tenant", "acme"),
    ] {
        assert_eq!(returned[field], expected, "{returned}");
    }
    assert!(returned["believed"] == true && returned["suppressed"] == true, "{returned}");

    // The sender is told as if the server had refused at once.
    let notice = world.receiver.wait_for(1, SOON).remove(0);
    assert_eq!(notice.recipients(), ["sender@example.com"]);
    let text = notice.text();
    assert!(text.contains("User unknown") && text.contains("gone@rcpt.test"), "{text}");

    // The letter has left the queue long ago; its timeline has all of it.
    let why = world.gateway.cli(&["queue", "why", &id, "--json"]).ok().json();
    let steps = why[0]["timeline"].as_array().unwrap();
    let events: Vec<&str> = steps.iter().filter_map(|step| step["event"].as_str()).collect();
    assert_eq!(events, ["accepted", "signed", "delivered", "returned"], "{why}");
    assert!(steps[2]["evidence"]["tls"]["policy"] == "opportunistic" || steps[2]["evidence"]["tls"].is_null(), "{why}");
    assert_eq!(steps[3]["class"]["category"], "bad-mailbox", "{why}");
    assert_eq!(steps[3]["class"]["again"], "never", "{why}");
    assert_eq!(why[0]["state"], "delivered", "{why}");
    let unknown = world.gateway.cli(&["queue", "why", "01JDB7Q2RZ8W1Y5M3T9K6N4P0A"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");

    // And nothing more is sent there, until somebody takes the address off.
    let mut client = world.gateway.client(&world.tenant);
    client.expect("MAIL FROM:<sender@example.com>", 250).unwrap();
    let refused = client.expect("RCPT TO:<Gone@rcpt.test>", 550).unwrap().text();
    assert!(refused.contains("suppression list of tenant acme") && refused.contains("hard-bounce"), "{refused}");
}

#[test]
fn only_live_tokens_are_taken_and_what_comes_is_told_apart() {
    let world = world(free_port(), None);
    world.dns.txt("isp.test", "v=spf1 ip4:127.0.0.1 -all").txt("forged.test", "v=spf1 -all");
    let id = world.submit("mia@rcpt.test");
    let token = world.token();
    assert_eq!(world.bounce("", "anybody@bounce.example.com", "Subject: x\n\nx\n"), 550);
    let changed = token.replacen("b1-", "b1-a", 1);
    assert_eq!(world.bounce("", &changed[..changed.len() - 1], "Subject: x\n\nx\n"), 550);

    let away = "From: mia@rcpt.test\nSubject: Out of office\nAuto-Submitted: auto-replied\n\nUntil Monday.\n";
    assert_eq!(world.bounce("mia@isp.test", &token, away), 250);
    let event = world.gateway.wait_for("message.returned", &id);
    assert!(event["kind"] == "auto-reply" && event["suppressed"] == false, "{event}");

    let complaint = "From: fbl@isp.test\nSubject: FW: mail\nMIME-Version: 1.0\n\
        Content-Type: multipart/report; report-type=feedback-report; boundary=b\n\n\
        --b\nContent-Type: text/plain\n\nThis is a complaint.\n\
        --b\nContent-Type: message/feedback-report\n\nFeedback-Type: abuse\nUser-Agent: IspLoop/1\nVersion: 1\n\n\
        --b\nContent-Type: message/rfc822\n\nFrom: sender@example.com\nSubject: to be returned\n\nHello.\n--b--\n";
    // Somebody else's complaint under the provider's name is kept, and changes nothing.
    assert_eq!(world.bounce("fbl@forged.test", &token, complaint), 250);
    let is_complaint = |event: &serde_json::Value| event["kind"] == "complaint" && event["id"] == id;
    let event = world.gateway.wait_event("message.returned", SOON, is_complaint);
    assert!(event["believed"] == false && event["suppressed"] == false, "{event}");
    assert!(event["checks"].as_str().unwrap().contains("spf=fail"), "{event}");
    world.submit("mia@rcpt.test");

    assert_eq!(world.bounce("fbl@isp.test", &token, complaint), 250);
    let proven = |event: &serde_json::Value| event["kind"] == "complaint" && event["believed"] == true;
    let event = world.gateway.wait_event("message.returned", SOON, proven);
    assert!(event["suppressed"] == true && event["reporter"] == "IspLoop/1", "{event}");
    let mut client = world.gateway.client(&world.tenant);
    client.expect("MAIL FROM:<sender@example.com>", 250).unwrap();
    assert!(client.expect("RCPT TO:<mia@rcpt.test>", 550).unwrap().text().contains("complaint"));
}
