//! Delivery: from a destination to the receiving server's final reply.
//!
//! The scheduler calls [`Courier::deliver`] with one [`Transaction`]: all recipients of a letter that share a
//! [`Destination`]. The way inside: [`targets`] (routes, MX, addresses), [`tls_policy`], [`pool`], [`connect`],
//! [`dialogue`], and [`outcome`], the only place where a reply gets a meaning. [`notice`] writes to senders.

pub mod connect;
pub mod courier;
pub mod dane;
pub mod dialer;
pub mod dialogue;
pub mod egress;
pub mod https;
pub mod link;
pub mod mta_sts;
pub mod notice;
pub mod outcome;
pub mod pool;
pub mod reply;
pub mod shaping;
pub mod targets;
pub mod tls;
pub mod tls_policy;
pub mod tls_report;
pub mod verifier;

use bytes::Bytes;

use crate::ids::LetterId;
use crate::message::{DomainName, Recipient, ReturnContent, ReversePath};
use crate::sign::TlsLevel;

pub use courier::{Courier, CourierError, RouteExplanation};
pub use dialer::{Dialer, Stream, TcpDialer};

/// Where a letter goes: what recipients must share to share a transaction.
#[derive(Debug, Clone, PartialEq)]
pub struct Destination {
    /// Its name: equal keys are equal destinations.
    pub key: String,
    /// How its servers are found.
    pub kind: DestinationKind,
    /// What a site that matches the recipient domain says.
    pub rules: Option<SiteRules>,
    /// The site whose limits it shares: `group/NAME`, `mx/` and the sorted MX hosts, or `route/…`. `None` until the
    /// domain's MX hosts are known.
    pub site: Option<std::sync::Arc<str>>,
}

impl Destination {
    /// What limits and turns are counted by: the site, or the destination alone while its site is not known.
    pub fn lane(&self) -> &str {
        self.site.as_deref().unwrap_or(&self.key)
    }

    /// Do all destinations of the lane have the same hosts? If one cannot be reached then, none can.
    pub fn shares_hosts(&self) -> bool {
        self.site.as_deref().is_none_or(|site| !site.starts_with(GROUP))
    }
}

/// How the names of sites begin that are a `[[delivery.site]]`, whatever hosts they have.
pub const GROUP: &str = "group/";

/// How a destination's servers are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DestinationKind {
    /// As configured; no MX look-up, and any address is allowed.
    Route {
        /// A host name or an address.
        host: String,
        /// Its port.
        port: u16,
        /// The route's TLS level.
        tls: Option<TlsLevel>,
    },
    /// By the domain's MX records.
    Mx(DomainName),
}

/// What one `[[delivery.site]]` says; `None` is "as by default".
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SiteRules {
    /// Connections at once.
    pub connections: Option<usize>,
    /// Messages on one connection.
    pub messages_per_connection: Option<usize>,
    /// Messages a second.
    pub rate: Option<f64>,
    /// The TLS level.
    pub tls: Option<TlsLevel>,
}

/// The limits of a destination, defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct DestinationLimits {
    /// Connections at once. The scheduler keeps to it; the pool never opens one that was not asked for.
    pub connections: usize,
    /// Messages on one connection; kept by the courier.
    pub messages_per_connection: usize,
    /// Messages a second; `None` is no limit. The scheduler keeps to it.
    pub rate: Option<f64>,
}

/// One letter to some of its recipients, all at one destination.
#[derive(Debug, Clone)]
#[allow(clippy::struct_excessive_bools)] // each is a fact of its own about the letter
pub struct Transaction {
    /// The letter's id.
    pub id: LetterId,
    /// Where.
    pub destination: Destination,
    /// `MAIL FROM`.
    pub reverse_path: ReversePath,
    /// `RCPT TO`.
    pub recipients: Vec<Recipient>,
    /// The sealed bytes.
    pub message: Bytes,
    /// SMTPUTF8 was asked for by the sender; it is used where the letter really needs it.
    pub smtputf8: bool,
    /// The bytes need 8BITMIME.
    pub eight_bit: bool,
    /// REQUIRETLS was asked for.
    pub require_tls: bool,
    /// `RET`.
    pub return_content: Option<ReturnContent>,
    /// `ENVID`, xtext.
    pub envelope_id: Option<String>,
    /// The least TLS that tenant and message ask for.
    pub tls: TlsLevel,
    /// Is it a TLS report of our own? Those are not reported on.
    pub report: bool,
    /// The pool of source addresses that the tenant's letters leave from; `None` is the default one.
    pub egress_pool: Option<String>,
}

#[cfg(test)]
mod tests;
