//! What an operator can see and do: lists, reasons, and the verbs of the queue.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::limit::{LaneView, Limit};
use super::report::{self, GiveUp, Settlement};
use super::runner::Scheduler;
use super::suspension::{Scope, Suspension, scope_words};
use crate::admin::{QueueAction, QueueActionReport, QueueControl, QueueFilter, ShapeRow, Why};
use crate::clock::Timestamp;
use crate::ids::LetterId;
use crate::observe::{Event, emit};
use crate::store::{LetterRecord, RecipientState, Sought, StoreError, Transition};

/// The upper ends of the columns of `queue shape`, in minutes.
const AGES: [u64; 9] = [5, 10, 20, 40, 80, 160, 320, 640, 1280];
const PAGE: usize = 1000;
const IDS_SHOWN: usize = 100;

/// Does the filter cover this recipient?
fn covers(filter: &QueueFilter, record: &LetterRecord, at: usize, now: Timestamp) -> bool {
    let recipient = &record.envelope.recipients[at].address;
    let same = |wanted: &String, found: &str| wanted.eq_ignore_ascii_case(found);
    filter.id.is_none_or(|id| id == record.id)
        && filter.tenant.is_none_or(|tenant| tenant == record.tenant)
        && filter.domain.as_ref().is_none_or(|domain| same(domain, recipient.domain().as_str()))
        && filter.recipient.as_ref().is_none_or(|wanted| same(wanted, &recipient.to_string()))
        && filter.state.as_ref().is_none_or(|state| same(state, record.states[at].name()))
        && filter.older_than_seconds.is_none_or(|age| now.since(record.accepted).as_secs() >= age)
        && filter.sender.as_ref().is_none_or(|sender| {
            same(sender, &record.envelope.reverse_path.mailbox().map_or("<>".into(), ToString::to_string))
        })
}

/// What the store can look for by itself.
fn sought(filter: &QueueFilter, now: Timestamp) -> Sought {
    Sought {
        tenant: filter.tenant,
        domain: filter.domain.as_ref().map(|domain| domain.to_lowercase()),
        recipient: filter.recipient.as_ref().map(|recipient| recipient.to_lowercase()),
        state: filter.state.as_ref().map(|state| state.to_lowercase()),
        sender: filter.sender.as_ref().map(|sender| sender.to_lowercase()),
        accepted_until: filter.older_than_seconds.map(|age| now.before(Duration::from_secs(age))),
    }
}

fn matching(filter: &QueueFilter, record: &LetterRecord, now: Timestamp) -> Vec<u32> {
    (0..record.states.len()).filter(|at| covers(filter, record, *at, now)).map(|at| at as u32).collect()
}

impl Scheduler {
    fn explain(&self, record: &LetterRecord, at: usize) -> Why {
        let recipient = &record.envelope.recipients[at].address;
        let state = &record.states[at];
        let destination = self.delivery.destination(recipient.domain());
        let board = self.board.lock();
        let in_flight = board.is_under_way(record.id, at as u32);
        let waits_in_line = board.busy(record.id).contains(&(at as u32)) && !in_flight;
        let lane = board.lane(destination.lane(), record.tenant, self.clock.now());
        drop(board);
        let (next_attempt, attempts, last) = match state {
            RecipientState::Waiting { next, attempts, last } => (Some(*next), *attempts, last.as_deref().cloned()),
            RecipientState::Held { attempts, .. } => (None, *attempts, None),
            RecipientState::Delivered(evidence)
            | RecipientState::Bounced(evidence)
            | RecipientState::Expired(evidence) => (None, 0, Some((**evidence).clone())),
            RecipientState::Dropped { .. } => (None, 0, None),
        };
        let suspended = self.suspended(record, at, self.clock.now());
        let limit = match state {
            _ if in_flight => None,
            _ if suspended.is_some() => Some(Limit::Suspended),
            _ if waits_in_line => lane.as_ref().map(LaneView::limit),
            RecipientState::Waiting { .. } => Some(Limit::Time),
            _ => None,
        };
        let reason = match state {
            _ if in_flight => format!("an attempt to {} is running", destination.key),
            _ if suspended.is_some() => suspended.map(|one| one.words()).unwrap_or_default(),
            _ if waits_in_line => lane.map_or_else(String::new, |lane| lane.words(destination.lane())),
            RecipientState::Waiting { attempts: 0, next, .. } if record.options.not_before.is_some() => {
                format!("X-Waxseal-Not-Before: not before {next}")
            }
            RecipientState::Waiting { attempts: 0, .. } => "not attempted yet".to_owned(),
            RecipientState::Waiting { next, attempts, .. } => {
                format!("deferred {attempts} times; the retry policy sets the next attempt to {next}")
            }
            RecipientState::Held { by, reason, .. } => format!("held by {by}: {reason}"),
            RecipientState::Dropped { by, reason } => format!("dropped by {by}: {reason}"),
            other => other.name().to_owned(),
        };
        Why {
            recipient: recipient.to_string(),
            state: state.name().to_owned(),
            in_flight,
            next_attempt,
            attempts,
            reason,
            limit,
            last,
            expires: record.expires,
        }
    }

