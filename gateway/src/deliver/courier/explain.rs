//! What `route explain` shows.

use super::plan::{Asked, Plan};
use super::{
    Courier, Destination, DestinationKind, DestinationLimits, DomainName, Egress, IpAddr, Mailbox, NoTarget, Parts,
    Serialize, targets,
};
use crate::deliver::mta_sts::Finding;
use crate::deliver::tls_policy::{Decision, Ruling};

/// What `route explain` shows.
#[derive(Debug, Clone, Serialize)]
pub struct RouteExplanation {
    /// The address that was asked about.
    pub address: Mailbox,
    /// Its domain.
    pub domain: DomainName,
    /// The destination's key: recipients that share it share a transaction.
    pub destination: String,
    /// The site: what limits and turns are counted by.
    pub site: String,
    /// The route, `host:port`, if one matches.
    pub route: Option<String>,
    /// The MX hosts, best first.
    pub mx: Vec<ExplainedHost>,
    /// What would be dialled, in order.
    pub targets: Vec<String>,
    /// The recipient domain's MTA-STS policy.
    pub mta_sts: Option<ExplainedPolicy>,
    /// The TLS decision for the first host that may be spoken to, without what a tenant or a message adds.
    pub tls: Option<Decision>,
    /// The ruling for each host, and what it rests on.
    pub tls_by_host: Vec<ExplainedRuling>,
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
            site: destination.lane().to_owned(),
            route,
            mx: Vec::new(),
            targets: Vec::new(),
            mta_sts: None,
            tls: None,
            tls_by_host: Vec::new(),
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

/// An MTA-STS policy in an explanation.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedPolicy {
    /// What was found, in words.
    pub found: String,
    /// `enforce`, `testing` or `none`; absent without a policy.
    pub mode: Option<&'static str>,
    /// The id of its TXT record.
    pub id: Option<String>,
    /// The hosts that it names.
    pub mx: Vec<String>,
    /// When it was fetched, RFC 3339.
    pub fetched: Option<String>,
    /// For how many seconds it holds from then.
    pub max_age: Option<u64>,
}

impl ExplainedPolicy {
    fn of(finding: &Finding) -> Self {
        let known = match finding {
            Finding::Policy { known, .. } => Some(known),
            _ => None,
        };
        Self {
            found: finding.words(),
            mode: known.map(|known| known.policy.mode.word()),
            id: known.map(|known| known.id.clone()),
            mx: known.map(|known| known.policy.mx.iter().map(ToString::to_string).collect()).unwrap_or_default(),
            fetched: known.map(|known| known.fetched.to_rfc3339()),
            max_age: known.map(|known| known.policy.max_age.as_secs()),
        }
    }
}

/// What would be done with one host.
#[derive(Debug, Clone, Serialize)]
pub struct ExplainedRuling {
    /// The host.
    pub host: String,
    /// The policy's name, `dane`; absent if the host is left alone.
    pub policy: Option<&'static str>,
    /// Connect under which terms, or why not.
    pub ruling: Ruling,
    /// Why it is left alone, in words.
    pub left_alone: Option<String>,
    /// Where its TLSA records stand.
    pub tlsa_name: Option<DomainName>,
    /// The TLSA records.
    pub tlsa: Vec<String>,
    /// Why there is no DANE, or what failed; empty otherwise.
    pub dane: String,
}

impl ExplainedRuling {
    fn of(plan: &Plan) -> Vec<Self> {
        let one = |host: &super::plan::PlannedHost| Self {
            host: host.name.clone(),
            policy: match &host.ruling {
                Ruling::Connect(decision) => Some(decision.name().text()),
                Ruling::Avoid(_) => None,
            },
            left_alone: match &host.ruling {
                Ruling::Avoid(why) => Some(why.to_string()),
                Ruling::Connect(_) => None,
            },
            ruling: host.ruling.clone(),
            tlsa_name: host.dane.name.clone(),
            tlsa: host.dane.lines(),
            dane: host.dane.note.clone(),
        };
        plan.hosts.iter().map(one).collect()
    }
}

impl Courier {
    /// What would be done with mail for this address, and why.
    pub async fn explain(&self, address: &Mailbox) -> RouteExplanation {
        let parts = self.parts();
        let destination = self.locate(address.domain()).await;
        let mut explanation = RouteExplanation::new(address, &destination);
        let source = |one: &Egress| {
            let warm_up = self.sources.standing(one, self.clock.now());
            let warm_up = warm_up.map(|(taken, most)| format!(", warms up: {taken} of {most} letters today"));
            let pool = format!("pool {}, weight {}", one.pool, one.weight);
            format!("{} ({}) as {}, {pool}{}", one.name, one.address, one.ehlo, warm_up.unwrap_or_default())
        };
        explanation.sources = parts.egress.iter().map(source).collect();
        match self.plan(&parts, &destination, Asked::default()).await {
            Ok(plan) => self.explain_plan(&parts, &destination, &plan, &mut explanation).await,
            Err(why) => {
                explanation.problem = Some(Problem::of(&why));
                explanation.limits = Some(self.limits_for(&destination));
            }
        }
        explanation
    }

    async fn explain_plan(
        &self,
        parts: &Parts,
        destination: &Destination,
        plan: &Plan,
        explanation: &mut RouteExplanation,
    ) {
        let list = match &destination.kind {
            DestinationKind::Route { host, port, .. } => targets::route_targets(&*self.resolver, host, *port).await,
            DestinationKind::Mx(domain) => {
                explanation.mta_sts = Some(ExplainedPolicy::of(&plan.sts));
                let (resolved, list) =
                    targets::mx_targets(&*self.resolver, domain, &plan.mx, &parts.surroundings).await;
                explanation.mx = resolved.iter().map(ExplainedHost::of).collect();
                list
            }
        };
        match list {
            Ok(list) => explanation.targets = list.iter().map(|target| target.address.to_string()).collect(),
            Err(why) => explanation.problem = Some(Problem::of(&why)),
        }
        explanation.tls_by_host = ExplainedRuling::of(plan);
        explanation.tls = plan.hosts.iter().find_map(|host| match &host.ruling {
            Ruling::Connect(decision) => Some(decision.clone()),
            Ruling::Avoid(_) => None,
        });
        explanation.limits = Some(parts.limits(&plan.rules));
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
