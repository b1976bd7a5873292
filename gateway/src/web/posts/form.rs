//! `application/x-www-form-urlencoded` as strangers send it: octets that are no UTF-8 become U+FFFD instead of an error,
//! a field that comes twice counts by its first value.

use std::collections::HashMap;

/// Fields that are read; the rest of a form with more is left.
const MOST: usize = 1000;

/// The fields of a form.
pub fn read(body: &[u8]) -> HashMap<String, String> {
    let mut fields = HashMap::new();
    for (name, value) in pairs(body) {
        fields.entry(name).or_insert(value);
    }
    fields
}

/// The fields of a form in their order, those that come twice as well.
pub fn pairs(body: &[u8]) -> Vec<(String, String)> {
    let pieces = body.split(|octet| *octet == b'&').filter(|pair| !pair.is_empty()).take(MOST);
    let pair = |pair: &[u8]| {
        let at = pair.iter().position(|octet| *octet == b'=').unwrap_or(pair.len());
        (decode(&pair[..at]), decode(pair.get(at + 1..).unwrap_or_default()))
    };
    pieces.map(pair).collect()
}

fn decode(octets: &[u8]) -> String {
    let digit = |octet: Option<&u8>| octet.and_then(|octet| char::from(*octet).to_digit(16));
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        match octets[at] {
            b'+' => out.push(b' '),
            b'%' => match (digit(octets.get(at + 1)), digit(octets.get(at + 2))) {
                (Some(high), Some(low)) => {
                    out.push((high * 16 + low) as u8);
                    at += 2;
                }
                _ => out.push(b'%'),
            },
            octet => out.push(octet),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forms_are_read_as_browsers_write_them() {
        let fields = read("a=1+2&b=%E6%97%A5%E6%9C%AC&c&d=100%&e=%ff&a=9&&=x".as_bytes());
        let get = |name: &str| fields.get(name).map(String::as_str);
        assert_eq!(get("a"), Some("1 2"));
        assert_eq!(get("b"), Some("日本"));
        assert_eq!(get("c"), Some(""));
        assert_eq!(get("d"), Some("100%"));
        assert_eq!(get("e"), Some("\u{fffd}"));
    }

    proptest! {
        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&octets);
        }
    }
}
