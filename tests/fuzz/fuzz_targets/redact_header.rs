//! Header fields: folds, encoded words, parameters and their continuations.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::redact::{Policy, redact_bytes};

/// Redacts twice: the second pass must change nothing.
fn twice(message: &[u8]) {
    let Ok((once, report)) = redact_bytes(message, &Policy::default()) else { return };
    assert!(!report.hits.is_empty() || once.as_ref() == message, "changed without a hit");
    let (again, _) = redact_bytes(&once, &Policy::default()).expect("what was redacted can be read again");
    assert_eq!(again, once, "a second pass changed something");
}

fuzz_target!(|input: (u8, Vec<u8>)| {
    let name = ["Subject", "From", "Content-Type", "Content-Disposition", "X-Card"][usize::from(input.0) % 5];
    twice(&[name.as_bytes(), b": ", &input.1, b"\r\n\r\nbody\r\n"].concat());
});
