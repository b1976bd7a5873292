//! The power cut: ext4 and XFS in turn are shut down under load without flushing their logs, checked and mounted again.
//! Every mail that got its 250 is still there, and a gateway whose disk answers every write with an error
//! acknowledges nothing and says so. `WAXSEAL_POWER_CUTS` sets how often.

use std::time::{Duration, Instant};

use waxseal_tests::disk::{Disk, Kind};
use waxseal_tests::load::{self, Load};
use waxseal_tests::need::{self, Need};
use waxseal_tests::sink::Sink;

use crate::crashes::{assert_nothing_lost, wait_arrived};
use crate::world::routed_to;

#[test]
fn a_power_cut_under_load_loses_nothing_that_was_acknowledged() {
    if !need::all(&[Need::OwnFileSystem]) {
        return;
    }
    let cuts: u32 = std::env::var("WAXSEAL_POWER_CUTS").ok().and_then(|count| count.parse().ok()).unwrap_or(3);
    let kinds = Kind::usable();
    for cut in 0..cuts {
        let kind = kinds[cut as usize % kinds.len()];
        let folder = tempfile::tempdir().unwrap();
        let mut disk = Disk::of(kind, folder.path(), 512).unwrap();
        let sink = Sink::start(([127, 0, 0, 1], 0).into(), &["PIPELINING", "8BITMIME"]).unwrap();
        let (mut gateway, tenant) = routed_to(sink.address(), |setup| {
            setup.data_dir(&disk.path().join("data"));
        });
        let running = load::start(Load {
            sessions: 16,
            messages: usize::MAX,
            size: 3000 + 4000 * cut as usize,
            credential: Some((tenant.user.clone(), tenant.secret.clone())),
            sender: "sender@example.com".into(),
            recipient: "someone{}@rcpt.test".into(),
            prefix: format!("cut{cut}"),
            at_most: Duration::from_mins(1),
            ..Load::to(gateway.clear())
        });
        let deadline = Instant::now() + Duration::from_secs(30);
        while running.acknowledged() < 300 && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        let cutter = disk.cutter().unwrap();
        // In a real cut the machine is gone at this moment: what was acknowledged until then must be there.
        let moment = Instant::now();
        cutter.cut().unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let after = running.acknowledged();
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(running.acknowledged(), after, "a gateway without a disk goes on acknowledging");
        if kind == Kind::Ext4 {
            // XFS shut down does not let anybody look for the control socket.
            let health = gateway.cli(&["health"]);
            assert_eq!(health.code, 3, "{health:?}");
            assert!(format!("{health:?}").contains("closed until a restart"), "{health:?}");
        }
        running.stop();
        gateway.kill();
        let outcome = running.finish();
        let acknowledged = outcome.acknowledged_by(moment);
        assert!(acknowledged.len() >= 300, "{}: {}", acknowledged.len(), outcome.last_trouble);
        disk.power_on().unwrap();
        gateway.start();
        let counts = wait_arrived(&sink, &acknowledged);
        let doubled = assert_nothing_lost(&counts, &acknowledged);
        println!("cut {cut} of {kind:?}: {} acknowledged, {doubled} delivered more than once", acknowledged.len());
        gateway.kill();
        disk.discard().unwrap();
    }
}
