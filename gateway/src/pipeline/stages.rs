//! What every letter goes through, a service's and our own alike: redact, then seal, then the queue's record of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use parking_lot::RwLock;

use super::AcceptError;
use crate::clock::Clock;
use crate::config::Config;
use crate::deliver::notice::{self, NoticeKind};
use crate::deliver::outcome::Evidence;
use crate::history::{self, Acceptance, Happening, History, Moment};
use crate::ids::{LetterId, TenantId};
use crate::message::{DomainName, Envelope, Letter, Mailbox, Received, Recipient, ReversePath};
use crate::observe::{Event, emit};
use crate::redact::{self, Mode, Report};
use crate::returns::{self, Suppressions};
use crate::schedule::Sender;
use crate::sign::{
    self, MailStream, SealRequest, Sealed, SendOptions, SignatureFact, Signers as _, TlsLevel, TraceFacts, return_path,
};
use crate::store::{LetterRecord, NewLetter, RecipientState, TLS_REPORT_TAG};
use crate::tenants::quota::{Quotas, Taken};
use crate::tenants::{Directory, Registry, Tenant};

/// A letter that is ready for the store, and what the redaction stage said.
pub struct Prepared {
    /// The letter.
    pub letter: NewLetter,
    /// What was struck out.
    pub report: Report,
    /// The tenant's name.
    pub tenant: String,
}

/// The stages with what they need to know.
pub struct Stages {
    registry: Arc<Registry>,
    config: RwLock<Arc<Config>>,
    clock: Arc<dyn Clock>,
    quotas: Arc<Quotas>,
    /// Who remembers what happened; nobody in tools and simulations.
    memory: OnceLock<Memory>,
}

/// What is remembered of letters and recipients.
pub struct Memory {
    /// What happened to each letter.
    pub history: Arc<History>,
    /// Who gets no more mail.
    pub suppressions: Arc<Suppressions>,
}

impl Stages {
    /// Stages for these tenants under this configuration.
    pub fn new(registry: Arc<Registry>, config: Arc<Config>, clock: Arc<dyn Clock>) -> Self {
        Self { registry, config: RwLock::new(config), clock, quotas: Arc::default(), memory: OnceLock::new() }
    }

    /// What tenants have used of their quotas.
    pub fn quotas(&self) -> &Arc<Quotas> {
        &self.quotas
    }

    /// Takes a submission's recipients from its tenant's quota; `None` if it has none.
    pub fn take_quota(&self, tenant: TenantId, recipients: usize) -> Result<Option<Taken>, AcceptError> {
        let directory = self.registry.snapshot();
        let tenant = directory.tenant(tenant).ok_or(AcceptError::NoTenant)?;
        Ok(self.quotas.take((tenant.id, &tenant.name), &tenant.policy, recipients, self.clock.now())?)
    }

    /// Has what happens remembered from now on. Only the first call counts.
    pub fn remember(&self, memory: Memory) {
        // A second memory would be a mistake of the wiring, and the first one is as good.
        let _ = self.memory.set(memory);
    }

    /// Remembers that a letter was accepted.
    pub(super) fn accepted(&self, record: &LetterRecord, session: Option<String>, signatures: &[SignatureFact]) {
        let Some(memory) = self.memory.get() else { return };
        let acceptance = Acceptance {
            session,
            envelope: record.envelope.clone(),
            subject: record.subject.clone(),
            from_domain: record.from_domain.clone(),
            size: record.size,
            expires: record.expires,
            signatures: signatures.to_vec(),
        };
        let moment = Moment { at: record.accepted, what: Happening::Accepted(Box::new(acceptance)) };
        memory.history.note(record.tenant, record.id, vec![moment]);
    }

    /// A notice about a letter that left the queue, as it would have been written at once.
    pub fn late_notice(
        &self,
        tenant: TenantId,
        id: LetterId,
        acceptance: &Acceptance,
        about: (u32, Evidence),
    ) -> Result<Option<NewLetter>, String> {
        let envelope = acceptance.envelope.clone();
        let record = LetterRecord {
            id,
            tenant,
            accepted: id.accepted_at(),
            expires: acceptance.expires,
            states: envelope.recipients.iter().map(|_| RecipientState::Bounced(Box::new(about.1.clone()))).collect(),
            envelope,
            return_path: None,
            subject: acceptance.subject.clone(),
            from_domain: acceptance.from_domain.clone(),
            size: acceptance.size,
            eight_bit: false,
            delay_notified: false,
            options: SendOptions::default(),
            notice: false,
        };
        self.notice(NoticeKind::Failure, &record, &[about], None)
    }

