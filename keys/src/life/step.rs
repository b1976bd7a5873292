//! What the machine does by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Effect, Life, Line, Moment, Policy, Ring, Stage, State, Why};

/// What DNS says of one key's record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// Nobody looked, or a server could not answer: nothing is concluded from it.
    Unknown,
    /// No authoritative server has it.
    Absent,
    /// Another record stands there, or several.
    Different,
    /// Some servers have it, and the others have nothing.
    Partly,
    /// Every authoritative server has it.
    Everywhere {
        /// The longest time to live, in seconds.
        ttl: u32,
    },
}

/// What is known of a domain's keys from outside.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observation {
    /// What DNS says, by selector; a key that is not in here is [`Sighting::Unknown`].
    pub records: BTreeMap<String, Sighting>,
    /// Keys with a letter of theirs still in the queue.
    pub letters_waiting: BTreeSet<String>,
}

impl Observation {
    fn of(&self, selector: &str) -> Sighting {
        self.records.get(selector).copied().unwrap_or(Sighting::Unknown)
    }

    fn is_everywhere(&self, selector: &str) -> bool {
        matches!(self.of(selector), Sighting::Everywhere { .. })
    }
}

/// One look at the world: what a domain's keys are now, and what happened or is to be done. Once the keys that it
/// asks for are made, the same again at the same time changes nothing.
pub fn step(ring: &Ring, seen: &Observation, now: Moment, policy: &Policy) -> (Ring, Vec<Effect>) {
    let nothing_signs = ring.active() == 0;
    let mut look = Look { ring: ring.clone(), effects: Vec::new(), seen, now, policy, nothing_signs };
    for (selector, life) in &ring.0 {
        look.at_key(selector, *life);
    }
    for line in Line::ALL {
        look.at_line(line);
    }
    let Look { ring, mut effects, .. } = look;
    effects.extend(wanted(&ring, now, policy).map(|line| Effect::Generate { line }));
    (ring, effects)
}

struct Look<'o> {
    ring: Ring,
    effects: Vec<Effect>,
    seen: &'o Observation,
    now: Moment,
    policy: &'o Policy,
    /// Did no key of the domain sign when the look began?
    nothing_signs: bool,
}

