//! Who may send how much, to whom, from where: suspensions, quotas, providers that ask for less, source addresses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use waxseal_tests::receiver::{Act, Stage};

use crate::world::{mail, world, world_with};

#[test]
fn a_suspension_holds_over_a_crash_and_ends_when_somebody_resumes() {
    let mut world = world();
    let cli = |words: &[&str]| world.gateway.cli(words);
    assert_ne!(cli(&["queue", "suspend", "--reason", "nothing"]).code, 0, "suspend what?");
    assert_eq!(cli(&["queue", "suspend", "--tenant", "nobody", "--reason", "x"]).code, 4);
    cli(&["queue", "suspend", "--domain", "rcpt.test", "--for", "2h", "--reason", "their outage"]).ok();
    let id = world.submit(&["one@rcpt.test"], &mail("waits"));
    let why = cli(&["queue", "why", &id, "--json"]).ok().stdout;
    assert!(why.contains("suspended by") && why.contains("their outage"), "{why}");
    assert!(cli(&["queue", "list"]).ok().stdout.starts_with("suspended: domain rcpt.test until "));
    assert!(cli(&["health"]).ok().stdout.contains("their outage"));
    world.gateway.kill();
    world.gateway.start();
    let cli = |words: &[&str]| world.gateway.cli(words);
    let all = cli(&["queue", "suspensions", "--json"]).ok().json();
    assert_eq!((all[0]["domain"].as_str(), all[0]["reason"].as_str()), (Some("rcpt.test"), Some("their outage")));
    let list = cli(&["queue", "list", "--json"]).ok().stdout;
    assert!(list.contains("\"suspended\":\"suspended by"), "{list}");
    assert_eq!(world.receiver.connections(), 0);
    assert_eq!(cli(&["queue", "resume", "--tenant", "acme"]).code, 4, "that is not suspended");
    cli(&["queue", "resume", "--domain", "rcpt.test"]).ok();
    world.gateway.wait_for("message.delivered", &id);
    assert_eq!(world.arrived(1).len(), 1);
}

#[test]
fn a_tenant_over_its_quota_is_told_when_to_come_back() {
    let world = world();
    let file = world.gateway.folder().join("tenants.toml");
    let text = "[[tenant]]\nname = \"acme\"\ndomains = [\"example.com\", \"mail.example.com\"]\n\
                policy = { recipients_per_hour = 2, egress_pool = \"default\" }\n";
    std::fs::write(&file, text).unwrap();
    world.gateway.cli(&["tenant", "apply", "-f", file.to_str().unwrap(), "--yes"]).ok();
    let mut client = world.gateway.client(&world.tenant);
    let mut send = |to: &[&str]| client.send("sender@example.com", to, &mail("counted")).unwrap();
    assert_eq!(send(&["one@rcpt.test", "two@rcpt.test"]).code, 250);
    let reply = send(&["three@rcpt.test"]);
    assert_eq!(reply.code, 452, "{}", reply.text());
    let text = reply.text();
    let expected = "4.7.1 tenant acme may submit 2 recipients in an hour and has used 2 - try again after ";
    assert!(text.starts_with(expected), "{text}");
    world.arrived(1);
}

#[test]
fn a_provider_that_asks_for_less_is_heeded_and_told_of() {
    let world = world();
    world.receiver.script(|step| match step.stage {
        Stage::Mail => Act::Reply("421 4.7.0 Too many connections from your address, slow down".into()),
        _ => Act::GoOn,
    });
    let id = world.submit(&["one@rcpt.test"], &mail("too much"));
    world.gateway.wait_for("message.deferred", &id);
    let event = world.gateway.wait_event("site.slowed", Duration::from_secs(30), |_| true);
    assert_eq!((event["site"].as_str(), event["by"].as_str()), (Some("mx/mx.rcpt.test"), Some("any")), "{event}");
    let metrics = world.gateway.metrics_text().unwrap();
    assert!(metrics.contains("waxseal_delivery_slowdowns_total{provider=\"any\"} 1"), "{metrics}");
}

#[test]
fn letters_leave_from_their_pools_addresses() {
    let world = world_with(|setup| {
        setup.tables(
            "[[egress]]\nname = \"a\"\naddress = \"127.0.0.2\"\nehlo = \"a.relay.test\"\n\
             [[egress]]\nname = \"b\"\naddress = \"127.0.0.3\"\nehlo = \"b.relay.test\"\n",
        );
    });
    let greeted = Arc::new(Mutex::new(Vec::new()));
    let names = greeted.clone();
    world.receiver.script(move |step| {
        if step.stage == Stage::Ehlo {
            names.lock().unwrap().push(step.command.clone());
        }
        Act::GoOn
    });
    for n in 0..2 {
        world.submit(&[&format!("r{n}@rcpt.test")], &mail(&format!("from a pool {n}")));
    }
    world.arrived(2);
    let mut names = greeted.lock().unwrap().clone();
    names.sort_unstable();
    assert_eq!(names, ["EHLO a.relay.test", "EHLO b.relay.test"]);
    let explained = world.gateway.cli(&["route", "explain", "one@rcpt.test", "--json"]).ok().json();
    assert_eq!(explained["site"], "mx/mx.rcpt.test", "{explained}");
    assert!(explained["sources"][1].as_str().unwrap().contains("127.0.0.3"), "{explained}");
}
