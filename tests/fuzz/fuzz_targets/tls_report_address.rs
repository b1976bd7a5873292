//! The record that says where TLS reports go, of a hostile domain: no panic, few addresses, nothing that could break
//! out of a request line or an envelope.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::deliver::tls_report::address::{MOST, ReportAddress, read};

fuzz_target!(|octets: &[u8]| {
    let texts: Vec<String> = String::from_utf8_lossy(octets).split('\n').map(str::to_owned).collect();
    let addresses = read(&texts);
    assert!(addresses.len() <= MOST);
    for address in addresses {
        if let ReportAddress::Https { path, .. } = &address {
            assert!(path.starts_with('/') && path.bytes().all(|octet| octet.is_ascii_graphic()), "{path:?}");
        }
        assert!(!address.to_string().contains(char::is_control), "{address}");
    }
});
