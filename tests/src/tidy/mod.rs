//! The repository's own rules of form, as functions from a file to what is wrong with it.
//!
//! Rules that a compiler or clippy can hold are not here. Each rule has a test that shows it bite; the test
//! `tidy` of this crate runs them over every file that git tracks.

mod source;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use source::{Function, blank, functions, without_tests};

/// Lines of a Rust file without its inline tests.
pub const FILE_LINES: usize = 450;
/// Lines of a function.
pub const FUNCTION_LINES: usize = 80;
/// Files that may be longer for now, up to what they are: each with what is to be done about it.
const LONGER_FILES: &[(&str, usize)] = &[];
/// Functions that are tables: a row a line, nothing to split.
const TABLES: &[(&str, &str)] = &[("gateway/src/redact/chars.rs", "of")];

/// The top level of the repository (DESIGN §3) and the usual project files.
const TOP_LEVEL: &[&str] = &[
    ".ci",
    ".config",
    ".gitattributes",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "DECISIONS.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "SECURITY.md",
    "clippy.toml",
    "deny.toml",
    "dns-records",
    "gateway",
    "keys",
    "ops",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "spam-models",
    "tests",
];

/// Which crates of ours each may name in its manifest.
const ARROWS: &[(&str, &[&str])] = &[
    ("gateway", &["waxseal-keys", "waxseal-dns", "waxseal-spam"]),
    ("keys", &[]),
    ("dns-records", &[]),
    ("spam-models", &[]),
    ("tests", &[]),
    ("tests/fuzz", &["waxseal", "waxseal-keys", "waxseal-dns", "waxseal-spam"]),
];

/// Rooms of the gateway at the bottom of the house, and what alone they may use of it.
const GROUND_FLOOR: &[(&str, &[&str])] = &[
    ("gateway/src/chance.rs", &[]),
    ("gateway/src/clock.rs", &[]),
    ("gateway/src/fault.rs", &[]),
    ("gateway/src/ids.rs", &["chance", "clock"]),
    ("gateway/src/message/", &["message", "ids", "clock", "fault"]),
];

/// A tracked file.
#[derive(Debug)]
pub struct File {
    /// Its path from the repository's root, with `/`.
    pub path: String,
    /// Its text; files that are not UTF-8 are not listed.
    pub text: String,
    /// Is the whole file test code: by its place, its name, or a `#[cfg(test)]` before its `mod`?
    pub is_test: bool,
}

/// The root of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}

/// Every file that git tracks or would track, with its text.
pub fn files(root: &Path) -> Vec<File> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
        .unwrap_or_default();
    let read = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(File { path: path.to_owned(), text, is_test: is_test_code(path) })
    };
    let mut files: Vec<File> = listed.lines().filter_map(read).collect();
    let modules: HashSet<String> = files.iter().flat_map(|file| test_modules(&file.path, &file.text)).collect();
    let inside = |path: &str| modules.iter().any(|module| module.ends_with("/mod.rs") && in_folder_of(path, module));
    for file in &mut files {
        file.is_test |= modules.contains(&file.path) || inside(&file.path);
    }
    files
}

/// The files that `#[cfg(test)] mod name;` in a Rust file may stand for.
fn test_modules(path: &str, text: &str) -> Vec<String> {
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let inside = path.strip_suffix(".rs").unwrap_or(path);
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let names = lines.windows(2).filter(|pair| pair[0] == "#[cfg(test)]").filter_map(|pair| {
        pair[1].trim_start_matches("pub ").trim_start_matches("pub(crate) ").strip_prefix("mod ")?.strip_suffix(';')
    });
    let forms =
        |name| [format!("{folder}/{name}.rs"), format!("{inside}/{name}.rs"), format!("{folder}/{name}/mod.rs")];
    names.flat_map(forms).collect()
}

/// Is `path` in the folder whose `mod.rs` is `module`?
fn in_folder_of(path: &str, module: &str) -> bool {
    module.strip_suffix("mod.rs").is_some_and(|folder| path.starts_with(folder))
}

/// A rule: what is wrong with one file, a line each; nothing if all is well.
pub type Rule = fn(&File) -> Vec<String>;

/// All rules, by name.
pub const RULES: &[(&str, Rule)] = &[
    ("files are short", files_are_short),
    ("functions are short", functions_are_short),
    ("modules say what they promise", modules_have_docs),
    ("no unwrap outside tests", no_unwrap),
    ("time comes from the clock", time_comes_from_the_clock),
    ("crates know only whom they may", crate_arrows),
    ("the ground floor knows nobody above", ground_floor),
    ("the top level is the house's plan", top_level),
    ("nothing is left undone", nothing_left_undone),
    ("lock files name no hosts", lock_files_name_no_hosts),
    ("no path of somebody's machine", no_machine_paths),
    ("shell scripts are strict", scripts_are_strict),
];

/// Runs one rule over all files.
pub fn check(rule: Rule, files: &[File]) -> Vec<String> {
    files.iter().flat_map(|file| rule(file).into_iter().map(|what| format!("{}: {what}", file.path))).collect()
}

fn is_rust(file: &File) -> bool {
    Path::new(&file.path).extension().is_some_and(|extension| extension == "rs")
}

/// Is the whole file test code?
fn is_test_code(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.ends_with("/tests.rs") || path.ends_with("_tests.rs")
}

