//! The configuration as the program uses it: checked, with defaults filled in.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::message::{DomainName, Mailbox};
use crate::redact;
use crate::sign::TlsLevel;

/// Everything that the one TOML file says.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it was read from; `None` when a program put it together.
    pub source: Option<PathBuf>,
    /// EHLO and PTR name.
    pub hostname: DomainName,
    /// Where everything is kept.
    pub data_dir: PathBuf,
    /// The doors.
    pub listeners: Vec<Listener>,
    /// Certificate and key of the TLS listeners.
    pub tls: Option<TlsFiles>,
    /// Where the key-encryption key comes from.
    pub kek: SecretRef,
    /// Bounds on everything.
    pub limits: Limits,
    /// The operator's redaction policy; a tenant's own stands above it.
    pub redaction: redact::Policy,
    /// May a tenant's policy be `report` or `off`?
    pub allow_unredacted: bool,
    /// Must a tenant prove that a domain is its own?
    pub proof_required: bool,
    /// What the operator brings to domains' records.
    pub records: Records,
    /// DKIM.
    pub dkim: Dkim,
    /// The queue.
    pub queue: Queue,
    /// Delivery.
    pub delivery: Delivery,
    /// Reports on TLS.
    pub tls_report: TlsReport,
    /// Source addresses.
    pub egress: Vec<Egress>,
    /// DNS.
    pub dns: Dns,
    /// The spam filter of posts.
    pub spam: Spam,
    /// Who may enter the pages.
    pub web: crate::web::settings::WebSettings,
    /// Events on standard output.
    pub log: Log,
}

/// A secret by reference; the secret itself is never in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretRef {
    /// `file:PATH`.
    File(PathBuf),
    /// `env:NAME`.
    Env(String),
    /// `cred:NAME`, a systemd credential.
    Credential(String),
}

/// What a listener serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerKind {
    /// Mail from services.
    Submission,
    /// Bounces to return-path tokens.
    Bounce,
    /// Posts by mail.
    Posts,
    /// Pages and API.
    Http,
    /// Prometheus.
    Metrics,
}

/// How a listener does TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenerTls {
    /// No AUTH and no mail before STARTTLS.
    StartTlsRequired,
    /// STARTTLS is offered; AUTH only under it.
    StartTls,
    /// TLS from the first octet.
    Implicit,
    /// None; loopback addresses only.
    None,
}

/// A door.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Its name in metrics and events.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<SocketAddr>,
    /// What it serves.
    pub kind: ListenerKind,
    /// Its TLS.
    pub tls: ListenerTls,
    /// Who may speak the PROXY protocol to it (and then must).
    pub proxy_from: Vec<ipnet::IpNet>,
    /// The address that browsers use.
    pub public_url: Option<String>,
}

/// Certificate chain and key, PEM.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsFiles {
    /// The chain.
    pub certificate: SecretRef,
    /// The key.
    pub key: SecretRef,
}

/// Bounds on everything that comes from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// Octets of a message.
    pub message_size: usize,
    /// Recipients of a message.
    pub recipients: usize,
    /// Connections in all.
    pub connections: usize,
    /// Connections from one address.
    pub connections_per_ip: usize,
    /// MIME nesting.
    pub mime_depth: usize,
    /// MIME parts.
    pub mime_parts: usize,
    /// Octets of messages in flight.
    pub memory_for_messages: usize,
    /// Commands in one session.
    pub commands: usize,
    /// Refused commands before the session is ended.
    pub errors: usize,
    /// Messages in one session.
    pub messages_per_session: usize,
    /// Chunks (BDAT) in one message.
    pub chunks: usize,
    /// A client that says nothing for this long is sent away (421).
    pub idle: Duration,
    /// A session's whole life.
    pub session: Duration,
    /// Longest time for one message's data, whatever drips in.
    pub data: Duration,
    /// Failed AUTH attempts from one address or for one user inside `authentication_window` before a refusal.
    pub authentication_failures: u32,
    /// The window of `authentication_failures`.
    pub authentication_window: Duration,
}

/// DKIM defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Dkim {
    /// Algorithms of the keys that a new domain gets.
    pub algorithms: Vec<String>,
    /// Rotation.
    pub rotate_every: Duration,
    /// How long a key is published before it signs.
    pub prepublish: Duration,
    /// How long a key stays published after it signed last.
    pub overlap: Duration,
    /// Where key records of new domains are delegated to.
    pub delegation: Option<DkimDelegation>,
    /// How long a retired key's private half is kept.
    pub keep_retired: Duration,
    /// The folder that retired keys' private halves are published in.
    pub publish_retired: Option<PathBuf>,
}

/// What the operator brings to domains' records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// `rua=` of DMARC records.
    pub dmarc_reports: Option<String>,
    /// `ruf=` of DMARC records.
    pub dmarc_failure_reports: Option<String>,
    /// The name whose SPF record lists the addresses.
    pub spf_include: Option<DomainName>,
    /// The name that return paths are aliases of.
    pub return_path_host: Option<DomainName>,
    /// `id=` of the return paths' MTA-STS policy.
    pub mta_sts_id: Option<String>,
    /// Who serves it.
    pub mta_sts_host: Option<DomainName>,
    /// `rua=` of TLS-RPT records.
    pub tls_reports: Option<String>,
    /// TLSA values of the host of notices.
    pub tlsa: Vec<String>,
}

/// A zone of the operator's for key records.
#[derive(Debug, Clone, PartialEq)]
pub struct DkimDelegation {
    /// The zone.
    pub zone: DomainName,
    /// Who takes changes of it.
    pub server: SocketAddr,
    /// The TSIG key, `algorithm:name:secret`.
    pub key: SecretRef,
    /// How long a key signs.
    pub rotate_every: Duration,
}

