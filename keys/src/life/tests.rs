//! The machine by table, by years of simulation, and by any sequence of looks, times and persons.

use std::time::Duration;

use proptest::prelude::*;

use super::*;

const DAY: Duration = Duration::from_hours(24);
const EVERYWHERE: Sighting = Sighting::Everywhere { ttl: 300 };
const START: Moment = Moment(1_795_000_000_000);

fn ring(keys: &[(&str, Line, State, Duration)]) -> Ring {
    let life = |line, state, ago| Life { line, state, since: START.before(ago), ttl: 0 };
    Ring(keys.iter().map(|&(selector, line, state, ago)| (selector.to_owned(), life(line, state, ago))).collect())
}

fn seen(records: &[(&str, Sighting)]) -> Observation {
    let records = records.iter().map(|&(selector, sighting)| (selector.to_owned(), sighting)).collect();
    Observation { records, ..Observation::default() }
}

fn stages(ring: &Ring) -> Vec<(&str, Stage)> {
    ring.0.iter().map(|(selector, life)| (selector.as_str(), life.stage())).collect()
}

#[test]
fn every_move_is_in_the_table_and_the_table_is_the_one_that_people_read() {
    use Stage::{Active, Destroyed, Generated, Published, Retired, Retiring, Revoked, Verified};
    let allowed = |from: Stage| -> Vec<Stage> { Stage::ALL.into_iter().filter(|&to| from.may_become(to)).collect() };
    assert_eq!(allowed(Generated), [Published, Active, Retired, Revoked]);
    assert_eq!(allowed(Published), [Generated, Verified, Active, Retired, Revoked]);
    assert_eq!(allowed(Verified), [Generated, Published, Active, Retired, Revoked]);
    assert_eq!(allowed(Active), [Retiring, Revoked]);
    assert_eq!(allowed(Retiring), [Active, Retired, Revoked]);
    assert_eq!(allowed(Retired), [Destroyed, Revoked]);
    assert_eq!(allowed(Destroyed), [Revoked]);
    assert_eq!(allowed(Revoked), []);
}

#[test]
fn a_domains_first_keys_sign_as_soon_as_every_server_has_them() {
    let new = ring(&[("a", Line::Rsa, State::Generated, DAY), ("b", Line::Ed25519, State::Generated, DAY)]);
    let policy = Policy::default();
    let (next, _) = step(&new, &seen(&[("a", Sighting::Partly), ("b", EVERYWHERE)]), START, &policy);
    assert_eq!(stages(&next), [("a", Stage::Published), ("b", Stage::Active)]);
    // One signs now: the other is no emergency any more and waits its time.
    let both = seen(&[("a", EVERYWHERE), ("b", EVERYWHERE)]);
    let (next, _) = step(&next, &both, START, &policy);
    assert_eq!(stages(&next), [("a", Stage::Published), ("b", Stage::Active)]);
    assert_eq!(next_step(&next, "a", &policy).unwrap().at, Some(START + DAY));
    let (next, effects) = step(&next, &both, START + DAY, &policy);
    assert_eq!(stages(&next), [("a", Stage::Active), ("b", Stage::Active)]);
    assert_eq!(effects.len(), 2, "verified, active");
    let (together, _) = step(&new, &both, START, &policy);
    assert_eq!(stages(&together), [("a", Stage::Active), ("b", Stage::Active)]);
}

