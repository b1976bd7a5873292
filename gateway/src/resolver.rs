//! DNS behind a trait: MX, addresses, TXT and TLSA, with the ways of failing told apart.
//!
//! Promises: a failure says whether it is an answer ("there is no such name") or the lack of one, because only the
//! first may ever end a letter or say that a policy is not there. Each answer says whether DNSSEC proves it: DANE
//! (RFC 7672 §2.2) believes nothing else.
//! Refuses: null MX among other records is ignored as RFC 7505 §3 wants; names that are no host names are dropped.

mod answers;
mod fixed;
mod hickory;

use std::net::IpAddr;

use async_trait::async_trait;

use crate::message::DomainName;

pub use fixed::StaticResolver;
pub use hickory::{HickoryResolver, ResolverSetupError};

/// Why a look-up gave nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum DnsFailure {
    /// The name does not exist (NXDOMAIN).
    #[error("no such name")]
    NoSuchName,
    /// The name exists, but has no such record.
    #[error("no such record")]
    NoData,
    /// The server could not find out.
    #[error("the DNS server failed")]
    ServFail,
    /// Nobody answered in time.
    #[error("the DNS query timed out")]
    Timeout,
    /// The answer is signed wrongly (DNSSEC).
    #[error("the DNS answer fails DNSSEC validation")]
    Bogus,
    /// Anything else: refused, malformed, no network.
    #[error("DNS: {0}")]
    Other(String),
}

impl DnsFailure {
    /// May the same question be answered later? Everything but the two real answers.
    pub const fn is_temporary(&self) -> bool {
        !matches!(self, Self::NoSuchName | Self::NoData)
    }
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MxRecord {
    /// Lower is tried first.
    pub preference: u16,
    /// The host.
    pub exchange: DomainName,
}

/// What the MX records of a domain say. No record at all is [`DnsFailure::NoData`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MxAnswer {
    /// `MX 0 .`: the domain takes no mail (RFC 7505).
    Null,
    /// The hosts.
    Hosts {
        /// In no particular order; empty if none of the names is a host name.
        records: Vec<MxRecord>,
        /// DNSSEC proves the whole set.
        secure: bool,
    },
}

/// The addresses of a host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressAnswer {
    /// IPv4 and IPv6 in turn, at least one.
    pub addresses: Vec<IpAddr>,
    /// The name that really has them, if the one asked for is an alias (CNAME).
    pub alias_of: Option<String>,
    /// DNSSEC proves the addresses, and every alias on the way to them.
    pub secure: bool,
    /// DNSSEC proves at least what stands at the name itself: the addresses, or the first alias (RFC 7672 §2.2.2).
    pub name_secure: bool,
}

/// One TLSA record (RFC 6698 §2.1), its numbers as they stand in DNS.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TlsaRecord {
    /// Certificate usage.
    pub usage: u8,
    /// Selector.
    pub selector: u8,
    /// Matching type.
    pub matching: u8,
    /// The certificate association data.
    pub data: Vec<u8>,
}

/// The TLSA records of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsaAnswer {
    /// At least one.
    pub records: Vec<TlsaRecord>,
    /// DNSSEC proves the whole set.
    pub secure: bool,
}

/// Who answers questions about names. Everything that needs DNS for delivery goes through this.
#[async_trait]
pub trait Resolver: Send + Sync + 'static {
    /// The MX records of a domain; [`DnsFailure::NoData`] if it has none.
    async fn mx(&self, domain: &DomainName) -> Result<MxAnswer, DnsFailure>;

    /// A and AAAA of a host, aliases followed.
    async fn addresses(&self, host: &DomainName) -> Result<AddressAnswer, DnsFailure>;

    /// The TXT records of a name, the strings of each joined. `fresh` goes past the cache of answers.
    async fn txt(&self, name: &DomainName, fresh: bool) -> Result<Vec<String>, DnsFailure>;

    /// The TLSA records of `_port._tcp.host`.
    async fn tlsa(&self, name: &DomainName) -> Result<TlsaAnswer, DnsFailure>;

    /// Why no answer can be proven by DNSSEC here, if that is so; DANE is then not to be had.
    fn no_dnssec(&self) -> Option<String> {
        None
    }
}
