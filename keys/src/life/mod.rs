//! The life of a DKIM key, as a pure machine: what a domain's keys are, what was seen in DNS, the time and the policy
//! go in; what the keys are now and what is to be done come out. No clock, no resolver, no disk.
//!
//! `generated → published → verified → active → retiring → retired → destroyed`, and `revoked` from anywhere.
//!
//! Promises, each held by a property test: the machine never lets a key sign whose record was not just seen at every
//! authoritative server, unless a person insists; of a line (RSA, Ed25519) that signs it never takes the last key;
//! a key leaves `retiring` only when no letter that it signed is still on its way; every move is an
//! [`Effect`] with its reason, and [`next_step`] told its date before. Refuses: every move that is not in
//! [`Stage::may_become`].
//!
//! Why a whole domain and not one key at a time: that a key may retire is a statement about its successor.

mod command;
mod next;
mod policy;
mod step;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Add;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use command::{Command, Refused, Replacement, command, replacements};
pub use next::{NextStep, Waits, next_step};
pub use policy::{Policy, QUEUE_MARGIN};
pub use step::{Observation, Sighting, step};

/// Milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(pub u64);

impl Moment {
    /// The moment this long before, or the epoch.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;
    fn add(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// Keys that follow one another. A domain signs with one of each line that it has: RSA for every verifier, Ed25519
/// beside it (RFC 8463 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// RSA of any length.
    Rsa,
    /// Ed25519.
    Ed25519,
}

impl Line {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Rsa, Self::Ed25519];
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rsa => "rsa",
            Self::Ed25519 => "ed25519",
        })
    }
}

/// The name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Made; its record is not in DNS.
    Generated,
    /// Its record is in DNS, at some servers or not for long enough.
    Published,
    /// Its record was at every authoritative server for the pre-publish time.
    Verified,
    /// It signs.
    Active,
    /// It signs no more; its record must stay until the last letter that it signed has arrived.
    Retiring,
    /// Its record may go; the private half waits for its destruction.
    Retired,
    /// The private half is gone.
    Destroyed,
    /// It must not be trusted: the private half is gone, the record says so (RFC 6376 §3.6.1, empty `p=`).
    Revoked,
}

impl Stage {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 8] = [
        Self::Generated,
        Self::Published,
        Self::Verified,
        Self::Active,
        Self::Retiring,
        Self::Retired,
        Self::Destroyed,
        Self::Revoked,
    ];

    /// The name in events, lists and texts.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Published => "published",
            Self::Verified => "verified",
            Self::Active => "active",
            Self::Retiring => "retiring",
            Self::Retired => "retired",
            Self::Destroyed => "destroyed",
            Self::Revoked => "revoked",
        }
    }

    /// Is there a private half?
    pub const fn has_private_half(self) -> bool {
        !matches!(self, Self::Destroyed | Self::Revoked)
    }

    /// Does its record belong in DNS? A revoked key's does, with an empty `p=`.
    pub const fn wants_record(self) -> bool {
        !matches!(self, Self::Retired | Self::Destroyed)
    }

    /// Can it still come to sign, by itself?
    pub const fn is_candidate(self) -> bool {
        matches!(self, Self::Generated | Self::Published | Self::Verified)
    }

    /// Every move that there is, a person's included.
    pub const fn may_become(self, next: Self) -> bool {
        use Stage::{Active, Destroyed, Generated, Published, Retired, Retiring, Revoked, Verified};
        match (self, next) {
            // The usual way.
            (Generated, Published)
            | (Published, Verified)
            | (Verified, Active)
            | (Active, Retiring)
            | (Retiring, Retired)
            | (Retired, Destroyed) => true,
            // The record vanished before the key signed.
            (Published, Generated) | (Verified, Published | Generated) => true,
            // A person insists, or takes a step back while the old record is still there.
            (Generated | Published | Retiring, Active) => true,
            // It was never needed.
            (Generated | Published | Verified, Retired) => true,
            (Revoked, _) => false,
            (_, Revoked) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where a key stands, with what only that state has to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "lowercase")]
pub enum State {
    /// See [`Stage`].
    Generated,
    /// See [`Stage`].
    Published {
        /// Since when every authoritative server has had the record, without a break.
        #[serde(default)]
        everywhere_since: Option<Moment>,
    },
    /// See [`Stage`].
    Verified,
    /// See [`Stage`].
    Active {
        /// Since when the record has not been at every server; it goes on signing.
        #[serde(default)]
        record_lost: Option<Moment>,
        /// A person wants its successor as soon as there is one that may sign.
        #[serde(default)]
        hurried: bool,
    },
    /// See [`Stage`].
    Retiring,
    /// See [`Stage`].
    Retired {
        /// Was the private half given to be published?
        #[serde(default)]
        disclosed: bool,
    },
    /// See [`Stage`].
    Destroyed,
    /// See [`Stage`].
    Revoked,
}

impl State {
    /// A key that signs, and nothing is wrong.
    pub const ACTIVE: Self = Self::Active { record_lost: None, hurried: false };

