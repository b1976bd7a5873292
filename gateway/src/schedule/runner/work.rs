//! Workers: each takes one job after another, goes where the board sends it, and hands on what became of it.

use super::{
    Arc, Destination, Evidence, LetterRecord, Outcome, RecipientState, ReversePath, Scheduler, Settlement, StoreError,
    Timestamp, Transaction, Transition, emit, never_asked, report, turns,
};
use crate::deliver::shaping::asks_for_less;
use crate::observe::{Event, metrics};
use crate::schedule::board::{Job, LaneKey, Share, Turn};

/// Recipients of one job that share a transaction, and that have each their own: what one worker does between turns.
const TOGETHER_AT_ONCE: usize = 100;
const ALONE_AT_ONCE: usize = 16;
const DAMAGED_BY: &str = "store";

impl Scheduler {
    /// Puts recipients of one destination into its lane: not all in one job, so that others may have turns between.
    pub(super) fn line_up(
        self: &Arc<Self>,
        record: &LetterRecord,
        to: &Destination,
        recipients: &[u32],
        now: Timestamp,
    ) {
        let alone = Self::go_alone(record);
        for part in recipients.chunks(if alone { ALONE_AT_ONCE } else { TOGETHER_AT_ONCE }) {
            let transactions = if alone { part.len() } else { 1 };
            let cost = turns::cost(transactions, record.size * transactions as u64);
            let share = Share { tenant: record.tenant, stream: record.options.stream, cost };
            let job = Job { id: record.id, recipients: part.to_vec(), share };
            let start = self.board.lock().enqueue(job, to, now, || self.delivery.limits(to));
            if start {
                self.start_worker(to.lane().into());
            }
        }
    }

    /// A worker: goes where the board sends it until there is nothing to do.
    pub(super) fn start_worker(self: &Arc<Self>, lane: LaneKey) {
        let scheduler = self.clone();
        tokio::spawn(async move {
            let mut lane = lane;
            loop {
                let (turn, another) = {
                    let (mut board, now) = (scheduler.board.lock(), scheduler.clock.now());
                    let turn = board.turn(&lane, now);
                    let another = matches!(turn, Turn::Job(_)) && board.staff(&lane, now);
                    (turn, another)
                };
                if another {
                    scheduler.start_worker(lane.clone());
                }
                match turn {
                    Turn::Job(job) => scheduler.attempt(&lane, job).await,
                    Turn::Move(next) => lane = next,
                    Turn::Rest => break,
                }
            }
            scheduler.idle.notify_waiters();
            scheduler.wake.notify_one();
        });
    }

    async fn attempt(self: &Arc<Self>, lane: &str, job: Job) {
        let Some(record) = self.store.find(job.id) else {
            self.board.lock().forget(job.id);
            return;
        };
        let waiting = |at: &u32| matches!(record.states.get(*at as usize), Some(RecipientState::Waiting { .. }));
        let (recipients, changed): (Vec<u32>, Vec<u32>) = job.recipients.iter().copied().partition(waiting);
        self.board.lock().done(job.id, &changed);
        let first = recipients.first().and_then(|at| record.envelope.recipients.get(*at as usize));
        let Some(first) = first else { return };
        let destination = self.delivery.locate(first.address.domain()).await;
        if destination.lane() != lane {
            let job = Job { recipients, ..job };
            return self.relocate(lane, job, &destination);
        }
        if recipients.iter().any(|at| self.suspended(&record, *at as usize, self.clock.now()).is_some()) {
            // All of a job are one tenant's and go to one destination, but on a route their domains may differ: those
            // that are not suspended are lined up anew.
            self.step_aside(lane, &record, &recipients);
            return self.advance(&record);
        }
        let message = match self.store.message(job.id).await {
            Ok(message) => message,
            Err(error) => return self.unreadable(&record, &recipients, &error).await,
        };
        let mut outcomes = Vec::with_capacity(recipients.len());
        for group in Self::split(&record, &recipients) {
            let transaction = self.transaction(&record, &destination, &group, message.clone());
            let results = self.delivery.deliver(&transaction).await;
            outcomes.extend(group.into_iter().zip(results));
        }
        let dead = never_asked(&outcomes).filter(|_| destination.shares_hosts());
        self.learn(lane, &outcomes);
        self.conclude(&record, outcomes, Some(&message)).await;
        if let Some(evidence) = dead {
            self.destination_failed(lane, &evidence).await;
        }
    }

