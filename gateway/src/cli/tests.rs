//! The command line as a whole: its shape, its help, its statuses.

use std::path::Path;
use std::sync::Arc;

use clap::{CommandFactory, Parser};

use super::*;
use crate::admin::fake::Fake;

fn verbs(command: &clap::Command, path: &str, found: &mut Vec<(String, clap::Command)>) {
    let path = format!("{path} {}", command.get_name()).trim().to_owned();
    if command.get_subcommands().next().is_none() {
        found.push((path, command.clone()));
        return;
    }
    for inner in command.get_subcommands() {
        verbs(inner, &path, found);
    }
}

#[test]
fn the_definition_is_sound_and_every_verb_has_help_with_an_example() {
    Cli::command().debug_assert();
    let mut found = Vec::new();
    verbs(&Cli::command(), "", &mut found);
    assert!(found.len() >= 35, "{}", found.len());
    for (path, mut command) in found {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Example"), "{path}\n{help}");
        assert!(help.contains(&path), "the example of {path} is of another verb:\n{help}");
        assert!(command.get_about().is_some(), "{path}");
    }
}

#[test]
fn every_example_parses() {
    let mut found = Vec::new();
    verbs(&Cli::command(), "", &mut found);
    for (path, command) in found {
        let help = command.get_after_help().unwrap().to_string();
        for line in help.lines().filter_map(|line| line.trim().strip_prefix("waxseal ")) {
            let line = line.split(['|', '>', '<']).next().unwrap();
            let words: Vec<String> = std::iter::once("waxseal".to_owned()).chain(split(line)).collect();
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{path}: {error}");
            }
        }
    }
}

/// Words as a shell has them, quotes taken off.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, piece) in line.split('"').enumerate() {
        if at % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn every_list_has_json_and_limit_and_every_destructive_verb_asks() {
    let mut found = Vec::new();
    verbs(&Cli::command(), "", &mut found);
    let has = |command: &clap::Command, name: &str| command.get_arguments().any(|arg| arg.get_long() == Some(name));
    for (path, command) in &found {
        if path.ends_with(" list") {
            assert!(has(command, "json") && has(command, "limit"), "{path}");
            assert!(has(command, "tenant") || path.contains("dkim"), "{path}");
        }
        if ["remove", "revoke", "retire", "bounce", "drop"].iter().any(|verb| path.ends_with(verb)) {
            assert!(has(command, "dry-run") && has(command, "yes"), "{path}");
        }
    }
}

#[test]
fn without_a_gateway_the_message_says_how_to_start_one() {
    let dir = tempfile::tempdir().unwrap();
    let words = ["waxseal", "queue", "list", "--data-dir", dir.path().to_str().unwrap()];
    let error = run(Cli::try_parse_from(words).unwrap()).unwrap_err();
    assert_eq!(error.exit, Exit::RunTime);
    assert!(error.message.contains("no gateway answers at") && error.message.contains("waxseal serve --config"));
}

#[test]
fn the_data_folder_is_found_by_the_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("waxseal.toml");
    std::fs::write(&config, "hostname = 5").unwrap();
    let words = ["waxseal", "queue", "list", "--config", config.to_str().unwrap()];
    let error = run(Cli::try_parse_from(words).unwrap()).unwrap_err();
    assert_eq!(error.exit, Exit::Usage);
    assert!(error.message.contains("waxseal.toml:1:12: hostname"), "{}", error.message);

    let data = dir.path().join("data");
    let text = crate::config::example().replace("/var/lib/waxseal", data.to_str().unwrap());
    std::fs::write(&config, text).unwrap();
    let error = run(Cli::try_parse_from(words).unwrap()).unwrap_err();
    assert!(error.message.contains(data.join("control.sock").to_str().unwrap()), "{}", error.message);
}

#[test]
fn an_action_on_nothing_in_particular_is_refused_before_it_is_sent() {
    for verb in ["retry", "hold", "release", "bounce", "drop"] {
        assert!(Cli::try_parse_from(["waxseal", "queue", verb, "not-an-id"]).is_err());
        assert!(Cli::try_parse_from(["waxseal", "queue", verb, "--all", "--yes", "--dry-run"]).is_err());
    }
}

#[test]
fn a_table_is_aligned_and_harmless() {
    let rows = [["a".to_owned(), "1".to_owned()], ["long\u{1b}[2J".to_owned(), "22".to_owned()]];
    let table = print::table(["NAME", "N"], rows.into_iter());
    assert_eq!(table, "NAME      N\na         1\nlong [2J  22\n");
}

/// Runs a command on the gateway in `dir`; the status that the process would end with.
fn status(dir: &Path, words: &str) -> u8 {
    let words = split(words).into_iter().chain(["--data-dir".to_owned(), dir.to_str().unwrap().to_owned()]);
    let parsed = Cli::try_parse_from(std::iter::once("waxseal".to_owned()).chain(words)).unwrap();
    run(parsed).map_or_else(|error| error.exit as u8, |()| 0)
}

