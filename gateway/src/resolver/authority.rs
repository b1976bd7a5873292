//! Every authoritative server of a zone, asked one by one: what a record really is, before any cache has its say.
//!
//! Promises: the servers are those that the closest NS records above the name list (zone cuts below the apex are
//! followed, as is a CNAME into another zone); each server name counts once and answers through the first of its
//! addresses that does; a failure is told from an empty answer. Where no NS record is found at all and the
//! configuration names DNS servers, those are the authority: private name spaces and tests.
//! Refuses: answers of a server that does not say it is authoritative, or to another question.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::proto::op::{Edns, Message, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::timeout;

use super::{DnsFailure, HickoryResolver, LOOKUP_TIMEOUT, Resolver, plain_text, read_error};
use crate::config::Dns;
use crate::message::DomainName;

/// One attempt on one address; two are made over UDP.
const ATTEMPT: Duration = Duration::from_secs(3);
/// Everything about one name, aliases included.
const WHOLE: Duration = Duration::from_secs(20);
/// Aliases that are followed.
const ALIASES: usize = 8;
/// What fits into an answer over UDP without fragments on any usual path (DNS flag day 2020).
const PAYLOAD: u16 = 1232;

/// What one authoritative server has at a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextAnswer {
    /// The TXT records, each joined; empty if there are none (or no such name).
    pub texts: Vec<String>,
    /// The shortest time to live among them and the aliases on the way, in seconds.
    pub ttl: u32,
}

/// Who asks every authoritative server.
#[async_trait]
pub trait Authorities: Send + Sync + 'static {
    /// What every authoritative server of the zone has at `name`; `None` for one that did not answer. Empty if the
    /// zone's servers could not be found.
    async fn texts(&self, name: &str) -> Vec<Option<TextAnswer>>;
}

/// Asks them over UDP and TCP.
pub struct AuthorityClient {
    resolver: Arc<HickoryResolver>,
    port: u16,
    fallback: Vec<SocketAddr>,
}

/// A server to ask.
struct Server {
    addresses: Vec<SocketAddr>,
    /// Must it say that it is authoritative? The configured ones that stand in for it need not.
    authority: bool,
}

impl AuthorityClient {
    /// Finds servers through `resolver` and dials them on the configured port.
    pub fn new(resolver: Arc<HickoryResolver>, dns: &Dns) -> Self {
        Self { resolver, port: dns.authority_port, fallback: dns.servers.clone() }
    }

    /// The servers of the zone that `name` lies in; `Err` if that could not be found out.
    async fn servers(&self, name: &Name) -> Result<Vec<Server>, DnsFailure> {
        let mut zone = name.clone();
        while !zone.is_root() {
            match self.resolver.name_servers(&zone).await {
                Ok(hosts) => {
                    let of = |host: DomainName| async move {
                        let found = self.resolver.addresses(&host).await;
                        let addresses: Vec<IpAddr> = found.map(|answer| answer.addresses).unwrap_or_default();
                        let addresses = addresses.into_iter().map(|address| (address, self.port).into()).collect();
                        Server { addresses, authority: true }
                    };
                    return Ok(futures_util::future::join_all(hosts.into_iter().map(of)).await);
                }
                Err(failure) if failure.is_temporary() => return Err(failure),
                Err(_) => zone = zone.base_name(),
            }
        }
        Ok(self.fallback.iter().map(|address| Server { addresses: vec![*address], authority: false }).collect())
    }

    async fn ask(&self, name: Name, depth: usize) -> Vec<Option<TextAnswer>> {
        let Ok(servers) = self.servers(&name).await else { return vec![None] };
        let answers = servers.iter().map(|server| server.texts(&name));
        let mut all = Vec::new();
        for answer in futures_util::future::join_all(answers).await {
            match answer {
                Some(Told::Texts(texts)) => all.push(Some(texts)),
                Some(Told::Alias(target)) if depth < ALIASES => {
                    all.extend(Box::pin(self.ask(target, depth + 1)).await);
                }
                Some(Told::Alias(_)) | None => all.push(None),
            }
        }
        all
    }
}

