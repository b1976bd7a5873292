//! The PROXY protocol, versions 1 and 2, from the networks that the listener names (`proxy_from`).
//!
//! From those it is required, from all others it is not read: there the header is just a bad command. Version 1 is a
//! line of at most 107 octets; a header of version 2 is refused over 4,096, though its length field could say 65,535.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

/// Why a header is refused; the proxy in front is misconfigured, trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// No header, or not one of either version.
    #[error("no PROXY header, although the connection comes from a proxy_from network")]
    Malformed,
    /// The connection ended or failed.
    #[error("PROXY header: {0}")]
    Io(#[from] std::io::Error),
}

/// Whom the proxy speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A client.
    Client(SocketAddr),
    /// The proxy itself (a health check), or an address family that we do not use: the connection's own address stands.
    Own,
}

const V1_MOST: usize = 107;
const V2_MOST: usize = 4_096;
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Reads a header off the connection, and not one octet more.
pub async fn read(stream: &mut TcpStream) -> Result<Source, ProxyError> {
    // Both versions are longer than twelve octets ("PROXY UNKNOWN\r\n").
    let mut head = [0; 16];
    stream.read_exact(&mut head[..12]).await?;
    if head[..12] == SIGNATURE[..] {
        stream.read_exact(&mut head[12..]).await?;
        let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
        if length > V2_MOST {
            return Err(ProxyError::Malformed);
        }
        let mut addresses = vec![0; length];
        stream.read_exact(&mut addresses).await?;
        return version2(head[12], head[13], &addresses).ok_or(ProxyError::Malformed);
    }
    let mut line = head[..12].to_vec();
    let mut seen = [0; V1_MOST];
    while !line.ends_with(b"\n") {
        let room = V1_MOST - line.len();
        let peeked = stream.peek(&mut seen[..room]).await?;
        if peeked == 0 || !line.starts_with(b"PROXY ") {
            return Err(ProxyError::Malformed);
        }
        let taken = seen[..peeked].iter().position(|octet| *octet == b'\n').map_or(peeked, |at| at + 1);
        stream.read_exact(&mut seen[..taken]).await?;
        line.extend_from_slice(&seen[..taken]);
    }
    version1(&line).ok_or(ProxyError::Malformed)
}

/// `PROXY TCP4 192.0.2.1 198.51.100.1 56324 587\r\n`.
pub fn version1(line: &[u8]) -> Option<Source> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix("\r\n")?.strip_prefix("PROXY ")?;
    let mut words = text.split(' ');
    let family = words.next()?;
    if family == "UNKNOWN" {
        return Some(Source::Own);
    }
    let (source, destination): (IpAddr, IpAddr) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let fits = match family {
        "TCP4" => source.is_ipv4() && destination.is_ipv4(),
        "TCP6" => source.is_ipv6() && destination.is_ipv6(),
        _ => false,
    };
    let (port, _): (u16, u16) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (fits && words.next().is_none()).then(|| Source::Client(SocketAddr::new(source, port)))
}

/// The octets 13 and 14 of a version 2 header, and what follows the length. TLVs behind the addresses are ignored.
pub fn version2(version_command: u8, family: u8, addresses: &[u8]) -> Option<Source> {
    match version_command {
        0x20 => return Some(Source::Own),
        0x21 => {}
        _ => return None,
    }
    let port = |at: usize| addresses.get(at..at + 2).map(|p| u16::from_be_bytes([p[0], p[1]]));
    match family {
        0x11 => {
            let source: [u8; 4] = addresses.get(..4)?.try_into().ok()?;
            port(10)?;
            Some(Source::Client(SocketAddr::new(Ipv4Addr::from(source).into(), port(8)?)))
        }
        0x21 => {
            let source: [u8; 16] = addresses.get(..16)?.try_into().ok()?;
            port(34)?;
            Some(Source::Client(SocketAddr::new(Ipv6Addr::from(source).into(), port(32)?)))
        }
        0x00 | 0x12 | 0x22 | 0x31 | 0x32 => Some(Source::Own),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn version_1_is_a_strict_line() {
        let client = |text: &str| Some(Source::Client(text.parse().unwrap()));
        assert_eq!(version1(b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 587\r\n"), client("192.0.2.1:56324"));
        assert_eq!(version1(b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n"), client("[2001:db8::1]:1"));
        assert_eq!(version1(b"PROXY UNKNOWN\r\n"), Some(Source::Own));
        for bad in [
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 587\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 56324 587 x\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.1 66324 587\r\n",
            "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
            "PROXY TCP4 192.0.2.1\r\n",
            "EHLO x\r\n",
        ] {
            assert_eq!(version1(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn version_2_gives_back_what_was_put_in(source: (Ipv4Addr, u16), six: (Ipv6Addr, u16), tlv in proptest::collection::vec(any::<u8>(), 0..20)) {
            let mut four = [source.0.octets().as_slice(), &[0; 4], &source.1.to_be_bytes(), &[0; 2]].concat();
            four.extend_from_slice(&tlv);
            prop_assert_eq!(version2(0x21, 0x11, &four), Some(Source::Client(SocketAddr::from(source))));
            let long = [six.0.octets().as_slice(), &[0; 16], &six.1.to_be_bytes(), &[0; 2]].concat();
            prop_assert_eq!(version2(0x21, 0x21, &long), Some(Source::Client(SocketAddr::from(six))));
            prop_assert_eq!(version2(0x21, 0x21, &long[..35]), None);
            prop_assert_eq!(version2(0x20, 0x21, &tlv), Some(Source::Own));
        }

        #[test]
        fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), a: u8, b: u8) {
            let _ = version1(&bytes);
            let _ = version2(a, b, &bytes);
        }
    }
}
