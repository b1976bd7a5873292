//! Both signatures of what arrives verify, judged by two implementations that nobody here wrote.

use waxseal_tests::need::{self, Need};
use waxseal_tests::peers::{self, Judged};

use crate::mails;
use crate::world::{SOON, mail, world};

/// Two signatures of the tenant's domain, one of each algorithm, all good.
#[track_caller]
pub fn assert_both(judge: &str, kind: &str, judged: &[Judged]) {
    let mut algorithms: Vec<&str> = judged.iter().map(|one| one.algorithm.as_str()).collect();
    algorithms.sort_unstable();
    assert_eq!(algorithms, ["ed25519-sha256", "rsa-sha256"], "{judge}, {kind}: {judged:?}");
    assert!(judged.iter().all(|one| one.ok && one.domain == "example.com"), "{judge}, {kind}: {judged:?}");
}

#[test]
fn every_kind_of_mail_arrives_with_two_signatures_that_dkimpy_and_opendkim_verify() {
    if !need::all(&[Need::Dkimpy, Need::OpenDkim]) {
        return;
    }
    let world = world();
    for (count, (kind, message)) in mails::all().into_iter().enumerate() {
        world.submit(&["someone@rcpt.test"], &message);
        let arrived = world.arrived(count + 1).pop().unwrap();
        assert_both("dkimpy", kind, &peers::dkimpy(&arrived.message, &world.tenant.records));
        assert_both("OpenDKIM", kind, &peers::opendkim(&arrived.message, &world.tenant.records));
        assert!(arrived.text().lines().all(|line| line.len() <= 998), "{kind}: a line is too long");
    }
}

#[test]
fn a_changed_letter_fails_so_the_judges_are_awake() {
    if !need::all(&[Need::Dkimpy, Need::OpenDkim]) {
        return;
    }
    let world = world();
    world.submit(&["someone@rcpt.test"], &mail("unchanged"));
    let arrived = world.arrived(1).remove(0);
    assert_both("dkimpy", "unchanged", &peers::dkimpy(&arrived.message, &world.tenant.records));
    assert_both("OpenDKIM", "unchanged", &peers::opendkim(&arrived.message, &world.tenant.records));
    let changed = arrived.text().replace("Subject: unchanged", "Subject: changed").into_bytes();
    let forged = [b"From: Other <other@example.com>\r\n".as_slice(), &arrived.message].concat();
    for message in [changed, forged] {
        assert!(peers::dkimpy(&message, &world.tenant.records).iter().all(|one| !one.ok));
        assert!(peers::opendkim(&message, &world.tenant.records).iter().all(|one| !one.ok));
    }
}

#[test]
fn signatures_are_made_as_promised() {
    let world = world();
    world.submit(&["someone@rcpt.test"], &mail("promises"));
    let text = world.arrived(1).remove(0).text();
    let head = text.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
    let signatures: Vec<String> = head
        .lines()
        .filter_map(|line| line.strip_prefix("DKIM-Signature:"))
        .map(|value| value.split_whitespace().collect::<String>().to_ascii_lowercase())
        .collect();
    assert_eq!(signatures.len(), 2, "{head}");
    for signature in signatures {
        let tag =
            |name: &str| signature.split(';').find_map(|tag| tag.strip_prefix(name)).unwrap_or_default().to_owned();
        assert_eq!(tag("c="), "relaxed/relaxed");
        assert_eq!(tag("d="), "example.com");
        assert!(!signature.contains(";l="), "the body must be covered whole: {signature}");
        let signed = tag("h=");
        let names: Vec<&str> = signed.split(':').collect();
        for field in ["from", "to", "subject", "date", "message-id", "reply-to", "cc", "mime-version", "content-type"] {
            let times = names.iter().filter(|name| **name == field).count();
            let present =
                usize::from(head.to_ascii_lowercase().lines().any(|line| line.starts_with(&format!("{field}:"))));
            assert_eq!(times, present + 1, "{field} is to be signed once more than it occurs: {signed}");
        }
    }
}

#[test]
fn missing_fields_are_added_before_signing_and_hidden_ones_removed() {
    let world = world();
    let message = b"From: sender@example.com\r\nTo: someone@rcpt.test\r\nBcc: secret@rcpt.test\r\nX-Waxseal-Tag: a\r\n\
        X-Waxseal-Unknown: b\r\nSubject: bare\r\n\r\nHello.\r\n";
    let id = world.submit(&["someone@rcpt.test"], message);
    let text = world.arrived(1).remove(0).text();
    for present in ["Date: ", "Message-ID: <", "Received: ", &id] {
        assert!(text.contains(present), "{present} is missing:\n{text}");
    }
    for absent in ["Bcc", "secret@", "X-Waxseal"] {
        assert!(!text.contains(absent), "{absent} left the house:\n{text}");
    }
    world.gateway.wait_event("message.delivered", SOON, |event| event["id"] == id.as_str());
}
