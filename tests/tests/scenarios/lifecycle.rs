//! Start, reload, drain, stop; one gateway a data folder.

use std::time::{Duration, Instant};

use rustix::process::Signal;
use waxseal_tests::client::Client;
use waxseal_tests::receiver::{Act, Stage};
use waxseal_tests::tls::Authority;
use waxseal_tests::wire::stuff;

use crate::world::{SOON, mail, world};

#[test]
fn sigterm_lets_a_mail_under_way_end_and_refuses_new_ones() {
    let mut world = world();
    let mut busy = world.gateway.client(&world.tenant);
    busy.expect("MAIL FROM:<sender@example.com>", 250).unwrap();
    busy.expect("RCPT TO:<someone@rcpt.test>", 250).unwrap();
    busy.expect("DATA", 354).unwrap();
    world.gateway.signal(Signal::TERM);
    let deadline = Instant::now() + SOON;
    while Client::connect(world.gateway.clear()).is_ok() {
        assert!(Instant::now() < deadline, "it still greets new clients");
        std::thread::sleep(Duration::from_millis(20));
    }
    busy.raw(&stuff(&mail("half sent"))).unwrap();
    let reply = busy.reply().unwrap();
    assert!(reply.code == 250 || reply.code == 421 || reply.code == 451, "{reply:?}");
    drop(busy);
    let status = world.gateway.wait_end(Duration::from_mins(1));
    assert!(status.success(), "{status}");
    if reply.code == 250 {
        world.gateway.start();
        world.arrived(1);
    }
}

#[test]
fn what_waits_at_the_stop_is_delivered_after_the_start() {
    let mut world = world();
    world
        .receiver
        .script(|step| if step.stage == Stage::Mail { Act::Reply("451 4.3.0 later".into()) } else { Act::GoOn });
    let ids: Vec<String> = (0..5).map(|n| world.submit(&["someone@rcpt.test"], &mail(&format!("waits {n}")))).collect();
    world.gateway.wait_for("message.deferred", &ids[4]);
    assert!(world.gateway.terminate(Duration::from_mins(1)).success());
    world.receiver.script(|_| Act::GoOn);
    world.gateway.start();
    world.gateway.wait_event("store.recovered", SOON, |event| event["letters"] == 5);
    assert_eq!(world.arrived(5).len(), 5);
}

#[test]
fn sighup_brings_a_new_certificate_and_keeps_the_old_settings_on_a_mistake() {
    let world = world();
    let renewed = Authority::new();
    renewed.certify(&["localhost"]).write(world.gateway.folder()).unwrap();
    world.gateway.signal(Signal::HUP);
    world.gateway.wait_event("config.loaded", SOON, |event| event["reload"] == true);
    let mut client = Client::connect(world.gateway.starttls()).unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    client.starttls(&renewed, "localhost").expect("the new certificate is served");
    let config = world.gateway.config();
    let good = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, good.clone() + "\nnonsense = 1\n").unwrap();
    world.gateway.signal(Signal::HUP);
    std::thread::sleep(Duration::from_secs(1));
    // Still up, still serving, with the settings from before.
    world.submit(&["someone@rcpt.test"], &mail("after a bad reload"));
    world.arrived(1);
    std::fs::write(&config, good).unwrap();
}

#[test]
fn a_second_gateway_on_the_same_data_refuses_to_start() {
    let world = world();
    let before = std::fs::metadata(world.gateway.data_dir()).unwrap().modified().unwrap();
    let second = world.gateway.cli(&["serve"]);
    assert_ne!(second.code, 0);
    assert!(
        second.stderr.contains("data_dir") || second.stderr.contains("in use") || second.stderr.contains("another"),
        "{second:?}"
    );
    assert!(std::fs::metadata(world.gateway.data_dir()).unwrap().modified().unwrap() >= before);
    world.submit(&["someone@rcpt.test"], &mail("the first goes on"));
    world.arrived(1);
}

#[test]
fn drain_waits_for_deliveries_and_health_tells() {
    let world = world();
    world.gateway.cli(&["health"]).ok();
    for number in 0..5 {
        world.submit(&["someone@rcpt.test"], &mail(&format!("drained {number}")));
    }
    world.gateway.cli(&["drain", "--timeout", "30s"]).ok();
    assert_ne!(world.receiver.arrived().len(), 0);
}

#[test]
fn the_metrics_page_counts_what_happened() {
    let world = world();
    world.submit(&["someone@rcpt.test"], &mail("counted"));
    world.arrived(1);
    let deadline = Instant::now() + SOON;
    loop {
        let page = world.gateway.metrics_text().unwrap();
        let wanted = [
            "waxseal_messages_accepted_total",
            "waxseal_delivery_results_total",
            "waxseal_dkim_signatures_total",
            "waxseal_queue_messages",
            "waxseal_queue_fsync_duration_seconds",
            "waxseal_disk_free_bytes",
            "waxseal_build_info",
        ];
        let missing: Vec<&&str> = wanted.iter().filter(|name| !page.contains(**name)).collect();
        if missing.is_empty() {
            assert!(!page.contains("example.com") && !page.contains('@'), "an address in a label:\n{page}");
            return;
        }
        assert!(Instant::now() < deadline, "{missing:?} are missing:\n{page}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