impl Look<'_> {
    fn go(&mut self, selector: &str, state: State, why: Why) {
        self.ring.go(selector, state, self.now, why, &mut self.effects);
    }

    /// Changes what a state knows, and not the state.
    fn note(&mut self, selector: &str, state: State) {
        if let Some(life) = self.ring.0.get_mut(selector) {
            debug_assert_eq!(life.stage(), state.stage());
            life.state = state;
        }
    }

    /// What one key does whatever the others do.
    fn at_key(&mut self, selector: &str, life: Life) {
        let sighting = self.seen.of(selector);
        if let (Sighting::Everywhere { ttl }, Some(life)) = (sighting, self.ring.0.get_mut(selector)) {
            life.ttl = life.ttl.max(ttl);
        }
        match life.state {
            State::Generated | State::Published { .. } | State::Verified => {
                self.at_candidate(selector, life, sighting);
            }
            State::Active { record_lost, hurried } => {
                let record_lost = self.lost_since(selector, record_lost, sighting);
                self.note(selector, State::Active { record_lost, hurried });
            }
            State::Retiring => {
                let over = self.now >= life.since + self.policy.overlap;
                if over && !self.seen.letters_waiting.contains(selector) {
                    self.go(selector, State::Retired { disclosed: false }, Why::OverlapOver);
                }
            }
            State::Retired { disclosed } => {
                // A key that any verifier may still trust is not given away.
                if self.policy.disclose_retired && !disclosed && sighting == Sighting::Absent {
                    self.effects.push(Effect::Disclose { selector: selector.to_owned() });
                    self.note(selector, State::Retired { disclosed: true });
                }
                if self.now >= life.since + self.policy.keep_retired {
                    self.go(selector, State::Destroyed, Why::KeptLongEnough);
                }
            }
            State::Destroyed | State::Revoked => {}
        }
    }

    fn lost_since(&mut self, selector: &str, before: Option<Moment>, sighting: Sighting) -> Option<Moment> {
        let selector = || selector.to_owned();
        match (sighting, before) {
            (Sighting::Unknown, before) => before,
            (Sighting::Everywhere { .. }, None) => None,
            (Sighting::Everywhere { .. }, Some(_)) => {
                self.effects.push(Effect::RecordBack { selector: selector() });
                None
            }
            (_, Some(since)) => Some(since),
            (_, None) => {
                self.effects.push(Effect::RecordLost { selector: selector() });
                Some(self.now)
            }
        }
    }

    /// A key that does not sign yet goes forward while its record stands, and back when it falls.
    fn at_candidate(&mut self, selector: &str, life: Life, sighting: Sighting) {
        let nowhere_yet = State::Published { everywhere_since: None };
        match (sighting, life.state) {
            (Sighting::Unknown, _) | (Sighting::Absent | Sighting::Different, State::Generated) => {}
            (Sighting::Absent | Sighting::Different, _) => self.go(selector, State::Generated, Why::RecordVanished),
            (Sighting::Partly, State::Generated) => self.go(selector, nowhere_yet, Why::RecordSeen),
            (Sighting::Partly, State::Verified) => self.go(selector, nowhere_yet, Why::RecordVanished),
            (Sighting::Partly, _) => self.note(selector, nowhere_yet),
            (Sighting::Everywhere { .. }, State::Verified) => {}
            (Sighting::Everywhere { ttl }, state) => {
                let since = match state {
                    State::Published { everywhere_since: Some(since) } => since,
                    _ => self.now,
                };
                let published = State::Published { everywhere_since: Some(since) };
                if life.stage() == Stage::Generated {
                    self.go(selector, published, Why::RecordSeen);
                } else {
                    self.note(selector, published);
                }
                if self.now >= since + self.wait(life, ttl) {
                    self.go(selector, State::Verified, Why::SeenLongEnough);
                }
            }
        }
    }

    /// A domain whose mail is refused has nothing to lose by a key that some receiver may not see yet.
    fn wait(&self, life: Life, ttl: u32) -> Duration {
        if self.nothing_signs { Duration::ZERO } else { self.policy.wait(ttl.max(life.ttl)) }
    }

    /// Lets a line's successor sign if it may and should; then those before it retire.
    fn at_line(&mut self, line: Line) {
        let ready = self.ring.in_stage(line, Stage::Verified).filter(|(selector, _)| self.seen.is_everywhere(selector));
        let ready = ready.max_by_key(|(_, life)| life.since).map(|(selector, _)| selector.to_owned());
        if let (Some(selector), Some(why)) = (ready, self.due(line)) {
            self.go(&selector, State::ACTIVE, why);
        }
        // Two that sign: a rotation just now, or a person's doing. The older ones go once the newest is known to be
        // seen, so that one is there whatever happens to it.
        let Some(newest) = self.ring.signing(line).map(|(selector, _)| selector.to_owned()) else { return };
        if !self.seen.is_everywhere(&newest) {
            return;
        }
        let all: Vec<String> =
            self.ring.in_stage(line, Stage::Active).map(|(selector, _)| selector.to_owned()).collect();
        for selector in all.iter().filter(|selector| **selector != newest) {
            self.go(selector, State::Retiring, Why::Succeeded);
        }
    }

    /// Why the line should have a new signing key now, if it should.
    fn due(&self, line: Line) -> Option<Why> {
        let Some((_, signing)) = self.ring.signing(line) else { return Some(Why::FirstKey) };
        let State::Active { record_lost, hurried } = signing.state else { return None };
        if hurried {
            Some(Why::Hurried)
        } else if record_lost.is_some_and(|since| self.now >= since + self.policy.grace) {
            Some(Why::PredecessorLost)
        } else {
            (self.now >= signing.since + self.policy.rotate_every).then_some(Why::TimeToRotate)
        }
    }
}

/// The lines that need a key which nobody made yet.
fn wanted<'r>(ring: &'r Ring, now: Moment, policy: &'r Policy) -> impl Iterator<Item = Line> + 'r {
    // A domain that lost its last key gets one of the kind that it had last.
    let lives = || ring.0.values();
    let barren = !lives().any(|life| life.stage() == Stage::Active || life.stage().is_candidate());
    let orphan = if barren { lives().max_by_key(|life| life.since).map(|life| life.line) } else { None };
    Line::ALL.into_iter().filter(move |&line| {
        let Some((_, signing)) = ring.signing(line) else { return orphan == Some(line) };
        let hurried = matches!(signing.state, State::Active { hurried: true, .. });
        let soon = now >= (signing.since + policy.rotate_every).before(policy.lead());
        (hurried || soon) && ring.successor(line).is_none()
    })
}
