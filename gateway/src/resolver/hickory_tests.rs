use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::resolver::MxRecord;

#[allow(clippy::unnecessary_wraps)] // stands where a look-up's result stands
fn one(address: &str) -> Result<AddressAnswer, DnsFailure> {
    Ok(AddressAnswer { addresses: vec![address.parse().unwrap()], ..AddressAnswer::default() })
}

#[test]
fn null_mx_stands_alone() {
    let read = |list: &[(u16, &str)]| read_mx(list.iter().map(|(p, n)| (*p, (*n).to_owned())), false);
    assert_eq!(read(&[]), Err(DnsFailure::NoData));
    assert_eq!(read(&[(0, "")]), Ok(MxAnswer::Null));
    assert_eq!(read(&[(0, ""), (10, "mx.example")]).unwrap(), read(&[(10, "mx.example")]).unwrap());
    assert_eq!(read(&[(0, "not a host")]), Ok(MxAnswer::Hosts { records: Vec::new(), secure: false }));
}

#[test]
fn families_are_put_together_without_inventing_answers() {
    use DnsFailure::{NoData, NoSuchName, ServFail};
    assert_eq!(combine(one("192.0.2.1"), one("2001:db8::1")).unwrap().addresses.len(), 2);
    assert!(combine(one("192.0.2.1"), Err(ServFail)).is_ok());
    assert!(combine(Err(NoData), one("2001:db8::1")).is_ok());
    assert_eq!(combine(Err(NoData), Err(ServFail)), Err(ServFail));
    assert_eq!(combine(Err(ServFail), Err(NoSuchName)), Err(ServFail));
    assert_eq!(combine(Err(NoData), Err(NoSuchName)), Err(NoSuchName));
    assert_eq!(combine(Err(NoData), Err(NoData)), Err(NoData));
}

/// A DNS server of a few lines: answers A for `mx.there.example`, NXDOMAIN for `gone.…`, SERVFAIL for `broken.…`,
/// MX for `there.example`, and nothing at all otherwise.
async fn dns_server(asked: Arc<AtomicUsize>) -> SocketAddr {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = [0; 1_500];
        while let Ok((octets, from)) = socket.recv_from(&mut packet).await {
            asked.fetch_add(1, Ordering::SeqCst);
            let question_end = 12 + packet[12..octets].iter().position(|octet| *octet == 0).unwrap() + 5;
            let text = String::from_utf8_lossy(&packet[12..question_end]).to_ascii_lowercase();
            let kind = packet[question_end - 3];
            let mut answer = packet[..question_end].to_vec();
            answer[2] = 0x81;
            answer[3] = 0x80;
            answer[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
            let record = |answer: &mut Vec<u8>, data: &[u8]| {
                answer[7] += 1;
                answer.extend_from_slice(&[0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
                answer.extend_from_slice(data);
            };
            match kind {
                _ if text.contains("gone") => answer[3] |= 3,
                _ if text.contains("broken") => answer[3] |= 2,
                1 => record(&mut answer, &[127, 0, 0, 9]),
                15 => record(&mut answer, &[0, 10, 2, b'm', b'x', 0xc0, 12]),
                _ => {}
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    address
}

#[tokio::test]
async fn a_real_resolver_tells_failures_apart_and_remembers_them() {
    let asked = Arc::new(AtomicUsize::new(0));
    let server = dns_server(Arc::clone(&asked)).await;
    let resolver = HickoryResolver::new(&Dns { servers: vec![server], ..Dns::default() }, false).unwrap();
    let name = |text: &str| text.parse::<DomainName>().unwrap();
    let hosts = resolver.mx(&name("there.example")).await.unwrap();
    let expected = MxRecord { preference: 10, exchange: name("mx.there.example") };
    assert_eq!(hosts, MxAnswer::Hosts { records: vec![expected], secure: false });
    let addresses = resolver.addresses(&name("mx.there.example")).await.unwrap();
    assert_eq!(addresses.addresses, ["127.0.0.9".parse::<IpAddr>().unwrap()]);
    assert_eq!(resolver.mx(&name("gone.example")).await, Err(DnsFailure::NoSuchName));
    assert_eq!(resolver.mx(&name("broken.example")).await, Err(DnsFailure::ServFail));
    let before = asked.load(Ordering::SeqCst);
    assert_eq!(resolver.mx(&name("gone.example")).await, Err(DnsFailure::NoSuchName));
    assert_eq!(resolver.mx(&name("broken.example")).await, Err(DnsFailure::ServFail));
    resolver.mx(&name("there.example")).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), before, "answers and failures come from the caches");
}
