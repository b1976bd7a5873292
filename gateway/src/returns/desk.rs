//! The desk where mail for return-path tokens is taken: whose it is, what it is, and what follows from it.
//!
//! What decides, and how far it is believed. A token is proof that its bearer has had the letter, or is the server that
//! took it; so a failure is believed unless SPF, DKIM or DMARC contradict it. A complaint ends a tenant's mail to a person
//! for good, so it is believed only if one of SPF, DKIM and ARC proves who complains. What is not believed is told and
//! kept, and changes nothing.

use std::sync::Arc;

use async_trait::async_trait;

use super::class::classify;
use super::suppressions::{BOUNCE_COUNTS, compared};
use super::{About, Comeback, Kind, Reason, Suppression, Suppressions, read};
use crate::clock::{Clock, Timestamp};
use crate::deliver::outcome::{DialogueStage, Evidence, RemoteReply};
use crate::history::{Acceptance, Happening, History, Moment, Past, Return};
use crate::ids::{LetterId, TenantId};
use crate::inbound::{Authenticate, Verdicts};
use crate::message::Mailbox;
use crate::observe::{Event, emit};
use crate::sign::return_path::{self, Returned};
use crate::smtp::addressees::{Addressees, Incoming, ReceiveError, Receiver, Unwanted};
use crate::tenants::{Credential, Registry};
use crate::threads::Processors;

/// Tells a sender that a letter was not delivered after all.
#[async_trait]
pub trait LateNotices: Send + Sync + 'static {
    /// Queues a notice as it would have been written had the server refused at once; its id, if one is due.
    async fn tell(
        &self,
        tenant: TenantId,
        id: LetterId,
        acceptance: &Acceptance,
        recipient: u32,
        evidence: Evidence,
    ) -> Result<Option<LetterId>, String>;
}

/// What the desk is made of.
pub struct DeskParts {
    /// Tenants, their return-path domains and keys.
    pub registry: Arc<Registry>,
    /// Whom letters went to.
    pub history: Arc<History>,
    /// Where addresses are put.
    pub suppressions: Arc<Suppressions>,
    /// Who really sent a notice.
    pub checks: Arc<dyn Authenticate>,
    /// Tells senders.
    pub notices: Arc<dyn LateNotices>,
    /// For reading.
    pub processors: Processors,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// See the module.
pub struct Desk(DeskParts);

impl Desk {
    /// A desk of these.
    pub const fn new(parts: DeskParts) -> Self {
        Self(parts)
    }

    /// Whose letter and recipient a token names, if it is one of ours and lives.
    fn token(&self, address: &Mailbox, now: Timestamp) -> Option<(TenantId, Returned)> {
        let directory = self.0.registry.snapshot();
        // A platform may give several tenants one domain; only one of their keys made the token.
        let tenants = directory.tenants().filter(|tenant| tenant.policy.return_path.as_ref() == Some(address.domain()));
        let ids: Vec<TenantId> = tenants.map(|tenant| tenant.id).collect();
        ids.into_iter().find_map(|id| {
            let key = directory.data_key(id)?;
            return_path::parse(&key, address, now).map(|returned| (id, returned))
        })
    }

    async fn take(
        &self,
        whose: (TenantId, Returned),
        comeback: &Comeback,
        verdicts: Verdicts,
    ) -> Result<(), ReceiveError> {
        let (tenant, Returned { id, recipient }) = whose;
        let failed = |error: &dyn std::fmt::Display| ReceiveError::Later(error.to_string());
        let history = self.0.history.clone();
        let past = tokio::task::spawn_blocking(move || history.of(id)).await.map_err(|error| failed(&error))?;
        // Without its history a letter's notice is still told, only not acted on: nobody knows whom it was for.
        let past = past.ok().flatten().filter(|past| past.tenant == tenant);
        let acceptance = past.as_ref().and_then(Past::acceptance);
        let to = acceptance.and_then(|acceptance| acceptance.envelope.recipients.get(recipient as usize));
        let to = to.map(|recipient| recipient.address.clone());
        let told_before = past.as_ref().is_some_and(|past| was_told(past, recipient, comeback.kind));

        let about = comeback.about(to.as_ref().map(ToString::to_string).as_deref()).cloned().unwrap_or_default();
        let kind = about.kind.unwrap_or(comeback.kind);
        let believed = match kind {
            Kind::Complaint => verdicts.proven(),
            _ => !verdicts.contradicted(),
        };
        let now = self.0.clock.now();
        let entry = to.as_ref().filter(|_| believed).and_then(|to| entry(to, id, kind, &about, comeback, now));
        let suppressed = entry.is_some();
        if let Some(entry) = entry {
            let suppressions = self.0.suppressions.clone();
            let added = tokio::task::spawn_blocking(move || suppressions.add(tenant, vec![entry])).await;
            added.map_err(|error| failed(&error))?.map_err(|error| failed(&error))?;
        }
        let mut notice = None;
        if let Some(acceptance) = acceptance.filter(|_| kind == Kind::Failed && believed && !told_before) {
            let told = self.0.notices.tell(tenant, id, acceptance, recipient, evidence(&about, comeback, now)).await;
            notice = told.map_err(|problem| failed(&problem))?;
        }
        let returned = Return {
            recipient,
            to,
            kind,
            status: about.status,
            code: about.code,
            diagnostic: about.diagnostic,
            reporter: comeback.reporter.clone(),
            source: comeback.source.to_owned(),
            checks: verdicts.to_string(),
            believed,
            suppressed,
        };
        self.tell(tenant, id, &returned, notice);
        let what = Happening::Returned(Box::new(returned));
        self.0.history.note(tenant, id, vec![Moment { at: now, what }]);
        Ok(())
    }

