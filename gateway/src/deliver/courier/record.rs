//! What an attempt writes into the book of TLS sessions (RFC 8460).

use std::net::IpAddr;

use super::attempt::Attempt;
use super::plan::{Plan, PlannedHost};
use super::{DestinationKind, DomainName};
use crate::deliver::mta_sts::{Finding, PolicyProblem};
use crate::deliver::tls_policy::{Avoidance, DaneFact, StsFact};
use crate::deliver::tls_report::book::{FailedSession, PolicyKind, ReportedPolicy};
use crate::deliver::tls_report::{FailureKind, TlsFailure};

impl Attempt<'_> {
    /// A connection that got as far as TLS or plain text; `failure` is what was wrong with it, if anything was.
    pub(super) fn count_session(
        &self,
        plan: &Plan,
        host: &PlannedHost,
        failure: Option<&TlsFailure>,
        address: IpAddr,
        source: Option<IpAddr>,
    ) {
        let failure = failure.cloned().or_else(|| flaw(plan, host));
        self.count(plan, host, failure, Some(address), source);
    }

    /// A host that the policy kept us from.
    pub(super) fn count_avoided(&self, plan: &Plan, host: &PlannedHost, why: Avoidance) {
        let (kind, reason) = match why {
            Avoidance::DaneUnknown => (FailureKind::DnssecInvalid, "tlsa-lookup-failed"),
            Avoidance::NoDane => (FailureKind::DaneRequired, "no-usable-tlsa"),
            Avoidance::NotNamed => (FailureKind::ValidationFailure, NOT_NAMED),
            // No policy is known: there is nothing to report on.
            Avoidance::StsUnknown => return,
        };
        self.count(plan, host, Some(TlsFailure::new(kind, reason)), None, None);
    }

    fn count(
        &self,
        plan: &Plan,
        host: &PlannedHost,
        failure: Option<TlsFailure>,
        address: Option<IpAddr>,
        source: Option<IpAddr>,
    ) {
        let DestinationKind::Mx(domain) = &self.transaction.destination.kind else { return };
        if self.transaction.report {
            return;
        }
        let failed = |failure| FailedSession { failure, host: Some(host.name.clone()), address, source };
        let book = &self.courier.book;
        let now = self.at.at;
        if host.dane.fact != DaneFact::Nothing {
            let Some(base) = base_of(host) else { return };
            let policy = ReportedPolicy {
                kind: PolicyKind::Tlsa,
                domain: base.to_string(),
                text: host.dane.lines(),
                mx: vec![],
            };
            if base != *domain {
                book.count(now, &base, policy.clone(), failure.clone().map(failed));
            }
            return book.count(now, domain, policy, failure.map(failed));
        }
        let policy = |kind, text, mx| ReportedPolicy { kind, domain: domain.to_string(), text, mx };
        match &plan.sts {
            Finding::Policy { known, .. } if host.sts != StsFact::Nothing => {
                let mx = known.policy.mx.iter().map(ToString::to_string).collect();
                book.count(now, domain, policy(PolicyKind::Sts, known.policy.lines(), mx), failure.map(failed));
            }
            Finding::Broken(problem) => {
                let lack = FailedSession { failure: broken(problem), host: None, address: None, source: None };
                book.count(now, domain, policy(PolicyKind::Sts, vec![], vec![]), Some(lack));
            }
            _ => book.count(now, domain, policy(PolicyKind::NoPolicyFound, vec![], vec![]), failure.map(failed)),
        }
    }
}

const NOT_NAMED: &str = "mx-not-in-policy";

/// What is wrong although the session went well.
fn flaw(plan: &Plan, host: &PlannedHost) -> Option<TlsFailure> {
    if host.dane.fact == DaneFact::Unusable {
        return Some(TlsFailure::new(FailureKind::TlsaInvalid, "no-usable-tlsa"));
    }
    let Finding::Policy { known, .. } = &plan.sts else { return None };
    let named = host.name.parse().is_ok_and(|name| known.policy.allows(&name));
    let unnamed = host.sts == StsFact::Testing && !named;
    unnamed.then(|| TlsFailure::new(FailureKind::ValidationFailure, NOT_NAMED))
}

/// RFC 7672 §2.2.3: the name below which the records stand.
fn base_of(host: &PlannedHost) -> Option<DomainName> {
    let below = host.dane.name.as_ref().and_then(|name| name.as_str().splitn(3, '.').nth(2)?.parse().ok());
    below.or_else(|| host.name.parse().ok())
}

fn broken(problem: &PolicyProblem) -> TlsFailure {
    let kind = match problem {
        PolicyProblem::Certificate(_) => FailureKind::StsWebpkiInvalid,
        PolicyProblem::Fetch(_) => FailureKind::StsPolicyFetchError,
        PolicyProblem::Invalid(_) => FailureKind::StsPolicyInvalid,
    };
    TlsFailure::new(kind, problem.to_string())
}
