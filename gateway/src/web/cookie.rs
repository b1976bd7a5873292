//! Cookies: reading those that a browser sends, writing ours (RFC 6265).

use axum::http::{HeaderMap, HeaderValue, header};

/// The value of a cookie; the first one, if there are several.
pub fn read(headers: &HeaderMap, name: &str) -> Option<String> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    lines
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.to_owned())
}

/// A `Set-Cookie` value. `value` must be of cookie octets: ours are letters and digits. Without `max_age` it lives as
/// long as the browser does; with zero it is removed. `SameSite=Lax`: links from mail and the return from an identity
/// provider are top-level navigations and must find the session; what changes something is checked by [`super::csrf`].
pub fn write(name: &str, value: &str, max_age: Option<u64>, secure: bool) -> HeaderValue {
    let age = max_age.map(|seconds| format!("; Max-Age={seconds}")).unwrap_or_default();
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax{age}{secure}");
    // Only a name or value of ours could make this fail.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_among_others(value in "[a-z0-9]{1,43}", noise in "[ -:<-~]{0,30}", secure: bool) {
            let written = write("waxseal", &value, Some(60), secure);
            let pair = written.to_str().unwrap().split(';').next().unwrap().to_owned();
            let mut headers = HeaderMap::new();
            headers.insert(header::COOKIE, format!("x{noise}; {pair}; waxseal=later").parse().unwrap());
            prop_assert_eq!(read(&headers, "waxseal"), Some(value));
            prop_assert_eq!(read(&headers, "waxsea"), None);
        }

        #[test]
        fn any_octets_are_read_without_panic(octets in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut headers = HeaderMap::new();
            if let Ok(value) = HeaderValue::from_bytes(&octets) {
                headers.insert(header::COOKIE, value);
            }
            let _ = read(&headers, "waxseal");
        }
    }
}