#[test]
fn a_successor_waits_for_its_time_at_every_server_without_a_break() {
    let policy = Policy::default();
    let keys = ring(&[("old", Line::Rsa, State::ACTIVE, 180 * DAY), ("new", Line::Rsa, State::Generated, 10 * DAY)]);
    let look = |keys: &Ring, sighting, days: f64| {
        let at = START + DAY.mul_f64(days);
        step(keys, &seen(&[("old", EVERYWHERE), ("new", sighting)]), at, &policy).0
    };
    let keys = look(&keys, EVERYWHERE, 0.0);
    let keys = look(&keys, Sighting::Unknown, 0.5);
    assert_eq!(stages(&keys), [("new", Stage::Published), ("old", Stage::Active)]);
    let broken = look(&keys, Sighting::Partly, 0.6);
    let broken = look(&broken, EVERYWHERE, 0.7);
    assert_eq!(stages(&look(&broken, EVERYWHERE, 1.6))[0].1, Stage::Published, "counted from the break on");
    assert_eq!(stages(&look(&broken, EVERYWHERE, 1.7))[0].1, Stage::Active);
    assert_eq!(stages(&look(&keys, Sighting::Unknown, 3.0))[0].1, Stage::Published, "not while nobody can tell");
    let keys = look(&keys, EVERYWHERE, 1.0);
    assert_eq!(stages(&keys), [("new", Stage::Active), ("old", Stage::Retiring)]);
    assert_eq!(stages(&look(&broken, Sighting::Absent, 1.0))[0].1, Stage::Generated);
}

#[test]
fn a_long_time_to_live_makes_the_wait_longer() {
    let policy = Policy::default();
    let keys = ring(&[("old", Line::Rsa, State::ACTIVE, 180 * DAY), ("new", Line::Rsa, State::Generated, DAY)]);
    let week = Sighting::Everywhere { ttl: 7 * 86_400 };
    let (keys, _) = step(&keys, &seen(&[("new", week)]), START, &policy);
    assert_eq!(next_step(&keys, "new", &policy).unwrap().at, Some(START + 14 * DAY));
    let (early, _) = step(&keys, &seen(&[("new", EVERYWHERE)]), START + 13 * DAY, &policy);
    assert_eq!(early.0["new"].stage(), Stage::Published, "the longest one that was seen counts");
}

#[test]
fn a_record_that_vanishes_is_told_once_and_a_ready_successor_takes_over() {
    let policy = Policy::default();
    let keys = ring(&[("old", Line::Rsa, State::ACTIVE, DAY), ("new", Line::Rsa, State::Verified, DAY)]);
    let look = seen(&[("old", Sighting::Absent), ("new", EVERYWHERE)]);
    let (keys, effects) = step(&keys, &look, START, &policy);
    assert_eq!(effects, [Effect::RecordLost { selector: "old".to_owned() }]);
    let (keys, effects) = step(&keys, &look, START + Duration::from_hours(23), &policy);
    assert_eq!((effects.as_slice(), keys.0["old"].stage()), (&[][..], Stage::Active));
    let (back, effects) = step(&keys, &seen(&[("old", EVERYWHERE)]), START + DAY, &policy);
    assert_eq!((effects.len(), back.0["old"].state), (1, State::ACTIVE));
    let (keys, _) = step(&keys, &look, START + DAY, &policy);
    assert_eq!(stages(&keys), [("new", Stage::Active), ("old", Stage::Retiring)]);
}

#[test]
fn a_key_retires_only_after_its_last_letter() {
    let policy = Policy { overlap: DAY, ..Policy::default() }.for_queue(5 * DAY);
    assert_eq!(policy.overlap, 6 * DAY, "never shorter than a letter may wait");
    let keys = ring(&[("new", Line::Rsa, State::ACTIVE, 6 * DAY), ("old", Line::Rsa, State::Retiring, 6 * DAY)]);
    let waiting = Observation { letters_waiting: ["old".to_owned()].into(), ..Observation::default() };
    assert_eq!(step(&keys, &waiting, START + 99 * DAY, &policy).0.0["old"].stage(), Stage::Retiring);
    let (keys, _) = step(&keys, &Observation::default(), START, &policy);
    assert_eq!(keys.0["old"].stage(), Stage::Retired);
    let (keys, _) = step(&keys, &Observation::default(), START + 30 * DAY, &policy);
    assert_eq!(keys.0["old"].stage(), Stage::Destroyed);
}

