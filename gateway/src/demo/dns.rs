//! The demo's DNS: one zone, `example.`, served by hickory's server on a loopback port.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::proto::rr::rdata::{A, MX, SOA, TXT};
use hickory_resolver::proto::rr::{LowerName, Name, RData, Record};
use hickory_server::Server;
use hickory_server::store::in_memory::InMemoryZoneHandler;
use hickory_server::zone_handler::{AxfrPolicy, Catalog, ZoneType};
use tokio::net::{TcpListener, UdpSocket};

use super::DemoError;

const TTL: u32 = 300;

/// A running server; it ends when it is dropped.
pub struct DnsServer {
    address: SocketAddr,
    zone: Arc<InMemoryZoneHandler>,
    _server: Server<Catalog>,
}

impl DnsServer {
    /// Serves an empty zone.
    pub async fn start() -> Result<Self, DemoError> {
        let origin = name("example.")?;
        let handler = InMemoryZoneHandler::empty(origin.clone(), ZoneType::Primary, AxfrPolicy::Deny, None);
        let soa = SOA::new(name("ns.example.")?, name("hostmaster.example.")?, 1, 3600, 600, 86400, 60);
        handler.upsert(Record::from_rdata(origin.clone(), TTL, RData::SOA(soa)), 1).await;
        let zone = Arc::new(handler);
        let mut catalog = Catalog::new();
        catalog.upsert(LowerName::new(&origin), vec![zone.clone()]);
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(DemoError::start("the DNS server"))?;
        let address = socket.local_addr().map_err(DemoError::start("the DNS server"))?;
        let mut server = Server::new(catalog);
        server.register_socket(socket);
        // The same port over TCP, for answers that do not fit; if it is taken, UDP alone does for the demo.
        if let Ok(listener) = TcpListener::bind(address).await {
            server.register_listener(listener, Duration::from_secs(5), 4096);
        }
        Ok(Self { address, zone, _server: server })
    }

    async fn publish(&self, owner: &str, data: RData) -> Result<(), DemoError> {
        self.zone.upsert(Record::from_rdata(name(owner)?, TTL, data), 1).await;
        Ok(())
    }

    /// Publishes `domain MX 10 host`, and the host on the loopback address.
    pub async fn publish_mail_host(&self, domain: &str, host: &str) -> Result<(), DemoError> {
        self.publish(domain, RData::MX(MX::new(10, name(host)?))).await?;
        self.publish(host, RData::A(A(Ipv4Addr::LOCALHOST))).await
    }

    /// Publishes a TXT record, in character-strings of at most 255 octets.
    pub async fn publish_text(&self, owner: &str, value: &str) -> Result<(), DemoError> {
        let pieces = value.as_bytes().chunks(255).map(|piece| String::from_utf8_lossy(piece).into_owned());
        self.publish(owner, RData::TXT(TXT::new(pieces.collect()))).await
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn name(text: &str) -> Result<Name, DemoError> {
    let absolute = if text.ends_with('.') { text.to_owned() } else { format!("{text}.") };
    Name::from_str(&absolute).map_err(|e| DemoError::Inside(format!("{text}: {e}")))
}
