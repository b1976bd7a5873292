//! The control surface's tenant verbs on the registry: names in, summaries out, events emitted.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use waxseal_dns::{Format, RecordSet};
use waxseal_keys::life::{NextStep, State};

use super::Gateway;
use crate::admin::ports::{
    AdminError, AdminResult, ApplyReport, Challenge, CredentialSummary, DomainSummary, KeyMove, KeyStep, KeySummary,
    NewCredential, TenantAdmin, TenantDetail, TenantSummary,
};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::message::DomainName;
use crate::observe::emit;
use crate::tenants::{
    Change, Credential, Directory, DkimKey, DkimMove, DkimState, DomainClaim, Refusal, RegistryError, Tenant,
    TenantDomain, TenantFile,
};

/// See the module.
pub struct Tenancy {
    gateway: Arc<Gateway>,
}

impl From<RegistryError> for AdminError {
    fn from(error: RegistryError) -> Self {
        let text = error.to_string();
        match error.refusal() {
            Refusal::NotFound => Self::NotFound(text),
            Refusal::Forbidden => Self::Conflict(text),
            Refusal::Invalid => Self::Invalid(text),
            Refusal::Failed => Self::Store(text),
        }
    }
}

fn announce(change: &Change) {
    change.events.iter().for_each(emit);
}

fn report(change: Change) -> ApplyReport {
    announce(&change);
    ApplyReport { changes: change.changes, dry_run: change.dry_run }
}

fn tenant_summary(directory: &Directory, tenant: &Tenant) -> TenantSummary {
    TenantSummary {
        id: tenant.id.0,
        name: tenant.name.clone(),
        domains: directory.domains_of(tenant.id).len(),
        credentials: directory.credentials().filter(|credential| credential.tenant == tenant.id).count(),
        created: tenant.created.to_rfc3339(),
    }
}

fn domain_summary(directory: &Directory, domain: &TenantDomain) -> DomainSummary {
    DomainSummary {
        name: domain.name.clone(),
        tenant: directory.tenant_name(domain.tenant).unwrap_or_default().to_owned(),
        active_keys: directory.dkim_keys(&domain.name).filter(|key| key.state() == DkimState::Active).count(),
        proof: domain.proof.name().to_owned(),
        challenge: None,
        created: domain.created.to_rfc3339(),
    }
}

fn claim_summary(directory: &Directory, claim: &DomainClaim) -> DomainSummary {
    DomainSummary {
        name: claim.domain.clone(),
        tenant: directory.tenant_name(claim.tenant).unwrap_or_default().to_owned(),
        active_keys: 0,
        proof: "claimed".to_owned(),
        challenge: Some(Challenge { name: claim.record_name(), value: claim.record_value() }),
        created: claim.created.to_rfc3339(),
    }
}

fn credential_summary(directory: &Directory, credential: &Credential) -> CredentialSummary {
    CredentialSummary {
        user: credential.user.clone(),
        tenant: directory.tenant_name(credential.tenant).unwrap_or_default().to_owned(),
        networks: credential.networks.clone(),
        expires: credential.expires.map(Timestamp::to_rfc3339),
        created: credential.created.to_rfc3339(),
    }
}

fn key_summary((key, next): &(DkimKey, Option<NextStep>)) -> KeySummary {
    let moment = |at| Timestamp::from(at).to_rfc3339();
    let record_lost = match key.life.state {
        State::Active { record_lost, .. } => record_lost.map(moment),
        _ => None,
    };
    KeySummary {
        since: key.changed().to_rfc3339(),
        next: next.map(|step| KeyStep {
            to: step.to.map(|stage| stage.name().to_owned()),
            at: step.at.map(moment),
            why: step.waits.text().to_owned(),
        }),
        record_lost,
        history: key.history.iter().map(key_move).collect(),
        domain: key.domain.clone(),
        selector: key.selector.clone(),
        algorithm: key.algorithm.clone(),
        state: key.state().name().to_owned(),
        record_name: key.record_name(),
        record_value: key.record_value(),
        created: key.created.to_rfc3339(),
    }
}

fn key_move(moved: &DkimMove) -> KeyMove {
    KeyMove { at: moved.at.to_rfc3339(), to: moved.to.name().to_owned(), by: moved.by.clone(), why: moved.why.clone() }
}

impl Tenancy {
    /// For this gateway.
    pub fn new(gateway: Arc<Gateway>) -> Self {
        Self { gateway }
    }

    fn directory(&self) -> Arc<Directory> {
        self.gateway.registry.snapshot()
    }

    fn tenant(&self, name: &str) -> AdminResult<Arc<Tenant>> {
        let directory = self.directory();
        let found = directory.tenant_by_name(name).cloned();
        found.ok_or_else(|| RegistryError::NoTenant(name.chars().take(80).collect()).into())
    }

