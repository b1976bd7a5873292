//! Kill -9 in a loop under load. The generator's ledger knows every mail that got its 250: each of them arrives.
//! `WAXSEAL_CRASHES` sets how often it is killed.

use std::collections::HashSet;
use std::time::Duration;

use waxseal_tests::load::{self, Load};
use waxseal_tests::sink::{Counts, Sink};

use crate::world::routed_to;

/// Waits until nothing new came for two seconds and everything acknowledged is there, at most a minute.
pub fn wait_arrived(sink: &Sink, acknowledged: &HashSet<String>) -> Counts {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    loop {
        let counts = sink.counts();
        let missing = acknowledged.iter().filter(|id| !counts.ids.contains_key(*id)).count();
        if missing == 0 || std::time::Instant::now() > deadline {
            return counts;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Nothing acknowledged is missing; how many mails came more than once.
#[track_caller]
pub fn assert_nothing_lost(counts: &Counts, acknowledged: &HashSet<String>) -> usize {
    let lost: Vec<&String> = acknowledged.iter().filter(|id| !counts.ids.contains_key(*id)).collect();
    assert!(lost.is_empty(), "{} of {} acknowledged mails are lost: {lost:?}", lost.len(), acknowledged.len());
    counts.ids.values().filter(|times| **times > 1).count()
}

#[test]
fn killed_again_and_again_it_loses_nothing_that_it_acknowledged() {
    let kills: u32 = std::env::var("WAXSEAL_CRASHES").ok().and_then(|count| count.parse().ok()).unwrap_or(8);
    let sink = Sink::start(([127, 0, 0, 1], 0).into(), &["PIPELINING", "8BITMIME"]).unwrap();
    let (mut gateway, tenant) = routed_to(sink.address(), |_| ());
    let running = load::start(Load {
        sessions: 8,
        messages: usize::MAX,
        size: 3000,
        credential: Some((tenant.user.clone(), tenant.secret.clone())),
        sender: "sender@example.com".into(),
        recipient: "someone{}@rcpt.test".into(),
        persistent: true,
        at_most: Duration::from_mins(2),
        ..Load::to(gateway.clear())
    });
    for kill in 0..kills {
        let before = running.acknowledged();
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while running.acknowledged() < before + 40 {
            assert!(std::time::Instant::now() < deadline, "no progress after kill {kill}");
            std::thread::sleep(Duration::from_millis(5));
        }
        // A different moment of the work each time.
        std::thread::sleep(Duration::from_millis(u64::from(kill * 7 % 50)));
        gateway.kill();
        gateway.start();
    }
    running.stop();
    let outcome = running.finish();
    assert!(outcome.acknowledged.len() >= 40 * kills as usize);
    let acknowledged = outcome.acknowledged_by(std::time::Instant::now());
    let counts = wait_arrived(&sink, &acknowledged);
    let doubled = assert_nothing_lost(&counts, &acknowledged);
    println!(
        "{kills} kills: {} acknowledged, {} came, {doubled} of them more than once",
        outcome.acknowledged.len(),
        counts.mails
    );
    // A crash repeats what was under way; it does not send the queue again.
    assert!(doubled <= kills as usize * 200, "{doubled} mails came more than once");
    gateway.cli(&["store", "check"]).ok();
}
