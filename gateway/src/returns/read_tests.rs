use proptest::prelude::*;

use super::*;

fn report(status: &str) -> Vec<u8> {
    format!(
        "From: MAILER-DAEMON@mx.b.example\r\nTo: b1-x@bounce.example\r\nSubject: Undelivered Mail\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"=b\"\r\n\r\n\
         --=b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n\r\n\
         --=b\r\nContent-Type: message/delivery-status\r\n\r\n{status}\r\n\
         --=b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@a.example\r\nSubject: out of office\r\n\r\nhello\r\n--=b--\r\n"
    )
    .into_bytes()
}

#[test]
fn a_delivery_status_notification_is_read() {
    let found = read(&report(
        "Reporting-MTA: dns; mx.b.example\r\n\r\nOriginal-Recipient: rfc822;Mia@b.example\r\n\
         Final-Recipient: rfc822; box7@inside.b.example\r\nAction: failed\r\nStatus: 5.0.0\r\n\
         Remote-MTA: dns; inside.b.example\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 <box7@inside.b.example>:\r\n    User unknown, card 4111 1111 1111 1111\r\n",
    ));
    assert_eq!((found.kind, found.source), (Kind::Failed, "RFC 3464"));
    assert_eq!(found.reporter.as_deref(), Some("mx.b.example"));
    let about = found.about(Some("mia@b.example")).unwrap();
    assert_eq!((about.status, about.code), (Some((5, 1, 1)), Some(550)), "the server's own code says more");
    assert_eq!(about.addresses, ["Mia@b.example", "box7@inside.b.example"]);
    assert!(about.diagnostic.contains("User unknown") && !about.diagnostic.contains("4111"), "{about:?}");
}

#[test]
fn the_entry_of_the_recipient_is_found_among_several() {
    let found = read(&report(
        "Reporting-MTA: dns; mx\r\n\r\nFinal-Recipient: rfc822;a@b.example\r\nAction: relayed\r\nStatus: 2.0.0\r\n\r\n\
         Final-Recipient: rfc822;c@b.example\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n\
         Final-Recipient: rfc822;d@b.example\r\nAction: delayed\r\nStatus: 4.4.1\r\n",
    ));
    assert_eq!(found.about(Some("D@B.example")).unwrap().kind, Some(Kind::Delayed));
    assert_eq!(found.about(Some("a@b.example")).unwrap().kind, Some(Kind::Delivered));
    assert_eq!(found.about(None).unwrap().status, Some((5, 2, 2)));
}

#[test]
fn reports_of_careless_writers_are_read() {
    // No empty line between the groups, no Action, a Status with a comment.
    let found =
        read(&report("Reporting-MTA: mx.b.example\r\nFinal-Recipient: a@b.example\r\nStatus: 5.1.1 (no user)\r\n"));
    assert_eq!((found.kind, found.about[0].status), (Kind::Failed, Some((5, 1, 1))));
    assert_eq!(read(&report("nothing of sense\r\n")).kind, Kind::Other);
}

fn plain(subject: &str, fields: &str, body: &str) -> Comeback {
    read(format!("From: x@b.example\r\nSubject: {subject}\r\n{fields}\r\n{body}\r\n").as_bytes())
}

#[test]
fn notices_without_a_standard_are_recognised() {
    let qmail = plain(
        "failure notice",
        "",
        "Hi. This is the qmail-send program at b.example.\r\nI'm afraid I wasn't able to deliver your message to the following addresses.\r\n\r\n\
         <a@b.example>:\r\n192.0.2.1 does not like recipient.\r\nRemote host said: 550 5.1.1 no mailbox here by that name\r\nGiving up on 192.0.2.1.\r\n",
    );
    assert_eq!(qmail.kind, Kind::Failed);
    assert_eq!((qmail.about[0].code, qmail.about[0].status), (Some(550), Some((5, 1, 1))));
    let exim = plain(
        "Mail delivery failed: returning message to sender",
        "X-Failed-Recipients: a@b.example\r\nAuto-Submitted: auto-replied\r\n",
        "This message was created automatically by mail delivery software.\r\n  a@b.example\r\n    SMTP error from remote mail server after RCPT TO:<a@b.example>:\r\n    host mx [192.0.2.1]: 550-No such user\r\n",
    );
    assert_eq!((exim.kind, exim.about[0].code), (Kind::Failed, Some(550)));
    assert_eq!(exim.about[0].addresses, ["a@b.example"]);
    let warning =
        plain("Warning: message delayed 24 hours", "Auto-Submitted: auto-generated\r\n", "No action is required.");
    assert_eq!(warning.kind, Kind::Delayed);
}

#[test]
fn answers_of_machines_are_no_bounces() {
    for (subject, fields) in [
        ("Re: your order", "Auto-Submitted: auto-replied\r\n"),
        ("Automatic reply: your order", ""),
        ("=?utf-8?B?6Ieq5YuV5b+c562UOiDms6jmloc=?=", ""),
        ("away", "Precedence: auto_reply\r\n"),
    ] {
        assert_eq!(plain(subject, fields, "I am away until Monday.").kind, Kind::AutoReply, "{subject}");
    }
    assert_eq!(plain("Re: your order", "Auto-Submitted: no\r\n", "Where is it?").kind, Kind::Other);
}

#[test]
fn a_complaint_is_told_from_its_opposite() {
    let arf = |kind: &str| {
        read(
            format!(
                "From: fbl@b.example\r\nSubject: FW\r\nMIME-Version: 1.0\r\n\
                 Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n\
                 --b\r\nContent-Type: text/plain\r\n\r\nreport\r\n\
                 --b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nUser-Agent: SomeISP/1.0\r\nVersion: 1\r\n\
                 Original-Rcpt-To: <mia@b.example>\r\n\r\n\
                 --b\r\nContent-Type: message/rfc822\r\n\r\nFrom: a@a.example\r\nSubject: x\r\n\r\nhello\r\n--b--\r\n"
            )
            .as_bytes(),
        )
    };
    let abuse = arf("abuse");
    assert_eq!((abuse.kind, abuse.reporter.as_deref()), (Kind::Complaint, Some("SomeISP/1.0")));
    assert_eq!(abuse.about[0].addresses, ["mia@b.example"]);
    assert_eq!(arf("not-spam").kind, Kind::Other);
    assert_eq!(arf("auth-failure").kind, Kind::Other);
}

proptest! {
    #[test]
    fn any_octets_are_read(octets: Vec<u8>) {
        read(&octets);
    }

    #[test]
    fn any_report_is_read_and_keeps_nothing_that_could_harm(lines in prop::collection::vec("[A-Za-z-]{0,20}:? ?[ -~é]{0,60}", 0..20)) {
        let found = read(&report(&lines.join("\r\n")));
        for about in &found.about {
            for text in about.addresses.iter().chain([&about.diagnostic]) {
                prop_assert!(text.len() <= DIAGNOSTIC && text.bytes().all(|b| (b' '..=b'~').contains(&b)));
            }
        }
        prop_assert!(found.about.len() <= MOST_RECIPIENTS + 1);
    }
}
