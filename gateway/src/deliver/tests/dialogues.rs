//! Envelope, message and replies in every mode.

use std::sync::Arc;

use bytes::Bytes;

use super::server::{Script, Server};
use super::{MESSAGE, courier, deliver_one, modes, name, transaction, with};
use crate::deliver::outcome::Outcome;
use crate::message::{Notify, ReturnContent};

#[tokio::test(start_paused = true)]
async fn the_message_arrives_octet_by_octet_in_every_mode() {
    for extensions in modes() {
        for message in [MESSAGE, b".\r\n".as_slice(), b"a: b\r\n\r\n\r\n.\r\n..\r\n", b"x\r\n"] {
            let server = Server::new(vec![with(|s| s.extensions.clone_from(&extensions))]);
            let courier = courier(&[Arc::clone(&server)]);
            for _ in 0..2 {
                let mut letter = transaction(&courier, &["ann@there.example", "bob@there.example"]);
                letter.message = Bytes::copy_from_slice(message);
                let outcomes = courier.deliver(&letter).await;
                assert!(outcomes.iter().all(|o| name(o) == "delivered"), "{extensions:?} {outcomes:?}");
            }
            assert_eq!(server.connections(), 1, "reused");
            let taken = server.taken.lock().clone();
            assert_eq!(taken.len(), 2);
            assert!(taken.iter().all(|t| t.message == message && t.to.len() == 2), "{extensions:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_letter_waits_for_its_envelope() {
    for extensions in modes() {
        let server = Server::new(vec![with(|s| s.extensions.clone_from(&extensions))]);
        let courier = super::courier_for(super::delivery(), &[Arc::clone(&server)], 1_000);
        let mut letter = transaction(&courier, &["ann@there.example"]);
        letter.message = Bytes::from(b"0123456789abcde\r\n".repeat(20_000));
        assert_eq!(name(&courier.deliver(&letter).await[0]), "delivered", "{extensions:?}");
        assert_eq!(server.taken.lock()[0].message, letter.message);
    }
}

#[tokio::test(start_paused = true)]
async fn each_recipient_has_its_own_outcome() {
    for extensions in modes() {
        let server = Server::new(vec![with(|s| {
            s.extensions.clone_from(&extensions);
            s.rcpt.insert("gone", "550 5.1.1 no such user".into());
            s.rcpt.insert("full", "452 4.5.3 too many".into());
            s.rcpt.insert("many", "552 5.2.2 too many".into());
            s.rcpt.insert("wordy", format!("550-5.7.1 {}\r\n550 end", "no ".repeat(2_000)));
        })]);
        let courier = courier(&[Arc::clone(&server)]);
        let to = ["gone", "ann", "full", "many", "bob", "wordy"].map(|local| format!("{local}@there.example"));
        let to: Vec<&str> = to.iter().map(String::as_str).collect();
        for _ in 0..2 {
            let outcomes = courier.deliver(&transaction(&courier, &to)).await;
            let names: Vec<_> = outcomes.iter().map(name).collect();
            let expected = ["refused", "delivered", "try-later", "try-later", "delivered", "refused"];
            assert_eq!(names, expected, "{extensions:?}");
            assert_eq!(outcomes[0].evidence().status, (5, 1, 1));
            assert_eq!(outcomes[3].evidence().status, (4, 5, 3));
            assert_eq!(outcomes[5].evidence().reply.as_ref().unwrap().code, 550);
        }
        assert_eq!(server.taken.lock().len(), 2);
        assert_eq!(server.connections(), 1, "a successful end needs no new connection");
    }
}

#[tokio::test(start_paused = true)]
async fn when_nobody_is_accepted_the_next_letter_still_goes() {
    for extensions in modes() {
        for data in ["354 go on", "354 even without recipients"] {
            let server = Server::new(vec![with(|s| {
                s.extensions.clone_from(&extensions);
                s.rcpt.insert("gone", "550 5.1.1 no such user".into());
                s.data = data;
            })]);
            let courier = courier(&[Arc::clone(&server)]);
            let outcome = courier.deliver(&transaction(&courier, &["gone@there.example"])).await.remove(0);
            assert_eq!((name(&outcome), outcome.evidence().status), ("refused", (5, 1, 1)), "{extensions:?} {data}");
            assert_eq!(name(&deliver_one(&courier).await), "delivered", "{extensions:?} {data}");
            assert_eq!(server.taken.lock().len(), 1);
            assert!(server.connections() <= 2);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_at_each_command_are_told_apart() {
    type Change = fn(&mut Script);
    let cases: [(Change, &str, (u8, u16, u16)); 9] = [
        (|s| s.mail = "550 5.7.1 not you", "refused", (5, 7, 1)),
        (|s| s.mail = "451 4.7.1 greylisted", "try-later", (4, 7, 1)),
        (|s| s.mail = "503 5.5.1 odd", "try-later", (4, 0, 0)),
        (|s| s.data = "554 5.7.1 no data", "refused", (5, 7, 1)),
        (|s| s.data = "250 what", "try-later", (4, 0, 0)),
        (|s| s.end = "552 5.3.4 too big", "refused", (5, 3, 4)),
        (|s| s.end = "451 4.3.0 later", "try-later", (4, 3, 0)),
        (|s| s.end = "421 4.3.2 bye", "try-later", (4, 3, 2)),
        (|s| s.end = "550 4.7.1 liar", "refused", (5, 0, 0)),
    ];
    for extensions in modes() {
        for (change, expected, status) in cases {
            let script = with(|s| {
                s.extensions.clone_from(&extensions);
                change(s);
            });
            if extensions.contains(&"CHUNKING") && script.data != "354 go on" {
                continue;
            }
            let server = Server::new(vec![script, Script::default()]);
            let courier = courier(&[Arc::clone(&server)]);
            let outcome = deliver_one(&courier).await;
            assert_eq!((name(&outcome), outcome.evidence().status), (expected, status), "{extensions:?} {outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn parameters_are_sent_only_where_they_are_understood() {
    let plain = Server::new(vec![with(|s| s.extensions = vec!["PIPELINING"])]);
    let full = Server::new(vec![Script::default()]);
    for server in [&plain, &full] {
        let courier = courier(&[Arc::clone(server)]);
        let mut letter = transaction(&courier, &["ann@there.example"]);
        letter.return_content = Some(ReturnContent::Headers);
        letter.envelope_id = Some("id+2B1".into());
        letter.smtputf8 = true;
        letter.recipients[0].notify = Notify::On { success: true, failure: true, delay: false };
        letter.recipients[0].original = Some("rfc822;ann@old.example".into());
        let outcome = courier.deliver(&letter).await.remove(0);
        assert_eq!(name(&outcome), "delivered", "SMTPUTF8 was declared but is not needed");
        let next_reports = outcome.evidence().notices_come_from_the_next_server();
        assert_eq!(next_reports, Arc::ptr_eq(server, &full));
    }
    assert_eq!(plain.commands()[1..3], ["MAIL FROM:<shop@acme.example>", "RCPT TO:<ann@there.example>"]);
    let size = MESSAGE.len();
    let expected = [
        format!("MAIL FROM:<shop@acme.example> SIZE={size} RET=HDRS ENVID=id+2B1"),
        "RCPT TO:<ann@there.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;ann@old.example".to_owned(),
    ];
    assert_eq!(full.commands()[1..3], expected);
}

#[tokio::test(start_paused = true)]
async fn a_line_end_in_a_parameter_never_reaches_the_wire() {
    let server = Server::new(vec![Script::default()]);
    let courier = courier(&[Arc::clone(&server)]);
    let mut letter = transaction(&courier, &["ann@there.example"]);
    letter.envelope_id = Some("x\r\nRCPT TO:<evil@there.example>".into());
    letter.recipients[0].original = Some("rfc822;a\r\nRSET".into());
    assert_eq!(name(&courier.deliver(&letter).await[0]), "delivered");
    assert!(server.commands().iter().all(|line| !line.contains("evil") && line != "RSET"));
}

#[tokio::test(start_paused = true)]
async fn what_one_host_lacks_another_may_have() {
    type Change = fn(&mut crate::deliver::Transaction);
    let lacking = || with(|s| s.extensions = vec!["PIPELINING", "SIZE 10"]);
    let cases: [(Change, (u8, u16, u16)); 3] = [
        (|t| t.recipients[0] = crate::message::Recipient::new("用户@there.example".parse().unwrap()), (5, 6, 7)),
        (|t| t.eight_bit = true, (5, 6, 3)),
        (|_| {}, (5, 3, 4)),
    ];
    for (change, status) in cases {
        let (poor, rich) = (Server::new(vec![lacking()]), Server::new(vec![Script::default()]));
        for (servers, expected) in [(vec![&poor, &rich], "delivered"), (vec![&poor, &poor], "refused")] {
            let servers: Vec<Arc<Server>> = servers.into_iter().cloned().collect();
            let courier = courier(&servers);
            let mut letter = transaction(&courier, &["ann@there.example"]);
            change(&mut letter);
            let outcome = courier.deliver(&letter).await.remove(0);
            assert_eq!(name(&outcome), expected, "{outcome:?}");
            if let Outcome::Refused(evidence) = outcome {
                assert_eq!(evidence.status, status);
            }
        }
        assert!(poor.commands().iter().all(|line| !line.starts_with("MAIL")));
    }
    let down = Server::new(vec![with(|s| s.greeting = "421 not now".into())]);
    let poor = Server::new(vec![lacking()]);
    let outcome = deliver_one(&courier(&[poor, down])).await;
    assert_eq!(name(&outcome), "try-later", "the host that is down may have what the other lacks");
}

#[tokio::test(start_paused = true)]
async fn recipients_are_split_by_the_servers_limit() {
    let server = Server::new(vec![with(|s| s.extensions = vec!["PIPELINING", "CHUNKING", "LIMITS RCPTMAX=3"])]);
    let courier = courier(&[Arc::clone(&server)]);
    let to: Vec<String> = (0..8).map(|n| format!("r{n}@there.example")).collect();
    let to: Vec<&str> = to.iter().map(String::as_str).collect();
    let outcomes = courier.deliver(&transaction(&courier, &to)).await;
    assert!(outcomes.iter().all(|outcome| name(outcome) == "delivered"));
    let sizes: Vec<usize> = server.taken.lock().iter().map(|taken| taken.to.len()).collect();
    assert_eq!(sizes, [3, 3, 2]);
}

#[tokio::test(start_paused = true)]
async fn ehlo_falls_back_to_helo() {
    let server = Server::new(vec![with(|s| s.ehlo = Some("502 5.5.1 what"))]);
    let outcome = deliver_one(&courier(&[Arc::clone(&server)])).await;
    assert_eq!(name(&outcome), "delivered");
    assert_eq!(server.commands()[1], "HELO gw.relay.example");
}

#[tokio::test(start_paused = true)]
async fn a_utf8_recipient_does_not_take_the_others_with_it() {
    let server = Server::new(vec![with(|s| s.extensions = vec!["PIPELINING", "8BITMIME"])]);
    let courier = courier(&[Arc::clone(&server)]);
    let to = ["ann@there.example", "用户@there.example", "bob@there.example"];
    let outcomes = courier.deliver(&transaction(&courier, &to)).await;
    let names: Vec<_> = outcomes.iter().map(name).collect();
    assert_eq!(names, ["delivered", "refused", "delivered"]);
    assert_eq!(server.taken.lock()[0].to.len(), 2);
    assert!(
        courier
            .deliver(&crate::deliver::Transaction { recipients: Vec::new(), ..transaction(&courier, &to) })
            .await
            .is_empty()
    );
}