    /// Its name.
    pub const fn stage(&self) -> Stage {
        match self {
            Self::Generated => Stage::Generated,
            Self::Published { .. } => Stage::Published,
            Self::Verified => Stage::Verified,
            Self::Active { .. } => Stage::Active,
            Self::Retiring => Stage::Retiring,
            Self::Retired { .. } => Stage::Retired,
            Self::Destroyed => Stage::Destroyed,
            Self::Revoked => Stage::Revoked,
        }
    }
}

/// One key, as the machine sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Life {
    /// Whom it follows.
    pub line: Line,
    /// Where it stands.
    #[serde(flatten)]
    pub state: State,
    /// Since when.
    pub since: Moment,
    /// The longest time to live, in seconds, that its record was seen with.
    #[serde(default)]
    pub ttl: u32,
}

impl Life {
    /// A key that was just made.
    pub const fn new(line: Line, now: Moment) -> Self {
        Self { line, state: State::Generated, since: now, ttl: 0 }
    }

    /// The name of its state.
    pub const fn stage(&self) -> Stage {
        self.state.stage()
    }
}

/// All keys of one domain, by selector.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ring(pub BTreeMap<String, Life>);

impl Ring {
    /// The keys of a line in a stage.
    pub fn in_stage(&self, line: Line, stage: Stage) -> impl Iterator<Item = (&str, &Life)> {
        let wanted = move |(_, life): &(&str, &Life)| life.line == line && life.stage() == stage;
        self.0.iter().map(|(selector, life)| (selector.as_str(), life)).filter(wanted)
    }

    /// How many keys sign.
    pub fn active(&self) -> usize {
        self.0.values().filter(|life| life.stage() == Stage::Active).count()
    }

    /// The key of a line that signs and came last to it.
    fn signing(&self, line: Line) -> Option<(&str, &Life)> {
        self.in_stage(line, Stage::Active).max_by_key(|(_, life)| life.since)
    }

    /// The key that would follow: the furthest on its way, of equals the newest.
    fn successor(&self, line: Line) -> Option<(&str, &Life)> {
        let of_line = self.0.iter().filter(|(_, life)| life.line == line && life.stage().is_candidate());
        of_line.map(|(selector, life)| (selector.as_str(), life)).max_by_key(|(_, life)| (life.stage(), life.since))
    }

    /// The only place where a key moves. A move that is not allowed is a mistake in here, and is not made.
    fn go(&mut self, selector: &str, state: State, now: Moment, why: Why, effects: &mut Vec<Effect>) {
        let Some(life) = self.0.get_mut(selector) else { return };
        let (from, to) = (life.stage(), state.stage());
        if !from.may_become(to) {
            debug_assert!(false, "{selector}: {from} does not become {to}");
            return;
        }
        life.state = state;
        life.since = now;
        effects.push(Effect::Moved { selector: selector.to_owned(), from, to, why });
    }
}

/// Why a key moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its record was seen.
    RecordSeen,
    /// It was seen at every server for long enough.
    SeenLongEnough,
    /// Its record is not there any more, or not everywhere.
    RecordVanished,
    /// Nothing signed, and its record is everywhere.
    FirstKey,
    /// The time of the key before it was over.
    TimeToRotate,
    /// A person asked for a rotation, or for the one before it to go.
    Hurried,
    /// The record of the key before it was missing for too long.
    PredecessorLost,
    /// Its successor signs.
    Succeeded,
    /// The last letter that it signed is long gone.
    OverlapOver,
    /// The time that retired keys are kept was over.
    KeptLongEnough,
    /// A person said so.
    Asked,
    /// A person insisted, although its record was not seen.
    Insisted,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RecordSeen => "its record was seen in DNS",
            Self::SeenLongEnough => "its record was at every authoritative server for the pre-publish time",
            Self::RecordVanished => "its record is missing at some authoritative server",
            Self::FirstKey => "its record is at every authoritative server, and no key signed for the domain",
            Self::TimeToRotate => "the time of the key before it was over",
            Self::Hurried => "a rotation was asked for",
            Self::PredecessorLost => "the record of the key before it is missing",
            Self::Succeeded => "its successor signs",
            Self::OverlapOver => "no letter that it signed can be on its way any more",
            Self::KeptLongEnough => "retired keys are not kept for longer",
            Self::Asked => "asked for",
            Self::Insisted => "insisted on, although its record was not seen in DNS",
        })
    }
}

/// What happened, or is to be done by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// A key moved. Where the new stage has no private half, the caller wipes it.
    Moved {
        /// The key.
        selector: String,
        /// From where.
        from: Stage,
        /// To where.
        to: Stage,
        /// Why.
        why: Why,
    },
    /// The line needs a new key; the caller makes it.
    Generate {
        /// Of what kind.
        line: Line,
    },
    /// A signing key's record is not at every server any more. It goes on signing.
    RecordLost {
        /// The key.
        selector: String,
    },
    /// It is there again.
    RecordBack {
        /// The key.
        selector: String,
    },
    /// The private half may be published: the record is gone from every server, so that it convinces nobody.
    Disclose {
        /// The key.
        selector: String,
    },
}
