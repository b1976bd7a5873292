//! Configuration: as written (one TOML file), checked with every mistake at once, as used.
//!
//! One table of keys ([`keys`]) drives the commented example file, the check, the defaults and the overrides from
//! the environment (`WAXSEAL__SECTION__KEY`), so that they cannot disagree. An unknown key is refused: a typing
//! error must not switch a protection off. Secrets stand here by reference only and are read when they are used.
//! Tenants, domains, keys and users are not configuration; they live in the store.

mod build;
mod check;
mod complaint;
mod cross;
mod domains;
mod example;
mod keys;
mod kind;
mod read;
mod secret;
mod shaping;
mod units;
mod used;
mod value;
mod web;

use std::path::{Path, PathBuf};

pub use complaint::{Complaint, ConfigErrors, Place};
pub use example::example;
pub use secret::SecretError;
pub use units::{format_duration, format_size, parse_duration, parse_rate, parse_size};
pub use used::*;

use crate::message::DomainName;

/// Where the file is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/waxseal/waxseal.toml";

/// Reads and checks the file at `path`, with the overrides of this process's environment.
pub fn load(path: &Path) -> Result<Config, ConfigErrors> {
    let text = std::fs::read(path).map_err(|error| {
        ConfigErrors::one(Complaint::at(
            Place::whole(path),
            "",
            format!("cannot be read: {error}"),
            "name an existing file with --config, or write one with \"waxseal config example\"",
        ))
    })?;
    let text = String::from_utf8(text).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = memchr::memchr_iter(b'\n', good).count() + 1;
        ConfigErrors::one(Complaint::at(
            Place::Position { file: path.to_owned(), line, column: 1 },
            "",
            "is not UTF-8 from this line on",
            "save the file as UTF-8",
        ))
    })?;
    parse(
        path,
        &text,
        std::env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?))),
    )
}

/// Checks a text; `source` is only the name that complaints give. `environment` may hold any variables: those
/// whose names begin `WAXSEAL__` override keys of the text.
pub fn parse(
    source: &Path,
    text: &str,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Config, ConfigErrors> {
    let overrides: Vec<(String, String)> =
        environment.into_iter().filter(|(name, _)| name.starts_with(check::PREFIX)).collect();
    let (values, mut complaints) = check::check(source, text, &overrides);
    complaints.extend(cross::check(&values, &complaints));
    if complaints.is_empty() { Ok(build::config(&values, source)) } else { Err(ConfigErrors::new(complaints)) }
}

impl Config {
    /// A configuration with every default, no listener and no route: for the demo and for tests.
    pub fn with_defaults(hostname: DomainName, data_dir: PathBuf, kek: SecretRef) -> Self {
        let mut config = build::config(&value::Values::defaults(), Path::new(""));
        config.source = None;
        config.hostname = hostname;
        config.data_dir = data_dir;
        config.kek = kek;
        config.listeners.clear();
        config.tls = None;
        config
    }
}

#[cfg(test)]
mod tests;
