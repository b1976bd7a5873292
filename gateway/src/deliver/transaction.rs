//! What the schedule asks of delivery.

use std::net::IpAddr;

use bytes::Bytes;

use crate::ids::LetterId;
use crate::message::{DomainName, Recipient, ReturnContent, ReversePath};
use crate::sign::TlsLevel;

/// Where recipients go together: the same key, the same connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// What connections and queues are kept under.
    pub key: String,
    /// How the hosts are found.
    pub kind: DestinationKind,
}

/// How the hosts of a destination are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationKind {
    /// A configured route.
    Route {
        /// A host name or an address.
        host: String,
        /// Its port.
        port: u16,
        /// The route's own TLS level.
        tls: Option<TlsLevel>,
    },
    /// The domain's MX.
    Mx(DomainName),
}

/// What a destination may be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct DestinationLimits {
    /// Connections at once.
    pub connections: usize,
    /// Messages on one connection.
    pub messages_per_connection: usize,
    /// Messages a second.
    pub rate: Option<f64>,
}

/// One message for recipients of one destination.
#[derive(Debug, Clone)]
pub struct Transaction {
    /// The letter, for events.
    pub id: LetterId,
    /// Where it goes.
    pub destination: Destination,
    /// `MAIL FROM`.
    pub reverse_path: ReversePath,
    /// `RCPT TO`.
    pub recipients: Vec<Recipient>,
    /// The bytes.
    pub message: Bytes,
    /// Does the message or an address need SMTPUTF8?
    pub smtputf8: bool,
    /// Do the bytes need 8BITMIME?
    pub eight_bit: bool,
    /// REQUIRETLS.
    pub require_tls: bool,
    /// `RET`.
    pub return_content: Option<ReturnContent>,
    /// `ENVID`.
    pub envelope_id: Option<String>,
    /// The level that tenant and message ask for.
    pub tls: TlsLevel,
    /// The source address, if one is configured.
    pub egress: Option<IpAddr>,
}
