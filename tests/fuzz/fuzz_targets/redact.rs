//! The redaction stage on any message: no panic, the length stays, and a second pass changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::message::{Envelope, Letter, Mailbox, Recipient, ReversePath};
use waxseal::redact::{Policy, redact};

fn letter(message: Vec<u8>) -> Letter<waxseal::message::Received> {
    let to: Mailbox = "rcpt@example.org".parse().expect("an address");
    Letter::new(Envelope::new(ReversePath::Null, vec![Recipient::new(to)]), message)
}

fuzz_target!(|message: Vec<u8>| {
    let before = message.clone();
    let Ok(once) = redact(letter(message), &Policy::default()) else { return };
    if once.stage().report().hits.is_empty() {
        assert_eq!(once.message().as_ref(), &before[..], "changed without a hit");
    }
    let bytes = once.message().to_vec();
    let twice = redact(letter(bytes.clone()), &Policy::default()).expect("what was redacted can be read again");
    assert_eq!(twice.message().as_ref(), &bytes[..], "a second pass changed something");
});
