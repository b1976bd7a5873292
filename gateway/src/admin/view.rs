//! Letters as lists and pages show them: the stable JSON of `queue list` and `GET /v1/queue`.

use serde::{Deserialize, Serialize};

use super::{QueueAction, QueueControl, Why};
use crate::clock::Timestamp;
use crate::history::{Past, RecipientTimeline, Step};
use crate::ids::LetterId;
use crate::message::{Mailbox, ReversePath};
use crate::observe::EvidenceView;
use crate::schedule::limit::Limit;
use crate::store::{LetterRecord, RecipientState};

/// A queued letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterView {
    /// Its id.
    pub id: String,
    /// Its tenant's name, or its number where the tenant is gone.
    pub tenant: String,
    /// When it was accepted, in RFC 3339.
    pub accepted: String,
    /// When it is given up, in RFC 3339.
    pub expires: String,
    /// The reverse-path, `<>` for notices.
    pub from: String,
    /// The Subject after redaction, shortened.
    pub subject: String,
    /// Octets.
    pub size: u64,
    /// Is it a notice of our own?
    pub notice: bool,
    /// Does it still wait in the queue? Else this is what the history knows.
    #[serde(default)]
    pub queued: bool,
    /// `transactional` or `bulk`.
    pub stream: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// Its recipients in the envelope's order.
    pub recipients: Vec<RecipientView>,
}

/// A recipient and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecipientView {
    /// The address.
    pub address: String,
    /// `queued`, `deferred`, `held`, `delivered`, `bounced`, `expired`, `dropped`.
    pub state: String,
    /// Attempts so far, where the state counts them.
    pub attempts: Option<u16>,
    /// The next attempt, in RFC 3339.
    pub next_attempt: Option<String>,
    /// What the last attempt said.
    pub last: Option<EvidenceView>,
    /// Who held or dropped it.
    pub by: Option<String>,
    /// Why it was held or dropped.
    pub reason: Option<String>,
    /// The suspension that keeps it from being attempted, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suspended: Option<String>,
}

impl LetterView {
    /// A record under its tenant's name.
    pub fn new(record: &LetterRecord, tenant: String) -> Self {
        let recipients = record.envelope.recipients.iter().zip(&record.states);
        Self {
            id: record.id.to_string(),
            tenant,
            accepted: record.accepted.to_rfc3339(),
            expires: record.expires.to_rfc3339(),
            from: match &record.envelope.reverse_path {
                ReversePath::Null => "<>".into(),
                ReversePath::Mailbox(mailbox) => mailbox.to_string(),
            },
            subject: record.subject.clone(),
            size: record.size,
            notice: record.notice,
            queued: true,
            stream: match record.options.stream {
                crate::sign::MailStream::Transactional => "transactional".into(),
                crate::sign::MailStream::Bulk => "bulk".into(),
            },
            tags: record.options.tags.clone(),
            recipients: recipients
                .map(|(recipient, state)| RecipientView::new(recipient.address.to_string(), state))
                .collect(),
        }
    }
}

impl LetterView {
    /// With the suspensions that hold.
    #[must_use]
    pub fn with_suspensions(mut self, record: &LetterRecord, queue: &dyn QueueControl) -> Self {
        for (at, recipient) in self.recipients.iter_mut().enumerate() {
            recipient.suspended = queue.suspended(record, at).map(|one| one.words());
        }
        self
    }

    /// A letter that has left the queue, from what is remembered of it.
    pub fn of_past(id: LetterId, past: &Past, tenant: String) -> Self {
        let known = past.acceptance();
        let from = known.map(|known| match &known.envelope.reverse_path {
            ReversePath::Null => "<>".to_owned(),
            ReversePath::Mailbox(mailbox) => mailbox.to_string(),
        });
        let accepted = id.accepted_at().to_rfc3339();
        let recipient = |address: &Mailbox| RecipientView {
            address: address.to_string(),
            state: past.last_state(address).unwrap_or("unknown").to_owned(),
            attempts: past.attempts(address).map(|attempt| attempt.number).max().filter(|number| *number > 0),
            next_attempt: None,
            last: past.attempts(address).last().map(|attempt| EvidenceView::from(&attempt.evidence)),
            by: None,
            reason: None,
            suspended: None,
        };
        Self {
            id: id.to_string(),
            tenant,
            expires: known.map_or_else(|| accepted.clone(), |known| known.expires.to_rfc3339()),
            accepted,
            from: from.unwrap_or_default(),
            subject: known.map(|known| known.subject.clone()).unwrap_or_default(),
            size: known.map_or(0, |known| known.size),
            notice: known.is_none_or(|known| known.envelope.reverse_path == ReversePath::Null),
            queued: false,
            stream: String::new(),
            tags: Vec::new(),
            recipients: past.addresses().iter().map(recipient).collect(),
        }
    }
}

