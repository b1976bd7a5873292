//! What the SMTP door refuses, and how exactly.

use std::time::Duration;

use waxseal_tests::client::Client;
use waxseal_tests::need::{self, Need};

use crate::world::{World, mail, world, world_with};

fn transaction(world: &World) -> Client {
    let mut client = world.gateway.client(&world.tenant);
    client.expect("MAIL FROM:<sender@example.com>", 250).unwrap();
    client.expect("RCPT TO:<someone@rcpt.test>", 250).unwrap();
    client.expect("DATA", 354).unwrap();
    client
}

#[test]
fn the_greeting_offers_what_the_contract_lists() {
    let world = world();
    let mut client = Client::connect(world.gateway.clear()).unwrap();
    let offered = client.expect("EHLO client.example", 250).unwrap().lines.join("\n");
    for name in [
        "SIZE",
        "8BITMIME",
        "SMTPUTF8",
        "PIPELINING",
        "CHUNKING",
        "BINARYMIME",
        "DSN",
        "ENHANCEDSTATUSCODES",
        "AUTH PLAIN LOGIN SCRAM-SHA-256",
        "LIMITS",
    ] {
        assert!(offered.contains(name), "{name} is not offered:\n{offered}");
    }
    let mut client = Client::connect(world.gateway.starttls()).unwrap();
    let offered = client.expect("EHLO client.example", 250).unwrap().lines.join("\n");
    assert!(offered.contains("STARTTLS") && !offered.contains("AUTH"), "{offered}");
    let mut client = client.starttls(&world.gateway.authority, "localhost").unwrap();
    let offered = client.expect("EHLO client.example", 250).unwrap().lines.join("\n");
    assert!(!offered.contains("STARTTLS") && offered.contains("AUTH") && offered.contains("REQUIRETLS"), "{offered}");
}

#[test]
fn commands_injected_before_the_handshake_are_never_heard() {
    let world = world();
    let mut client = Client::connect(world.gateway.starttls()).unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    client.raw(b"STARTTLS\r\nRSET\r\nMAIL FROM:<injected@example.com>\r\n").unwrap();
    // Either the answer is a refusal of the early octets, or they are thrown away: never an answer to them under TLS.
    let reply = client.reply().unwrap();
    if reply.code == 220 {
        let Ok(mut client) = client.handshake(&world.gateway.authority, "localhost") else { return };
        let reply = client.command("EHLO client.example").unwrap();
        assert!(reply.code == 250 && reply.lines.len() > 1, "an answer to an injected command: {reply:?}");
        assert_eq!(client.command("MAIL FROM:<sender@example.com>").unwrap().code, 530);
    } else {
        assert!(matches!(reply.code, 421 | 501 | 503 | 554), "{reply:?}");
    }
}

#[test]
fn a_client_that_speaks_tls_at_once_is_served_on_a_starttls_port() {
    let world = world();
    let client = Client::connect_silent(world.gateway.starttls()).unwrap();
    let mut client = client.handshake(&world.gateway.authority, "localhost").unwrap();
    client.expect_reply(220).unwrap();
    client.expect("EHLO client.example", 250).unwrap();
    client.auth_plain(&world.tenant.user, &world.tenant.secret).unwrap();
    assert_eq!(client.send("sender@example.com", &["someone@rcpt.test"], &mail("implicit")).unwrap().code, 250);
}

#[test]
fn no_sequence_but_the_strict_one_ends_a_message() {
    let world = world();
    // RFC 5321 §2.3.8 and the smuggling sequences seen in the field.
    for sequence in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\r\n\x00.\r\n", "\r.\r\n", "\r\n.\r\r\n"] {
        let mut client = transaction(&world);
        let before = world.receiver.arrived().len();
        let smuggled = format!(
            "From: sender@example.com\r\nSubject: smuggling\r\n\r\nbody{sequence}\
             MAIL FROM:<smuggled@example.com>\r\nRCPT TO:<smuggled@rcpt.test>\r\nDATA\r\nSubject: smuggled\r\n\r\n\r\n.\r\n"
        );
        client.raw(smuggled.as_bytes()).unwrap();
        let reply = client.reply().unwrap();
        assert_eq!(reply.code / 100, 5, "{sequence:?} was taken: {reply:?}");
        assert!(
            reply.text().starts_with("5.5.2 bare ") || reply.text().contains("NUL") || reply.text().starts_with("5.6."),
            "{sequence:?}: {reply:?}"
        );
        // The conversation is still in step: what followed was content, not commands.
        assert_eq!(client.command("NOOP").unwrap().code, 250, "{sequence:?}");
        assert_eq!(world.receiver.arrived().len(), before);
    }
}

