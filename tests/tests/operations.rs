//! What operators are given fits the program: alerts and dashboard name metrics that exist, runbooks are there.

use std::collections::BTreeSet;

use waxseal_tests::tidy;

fn read(path: &str) -> String {
    std::fs::read_to_string(tidy::root().join(path)).unwrap_or_else(|problem| panic!("{path}: {problem}"))
}

/// Every `waxseal_…` in a text, without the suffixes that histograms add.
fn metrics(text: &str) -> BTreeSet<String> {
    let words =
        text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("waxseal_"));
    let bare = |word: &str| {
        ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    };
    words.map(bare).collect()
}

#[test]
fn alerts_and_dashboard_name_metrics_that_exist() {
    let files = tidy::files(&tidy::root());
    let sources = files.iter().filter(|file| file.path.starts_with("gateway/src/")).map(|file| file.text.as_str());
    let known = metrics(&sources.collect::<String>());
    for path in ["ops/alerts.yml", "ops/grafana/waxseal.json"] {
        let used = metrics(&read(path));
        assert!(used.len() > 5, "{path} names only {used:?}");
        let unknown: Vec<&String> = used.difference(&known).collect();
        assert!(unknown.is_empty(), "{path} names metrics that the gateway does not have: {unknown:?}");
    }
}

#[test]
fn every_alert_has_its_runbook_and_every_runbook_its_alert() {
    let alerts = read("ops/alerts.yml");
    let named: BTreeSet<String> =
        alerts.lines().filter_map(|line| line.trim().strip_prefix("runbook: ")).map(str::to_owned).collect();
    let count = |word: &str| alerts.lines().filter(|line| line.trim_start().starts_with(word)).count();
    assert_eq!(count("- alert:"), count("runbook:"));
    let there: BTreeSet<String> = tidy::files(&tidy::root())
        .into_iter()
        .map(|file| file.path)
        .filter(|path| path.starts_with("ops/runbooks/"))
        .collect();
    assert_eq!(named, there);
}