    fn tell(&self, tenant: TenantId, id: LetterId, returned: &Return, notice: Option<LetterId>) {
        let name = self.0.registry.snapshot().tenant_name(tenant).unwrap_or_default().to_owned();
        let class = matches!(returned.kind, Kind::Failed | Kind::Delayed)
            .then(|| classify(returned.code, returned.status, &returned.diagnostic));
        emit(&Event::Returned {
            id,
            tenant: name,
            to: returned.to.clone(),
            kind: returned.kind.name(),
            class: class.map(|class| class.category.name()),
            status: returned.status.map(|(class, subject, detail)| format!("{class}.{subject}.{detail}")),
            diagnostic: returned.diagnostic.clone(),
            reporter: returned.reporter.clone(),
            checks: returned.checks.clone(),
            believed: returned.believed,
            suppressed: returned.suppressed,
            notice,
        });
    }
}

/// Did the same come back about this recipient before? Servers repeat themselves; senders need not be told twice.
fn was_told(past: &Past, recipient: u32, kind: Kind) -> bool {
    past.moments.iter().any(|moment| match &moment.what {
        Happening::Returned(before) => before.recipient == recipient && before.kind == kind && before.believed,
        _ => false,
    })
}

/// What of the list follows, if anything.
fn entry(
    to: &Mailbox,
    id: LetterId,
    kind: Kind,
    about: &About,
    comeback: &Comeback,
    now: Timestamp,
) -> Option<Suppression> {
    let (reason, expires) = match kind {
        Kind::Complaint => (Reason::Complaint, None),
        Kind::Failed if classify(about.code, about.status, &about.diagnostic).is_hard() => {
            (Reason::HardBounce, Some(now + BOUNCE_COUNTS))
        }
        _ => return None,
    };
    let who = about.remote.as_deref().or(comeback.reporter.as_deref()).unwrap_or("a notice");
    let source = if about.diagnostic.is_empty() { who.to_owned() } else { format!("{who}: {}", about.diagnostic) };
    let source = source.chars().take(300).collect();
    Some(Suppression { address: compared(to), reason, source, since: now, expires, letter: Some(id) })
}

/// The notice's words as if the server had said them to us.
fn evidence(about: &About, comeback: &Comeback, now: Timestamp) -> Evidence {
    let status = about.status.filter(|(class, _, _)| *class == 5).unwrap_or((5, 0, 0));
    let reply = about.code.map(|code| RemoteReply { code, status: about.status, text: about.diagnostic.clone() });
    let who = comeback.reporter.as_deref().unwrap_or("the recipient's server");
    Evidence {
        at: now,
        stage: DialogueStage::FinalReply,
        host: about.remote.clone().or_else(|| comeback.reporter.clone()),
        address: None,
        reply,
        tls: None,
        note: format!("{who} took the message and reported later that it could not be delivered"),
        status,
    }
}

impl Addressees for Desk {
    fn wanted(&self, _: Option<&Credential>, recipient: &Mailbox, now: Timestamp) -> Result<(), Unwanted> {
        match self.token(recipient, now) {
            Some(_) => Ok(()),
            None => Err(Unwanted::NotOurs("no such address here: only return addresses of mail that was sent lately")),
        }
    }
}

#[async_trait]
impl Receiver for Desk {
    async fn receive(&self, incoming: Incoming) -> Result<(), ReceiveError> {
        let Incoming { letter, trace } = incoming;
        let (envelope, message, _) = letter.into_parts();
        let octets = message.clone();
        let comeback = self.0.processors.run(move || read(&octets)).await;
        let comeback = comeback.ok_or_else(|| ReceiveError::Later("shutting down".to_owned()))?;
        // Only where the answer decides something is DNS asked.
        let verdicts = if matches!(comeback.kind, Kind::Failed | Kind::Complaint) {
            self.0.checks.judge(&message, &envelope.reverse_path, &trace).await
        } else {
            Verdicts::UNKNOWN
        };
        let now = self.0.clock.now();
        for recipient in &envelope.recipients {
            if let Some(whose) = self.token(&recipient.address, now) {
                self.take(whose, &comeback, verdicts).await?;
            }
        }
        Ok(())
    }
}
