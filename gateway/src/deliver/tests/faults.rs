//! Servers that close, stall and babble: every point, every octet. Never a wrong refusal, never no outcome.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;

use super::server::{Point, Script, Server, StartTls};
use super::{courier, courier_for, deliver_one, delivery, modes, name, transaction, with};

#[tokio::test(start_paused = true)]
async fn a_cut_at_every_octet_only_ever_defers() {
    for extensions in modes() {
        let whole = Server::new(vec![with(|s| s.extensions.clone_from(&extensions))]);
        let courier_whole = courier(&[Arc::clone(&whole)]);
        let letter = transaction(&courier_whole, &["ann@there.example", "bob@there.example"]);
        courier_whole.deliver(&letter).await;
        let octets = whole.said.load(Ordering::SeqCst);
        assert!(octets > 50);
        for cut in 0..=octets {
            let server = Server::new(vec![with(|s| {
                s.extensions.clone_from(&extensions);
                s.cut_after = cut;
            })]);
            let courier = courier(&[Arc::clone(&server)]);
            let outcomes = courier.deliver(&letter).await;
            assert_eq!(outcomes.len(), 2);
            for outcome in &outcomes {
                let expected = if cut == octets { "delivered" } else { "try-later" };
                assert_eq!(name(outcome), expected, "{extensions:?} cut at {cut} of {octets}: {outcome:?}");
                if !server.taken.lock().is_empty() && cut < octets && !extensions.contains(&"PIPELINING") {
                    assert!(outcome.evidence().note.contains("may have arrived"), "{outcome:?}");
                }
            }
            // The letter is still whole, and the next attempt brings it.
            server.scripts.lock()[0].cut_after = usize::MAX;
            assert!(courier.deliver(&letter).await.iter().all(|outcome| name(outcome) == "delivered"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reused_link_cut_at_every_octet_never_refuses_and_its_start_costs_nothing() {
    let first = Server::new(vec![Script::default()]);
    let courier_first = courier(&[Arc::clone(&first)]);
    deliver_one(&courier_first).await;
    let one = first.said.load(Ordering::SeqCst);
    deliver_one(&courier_first).await;
    let two = first.said.load(Ordering::SeqCst);
    for cut in one..two {
        let server = Server::new(vec![with(|s| s.cut_after = cut), Script::default()]);
        let courier = courier(&[Arc::clone(&server)]);
        assert_eq!(name(&deliver_one(&courier).await), "delivered");
        let outcome = deliver_one(&courier).await;
        let mail_reply = "250 2.1.0 ok\r\n".len();
        let expected = if cut - one < mail_reply { "delivered" } else { "try-later" };
        assert_eq!(name(&outcome), expected, "cut at {} of {}: {outcome:?}", cut - one, two - one);
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_up_or_stalling_at_every_point_defers_or_goes_to_the_next_host() {
    for extensions in modes() {
        for point in Point::ALL {
            for stalls in [false, true] {
                let bad = with(|s| {
                    s.extensions.clone_from(&extensions);
                    s.starttls = StartTls::Works;
                    if stalls {
                        s.stall = Some(point);
                    } else {
                        s.hang_up = Some(point);
                    }
                });
                let server = Server::new(vec![bad]);
                server.certify("mx1.there.example");
                let alone = deliver_one(&courier(&[Arc::clone(&server)])).await;
                let data_skipped = point == Point::Data && extensions.contains(&"CHUNKING");
                let plain_instead = point == Point::EhloInTls && alone.evidence().tls.is_none();
                let expected = if data_skipped { "delivered" } else { "try-later" };
                if point == Point::StartTls {
                    assert_eq!(name(&alone), "delivered", "in plain text: {alone:?}");
                    assert!(alone.evidence().note.contains("plain text"));
                    continue;
                }
                assert!(!plain_instead || name(&alone) == "try-later");
                assert_eq!(name(&alone), expected, "{extensions:?} {point:?} stalls={stalls}: {alone:?}");

                let spare = Server::new(vec![Script::default()]);
                let both = deliver_one(&courier(&[Arc::clone(&server), Arc::clone(&spare)])).await;
                let before_anything = matches!(point, Point::Greeting | Point::Ehlo | Point::EhloInTls | Point::Mail);
                if before_anything {
                    assert_eq!(name(&both), "delivered", "{extensions:?} {point:?}: the second host takes it");
                } else if !data_skipped {
                    assert_eq!(name(&both), "try-later", "{extensions:?} {point:?}");
                    assert_eq!(spare.connections(), 0, "a letter that may have arrived goes nowhere else now");
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn early_words_are_heard_while_the_letter_is_being_written() {
    for extensions in modes() {
        for (reply, expected) in
            [("552 5.3.4 too big\r\n", "refused"), ("421 4.3.2 no\r\n", "try-later"), ("", "try-later")]
        {
            let server = Server::new(vec![with(|s| {
                s.extensions.clone_from(&extensions);
                s.gives_up = Some((1_000, reply));
            })]);
            let courier = courier_for(delivery(), &[server], 2_000);
            let mut letter = transaction(&courier, &["ann@there.example"]);
            letter.message = Bytes::from(b"0123456789abcde\r\n".repeat(30_000));
            let outcome = courier.deliver(&letter).await.remove(0);
            assert_eq!(name(&outcome), expected, "{extensions:?} {reply:?}: {outcome:?}");
            assert!(!outcome.evidence().note.contains("may have arrived"), "{outcome:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_yes_before_the_end_of_the_letter_is_not_believed() {
    let server = Server::new(vec![with(|s| s.gives_up = Some((1_000, "250 2.0.0 fine\r\n")))]);
    let courier = courier_for(delivery(), &[server], 2_000);
    let mut letter = transaction(&courier, &["ann@there.example"]);
    letter.message = Bytes::from(b"0123456789abcde\r\n".repeat(30_000));
    assert_eq!(name(&courier.deliver(&letter).await[0]), "try-later");
}

#[tokio::test(start_paused = true)]
async fn babble_is_bounded_and_decides_nothing() {
    for noise in ["hello there".to_owned(), "550-x\r\n".repeat(20_000), "250-a\r\n550 b".to_owned(), "9".repeat(90_000)]
    {
        let greeting = Server::new(vec![with(|s| s.greeting.clone_from(&noise))]);
        assert_eq!(name(&deliver_one(&courier(&[greeting])).await), "try-later");
        let rcpt = Server::new(vec![with(|s| {
            s.rcpt.insert("ann", noise.clone());
        })]);
        assert_eq!(name(&deliver_one(&courier(&[rcpt])).await), "try-later");
    }
}

#[tokio::test(start_paused = true)]
async fn greetings_speak_of_the_host_not_of_the_letter() {
    let greets = |greeting: &str| Server::new(vec![with(|s| s.greeting = greeting.into())]);
    for (greeting, expected) in
        [("554 5.7.1 listed", "try-later"), ("421 busy", "try-later"), ("521 no mail", "refused")]
    {
        assert_eq!(name(&deliver_one(&courier(&[greets(greeting)])).await), expected, "{greeting}");
        let spare = Server::new(vec![Script::default()]);
        assert_eq!(name(&deliver_one(&courier(&[greets(greeting), spare])).await), "delivered", "{greeting}");
    }
    let mixed = [greets("521 no mail"), greets("421 busy")];
    assert_eq!(name(&deliver_one(&courier(&mixed)).await), "try-later");
}

#[tokio::test(start_paused = true)]
async fn time_limits_are_kept() {
    let server = Server::new(vec![with(|s| s.stall = Some(Point::Greeting))]);
    let mut limits = delivery();
    limits.timeouts.greeting = Duration::from_secs(7);
    let courier = courier_for(limits, &[server], 1_000);
    let before = tokio::time::Instant::now();
    let outcome = deliver_one(&courier).await;
    assert_eq!(before.elapsed().as_secs(), 7);
    assert_eq!(outcome.evidence().note, "the server did not answer within 7 s");
}

#[tokio::test(start_paused = true)]
async fn nothing_listening_is_told_plainly() {
    let mut courier_dns = crate::resolver::StaticResolver::new();
    courier_dns = courier_dns.with_address("there.example", "192.0.2.9".parse().unwrap());
    let pipes = super::Pipes { servers: std::collections::HashMap::new(), capacity: 1 };
    let courier = super::Courier::of_parts(delivery(), Vec::new(), 25, Arc::new(courier_dns), Arc::new(pipes));
    let outcome = deliver_one(&courier).await;
    assert_eq!((name(&outcome), outcome.evidence().note.as_str()), ("try-later", "connection refused"));
    assert_eq!(outcome.evidence().status, (4, 4, 1));
}
