//! What a listener is to browsers: its origin, whether cookies can be secure, whose word on client addresses counts.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

use super::csrf::host;
use crate::config::{Listener, ListenerTls};

/// The address at the other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer(pub SocketAddr);

/// One web listener as browsers know it.
#[derive(Debug, Clone)]
pub struct Site {
    /// `https://mail.example`, without a final slash.
    pub public_url: Option<String>,
    /// Are cookies `Secure`, with the `__Host-` prefix? Only a loopback listener without a public https address has
    /// plain ones.
    pub secure: bool,
    /// Reverse proxies whose `X-Forwarded-For` is believed.
    pub proxies: Vec<IpNet>,
}

impl Site {
    /// The site of a listener.
    pub fn new(listener: &Listener) -> Self {
        let public_url = listener.public_url.as_ref().map(|url| url.trim_end_matches('/').to_owned());
        let https = public_url.as_ref().is_some_and(|url| url.starts_with("https://"));
        Self {
            public_url,
            secure: https || listener.tls == ListenerTls::Implicit,
            proxies: listener.proxy_from.clone(),
        }
    }

    /// The name of the session cookie. The prefix has the browser refuse one that was set for a parent domain, over
    /// http or for a path (RFC 6265bis §4.1.3.2).
    pub fn session_cookie(&self) -> &'static str {
        if self.secure { "__Host-waxseal" } else { "waxseal" }
    }

    /// The name of the cookie by which a browser is known again.
    pub fn device_cookie(&self) -> &'static str {
        if self.secure { "__Host-waxseal-device" } else { "waxseal-device" }
    }

    /// Is this the origin of our own pages?
    pub fn is_origin(&self, origin: &str, headers: &HeaderMap) -> bool {
        if let Some(url) = &self.public_url
            && origin_of(url).eq_ignore_ascii_case(origin)
        {
            return true;
        }
        // Reached directly, under whatever name: the request's own host, if that host is one that is served.
        let scheme = if self.secure && self.public_url.is_none() { "https" } else { "http" };
        host(headers)
            .is_some_and(|host| self.serves(host) && origin.eq_ignore_ascii_case(&format!("{scheme}://{host}")))
    }

    /// Is the host one that pages are served for? A name that an attacker points at this machine (DNS rebinding) is not:
    /// the public one is, loopback names are, and addresses (no name to point).
    pub fn serves(&self, host: &str) -> bool {
        let name = without_port(host);
        let public = self.public_url.as_deref().map(origin_of).and_then(|origin| origin.split_once("://"));
        if public.is_some_and(|(_, authority)| without_port(authority).eq_ignore_ascii_case(name)) {
            return true;
        }
        let bare = name.trim_start_matches('[').trim_end_matches(']');
        name.eq_ignore_ascii_case("localhost")
            || bare.parse::<IpAddr>().is_ok()
            || self.public_url.is_none() && self.secure
    }

    /// The client's address: the peer, or what a proxy of ours says, read from the end, since a client can write anything
    /// before that.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> IpAddr {
        let ours = |address: &IpAddr| self.proxies.iter().any(|network| network.contains(address));
        let mut client = peer.ip().to_canonical();
        let said = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
        let hops: Vec<&str> = said.flat_map(|line| line.split(',')).collect();
        for hop in hops.iter().rev() {
            if !ours(&client) {
                break;
            }
            match hop.trim().parse::<IpAddr>() {
                Ok(address) => client = address.to_canonical(),
                Err(_) => break,
            }
        }
        client
    }

    /// The absolute address of a path, for mail and identity providers; without a public address, the request's host.
    pub fn absolute(&self, path: &str, headers: &HeaderMap) -> String {
        match &self.public_url {
            Some(url) => format!("{url}{path}"),
            None => format!(
                "{}://{}{path}",
                if self.secure { "https" } else { "http" },
                host(headers).unwrap_or("localhost")
            ),
        }
    }
}

fn origin_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let end = url[after_scheme..].find('/').map_or(url.len(), |at| after_scheme + at);
    &url[..end]
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

/// A path of ours that a sign-in may lead to. Anything with a host, a scheme, a backslash (which browsers read as a
/// slash) or a control character leads to the overview instead: no open redirect, no second header.
pub fn local_path(next: Option<&str>) -> String {
    let fine = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.len() <= 2000
            && path.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'\\')
    };
    next.filter(fine).unwrap_or("/").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(public_url: Option<&str>, secure: bool) -> Site {
        let proxies = vec!["10.0.0.0/8".parse().unwrap()];
        Site { public_url: public_url.map(str::to_owned), secure, proxies }
    }

    #[test]
    fn only_paths_of_ours_are_led_to() {
        for good in ["/", "/domains/example.com", "/queue?state=held&after=01J#x"] {
            assert_eq!(local_path(Some(good)), good);
        }
        for bad in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "evil",
            "",
            "/\r\nSet-Cookie: a=b",
            "/\t/evil.example",
            "javascript:alert(1)",
            "/日本",
        ] {
            assert_eq!(local_path(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(local_path(None), "/");
    }

    #[test]
    fn an_origin_is_ours_by_the_public_address_or_by_the_host_that_is_served() {
        let mut headers = HeaderMap::new();
        headers.insert("host", "127.0.0.1:8080".parse().unwrap());
        let public = site(Some("https://mail.example"), true);
        assert!(public.is_origin("https://mail.example", &headers));
        assert!(public.is_origin("http://127.0.0.1:8080", &headers));
        for foreign in
            ["https://evil.example", "null", "https://mail.example.evil.example", "http://127.0.0.1:9090", ""]
        {
            assert!(!public.is_origin(foreign, &headers), "{foreign}");
        }
        // A name that somebody else points here is not served, whatever the Origin says.
        headers.insert("host", "rebound.example:8080".parse().unwrap());
        assert!(!site(None, false).is_origin("http://rebound.example:8080", &headers));
        assert!(!public.serves("rebound.example:8080") && public.serves("mail.example") && public.serves("[::1]:80"));
    }

    #[test]
    fn a_client_is_whom_the_last_proxy_of_ours_saw() {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "203.0.113.9, 198.51.100.7, 10.0.0.2".parse().unwrap());
        let site = site(None, false);
        let client = |peer: &str| site.client(format!("{peer}:1").parse().unwrap(), &headers).to_string();
        assert_eq!(client("10.0.0.1"), "198.51.100.7");
        assert_eq!(client("192.0.2.1"), "192.0.2.1");
    }

    proptest::proptest! {
        #[test]
        fn whatever_a_link_asks_for_leads_to_a_path_of_ours(text in "\\PC{0,60}", path in "[/\\\\a-z:@.?#%\t\r\n]{0,30}") {
            for wanted in [&text, &path, &format!("/{text}"), &format!("/{path}")] {
                let led_to = local_path(Some(wanted));
                proptest::prop_assert!(led_to.starts_with('/') && !led_to.starts_with("//") && !led_to.contains('\\'));
                proptest::prop_assert!(led_to.bytes().all(|octet| octet.is_ascii_graphic()));
            }
        }
    }
}