#[test]
fn a_bare_line_feed_is_named_with_its_place() {
    let world = world();
    let mut client = transaction(&world);
    client.raw(b"Subject: x\r\n\r\nab\ncd\r\n.\r\n").unwrap();
    let reply = client.reply().unwrap();
    assert_eq!(reply.code, 550);
    assert!(reply.text().starts_with("5.5.2 bare LF at byte "), "{}", reply.text());
}

#[test]
fn size_is_refused_before_the_data_and_after() {
    let world = world_with(|setup| {
        setup.set("limits", "message_size", "\"100KB\"");
    });
    let mut client = world.gateway.client(&world.tenant);
    let offered = client.expect("EHLO client.example", 250).unwrap().lines;
    let limit: usize = offered.iter().find_map(|line| line.strip_prefix("SIZE ")).unwrap().parse().unwrap();
    let reply = client.command(&format!("MAIL FROM:<sender@example.com> SIZE={}", limit + 1)).unwrap();
    assert_eq!(reply.code, 552, "{reply:?}");
    let large = [mail("too large"), vec![b'x'; 500], b"\r\n".repeat(limit)].concat();
    let reply = client.send("sender@example.com", &["someone@rcpt.test"], &large).unwrap();
    assert_eq!((reply.code, &reply.text()[..5]), (552, "5.3.4"), "{reply:?}");
    assert_eq!(client.send("sender@example.com", &["someone@rcpt.test"], &mail("fits")).unwrap().code, 250);
}

#[test]
fn one_recipient_too_many_waits_for_the_next_transaction() {
    let world = world_with(|setup| {
        setup.set("limits", "recipients", "100");
    });
    let mut client = world.gateway.client(&world.tenant);
    client.expect("MAIL FROM:<sender@example.com>", 250).unwrap();
    // RFC 5321 §4.5.3.1.8: at least a hundred.
    for number in 0..100 {
        client.expect(&format!("RCPT TO:<r{number}@rcpt.test>"), 250).unwrap();
    }
    let reply = client.command("RCPT TO:<r100@rcpt.test>").unwrap();
    assert_eq!((reply.code, &reply.text()[..5]), (452, "4.5.3"), "{reply:?}");
    client.expect("DATA", 354).unwrap();
    client.raw(&waxseal_tests::wire::stuff(&mail("a hundred"))).unwrap();
    client.expect_reply(250).unwrap();
    assert_eq!(world.arrived(1)[0].recipients().len(), 100);
}

#[test]
fn short_of_disk_nothing_is_accepted_and_the_client_is_told_to_wait() {
    let world = world_with(|setup| {
        setup.set("queue", "reserve_free", "\"900000GB\"");
    });
    let mut client = world.gateway.client(&world.tenant);
    let reply = client.send("sender@example.com", &["someone@rcpt.test"], &mail("no room")).unwrap();
    assert_eq!((reply.code, &reply.text()[..5]), (452, "4.3.1"), "{reply:?}");
    assert_eq!(world.receiver.arrived().len(), 0);
}

#[test]
fn a_full_file_system_refuses_and_recovers() {
    if !need::all(&[Need::OwnFileSystem]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let disk = waxseal_tests::disk::Disk::new(folder.path(), 96).unwrap();
    let data = disk.path().join("data");
    let mut world = world_with(|setup| {
        setup.data_dir(&data).set("queue", "reserve_free", "\"16MB\"");
    });
    world.submit(&["someone@rcpt.test"], &mail("there is room"));
    world.arrived(1);
    let filler = disk.path().join("filler");
    assert!(fill(&filler) > 0);
    // The gateway may look at the disk once a second only.
    std::thread::sleep(Duration::from_secs(3));
    let mut client = world.gateway.client(&world.tenant);
    let reply = client.send("sender@example.com", &["someone@rcpt.test"], &mail("no room")).unwrap();
    assert_eq!(reply.code, 452, "{reply:?}");
    std::fs::remove_file(&filler).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    world.submit(&["someone@rcpt.test"], &mail("room again"));
    world.arrived(2);
    world.gateway.kill();
}

/// Writes zeros until the file system is full; how many octets it took.
fn fill(path: &std::path::Path) -> usize {
    use std::io::Write;
    let mut file = std::fs::File::create(path).unwrap();
    let (block, mut written) = (vec![0_u8; 1 << 16], 0);
    while let Ok(count) = file.write(&block) {
        written += count;
    }
    written
}
