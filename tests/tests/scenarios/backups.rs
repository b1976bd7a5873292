//! The restore drill: a backup of a gateway under load, the data folder lost, the backup put back. What was
//! acknowledged before the backup began arrives (the recovery point); how long it takes is printed (the recovery
//! time). And every wrong turn on the way ends with a status and a sentence.

use std::time::{Duration, Instant};

use waxseal_tests::load::{self, Load};
use waxseal_tests::setup::free_port;
use waxseal_tests::sink::Sink;

use crate::crashes::{assert_nothing_lost, wait_arrived};
use crate::world::routed_to;

#[test]
fn a_lost_data_folder_comes_back_from_a_backup_that_was_taken_under_load() {
    // Nobody listens there yet: everything that is accepted waits in the queue.
    let address = ([127, 0, 0, 1], free_port()).into();
    let (mut gateway, tenant) = routed_to(address, |_| ());
    let running = load::start(Load {
        sessions: 4,
        messages: usize::MAX,
        size: 3000,
        credential: Some((tenant.user.clone(), tenant.secret.clone())),
        sender: "sender@example.com".into(),
        recipient: "someone{}@rcpt.test".into(),
        at_most: Duration::from_mins(1),
        ..Load::to(gateway.clear())
    });
    let deadline = Instant::now() + Duration::from_secs(30);
    while running.acknowledged() < 100 {
        assert!(Instant::now() < deadline, "no load");
        std::thread::sleep(Duration::from_millis(5));
    }
    let backups = tempfile::tempdir().unwrap();
    let backup = backups.path().join("monday");
    let folder = backup.to_str().unwrap();
    let point = Instant::now();
    let made = gateway.cli(&["backup", "create", folder, "--json"]).ok().json();
    running.stop();
    let acknowledged = running.finish().acknowledged_by(point);
    assert!(made["letters"].as_u64().unwrap() >= acknowledged.len() as u64 && acknowledged.len() >= 100, "{made}");

    let again = gateway.cli(&["backup", "create", folder]);
    assert!(again.code == 5 && again.stderr.contains("not an empty folder"), "{again:?}");
    let inside = gateway.cli(&["backup", "create", gateway.data_dir().join("backup").to_str().unwrap()]);
    assert_eq!(inside.code, 2, "{inside:?}");
    let verified = gateway.cli(&["backup", "verify", folder, "--json"]).ok().json();
    assert_eq!((&verified["opened"], &verified["letters"]), (&true.into(), &made["letters"]), "{verified}");
    assert_eq!(verified["readable_letters"], made["letters"]);
    let taken = gateway.cli(&["backup", "restore", folder, "--yes"]);
    assert!(taken.code == 5 && taken.stderr.contains("another gateway runs"), "{taken:?}");

    gateway.kill();
    let kept = std::fs::read_dir(gateway.data_dir()).unwrap().count();
    assert!(kept > 0);
    let unsure = gateway.cli(&["backup", "restore", folder]);
    assert!(unsure.code == 2 && unsure.stderr.contains("--yes"), "{unsure:?}");
    std::fs::remove_dir_all(gateway.data_dir()).unwrap();

    let begun = Instant::now();
    gateway.cli(&["backup", "restore", folder]).ok();
    let restored = begun.elapsed();
    gateway.start();
    let ready = begun.elapsed();
    let sink = Sink::start(address, &["PIPELINING", "8BITMIME"]).unwrap();
    let counts = wait_arrived(&sink, &acknowledged);
    assert_nothing_lost(&counts, &acknowledged);
    gateway.cli(&["store", "check"]).ok();
    println!(
        "recovery point: the moment of \"backup create\" ({} letters acknowledged before it, {} in the backup, 0 lost); \
         recovery time: {restored:?} to restore, {ready:?} until mail is taken",
        acknowledged.len(),
        made["letters"]
    );
}

#[test]
fn a_damaged_or_unfinished_backup_is_told_and_never_restored() {
    let address = ([127, 0, 0, 1], free_port()).into();
    let (mut gateway, tenant) = routed_to(address, |_| ());
    gateway.submit(&tenant, "sender@example.com", &["one@rcpt.test"], &crate::world::mail("kept"));
    let backups = tempfile::tempdir().unwrap();
    let backup = backups.path().join("monday");
    let folder = backup.to_str().unwrap();
    gateway.cli(&["backup", "create", folder]).ok();
    gateway.kill();
    assert_eq!(gateway.cli(&["backup", "verify", backups.path().to_str().unwrap()]).code, 4);
    let other = gateway.folder().join("other-kek");
    std::fs::write(&other, "6b".repeat(32)).unwrap();
    let wrong = gateway.cli(&["backup", "verify", folder, "--kek", &format!("file:{}", other.display())]);
    assert!(wrong.code == 5 && wrong.stderr.contains("key-encryption key"), "{wrong:?}");
    let key_itself = gateway.cli(&["backup", "verify", folder, "--kek", &"6b".repeat(32)]);
    assert!(key_itself.code == 2 && !key_itself.stderr.contains("6b6b"), "{key_itself:?}");

    let segment = std::fs::read_dir(backup.join("journal")).unwrap().next().unwrap().unwrap().path();
    let mut octets = std::fs::read(&segment).unwrap();
    let middle = octets.len() / 2;
    octets[middle] ^= 1;
    std::fs::write(&segment, octets).unwrap();
    let damaged = gateway.cli(&["backup", "verify", folder]);
    assert!(damaged.code == 3 && damaged.stdout.contains("journal/"), "{damaged:?}");
    let before = std::fs::read_dir(gateway.data_dir()).unwrap().count();
    assert_eq!(gateway.cli(&["backup", "restore", folder, "--yes"]).code, 3);
    assert_eq!(std::fs::read_dir(gateway.data_dir()).unwrap().count(), before);

    // A restore that was cut off must not look like an empty queue.
    std::fs::create_dir(gateway.data_dir().join("restoring")).unwrap();
    let refused = gateway.cli(&["serve"]);
    assert!(refused.code == 1 && refused.stderr.contains("backup restore again"), "{refused:?}");
    std::fs::remove_dir(gateway.data_dir().join("restoring")).unwrap();
    gateway.start();
}
