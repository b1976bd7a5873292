//! The simulated network: DNS that fails, hosts that refuse, stall, hang up anywhere in the dialogue, answer 4xx and
//! 5xx, and take a message without saying so. What they took is written down.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::world::World;
use crate::deliver::{Dialer, Stream};
use crate::message::DomainName;
use crate::resolver::{AddressAnswer, DnsFailure, MxAnswer, Resolver, StaticResolver, TlsaAnswer};

/// Takes everything at once.
pub(super) const HEALTHY: &str = "healthy.example";
/// Fails in every way that there is.
pub(super) const FLAKY: &str = "flaky.example";
/// Cannot be reached until all is mended.
pub(super) const DEAD: &str = "dead.example";
/// Has DNS servers that fail.
pub(super) const MOODY: &str = "moody.example";
/// Does not exist.
pub(super) const NOWHERE: &str = "nowhere.example";
/// Where the senders read their notices.
pub(super) const SENDERS: &str = "senders.example";

const HOSTS: [&str; 5] = [HEALTHY, FLAKY, DEAD, MOODY, SENDERS];

/// A message that a host took for one recipient.
#[derive(Debug, Clone)]
pub(super) struct Take {
    pub(super) recipient: String,
    pub(super) message: Arc<Vec<u8>>,
    /// Did the client get the 250?
    pub(super) replied: bool,
    /// In which run of the gateway.
    pub(super) run: usize,
}

/// What a host does where it could do right.
enum Mishap {
    HangUp,
    Stall,
    Reply(&'static str),
}

pub(super) struct Network {
    pub(super) world: Arc<World>,
    dns: StaticResolver,
}

impl Network {
    pub(super) fn new(world: Arc<World>) -> Self {
        let mut dns = StaticResolver::new();
        for (place, domain) in HOSTS.iter().enumerate() {
            let host = format!("mx.{domain}");
            dns = dns.with_mx(domain, 10, &host).with_address(&host, address(place));
        }
        Self { world, dns }
    }
}

fn address(place: usize) -> IpAddr {
    IpAddr::from([192, 0, 2, 1 + place as u8])
}

#[async_trait]
impl Resolver for Network {
    async fn mx(&self, domain: &DomainName) -> Result<MxAnswer, DnsFailure> {
        if domain.as_str() == MOODY && self.world.mishap(400) {
            return Err(if self.world.mishap(500) { DnsFailure::ServFail } else { DnsFailure::Timeout });
        }
        self.dns.mx(domain).await
    }
    async fn addresses(&self, host: &DomainName) -> Result<AddressAnswer, DnsFailure> {
        if host.as_str().ends_with(MOODY) && self.world.mishap(300) {
            return Err(DnsFailure::ServFail);
        }
        self.dns.addresses(host).await
    }
    async fn txt(&self, name: &DomainName, fresh: bool) -> Result<Vec<String>, DnsFailure> {
        self.dns.txt(name, fresh).await
    }
    async fn tlsa(&self, name: &DomainName) -> Result<TlsaAnswer, DnsFailure> {
        self.dns.tlsa(name).await
    }
}

#[async_trait]
impl Dialer for Network {
    async fn dial(&self, to: SocketAddr, _: Option<IpAddr>) -> io::Result<Box<dyn Stream>> {
        let place = (0..HOSTS.len()).find(|place| address(*place) == to.ip());
        let domain = HOSTS[place.ok_or(io::ErrorKind::HostUnreachable)?];
        if domain == DEAD && !self.world.is_mended() || domain == FLAKY && self.world.mishap(100) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let host = Host { world: self.world.clone(), domain, run: self.world.run() };
        tokio::spawn(async move {
            // An error is a client that went away.
            let _ = host.serve(theirs).await;
        });
        Ok(Box::new(ours))
    }
}

struct Host {
    world: Arc<World>,
    domain: &'static str,
    run: usize,
}

impl Host {
    fn mishap(&self, rejects: bool) -> Option<Mishap> {
        if !matches!(self.domain, FLAKY | MOODY | SENDERS) || !self.world.mishap(80) {
            return None;
        }
        Some(match self.world.below(if rejects { 5 } else { 4 }) {
            0 | 1 => Mishap::HangUp,
            2 => Mishap::Stall,
            3 => Mishap::Reply("451 4.3.0 not now"),
            _ => Mishap::Reply("550 5.1.1 nobody of this name"),
        })
    }

