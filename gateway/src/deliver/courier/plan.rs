//! The plan of an attempt: which hosts, under which rules, with which TLS ruling for each, and what that rests on.

use futures_util::future::join_all;

use super::{Courier, DestinationKind, DomainName, MxHost, NoTarget, Parts, PoolKey, SiteRules, targets};
use crate::deliver::dane::{self, DaneFinding};
use crate::deliver::https::HttpsClient;
use crate::deliver::mta_sts::{Finding, PolicyFetcher, PolicyProblem};
use crate::deliver::targets::MxSet;
use crate::deliver::tls_policy::{DaneFact, Decision, Proof, Ruling, StsFact, Wishes, decide};
use crate::deliver::{Destination, Transaction};
use crate::sign::TlsLevel;

/// A host of the plan.
#[derive(Debug, Clone)]
pub(super) struct PlannedHost {
    /// Its name, or the address of a route that has no name.
    pub(super) name: String,
    /// What MTA-STS says of it.
    pub(super) sts: StsFact,
    /// What DANE says of it.
    pub(super) dane: DaneFinding,
    /// What follows.
    pub(super) ruling: Ruling,
}

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    /// The MX hosts; empty for a route.
    pub(super) mx: Vec<MxHost>,
    /// The rules of the site.
    pub(super) rules: SiteRules,
    /// The recipient domain's policy; `None` for a route, and where MTA-STS is switched off.
    pub(super) sts: Finding,
    /// The hosts.
    pub(super) hosts: Vec<PlannedHost>,
    /// The name of the set of hosts.
    site: String,
    /// The site that limits are counted by.
    lane: std::sync::Arc<str>,
}

/// What the message and its sender ask for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    pub(super) level: TlsLevel,
    pub(super) require_tls: bool,
    pub(super) tls_optional: bool,
}

impl Asked {
    pub(super) fn by(transaction: &Transaction) -> Self {
        Self {
            level: transaction.tls,
            require_tls: transaction.require_tls,
            tls_optional: says_tls_optional(&transaction.message),
        }
    }
}

impl Plan {
    /// What links of this plan are kept under.
    pub(super) fn pool_key(&self, egress: Option<String>) -> PoolKey {
        let mut rulings: Vec<_> = self.hosts.iter().map(|host| (host.name.clone(), host.ruling.clone())).collect();
        rulings.sort_by(|a, b| a.0.cmp(&b.0));
        PoolKey { lane: self.lane.clone(), site: self.site.clone(), rulings: rulings.into(), egress }
    }

    pub(super) fn host(&self, name: &str) -> Option<&PlannedHost> {
        self.hosts.iter().find(|host| host.name == name)
    }

    /// What the decision about a host rests on, in words; empty if nobody published anything.
    pub(super) fn evidence(&self, host: &PlannedHost) -> String {
        let mut words = Vec::new();
        if host.sts != StsFact::Nothing {
            words.push(self.sts.words());
        }
        if host.dane.fact != DaneFact::Nothing {
            let name = host.dane.name.as_ref().map(ToString::to_string).unwrap_or_default();
            let records = host.dane.lines().join(", ");
            let found = [format!("TLSA {name}"), records, host.dane.note.clone()];
            words.push(found.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": "));
        }
        words.join("; ")
    }

    /// The certificate is judged for the report although it need prove nothing.
    pub(super) fn judges(host: &PlannedHost, decision: &Decision) -> bool {
        host.sts == StsFact::Testing && decision.proof == Proof::AnyCertificate
    }
}

