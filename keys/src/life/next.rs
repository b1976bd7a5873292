//! What happens next to a key, and when: announced before it happens.

use super::{Life, Moment, Policy, Ring, Stage, State};

/// What a key's next move waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// For its record to be published.
    Record,
    /// For its record at every authoritative server.
    EveryServer,
    /// For the pre-publish time.
    Prepublish,
    /// For its turn: the key before it signs until then.
    Turn,
    /// For the next look at DNS.
    NextLook,
    /// For its successor to be made.
    SuccessorMade,
    /// For its successor's record.
    SuccessorReady,
    /// For the letters that it signed.
    Letters,
    /// For the end of the time that retired keys are kept.
    Keeping,
}

impl Waits {
    /// One sentence, for lists and pages.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Record => "publish its record; it is looked for again and again",
            Self::EveryServer => "waits until every authoritative server has its record",
            Self::Prepublish => "its record is everywhere; waits for the pre-publish time",
            Self::Turn => "ready; takes over when the key before it has had its time",
            Self::NextLook => "ready; signs at the next look at DNS",
            Self::SuccessorMade => "its successor is made at this time",
            Self::SuccessorReady => "its successor takes over, once its record is everywhere for long enough",
            Self::Letters => "its record stays until the letters that it signed have arrived",
            Self::Keeping => "its record may go; its private half is destroyed at this time",
        }
    }
}

/// A key's next move by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextStep {
    /// Where to; `None` where the key stays and its successor is made.
    pub to: Option<Stage>,
    /// Not before; `None` where only the world decides.
    pub at: Option<Moment>,
    /// What it waits for.
    pub waits: Waits,
}

/// What happens next to a key of `ring`; `None` for one whose life is over, or that is not there.
pub fn next_step(ring: &Ring, selector: &str, policy: &Policy) -> Option<NextStep> {
    let life = ring.0.get(selector)?;
    let step = |to, at, waits| Some(NextStep { to: Some(to), at, waits });
    match life.state {
        State::Generated => step(Stage::Published, None, Waits::Record),
        State::Published { everywhere_since: None } => step(Stage::Verified, None, Waits::EveryServer),
        State::Published { everywhere_since: Some(since) } => {
            let wait = if ring.active() == 0 { std::time::Duration::ZERO } else { policy.wait(life.ttl) };
            step(Stage::Verified, Some(since + wait), Waits::Prepublish)
        }
        State::Verified => match ring.signing(life.line) {
            Some((_, signing)) => step(Stage::Active, turn(signing, policy), Waits::Turn),
            None => step(Stage::Active, None, Waits::NextLook),
        },
        State::Active { .. } if ring.successor(life.line).is_some() => {
            step(Stage::Retiring, turn(life, policy), Waits::SuccessorReady)
        }
        State::Active { .. } => {
            let made = turn(life, policy).map(|turn| turn.before(policy.lead()));
            Some(NextStep { to: None, at: made, waits: Waits::SuccessorMade })
        }
        State::Retiring => step(Stage::Retired, Some(life.since + policy.overlap), Waits::Letters),
        State::Retired { .. } => step(Stage::Destroyed, Some(life.since + policy.keep_retired), Waits::Keeping),
        State::Destroyed | State::Revoked => None,
    }
}

/// When the key that signs has had its time; `None` if that was asked for already.
fn turn(signing: &Life, policy: &Policy) -> Option<Moment> {
    match signing.state {
        State::Active { hurried: true, .. } => None,
        _ => Some(signing.since + policy.rotate_every),
    }
}