#[test]
fn a_private_half_is_given_away_only_if_asked_for_and_once_its_record_is_gone() {
    let keys =
        ring(&[("old", Line::Rsa, State::Retired { disclosed: false }, DAY), ("new", Line::Rsa, State::ACTIVE, DAY)]);
    let disclosing = Policy { disclose_retired: true, ..Policy::default() };
    for (policy, sighting, given) in [
        (Policy::default(), Sighting::Absent, false),
        (disclosing, EVERYWHERE, false),
        (disclosing, Sighting::Partly, false),
        (disclosing, Sighting::Unknown, false),
        (disclosing, Sighting::Absent, true),
    ] {
        let (next, effects) = step(&keys, &seen(&[("old", sighting)]), START, &policy);
        assert_eq!(effects.contains(&Effect::Disclose { selector: "old".to_owned() }), given);
        assert_eq!(step(&next, &seen(&[("old", sighting)]), START, &policy).1, [], "once");
    }
}

#[test]
fn a_person_may_insist_step_back_force_and_revoke() {
    let policy = Policy::default();
    let keys = ring(&[
        ("fresh", Line::Rsa, State::Generated, DAY),
        ("signs", Line::Rsa, State::ACTIVE, DAY),
        ("leaves", Line::Rsa, State::Retiring, DAY),
        ("gone", Line::Rsa, State::Destroyed, DAY),
    ]);
    let run = |what: &Command| command(&keys, what, START, &policy).map(|(ring, _)| ring);
    let activate = |selector: &str, insist| Command::Activate { selector: selector.to_owned(), insist };
    assert_eq!(run(&activate("none", true)), Err(Refused::NoKey));
    assert_eq!(run(&activate("fresh", false)), Err(Refused::Unseen));
    assert_eq!(run(&activate("fresh", true)).unwrap().0["fresh"].state, State::ACTIVE);
    assert_eq!(run(&activate("leaves", false)).unwrap().active(), 2);
    assert_eq!(run(&activate("gone", true)), Err(Refused::Over(Stage::Destroyed)));
    let retire = |selector: &str, force| Command::Retire { selector: selector.to_owned(), force };
    assert_eq!(run(&retire("signs", false)), Err(Refused::LastActive));
    assert_eq!(run(&retire("signs", true)).unwrap().0["signs"].stage(), Stage::Retiring);
    assert_eq!(run(&retire("leaves", false)), Err(Refused::Overlap { until: START + 13 * DAY }));
    assert_eq!(run(&retire("leaves", true)).unwrap().0["leaves"].stage(), Stage::Retired);
    for selector in ["fresh", "signs", "leaves", "gone"] {
        let revoked = run(&Command::Revoke { selector: selector.to_owned() }).unwrap();
        assert_eq!(revoked.0[selector].stage(), Stage::Revoked);
    }
    let successor = Some("fresh".to_owned());
    let (hurried, effects) = command(&keys, &Command::Rotate, START, &policy).unwrap();
    assert_eq!((effects.len(), hurried.0["signs"].stage()), (0, Stage::Active), "the successor is there already");
    assert_eq!(next_step(&hurried, "signs", &policy).unwrap().at, None);
    let replaced = replacements(&keys);
    assert_eq!(replaced[0].compromised, ["signs"]);
    assert_eq!(
        (replaced[0].successor.clone(), successor),
        (None, Some("fresh".to_owned())),
        "an unseen one is no help"
    );
}

/// A world of one domain: keys are made when asked for, records appear some days after and go when they may.
struct World {
    ring: Ring,
    made: usize,
    policy: Policy,
}

impl World {
    fn look(&mut self, observation: &Observation, now: Moment) -> Vec<Effect> {
        let (mut next, effects) = step(&self.ring, observation, now, &self.policy);
        check_step(&self.ring, &next, &effects, observation, now, &self.policy);
        for effect in &effects {
            if let Effect::Generate { line } = effect {
                self.made += 1;
                next.0.insert(format!("k{}", self.made), Life::new(*line, now));
            }
        }
        let (again, more) = step(&next, observation, now, &self.policy);
        let settled = !more.iter().any(|effect| matches!(effect, Effect::Moved { .. } | Effect::Generate { .. }));
        let made = effects.iter().any(|effect| matches!(effect, Effect::Generate { .. }));
        assert!(settled || made, "one look is enough: {more:?} after {effects:?}");
        if more.is_empty() {
            assert_eq!(again, next);
        }
        self.ring = next;
        effects
    }
}