impl Courier {
    pub(super) async fn plan(&self, parts: &Parts, to: &Destination, asked: Asked) -> Result<Plan, NoTarget> {
        match &to.kind {
            DestinationKind::Mx(domain) => self.plan_by_mx(parts, to, domain, asked).await,
            DestinationKind::Route { host, port, tls } => {
                let rules = parts.rules(to, &self.known_hosts(to));
                let wishes = Wishes { route: *tls, ..parts.wishes(rules, asked) };
                let literal = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host);
                let host: Option<DomainName> =
                    if literal.parse::<std::net::IpAddr>().is_ok() { None } else { literal.parse().ok() };
                // The operator's own text needs no proof; the host's address does.
                let dane = match &host {
                    Some(name) if parts.delivery.dane => dane::find(&*self.resolver, name, name, *port, true).await,
                    _ => DaneFinding::nothing(OFF),
                };
                let name = host.map_or_else(|| literal.to_owned(), |name| name.to_string());
                let site = format!("route/{name}:{port}");
                let ruling = decide(&wishes, StsFact::Nothing, &dane.fact);
                let host = PlannedHost { name, sts: StsFact::Nothing, dane, ruling };
                let lane = to.lane().into();
                Ok(Plan { mx: Vec::new(), rules, sts: Finding::Nothing, hosts: vec![host], site, lane })
            }
        }
    }

    async fn plan_by_mx(
        &self,
        parts: &Parts,
        to: &Destination,
        domain: &DomainName,
        asked: Asked,
    ) -> Result<Plan, NoTarget> {
        let (set, sts) = tokio::join!(
            targets::mx_hosts(&*self.resolver, domain, &parts.surroundings),
            self.sts_policy(parts, domain)
        );
        let MxSet { hosts: mx, names, secure } = set?;
        let names = self.remember_hosts(domain, names);
        let rules = parts.rules(to, &names);
        let wishes = parts.wishes(rules, asked);
        let hosts = join_all(mx.iter().map(async |host| {
            let name = &host.name;
            let dane = if parts.delivery.dane {
                dane::find(&*self.resolver, domain, name, parts.surroundings.smtp_port, secure).await
            } else {
                DaneFinding::nothing(OFF)
            };
            let fact = sts.fact(name);
            PlannedHost { name: name.to_string(), sts: fact, ruling: decide(&wishes, fact, &dane.fact), dane }
        }));
        let hosts = hosts.await;
        let site = site_name(&names);
        // Known by now, whatever the scheduler knew when it lined the letter up.
        let lane = self.destination(domain).lane().into();
        Ok(Plan { mx, rules, sts, hosts, site, lane })
    }

    async fn sts_policy(&self, parts: &Parts, domain: &DomainName) -> Finding {
        if !parts.delivery.mta_sts {
            return Finding::Nothing;
        }
        match self.https(parts) {
            Ok(client) => self.mta_sts.find(domain, &client).await,
            Err(error) => self.mta_sts.find(domain, &NoFetcher(error.to_string())).await,
        }
    }

    /// Is there a newer policy than the one that mail is about to fail over (RFC 8461 §5.1)?
    pub(super) async fn has_newer_policy(&self, parts: &Parts, to: &Destination, plan: &Plan) -> bool {
        let (DestinationKind::Mx(domain), Finding::Policy { known, .. }) = (&to.kind, &plan.sts) else { return false };
        match self.https(parts) {
            Ok(client) => self.mta_sts.recheck(domain, known, &client).await,
            Err(_) => false,
        }
    }

    /// Something over HTTPS, with the TLS and the addresses that are configured now.
    pub(in crate::deliver) async fn with_https<T>(
        &self,
        request: impl AsyncFnOnce(&HttpsClient<'_>) -> Result<T, String>,
    ) -> Result<T, String> {
        let parts = self.parts();
        let client = self.https(&parts).map_err(|error| error.to_string())?;
        request(&client).await
    }

    fn https<'a>(&'a self, parts: &'a Parts) -> Result<HttpsClient<'a>, super::TlsSetupError> {
        Ok(HttpsClient {
            resolver: &*self.resolver,
            dialer: &*self.dialer,
            tls: parts.tls.client(&Proof::WebPki)?,
            surroundings: &parts.surroundings,
        })
    }
}

/// The name of a sorted set of MX hosts: domains with the same hosts are one site.
pub(super) fn site_name(hosts: &[DomainName]) -> String {
    let names: Vec<&str> = hosts.iter().map(DomainName::as_str).collect();
    format!("mx/{}", names.join(","))
}

/// TLS cannot be set up here: nothing can be fetched, but what is remembered holds.
struct NoFetcher(String);

#[async_trait::async_trait]
impl PolicyFetcher for NoFetcher {
    async fn fetch(&self, _domain: &DomainName) -> Result<bytes::Bytes, PolicyProblem> {
        Err(PolicyProblem::Fetch(self.0.clone()))
    }
}

const OFF: &str = "DANE is switched off";

impl Parts {
    fn wishes(&self, rules: SiteRules, asked: Asked) -> Wishes {
        Wishes {
            default: self.delivery.tls,
            sender: asked.level,
            site: rules.tls,
            route: None,
            require_tls: asked.require_tls,
            tls_optional: asked.tls_optional,
        }
    }
}

/// Does the header say `TLS-Required: No` (RFC 8689 §5)? Looked for in the sealed bytes at each attempt: it is part
/// of the message, not of what the queue knows about it.
fn says_tls_optional(message: &[u8]) -> bool {
    const NAME: &[u8] = b"tls-required:";
    let mut rest = message;
    while let Some(end) = memchr::memchr(b'\n', rest) {
        let line = rest[..end].trim_ascii();
        if line.is_empty() {
            return false;
        }
        if line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)) {
            return line[NAME.len()..].trim_ascii().eq_ignore_ascii_case(b"no");
        }
        rest = &rest[end + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_field_itself_makes_tls_optional() {
        for (message, expected) in [
            ("From: a@b.example\r\nTLS-Required: No\r\n\r\n", true),
            ("tls-required:no\r\n\r\nbody", true),
            ("TLS-Required: Yes\r\n\r\n", false),
            ("Subject: x\r\n\r\nTLS-Required: No\r\n", false),
            ("X-TLS-Required: No\r\n\r\n", false),
            ("", false),
        ] {
            assert_eq!(says_tls_optional(message.as_bytes()), expected, "{message:?}");
        }
    }
}
