//! What browsers and strangers send to the web listener: cookies, forms, languages, ways back, lists of networks.

#![no_main]

use http::{HeaderMap, HeaderValue, header};
use libfuzzer_sys::fuzz_target;
use waxseal::web::accounts::parse_networks;
use waxseal::web::cookie;
use waxseal::web::language::Language;
use waxseal::web::posts::form;
use waxseal::web::site::local_path;

fuzz_target!(|octets: &[u8]| {
    let fields = form::read(octets);
    for (name, value) in form::pairs(octets) {
        assert!(fields.contains_key(&name));
        let led_to = local_path(Some(&value));
        assert!(led_to.starts_with('/') && !led_to.starts_with("//"), "{led_to:?}");
        assert!(led_to.bytes().all(|octet| octet.is_ascii_graphic()), "{led_to:?}");
        if let Ok(networks) = parse_networks(&value) {
            let written: Vec<String> = networks.iter().map(ToString::to_string).collect();
            assert_eq!(parse_networks(&written.join("\n")), Ok(networks));
        }
    }
    if let Ok(value) = HeaderValue::from_bytes(octets) {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, value.clone());
        headers.insert(header::ACCEPT_LANGUAGE, value);
        let _ = (cookie::read(&headers, "waxseal"), Language::of(&headers));
    }
});
