//! Source addresses: which one of its pool a letter leaves from.
//!
//! Promises: the sources of a pool are used by their weights (smooth weighted round robin, as nginx has it: no runs of
//! one source); one that warms up never takes more letters in a UTC day than its schedule says, and what it may not take
//! the others take. If none of the pool may, the letter waits; it never leaves from another pool's address, whose name
//! other tenants made. A pool that is not configured is an error, not "any".
//!
//! Letters of the day are counted in the ledger, but for the last seconds before a crash.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::config::Egress;
use crate::store::ledger::{Ledger, LedgerError, Shelf};

/// The pool of tenants that name none.
pub const DEFAULT_POOL: &str = "default";
const DAY_SECONDS: u64 = 86_400;

/// Why a pool gives no source: the operator's configuration, or today's end of its warm-up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoSource {
    /// No `[[egress]]` has this pool.
    #[error("the egress pool \"{0}\" is not configured")]
    NoPool(String),
    /// Every source of it has taken what its warm-up allows today.
    #[error("every source of the egress pool \"{0}\" warms up and has taken what it may today")]
    WarmingUp(String),
}

impl Egress {
    /// Letters that it may take on the day of `now`; `None` is any number.
    pub fn allowance(&self, now: Timestamp) -> Option<u64> {
        let warm_up = self.warm_up.as_ref()?;
        let day = (now.seconds() / DAY_SECONDS).checked_sub(warm_up.first_day.seconds() / DAY_SECONDS);
        match day {
            // Before its first day it is not used at all.
            None => Some(0),
            Some(day) => usize::try_from(day).ok().and_then(|day| warm_up.letters.get(day)).copied(),
        }
    }
}

/// What a source took on one day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    day: u64,
    letters: u64,
}

#[derive(Default)]
struct State {
    /// How far each source is behind its share.
    behind: HashMap<String, i64>,
    taken: HashMap<String, Taken>,
    changed: bool,
}

impl State {
    fn letters(&self, name: &str, now: Timestamp) -> u64 {
        let day = now.seconds() / DAY_SECONDS;
        self.taken.get(name).filter(|taken| taken.day == day).map_or(0, |taken| taken.letters)
    }

    fn count(&mut self, name: &str, now: Timestamp) {
        let (day, letters) = (now.seconds() / DAY_SECONDS, self.letters(name, now) + 1);
        self.taken.insert(name.to_owned(), Taken { day, letters });
        self.changed = true;
    }
}

/// The turns of all pools. Share it in an `Arc`.
pub struct Sources {
    state: Mutex<State>,
    ledger: Arc<dyn Ledger>,
}

/// A source that was given out for a letter; its day's count is taken back unless the letter left.
pub struct Lent<'a> {
    sources: &'a Sources,
    /// Its name.
    pub name: String,
    counted: Option<Timestamp>,
}

impl Lent<'_> {
    /// The letter left: its count stays.
    pub fn used(&mut self) {
        self.counted = None;
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(at) = self.counted {
            let mut state = self.sources.state.lock();
            if let Some(taken) = state.taken.get_mut(&self.name).filter(|taken| taken.day == at.seconds() / DAY_SECONDS)
            {
                taken.letters = taken.letters.saturating_sub(1);
            }
        }
    }
}

impl Sources {
    /// With the counts of the last run. Blocks on the disk.
    pub fn open(ledger: Arc<dyn Ledger>) -> Self {
        let mut state = State::default();
        // What cannot be read is counted anew: at worst a day's allowance twice.
        for (name, value) in ledger.all(Shelf::Egress).unwrap_or_default() {
            if let (Ok(name), Ok(taken)) = (String::from_utf8(name), serde_json::from_slice(&value)) {
                state.taken.insert(name, taken);
            }
        }
        Self { state: Mutex::new(state), ledger }
    }

    /// Writes what changed into the ledger. Blocks on the disk.
    pub fn save(&self) -> Result<(), LedgerError> {
        let facts: Vec<_> = {
            let mut state = self.state.lock();
            if !std::mem::take(&mut state.changed) {
                return Ok(());
            }
            // Names and two numbers always serialize.
            state
                .taken
                .iter()
                .map(|(name, taken)| (name.clone().into_bytes(), serde_json::to_vec(taken).ok()))
                .collect()
        };
        self.ledger.put(Shelf::Egress, &facts)
    }

