//! Transfer encodings and charsets: any bytes under any label, in place and of the same length.

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

const CHARSETS: [&str; 20] = [
    "utf-8",
    "utf-16",
    "utf-16le",
    "utf-32",
    "utf-7",
    "iso-8859-1",
    "windows-1251",
    "koi8-r",
    "iso-2022-jp",
    "iso-2022-kr",
    "shift_jis",
    "euc-jp",
    "gb18030",
    "gb2312",
    "hz-gb-2312",
    "big5",
    "euc-kr",
    "ibm037",
    "tis-620",
    "none-such",
];

fuzz_target!(|input: (u8, u8, Vec<u8>)| {
    let (charset, transfer, body) = input;
    let charset = CHARSETS[usize::from(charset) % CHARSETS.len()];
    let transfer = ["8bit", "quoted-printable", "base64", "x-uuencode"][usize::from(transfer) % 4];
    let head = format!("Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {transfer}\r\n\r\n");
    let message = [head.as_bytes(), &body].concat();
    if let Ok((out, _)) = redact_bytes(&message, &Policy::default()) {
        assert_eq!(out.len(), message.len(), "a text part changed its length");
    }
    twice(&message);
});
