//! The repository keeps its own rules of form (`waxseal_tests::tidy` has them, each with its reason to exist).

use waxseal_tests::tidy;

#[test]
fn every_rule_holds_for_every_file() {
    let files = tidy::files(&tidy::root());
    assert!(files.len() > 20, "git lists only {} files: the rules would hold for nothing", files.len());
    let findings: Vec<String> = tidy::RULES
        .iter()
        .flat_map(|(name, rule)| {
            tidy::check(*rule, &files).into_iter().map(move |finding| format!("{name}: {finding}"))
        })
        .collect();
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}
