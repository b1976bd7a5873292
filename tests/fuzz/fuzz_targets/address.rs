//! Addresses and names: what parses is written as something that parses to the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::clock::Timestamp;
use waxseal::ids::LetterId;
use waxseal::message::{DomainName, Mailbox};

fuzz_target!(|text: &str| {
    if let Ok(name) = text.parse::<DomainName>() {
        assert_eq!(name.as_str().parse::<DomainName>().as_ref(), Ok(&name));
        assert!(name.as_str().is_ascii() && name.as_str().len() <= 253);
        let _ = name.to_unicode();
    }
    if let Ok(mailbox) = text.parse::<Mailbox>() {
        let written = mailbox.to_string();
        assert!(!written.contains(['\r', '\n']), "an address that breaks a line");
        assert_eq!(written.parse::<Mailbox>().as_ref(), Ok(&mailbox), "{written:?}");
    }
    let _ = text.parse::<LetterId>();
    let _ = Timestamp::parse_rfc3339(text);
});
