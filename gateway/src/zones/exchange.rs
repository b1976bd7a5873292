//! One question to one server, and what the answer means.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::StreamExt;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::DnsExchange;
use hickory_resolver::net::{DnsHandle, NetError};
use hickory_resolver::proto::op::{
    DnsRequest, DnsRequestOptions, DnsResponse, Edns, Message, MessageType, OpCode, Query, ResponseCode,
};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType as WireType};
use waxseal_dns::{RecordType, Reply, SeenRecord};

/// One server gets this long for one question, TCP after a truncated answer included.
pub(super) const DEADLINE: Duration = Duration::from_secs(5);
/// The size of answer that passes everywhere without fragments (RFC 9715).
const PAYLOAD: u16 = 1_232;

/// How a question is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// To a zone's own server.
    Iterative,
    /// To a resolver.
    Recursive,
    /// To a resolver that shall not validate.
    RecursiveUnchecked,
}

/// What a server said.
#[derive(Debug)]
pub(super) struct Heard {
    /// The reply, and the aliases on the way to it.
    pub reply: Reply,
    pub aliases: Vec<String>,
    /// The server sends on to these servers of a zone below.
    pub referral: Option<Referral>,
    /// The zone that a denial comes from.
    pub denied_by: Option<String>,
}

/// A cut below the server's zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Referral {
    pub zone: String,
    /// Names of the servers with the addresses that came along.
    pub servers: Vec<(String, Vec<std::net::IpAddr>)>,
}

impl Heard {
    fn failed(reply: Reply) -> Self {
        Self { reply, aliases: Vec::new(), referral: None, denied_by: None }
    }
}

/// Asks, within the deadline.
pub(super) async fn ask(server: SocketAddr, name: &str, record_type: RecordType, manner: Manner) -> Heard {
    let question = match wire_name(name) {
        Ok(name) => Query::query(name, wire_type(record_type)),
        Err(reason) => return Heard::failed(Reply::Failed { reason }),
    };
    match tokio::time::timeout(DEADLINE, exchange(server, question.clone(), manner)).await {
        Ok(Ok(response)) => read(&response, &question, manner),
        Ok(Err(error)) => Heard::failed(read_error(&error)),
        Err(_) => Heard::failed(Reply::Timeout),
    }
}

async fn exchange(server: SocketAddr, question: Query, manner: Manner) -> Result<DnsResponse, NetError> {
    let provider = TokioRuntimeProvider::default();
    let udp = UdpClientStream::builder(server, provider.clone()).with_timeout(Some(DEADLINE)).exchange();
    let response = send(&udp, request(&question, manner)).await?;
    if !response.metadata.truncation {
        return Ok(response);
    }
    let tcp = TcpClientStream::exchange(server, None, DEADLINE, None, provider).await?;
    send(&tcp, request(&question, manner)).await
}

async fn send(to: &DnsExchange<TokioRuntimeProvider>, request: DnsRequest) -> Result<DnsResponse, NetError> {
    to.send(request).next().await.unwrap_or(Err(NetError::Timeout))
}

