//! One timeline a recipient: what happened, and what comes next and why. Made of the history and of what the queue knows;
//! command line, pages and API show the same.

use serde::{Deserialize, Serialize};

use super::{Acceptance, Attempt, End, Happening, Moment, Past, Return};
use crate::admin::Why;
use crate::clock::Timestamp;
use crate::ids::LetterId;
use crate::message::{Mailbox, ReversePath};
use crate::observe::{ClassView, EvidenceView};
use crate::returns::class::classify;
use crate::store::{LetterRecord, RecipientState};

/// Something that happened to a recipient's letter, or will.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// When, in RFC 3339.
    pub at: String,
    /// `accepted`, `redacted`, `signed`, `delivered`, `deferred`, `bounced`, `expired`, `held`, `dropped`, `returned`;
    /// ahead: `next-attempt`, `expiry`.
    pub event: String,
    /// Is it still to come?
    pub ahead: bool,
    /// In plain words.
    pub text: String,
    /// The recipient; `null` where it is about the letter.
    pub recipient: Option<String>,
    /// The attempt's number.
    pub attempt: Option<u16>,
    /// What is known of the attempt: address, TLS and policy, raw reply, its class.
    pub evidence: Option<EvidenceView>,
    /// What a notice that came back means.
    pub class: Option<ClassView>,
    /// The next attempt, as this step set it, in RFC 3339.
    pub next: Option<String>,
    /// What set the next attempt, or what stands in the way.
    pub set_by: Option<String>,
    /// The notice to the sender.
    pub notice: Option<String>,
}

/// A recipient's timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientTimeline {
    /// The address.
    pub address: String,
    /// Where it stands: `queued`, `deferred`, `held`, `delivered`, `bounced`, `expired`, `dropped`.
    pub state: String,
    /// The steps in the order of time; those ahead at the end.
    pub steps: Vec<Step>,
}

/// A letter's timelines.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The letter.
    pub id: String,
    /// Is it still in the queue?
    pub queued: bool,
    /// One a recipient, in the envelope's order.
    pub recipients: Vec<RecipientTimeline>,
}

impl Step {
    fn new(at: Timestamp, event: &str, text: impl Into<String>) -> Self {
        Self {
            at: at.to_rfc3339(),
            event: event.to_owned(),
            ahead: false,
            text: text.into(),
            recipient: None,
            attempt: None,
            evidence: None,
            class: None,
            next: None,
            set_by: None,
            notice: None,
        }
    }
}

/// The timelines of a letter from what the queue and the history know; `None` if neither knows it.
pub fn timeline(id: LetterId, record: Option<&LetterRecord>, whys: &[Why], past: Option<&Past>) -> Option<Timeline> {
    let envelope = record.map(|record| &record.envelope).or(past.and_then(Past::acceptance).map(|a| &a.envelope));
    let addresses: Vec<Mailbox> = match (envelope, past) {
        (Some(envelope), _) => envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect(),
        (None, Some(past)) => past.addresses(),
        (None, None) => return None,
    };
    let recipients = addresses.iter().enumerate().map(|(at, address)| {
        let mut steps = beginning(record, past);
        steps.extend(past.into_iter().flat_map(|past| &past.moments).filter_map(|moment| of(moment, at, address)));
        let state = record.and_then(|record| record.states.get(at));
        if let Some(state) = state {
            only_in_the_queue(state, &mut steps);
        }
        number_attempts(&mut steps);
        for step in &mut steps {
            step.recipient.get_or_insert_with(|| address.to_string());
        }
        let why = whys.get(at).filter(|why| why.recipient == address.to_string());
        if let (Some(record), Some(state)) = (record, state) {
            steps.extend(ahead(record, state, why, address));
        }
        let last = || past.and_then(|past| past.last_state(address)).unwrap_or("unknown");
        let state = state.map_or_else(last, RecipientState::name).to_owned();
        RecipientTimeline { address: address.to_string(), state, steps }
    });
    Some(Timeline { id: id.to_string(), queued: record.is_some(), recipients: recipients.collect() })
}