/// What holds of every step whatever came before it.
fn check_step(before: &Ring, after: &Ring, effects: &[Effect], seen: &Observation, now: Moment, policy: &Policy) {
    let mut replayed: BTreeMap<String, Stage> =
        before.0.iter().map(|(selector, life)| (selector.clone(), life.stage())).collect();
    for effect in effects {
        let Effect::Moved { selector, from, to, why } = effect else { continue };
        assert!(from.may_become(*to), "{from} to {to}");
        assert_eq!(replayed.insert(selector.clone(), *to), Some(*from), "a move starts where the last one ended");
        if *to == Stage::Active {
            assert!(matches!(seen.records.get(selector), Some(Sighting::Everywhere { .. })), "{selector} signs unseen");
        }
        if *to == Stage::Retired {
            assert!(!seen.letters_waiting.contains(selector) && now >= before.0[selector].since + policy.overlap);
        }
        let announced = next_step(before, selector, policy);
        assert!(announced.is_some(), "{selector} moved to {to} unannounced");
        let by_time = matches!(why, Why::OverlapOver | Why::KeptLongEnough | Why::SeenLongEnough);
        if let (true, Some(at)) = (by_time, announced.and_then(|step| step.at)) {
            assert!(now >= at || *from != before.0[selector].stage(), "{selector} moved to {to} before its date");
        }
    }
    let actual: BTreeMap<String, Stage> =
        after.0.iter().map(|(selector, life)| (selector.clone(), life.stage())).collect();
    assert_eq!(replayed, actual, "a change without its effect");
    for line in Line::ALL {
        let signs = |ring: &Ring| ring.in_stage(line, Stage::Active).count();
        assert!(signs(before) == 0 || signs(after) > 0, "{line} lost its last key");
    }
}

#[test]
fn years_of_rotation_leave_no_gap_and_every_letter_verifiable() {
    let mut world = World { ring: Ring::default(), made: 2, policy: Policy::default().for_queue(5 * DAY) };
    world.ring.0.insert("k1".to_owned(), Life::new(Line::Rsa, START));
    world.ring.0.insert("k2".to_owned(), Life::new(Line::Ed25519, START));
    let mut records: BTreeMap<String, Moment> = BTreeMap::new();
    let mut signed: Vec<(Moment, String)> = Vec::new();
    let mut rotations = 0;
    for hour in 0..(24 * 365 * 4) {
        let now = START + Duration::from_hours(hour);
        // The admin publishes what is wanted within three days and removes what may go.
        for (selector, life) in &world.ring.0 {
            if life.stage().wants_record() {
                records.entry(selector.clone()).or_insert(life.since + 3 * DAY);
            } else {
                records.remove(selector);
            }
        }
        let published = |selector: &String| records.get(selector).is_some_and(|from| now >= *from);
        let observation = Observation {
            records: world
                .ring
                .0
                .keys()
                .map(|selector| (selector.clone(), if published(selector) { EVERYWHERE } else { Sighting::Absent }))
                .collect(),
            ..Observation::default()
        };
        let effects = world.look(&observation, now);
        rotations +=
            effects.iter().filter(|effect| matches!(effect, Effect::Moved { to: Stage::Retiring, .. })).count();
        // A letter an hour, which may arrive up to five days later: its key's record must be there all the time.
        let signing: Vec<_> = Line::ALL.iter().filter_map(|line| world.ring.signing(*line)).collect();
        assert!(hour < 24 * 3 || signing.len() == 2, "hour {hour}: {:?}", stages(&world.ring));
        signed.extend(signing.iter().map(|(selector, _)| (now, (*selector).to_owned())));
        signed.retain(|(at, _)| *at + 5 * DAY > now);
        for (at, selector) in &signed {
            assert!(published(selector), "hour {hour}: {selector} signed at {at:?} and cannot be looked up");
        }
    }
    assert_eq!(rotations, 2 * 8, "four years, half a year a key, two lines");
    assert!(world.ring.0.values().filter(|life| life.stage() == Stage::Destroyed).count() >= 12);
}

