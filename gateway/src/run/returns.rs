//! Opening what remembers letters and recipients, and the desk for what comes back.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::doors::Desks;
use super::{QueueKeys, RunError};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::deliver::outcome::Evidence;
use crate::history::{Acceptance, History};
use crate::ids::{LetterId, TenantId};
use crate::inbound::{Authenticate, MailAuth};
use crate::message::Mailbox;
use crate::observe::{Event, emit};
use crate::pipeline::{Memory, Stages};
use crate::posts::{MailDesk, Posts};
use crate::resolver::HickoryResolver;
use crate::returns::{Desk, DeskParts, LateNotices, Suppressions};
use crate::schedule::Scheduler;
use crate::smtp::addressees::{self, Addressees, Unwanted};
use crate::store::ledger::LocalLedger;
use crate::store::{LocalStore, Store as _};
use crate::tenants::{Credential, Registry};
use crate::threads::Processors;

/// The history leaves the queue this much room beside what is reserved.
const ROOM: usize = 1 << 30;

/// What is remembered, and who checks what comes in.
pub(super) struct Remembered {
    pub(super) history: Arc<History>,
    pub(super) suppressions: Arc<Suppressions>,
    pub(super) checks: Arc<dyn Authenticate>,
}

/// Opens both databases, loudly where something was wrong with them.
pub(super) fn open(
    config: &Config,
    registry: &Arc<Registry>,
    store: &Arc<LocalStore>,
    stages: &Stages,
    clock: &Arc<dyn Clock>,
) -> Result<Remembered, RunError> {
    let failed = |error: &dyn std::fmt::Display| RunError::Store(error.to_string());
    let (keys, queue) = (Arc::new(QueueKeys(registry.clone())), store.clone());
    let room = Box::new(move || queue.room_for(ROOM).is_ok());
    let path = config.data_dir.join("history");
    let opened = History::open(&path, keys, clock.clone(), config.queue.history, room);
    let (history, told) = opened.map_err(|e| failed(&e))?;
    tell("history", told);
    let suppressions = open_suppressions(config, registry, clock.clone()).map_err(|e| failed(&e))?;
    stages.remember(Memory { history: history.clone(), suppressions: suppressions.clone() });
    let resolver = HickoryResolver::new(&config.dns, false).map_err(|e| RunError::Dns(e.to_string()))?;
    let checks = Arc::new(MailAuth::new(resolver.authenticator(), config.hostname.clone()));
    Ok(Remembered { history, suppressions, checks })
}

fn open_suppressions(
    config: &Config,
    registry: &Registry,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Suppressions>, crate::store::ledger::LedgerError> {
    let key = registry.derived_key(b"waxseal suppressions key v1");
    let (ledger, told) = LocalLedger::open(&config.data_dir.join("suppressions"), key, clock.now())?;
    tell("suppressions", told);
    Suppressions::open(Arc::new(ledger), registry.derived_key(b"waxseal suppression names v1"), clock)
}

fn tell(state: &'static str, told: Option<String>) {
    if let Some(detail) = told {
        emit(&Event::Gateway { state, detail });
    }
}

impl Remembered {
    /// The tasks that write down what is remembered.
    pub(super) fn keep(&self, registry: &Arc<Registry>, stop: &watch::Sender<bool>) -> [JoinHandle<()>; 2] {
        let registry = registry.clone();
        let is_there = move |tenant: TenantId| registry.snapshot().tenant(tenant).is_some();
        [
            tokio::spawn(self.history.clone().run(stop.subscribe())),
            tokio::spawn(self.suppressions.clone().run(is_there, stop.subscribe())),
        ]
    }

    /// The desks: for what comes back, for posts, and for whom services may send to.
    pub(super) fn desks(
        &self,
        registry: &Arc<Registry>,
        posts: &Arc<Posts>,
        notices: Notices,
        processors: Processors,
        clock: &Arc<dyn Clock>,
    ) -> Desks {
        let desk = Arc::new(Desk::new(DeskParts {
            registry: registry.clone(),
            history: self.history.clone(),
            suppressions: self.suppressions.clone(),
            checks: self.checks.clone(),
            notices: Arc::new(notices),
            processors,
            clock: clock.clone(),
        }));
        let unsuppressed = Unsuppressed { suppressions: self.suppressions.clone(), registry: registry.clone() };
        let bounces = addressees::Desk { addressees: desk.clone(), receiver: desk };
        let mail = Arc::new(MailDesk::new(posts.clone(), registry.clone(), self.checks.clone()));
        let posts = addressees::Desk { addressees: mail.clone(), receiver: mail };
        Desks { addressees: Arc::new(unsuppressed), bounces, posts }
    }
}

/// Everybody whom the tenant's list does not name.
struct Unsuppressed {
    suppressions: Arc<Suppressions>,
    registry: Arc<Registry>,
}

impl Addressees for Unsuppressed {
    fn wanted(&self, sender: Option<&Credential>, recipient: &Mailbox, _: Timestamp) -> Result<(), Unwanted> {
        let Some(sender) = sender else { return Ok(()) };
        let Some(entry) = self.suppressions.find(sender.tenant, recipient) else { return Ok(()) };
        let tenant = self.registry.snapshot().tenant_name(sender.tenant).unwrap_or_default().to_owned();
        Err(Unwanted::Suppressed { tenant, since: entry.since, reason: entry.reason.name().to_owned() })
    }
}

/// Puts late notices into the queue.
pub(super) struct Notices {
    pub(super) stages: Arc<Stages>,
    pub(super) store: Arc<LocalStore>,
    pub(super) scheduler: Arc<Scheduler>,
}

#[async_trait]
impl LateNotices for Notices {
    async fn tell(
        &self,
        tenant: TenantId,
        id: LetterId,
        acceptance: &Acceptance,
        recipient: u32,
        evidence: Evidence,
    ) -> Result<Option<LetterId>, String> {
        let Some(notice) = self.stages.late_notice(tenant, id, acceptance, (recipient, evidence))? else {
            return Ok(None);
        };
        let record = notice.record.clone();
        self.store.accept(vec![notice]).await.map_err(|error| error.to_string())?;
        self.scheduler.admit(&record);
        Ok(Some(record.id))
    }
}
