//! What a person tells the machine to do.

use super::{Effect, Line, Moment, Ring, Stage, State, Why};
use crate::life::Policy;

/// A person's word about one key, or all of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Let a key sign.
    Activate {
        /// The key.
        selector: String,
        /// Although its record was not seen in DNS.
        insist: bool,
    },
    /// One step towards a key's end: what signs retires, what waits for its overlap or was never used is retired.
    Retire {
        /// The key.
        selector: String,
        /// Although it is the last one that signs, or letters that it signed may still be on their way.
        force: bool,
    },
    /// The key must not be trusted any more.
    Revoke {
        /// The key.
        selector: String,
    },
    /// Every line gets a new key as soon as one may sign.
    Rotate,
}

/// Why it is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is no such key.
    #[error("there is no such key")]
    NoKey,
    /// Its record was not seen, and nobody insisted.
    #[error("its record was not seen in DNS")]
    Unseen,
    /// Its private half is gone, or about to be.
    #[error("it is never used again; generate a new key")]
    Over(Stage),
    /// Without it nothing would sign.
    #[error("it is the last key that signs")]
    LastActive,
    /// Letters that it signed may be on their way until then.
    #[error("letters that it signed may still be on their way")]
    Overlap {
        /// Until when.
        until: Moment,
    },
}

/// Does what a person said, or says why not; then nothing has changed.
pub fn command(ring: &Ring, command: &Command, now: Moment, policy: &Policy) -> Result<(Ring, Vec<Effect>), Refused> {
    let (mut next, mut effects) = (ring.clone(), Vec::new());
    match command {
        Command::Activate { selector, insist } => {
            let life = ring.0.get(selector).ok_or(Refused::NoKey)?;
            let why = match life.stage() {
                Stage::Active => return Ok((next, effects)),
                Stage::Generated if *insist => Why::Insisted,
                Stage::Generated => return Err(Refused::Unseen),
                Stage::Published | Stage::Verified | Stage::Retiring => Why::Asked,
                over @ (Stage::Retired | Stage::Destroyed | Stage::Revoked) => return Err(Refused::Over(over)),
            };
            next.go(selector, State::ACTIVE, now, why, &mut effects);
        }
        Command::Retire { selector, force } => {
            let life = ring.0.get(selector).ok_or(Refused::NoKey)?;
            let until = life.since + policy.overlap;
            let state = match life.stage() {
                Stage::Active if !force && ring.active() == 1 => return Err(Refused::LastActive),
                Stage::Active => State::Retiring,
                Stage::Retiring if !force && now < until => return Err(Refused::Overlap { until }),
                Stage::Generated | Stage::Published | Stage::Verified | Stage::Retiring => {
                    State::Retired { disclosed: false }
                }
                Stage::Retired | Stage::Destroyed => return Ok((next, effects)),
                Stage::Revoked => return Err(Refused::Over(Stage::Revoked)),
            };
            next.go(selector, state, now, Why::Asked, &mut effects);
        }
        Command::Revoke { selector } => {
            let life = ring.0.get(selector).ok_or(Refused::NoKey)?;
            if life.stage() != Stage::Revoked {
                next.go(selector, State::Revoked, now, Why::Asked, &mut effects);
            }
        }
        Command::Rotate => {
            for line in Line::ALL {
                let Some((selector, _)) = ring.signing(line) else { continue };
                if let Some(life) = next.0.get_mut(selector)
                    && let State::Active { hurried, .. } = &mut life.state
                {
                    *hurried = true;
                }
                if ring.successor(line).is_none() {
                    effects.push(Effect::Generate { line });
                }
            }
        }
    }
    Ok((next, effects))
}

/// One line of an emergency rotation: what signs is replaced at once and revoked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The line.
    pub line: Line,
    /// The key to sign next, if one's record was seen; otherwise a new one is made and signs unseen.
    pub successor: Option<String>,
    /// The keys to revoke.
    pub compromised: Vec<String>,
}

/// What an emergency rotation replaces: every key that signs, or signed and is still trusted by receivers.
pub fn replacements(ring: &Ring) -> Vec<Replacement> {
    let of = |line: Line| {
        let names = |stage| ring.in_stage(line, stage).map(|(selector, _)| selector.to_owned());
        let compromised: Vec<String> = names(Stage::Active).collect();
        let seen = ring.successor(line).filter(|(_, life)| life.stage() > Stage::Generated);
        let successor = seen.map(|(selector, _)| selector.to_owned());
        (!compromised.is_empty()).then_some(Replacement { line, successor, compromised })
    };
    Line::ALL.into_iter().filter_map(of).collect()
}