fn sighting() -> impl Strategy<Value = Sighting> {
    prop_oneof![
        Just(Sighting::Unknown),
        Just(Sighting::Absent),
        Just(Sighting::Different),
        Just(Sighting::Partly),
        (0_u32..200_000).prop_map(|ttl| Sighting::Everywhere { ttl }),
        Just(EVERYWHERE),
        Just(EVERYWHERE),
    ]
}

#[derive(Debug, Clone)]
enum Event {
    Look { records: Vec<Sighting>, waiting: Vec<bool>, hours: u64 },
    Person { which: usize, what: u8, consent: bool },
}

fn event() -> impl Strategy<Value = Event> {
    let records = proptest::collection::vec(sighting(), 12);
    let waiting = proptest::collection::vec(proptest::bool::weighted(0.2), 12);
    prop_oneof![
        5 => (records, waiting, prop_oneof![0_u64..3, 0_u64..2000])
            .prop_map(|(records, waiting, hours)| Event::Look { records, waiting, hours }),
        2 => (any::<usize>(), 0_u8..4, any::<bool>())
            .prop_map(|(which, what, consent)| Event::Person { which, what, consent }),
    ]
}

fn person(world: &mut World, which: usize, what: u8, consent: bool, now: Moment) {
    let Some(selector) = world.ring.0.keys().nth(which % world.ring.0.len().max(1)).cloned() else { return };
    let what = match what {
        0 => Command::Activate { selector: selector.clone(), insist: consent },
        1 => Command::Retire { selector: selector.clone(), force: consent },
        2 => Command::Revoke { selector: selector.clone() },
        _ => Command::Rotate,
    };
    let before = world.ring.clone();
    let Ok((mut next, effects)) = command(&before, &what, now, &world.policy) else { return };
    for effect in effects {
        match effect {
            Effect::Moved { selector, from, to, .. } => {
                assert!(from.may_become(to));
                assert_eq!((before.0[&selector].stage(), next.0[&selector].stage()), (from, to));
                let unseen = from == Stage::Generated && to == Stage::Active;
                assert!(!unseen || consent, "nobody insisted");
            }
            Effect::Generate { line } => {
                world.made += 1;
                next.0.insert(format!("k{}", world.made), Life::new(line, now));
            }
            other => panic!("a person does not cause {other:?}"),
        }
    }
    let may_empty = consent || matches!(what, Command::Revoke { .. });
    assert!(before.active() == 0 || next.active() > 0 || may_empty, "{what:?} took the last key");
    world.ring = next;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn whatever_happens_the_promises_hold(
        events in proptest::collection::vec(event(), 1..60),
        rotate in 1_u64..400,
        overlap in 0_u64..40,
        disclose_retired: bool,
    ) {
        let policy = Policy { rotate_every: rotate as u32 * DAY, overlap: overlap as u32 * DAY, disclose_retired, ..Policy::default() };
        let mut world = World { ring: Ring::default(), made: 2, policy: policy.for_queue(5 * DAY) };
        world.ring.0.insert("k1".to_owned(), Life::new(Line::Rsa, START));
        world.ring.0.insert("k2".to_owned(), Life::new(Line::Ed25519, START));
        let mut now = START;
        for event in events {
            match event {
                Event::Look { records, waiting, hours } => {
                    now = now + Duration::from_hours(hours);
                    let names = || world.ring.0.keys().rev().take(12);
                    let observation = Observation {
                        records: names().cloned().zip(records).collect(),
                        letters_waiting: names().zip(waiting).filter(|(_, waits)| *waits).map(|(name, _)| name.clone()).collect(),
                    };
                    world.look(&observation, now);
                }
                Event::Person { which, what, consent } => person(&mut world, which, what, consent, now),
            }
        }
        let text = serde_json::to_string(&world.ring.0).unwrap();
        prop_assert_eq!(serde_json::from_str::<BTreeMap<String, Life>>(&text).unwrap(), world.ring.0);
    }
}