fn request(question: &Query, manner: Manner) -> DnsRequest {
    let mut message = Message::new(rand::random(), MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = manner != Manner::Iterative;
    message.metadata.checking_disabled = manner == Manner::RecursiveUnchecked;
    let mut edns = Edns::new();
    edns.set_max_payload(PAYLOAD);
    message.set_edns(edns);
    message.add_query(question.clone());
    let mut options = DnsRequestOptions::default();
    options.recursion_desired = manner != Manner::Iterative;
    DnsRequest::new(message, options)
}

fn wire_name(name: &str) -> Result<Name, String> {
    let mut parsed = Name::from_ascii(name).map_err(|error| format!("\"{name}\" is no name: {error}"))?;
    parsed.set_fqdn(true);
    Ok(parsed)
}

const fn wire_type(record_type: RecordType) -> WireType {
    match record_type {
        RecordType::Txt => WireType::TXT,
        RecordType::Mx => WireType::MX,
        RecordType::Cname => WireType::CNAME,
        RecordType::A => WireType::A,
        RecordType::Aaaa => WireType::AAAA,
        RecordType::Ns => WireType::NS,
        RecordType::Ptr => WireType::PTR,
        RecordType::Tlsa => WireType::TLSA,
        RecordType::Soa => WireType::SOA,
    }
}

fn read_error(error: &NetError) -> Reply {
    match error {
        NetError::Timeout => Reply::Timeout,
        other => Reply::Failed { reason: other.to_string() },
    }
}

/// A name in lower case without the dot at its end.
pub(super) fn plain(name: &Name) -> String {
    let mut text = name.to_ascii();
    text.make_ascii_lowercase();
    if text.ends_with('.') {
        text.pop();
    }
    text
}

/// The value as [`SeenRecord`] has it; `None` for a type that is not asked about.
fn value(data: &RData) -> Option<String> {
    Some(match data {
        // Joined without a space (RFC 7208 §3.3, RFC 6376 §3.6.2.2); what is not UTF-8 shows as U+FFFD.
        RData::TXT(txt) => String::from_utf8_lossy(&txt.txt_data.concat()).into_owned(),
        RData::MX(mx) => format!("{} {}", mx.preference, plain(&mx.exchange)),
        RData::CNAME(target) => plain(&target.0),
        RData::NS(target) => plain(&target.0),
        RData::PTR(target) => plain(&target.0),
        RData::A(address) => address.0.to_string(),
        RData::AAAA(address) => address.0.to_string(),
        RData::SOA(soa) => plain(&soa.mname),
        RData::TLSA(tlsa) => tlsa.to_string().to_ascii_lowercase(),
        _ => return None,
    })
}

fn read(response: &DnsResponse, question: &Query, manner: Manner) -> Heard {
    let soa = response.authorities.iter().find_map(|record| match &record.data {
        RData::SOA(soa) => Some((plain(&record.name), record.ttl.min(soa.minimum))),
        _ => None,
    });
    let negative_ttl = soa.as_ref().map(|(_, ttl)| *ttl);
    let mut heard = Heard::failed(Reply::Timeout);
    heard.denied_by = soa.map(|(zone, _)| zone);
    let mut owner = question.name().to_lowercase();
    let mut steps = 0;
    // A chain may go in circles; sixteen steps are more than any resolver follows.
    while let Some(target) = alias(&response.answers, &owner).filter(|_| question.query_type() != WireType::CNAME) {
        heard.aliases.push(plain(&target));
        owner = target.to_lowercase();
        steps += 1;
        if steps > 16 {
            heard.reply = Reply::Failed { reason: "the aliases (CNAME) go in a circle".to_owned() };
            return heard;
        }
    }
    let wanted =
        |record: &&Record| record.record_type() == question.query_type() && record.name.to_lowercase() == owner;
    let records: Vec<SeenRecord> = response
        .answers
        .iter()
        .filter(wanted)
        .filter_map(|record| Some(SeenRecord { value: value(&record.data)?, ttl: record.ttl }))
        .collect();
    heard.reply = match response.metadata.response_code {
        ResponseCode::NoError if !records.is_empty() => Reply::Records { records },
        ResponseCode::NoError if heard.aliases.is_empty() => {
            heard.referral = referral(response, &owner);
            Reply::NoData { negative_ttl }
        }
        // A zone's own server follows an alias only inside its zones, and may say so by any code (RFC 6604 §3).
        _ if !heard.aliases.is_empty() && manner == Manner::Iterative => Reply::Elsewhere,
        ResponseCode::NoError => Reply::NoData { negative_ttl },
        ResponseCode::NXDomain => Reply::NoSuchName { negative_ttl },
        ResponseCode::ServFail => Reply::ServFail,
        ResponseCode::Refused => Reply::Refused,
        other => Reply::Failed { reason: other.to_string() },
    };
    heard
}

fn alias(answers: &[Record], owner: &Name) -> Option<Name> {
    answers.iter().find_map(|record| match &record.data {
        RData::CNAME(target) if record.name.to_lowercase() == *owner => Some(target.0.clone()),
        _ => None,
    })
}

/// An answer without authority and without data that names servers of a zone on the way to `owner`.
fn referral(response: &DnsResponse, owner: &Name) -> Option<Referral> {
    if response.metadata.authoritative {
        return None;
    }
    let cut = |record: &&Record| matches!(record.data, RData::NS(_)) && record.name.zone_of(owner);
    let zone = response.authorities.iter().find(cut)?.name.clone();
    let mut servers: Vec<(String, Vec<std::net::IpAddr>)> = Vec::new();
    for record in response.authorities.iter().filter(cut).filter(|record| record.name == zone) {
        let RData::NS(server) = &record.data else { continue };
        let glue = response.additionals.iter().filter(|extra| extra.name == server.0);
        let addresses = glue.filter_map(|extra| match &extra.data {
            RData::A(address) => Some(std::net::IpAddr::V4(address.0)),
            RData::AAAA(address) => Some(std::net::IpAddr::V6(address.0)),
            _ => None,
        });
        servers.push((plain(&server.0), addresses.collect()));
    }
    Some(Referral { zone: plain(&zone), servers })
}
