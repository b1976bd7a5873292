use super::*;
use crate::deliver::tls_report::FailureKind;
use crate::store::ledger::MemoryLedger;

fn policy(kind: PolicyKind) -> ReportedPolicy {
    ReportedPolicy { kind, domain: "there.example".into(), text: Vec::new(), mx: Vec::new() }
}

#[allow(clippy::unnecessary_wraps)] // stands where a session's failure does
fn failed(reason: &str) -> Option<FailedSession> {
    let failure = TlsFailure::new(FailureKind::CertificateExpired, reason.to_owned());
    Some(FailedSession { failure, host: Some("mx.there.example".into()), address: None, source: None })
}

fn noon() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-24T12:00:00Z").unwrap()
}

#[test]
fn sessions_are_counted_by_policy_and_failure_and_outlive_a_restart() {
    let ledger = Arc::new(MemoryLedger::default());
    let domain: DomainName = "there.example".parse().unwrap();
    let book = Book::open(ledger.clone());
    for _ in 0..3 {
        book.count(noon(), &domain, policy(PolicyKind::Sts), None);
        book.count(noon(), &domain, policy(PolicyKind::Sts), failed("old"));
    }
    book.count(noon(), &domain, policy(PolicyKind::Tlsa), failed("older"));
    book.save();
    let book = Book::open(ledger.clone());
    assert!(book.due(noon()).is_empty(), "the day is not over");
    let due = book.due(noon() + DAY);
    let (day, found, page) = &due[0];
    assert_eq!((due.len(), found, day.begins().to_rfc3339().as_str()), (1, &domain, "2026-11-24T00:00:00.000Z"));
    let counts: Vec<_> =
        page.policies.iter().map(|(policy, counts)| (policy.kind, counts.good, counts.failed)).collect();
    assert_eq!(counts, [(PolicyKind::Sts, 3, 3), (PolicyKind::Tlsa, 0, 1)]);
    assert_eq!(page.policies[0].1.failures, [(failed("old").unwrap(), 3)]);
    book.settle(*day, &domain, None);
    book.save();
    assert!(Book::open(ledger).due(noon() + DAY * 2).is_empty());
}

#[test]
fn a_page_is_bounded_and_counts_on() {
    let mut page = Page::default();
    for n in 0..MAX_FAILURES * 2 {
        page.count(policy(PolicyKind::Sts), failed(&format!("{n}{}", "x".repeat(MAX_REASON * 2))));
    }
    let counts = &page.policies[0].1;
    assert_eq!((counts.failures.len(), counts.failed), (MAX_FAILURES, 200));
    assert_eq!(counts.failures[0].0.failure.reason.len(), MAX_REASON);
}

#[test]
fn reports_are_spread_over_four_hours() {
    for name in ["a.example", "b.example", "there.example"] {
        assert!(spread(&name.parse().unwrap()) < Duration::from_hours(4));
    }
}

#[test]
fn a_dead_address_rests_longer_each_time_until_it_works() {
    let ledger = Arc::new(MemoryLedger::default());
    let dead = DeadAddresses::open(ledger.clone());
    let to = "mailto:a@there.example";
    assert!(dead.allows(to, noon()));
    dead.failed(to, noon());
    assert!(!dead.allows(to, noon() + Duration::from_hours(23)) && dead.allows(to, noon() + DAY));
    dead.failed(to, noon() + DAY);
    assert!(!dead.allows(to, noon() + DAY * 2));
    for _ in 0..20 {
        dead.failed(to, noon());
    }
    assert!(dead.allows(to, noon() + LONGEST_REST));
    assert!(!DeadAddresses::open(ledger.clone()).allows(to, noon() + DAY), "forgotten at a restart");
    dead.works(to);
    assert!(dead.allows(to, noon()));
}
