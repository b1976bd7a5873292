//! MTA-STS texts of a hostile domain: no panic, and whatever is read as a policy reads itself back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::deliver::mta_sts::policy::{Policy, read_record};

fuzz_target!(|octets: &[u8]| {
    if let Ok(policy) = Policy::parse(octets) {
        let again = Policy::parse(policy.lines().join("\r\n").as_bytes());
        assert_eq!(again.as_ref(), Ok(&policy), "a policy does not read itself back");
    }
    let texts: Vec<String> = String::from_utf8_lossy(octets).split('\n').map(str::to_owned).collect();
    if let Ok(Some(id)) = read_record(&texts) {
        assert!((1..=32).contains(&id.len()), "an id that is none");
    }
});
