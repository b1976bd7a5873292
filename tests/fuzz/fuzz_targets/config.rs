//! The configuration file: checked or refused with places, never a panic.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use waxseal::config;

fuzz_target!(|text: &str| {
    if let Err(errors) = config::parse(Path::new("fuzz.toml"), text, []) {
        assert!(!errors.complaints().is_empty());
        let _ = errors.to_string();
    }
    let _ = config::parse_size(text);
    let _ = config::parse_duration(text);
    let _ = config::parse_rate(text);
});