#[async_trait]
impl Authorities for AuthorityClient {
    async fn texts(&self, name: &str) -> Vec<Option<TextAnswer>> {
        let Ok(mut name) = Name::from_str(name) else { return Vec::new() };
        name.set_fqdn(true);
        timeout(WHOLE, self.ask(name, 0)).await.unwrap_or_else(|_| vec![None])
    }
}

impl HickoryResolver {
    /// The NS records at exactly this name.
    async fn name_servers(&self, zone: &Name) -> Result<Vec<DomainName>, DnsFailure> {
        let lookup = timeout(LOOKUP_TIMEOUT, self.inner.lookup(zone.clone(), RecordType::NS)).await;
        let lookup = lookup.map_err(|_| DnsFailure::Timeout)?.map_err(|error| read_error(&error).0)?;
        let host = |record: &Record| match &record.data {
            RData::NS(host) if record.name == *zone => plain_text(&host.0).parse().ok(),
            _ => None,
        };
        let hosts: Vec<DomainName> = lookup.answers().iter().filter_map(host).collect();
        if hosts.is_empty() { Err(DnsFailure::NoData) } else { Ok(hosts) }
    }
}

/// What one server said.
enum Told {
    Texts(TextAnswer),
    /// The name is an alias, and its target is not this server's.
    Alias(Name),
}

impl Server {
    async fn texts(&self, name: &Name) -> Option<Told> {
        for address in &self.addresses {
            if let Some(answer) = exchange(*address, name, !self.authority).await
                && let Some(told) = read(&answer, name, self.authority)
            {
                return Some(told);
            }
        }
        None
    }
}

/// What an answer says about `name`; `None` if it says nothing that can be relied on.
fn read(answer: &Message, name: &Name, authority: bool) -> Option<Told> {
    match answer.metadata.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain => {}
        _ => return None,
    }
    if authority && !answer.metadata.authoritative {
        return None;
    }
    let (mut owner, mut ttl) = (name.clone(), u32::MAX);
    for _ in 0..=ALIASES {
        let at_owner = || answer.answers.iter().filter(|record| record.name == owner);
        let texts = at_owner().filter_map(|record| match &record.data {
            RData::TXT(text) => Some((record.ttl, text.txt_data.concat())),
            _ => None,
        });
        let texts: Vec<(u32, Vec<u8>)> = texts.collect();
        if !texts.is_empty() {
            let ttl = texts.iter().map(|(ttl, _)| *ttl).fold(ttl, u32::min);
            let texts = texts.into_iter().map(|(_, text)| String::from_utf8_lossy(&text).into_owned()).collect();
            return Some(Told::Texts(TextAnswer { texts, ttl }));
        }
        let alias = at_owner().find_map(|record| match &record.data {
            RData::CNAME(target) => Some((record.ttl, target.0.clone())),
            _ => None,
        });
        let Some((alias_ttl, target)) = alias else { break };
        ttl = ttl.min(alias_ttl);
        owner = target;
    }
    if owner == *name {
        return Some(Told::Texts(TextAnswer { texts: Vec::new(), ttl: 0 }));
    }
    Some(Told::Alias(owner))
}

/// One question to one address: UDP twice, TCP if the answer does not fit.
async fn exchange(address: SocketAddr, name: &Name, recursion: bool) -> Option<Message> {
    let mut question = Message::query();
    question.metadata.recursion_desired = recursion;
    question.add_query(Query::query(name.clone(), RecordType::TXT));
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    question.edns = Some(edns);
    let packet = question.to_vec().ok()?;
    for _ in 0..2 {
        match timeout(ATTEMPT, over_udp(address, &packet, &question)).await {
            Ok(Some(answer)) if answer.metadata.truncation => break,
            Ok(Some(answer)) => return Some(answer),
            Ok(None) | Err(_) => {}
        }
    }
    timeout(ATTEMPT, over_tcp(address, &packet, &question)).await.ok().flatten()
}