    /// The new states that an action gives these recipients; those that it does not apply to are left out.
    fn change(
        &self,
        action: &QueueAction,
        record: &LetterRecord,
        recipients: &[u32],
        by: &str,
        why: &str,
        original: Option<&bytes::Bytes>,
    ) -> Settlement {
        let now = self.clock.now();
        let mut settlement = Settlement::default();
        let mut bounced = Vec::new();
        let tenant = self.sender.tenant_name(record);
        for at in recipients {
            let (Some(state), Some(recipient)) =
                (record.states.get(*at as usize), record.envelope.recipients.get(*at as usize))
            else {
                continue;
            };
            let (by, reason, to) = (by.to_owned(), why.to_owned(), recipient.address.clone());
            let new = match (action, state) {
                (QueueAction::Retry, RecipientState::Waiting { attempts, last, .. }) => {
                    RecipientState::Waiting { next: now, attempts: *attempts, last: last.clone() }
                }
                (QueueAction::Hold, RecipientState::Waiting { attempts, .. }) => {
                    let (tenant, id) = (tenant.clone(), record.id);
                    settlement.events.push(Event::Held { id, tenant, to, by: by.clone(), reason: reason.clone() });
                    RecipientState::Held { by, reason, attempts: *attempts }
                }
                (QueueAction::Release, RecipientState::Held { attempts, .. }) => {
                    RecipientState::Waiting { next: now, attempts: *attempts, last: None }
                }
                (QueueAction::Drop, state) if !state.is_final() => {
                    let (tenant, id) = (tenant.clone(), record.id);
                    settlement.events.push(Event::Dropped { id, tenant, to, by: by.clone(), reason: reason.clone() });
                    RecipientState::Dropped { by, reason }
                }
                (QueueAction::Bounce, state) if !state.is_final() => {
                    let note = format!("returned by {by}: {reason}");
                    bounced.push((*at, report::our_evidence(now, (5, 0, 0), &note)));
                    continue;
                }
                _ => continue,
            };
            settlement.transitions.push(Transition { recipient: *at, state: new });
        }
        self.give_up(record, bounced, original, &mut settlement, GiveUp::Refused);
        settlement
    }

    /// The recipients of a letter that `action` can change now.
    fn applicable(action: &QueueAction, record: &LetterRecord, recipients: Vec<u32>) -> Vec<u32> {
        let applies = |at: &u32| match (action, &record.states[*at as usize]) {
            (QueueAction::Retry | QueueAction::Hold, RecipientState::Waiting { .. })
            | (QueueAction::Release, RecipientState::Held { .. }) => true,
            (QueueAction::Drop | QueueAction::Bounce, state) => !state.is_final(),
            _ => false,
        };
        recipients.into_iter().filter(applies).collect()
    }

    fn pages(&self, filter: &QueueFilter, after: Option<LetterId>, mut look: impl FnMut(&LetterRecord) -> bool) {
        if let Some(id) = filter.id {
            if let Some(record) = self.store.find(id) {
                look(&record);
            }
            return;
        }
        let (mut after, sought) = (after, sought(filter, self.clock.now()));
        loop {
            let page = self.store.candidates(&sought, after, PAGE);
            let Some(last) = page.last() else { return };
            after = Some(*last);
            if !page.into_iter().filter_map(|id| self.store.find(id)).all(|record| look(&record)) {
                return;
            }
        }
    }
}

fn described(suspension: &Suspension) -> String {
    format!("{}: {}", scope_words(&suspension.scope), suspension.words())
}

/// Keeping waits for the disk.
async fn off_reactor<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, StoreError> {
    let failed = |why: String| StoreError::Io { what: "keeping the suspensions".into(), why };
    tokio::task::spawn_blocking(work).await.map_err(|error| failed(error.to_string()))?.map_err(failed)
}

/// The queue's control surface on a shared scheduler.
pub struct Control(pub Arc<Scheduler>);

