//! A DNSSEC-signed world of its own: a root, signed and unsigned zones below it, and zones that are broken
//! in the ways that matter to DANE.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Named, new_folder};
use crate::setup::free_port;

/// How a zone is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    /// Whole.
    Yes,
    /// Not at all, and its parent proves that.
    No,
    /// Its parent names another key: everything in it is bogus.
    Wrongly,
    /// It is delegated, but the server cannot load it: SERVFAIL.
    NotLoaded,
}

/// A zone: its name without the final dot, its records as lines of a zone file, and how it is signed.
pub type Zone<'a> = (&'a str, Signed, String);

/// The server; ends with the test.
pub struct Bind(Named);

const HEAD: &str = "$TTL 60\n@ IN SOA ns.invalid. hostmaster.invalid. 1 3600 600 86400 60\n@ IN NS ns.invalid.\n";

fn run(folder: &Path, words: &[&str]) -> String {
    let output = Command::new(words[0]).args(&words[1..]).current_dir(folder).output().expect("BIND's tools are there");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Makes a key that signs keys and records alike, and returns its file's name without ending.
fn new_key(folder: &Path, zone: &str) -> String {
    run(folder, &["dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK", "-n", "ZONE", zone])
}

/// Signs `file` with one key for everything.
fn sign(folder: &Path, zone: &str, file: &str, key: &str) {
    run(folder, &["dnssec-signzone", "-z", "-S", "-K", ".", "-o", zone, "-f", &format!("{file}.signed"), file]);
    assert!(folder.join(format!("{file}.signed")).exists(), "{key}");
}

impl Bind {
    /// Signs and serves these zones below a signed root. Zones may lie inside each other; parents come first.
    pub fn start(zones: &[Zone<'_>]) -> Self {
        let folder = new_folder();
        let path = folder.path();
        let root_key = new_key(path, ".");
        let anchor = std::fs::read_to_string(path.join(format!("{root_key}.key"))).expect("the key was made");
        let anchor: Vec<&str> = anchor.lines().filter(|line| !line.starts_with(';')).collect();
        std::fs::write(path.join("anchor"), anchor.join("\n") + "\n").expect("writable");
        let mut texts: Vec<(&str, String)> = vec![(".", format!("{HEAD}ns.invalid. IN A 127.0.0.1\n"))];
        texts.extend(zones.iter().map(|(name, _, records)| (*name, format!("{HEAD}{records}"))));
        // Children before parents: a parent's text takes in what its children's keys are.
        let mut declared = String::new();
        for (name, signed, _) in zones.iter().rev() {
            let file = format!("zone-{name}");
            let text = texts.iter().find(|(zone, _)| zone == name).map(|(_, text)| text.clone()).unwrap_or_default();
            let mut delegation = format!("{name}. IN NS ns.invalid.\n");
            if *signed != Signed::NotLoaded {
                std::fs::write(path.join(&file), text).expect("writable");
            }
            if matches!(signed, Signed::Yes | Signed::Wrongly) {
                let key = new_key(path, name);
                sign(path, name, &file, &key);
                let named = if *signed == Signed::Yes { key } else { new_key(path, name) };
                let ds = run(path, &["dnssec-dsfromkey", "-2", &format!("{named}.key")]);
                let _ = writeln!(delegation, "{ds}");
            }
            let parent = zones.iter().filter(|(zone, ..)| zone != name && name.ends_with(&format!(".{zone}")));
            let parent = parent.max_by_key(|(zone, ..)| zone.len()).map_or(".", |(zone, ..)| *zone);
            if let Some((_, text)) = texts.iter_mut().find(|(zone, _)| *zone == parent) {
                text.push_str(&delegation);
            }
            let served = if matches!(signed, Signed::Yes | Signed::Wrongly) { ".signed" } else { "" };
            let _ = writeln!(declared, "zone \"{name}\" {{ type primary; file \"{file}{served}\"; }};");
        }
        std::fs::write(path.join("zone-root"), &texts[0].1).expect("writable");
        sign(path, ".", "zone-root", &root_key);
        let settings = format!("zone \".\" {{ type primary; file \"zone-root.signed\"; }};\n{declared}");
        let address = (Ipv4Addr::LOCALHOST, free_port()).into();
        Self(Named::start(folder, address, "recursion no; allow-transfer { none; };", &settings))
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    /// The file of the root's key, for `dns.trust_anchor`.
    pub fn anchor(&self) -> PathBuf {
        self.0.file("anchor")
    }

    /// What it said so far.
    pub fn log(&self) -> String {
        self.0.log()
    }
}
