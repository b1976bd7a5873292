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
