use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use hickory_resolver::proto::op::{Message, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, CNAME, NS, SOA, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType as WireType};
use tokio::net::UdpSocket;
use waxseal_dns::VantageKind;

use super::*;
use crate::config::Dns;

fn wire(text: &str) -> Name {
    Name::from_str(&format!("{text}.")).unwrap()
}

/// `corp.example` on 127.0.0.1, which is the resolver too and knows only that zone; `_domainkey.corp.example` is
/// delegated to 127.0.0.2 without the resolver's knowing.
fn parent(question: &Message) -> Message {
    let query = question.queries[0].clone();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.authoritative = true;
    reply.add_query(query.clone());
    let name = query.name.to_lowercase().to_string();
    let add = |reply: &mut Message, data| {
        reply.add_answer(Record::from_rdata(query.name.clone(), 60, data));
    };
    match (name.as_str(), query.query_type) {
        ("corp.example.", WireType::NS) => {
            add(&mut reply, RData::NS(NS(wire("ns1.corp.example"))));
            add(&mut reply, RData::NS(NS(wire("ns2.corp.example"))));
        }
        ("ns1.corp.example.", WireType::A) => add(&mut reply, RData::A(A(Ipv4Addr::LOCALHOST))),
        ("alias.corp.example.", WireType::TXT) => {
            add(&mut reply, RData::CNAME(CNAME(wire("there.example.net"))));
            reply.metadata.response_code = ResponseCode::Refused;
        }
        ("corp.example.", WireType::TXT) => {
            add(&mut reply, RData::TXT(TXT::new(vec!["v=spf1 ip4:192.0.2.1".into(), "0 -all".into()])));
        }
        ("signed.corp.example.", _) if question.metadata.checking_disabled => {
            add(&mut reply, RData::TXT(TXT::new(vec!["forged".into()])));
        }
        ("signed.corp.example.", _) => reply.metadata.response_code = ResponseCode::ServFail,
        (name, _) if name.ends_with("_domainkey.corp.example.") && !question.metadata.recursion_desired => {
            reply.metadata.authoritative = false;
            let cut = wire("_domainkey.corp.example");
            reply.add_authority(Record::from_rdata(cut.clone(), 60, RData::NS(NS(wire("keys.corp.example")))));
            let glue = RData::A(A(Ipv4Addr::new(127, 0, 0, 2)));
            reply.add_additional(Record::from_rdata(wire("keys.corp.example"), 60, glue));
        }
        (name, _) => {
            let exists = !name.starts_with("gone.");
            reply.metadata.response_code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
            let soa = SOA::new(wire("ns1.corp.example"), wire("root.corp.example"), 1, 60, 60, 60, 17);
            reply.add_authority(Record::from_rdata(wire("corp.example"), 300, RData::SOA(soa)));
        }
    }
    reply
}

fn child(question: &Message) -> Message {
    let query = question.queries[0].clone();
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.authoritative = true;
    reply.add_query(query.clone());
    reply.add_answer(Record::from_rdata(query.name, 60, RData::TXT(TXT::new(vec!["v=DKIM1; p=AAAA".into()]))));
    reply
}

fn serve(socket: UdpSocket, answer: fn(&Message) -> Message) {
    tokio::spawn(async move {
        let mut packet = [0; 4_096];
        while let Ok((octets, from)) = socket.recv_from(&mut packet).await {
            let reply = answer(&Message::from_vec(&packet[..octets]).unwrap());
            let _ = socket.send_to(&reply.to_vec().unwrap(), from).await;
        }
    });
}

async fn zones() -> HickoryZones {
    let first = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = first.local_addr().unwrap();
    // The same port on another loopback address belongs to nobody else: the system gave it out a moment ago.
    let second = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), address.port())).await.unwrap();
    serve(first, parent);
    serve(second, child);
    HickoryZones::new(&dns(address)).unwrap()
}

fn dns(server: SocketAddr) -> Dns {
    Dns { servers: vec![server], smtp_port: 25, https_port: 443, trust_anchor: None }
}

fn authoritative(survey: &Survey) -> Vec<&Answer> {
    survey.answers.iter().filter(|answer| answer.vantage.kind == VantageKind::Authoritative).collect()
}

#[tokio::test]
async fn a_zone_is_found_and_its_servers_asked() {
    let zones = zones().await;
    let survey = zones.survey("Corp.Example.", RecordType::Txt).await;
    assert_eq!((survey.zone.as_str(), &survey.problem), ("corp.example", &None));
    // The second name server has no address and is left out.
    assert_eq!(survey.answers.len(), 2);
    for answer in &survey.answers {
        assert_eq!(answer.values().collect::<Vec<_>>(), ["v=spf1 ip4:192.0.2.10 -all"]);
    }
    let own = authoritative(&survey);
    assert_eq!(own[0].vantage.name, "ns1.corp.example");

    let gone = zones.survey("gone.deep.below.corp.example", RecordType::Mx).await;
    assert_eq!(gone.zone, "corp.example");
    assert_eq!(authoritative(&gone)[0].reply, Reply::NoSuchName { negative_ttl: Some(17) });
    let none = zones.survey("here.corp.example", RecordType::Mx).await;
    assert_eq!(authoritative(&none)[0].reply, Reply::NoData { negative_ttl: Some(17) });
}

#[tokio::test]
async fn a_cut_below_the_zone_is_followed() {
    let survey = zones().await.survey("wax1._domainkey.corp.example", RecordType::Txt).await;
    assert_eq!(survey.zone, "_domainkey.corp.example");
    let own = authoritative(&survey);
    assert_eq!(own[0].vantage.address.ip(), IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2)));
    assert_eq!(own[0].values().next(), Some("v=DKIM1; p=AAAA"));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let zones = zones().await;
    let signed = zones.survey("signed.corp.example", RecordType::Txt).await;
    assert_eq!(authoritative(&signed)[0].reply, Reply::ServFail);
    let resolver = signed.answers.last().unwrap();
    assert_eq!((resolver.vantage.kind, &resolver.reply), (VantageKind::Resolver, &Reply::Bogus));
    let alias = zones.survey("alias.corp.example", RecordType::Txt).await;
    assert_eq!(authoritative(&alias)[0].reply, Reply::Elsewhere);
    assert_eq!(authoritative(&alias)[0].aliases, ["there.example.net"]);

    let closed = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address: SocketAddr = closed.local_addr().unwrap();
    drop(closed);
    let nobody = HickoryZones::new(&dns(address)).unwrap();
    let survey = nobody.survey("corp.example", RecordType::Txt).await;
    assert!(survey.problem.is_some_and(|problem| !problem.is_answer()) && survey.zone.is_empty());
    assert!(!survey.answers[0].reply.is_answer());
}