    /// Whose domain this is, exactly.
    pub fn tenant_of(&self, domain: &DomainName) -> Option<TenantId> {
        self.registry.snapshot().owner(domain)
    }

    /// Replaces the configuration.
    pub fn reconfigure(&self, config: Arc<Config>) {
        *self.config.write() = config;
    }

    fn config(&self) -> Arc<Config> {
        self.config.read().clone()
    }

    /// Takes a letter of a service through redaction and sealing. CPU-bound.
    pub fn prepare(
        &self,
        id: LetterId,
        tenant: TenantId,
        letter: Letter<Received>,
        trace: Option<&TraceFacts>,
    ) -> Result<Prepared, AcceptError> {
        let directory = self.registry.snapshot();
        let tenant = directory.tenant(tenant).ok_or(AcceptError::NoTenant)?;
        let options = sign::read_options(letter.message())?;
        let (sealed, report) = self.redact_and_seal(id, tenant, &directory, letter, trace)?;
        let letter = self.queued(id, tenant, sealed, options, false);
        Ok(Prepared { letter, report, tenant: tenant.name.clone() })
    }

    fn redact_and_seal(
        &self,
        id: LetterId,
        tenant: &Tenant,
        directory: &Directory,
        letter: Letter<Received>,
        trace: Option<&TraceFacts>,
    ) -> Result<(Letter<Sealed>, Report), AcceptError> {
        let config = self.config();
        let redacted = redact::redact(letter, &redaction_policy(&config, tenant))?;
        let report = redacted.stage().report().clone();
        let request = SealRequest {
            id,
            now: self.clock.now(),
            hostname: &config.hostname,
            trace,
            tenant: &tenant.name,
            domains: directory.domains_of(tenant.id),
            subdomains: tenant.policy.subdomains,
            signers: directory,
        };
        Ok((sign::seal(redacted, &request)?, report))
    }

    fn queued(
        &self,
        id: LetterId,
        tenant: &Tenant,
        letter: Letter<Sealed>,
        options: SendOptions,
        notice: bool,
    ) -> NewLetter {
        let now = self.clock.now();
        let begin = options.not_before.unwrap_or(now).max(now);
        let life = options.expire_after.unwrap_or(self.config().queue.expire_after);
        let waiting = || RecipientState::Waiting { next: begin, attempts: 0, last: None };
        let record = LetterRecord {
            id,
            tenant: tenant.id,
            accepted: now,
            expires: begin + life,
            states: letter.envelope().recipients.iter().map(|_| waiting()).collect(),
            envelope: letter.envelope().clone(),
            return_path: tenant.policy.return_path.clone().filter(|_| !notice),
            subject: letter.stage().subject().to_owned(),
            from_domain: letter.stage().from_domain().to_string(),
            size: letter.message().len() as u64,
            eight_bit: letter.stage().eight_bit(),
            delay_notified: false,
            options,
            notice,
        };
        if notice {
            // A service's letter is remembered when it is durable; a notice is written with what it tells of.
            self.accepted(&record, None, letter.stage().signatures());
        }
        NewLetter { record, letter }
    }

    fn try_notice(
        &self,
        kind: NoticeKind,
        record: &LetterRecord,
        about: &[(u32, Evidence)],
        original: &Bytes,
    ) -> Result<NewLetter, String> {
        let directory = self.registry.snapshot();
        let tenant = directory.tenant(record.tenant).ok_or("the tenant was removed")?;
        let now = self.clock.now();
        let from = record.from_domain.parse().map_err(|e| format!("{e}"))?;
        let config = self.config();
        let id = LetterId::new(now);
        let recipients: Vec<_> = about.iter().map(|(at, evidence)| (*at as usize, evidence.clone())).collect();
        let composed = notice::compose(&notice::Request {
            kind,
            id,
            record,
            recipients: &recipients,
            original,
            hostname: &config.hostname,
            now,
            from_domain: &from,
        });
        let composed = composed.ok_or("the letter has nobody to tell")?;
        let letter = Letter::new(composed.envelope, composed.message);
        let (sealed, _) = self.redact_and_seal(id, tenant, &directory, letter, None).map_err(|e| e.to_string())?;
        Ok(self.queued(id, tenant, sealed, SendOptions::default(), true))
    }
}

impl Stages {
    /// The domain that a letter of the gateway's own from this address is signed as: an active key's, of a tenant.
    pub fn signs_for(&self, from: &Mailbox) -> bool {
        let directory = self.registry.snapshot();
        let owned = directory.domains().filter(|domain| from.domain().is_within(&domain.name));
        owned.into_iter().any(|domain| !directory.active(&domain.name).is_empty())
    }