impl Past {
    /// The recipients, where how it was accepted is not known any more.
    pub fn addresses(&self) -> Vec<Mailbox> {
        if let Some(acceptance) = self.acceptance() {
            return acceptance.envelope.recipients.iter().map(|recipient| recipient.address.clone()).collect();
        }
        let mut found: Vec<Mailbox> = Vec::new();
        for to in self.moments.iter().filter_map(|moment| to_of(&moment.what)) {
            if !found.contains(to) {
                found.push(to.clone());
            }
        }
        found
    }

    /// The attempts for a recipient, in the order of time.
    pub fn attempts(&self, address: &Mailbox) -> impl DoubleEndedIterator<Item = &Attempt> {
        self.moments.iter().filter_map(move |moment| match &moment.what {
            Happening::Attempt(attempt) if attempt.to == *address => Some(&**attempt),
            _ => None,
        })
    }

    /// The state that the last attempt or person left a recipient in.
    pub fn last_state(&self, address: &Mailbox) -> Option<&'static str> {
        let of = |what: &Happening| match what {
            Happening::Attempt(attempt) => Some(match attempt.end {
                End::Delivered => "delivered",
                End::Deferred { .. } => "deferred",
                End::Bounced { .. } => "bounced",
                End::Expired { .. } => "expired",
            }),
            Happening::Held { .. } => Some("held"),
            Happening::Dropped { .. } => Some("dropped"),
            _ => None,
        };
        let own = self.moments.iter().filter(|moment| to_of(&moment.what) == Some(address));
        own.rev().find_map(|moment| of(&moment.what))
    }
}

fn to_of(what: &Happening) -> Option<&Mailbox> {
    match what {
        Happening::Attempt(attempt) => Some(&attempt.to),
        Happening::Held { to, .. } | Happening::Dropped { to, .. } => Some(to),
        _ => None,
    }
}

/// How it came in.
fn beginning(record: Option<&LetterRecord>, past: Option<&Past>) -> Vec<Step> {
    let Some(past) = past.filter(|past| past.acceptance().is_some()) else {
        return record
            .map(|record| Step::new(record.accepted, "accepted", "accepted and sealed"))
            .into_iter()
            .collect();
    };
    let mut steps = Vec::new();
    for moment in &past.moments {
        if let Happening::Accepted(acceptance) = &moment.what {
            let [accepted, signed] = accepted(moment.at, acceptance);
            steps.push(accepted);
            // Struck out before it was signed, though it is told of only when the letter is safe.
            steps.extend(past.moments.iter().filter_map(|other| redacted(moment.at, &other.what)));
            steps.push(signed);
        }
    }
    steps
}

fn redacted(at: Timestamp, what: &Happening) -> Option<Step> {
    let Happening::Redacted { hits, unscanned } = what else { return None };
    let struck = format!("{hits} card number{} struck out", if *hits == 1 { "" } else { "s" });
    let unread = match unscanned {
        0 => String::new(),
        1 => ", one part could not be read".to_owned(),
        more => format!(", {more} parts could not be read"),
    };
    Some(Step::new(at, "redacted", struck + &unread))
}

fn accepted(at: Timestamp, acceptance: &Acceptance) -> [Step; 2] {
    let Acceptance { session, envelope, size, signatures, .. } = acceptance;
    let from = match &envelope.reverse_path {
        ReversePath::Null => "<>".to_owned(),
        ReversePath::Mailbox(from) => from.to_string(),
    };
    let session = session.as_ref().map(|session| format!(" in session {session}")).unwrap_or_default();
    let signed: Vec<String> = signatures
        .iter()
        .map(|fact| format!("{} by {}._domainkey.{}", fact.algorithm, fact.selector, fact.domain))
        .collect();
    [
        Step::new(at, "accepted", format!("accepted from {from}{session}, {size} octets")),
        Step::new(at, "signed", format!("signed {}", signed.join(", "))),
    ]
}

