//! The repository keeps its own rules of form (`waxseal_tests::tidy` has them, each with its reason to exist).

use waxseal_tests::tidy;

#[test]
fn every_rule_holds_for_every_file() {
    let files = tidy::files(&tidy::root());
    assert!(files.len() > 20, "git lists only {} files: the rules would hold for nothing", files.len());
    let mut report = String::new();
    for (name, rule) in tidy::RULES {
        for finding in tidy::check(*rule, &files) {
            report.push_str(&format!("{name}: {finding}\n"));
        }
    }
    assert!(report.is_empty(), "\n{report}");
}
