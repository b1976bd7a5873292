//! What an attempt's outcome means for a letter: new states, notices, events. No I/O but the writing of notices.

use bytes::Bytes;

use super::runner::Scheduler;
use crate::clock::Timestamp;
use crate::deliver::notice::NoticeKind;
use crate::deliver::outcome::{DialogueStage, Evidence, Outcome};
use crate::ids::LetterId;
use crate::observe::Event;
use crate::store::{LetterRecord, NewLetter, RecipientState, Transition};

/// What one look at a letter changes.
#[derive(Default)]
pub struct Settlement {
    /// New states.
    pub transitions: Vec<Transition>,
    /// Notices that this causes.
    pub notices: Vec<NewLetter>,
    /// What is said of it once it is durable.
    pub events: Vec<Event>,
}

/// Evidence of our own, where no server was asked.
pub fn our_evidence(at: Timestamp, status: (u8, u16, u16), note: &str) -> Evidence {
    Evidence {
        at,
        stage: DialogueStage::Policy,
        host: None,
        address: None,
        reply: None,
        tls: None,
        note: note.to_owned(),
        status,
    }
}

impl Scheduler {
    /// Outcomes of an attempt.
    pub(super) fn judge(
        &self,
        record: &LetterRecord,
        outcomes: Vec<(u32, Outcome)>,
        original: Option<&Bytes>,
    ) -> Settlement {
        let now = self.clock.now();
        let tenant = self.sender.tenant_name(record);
        let mut settlement = Settlement::default();
        let (mut failed, mut succeeded) = (Vec::new(), Vec::new());
        for (at, outcome) in outcomes {
            let Some(recipient) = record.envelope.recipients.get(at as usize) else { continue };
            let attempts = match record.states.get(at as usize) {
                Some(RecipientState::Waiting { attempts, .. }) => attempts.saturating_add(1),
                _ => continue,
            };
            let to = recipient.address.clone();
            match outcome {
                Outcome::Delivered(evidence) => {
                    if recipient.notify.success() && !evidence.notices_come_from_the_next_server() {
                        succeeded.push((at, evidence.clone()));
                    }
                    let state = RecipientState::Delivered(Box::new(evidence.clone()));
                    settlement.transitions.push(Transition { recipient: at, state });
                    let tenant = tenant.clone();
                    settlement.events.push(Event::Delivered { id: record.id, tenant, to, attempt: attempts, evidence });
                }
                Outcome::TryLater(evidence) => {
                    let next = self.settings.read().retry.next(now, attempts, crate::chance::fraction());
                    let state = RecipientState::Waiting { next, attempts, last: Some(Box::new(evidence.clone())) };
                    settlement.transitions.push(Transition { recipient: at, state });
                    let tenant = tenant.clone();
                    let event = Event::Deferred { id: record.id, tenant, to, attempt: attempts, next, evidence };
                    settlement.events.push(event);
                }
                Outcome::Refused(evidence) => failed.push((at, evidence)),
            }
        }
        self.report_success(record, &succeeded, original, &mut settlement);
        self.give_up(record, failed, original, &mut settlement, GiveUp::Refused);
        settlement
    }

    /// Recipients whose time has run out.
    pub(super) fn judge_expired(
        &self,
        record: &LetterRecord,
        recipients: &[u32],
        original: Option<&Bytes>,
        now: Timestamp,
    ) -> Settlement {
        let mut settlement = Settlement::default();
        let evidence = |at: &u32| {
            let last = match record.states.get(*at as usize) {
                Some(RecipientState::Waiting { last: Some(last), .. }) => Some(&**last),
                _ => None,
            };
            let mut evidence = our_evidence(now, (4, 4, 7), "delivery time expired");
            if let Some(last) = last {
                evidence.host.clone_from(&last.host);
                evidence.address = last.address;
                evidence.reply.clone_from(&last.reply);
                if last.reply.is_none() {
                    evidence.note = format!("delivery time expired; the last attempt failed: {}", last.note);
                }
            }
            (*at, evidence)
        };
        let expired = recipients.iter().map(evidence).collect();
        self.give_up(record, expired, original, &mut settlement, GiveUp::Expired);
        settlement
    }