impl RecipientView {
    fn new(address: String, state: &RecipientState) -> Self {
        let mut view = Self {
            address,
            state: state.name().into(),
            attempts: None,
            next_attempt: None,
            last: None,
            by: None,
            reason: None,
            suspended: None,
        };
        match state {
            RecipientState::Waiting { next, attempts, last } => {
                view.next_attempt = Some(next.to_rfc3339());
                view.attempts = Some(*attempts);
                view.last = last.as_deref().map(EvidenceView::from);
            }
            RecipientState::Held { by, reason, attempts } => {
                view.attempts = Some(*attempts);
                view.by = Some(by.clone());
                view.reason = Some(reason.clone());
            }
            RecipientState::Delivered(evidence)
            | RecipientState::Bounced(evidence)
            | RecipientState::Expired(evidence) => view.last = Some(EvidenceView::from(&**evidence)),
            RecipientState::Dropped { by, reason } => {
                view.by = Some(by.clone());
                view.reason = Some(reason.clone());
            }
        }
        view
    }
}

/// Why a recipient's mail is not there yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyView {
    /// The recipient.
    pub recipient: String,
    /// Its state's name.
    pub state: String,
    /// Is an attempt running right now?
    pub in_flight: bool,
    /// The next attempt, in RFC 3339.
    pub next_attempt: Option<String>,
    /// Attempts so far.
    pub attempts: u16,
    /// What set the time or stands in the way.
    pub reason: String,
    /// The limit that it waits for: `time`, `connection`, `all-connections`, `rate`, `slow-down`, `suspended`.
    #[serde(default)]
    pub limit: Option<Limit>,
    /// The last attempt.
    pub last: Option<EvidenceView>,
    /// When it is given up, in RFC 3339.
    pub expires: String,
    /// Everything that happened, and what comes next.
    #[serde(default)]
    pub timeline: Vec<Step>,
}

impl WhyView {
    /// Of a letter that has left the queue.
    pub fn of_past(recipient: &RecipientTimeline, expires: String) -> Self {
        let end = recipient.steps.iter().rev().find(|step| step.event == recipient.state);
        Self {
            recipient: recipient.address.clone(),
            state: recipient.state.clone(),
            in_flight: false,
            next_attempt: None,
            attempts: recipient.steps.iter().filter_map(|step| step.attempt).max().unwrap_or(0),
            limit: None,
            reason: end
                .map_or_else(|| "it has left the queue".to_owned(), |step| format!("{} at {}", step.event, step.at)),
            last: recipient.steps.iter().rev().find_map(|step| step.evidence.clone()),
            expires,
            timeline: recipient.steps.clone(),
        }
    }
}

impl From<&Why> for WhyView {
    fn from(why: &Why) -> Self {
        Self {
            recipient: why.recipient.clone(),
            state: why.state.clone(),
            in_flight: why.in_flight,
            next_attempt: why.next_attempt.map(Timestamp::to_rfc3339),
            attempts: why.attempts,
            reason: why.reason.clone(),
            limit: why.limit,
            last: why.last.as_ref().map(EvidenceView::from),
            expires: why.expires.to_rfc3339(),
            timeline: Vec::new(),
        }
    }
}

/// A page of the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuePage {
    /// The letters, oldest first.
    pub messages: Vec<LetterView>,
    /// What to give as `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

/// A filter as clients write it: the tenant by name. All parts must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FilterRequest {
    /// One letter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// A tenant's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// A recipient domain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// A recipient address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recipient: Option<String>,
    /// The reverse-path's address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// A state's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Accepted longer ago than this many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_seconds: Option<u64>,
}

/// The body of `POST /v1/queue:act`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActRequest {
    /// `retry`, `hold`, `release`, `bounce` or `drop`.
    pub action: String,
    /// To what.
    #[serde(default)]
    pub filter: FilterRequest,
    /// Why, for the record.
    #[serde(default)]
    pub reason: String,
    /// Only count.
    #[serde(default)]
    pub dry_run: bool,
}

/// The action of this name.
pub fn action(name: &str) -> Option<QueueAction> {
    match name {
        "retry" => Some(QueueAction::Retry),
        "hold" => Some(QueueAction::Hold),
        "release" => Some(QueueAction::Release),
        "bounce" => Some(QueueAction::Bounce),
        "drop" => Some(QueueAction::Drop),
        _ => None,
    }
}
