use proptest::prelude::*;

use super::*;

const GOOD: &str =
    "version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n";

fn host(text: &str) -> DomainName {
    text.parse().unwrap()
}

#[test]
fn the_example_of_the_rfc_is_read_with_either_line_end() {
    for text in
        [GOOD.to_owned(), GOOD.replace("\r\n", "\n"), GOOD.trim_end().to_owned(), format!("new-field: x\n{GOOD}")]
    {
        let policy = Policy::parse(text.as_bytes()).unwrap();
        assert_eq!((policy.mode, policy.max_age), (Mode::Enforce, Duration::from_hours(168)));
        assert!(policy.allows(&host("mail.example.com")) && policy.allows(&host("a.example.net")));
    }
}

#[test]
fn a_wildcard_stands_for_exactly_one_label() {
    let policy = Policy::parse(GOOD.as_bytes()).unwrap();
    for other in ["example.net", "a.b.example.net", "mail.example.com.evil.test", "xexample.net", "b.mail.example.com"]
    {
        assert!(!policy.allows(&host(other)), "{other}");
    }
}

#[test]
fn names_are_compared_in_a_labels() {
    let policy = Policy::parse("version: STSv1\nmode: testing\nmx: bücher.example\nmax_age: 1".as_bytes()).unwrap();
    assert!(policy.allows(&host("xn--bcher-kva.example")) && policy.allows(&host("BÜCHER.example")));
}

#[test]
fn what_the_grammar_refuses_is_refused() {
    let without = |line: &str| GOOD.replace(&format!("{line}\r\n"), "");
    let cases = [
        (without("version: STSv1"), PolicyError::Version),
        (without("mode: enforce"), PolicyError::Mode),
        (GOOD.replace("enforce", "Enforce"), PolicyError::Mode),
        (without("max_age: 604800"), PolicyError::MaxAge),
        (GOOD.replace("604800", "31557601"), PolicyError::MaxAge),
        (GOOD.replace("604800", "-1"), PolicyError::MaxAge),
        (GOOD.replace("mail.example.com", "*"), PolicyError::BadMx("*".into())),
        (GOOD.replace("mail.example.com", "a..b"), PolicyError::BadMx("a..b".into())),
        (format!("{GOOD}<html>"), PolicyError::Line("<html>".into())),
        ("version: STSv1\nmode: enforce\nmax_age: 1".to_owned(), PolicyError::NoMx),
        (" ".repeat(MAX_POLICY + 1), PolicyError::NotText),
    ];
    for (text, expected) in cases {
        assert_eq!(Policy::parse(text.as_bytes()), Err(expected), "{text:.80}");
    }
    assert_eq!(Policy::parse(b"version: STSv1\nmode: none\nmax_age: 1").unwrap().mode, Mode::None);
    assert_eq!(Policy::parse(b"\xff"), Err(PolicyError::NotText));
}

#[test]
fn the_first_of_several_fields_counts() {
    let policy = Policy::parse(format!("{GOOD}mode: none\nmax_age: 1\n").as_bytes()).unwrap();
    assert_eq!((policy.mode, policy.max_age.as_secs()), (Mode::Enforce, 604_800));
}

#[test]
fn a_record_names_a_policy_only_alone_and_whole() {
    let read = |texts: &[&str]| read_record(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
    assert_eq!(read(&["v=STSv1; id=20160831085700Z;"]), Ok(Some("20160831085700Z".into())));
    assert_eq!(read(&["v=STSv1;id=a;ext=1", "v=spf1 -all"]), Ok(Some("a".into())));
    assert_eq!(read(&["v=spf1 -all", "v=STSv10; id=1", "v=STSv1"]), Ok(None));
    for bad in [&["v=STSv1; id=1;", "v=STSv1; id=1;"][..], &["v=STSv1; id="], &["v=STSv1; id=a-b"], &["v=STSv1; x=1"]] {
        assert!(read(bad).is_err(), "{bad:?}");
    }
    assert!(read(&[&format!("v=STSv1; id={}", "1".repeat(33))]).is_err());
}

proptest! {
    #[test]
    fn anything_is_read_without_a_panic_and_a_policy_reads_itself_back(text in "(?s).{0,200}") {
        let _ = read_record(std::slice::from_ref(&text));
        if let Ok(policy) = Policy::parse(text.as_bytes()) {
            prop_assert_eq!(Policy::parse(policy.lines().join("\r\n").as_bytes()), Ok(policy));
        }
    }

    #[test]
    fn every_policy_reads_itself_back(
        mode in prop_oneof![Just("enforce"), Just("testing")],
        age in 0..=MAX_AGE,
        hosts in proptest::collection::vec("(\\*\\.)?[a-z]{1,8}(\\.[a-z0-9]{1,8}){1,3}", 1..6),
    ) {
        let lines = hosts.iter().map(|host| format!("mx: {host}\n")).collect::<Vec<_>>().concat();
        let policy = Policy::parse(format!("version: STSv1\nmode: {mode}\n{lines}max_age: {age}").as_bytes()).unwrap();
        prop_assert_eq!(policy.mx.len(), hosts.len());
        prop_assert_eq!(Policy::parse(policy.lines().join("\n").as_bytes()), Ok(policy));
    }
}