    /// The job's site became known while it waited, or was configured anew. What waits in a lane of one domain, whose
    /// site was not known, goes along.
    fn relocate(self: &Arc<Self>, from: &str, job: Job, to: &Destination) {
        let now = self.clock.now();
        let all = from == to.key;
        let start = self.board.lock().relocate((from, all), job, to, now, || self.delivery.limits(to));
        if start {
            self.start_worker(to.lane().into());
        }
    }

    /// What an attempt says of the site.
    fn learn(&self, lane: &str, outcomes: &[(u32, Outcome)]) {
        let now = self.clock.now();
        if let Some((began, said)) = asks_for_less(outcomes) {
            let view = self.board.lock().asked_for_less(lane, began, now, said.clone());
            metrics::slow_down(&said.by);
            if let Some(view) = view {
                emit(&Event::SiteSlowed {
                    site: lane.to_owned(),
                    by: said.by,
                    said: said.text,
                    connections: view.connections,
                    rate: view.rate,
                });
            }
        } else if never_asked(outcomes).is_none() {
            let took = outcomes.iter().any(|(_, outcome)| matches!(outcome, Outcome::Delivered(_)));
            self.board.lock().reachable(lane, took);
        }
    }

    /// Does each recipient have a transaction of its own, because the reverse-path tells them apart?
    fn go_alone(record: &LetterRecord) -> bool {
        record.return_path.is_some() && record.envelope.reverse_path != ReversePath::Null
    }

    fn split(record: &LetterRecord, recipients: &[u32]) -> Vec<Vec<u32>> {
        if Self::go_alone(record) {
            recipients.iter().map(|recipient| vec![*recipient]).collect()
        } else {
            vec![recipients.to_vec()]
        }
    }

    fn transaction(
        &self,
        record: &LetterRecord,
        destination: &Destination,
        recipients: &[u32],
        message: bytes::Bytes,
    ) -> Transaction {
        let envelope = &record.envelope;
        let rewritten = recipients.first().and_then(|first| self.sender.return_path(record, *first));
        let to = recipients.iter().filter_map(|at| envelope.recipients.get(*at as usize).cloned());
        Transaction {
            id: record.id,
            destination: destination.clone(),
            reverse_path: rewritten.unwrap_or_else(|| envelope.reverse_path.clone()),
            recipients: to.collect(),
            message,
            smtputf8: envelope.smtputf8,
            eight_bit: record.eight_bit,
            require_tls: envelope.require_tls,
            return_content: envelope.return_content,
            envelope_id: envelope.envelope_id.clone(),
            tls: self.sender.tls(record).max(record.options.tls.unwrap_or_default()),
            report: record.is_tls_report(),
            egress_pool: self.sender.egress_pool(record),
        }
    }

    /// What waits for a destination that cannot be reached is not tried one by one.
    async fn destination_failed(self: &Arc<Self>, lane: &str, evidence: &Evidence) {
        let jobs = self.board.lock().unreachable(lane);
        for job in jobs {
            let Some(record) = self.store.find(job.id) else {
                self.board.lock().forget(job.id);
                continue;
            };
            let outcomes = job.recipients.iter().map(|at| (*at, Outcome::TryLater(evidence.clone()))).collect();
            self.conclude(&record, outcomes, None).await;
        }
    }

    async fn unreadable(self: &Arc<Self>, record: &LetterRecord, recipients: &[u32], error: &StoreError) {
        emit(&Event::Gateway { state: "store-error", detail: format!("letter {}: {error}", record.id) });
        if let StoreError::Damaged(problem) = error {
            let hold = |at: &u32| Transition {
                recipient: *at,
                state: RecipientState::Held { by: DAMAGED_BY.into(), reason: problem.clone(), attempts: 0 },
            };
            let transitions = recipients.iter().map(hold).collect();
            self.settle(record, recipients, Settlement { transitions, notices: vec![], events: vec![] }, false).await;
            return;
        }
        let evidence = report::our_evidence(self.clock.now(), (4, 3, 0), "the queue's disk could not be read");
        let outcomes = recipients.iter().map(|at| (*at, Outcome::TryLater(evidence.clone()))).collect();
        self.conclude(record, outcomes, None).await;
    }
}