#[test]
fn verbs_reach_the_gateway_and_end_with_their_status() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::with_letters(2));
    let stop = fake.serve_in(dir.path());
    let id = fake.letters[0].id;
    for (words, expected) in [
        ("health", 0),
        ("drain --timeout 1s", 0),
        ("reload --json", 0),
        ("store check", 0),
        ("tenant list", 0),
        ("tenant show acme", 0),
        ("tenant show nobody", 4),
        ("tenant add acme", 5),
        ("tenant add two --json", 0),
        ("tenant remove acme", 2),
        ("tenant remove acme --dry-run", 0),
        ("credential new --tenant acme --cidr 192.0.2.1 --expires 90d --json", 0),
        ("credential list", 0),
        ("credential revoke acme-1", 2),
        ("credential revoke nobody --yes", 4),
        ("domain add other.example --tenant acme", 0),
        ("domain add other.example --tenant acme --vouch --json", 0),
        ("domain records acme.example --format bind", 0),
        ("domain remove acme.example --yes", 0),
        ("dkim list acme.example --json", 0),
        ("dkim generate acme.example --algorithm ed25519", 0),
        ("dkim activate acme.example s1", 5),
        ("dkim activate acme.example s1 --even-if-unpublished", 0),
        ("dkim rotate acme.example", 0),
        ("dkim rotate acme.example --now --reason stolen --dry-run", 0),
        ("dkim rotate acme.example --now --reason stolen", 0),
        ("dkim retire acme.example s9 --yes", 4),
        ("dkim revoke acme.example s1", 2),
        ("queue list --json --limit 1", 0),
        ("queue list --tenant nobody", 4),
        ("queue shape", 0),
        ("queue bounce --all", 2),
        ("queue drop", 2),
        ("queue retry 01JDB7Q2RZ8W1Y5M3T9K6N4P0A", 4),
        ("kek rotate --new file:/run/waxseal/kek-2027 --json", 0),
        ("kek rotate --new file:/run/waxseal/kek-2027 --dry-run", 0),
        ("kek rotate", 2),
        ("route explain jane@example.com", 0),
    ] {
        assert_eq!(status(dir.path(), words), expected, "{words}");
    }
    assert_eq!(status(dir.path(), &format!("queue show {id}")), 0);
    assert_eq!(status(dir.path(), &format!("queue why {id} --json")), 0);
    let asked = fake.asked.lock().unwrap().clone();
    for never in ["Drop", "Bounce", "remove tenant", "revoke", "retire"] {
        assert!(!asked.iter().any(|what| what.starts_with(never)), "{never} without consent: {asked:?}");
    }
    fake.asked.lock().unwrap().clear();
    assert_eq!(status(dir.path(), "queue drop --domain example.com --reason \"test mail\" --yes"), 0);
    assert_eq!(status(dir.path(), &format!("queue retry {id}")), 0);
    assert_eq!(status(dir.path(), "dkim revoke acme.example s1 --yes"), 0);
    let by = control::invoker();
    let expected = [format!("Drop by {by}: test mail"), format!("Retry by {by}: "), "revoke s1".to_owned()];
    assert_eq!(*fake.asked.lock().unwrap(), expected);
    drop(stop);
}

#[test]
fn a_file_of_tenants_is_applied_and_pruning_asks() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake::default());
    let _stop = fake.serve_in(dir.path());
    let file = dir.path().join("tenants.toml");
    std::fs::write(&file, "[[tenant]]\nname = \"two\"\ndomains = [\"two.example\"]\npolicy = { subdomains = true }\n")
        .unwrap();
    let apply = |more: &str| status(dir.path(), &format!("tenant apply -f {} {more}", file.display()));
    assert_eq!((apply("--dry-run"), apply("--prune")), (0, 2));
    assert!(fake.asked.lock().unwrap().is_empty());
    assert_eq!((apply("--json"), apply("--prune --yes")), (0, 0));
    assert_eq!(*fake.asked.lock().unwrap(), ["apply 1 prune=false", "apply 1 prune=true"]);
    std::fs::write(&file, "[[tenant]]\nnam = \"two\"\n").unwrap();
    assert_eq!(apply(""), 2);
}

#[test]
fn an_unwell_gateway_is_told_by_status() {
    let dir = tempfile::tempdir().unwrap();
    let fake = Arc::new(Fake { sick: Some("disk short".into()), damaged: true, ..Fake::default() });
    let _stop = fake.serve_in(dir.path());
    let statuses = ["health", "store check", "reload", "drain"].map(|words| status(dir.path(), words));
    assert_eq!(statuses, [3, 3, 2, 1]);
}
