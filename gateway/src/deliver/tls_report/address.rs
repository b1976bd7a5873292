//! Where a domain wants its TLS reports: the TXT record at `_smtp._tls.<domain>` (RFC 8460 §3).
//!
//! Refuses: several records are none (§3); addresses that are neither `mailto:` nor `https:` are left out, as are
//! those whose host is no name. At most [`MOST`] are used.

use crate::message::{DomainName, Mailbox};

/// Addresses of one domain that are used.
pub const MOST: usize = 5;

/// Where a report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportAddress {
    /// By mail.
    Mail(Mailbox),
    /// By HTTPS POST.
    Https {
        /// The host.
        host: DomainName,
        /// Its port, if not 443.
        port: Option<u16>,
        /// Path and query, beginning with `/`.
        path: String,
    },
}

impl std::fmt::Display for ReportAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mail(mailbox) => write!(f, "mailto:{mailbox}"),
            Self::Https { host, port: None, path } => write!(f, "https://{host}{path}"),
            Self::Https { host, port: Some(port), path } => write!(f, "https://{host}:{port}{path}"),
        }
    }
}

/// The addresses that the TXT records give; empty if there is no record, or no single one.
pub fn read(texts: &[String]) -> Vec<ReportAddress> {
    let ours = |text: &&String| {
        text.strip_prefix("v=TLSRPTv1").is_some_and(|rest| rest.trim_start_matches([' ', '\t']).starts_with(';'))
    };
    let mut records = texts.iter().filter(ours);
    let (Some(record), None) = (records.next(), records.next()) else { return Vec::new() };
    let fields = record.split(';').skip(1).filter_map(|field| field.trim_matches([' ', '\t']).strip_prefix("rua"));
    let values = fields.filter_map(|rest| rest.trim_start_matches([' ', '\t']).strip_prefix('='));
    // Commas and semicolons inside an address are percent-encoded (§3).
    let addresses = values.flat_map(|value| value.split(',')).filter_map(|uri| read_uri(uri.trim_matches([' ', '\t'])));
    let mut found: Vec<ReportAddress> = Vec::new();
    for address in addresses {
        if found.len() < MOST && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

fn read_uri(uri: &str) -> Option<ReportAddress> {
    let (scheme, rest) = uri.split_once(':')?;
    if scheme.eq_ignore_ascii_case("mailto") {
        // Header fields that a link would set are not wanted here.
        let address = rest.split('?').next()?;
        return decoded(address)?.parse().ok().map(ReportAddress::Mail);
    }
    if !scheme.eq_ignore_ascii_case("https") {
        return None;
    }
    let rest = rest.strip_prefix("//")?.split('#').next()?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok().filter(|port| *port > 0)?)),
        None => (authority, None),
    };
    let visible = path.bytes().all(|octet| octet.is_ascii_graphic());
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    let host = host.parse().ok().filter(|_| visible && path.len() <= 2_000)?;
    Some(ReportAddress::Https { host, port: port.filter(|port| *port != 443), path })
}

/// Percent-decoded; `None` if that gives no UTF-8.
fn decoded(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(octet) = rest.next() {
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let digit = |octet: Option<u8>| octet.and_then(|octet| char::from(octet).to_digit(16));
        octets.push((digit(rest.next())? * 16 + digit(rest.next())?) as u8);
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(texts: &[&str]) -> Vec<String> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        read(&texts).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn both_kinds_of_addresses_are_read() {
        let record = "v=TLSRPTv1; rua=mailto:a%2Cb@there.example?subject=x, https://r.there.example/v1/x?y=z,ftp://a/";
        // A comma needs quotes in a local part: what decodes to no address is none.
        assert_eq!(shown(&[record]), ["https://r.there.example/v1/x?y=z"]);
        let record = "v=TLSRPTv1;rua=mailto:a%2Bb@there.example,HTTPS://R.There.Example:443,mailto:a+b@there.example";
        assert_eq!(shown(&[record, "v=spf1 -all"]), ["mailto:a+b@there.example", "https://r.there.example/"]);
        let other_port = "v=TLSRPTv1; rua = https://r.there.example:8443/x; ext=1";
        assert_eq!(shown(&[other_port]), ["https://r.there.example:8443/x"]);
    }

    #[test]
    fn what_is_no_record_gives_no_address() {
        let good = "v=TLSRPTv1; rua=mailto:a@there.example";
        assert!(shown(&[good, good]).is_empty(), "two records");
        for bad in [
            "v=TLSRPTv1",
            "v=TLSRPTv12; rua=mailto:a@b.example",
            "v=TLSRPTv1; rua=mailto:nobody",
            "v=TLSRPTv1; rua=https://[::1]/",
            "v=TLSRPTv1; rua=https://a.example:0/",
            "v=TLSRPTv1; rua=http://a.example/",
            "v=TLSRPTv1; rua=https://a.example/a\r\nb",
            "v=TLSRPTv1; rua=mailto:%zz@b.example",
            "",
        ] {
            assert!(shown(&[bad]).is_empty(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_and_every_address_reads_itself_back(text in "(?s)(v=TLSRPTv1; ?rua=(mailto:|https://)?)?.{0,80}") {
            let addresses = read(std::slice::from_ref(&text));
            prop_assert!(addresses.len() <= MOST);
            for address in addresses {
                let plain = address.to_string().replace('%', "%25").replace(',', "%2C").replace(';', "%3B").replace('?', "%3F");
                if let ReportAddress::Mail(_) = &address {
                    prop_assert_eq!(read(&[format!("v=TLSRPTv1; rua={plain}")]), [address]);
                }
            }
        }
    }
}
