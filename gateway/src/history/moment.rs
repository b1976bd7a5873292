//! One thing that happened to a letter, as it is kept. The shapes are on disk: only add at the end.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::deliver::outcome::Evidence;
use crate::ids::LetterId;
use crate::message::{Envelope, Mailbox};
use crate::observe::Event;
use crate::returns::Kind;
use crate::sign::SignatureFact;

/// Something that happened, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Happening {
    /// It was accepted, with these signatures.
    Accepted(Box<Acceptance>),
    /// Card numbers were struck out.
    Redacted {
        /// How many.
        hits: u32,
        /// Parts that could not be read.
        unscanned: u32,
    },
    /// An attempt ended.
    Attempt(Box<Attempt>),
    /// A person held it.
    Held {
        /// For whom.
        to: Mailbox,
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// A person dropped it.
    Dropped {
        /// For whom.
        to: Mailbox,
        /// By whom.
        by: String,
        /// Why.
        reason: String,
    },
    /// Something came back.
    Returned(Box<Return>),
}

/// How a letter was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acceptance {
    /// The session.
    pub session: Option<String>,
    /// Its envelope, the reverse-path as the client gave it.
    pub envelope: Envelope,
    /// The subject, after redaction.
    pub subject: String,
    /// The From domain.
    pub from_domain: String,
    /// Octets.
    pub size: u64,
    /// When it was to be given up.
    pub expires: Timestamp,
    /// The DKIM signatures.
    pub signatures: Vec<SignatureFact>,
}

/// How an attempt ended for one recipient.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// For whom.
    pub to: Mailbox,
    /// The number of the attempt; 0 where none was made (time ran out, a person gave it up).
    pub number: u16,
    /// How it ended.
    pub end: End,
    /// What is known of it.
    pub evidence: Evidence,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// The other side took it.
    Delivered,
    /// Not now.
    Deferred {
        /// The next attempt, as the retry policy has it.
        next: Timestamp,
    },
    /// Refused for good.
    Bounced {
        /// The notice to the sender.
        notice: Option<LetterId>,
    },
    /// Time ran out.
    Expired {
        /// The notice to the sender.
        notice: Option<LetterId>,
    },
}

/// What came back about a recipient after the letter had left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    /// The recipient's place in the envelope.
    pub recipient: u32,
    /// Its address, if the history knew it.
    pub to: Option<Mailbox>,
    /// What it is.
    pub kind: Kind,
    /// The status code.
    pub status: Option<(u8, u16, u16)>,
    /// The server's three digits.
    pub code: Option<u16>,
    /// What the server said, cleaned.
    pub diagnostic: String,
    /// Who reports.
    pub reporter: Option<String>,
    /// By what it was recognised.
    pub source: String,
    /// SPF, DKIM, ARC: `spf=pass dkim=none arc=none`.
    pub checks: String,
    /// Was it believed?
    pub believed: bool,
    /// Was the address put on the suppression list?
    pub suppressed: bool,
}

/// The moment that an event of a letter is; `None` for events of other kinds.
pub fn of_event(event: &Event, at: Timestamp) -> Option<Moment> {
    let attempt = |to: &Mailbox, number, end, evidence: &Evidence| {
        Happening::Attempt(Box::new(Attempt { to: to.clone(), number, end, evidence: evidence.clone() }))
    };
    let what = match event {
        Event::Redacted { hits, unscanned, .. } => {
            Happening::Redacted { hits: hits.len() as u32, unscanned: unscanned.len() as u32 }
        }
        Event::Deferred { to, attempt: number, next, evidence, .. } => {
            attempt(to, *number, End::Deferred { next: *next }, evidence)
        }
        Event::Delivered { to, attempt: number, evidence, .. } => attempt(to, *number, End::Delivered, evidence),
        Event::Bounced { to, notice, evidence, .. } => attempt(to, 0, End::Bounced { notice: *notice }, evidence),
        Event::Expired { to, notice, evidence, .. } => attempt(to, 0, End::Expired { notice: *notice }, evidence),
        Event::Held { to, by, reason, .. } => {
            Happening::Held { to: to.clone(), by: by.clone(), reason: reason.clone() }
        }
        Event::Dropped { to, by, reason, .. } => {
            Happening::Dropped { to: to.clone(), by: by.clone(), reason: reason.clone() }
        }
        _ => return None,
    };
    Some(Moment { at, what })
}