    async fn serve(&self, stream: tokio::io::DuplexStream) -> io::Result<()> {
        let (reader, mut writer) = tokio::io::split(stream);
        let mut lines = BufReader::new(reader);
        // `None` outside of a transaction.
        let mut transaction: Option<Vec<String>> = None;
        match self.mishap(false) {
            Some(Mishap::HangUp) => return Ok(()),
            Some(Mishap::Stall) => std::future::pending::<()>().await,
            Some(Mishap::Reply(_)) => return writer.write_all(b"421 4.3.2 come back later\r\n").await,
            None => writer.write_all(b"220 mx ESMTP\r\n").await?,
        }
        loop {
            let mut line = String::new();
            if lines.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let verb = line.get(..4).unwrap_or_default().to_ascii_uppercase();
            let reply = match (verb.as_str(), self.mishap(verb == "RCPT")) {
                ("QUIT", _) => return writer.write_all(b"221 2.0.0 bye\r\n").await,
                (_, Some(Mishap::HangUp)) => return Ok(()),
                (_, Some(Mishap::Stall)) => std::future::pending().await,
                ("RCPT" | "DATA", _) if transaction.is_none() => "503 5.5.1 MAIL first",
                ("MAIL" | "RCPT" | "DATA", Some(Mishap::Reply(reply))) => reply,
                ("EHLO", _) => "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 10000000",
                ("MAIL", _) => {
                    transaction = Some(Vec::new());
                    "250 2.1.0 ok"
                }
                ("RCPT", _) => {
                    let to = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                    let to = to.map(|(address, _)| address.to_owned());
                    transaction.get_or_insert_default().extend(to);
                    "250 2.1.5 ok"
                }
                ("DATA", _) if transaction.as_ref().is_some_and(Vec::is_empty) => "554 5.5.1 no valid recipients",
                ("DATA", _) => {
                    let recipients = transaction.take().unwrap_or_default();
                    writer.write_all(b"354 go on\r\n").await?;
                    if !self.take(&mut lines, &mut writer, &recipients).await? {
                        return Ok(());
                    }
                    continue;
                }
                ("RSET", _) => {
                    transaction = None;
                    "250 2.0.0 ok"
                }
                _ => "250 2.0.0 ok",
            };
            writer.write_all(format!("{reply}\r\n").as_bytes()).await?;
        }
    }

    /// Reads a message and answers; does the dialogue go on?
    async fn take(
        &self,
        lines: &mut BufReader<tokio::io::ReadHalf<tokio::io::DuplexStream>>,
        writer: &mut tokio::io::WriteHalf<tokio::io::DuplexStream>,
        recipients: &[String],
    ) -> io::Result<bool> {
        let cut = matches!(self.mishap(false), Some(Mishap::HangUp));
        let mut message = Vec::new();
        loop {
            let begun = message.len();
            if lines.read_until(b'\n', &mut message).await? == 0 {
                return Ok(false);
            }
            if &message[begun..] == b".\r\n" {
                message.truncate(begun);
                break;
            }
            if message[begun] == b'.' {
                message.remove(begun);
            }
            if cut && message.len() > 200 {
                return Ok(false);
            }
        }
        let message = Arc::new(message);
        let mishap = self.mishap(true);
        let replied = mishap.is_none();
        if !matches!(mishap, Some(Mishap::Reply(_))) {
            let take = |recipient: &String| Take {
                recipient: recipient.clone(),
                message: message.clone(),
                replied,
                run: self.run,
            };
            self.world.takes.lock().extend(recipients.iter().map(take));
        }
        match mishap {
            None => writer.write_all(b"250 2.0.0 taken\r\n").await?,
            Some(Mishap::Reply(reply)) => writer.write_all(format!("{reply}\r\n").as_bytes()).await?,
            Some(Mishap::HangUp) => return Ok(false),
            Some(Mishap::Stall) => std::future::pending().await,
        }
        Ok(true)
    }
}

/// What every host took.
pub(super) type Takes = Mutex<Vec<Take>>;
