//! The sender is told what became of the mail, once, by a signed notice (RFC 3464), and never about a notice.

use waxseal_tests::client::Client;
use waxseal_tests::need::{self, Need};
use waxseal_tests::peers;
use waxseal_tests::receiver::{Act, Stage};
use waxseal_tests::wire::stuff;

use crate::signatures::assert_both;
use crate::world::{World, mail, world, world_with};

/// A world whose tenant's own domain has a mailbox, at the same receiver; unknown users are refused.
fn with_mailbox(world: &World) {
    world.dns.mx("example.com", 10, "mx.rcpt.test");
    world.receiver.script(|step| {
        let unknown = step.stage == Stage::Rcpt && step.command.contains("<unknown@");
        if unknown { Act::Reply("550 5.1.1 no such user here".into()) } else { Act::GoOn }
    });
}

#[test]
fn an_unknown_user_comes_back_as_a_signed_notice_with_the_reply_in_it() {
    let world = world();
    with_mailbox(&world);
    let id = world.submit(&["unknown@rcpt.test"], &mail("to nobody"));
    let event = world.gateway.wait_for("message.bounced", &id);
    assert!(event["notice"].is_string(), "{event}");
    let notice = world.arrived(1).remove(0);
    assert!(notice.from.starts_with("<>"), "the reverse-path of a notice is empty: {}", notice.from);
    assert_eq!(notice.recipients(), ["sender@example.com"]);
    let text = notice.text().replace('"', "");
    for part in [
        "multipart/report",
        "report-type=delivery-status",
        "Final-Recipient: rfc822;",
        "unknown@rcpt.test",
        "Action: failed",
        "Status: 5.1.1",
        "550 5.1.1 no such user here",
        "Auto-Submitted: auto-",
        &id,
    ] {
        assert!(text.contains(part), "{part} is missing:\n{text}");
    }
    if need::all(&[Need::Dkimpy, Need::OpenDkim]) {
        let (dkimpy, opendkim) = (
            peers::dkimpy(&notice.message, &world.tenant.records),
            peers::opendkim(&notice.message, &world.tenant.records),
        );
        assert_both("dkimpy", "notice", &dkimpy);
        assert_both("OpenDKIM", "notice", &opendkim);
    }
}

#[test]
fn nothing_is_sent_about_a_mail_without_a_sender() {
    let world = world();
    with_mailbox(&world);
    let id = world.gateway.submit(&world.tenant, "", &["unknown@rcpt.test"], &mail("no reverse-path"));
    let event = world.gateway.wait_for("message.bounced", &id);
    assert!(event["notice"].is_null(), "{event}");
    assert_eq!(world.receiver.arrived().len(), 0);
}

#[test]
fn a_notice_that_cannot_be_delivered_ends_there() {
    let world = world();
    world.dns.mx("example.com", 10, "mx.rcpt.test");
    world
        .receiver
        .script(|step| if step.stage == Stage::Rcpt { Act::Reply("550 5.1.1 nobody".into()) } else { Act::GoOn });
    let id = world.submit(&["unknown@rcpt.test"], &mail("nobody anywhere"));
    let event = world.gateway.wait_for("message.bounced", &id);
    let notice = event["notice"].as_str().unwrap().to_owned();
    let event = world.gateway.wait_for("message.bounced", &notice);
    assert!(event["notice"].is_null(), "a notice about a notice: {event}");
}

#[test]
fn notify_and_ret_are_honoured() {
    let world = world();
    with_mailbox(&world);
    let mut client: Client = world.gateway.client(&world.tenant);
    client.expect("MAIL FROM:<sender@example.com> RET=HDRS ENVID=job-42", 250).unwrap();
    client.expect("RCPT TO:<unknown@rcpt.test> NOTIFY=NEVER", 250).unwrap();
    client.expect("RCPT TO:<unknown@rcpt.test> NOTIFY=FAILURE ORCPT=rfc822;first+2Bname@rcpt.test", 250).unwrap();
    client.expect("DATA", 354).unwrap();
    client.raw(&stuff(&mail("headers only"))).unwrap();
    client.expect_reply(250).unwrap();
    let text = world.arrived(1).remove(0).text();
    assert!(text.contains("Original-Envelope-Id: job-42"), "{text}");
    // RFC 3461 §6.3: xtext is undone.
    // White space after the type is a matter of taste (RFC 3464 §2.3.1).
    assert!(text.replace("; ", ";").contains("Original-Recipient: rfc822;first+name@rcpt.test"), "{text}");
    assert!(!text.contains("Hello."), "RET=HDRS: the body stays here:\n{text}");
}

#[test]
fn an_expired_mail_comes_back_wherever_it_rested() {
    let world = world_with(|setup| {
        setup.set("queue", "retry", r#"["1h"]"#);
    });
    world.dns.mx("example.com", 10, "mx.rcpt.test");
    world.receiver.script(|step| {
        let refuses = step.stage == Stage::Rcpt && step.command.contains("@rcpt.test");
        if refuses { Act::Reply("451 4.3.0 not now".into()) } else { Act::GoOn }
    });
    let short = |subject: &str| [b"X-Waxseal-Expire-After: 5s\r\n".as_slice(), &mail(subject)].concat();
    let waiting = world.submit(&["someone@rcpt.test"], &short("waits in vain"));
    let held = world.submit(&["held@rcpt.test"], &short("held"));
    world.gateway.cli(&["queue", "hold", &held, "--reason", "looking into it", "--yes"]).ok();
    for id in [waiting, held] {
        let event = world.gateway.wait_for("message.expired", &id);
        assert!(event["notice"].is_string(), "{event}");
    }
    world.arrived(2);
}