    /// A domain that was just added: the tenant's, or its claim to it.
    fn added_domain(&self, domain: &DomainName, tenant: &str) -> AdminResult<DomainSummary> {
        let (directory, tenant) = (self.directory(), self.tenant(tenant)?);
        let claim = directory.claims(domain).find(|claim| claim.tenant == tenant.id);
        let added = directory.domain(domain).map(|domain| domain_summary(&directory, domain));
        let added = added.or_else(|| claim.map(|claim| claim_summary(&directory, claim)));
        added.ok_or_else(|| AdminError::NotFound(format!("{domain} was removed again")))
    }

    fn key(&self, domain: &DomainName, selector: &str) -> AdminResult<KeySummary> {
        let plans = self.gateway.registry.dkim_key_plans(domain);
        let found = plans.iter().find(|(key, _)| key.selector.eq_ignore_ascii_case(selector)).map(key_summary);
        found.ok_or_else(|| AdminError::NotFound(format!("{domain} has no key {selector}")))
    }
}

impl TenantAdmin for Tenancy {
    fn list_tenants(&self) -> AdminResult<Vec<TenantSummary>> {
        let directory = self.directory();
        Ok(directory.tenants().map(|tenant| tenant_summary(&directory, tenant)).collect())
    }

    fn show_tenant(&self, name: &str) -> AdminResult<TenantDetail> {
        let tenant = self.tenant(name)?;
        let directory = self.directory();
        let domains = directory.domains().filter(|domain| domain.tenant == tenant.id);
        let credentials = directory.credentials().filter(|credential| credential.tenant == tenant.id);
        Ok(TenantDetail {
            id: tenant.id.0,
            name: tenant.name.clone(),
            created: tenant.created.to_rfc3339(),
            policy: tenant.policy.clone(),
            domains: domains.map(|domain| domain_summary(&directory, domain)).collect(),
            credentials: credentials.map(|credential| credential_summary(&directory, credential)).collect(),
        })
    }

    fn add_tenant(&self, name: &str, by: &str) -> AdminResult<TenantSummary> {
        announce(&self.gateway.registry.add_tenant(name, by)?);
        let tenant = self.tenant(name)?;
        Ok(tenant_summary(&self.directory(), &tenant))
    }

    fn remove_tenant(&self, name: &str, dry_run: bool, by: &str) -> AdminResult<ApplyReport> {
        Ok(report(self.gateway.registry.remove_tenant(name, dry_run, by)?))
    }

    fn apply(&self, file: &TenantFile, prune: bool, dry_run: bool, by: &str) -> AdminResult<ApplyReport> {
        let consent = self.gateway.config.read().allow_unredacted;
        for entry in &file.tenant {
            let mode = entry.policy.as_ref().and_then(|policy| policy.redaction.as_ref()).map(|policy| policy.mode);
            if !consent && matches!(mode, Some(crate::redact::Mode::Report | crate::redact::Mode::Off)) {
                return Err(AdminError::Conflict(format!(
                    "tenant {}: redaction mode report or off would store readable card numbers and needs the \
                     operator's [redaction] allow_unredacted = true",
                    entry.name
                )));
            }
        }
        Ok(report(self.gateway.registry.apply(file, prune, dry_run, by)?))
    }

    fn new_credential(
        &self,
        tenant: &str,
        networks: &[IpNet],
        expires: Option<Duration>,
        by: &str,
    ) -> AdminResult<NewCredential> {
        let expires = expires.map(|span| SystemClock.now() + span);
        let made = self.gateway.registry.new_credential(tenant, networks, expires, by)?;
        announce(&made.change);
        Ok(NewCredential { user: made.user.clone(), secret: made.secret.to_string() })
    }

    fn list_credentials(&self, tenant: Option<&str>) -> AdminResult<Vec<CredentialSummary>> {
        let directory = self.directory();
        let credentials = self.gateway.registry.credentials(tenant)?;
        Ok(credentials.iter().map(|credential| credential_summary(&directory, credential)).collect())
    }

    fn revoke_credential(&self, user: &str, by: &str) -> AdminResult<()> {
        announce(&self.gateway.registry.revoke_credential(user, by)?);
        Ok(())
    }

    fn add_domain(&self, domain: &DomainName, tenant: &str, by: &str) -> AdminResult<DomainSummary> {
        announce(&self.gateway.registry.add_domain(domain, tenant, by)?);
        self.added_domain(domain, tenant)
    }

