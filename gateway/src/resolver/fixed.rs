//! A resolver that knows what it was told, for tests.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::{AddressAnswer, DnsFailure, MxAnswer, MxRecord, Resolver, TlsaAnswer, TlsaRecord};
use crate::message::DomainName;

type Answers<T> = Mutex<HashMap<String, Result<T, DnsFailure>>>;

/// A resolver that knows what it was told, for tests; what it was not told does not exist.
#[derive(Default)]
pub struct StaticResolver {
    mx: Answers<MxAnswer>,
    addresses: Answers<AddressAnswer>,
    txt: Answers<Vec<String>>,
    tlsa: Answers<Vec<TlsaRecord>>,
    /// Names whose answers are proven.
    proven: Mutex<HashSet<String>>,
}

impl StaticResolver {
    /// A resolver that knows nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an MX record; `exchange` `"."` makes it a null MX.
    ///
    /// # Panics
    /// If `exchange` is not a host name: the test is wrong.
    #[must_use]
    #[allow(clippy::expect_used)]
    pub fn with_mx(self, domain: &str, preference: u16, exchange: &str) -> Self {
        let mut map = self.mx.lock();
        if exchange == "." {
            map.insert(domain.to_owned(), Ok(MxAnswer::Null));
        } else {
            let record = MxRecord { preference, exchange: exchange.parse().expect("a host name") };
            match map.get_mut(domain) {
                Some(Ok(MxAnswer::Hosts { records, .. })) => records.push(record),
                _ => drop(map.insert(domain.to_owned(), Ok(MxAnswer::Hosts { records: vec![record], secure: false }))),
            }
        }
        drop(map);
        self
    }

    /// Adds an address.
    #[must_use]
    pub fn with_address(self, host: &str, address: IpAddr) -> Self {
        let mut map = self.addresses.lock();
        match map.get_mut(host) {
            Some(Ok(answer)) => answer.addresses.push(address),
            _ => drop(
                map.insert(host.to_owned(), Ok(AddressAnswer { addresses: vec![address], ..AddressAnswer::default() })),
            ),
        }
        drop(map);
        self
    }

    /// Says that `host` is an alias of `target`; both must have their addresses already.
    #[must_use]
    pub fn with_alias(self, host: &str, target: &str) -> Self {
        if let Some(Ok(answer)) = self.addresses.lock().get_mut(host) {
            answer.alias_of = Some(target.to_owned());
        }
        self
    }

    /// Says that DNSSEC proves every answer about this name.
    #[must_use]
    pub fn with_proof(self, name: &str) -> Self {
        self.proven.lock().insert(name.to_owned());
        self
    }

    /// Adds a TXT record, or makes the question fail.
    pub fn set_txt(&self, name: &str, answer: Result<&str, DnsFailure>) {
        self.txt.lock().insert(name.to_owned(), answer.map(|text| vec![text.to_owned()]));
    }

    /// Sets the TLSA records of a name, or makes the question fail.
    pub fn set_tlsa(&self, name: &str, answer: Result<Vec<TlsaRecord>, DnsFailure>) {
        self.tlsa.lock().insert(name.to_owned(), answer);
    }

    /// Makes MX questions about `domain` fail.
    pub fn fail_mx(&self, domain: &str, failure: DnsFailure) {
        self.mx.lock().insert(domain.to_owned(), Err(failure));
    }

    /// Makes address questions about `host` fail.
    pub fn fail_addresses(&self, host: &str, failure: DnsFailure) {
        self.addresses.lock().insert(host.to_owned(), Err(failure));
    }

    fn is_proven(&self, name: &str) -> bool {
        self.proven.lock().contains(name)
    }
}

#[async_trait]
impl Resolver for StaticResolver {
    async fn mx(&self, domain: &DomainName) -> Result<MxAnswer, DnsFailure> {
        let missing = || {
            let known = self.addresses.lock().contains_key(domain.as_str());
            Err(if known { DnsFailure::NoData } else { DnsFailure::NoSuchName })
        };
        let answer = self.mx.lock().get(domain.as_str()).cloned();
        match answer.unwrap_or_else(missing)? {
            MxAnswer::Hosts { records, .. } => Ok(MxAnswer::Hosts { records, secure: self.is_proven(domain.as_str()) }),
            MxAnswer::Null => Ok(MxAnswer::Null),
        }
    }

    async fn addresses(&self, host: &DomainName) -> Result<AddressAnswer, DnsFailure> {
        let answer = self.addresses.lock().get(host.as_str()).cloned();
        let mut answer = answer.unwrap_or(Err(DnsFailure::NoSuchName))?;
        answer.name_secure = self.is_proven(host.as_str());
        answer.secure = answer.name_secure && answer.alias_of.as_ref().is_none_or(|target| self.is_proven(target));
        Ok(answer)
    }

    async fn txt(&self, name: &DomainName, _fresh: bool) -> Result<Vec<String>, DnsFailure> {
        self.txt.lock().get(name.as_str()).cloned().unwrap_or(Err(DnsFailure::NoSuchName))
    }

    async fn tlsa(&self, name: &DomainName) -> Result<TlsaAnswer, DnsFailure> {
        let answer = self.tlsa.lock().get(name.as_str()).cloned();
        let records = answer.unwrap_or(Err(DnsFailure::NoSuchName))?;
        // TLSA stands below the host; a host that is proven proves it here too.
        let host = name.as_str().splitn(3, '.').nth(2).unwrap_or_default();
        Ok(TlsaAnswer { records, secure: self.is_proven(host) })
    }
}
