//! Notices that come back: any octets are read, what is kept of them is short and printable, and has one class.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::returns::class::classify;
use waxseal::returns::read;

fuzz_target!(|octets: &[u8]| {
    let found = read(octets);
    assert_eq!(found, read(octets));
    assert!(found.about.len() <= 101);
    for about in &found.about {
        for text in about.addresses.iter().chain(&about.remote).chain([&about.diagnostic]) {
            assert!(text.len() <= 500 && text.bytes().all(|octet| (b' '..=b'~').contains(&octet)));
        }
        let class = classify(about.code, about.status, &about.diagnostic);
        assert_eq!(class, classify(about.code, about.status, &about.diagnostic));
    }
});