    fn vouch_for_domain(&self, domain: &DomainName, tenant: &str, by: &str) -> AdminResult<DomainSummary> {
        announce(&self.gateway.registry.vouch_for_domain(domain, tenant, by)?);
        self.added_domain(domain, tenant)
    }

    fn list_domains(&self, tenant: Option<&str>) -> AdminResult<Vec<DomainSummary>> {
        let id = tenant.map(|name| self.tenant(name)).transpose()?.map(|tenant| tenant.id);
        let directory = self.directory();
        let wanted = directory.domains().filter(|domain| id.is_none_or(|id| domain.tenant == id));
        let mut all: Vec<_> = wanted.map(|domain| domain_summary(&directory, domain)).collect();
        for domain in directory.claimed_domains() {
            let claims = directory.claims(&domain).filter(|claim| id.is_none_or(|id| claim.tenant == id));
            all.extend(claims.map(|claim| claim_summary(&directory, claim)));
        }
        Ok(all)
    }

    fn remove_domain(&self, domain: &DomainName, dry_run: bool, by: &str) -> AdminResult<ApplyReport> {
        Ok(report(self.gateway.registry.remove_domain(domain, dry_run, by)?))
    }

    fn domain_records(&self, domain: &DomainName, format: &str) -> AdminResult<String> {
        let format = format.parse().map_err(|e: waxseal_dns::UnknownFormat| AdminError::Invalid(e.to_string()))?;
        let operator = super::examine::operator(&self.gateway.config.read());
        Ok(waxseal_dns::render(&self.gateway.registry.domain_records(domain, &operator)?, format))
    }

    fn operator_records(&self, domain: &DomainName, format: &str) -> AdminResult<String> {
        let format = format.parse().map_err(|e: waxseal_dns::UnknownFormat| AdminError::Invalid(e.to_string()))?;
        if !matches!(format, Format::Json | Format::Text | Format::Csv | Format::Bind) {
            let why = "the operator's records lie in several zones: write them as json, text, csv or bind";
            return Err(AdminError::Invalid(why.to_owned()));
        }
        if self.directory().domain(domain).is_none() {
            return Err(RegistryError::NoDomain(domain.clone()).into());
        }
        let operator = super::examine::operator(&self.gateway.config.read());
        let records = self.gateway.operator_records(domain, &operator);
        Ok(waxseal_dns::render(&RecordSet { domain: domain.to_string(), records }, format))
    }

    fn list_keys(&self, domain: &DomainName) -> AdminResult<Vec<KeySummary>> {
        let directory = self.directory();
        if directory.domain(domain).is_none() {
            return Err(RegistryError::NoDomain(domain.clone()).into());
        }
        Ok(self.gateway.registry.dkim_key_plans(domain).iter().map(key_summary).collect())
    }

    fn generate_key(
        &self,
        domain: &DomainName,
        algorithm: &str,
        selector: Option<&str>,
        by: &str,
    ) -> AdminResult<KeySummary> {
        let algorithm = algorithm.parse().map_err(|e| AdminError::Invalid(format!("{e}")))?;
        let (selector, change) = self.gateway.registry.generate_dkim_key(domain, algorithm, selector, by)?;
        announce(&change);
        self.key(domain, &selector)
    }

    fn import_key(&self, domain: &DomainName, selector: &str, pem: &str, by: &str) -> AdminResult<KeySummary> {
        announce(&self.gateway.registry.import_dkim_key(domain, selector, pem.as_bytes(), by)?);
        self.key(domain, selector)
    }

    fn activate_key(
        &self,
        domain: &DomainName,
        selector: &str,
        even_if_unpublished: bool,
        by: &str,
    ) -> AdminResult<KeySummary> {
        announce(&self.gateway.registry.activate_dkim_key(domain, selector, even_if_unpublished, by)?);
        self.key(domain, selector)
    }

    fn retire_key(&self, domain: &DomainName, selector: &str, force: bool, by: &str) -> AdminResult<KeySummary> {
        announce(&self.gateway.registry.retire_dkim_key(domain, selector, force, by)?);
        self.key(domain, selector)
    }

    fn revoke_key(&self, domain: &DomainName, selector: &str, by: &str) -> AdminResult<KeySummary> {
        announce(&self.gateway.registry.revoke_dkim_key(domain, selector, by)?);
        self.key(domain, selector)
    }

    fn rotate_keys(
        &self,
        domain: &DomainName,
        at_once: Option<&str>,
        dry_run: bool,
        by: &str,
    ) -> AdminResult<ApplyReport> {
        let registry = &self.gateway.registry;
        Ok(report(match at_once {
            Some(reason) => registry.rotate_dkim_keys_now(domain, reason, dry_run, by)?,
            None => registry.rotate_dkim_keys(domain, dry_run, by)?,
        }))
    }
}