    /// The source of a pool whose turn it is, of those with an address of the family if one is asked for.
    pub fn lend(&self, all: &[Egress], pool: &str, ipv4: Option<bool>, now: Timestamp) -> Result<Lent<'_>, NoSource> {
        let in_pool: Vec<&Egress> = all.iter().filter(|one| one.pool == pool).collect();
        if in_pool.is_empty() {
            return Err(NoSource::NoPool(pool.to_owned()));
        }
        let mut state = self.state.lock();
        let may = |one: &&&Egress| {
            ipv4.is_none_or(|ipv4| one.address.is_ipv4() == ipv4)
                && one.allowance(now).is_none_or(|most| state.letters(&one.name, now) < most)
        };
        let candidates: Vec<&Egress> = in_pool.iter().filter(may).copied().collect();
        let total: i64 = candidates.iter().map(|one| i64::from(one.weight)).sum();
        for one in &candidates {
            *state.behind.entry(one.name.clone()).or_default() += i64::from(one.weight);
        }
        let furthest = candidates.iter().max_by_key(|one| state.behind.get(&one.name).copied().unwrap_or(0));
        let Some(chosen) = furthest else { return Err(NoSource::WarmingUp(pool.to_owned())) };
        *state.behind.entry(chosen.name.clone()).or_default() -= total;
        let counted = chosen.warm_up.as_ref().map(|_| now);
        if counted.is_some() {
            state.count(&chosen.name, now);
        }
        Ok(Lent { sources: self, name: chosen.name.clone(), counted })
    }

    /// What a source took on the day of `now`, of what it may; for explanations.
    pub fn standing(&self, one: &Egress, now: Timestamp) -> Option<(u64, u64)> {
        one.allowance(now).map(|most| (self.state.lock().letters(&one.name, now), most))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::config::WarmUp;
    use crate::store::ledger::MemoryLedger;

    fn at(day: u64, second: u64) -> Timestamp {
        Timestamp::from_millis((20_000 + day) * 86_400_000 + second * 1000)
    }

    fn egress(name: &str, pool: &str, weight: u32, warm_up: Option<Vec<u64>>) -> Egress {
        Egress {
            name: name.into(),
            address: "192.0.2.1".parse().unwrap(),
            ehlo: "gw.relay.example".parse().unwrap(),
            pool: pool.into(),
            weight,
            warm_up: warm_up.map(|letters| WarmUp { first_day: at(0, 0), letters }),
        }
    }

    fn sources() -> Sources {
        Sources::open(Arc::new(MemoryLedger::default()))
    }

    fn pick(sources: &Sources, all: &[Egress], pool: &str, now: Timestamp) -> Result<String, NoSource> {
        sources.lend(all, pool, None, now).map(|mut lent| {
            lent.used();
            lent.name.clone()
        })
    }

    #[test]
    fn weights_are_kept_without_runs_and_pools_are_apart() {
        let all = [egress("a", "p", 3, None), egress("b", "p", 1, None), egress("c", "q", 1, None)];
        let sources = sources();
        let order: Vec<_> = (0..8).map(|_| pick(&sources, &all, "p", at(0, 0)).unwrap()).collect();
        assert_eq!(order.join(""), "abaaabaa");
        assert_eq!(pick(&sources, &all, "q", at(0, 0)).unwrap(), "c");
        assert_eq!(pick(&sources, &all, "r", at(0, 0)), Err(NoSource::NoPool("r".into())));
    }

    #[test]
    fn a_source_warms_up_day_by_day_and_the_count_outlives_a_restart() {
        let ledger: Arc<dyn Ledger> = Arc::new(MemoryLedger::default());
        let sources = Sources::open(ledger.clone());
        let all = [egress("new", "p", 1, Some(vec![2, 5])), egress("old", "p", 1, None)];
        let new =
            |sources: &Sources, day| (0..20).filter(|_| pick(sources, &all, "p", at(day, 5)).unwrap() == "new").count();
        assert_eq!((new(&sources, 0), new(&sources, 1), new(&sources, 2)), (2, 5, 10));
        assert_eq!(all[0].allowance(Timestamp::from_millis(0)), Some(0), "not before its first day");
        let alone = [egress("alone", "p", 1, Some(vec![1]))];
        assert!(pick(&sources, &alone, "p", at(0, 9)).is_ok());
        assert_eq!(pick(&sources, &alone, "p", at(0, 9)), Err(NoSource::WarmingUp("p".into())));
        sources.save().unwrap();
        assert!(pick(&Sources::open(ledger), &alone, "p", at(0, 10)).is_err());
    }

    #[test]
    fn a_letter_that_did_not_leave_does_not_count() {
        let (sources, all) = (sources(), [egress("new", "p", 1, Some(vec![1]))]);
        drop(sources.lend(&all, "p", None, at(0, 0)).unwrap());
        assert_eq!(sources.standing(&all[0], at(0, 0)), Some((0, 1)));
        assert!(sources.lend(&all, "p", Some(false), at(0, 0)).is_err(), "no IPv6 address here");
    }

    proptest! {
        #[test]
        fn shares_follow_weights(weights in prop::collection::vec(1u32..20, 1..6)) {
            let all: Vec<Egress> =
                weights.iter().enumerate().map(|(n, weight)| egress(&n.to_string(), "p", *weight, None)).collect();
            let (sources, total) = (sources(), weights.iter().sum::<u32>());
            let mut counts: HashMap<String, u32> = HashMap::new();
            for _ in 0..3 * total {
                *counts.entry(pick(&sources, &all, "p", at(0, 0)).unwrap()).or_default() += 1;
            }
            for (n, weight) in weights.iter().enumerate() {
                prop_assert_eq!(counts[&n.to_string()], 3 * weight);
            }
        }
    }
}