#[async_trait]
impl QueueControl for Control {
    fn list(&self, filter: &QueueFilter, after: Option<LetterId>, limit: usize) -> Vec<LetterRecord> {
        let now = self.0.clock.now();
        let mut found = Vec::new();
        if limit > 0 {
            self.0.pages(filter, after, |record| {
                if !matching(filter, record, now).is_empty() {
                    found.push(record.clone());
                }
                found.len() < limit
            });
        }
        found
    }

    fn find(&self, id: LetterId) -> Option<LetterRecord> {
        self.0.store.find(id)
    }

    fn why(&self, id: LetterId) -> Option<Vec<Why>> {
        let record = self.0.store.find(id)?;
        Some((0..record.states.len()).map(|at| self.0.explain(&record, at)).collect())
    }

    fn shape(&self) -> Vec<ShapeRow> {
        let now = self.0.clock.now();
        let column = |accepted: Timestamp| {
            let minutes = now.since(accepted).as_secs() / 60;
            AGES.iter().position(|end| minutes < *end).unwrap_or(AGES.len())
        };
        let mut rows: Vec<ShapeRow> = Vec::new();
        // In the order of domains: a domain's columns come one after the other.
        for ((domain, column), count) in self.0.store.census(&column) {
            if rows.last().is_none_or(|row| row.domain != domain) {
                rows.push(ShapeRow { domain, total: 0, by_age: [0; 10] });
            }
            if let Some(row) = rows.last_mut() {
                row.total += count;
                row.by_age[column] += count;
            }
        }
        rows.sort_by(|a, b| b.total.cmp(&a.total).then_with(|| a.domain.cmp(&b.domain)));
        rows
    }

    async fn act(
        &self,
        action: QueueAction,
        filter: &QueueFilter,
        by: &str,
        reason: &str,
        dry_run: bool,
    ) -> Result<QueueActionReport, StoreError> {
        let scheduler = &self.0;
        let now = scheduler.clock.now();
        let mut targets: Vec<LetterId> = Vec::new();
        scheduler.pages(filter, None, |record| {
            if !Scheduler::applicable(&action, record, matching(filter, record, now)).is_empty() {
                targets.push(record.id);
            }
            true
        });
        let mut report = QueueActionReport { dry_run, ..QueueActionReport::default() };
        for id in targets {
            // Read again: it may have been delivered since the walk.
            let Some(record) = scheduler.store.find(id) else { continue };
            let mut recipients = Scheduler::applicable(&action, &record, matching(filter, &record, now));
            if !dry_run {
                recipients = scheduler.board.lock().withdraw(id, &recipients);
                if !recipients.is_empty() {
                    let original = scheduler.store.message(id).await.ok();
                    let settlement = scheduler.change(&action, &record, &recipients, by, reason, original.as_ref());
                    scheduler.settle(&record, &recipients, settlement, false).await;
                }
            }
            if !recipients.is_empty() {
                report.letters += 1;
                report.recipients += recipients.len();
                if report.ids.len() < IDS_SHOWN {
                    report.ids.push(id);
                }
            }
        }
        Ok(report)
    }

    async fn drain(&self, at_most: Duration) -> bool {
        self.0.drain(at_most).await
    }

    fn suspended(&self, record: &LetterRecord, recipient: usize) -> Option<Suspension> {
        self.0.suspended(record, recipient, self.0.clock.now())
    }

    fn suspensions(&self) -> Vec<Suspension> {
        self.0.suspensions.now(self.0.clock.now())
    }

    async fn suspend(
        &self,
        scope: Scope,
        span: Option<Duration>,
        by: &str,
        reason: &str,
    ) -> Result<Suspension, StoreError> {
        let since = self.0.clock.now();
        let until = span.map(|span| since + span);
        let suspension = Suspension { scope, since, until, by: by.to_owned(), reason: reason.to_owned() };
        let (scheduler, new) = (self.0.clone(), suspension.clone());
        off_reactor(move || scheduler.suspend(&new)).await?;
        emit(&Event::Gateway { state: "suspended", detail: described(&suspension) });
        Ok(suspension)
    }

    async fn resume(&self, scope: &Scope, by: &str, dry_run: bool) -> Result<Vec<Suspension>, StoreError> {
        if dry_run {
            return Ok(self.0.suspensions.matching(scope, self.0.clock.now()));
        }
        let (scheduler, asked, person) = (self.0.clone(), scope.clone(), by.to_owned());
        let ended = off_reactor(move || scheduler.resume(&asked, &person)).await?;
        for suspension in &ended {
            emit(&Event::Gateway { state: "resumed", detail: format!("{} by {by}", described(suspension)) });
        }
        Ok(ended)
    }
}
