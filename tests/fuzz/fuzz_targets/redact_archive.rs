//! Archives and documents: ZIP, gzip, tar, PDF and TNEF, told by their first bytes.

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

const MAGIC: [&[u8]; 7] =
    [b"PK\x03\x04", b"\x1f\x8b\x08", b"%PDF-1.7\n", b"{\\rtf1 ", b"\x78\x9f\x3e\x22\0\0", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b""];

fuzz_target!(|input: (u8, Vec<u8>)| {
    let magic = MAGIC[usize::from(input.0) % MAGIC.len()];
    twice(
        &[b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n", magic, &input.1]
            .concat(),
    );
});
