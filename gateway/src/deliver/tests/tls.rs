//! STARTTLS in all its ways of going wrong, for every level.

use std::sync::Arc;

use super::server::{Script, Server, StartTls};
use super::{courier_for, delivery, name, transaction, with};
use crate::config::Delivery;
use crate::deliver::Courier;
use crate::deliver::outcome::Outcome;
use crate::sign::TlsLevel;

const LEVELS: [TlsLevel; 3] = [TlsLevel::Opportunistic, TlsLevel::Require, TlsLevel::Verify];

async fn deliver_at(courier: &Courier, level: TlsLevel) -> Outcome {
    let mut letter = transaction(courier, &["ann@there.example"]);
    letter.tls = level;
    courier.deliver(&letter).await.remove(0)
}

fn trusting(pem: &str) -> (Delivery, tempfile::NamedTempFile) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pem).unwrap();
    (Delivery { ca_file: Some(file.path().to_owned()), ..delivery() }, file)
}

#[tokio::test]
async fn each_level_gets_the_tls_it_asks_for() {
    let server = Server::new(vec![with(|s| s.starttls = StartTls::Works)]);
    let (trust, _file) = trusting(&server.certify("mx1.there.example"));
    let courier = courier_for(trust, &[Arc::clone(&server)], 64 * 1024);
    for level in LEVELS {
        let outcome = deliver_at(&courier, level).await;
        assert_eq!(name(&outcome), "delivered", "{outcome:?}");
        let tls = outcome.evidence().tls.clone().expect("TLS was used");
        assert_eq!((tls.version.as_str(), tls.verified), ("TLSv1.3", level == TlsLevel::Verify));
        assert_eq!(tls.policy.text(), crate::deliver::tls_policy::level_name(level));
        assert!(tls.cipher.starts_with("TLS_"), "{}", tls.cipher);
    }
    assert_eq!(server.connections(), 3, "a link never serves another policy");
    deliver_at(&courier, TlsLevel::Verify).await;
    assert_eq!(server.connections(), 3, "but its own");
}

#[tokio::test]
async fn a_certificate_for_another_name_proves_nothing() {
    let server = Server::new(vec![with(|s| s.starttls = StartTls::Works)]);
    let (trust, _file) = trusting(&server.certify("elsewhere.example"));
    let courier = courier_for(trust, &[Arc::clone(&server)], 64 * 1024);
    let outcome = deliver_at(&courier, TlsLevel::Verify).await;
    assert_eq!(name(&outcome), "try-later");
    assert!(outcome.evidence().note.contains("does not prove the name mx1.there.example"), "{outcome:?}");
    assert!(server.commands().iter().all(|line| !line.starts_with("MAIL")));
    assert_eq!(name(&deliver_at(&courier, TlsLevel::Require).await), "delivered");
}

#[tokio::test(start_paused = true)]
async fn failed_tls_goes_in_plain_text_only_where_that_is_allowed() {
    let ways = [
        StartTls::NotOffered,
        StartTls::Answers("454 4.7.0 not now"),
        StartTls::Answers("502 5.5.1 unknown"),
        StartTls::Answers("554 5.7.1 no"),
        StartTls::HangsUp,
        StartTls::Babbles,
    ];
    for way in ways {
        for level in LEVELS {
            let server = Server::new(vec![with(|s| s.starttls = way)]);
            let (trust, _file) = trusting(&server.certify("mx1.there.example"));
            let courier = courier_for(trust, &[Arc::clone(&server)], 64 * 1024);
            let outcome = deliver_at(&courier, level).await;
            if level == TlsLevel::Opportunistic {
                assert_eq!(name(&outcome), "delivered", "{way:?}");
                assert_eq!(outcome.evidence().note.contains("plain text"), way != StartTls::NotOffered, "{outcome:?}");
                assert_eq!(outcome.evidence().tls, None);
            } else {
                assert_eq!(name(&outcome), "try-later", "{way:?} {level:?}: {outcome:?}");
                assert!(server.commands().iter().all(|line| !line.starts_with("MAIL")), "{way:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn another_host_with_tls_is_tried_before_giving_up() {
    let plain = Server::new(vec![Script::default()]);
    let secure = Server::new(vec![with(|s| s.starttls = StartTls::Works)]);
    secure.certify("mx2.there.example");
    let courier = courier_for(delivery(), &[Arc::clone(&plain), secure], 64 * 1024);
    let outcome = deliver_at(&courier, TlsLevel::Require).await;
    assert_eq!((name(&outcome), outcome.evidence().host.as_deref()), ("delivered", Some("mx2.there.example")));
    assert!(plain.taken.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn plain_text_injected_after_starttls_ends_the_connection() {
    for level in LEVELS {
        let server = Server::new(vec![with(|s| s.starttls = StartTls::Injects)]);
        let courier = courier_for(delivery(), &[Arc::clone(&server)], 64 * 1024);
        let outcome = deliver_at(&courier, level).await;
        assert_eq!(name(&outcome), "try-later");
        assert!(outcome.evidence().note.contains("injected"), "{outcome:?}");
        assert!(server.commands().iter().all(|line| !line.starts_with("MAIL")));
    }
}

#[tokio::test]
async fn requiretls_needs_proof_and_the_promise_to_keep_it() {
    let offers = |promise: bool, starttls| {
        with(|s| {
            s.starttls = starttls;
            if promise {
                s.extensions.push("REQUIRETLS");
            }
        })
    };
    let cases = [
        (true, StartTls::Works, "mx1.there.example", "delivered"),
        (false, StartTls::Works, "mx1.there.example", "refused"),
        (true, StartTls::Works, "elsewhere.example", "refused"),
        (true, StartTls::NotOffered, "mx1.there.example", "refused"),
        (true, StartTls::HangsUp, "mx1.there.example", "try-later"),
        (true, StartTls::Answers("454 4.7.0 later"), "mx1.there.example", "try-later"),
    ];
    for (promise, starttls, certified, expected) in cases {
        let server = Server::new(vec![offers(promise, starttls)]);
        let (trust, _file) = trusting(&server.certify(certified));
        let courier = courier_for(trust, &[Arc::clone(&server)], 64 * 1024);
        let mut letter = transaction(&courier, &["ann@there.example"]);
        letter.require_tls = true;
        let outcome = courier.deliver(&letter).await.remove(0);
        assert_eq!(name(&outcome), expected, "{promise} {starttls:?} {certified}: {outcome:?}");
        match outcome {
            Outcome::Refused(evidence) => assert_eq!(evidence.status, (5, 7, 30)),
            Outcome::Delivered(_) => {
                assert!(server.commands().iter().any(|line| line.starts_with("MAIL") && line.ends_with(" REQUIRETLS")));
            }
            Outcome::TryLater(_) => {}
        }
    }
}
