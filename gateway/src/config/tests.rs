//! The file as a whole: the example, the golden folder of bad files, laws over arbitrary text.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::redact;

fn read(text: &str) -> Result<Config, ConfigErrors> {
    parse(Path::new("f"), text, [])
}

const LEAST: &str = "hostname = \"mx1.relay.example\"\n[[listen]]\nname = \"in\"\naddr = [\"127.0.0.1:0\"]\nkind = \"submission\"\ntls = \"none\"\n[crypto]\nkek = \"env:KEK\"\n";

#[test]
fn the_example_checks_and_says_what_the_defaults_are() {
    let config = read(&example()).unwrap_or_else(|errors| panic!("{errors}"));
    let kek = SecretRef::Credential("kek".into());
    let mut defaults = Config::with_defaults("mx1.relay.example".parse().unwrap(), "/var/lib/waxseal".into(), kek);
    assert_eq!(config.listeners.len(), 3);
    defaults.source = Some("f".into());
    defaults.listeners.clone_from(&config.listeners);
    defaults.tls.clone_from(&config.tls);
    assert_eq!(config, defaults);
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.queue, Queue::default());
    assert_eq!(config.delivery, Delivery::default());
    assert_eq!(config.redaction, redact::Policy::default());
    assert_eq!(config.queue.retry.len(), 8);
    assert_eq!(config.limits.message_size, 25_000_000);
}

#[test]
fn the_example_names_every_key_and_is_valid_with_everything_switched_on() {
    let text = example();
    for section in keys::SECTIONS {
        for key in section.keys {
            assert!(text.contains(&format!("{} = {}", key.name, key.default.text())), "{}.{}", section.path, key.name);
            assert!(!key.doc.contains('\n') && !key.doc.is_empty(), "{}.{}", section.path, key.name);
        }
    }
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(rest) if rest.starts_with("[[") || rest.split(" = ").next().is_some_and(is_key) => rest,
        _ => line,
    });
    let on = lines.collect::<Vec<_>>().join("\n");
    let config = read(&on).unwrap_or_else(|errors| panic!("{errors}\n{on}"));
    assert_eq!(config.delivery.routes[0].port, 2526);
    assert_eq!(config.delivery.sites[0].rate, Some(200.0));
    assert_eq!(config.egress[0].ehlo.as_str(), "mx1.relay.example");
    assert_eq!(config.listeners[0].public_url.as_deref(), Some("https://mail.example"));
}

fn is_key(word: &str) -> bool {
    keys::SECTIONS.iter().any(|section| section.keys.iter().any(|key| key.name == word))
}

#[test]
fn the_least_file_is_short() {
    let config = read(LEAST).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.limits, Limits::default());
    assert_eq!(config.source.as_deref(), Some(Path::new("f")));
}

/// Every file of `testdata` ends with the complaints that it must get, one a line after `#! `, all of them.
#[test]
fn every_bad_file_gets_exactly_its_complaints() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/testdata");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10);
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        let expected: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("#! ")).collect();
        let found = parse(Path::new(name), &text, []).expect_err(name).to_string();
        assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{name}");
    }
}

#[test]
fn the_environment_overrides_keys_and_its_mistakes_are_named() {
    let variable = |name: &str, text: &str| (format!("WAXSEAL__{name}"), text.to_owned());
    let environment = [
        variable("HOSTNAME", "other.example"),
        variable("LIMITS__MESSAGE_SIZE", "30MB"),
        variable("LIMITS__RECIPIENTS", "200"),
        variable("QUEUE__RETRY", "[\"2m\"]"),
        variable("DELIVERY__TIMEOUTS__CONNECT", "3s"),
        variable("TLS__KEY", "file:k"),
        variable("TLS__CERTIFICATE", "file:c"),
        ("WAXSEAL_DATA_DIR".to_owned(), "not ours".to_owned()),
    ];
    let config = parse(Path::new("f"), LEAST, environment).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.hostname.as_str(), "other.example");
    assert_eq!(config.limits.message_size, 30_000_000);
    assert_eq!(config.limits.recipients, 200);
    assert_eq!(config.queue.retry, [Duration::from_mins(2)]);
    assert_eq!(config.delivery.timeouts.connect, Duration::from_secs(3));
    assert_eq!(config.tls.unwrap().key, SecretRef::File("k".into()));

    let bad =
        [variable("LIMITS__MESAGE_SIZE", "1MB"), variable("LISTEN__NAME", "x"), variable("DNS__SMTP_PORT", "many")];
    let errors = parse(Path::new("f"), LEAST, bad).unwrap_err().to_string();
    let lines: Vec<&str> = errors.lines().collect();
    assert_eq!(lines.len(), 3, "{errors}");
    assert!(lines[0].starts_with("environment:WAXSEAL__DNS__SMTP_PORT: dns.smtp_port: "), "{errors}");
    assert!(lines[1].contains("did you mean WAXSEAL__LIMITS__MESSAGE_SIZE?"), "{errors}");
    assert!(lines[2].contains("[[listen]] occurs several times"), "{errors}");
}

