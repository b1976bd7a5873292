//! Stored octets after any damage: walked and decoded without a panic, always to the end.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::store::{frame, record};

fuzz_target!(|octets: &[u8]| {
    let _ = frame::parse(octets);
    // The walk must end: each step goes on by an octet at least.
    let steps = frame::walk(octets, 0).take(octets.len() + 2).count();
    assert!(steps <= octets.len() + 1, "the walk does not end");
    if let Ok(entries) = record::decode(octets) {
        for (_, body) in entries {
            assert!(body.start <= body.end && body.end <= octets.len());
        }
    }
});
