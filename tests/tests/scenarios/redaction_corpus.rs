//! The redaction stage on mails that Python's encoders made, and on files that LibreOffice and qpdf made: read again with
//! none of our code.

use std::process::{Command, Output};

use waxseal_tests::gateway::binary;
use waxseal_tests::need::{self, Need};
use waxseal_tests::tidy::root;

fn python(arguments: &[&str]) -> Output {
    let mut command = Command::new("python3");
    command.current_dir(root()).args(arguments).arg("--binary").arg(binary());
    command.output().unwrap()
}

/// One trap a mail: `NAME.eml` is read, `NAME.expected` is what must come out, or `NAME.refused` why nothing may;
/// `NAME.txt` says what the trap is.
#[test]
fn golden_mails_come_out_as_written_down_and_only_once_changed() {
    let golden = root().join("tests/golden/redact");
    let scratch = tempfile::tempdir().unwrap();
    let (once, twice) = (scratch.path().join("once"), scratch.path().join("twice"));
    for (from, to) in [(&golden, &once), (&once, &twice)] {
        let done = Command::new(binary()).args(["redact", "--batch"]).args([from, to]).output().unwrap();
        assert!(matches!(done.status.code(), Some(0 | 5)), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let report = std::fs::read_to_string(once.join("report.jsonl")).unwrap();
    let mut count = 0;
    for entry in std::fs::read_dir(&golden).unwrap() {
        let input = entry.unwrap().path();
        if input.extension().is_none_or(|end| end != "eml") {
            continue;
        }
        count += 1;
        let name = input.file_name().unwrap();
        let note = std::fs::read_to_string(input.with_extension("txt")).unwrap();
        assert!(!note.trim().is_empty(), "{name:?} has no note");
        let Ok(expected) = std::fs::read(input.with_extension("expected")) else {
            let reason = std::fs::read_to_string(input.with_extension("refused")).unwrap();
            assert!(!once.join(name).exists() && report.contains(reason.trim()), "{name:?}: {note}");
            continue;
        };
        for folder in [&once, &twice] {
            let found = std::fs::read(folder.join(name)).unwrap();
            assert!(
                found == expected,
                "{name:?}: {note}\n{}\ninstead of\n{}",
                String::from_utf8_lossy(&found),
                String::from_utf8_lossy(&expected)
            );
        }
    }
    assert!(count >= 40, "only {count} golden mails");
}

#[test]
fn no_number_is_left_and_no_legitimate_mail_changed() {
    if !need::all(&[Need::Python]) {
        return;
    }
    let done = python(&["ops/bench/redact/accuracy.py", "--cases", "600", "--natural", "200", "--seed", "3", "--json"]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let table: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    let rows = table["rows"].as_array().unwrap();
    let sum = |tier: &str, column: &str| -> u64 {
        rows.iter().filter(|row| row["tier"] == tier).filter_map(|row| row[column].as_u64()).sum()
    };
    assert!(sum("plain", "cases") > 100 && sum("unusual", "cases") > 100 && sum("perverse", "cases") > 50);
    assert_eq!(sum("plain", "missed"), 0, "{table:#}");
    assert!(sum("unusual", "missed") * 200 <= sum("unusual", "cases"), "{table:#}");
    assert!(sum("perverse", "missed") * 20 <= sum("perverse", "cases"), "{table:#}");
    assert_eq!(sum("legitimate", "false"), 0, "{table:#}");
    assert!(sum("natural", "false") * 25 <= sum("natural", "cases"), "{table:#}");
    // A PDF stream that does not fit its old length keeps its mail from going: counted, and rare.
    assert!(sum("perverse", "refused") + sum("unusual", "refused") <= 2, "{table:#}");
    for tier in ["plain", "unusual", "perverse", "legitimate", "natural"] {
        for column in ["lost", "broken", "unstable"] {
            assert_eq!(sum(tier, column), 0, "{tier} {column}: {table:#}");
        }
    }
}

#[test]
fn office_files_and_pdfs_open_again_without_the_numbers() {
    if !need::all(&[Need::Python, Need::Office]) {
        return;
    }
    let done = python(&["ops/bench/redact/office.py"]);
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}