#[test]
fn a_secret_in_the_wrong_place_is_not_repeated() {
    let text = LEAST.replace("env:KEK", "00112233445566778899aabbccddeeff");
    let errors = read(&text).unwrap_err().to_string();
    assert!(!errors.contains("0011") && errors.contains("cred:NAME"), "{errors}");
}

#[test]
fn a_file_that_is_not_there_or_not_text_is_told_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("waxseal.toml");
    assert!(load(&path).unwrap_err().to_string().contains("waxseal.toml: cannot be read"));
    std::fs::write(&path, b"a = 1\n\xff\n").unwrap();
    assert!(load(&path).unwrap_err().to_string().contains("waxseal.toml:2:1: is not UTF-8"));
}

#[test]
fn a_key_of_ten_thousand_dots_does_no_harm() {
    let dotted = vec!["a"; 10_000].join(".");
    assert!(read(&format!("{LEAST}{dotted} = 1")).is_err());
    assert!(read(&format!("{LEAST}[{dotted}]")).is_err());
    assert!(read(&format!("x = {}", "[".repeat(10_000))).is_err());
}

fn span() -> impl Strategy<Value = String> {
    (1..=30u32, prop::sample::select(vec!["m", "h", "d"])).prop_map(|(number, unit)| format!("{number}{unit}"))
}

prop_compose! {
    fn valid()(
        host in "[a-z]{1,10}(\\.[a-z]{2,5}){1,2}",
        message in 1..200u32, memory in 200..2000u32,
        retry in prop::collection::vec(span(), 1..9),
        first in 0..=6u8, last in 0..=4u8,
        port in 1..=65_535u16,
        below in 0.0..0.5f64, above in 0.5..1.0f64,
        rate in 1..100_000u32,
        format in prop::sample::select(vec!["json", "text"]),
        route in prop::sample::select(vec!["*", "*.test", "a.test"]),
    ) -> String {
        format!(
            "hostname = \"{host}\"\n[[listen]]\nname = \"l\"\naddr = [\"127.0.0.1:{port}\"]\nkind = \"submission\"\ntls = \"none\"\n\
             [crypto]\nkek = \"file:/k\"\n[limits]\nmessage_size = \"{message}MB\"\nmemory_for_messages = \"{memory}MiB\"\n\
             [redaction]\nkeep = {{ first = {first}, last = {last} }}\n[queue]\nretry = {retry:?}\n[dns]\nsmtp_port = {port}\n\
             [spam]\npublish_below = {below:.6}\nspam_above = {above:.6}\n[log]\nformat = \"{format}\"\n\
             [[delivery.route]]\ndomain = \"{route}\"\nhost = \"127.0.0.1:{port}\"\n\
             [[delivery.site]]\nmatch_mx = [\"{route}\"]\nrate = \"{rate}/m\"\n",
        )
    }
}

proptest! {
    #[test]
    fn arbitrary_text_is_read_or_refused(text in "\\PC*") {
        let _ = read(&text);
    }

    #[test]
    fn a_damaged_example_is_read_or_refused(at in 0..4000usize, junk in "[\\[\\]{}=\"'.#a-z0-9\n-]{0,12}") {
        let mut text = example();
        let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
        text.insert_str(at, &junk);
        if let Err(errors) = read(&text) {
            prop_assert!(!errors.complaints().is_empty());
            for complaint in errors.complaints() {
                prop_assert!(!complaint.to_string().contains('\n'));
            }
        }
    }

    #[test]
    fn every_valid_file_checks(text in valid()) {
        prop_assert!(read(&text).is_ok(), "{}\n{}", read(&text).unwrap_err(), text);
    }
}