fn answers(packet: &[u8], question: &Message) -> Option<Message> {
    let answer = Message::from_vec(packet).ok()?;
    let same = answer.metadata.id == question.metadata.id && answer.queries == question.queries;
    same.then_some(answer)
}

async fn over_udp(address: SocketAddr, packet: &[u8], question: &Message) -> Option<Message> {
    // A fresh socket has a port that nobody can guess, and connected it hears only this server (RFC 5452 §9).
    let any: SocketAddr = if address.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = UdpSocket::bind(any).await.ok()?;
    socket.connect(address).await.ok()?;
    socket.send(packet).await.ok()?;
    let mut room = vec![0; 65_535];
    loop {
        let length = socket.recv(&mut room).await.ok()?;
        if let Some(answer) = answers(&room[..length], question) {
            return Some(answer);
        }
    }
}

async fn over_tcp(address: SocketAddr, packet: &[u8], question: &Message) -> Option<Message> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_u16(u16::try_from(packet.len()).ok()?).await.ok()?;
    stream.write_all(packet).await.ok()?;
    let length = stream.read_u16().await.ok()?;
    let mut room = vec![0; usize::from(length)];
    stream.read_exact(&mut room).await.ok()?;
    answers(&room, question)
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::op::OpCode;
    use hickory_resolver::proto::rr::rdata::{CNAME, TXT};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_str(text).unwrap()
    }

    fn answer(code: ResponseCode, records: Vec<(&str, RData)>) -> Message {
        let mut answer = Message::response(1, OpCode::Query);
        answer.metadata.authoritative = true;
        answer.metadata.response_code = code;
        for (owner, data) in records {
            answer.add_answer(Record::from_rdata(name(owner), 300, data));
        }
        answer
    }

    fn text(value: &[&str]) -> RData {
        RData::TXT(TXT::new(value.iter().map(|&piece| piece.to_owned()).collect()))
    }

    fn alias(target: &str) -> RData {
        RData::CNAME(CNAME(name(target)))
    }

    fn told(answer: &Message) -> String {
        match read(answer, &name("s._domainkey.example.com."), true) {
            None => "nothing".to_owned(),
            Some(Told::Texts(texts)) => format!("{:?} {}", texts.texts, texts.ttl),
            Some(Told::Alias(target)) => format!("see {target}"),
        }
    }

    #[test]
    fn an_answer_is_read_as_a_verifier_would() {
        let owner = "s._domainkey.example.com.";
        let joined = answer(ResponseCode::NoError, vec![(owner, text(&["v=DKIM1; p=ab", "cd"]))]);
        assert_eq!(told(&joined), "[\"v=DKIM1; p=abcd\"] 300");
        assert_eq!(told(&answer(ResponseCode::NXDomain, vec![])), "[] 0");
        assert_eq!(told(&answer(ResponseCode::NoError, vec![])), "[] 0");
        assert_eq!(told(&answer(ResponseCode::ServFail, vec![])), "nothing");
        let mut lame = answer(ResponseCode::NoError, vec![]);
        lame.metadata.authoritative = false;
        assert_eq!(told(&lame), "nothing", "a referral is no answer");
        assert_eq!(
            told(&answer(ResponseCode::NoError, vec![(owner, alias("k.relay.example."))])),
            "see k.relay.example."
        );
        let both = vec![(owner, alias("k.relay.example.")), ("k.relay.example.", text(&["x"]))];
        assert_eq!(told(&answer(ResponseCode::NoError, both)), "[\"x\"] 300");
        let circle = vec![(owner, alias(owner))];
        assert_eq!(told(&answer(ResponseCode::NoError, circle)), "[] 0", "an alias of itself is nothing");
        assert_eq!(told(&answer(ResponseCode::NoError, vec![("other.example.com.", text(&["y"]))])), "[] 0");
    }
}