    /// Seals a TLS report (RFC 8460 §5.3): from `<>`, as the tenant that owns the domain of `from`.
    pub fn tls_report(&self, from: &Mailbox, to: &Mailbox, message: Vec<u8>) -> Result<NewLetter, String> {
        let directory = self.registry.snapshot();
        let owned = directory.domains().filter(|domain| from.domain().is_within(&domain.name));
        let owner = owned.max_by_key(|domain| domain.name.as_str().len()).map(|domain| domain.tenant);
        let tenant = owner.and_then(|id| directory.tenant(id)).ok_or_else(|| format!("{from} is no tenant's"))?;
        let envelope = Envelope::new(ReversePath::Null, vec![Recipient::new(to.clone())]);
        let id = LetterId::new(self.clock.now());
        let letter = Letter::new(envelope, message);
        let (sealed, report) =
            self.redact_and_seal(id, tenant, &directory, letter, None).map_err(|error| error.to_string())?;
        if !report.hits.is_empty() {
            return Err("it holds what looks like a card number, and would arrive altered".to_owned());
        }
        let options = SendOptions {
            tags: vec![TLS_REPORT_TAG.to_owned()],
            expire_after: Some(Duration::from_hours(24)),
            stream: MailStream::Bulk,
            ..SendOptions::default()
        };
        Ok(self.queued(id, tenant, sealed, options, true))
    }
}

/// The tenant's policy, or the operator's; what would store a readable number needs the operator's consent too.
pub fn redaction_policy(config: &Config, tenant: &Tenant) -> redact::Policy {
    let mut policy = tenant.policy.redaction.clone().unwrap_or_else(|| config.redaction.clone());
    if matches!(policy.mode, Mode::Report | Mode::Off) && !config.allow_unredacted {
        policy.mode = Mode::Redact;
    }
    policy
}

impl Sender for Stages {
    fn notice(
        &self,
        kind: NoticeKind,
        record: &LetterRecord,
        about: &[(u32, Evidence)],
        original: Option<&Bytes>,
    ) -> Result<Option<NewLetter>, String> {
        let about: Vec<_> = about
            .iter()
            .filter(|(at, evidence)| notice::wanted(kind, record, *at as usize, evidence))
            .cloned()
            .collect();
        if about.is_empty() {
            return Ok(None);
        }
        crate::threads::off_reactor(|| {
            let nothing = Bytes::new();
            let full = self.try_notice(kind, record, &about, original.unwrap_or(&nothing));
            // A notice must not fail over the mail that it quotes; without the quotation it says all that matters.
            full.or_else(|_| self.try_notice(kind, record, &about, &nothing)).map(Some)
        })
    }

    fn return_path(&self, record: &LetterRecord, recipient: u32) -> Option<ReversePath> {
        let domain = record.return_path.as_ref()?;
        let key = self.registry.data_key(record.tenant)?;
        record.envelope.reverse_path.mailbox()?;
        // Bounces may come days after the last attempt.
        let until = record.expires + self.config().queue.expire_after;
        Some(ReversePath::Mailbox(return_path::token(&key, record.id, recipient, until, domain)))
    }

    fn happened(&self, record: &LetterRecord, events: &[Event]) {
        let Some(memory) = self.memory.get() else { return };
        let now = self.clock.now();
        for event in events {
            // A notice of our own that its sender's server refuses says nothing of a recipient of the tenant's.
            if let Event::Bounced { id, to, evidence, .. } = event
                && !record.notice
                && let Some(entry) = returns::hard_bounce(to, *id, evidence)
                && memory.suppressions.note(record.tenant, entry)
            {
                let tenant = self.tenant_name(record);
                emit(&Event::Suppression { tenant, action: "added", addresses: 1, by: "hard-bounce".to_owned() });
            }
        }
        let moments = events.iter().filter_map(|event| history::of_event(event, now)).collect();
        memory.history.note(record.tenant, record.id, moments);
    }

    fn egress_pool(&self, record: &LetterRecord) -> Option<String> {
        self.registry.snapshot().tenant(record.tenant).and_then(|tenant| tenant.policy.egress_pool.clone())
    }

    fn tls(&self, record: &LetterRecord) -> TlsLevel {
        let directory = self.registry.snapshot();
        let tenant = directory.tenant(record.tenant).and_then(|tenant| tenant.policy.tls);
        tenant.unwrap_or(self.config().delivery.tls)
    }

    fn tenant_name(&self, record: &LetterRecord) -> String {
        let directory = self.registry.snapshot();
        directory.tenant_name(record.tenant).map_or_else(|| format!("#{}", record.tenant.0), ToOwned::to_owned)
    }
}