/// Files that a program wrote or that are data, where words and paths are not ours to choose.
fn is_data(path: &str) -> bool {
    let kinds = [".eml", ".pem", ".der", ".json", ".jsonl", ".lock", ".bin", ".gz"];
    kinds.iter().any(|kind| path.ends_with(kind))
}

fn files_are_short(file: &File) -> Vec<String> {
    if !is_rust(file) || (file.is_test && !file.path.starts_with("tests/src")) {
        return Vec::new();
    }
    let lines = without_tests(&file.text).lines().count();
    let known = LONGER_FILES.iter().find(|(path, _)| *path == file.path);
    if lines > known.map_or(FILE_LINES, |(_, most)| *most) {
        vec![format!("{lines} lines without tests, at most {FILE_LINES}")]
    } else {
        Vec::new()
    }
}

fn functions_are_short(file: &File) -> Vec<String> {
    if !is_rust(file) {
        return Vec::new();
    }
    functions(&file.text)
        .into_iter()
        .filter(|function| function.lines > FUNCTION_LINES)
        .filter(|function| !TABLES.iter().any(|(path, name)| *path == file.path && *name == function.name))
        .map(|Function { name, line, lines }| format!("{line}: fn {name} has {lines} lines, at most {FUNCTION_LINES}"))
        .collect()
}

fn modules_have_docs(file: &File) -> Vec<String> {
    // A file of tests is named for what it tests; its first line tells nothing more.
    if !is_rust(file) || file.text.starts_with("//!") || file.is_test && !file.path.starts_with("tests/") {
        return Vec::new();
    }
    vec!["1: does not open with //!".to_owned()]
}

fn no_unwrap(file: &File) -> Vec<String> {
    if !is_rust(file) || file.is_test {
        return Vec::new();
    }
    lines_with(&blank(&without_tests(&file.text)), &[".unwrap()", ".unwrap_err()"])
}

fn time_comes_from_the_clock(file: &File) -> Vec<String> {
    if !is_rust(file) || file.is_test || file.path == "gateway/src/clock.rs" {
        return Vec::new();
    }
    lines_with(&blank(&without_tests(&file.text)), &["SystemTime::now", "jiff::Timestamp::now", "Zoned::now"])
}

fn crate_arrows(file: &File) -> Vec<String> {
    let Some(folder) = file.path.strip_suffix("/Cargo.toml") else { return Vec::new() };
    let Some((_, allowed)) = ARROWS.iter().find(|(of, _)| *of == folder) else {
        return vec![format!("the crate in {folder} is not on the plan")];
    };
    let named = file.text.lines().enumerate().filter_map(|(at, line)| {
        let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
        let is_ours = name == "waxseal" || name.starts_with("waxseal-");
        (is_ours && !allowed.contains(&name)).then(|| format!("{}: may not depend on {name}", at + 1))
    });
    named.collect()
}

fn ground_floor(file: &File) -> Vec<String> {
    let Some((_, allowed)) = GROUND_FLOOR.iter().find(|(of, _)| file.path.starts_with(of)) else { return Vec::new() };
    let text = blank(&without_tests(&file.text));
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        for path in line.split("crate::").skip(1) {
            let room: String = path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if !allowed.contains(&room.as_str()) {
                found.push(format!("{}: uses crate::{room}", at + 1));
            }
        }
    }
    found
}

fn top_level(file: &File) -> Vec<String> {
    let first = file.path.split('/').next().unwrap_or_default();
    if TOP_LEVEL.contains(&first) { Vec::new() } else { vec![format!("{first} has no place at the top level")] }
}

fn nothing_left_undone(file: &File) -> Vec<String> {
    if is_data(&file.path) {
        return Vec::new();
    }
    // In pieces, so that this file does not find itself.
    let words = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("XX", "X:"),
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
    ];
    lines_with(&file.text, &words)
}

fn lock_files_name_no_hosts(file: &File) -> Vec<String> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let lines = || file.text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    match name {
        "Cargo.lock" => lines()
            .filter(|(_, line)| {
                line.starts_with("source = ") && !line.contains("\"registry+") || line.contains("sparse+")
            })
            .map(|(at, line)| format!("{at}: {line}"))
            .collect(),
        "package-lock.json" | "yarn.lock" | "npm-shrinkwrap.json" => lines()
            .filter(|(_, line)| line.contains("\"resolved\"") || line.starts_with("resolved "))
            .map(|(at, line)| format!("{at}: {line}"))
            .collect(),
        _ => Vec::new(),
    }
}

fn no_machine_paths(file: &File) -> Vec<String> {
    if is_data(&file.path) {
        return Vec::new();
    }
    // A test may make up a path.
    let text = if is_rust(file) { without_tests(&file.text) } else { file.text.clone() };
    lines_with(&text, &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")])
}

fn scripts_are_strict(file: &File) -> Vec<String> {
    let first = file.text.lines().next().unwrap_or_default();
    let is_shell =
        first.starts_with("#!") && (first.ends_with("bash") || first.ends_with("/sh") || first.ends_with(" sh"));
    let strict = file.text.lines().any(|line| line == "set -euo pipefail");
    if is_shell && !strict { vec!["1: without `set -euo pipefail`".to_owned()] } else { Vec::new() }
}

fn lines_with(text: &str, words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(word) = words.iter().find(|word| line.contains(**word)) {
            found.push(format!("{}: {word}", at + 1));
        }
    }
    found
}

#[cfg(test)]
mod tests;
