//! The operator's hand on the queue: what is shown is what is there, and what is done is seen afterwards.

use serde_json::Value;
use waxseal_tests::receiver::{Act, Stage};

use crate::world::{World, mail, world_with};

/// A world in which nothing is delivered, with two mails that wait an hour.
fn stuck() -> (World, Vec<String>) {
    let world = world_with(|setup| {
        setup.set("queue", "retry", r#"["1h"]"#);
    });
    world
        .receiver
        .script(|step| if step.stage == Stage::Rcpt { Act::Reply("451 4.2.0 busy".into()) } else { Act::GoOn });
    let ids: Vec<String> =
        ["one@rcpt.test", "two@rcpt.test"].iter().map(|to| world.submit(&[to], &mail(&format!("to {to}")))).collect();
    for id in &ids {
        world.gateway.wait_for("message.deferred", id);
    }
    (world, ids)
}

fn rows(value: &Value) -> Vec<Value> {
    value
        .as_array()
        .or_else(|| value["messages"].as_array())
        .or_else(|| value["letters"].as_array())
        .cloned()
        .unwrap_or_default()
}

#[test]
fn list_show_why_and_shape_tell_what_waits_and_why() {
    let (world, ids) = stuck();
    let list = world.gateway.cli(&["queue", "list", "--json"]).ok();
    let listed = serde_json::from_str::<Value>(&list.stdout).map_or_else(
        |_| list.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        |value| rows(&value),
    );
    assert_eq!(listed.iter().map(|row| row["id"].as_str().unwrap()).collect::<Vec<_>>(), ids);
    let show = world.gateway.cli(&["queue", "show", &ids[0], "--json"]).ok().json();
    assert!(show.to_string().contains("one@rcpt.test"), "{show}");
    let why = world.gateway.cli(&["queue", "why", &ids[0], "--json"]).ok();
    assert!(why.stdout.contains("deferred") && why.stdout.contains("busy"), "{why:?}");
    let shape = world.gateway.cli(&["queue", "shape", "--json"]).ok().json();
    assert!(shape.to_string().contains("rcpt.test"), "{shape}");
    assert_eq!(world.gateway.cli(&["queue", "show", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "--json"]).code, 4);
}

#[test]
fn retry_hold_and_release_do_what_they_say() {
    let (world, ids) = stuck();
    world.gateway.cli(&["queue", "hold", &ids[0], "--reason", "asked by the customer", "--yes"]).ok();
    world.gateway.wait_for("message.held", &ids[0]);
    world.receiver.script(|_| Act::GoOn);
    world.gateway.cli(&["queue", "retry", "--domain", "rcpt.test", "--yes"]).ok();
    world.gateway.wait_for("message.delivered", &ids[1]);
    assert_eq!(world.receiver.arrived().len(), 1, "a held mail was sent");
    world.gateway.cli(&["queue", "release", &ids[0], "--yes"]).ok();
    world.gateway.wait_for("message.delivered", &ids[0]);
}

#[test]
fn destructive_verbs_try_first_and_want_a_yes() {
    let (world, ids) = stuck();
    let dry = world.gateway.cli(&["queue", "drop", "--domain", "rcpt.test", "--dry-run"]).ok();
    assert!(dry.stdout.contains('2'), "{dry:?}");
    let unsure = world.gateway.cli(&["queue", "drop", "--domain", "rcpt.test", "--reason", "test"]);
    assert_ne!(unsure.code, 0, "without --yes nothing is dropped: {unsure:?}");
    for id in &ids {
        world.gateway.cli(&["queue", "show", id]).ok();
    }
    world.gateway.cli(&["queue", "drop", &ids[0], "--reason", "test", "--yes"]).ok();
    let event = world.gateway.wait_for("message.dropped", &ids[0]);
    assert!(event["by"].as_str().is_some_and(|by| !by.is_empty()), "by whom? {event}");
    world.gateway.cli(&["queue", "bounce", &ids[1], "--reason", "test", "--yes"]).ok();
    world.gateway.wait_for("message.bounced", &ids[1]);
}

#[test]
fn changes_survive_a_crash() {
    let (mut world, ids) = stuck();
    world.gateway.cli(&["queue", "hold", &ids[0], "--reason", "kept", "--yes"]).ok();
    world.gateway.cli(&["queue", "drop", &ids[1], "--reason", "gone", "--yes"]).ok();
    world.gateway.kill();
    world.gateway.start();
    assert!(world.gateway.cli(&["queue", "show", &ids[0], "--json"]).ok().stdout.contains("held"));
    assert_eq!(world.gateway.cli(&["queue", "show", &ids[1], "--json"]).code, 4);
}

#[test]
fn route_explain_tells_the_way_without_walking_it() {
    let (world, _) = stuck();
    let before = world.receiver.connections();
    let said = world.gateway.cli(&["route", "explain", "someone@rcpt.test"]).ok().stdout;
    assert!(said.contains("mx.rcpt.test") && said.contains("127.0.0.1"), "{said}");
    assert_eq!(world.receiver.connections(), before);
}
