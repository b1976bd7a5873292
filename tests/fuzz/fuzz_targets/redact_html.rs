//! Markup of any kind, as a person and as a program sees it.

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
    let media =
        ["text/html", "application/xml", "application/json", "text/rtf", "text/calendar"][usize::from(input.0) % 5];
    twice(&[format!("Content-Type: {media}\r\n\r\n").as_bytes(), &input.1].concat());
});