/// The queue's policy.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Waits between attempts; the last one repeats.
    pub retry: Vec<Duration>,
    /// When a letter is given up.
    pub expire_after: Duration,
    /// When its sender is told of the delay.
    pub warn_after: Duration,
    /// How long it is kept what happened to a letter.
    pub history: Duration,
    /// Less free disk than this: 452.
    pub reserve_free: u64,
}

/// Delivery.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The default TLS level.
    pub tls: TlsLevel,
    /// Honour MTA-STS.
    pub mta_sts: bool,
    /// Honour DANE.
    pub dane: bool,
    /// Extra trust anchors.
    pub ca_file: Option<PathBuf>,
    /// Routes, first match wins.
    pub routes: Vec<Route>,
    /// Shaping: the operator's, then those that are known anyway.
    pub sites: Vec<Site>,
    /// Connections to one destination where no site says otherwise.
    pub connections_per_destination: usize,
    /// Connections in all.
    pub connections: usize,
    /// Time limits of the dialogue.
    pub timeouts: DialogueTimeouts,
}

/// How long each step of a delivery may take (RFC 5321 §4.5.3.2 gives the lower bounds of the defaults).
#[derive(Debug, Clone, PartialEq)]
pub struct DialogueTimeouts {
    /// TCP.
    pub connect: Duration,
    /// The greeting.
    pub greeting: Duration,
    /// EHLO, STARTTLS, MAIL, RCPT, RSET.
    pub command: Duration,
    /// A block of data.
    pub data_block: Duration,
    /// The final reply.
    pub final_reply: Duration,
}

/// A domain, a wildcard below a domain, or everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainPattern {
    /// `example.com`.
    Exact(DomainName),
    /// `*.example.com`: every name below, not the name itself.
    Below(DomainName),
    /// `*`.
    Any,
}

impl std::str::FromStr for DomainPattern {
    type Err = crate::message::AddressError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("*.") {
            Some(parent) => parent.parse().map(Self::Below),
            None if text == "*" => Ok(Self::Any),
            None => text.parse().map(Self::Exact),
        }
    }
}

impl std::fmt::Display for DomainPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exact(name) => write!(f, "{name}"),
            Self::Below(parent) => write!(f, "*.{parent}"),
            Self::Any => f.write_str("*"),
        }
    }
}

impl DomainPattern {
    /// Does the pattern cover `name`?
    pub fn matches(&self, name: &DomainName) -> bool {
        match self {
            Self::Exact(exact) => exact == name,
            Self::Below(parent) => name != parent && name.is_within(parent),
            Self::Any => true,
        }
    }
}

/// Where mail for a domain goes instead of to its MX.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The recipient domains.
    pub domain: DomainPattern,
    /// A host name or an address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The TLS level for this route, if not the default.
    pub tls: Option<TlsLevel>,
}

/// Limits for a group of destinations.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Its name, for `queue why` and `queue suspend`.
    pub name: String,
    /// Do all destinations that match share the limits? Else each set of MX hosts has them for itself.
    pub together: bool,
    /// Matches the MX host.
    pub match_mx: Vec<DomainPattern>,
    /// Matches the recipient domain.
    pub match_domain: Vec<DomainPattern>,
    /// Connections at once.
    pub connections: Option<usize>,
    /// Messages on one connection.
    pub messages_per_connection: Option<usize>,
    /// Messages a second.
    pub rate: Option<f64>,
    /// The TLS level.
    pub tls: Option<TlsLevel>,
}

/// Reports on TLS (RFC 8460).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsReport {
    /// Are they sent?
    pub send: bool,
    /// Who sends them by mail.
    pub from: Option<Mailbox>,
    /// Who reports.
    pub organization: Option<String>,
}

/// A source address.
#[derive(Debug, Clone, PartialEq)]
pub struct Egress {
    /// Its name.
    pub name: String,
    /// The address that connections are bound to.
    pub address: IpAddr,
    /// The EHLO name.
    pub ehlo: DomainName,
    /// The pool that it belongs to.
    pub pool: String,
    /// Its share of the pool's letters, relative to the others'.
    pub weight: u32,
    /// How it is brought into use; `None` is at once.
    pub warm_up: Option<WarmUp>,
}

/// A source address that nobody knows yet gets more letters day by day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WarmUp {
    /// The first day, at its beginning in UTC.
    pub first_day: Timestamp,
    /// Letters on each day; after the last one any number.
    pub letters: Vec<u64>,
}

/// DNS.
#[derive(Debug, Clone, PartialEq)]
pub struct Dns {
    /// The servers; empty: as the system has them.
    pub servers: Vec<SocketAddr>,
    /// The port that MX hosts are dialled on.
    pub smtp_port: u16,
    /// The port that MTA-STS policies are fetched from.
    pub https_port: u16,
    /// DNSKEY records that validation begins at; `None`: the root's own.
    pub trust_anchor: Option<PathBuf>,
}

/// Posts for help centers: from which probability on they are published or taken for spam without a person.
#[derive(Debug, Clone, PartialEq)]
pub struct Spam {
    /// The model's file; `None` is the one built in.
    pub model: Option<PathBuf>,
    /// Below this probability of spam a post is published.
    pub publish_below: f64,
    /// Above this probability it is spam; between the two a person decides.
    pub spam_above: f64,
}

/// Events.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// JSON, or text for people.
    pub json: bool,
    /// How addresses are shown.
    pub addresses: AddressDetail,
}

/// How much of a mail address an event shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressDetail {
    /// All of it.
    Full,
    /// A keyed hash of the local part, and the domain.
    Hashed,
    /// The domain only.
    None,
}
