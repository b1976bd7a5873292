//! An authoritative DNS server on a loopback port, with names that answer, are missing, fail or stay silent.
//!
//! It answers for every name: one that was given no record does not exist (NXDOMAIN). UDP, and TCP for a resolver
//! that comes back for a long answer.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_server::proto::op::{Edns, Message, ResponseCode};
use hickory_server::proto::rr::rdata::{A, CNAME, MX, SOA, TXT};
use hickory_server::proto::rr::{Name, RData, Record, RecordType};
use parking_lot::Mutex;

/// How a name misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// SERVFAIL.
    Fails,
    /// No answer at all.
    Silent,
}

#[derive(Default)]
struct Zone {
    records: HashMap<Name, Vec<RData>>,
    troubles: HashMap<Name, Trouble>,
    asked: Vec<(String, RecordType)>,
}

/// The server; ends with the process.
#[derive(Clone)]
pub struct Dns {
    address: SocketAddr,
    zone: Arc<Mutex<Zone>>,
}

fn name(text: &str) -> Name {
    let mut name = Name::from_str(text).unwrap_or_else(|problem| panic!("{text:?} is not a name: {problem}"));
    name.set_fqdn(true);
    name.to_lowercase()
}

impl Dns {
    /// Starts an empty one.
    pub fn start() -> io::Result<Self> {
        let (udp, tcp) = bind_both()?;
        let address = udp.local_addr()?;
        let zone = Arc::new(Mutex::new(Zone::default()));
        let (for_udp, for_tcp) = (zone.clone(), zone.clone());
        std::thread::spawn(move || {
            let mut packet = [0_u8; 4096];
            while let Ok((count, from)) = udp.recv_from(&mut packet) {
                if let Some(answer) = answer(&for_udp, &packet[..count]) {
                    let _ = udp.send_to(&answer, from);
                }
            }
        });
        std::thread::spawn(move || {
            for mut socket in tcp.incoming().flatten() {
                let zone = for_tcp.clone();
                std::thread::spawn(move || while serve_one(&mut socket, &zone).is_ok() {});
            }
        });
        Ok(Self { address, zone })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn add(&self, owner: &str, data: RData) {
        self.zone.lock().records.entry(name(owner)).or_default().push(data);
    }

    /// An address record.
    pub fn a(&self, owner: &str, address: Ipv4Addr) -> &Self {
        self.add(owner, RData::A(A(address)));
        self
    }

    /// A mail exchanger.
    pub fn mx(&self, owner: &str, preference: u16, host: &str) -> &Self {
        self.add(owner, RData::MX(MX::new(preference, name(host))));
        self
    }

    /// `MX 0 .`: the domain takes no mail (RFC 7505).
    pub fn null_mx(&self, owner: &str) -> &Self {
        self.add(owner, RData::MX(MX::new(0, Name::root())));
        self
    }

    /// Text, cut into strings of 255 octets.
    pub fn txt(&self, owner: &str, text: &str) -> &Self {
        let strings = text.as_bytes().chunks(255).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect();
        self.add(owner, RData::TXT(TXT::new(strings)));
        self
    }

    /// The only text that stands at a name from now on.
    pub fn replace_txt(&self, owner: &str, text: &str) -> &Self {
        if let Some(records) = self.zone.lock().records.get_mut(&name(owner)) {
            records.retain(|data| data.record_type() != RecordType::TXT);
        }
        self.txt(owner, text)
    }

    /// An alias.
    pub fn cname(&self, owner: &str, target: &str) -> &Self {
        self.add(owner, RData::CNAME(CNAME(name(target))));
        self
    }

    /// Makes a name misbehave.
    pub fn trouble(&self, owner: &str, trouble: Trouble) -> &Self {
        self.zone.lock().troubles.insert(name(owner), trouble);
        self
    }

    /// Lets a name behave again.
    pub fn heal(&self, owner: &str) -> &Self {
        self.zone.lock().troubles.remove(&name(owner));
        self
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<(String, RecordType)> {
        self.zone.lock().asked.clone()
    }
}

/// The same port for UDP and TCP; one that is free for the first may be taken for the second.
fn bind_both() -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = io::Error::from(io::ErrorKind::AddrInUse);
    for _ in 0..20 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(taken) => last = taken,
        }
    }
    Err(last)
}

fn serve_one(socket: &mut std::net::TcpStream, zone: &Mutex<Zone>) -> io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut length = [0_u8; 2];
    socket.read_exact(&mut length)?;
    let mut packet = vec![0_u8; usize::from(u16::from_be_bytes(length))];
    socket.read_exact(&mut packet)?;
    let Some(answer) = answer(zone, &packet) else { return Ok(()) };
    let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
    socket.write_all(&length.to_be_bytes())?;
    socket.write_all(&answer)
}

/// The answer to a packet; `None` to stay silent.
fn answer(zone: &Mutex<Zone>, packet: &[u8]) -> Option<Vec<u8>> {
    let question = Message::from_vec(packet).ok()?;
    let query = question.queries.first()?.clone();
    let asked = query.name.to_lowercase();
    let mut zone = zone.lock();
    zone.asked.push((asked.to_string(), query.query_type));
    let trouble = zone.troubles.iter().find(|(owner, _)| owner.zone_of(&asked)).map(|(_, trouble)| *trouble);
    let mut reply = Message::response(question.metadata.id, question.metadata.op_code);
    reply.metadata.authoritative = true;
    reply.metadata.recursion_desired = question.metadata.recursion_desired;
    reply.metadata.recursion_available = true;
    reply.add_query(query.clone());
    if question.edns.is_some() {
        let mut edns = Edns::new();
        edns.set_max_payload(4096);
        reply.set_edns(edns);
    }
    match trouble {
        Some(Trouble::Silent) => return None,
        Some(Trouble::Fails) => reply.metadata.response_code = ResponseCode::ServFail,
        None => fill(&zone, &asked, query.query_type, &mut reply),
    }
    reply.to_vec().ok()
}

fn fill(zone: &Zone, asked: &Name, kind: RecordType, reply: &mut Message) {
    let mut owner = asked.clone();
    // An alias is followed as far as this server knows; eight steps are enough for any test.
    for _ in 0..8 {
        let Some(records) = zone.records.get(&owner) else { break };
        for data in records.iter().filter(|data| data.record_type() == kind) {
            reply.add_answer(Record::from_rdata(owner.clone(), 60, data.clone()));
        }
        let alias =
            records.iter().find_map(|data| if let RData::CNAME(target) = data { Some(target.0.clone()) } else { None });
        match alias {
            Some(target) if kind != RecordType::CNAME => {
                reply.add_answer(Record::from_rdata(owner, 60, RData::CNAME(CNAME(target.clone()))));
                owner = target;
            }
            _ => break,
        }
    }
    if reply.answers.is_empty() {
        // A name without records of its own exists if something below it does (RFC 8020).
        let exists = zone.records.keys().any(|name| asked.zone_of(name));
        reply.metadata.response_code = if exists { ResponseCode::NoError } else { ResponseCode::NXDomain };
        let soa = SOA::new(name("ns.invalid"), name("hostmaster.invalid"), 1, 60, 60, 60, 1);
        reply.add_authority(Record::from_rdata(asked.base_name(), 1, RData::SOA(soa)));
    }
}
