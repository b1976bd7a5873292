//! The key-encryption key changes while mail flows: no restart, and whatever is killed, nothing is lost.

use std::process::Command;
use std::time::Duration;

use waxseal_tests::gateway::binary;
use waxseal_tests::receiver::{Act, Stage};

use crate::world::{SOON, World, mail, world};

/// A letter that waits for its next attempt: it must be readable whatever happens to the keys.
fn waiting(world: &World) -> String {
    world
        .receiver
        .script(|step| if step.stage == Stage::Rcpt { Act::Reply("451 4.3.0 later".into()) } else { Act::GoOn });
    let id = world.submit(&["someone@rcpt.test"], &mail("waits"));
    world.gateway.wait_for("message.deferred", &id);
    id
}

fn outdated(world: &World) -> usize {
    let is = |event: &&serde_json::Value| event["state"] == "kek-configuration-outdated";
    world.gateway.events().iter().filter(is).count()
}

#[test]
fn a_new_key_takes_the_old_ones_place_in_one_command() {
    let mut world = world();
    let id = waiting(&world);
    let file = world.gateway.folder().join("kek");
    let before = std::fs::read_to_string(&file).unwrap();
    let said = world.gateway.cli(&["kek", "rotate"]).ok().stdout;
    assert!(said.contains("destroy it when no backup needs it"), "{said}");
    let after = std::fs::read_to_string(&file).unwrap();
    assert_ne!(before.trim(), after.trim());
    assert!(world.gateway.places_with(after.trim().as_bytes()).is_empty(), "the key itself is nowhere in the data");
    // No restart was needed, and one does no harm.
    world.submit(&["other@rcpt.test"], &mail("sealed after"));
    world.gateway.kill();
    world.gateway.start();
    world.receiver.script(|_| Act::GoOn);
    world.gateway.wait_for("message.delivered", &id);
    world.arrived(2);
    assert_eq!(outdated(&world), 0);
    // With the old key nothing opens any more, and nothing is touched.
    world.gateway.terminate(SOON);
    std::fs::write(&file, before).unwrap();
    let started = Command::new(binary()).arg("serve").arg("--config").arg(world.gateway.config()).output().unwrap();
    assert!(!started.status.success() && String::from_utf8_lossy(&started.stderr).contains("key-encryption key"));
    std::fs::write(&file, after).unwrap();
    world.gateway.start();
}

#[test]
fn a_start_between_rotation_and_configuration_finds_the_key_by_itself() {
    let mut world = world();
    let id = waiting(&world);
    let second = world.gateway.folder().join("second");
    std::fs::write(&second, "6b".repeat(32)).unwrap();
    let reference = format!("file:{}", second.display());
    for wrong in ["env:KEK", "6b6b", "file:/nowhere/at/all"] {
        assert_ne!(world.gateway.cli(&["kek", "rotate", "--new", wrong]).code, 0, "{wrong}");
    }
    let report = world.gateway.cli(&["kek", "rotate", "--new", &reference, "--json"]).ok().json();
    assert_eq!((&report["changed"], &report["configured"]), (&true.into(), &false.into()), "{report}");
    world.gateway.kill();
    world.gateway.start();
    assert_eq!(outdated(&world), 1, "told, loudly");
    world.receiver.script(|_| Act::GoOn);
    world.gateway.wait_for("message.delivered", &id);
    // The operator catches up.
    let config = std::fs::read_to_string(world.gateway.config()).unwrap();
    let old = format!("kek = \"file:{}\"", world.gateway.folder().join("kek").display());
    assert!(config.contains(&old), "{config}");
    std::fs::write(world.gateway.config(), config.replace(&old, &format!("kek = \"{reference}\""))).unwrap();
    world.gateway.terminate(SOON);
    world.gateway.start();
    assert_eq!(outdated(&world), 1, "and not again");
    world.submit(&["other@rcpt.test"], &mail("after all"));
    world.arrived(2);
}

#[test]
fn a_gateway_killed_while_the_key_changes_starts_with_the_configuration_as_it_is() {
    let mut world = world();
    let id = waiting(&world);
    for round in 0..12_u32 {
        let (config, binary) = (world.gateway.config(), binary());
        let rotation = std::thread::spawn(move || {
            Command::new(binary)
                .args(["kek", "rotate", "--config"])
                .arg(config)
                .output()
                .map(|output| output.status.success())
        });
        // From before the first step to after the last, in a debug build.
        std::thread::sleep(Duration::from_millis(u64::from(round) * 8));
        world.gateway.kill();
        let _ = rotation.join().unwrap();
        world.gateway.start();
        let domains = world.gateway.cli(&["domain", "list", "--json"]).ok().json();
        assert_eq!(domains.as_array().map(Vec::len), Some(2), "round {round}: {domains}");
    }
    world.gateway.cli(&["kek", "rotate"]).ok();
    world.receiver.script(|_| Act::GoOn);
    world.gateway.wait_for("message.delivered", &id);
}
