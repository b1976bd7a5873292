//! The command line without a gateway: checks, tools, and what it says to wrong input.

use std::io::Write;
use std::process::{Command, Stdio};

use waxseal_tests::gateway::binary;
use waxseal_tests::setup::Setup;

use crate::world::mail;

struct Ran {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

fn run(arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = Command::new(binary())
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that refuses its arguments does not read its input.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{arguments:?}: {stderr}");
    Ran { code: output.status.code().unwrap_or(-1), stdout: output.stdout, stderr }
}

#[test]
fn the_example_configuration_passes_its_own_check() {
    let folder = tempfile::tempdir().unwrap();
    let example = run(&["config", "example"], b"");
    assert_eq!(example.code, 0, "{}", example.stderr);
    let text = String::from_utf8(example.stdout).unwrap();
    for key in ["hostname", "data_dir", "[[listen]]", "reserve_free", "ca_file", "smtp_port"] {
        assert!(text.contains(key), "{key} is not in the example");
    }
    let path = folder.path().join("example.toml");
    std::fs::write(&path, &text).unwrap();
    let checked = run(&["config", "check", "--config", &path.display().to_string()], b"");
    // The example names certificates and secrets that are not here; nothing else may be wrong with it.
    assert!(
        checked.code == 0
            || checked.stderr.contains("cred:")
            || checked.stderr.contains("file:")
            || checked.stderr.contains("/etc/"),
        "{}",
        checked.stderr
    );
}

#[test]
fn every_mistake_of_a_configuration_is_named_with_its_place_at_once() {
    let gateway = Setup::new().prepare();
    let path = gateway.config();
    let good = std::fs::read_to_string(&path).unwrap();
    assert_eq!(gateway.cli(&["config", "check"]).code, 0);
    let bad = good.replace("[queue]", "[queue]\nexpire_aftre = \"5d\"").replace("\"1MB\"", "\"1XB\"");
    std::fs::write(&path, bad).unwrap();
    let ran = gateway.cli(&["config", "check"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("did you mean") && ran.stderr.contains("expire_after"), "{ran:?}");
    assert!(ran.stderr.contains("1XB"), "both mistakes at once: {ran:?}");
    let places = ran.stderr.lines().filter(|line| line.contains("waxseal.toml:")).count();
    assert!(places >= 2, "file:line:column of each: {ran:?}");
    assert_eq!(gateway.cli(&["serve"]).code, 2, "a gateway does not start with a configuration that does not pass");
}

#[test]
fn a_listener_without_tls_is_for_loopback_only() {
    let gateway = Setup::new().prepare();
    let text = std::fs::read_to_string(gateway.config()).unwrap();
    std::fs::write(gateway.config(), text.replacen("addr = [\"127.0.0.1:", "addr = [\"0.0.0.0:", 1)).unwrap();
    let ran = gateway.cli(&["config", "check"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("loopback"), "{ran:?}");
}

#[test]
fn commands_that_need_a_gateway_say_so_when_there_is_none() {
    let gateway = Setup::new().prepare();
    for words in [&["tenant", "list"][..], &["queue", "list"], &["credential", "list"], &["health"]] {
        let ran = gateway.cli(words);
        assert_eq!(ran.code, 1, "{words:?}: {ran:?}");
        assert!(!ran.stderr.is_empty() && !ran.stderr.contains("panicked"), "{words:?}: {ran:?}");
    }
}

#[test]
fn wrong_words_end_with_usage_and_never_with_a_panic() {
    let wrong: &[&[&str]] = &[
        &[],
        &["nonsense"],
        &["tenant"],
        &["tenant", "add"],
        &["tenant", "add", "a", "b"],
        &["queue", "show"],
        &["queue", "show", "not-an-id", "--config", "missing.toml"],
        &["domain", "records"],
        &["domain", "records", "x", "--format", "nonsense", "--config", "missing.toml"],
        &["dkim", "generate", "x", "--algorithm", "rot13"],
        &["serve"],
        &["serve", "--config", "missing.toml"],
        &["config", "check", "--config", "missing.toml"],
        &["credential", "new", "--tenant"],
        &["drain", "--timeout", "soon"],
        &["--nonsense"],
    ];
    for words in wrong {
        let ran = run(words, b"");
        assert!(
            ran.code == 2 || (ran.code == 1 && words.contains(&"--config")),
            "{words:?}: {} {}",
            ran.code,
            ran.stderr
        );
        assert!(!ran.stderr.is_empty(), "{words:?} says nothing");
    }
}

#[test]
fn wrong_input_of_verbs_on_a_running_gateway_is_refused_with_a_reason() {
    let world = crate::world::world();
    let cases: &[(&[&str], i32)] = &[
        (&["tenant", "add", "Not A Name!"], 2),
        (&["tenant", "add", "acme"], 5),
        (&["tenant", "show", "nobody"], 4),
        (&["domain", "add", "not a domain", "--tenant", "acme"], 2),
        (&["domain", "add", "example.com", "--tenant", "acme"], 5),
        (&["domain", "add", "x.example", "--tenant", "nobody"], 4),
        (&["domain", "records", "unknown.example", "--format", "json"], 4),
        (&["credential", "new", "--tenant", "nobody"], 4),
        (&["credential", "new", "--tenant", "acme", "--cidr", "300.0.0.0/8"], 2),
        (&["credential", "revoke", "nobody", "--yes"], 4),
        (&["dkim", "activate", "example.com", "no-such-selector"], 4),
        (&["queue", "why", "01ARZ3NDEKTSV4RRFFQ69G5FAV"], 4),
    ];
    for (words, code) in cases {
        let ran = world.gateway.cli(words);
        // Whether a name that is taken is wrong usage or refused by policy is a matter of taste; that it fails is not.
        let accepted = ran.code == *code || (matches!(code, 2 | 5) && matches!(ran.code, 1 | 2 | 5));
        assert!(accepted, "{words:?}: {ran:?}");
        assert!(!ran.stderr.is_empty() && !ran.stderr.contains("panicked"), "{words:?}: {ran:?}");
    }
    world.submit(&["someone@rcpt.test"], &mail("still well"));
    world.arrived(1);
}

#[test]
fn redact_reads_a_message_and_writes_it_without_numbers() {
    let message = String::from_utf8(mail("card")).unwrap().replace("Hello.", "Card 4929123412341232 here");
    let ran = run(&["redact"], message.as_bytes());
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(text.contains("Card ************1232 here"), "{text}");
    assert_eq!(text.len(), message.len(), "masks have the length of what they hide");
    let again = run(&["redact"], text.as_bytes());
    assert_eq!(String::from_utf8(again.stdout).unwrap(), text, "a second pass changes nothing");
}

#[test]
fn redact_does_a_folder_and_reports_without_digits() {
    let folder = tempfile::tempdir().unwrap();
    let (inbox, out) = (folder.path().join("in"), folder.path().join("out"));
    std::fs::create_dir_all(&inbox).unwrap();
    std::fs::write(inbox.join("clean.eml"), mail("clean")).unwrap();
    let card = String::from_utf8(mail("card")).unwrap().replace("Hello.", "4929-1234-1234-1232");
    std::fs::write(inbox.join("card.eml"), card).unwrap();
    let ran = run(&["redact", "--batch", &inbox.display().to_string(), &out.display().to_string()], b"");
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(std::fs::read(out.join("clean.eml")).unwrap(), mail("clean"), "an untouched mail is byte-identical");
    let report = std::fs::read_to_string(out.join("report.jsonl")).unwrap();
    assert!(report.lines().count() == 2 && !report.contains("4929"), "{report}");
}
