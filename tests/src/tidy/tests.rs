//! Each rule bites, and leaves alone what it should.

use super::*;

fn file(path: &str, text: &str) -> File {
    File { path: path.to_owned(), text: text.to_owned(), is_test: is_test_code(path) }
}

#[track_caller]
fn bites(rule: Rule, path: &str, bad: &str, good: &str) {
    assert_ne!(rule(&file(path, bad)), Vec::<String>::new(), "the rule does not bite");
    assert_eq!(rule(&file(path, good)), Vec::<String>::new(), "the rule bites what is well");
}

#[test]
fn literals_and_comments_are_no_code() {
    let text = "let a = \"fn x() {\"; // }\nlet b = '{'; /* { /* { */ */ let c = r#\"}\"#; fn f<'a>(x: &'a u8) {}";
    let blanked = blank(text);
    assert_eq!(blanked.matches('{').count(), 1);
    assert_eq!(blanked.lines().count(), 2);
    assert_eq!(functions(text), vec![Function { name: "f".into(), line: 2, lines: 1 }]);
}

#[test]
fn tests_do_not_count_as_code() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { let x = [0; 4]; }\n}\nfn c(x: [u8; 4]) {}\n";
    assert_eq!(without_tests(text), "fn a() {}\n\nfn c(x: [u8; 4]) {}\n");
}

#[test]
fn a_module_for_tests_only_is_test_code() {
    let text = "#[cfg(test)]\nmod fake;\nmod real;\n#[cfg(test)]\nmod tests {\n}\n";
    assert_eq!(test_modules("gateway/src/admin/mod.rs", text)[0], "gateway/src/admin/fake.rs");
    assert_eq!(
        test_modules("gateway/src/admin.rs", text),
        ["gateway/src/fake.rs", "gateway/src/admin/fake.rs", "gateway/src/fake/mod.rs"]
    );
}

#[test]
fn long_files_and_functions_are_found() {
    let long = "// a line\n".repeat(FILE_LINES + 1);
    bites(files_are_short, "gateway/src/a.rs", &long, "// short\n");
    let body = "    let _ = 1;\n".repeat(FUNCTION_LINES);
    bites(functions_are_short, "gateway/src/a.rs", &format!("fn a() {{\n{body}}}\n"), "fn a() {\n}\n");
    let tested = format!("fn a() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert!(files_are_short(&file("gateway/src/a.rs", &tested)).is_empty());
}

#[test]
fn modules_open_with_what_they_promise() {
    bites(modules_have_docs, "gateway/src/a.rs", "use std::io;\n", "//! Promises.\nuse std::io;\n");
    bites(modules_have_docs, "tests/tests/scenarios/a.rs", "use std::io;\n", "//! Promises.\n");
}

#[test]
fn unwrap_and_the_systems_time_are_found_outside_tests_only() {
    let good = "//! Says `.unwrap()`.\n#[cfg(test)]\nmod tests { fn t() { x.unwrap(); SystemTime::now(); } }\n";
    bites(no_unwrap, "gateway/src/a.rs", "fn a() { x.unwrap(); }", good);
    bites(time_comes_from_the_clock, "gateway/src/a.rs", "let now = std::time::SystemTime::now();", good);
    assert!(time_comes_from_the_clock(&file("gateway/src/clock.rs", "SystemTime::now()")).is_empty());
}

#[test]
fn arrows_between_crates_and_rooms_are_held() {
    bites(
        crate_arrows,
        "keys/Cargo.toml",
        "[dependencies]\nwaxseal.workspace = true\n",
        "[dependencies]\nrsa = \"1\"\n",
    );
    bites(crate_arrows, "tests/Cargo.toml", "waxseal = { path = \"../gateway\" }\n", "name = \"waxseal-tests\"\n");
    assert_eq!(crate_arrows(&file("somewhere/Cargo.toml", "[package]\n")).len(), 1);
    bites(ground_floor, "gateway/src/message/a.rs", "use crate::smtp::Session;", "use crate::ids::LetterId;");
    bites(ground_floor, "gateway/src/clock.rs", "use crate::ids::LetterId;", "//! See crate::ids.\n");
}

#[test]
fn strangers_at_the_top_level_are_found() {
    assert_eq!(top_level(&file("notes.txt", "")).len(), 1);
    assert_eq!(top_level(&file("scripts/a", "")).len(), 1);
    assert!(top_level(&file("gateway/src/lib.rs", "")).is_empty());
}

#[test]
fn words_of_undone_work_are_found() {
    let undone = concat!("// TO", "DO: later\n");
    bites(nothing_left_undone, "gateway/src/a.rs", undone, "// Done.\n");
    bites(nothing_left_undone, "ops/ci/test", concat!("# FIX", "ME\n"), "# fine\n");
    bites(nothing_left_undone, "gateway/src/a.rs", concat!("fn a() { to", "do!() }"), "fn a() {}");
}

#[test]
fn hosts_in_lock_files_are_found() {
    let npm = "\"resolved\": \"https://host.example/a.tgz\"\n";
    bites(lock_files_name_no_hosts, "gateway/web/package-lock.json", npm, "\"integrity\": \"sha512-x\"\n");
    let git = "source = \"git+https://host.example/a\"\n";
    let index = "source = \"registry+https://index.example/\"\n";
    bites(lock_files_name_no_hosts, "Cargo.lock", git, index);
}

#[test]
fn paths_of_one_machine_are_found() {
    bites(no_machine_paths, "README.md", concat!("see /ho", "me/someone/x\n"), "see ops/ci/test\n");
}

#[test]
fn loose_scripts_are_found() {
    bites(scripts_are_strict, "ops/a", "#!/usr/bin/env bash\necho\n", "#!/usr/bin/env bash\nset -euo pipefail\n");
    assert!(scripts_are_strict(&file("ops/a", "#!/usr/bin/env python3\n")).is_empty());
}
