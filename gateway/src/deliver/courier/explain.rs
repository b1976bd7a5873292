//! What `route explain` shows.

use super::{
    Decision, Destination, DestinationKind, DestinationLimits, DomainName, IpAddr, Mailbox, NoTarget, Serialize,
    targets,
};

/// What `route explain` shows.
#[derive(Debug, Clone, Serialize)]
pub struct RouteExplanation {
    /// The address that was asked about.
    pub address: Mailbox,
    /// Its domain.
    pub domain: DomainName,
    /// The destination's key: what limits and turns are counted by.
    pub destination: String,
    /// The route, `host:port`, if one matches.
    pub route: Option<String>,
    /// The MX hosts, best first.
    pub mx: Vec<ExplainedHost>,
    /// What would be dialled, in order.
    pub targets: Vec<String>,
    /// The TLS decision, without what a tenant or a message adds.
    pub tls: Option<Decision>,
    /// The limits.
    pub limits: Option<DestinationLimits>,
    /// The configured source addresses.
    pub sources: Vec<String>,
    /// Why nothing can be delivered, if so.
    pub problem: Option<Problem>,
}

impl RouteExplanation {
    pub(super) fn new(address: &Mailbox, destination: &Destination) -> Self {
        let route = match &destination.kind {
            DestinationKind::Route { host, port, .. } => Some(format!("{host}:{port}")),
            DestinationKind::Mx(_) => None,
        };
        Self {
            address: address.clone(),
            domain: address.domain().clone(),
            destination: destination.key.clone(),
            route,
            mx: Vec::new(),
            targets: Vec::new(),
            tls: None,
            limits: None,
            sources: Vec::new(),
            problem: None,
        }
    }
}

/// One MX host in an explanation.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedHost {
    /// Lower is tried first.
    pub preference: u16,
    /// Its name.
    pub host: DomainName,
    /// Its usable addresses.
    pub addresses: Vec<IpAddr>,
    /// What is odd about it, or empty.
    pub note: String,
}

impl ExplainedHost {
    pub(super) fn of(resolved: &targets::ResolvedHost) -> Self {
        Self {
            preference: resolved.host.preference,
            host: resolved.host.name.clone(),
            addresses: resolved.addresses.clone(),
            note: resolved.note.clone(),
        }
    }
}

/// Why nothing can be delivered.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// Would a letter be returned at once?
    pub permanent: bool,
    /// The enhanced status, `5.1.10`.
    pub status: String,
    /// In words.
    pub text: String,
}

impl Problem {
    pub(super) fn of(why: &NoTarget) -> Self {
        let (class, subject, detail) = why.status();
        Self { permanent: class == 5, status: format!("{class}.{subject}.{detail}"), text: why.to_string() }
    }
}