/// A moment of this recipient's.
fn of(moment: &Moment, at: usize, address: &Mailbox) -> Option<Step> {
    let by = |by: &str, reason: &str| if reason.is_empty() { format!("by {by}") } else { format!("by {by}: {reason}") };
    let step = |event, text: String| Step::new(moment.at, event, text);
    match &moment.what {
        Happening::Accepted(_) | Happening::Redacted { .. } => None,
        Happening::Attempt(attempt) if attempt.to == *address => {
            let evidence = EvidenceView::from(&attempt.evidence);
            let (event, next, notice) = match &attempt.end {
                End::Delivered => ("delivered", None, None),
                End::Deferred { next } => ("deferred", Some(*next), None),
                End::Bounced { notice } => ("bounced", None, *notice),
                End::Expired { notice } => ("expired", None, *notice),
            };
            Some(
                Step {
                    attempt: Some(attempt.number).filter(|number| *number > 0),
                    next: next.map(Timestamp::to_rfc3339),
                    set_by: next.map(|_| "the retry policy".to_owned()),
                    notice: notice.map(|id| id.to_string()),
                    ..step(event, evidence.in_one_line())
                }
                .with(evidence),
            )
        }
        Happening::Held { to, by: who, reason } if to == address => Some(step("held", by(who, reason))),
        Happening::Dropped { to, by: who, reason } if to == address => Some(step("dropped", by(who, reason))),
        Happening::Returned(returned) if returned.recipient as usize == at => Some(came_back(moment.at, returned)),
        _ => None,
    }
}

impl Step {
    fn with(self, evidence: EvidenceView) -> Self {
        Self { class: evidence.class.clone(), evidence: Some(evidence), ..self }
    }
}

fn came_back(at: Timestamp, returned: &Return) -> Step {
    let who = returned.reporter.as_deref().unwrap_or("somebody");
    let status = returned.status.map(|(class, subject, detail)| format!(" ({class}.{subject}.{detail})"));
    let said = Some(&returned.diagnostic).filter(|said| !said.is_empty()).map(|said| format!(": {said}"));
    let follows = match (returned.believed, returned.suppressed) {
        (false, _) => format!("; not believed: {}", returned.checks),
        (true, true) => "; the address is on the suppression list now".to_owned(),
        (true, false) => String::new(),
    };
    let kind = returned.kind.name();
    let text = format!("{kind}, reported by {who}{}{}{follows}", status.unwrap_or_default(), said.unwrap_or_default());
    let is_failure = matches!(returned.kind, crate::returns::Kind::Failed | crate::returns::Kind::Delayed);
    let class = is_failure.then(|| classify(returned.code, returned.status, &returned.diagnostic));
    Step { class: class.map(ClassView::from), ..Step::new(at, "returned", text) }
}

/// The last attempt, where the history does not have it: it is switched off, or was lost.
fn only_in_the_queue(state: &RecipientState, steps: &mut Vec<Step>) {
    let RecipientState::Waiting { attempts, last: Some(last), .. } = state else { return };
    let at = last.at.to_rfc3339();
    if steps.iter().all(|step| step.evidence.as_ref().is_none_or(|evidence| evidence.at != at)) {
        let evidence = EvidenceView::from(&**last);
        let step = Step::new(last.at, "deferred", evidence.in_one_line());
        steps.push(Step { attempt: Some(*attempts), ..step.with(evidence) });
    }
}

/// A refusal is told without its number: it comes after those before it, if a server was asked.
fn number_attempts(steps: &mut [Step]) {
    let mut before = 0;
    for step in steps {
        let asked = step.evidence.as_ref().is_some_and(|evidence| evidence.address.is_some());
        if step.attempt.is_none() && step.event == "bounced" && asked {
            step.attempt = Some(before + 1);
        }
        before = step.attempt.unwrap_or(before);
    }
}

/// What comes next, and why then.
fn ahead(record: &LetterRecord, state: &RecipientState, why: Option<&Why>, address: &Mailbox) -> Vec<Step> {
    let about = |step: Step| Step { ahead: true, recipient: Some(address.to_string()), ..step };
    let mut steps = Vec::new();
    let reason = why.map(|why| why.reason.clone());
    match state {
        RecipientState::Waiting { next, .. } => {
            let running = why.is_some_and(|why| why.in_flight);
            let text = if running { "an attempt is running" } else { "next attempt" };
            let step = Step::new(*next, "next-attempt", text);
            steps.push(about(Step { next: Some(next.to_rfc3339()), set_by: reason, ..step }));
        }
        RecipientState::Held { .. } => {}
        _ => return steps,
    }
    steps.push(about(Step::new(record.expires, "expiry", "given up, with a notice to the sender")));
    steps
}