    /// The sender is told that some recipients still wait.
    pub(super) fn judge_delayed(&self, record: &LetterRecord, original: Option<&Bytes>) -> Settlement {
        let waits = record.states.iter().enumerate().filter_map(|(at, state)| match state {
            RecipientState::Waiting { attempts: 1.., last: Some(last), .. } => Some((at as u32, (**last).clone())),
            _ => None,
        });
        let about: Vec<_> = waits.collect();
        let mut settlement = Settlement::default();
        match self.sender.notice(NoticeKind::Delay, record, &about, original) {
            Ok(notice) => settlement.notices.extend(notice),
            Err(problem) => settlement.events.push(unsent(record.id, &problem)),
        }
        settlement
    }

    fn report_success(
        &self,
        record: &LetterRecord,
        about: &[(u32, Evidence)],
        original: Option<&Bytes>,
        settlement: &mut Settlement,
    ) {
        if about.is_empty() {
            return;
        }
        match self.sender.notice(NoticeKind::Relayed, record, about, original) {
            Ok(notice) => settlement.notices.extend(notice),
            Err(problem) => settlement.events.push(unsent(record.id, &problem)),
        }
    }

    /// Ends recipients with a notice. If the notice cannot be made now (no active key, for instance), they wait on
    /// with what was found out: nobody is dropped without a word, unless their time has run out anyway.
    pub(super) fn give_up(
        &self,
        record: &LetterRecord,
        failed: Vec<(u32, Evidence)>,
        original: Option<&Bytes>,
        settlement: &mut Settlement,
        why: GiveUp,
    ) {
        if failed.is_empty() {
            return;
        }
        let now = self.clock.now();
        let kind = match why {
            GiveUp::Refused => NoticeKind::Failure,
            GiveUp::Expired => NoticeKind::Expired,
        };
        let notice = match self.sender.notice(kind, record, &failed, original) {
            Ok(notice) => notice,
            Err(problem) => {
                settlement.events.push(unsent(record.id, &problem));
                if why == GiveUp::Refused && now < record.expires {
                    for (at, evidence) in failed {
                        let next = self.settings.read().retry.next(now, u16::MAX, crate::chance::fraction());
                        let attempts = attempts_of(record, at);
                        let state = RecipientState::Waiting { next, attempts, last: Some(Box::new(evidence)) };
                        settlement.transitions.push(Transition { recipient: at, state });
                    }
                    return;
                }
                None
            }
        };
        let tenant = self.sender.tenant_name(record);
        let id = record.id;
        let notice_id = notice.as_ref().map(|notice| notice.record.id);
        for (at, evidence) in failed {
            let Some(recipient) = record.envelope.recipients.get(at as usize) else { continue };
            let (to, tenant) = (recipient.address.clone(), tenant.clone());
            let boxed = Box::new(evidence.clone());
            let (state, event) = match why {
                GiveUp::Refused => {
                    (RecipientState::Bounced(boxed), Event::Bounced { id, tenant, to, notice: notice_id, evidence })
                }
                GiveUp::Expired => {
                    (RecipientState::Expired(boxed), Event::Expired { id, tenant, to, notice: notice_id, evidence })
                }
            };
            settlement.transitions.push(Transition { recipient: at, state });
            settlement.events.push(event);
        }
        settlement.notices.extend(notice);
    }
}

/// Why recipients are given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GiveUp {
    /// For good, by a server, a policy or a person.
    Refused,
    /// Time ran out.
    Expired,
}

fn attempts_of(record: &LetterRecord, at: u32) -> u16 {
    match record.states.get(at as usize) {
        Some(RecipientState::Waiting { attempts, .. } | RecipientState::Held { attempts, .. }) => *attempts,
        _ => 0,
    }
}

fn unsent(id: LetterId, problem: &str) -> Event {
    Event::Gateway { state: "notice-failed", detail: format!("letter {id}: {problem}") }
}
