//! How fast a site may be served right now. Pure.
//!
//! A site begins with [`START`] connections and gets one more for each letter that got through, up to its limit
//! (Postfix's slow start). A reply that says "slow down" takes everything back by half: connections first, and where
//! one is left, the letters on it are spaced out; a configured rate is halved with them. Replies to attempts that had
//! begun before the last cut say nothing new. Every [`RECOVERY`] without such a reply gives one step back.
//!
//! Rejected: to stop a site for hours at the first warning, as one rule file for KumoMTA does for Yahoo. Postmasters ask
//! for less mail, not for none, and a letter now and then is how one learns that they have relented.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::DestinationLimits;
use crate::deliver::shaping::SlowDown;

/// Connections that a site begins with.
pub const START: usize = 5;
/// Time without a warning that takes one step back.
pub const RECOVERY: Duration = Duration::from_mins(5);
/// Steps down at most: with one connection it is then one letter a minute.
const MOST_STEPS: u32 = 12;
const FIRST_GAP: Duration = Duration::from_secs(1);
const LONGEST_GAP: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug, Clone)]
pub struct Pace {
    open: usize,
    steps: u32,
    since: Timestamp,
    said: Option<SlowDown>,
}

impl Default for Pace {
    fn default() -> Self {
        Self { open: START, steps: 0, since: Timestamp::from_millis(0), said: None }
    }
}

impl Pace {
    /// A letter got through.
    pub fn succeeded(&mut self, limits: &DestinationLimits) {
        self.open = (self.open + 1).min(limits.connections.max(START));
    }

    /// The site asked for less, in an attempt that began at `began`; is it news?
    pub fn asked_for_less(&mut self, began: Timestamp, now: Timestamp, said: SlowDown) -> bool {
        if self.steps(now) > 0 && began <= self.since {
            return false;
        }
        self.steps = (self.steps(now) + 1).min(MOST_STEPS);
        (self.since, self.said) = (now, Some(said));
        true
    }

    /// How many steps the site is below its limits.
    pub fn steps(&self, now: Timestamp) -> u32 {
        // A clock that jumped back far: what it was then is over.
        if self.since.since(now) > RECOVERY {
            return 0;
        }
        let back = now.since(self.since).as_millis() / RECOVERY.as_millis();
        self.steps.saturating_sub(u32::try_from(back).unwrap_or(u32::MAX))
    }

    /// What the site said, while it is heeded.
    pub fn said(&self, now: Timestamp) -> Option<&SlowDown> {
        self.said.as_ref().filter(|_| self.steps(now) > 0)
    }

    /// When the next step is given back, if one was taken.
    pub fn relents(&self, now: Timestamp) -> Option<Timestamp> {
        let steps = self.steps(now);
        (steps > 0).then(|| self.since + RECOVERY * (self.steps - steps + 1))
    }

    fn full(&self, limits: &DestinationLimits) -> usize {
        self.open.min(limits.connections).max(1)
    }

    /// Connections at once.
    pub fn connections(&self, limits: &DestinationLimits, now: Timestamp) -> usize {
        (self.full(limits) >> self.steps(now)).max(1)
    }

    /// The time between the beginnings of two letters; `None` is no limit.
    pub fn gap(&self, limits: &DestinationLimits, now: Timestamp) -> Option<Duration> {
        let steps = self.steps(now);
        let by_rate = limits.rate.map(|rate| {
            let gap = f64::from(1 << steps) / rate.max(0.0001);
            Duration::from_secs_f64(gap.min(86_400.0))
        });
        let beyond = steps.saturating_sub(self.full(limits).ilog2());
        let spaced = (beyond > 0).then(|| (FIRST_GAP * (1 << (beyond - 1))).min(LONGEST_GAP));
        by_rate.max(spaced)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(connections: usize, rate: Option<f64>) -> DestinationLimits {
        DestinationLimits { connections, messages_per_connection: 100, rate }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn said() -> SlowDown {
        SlowDown { by: "test".into(), text: "421 4.7.0 slow down".into() }
    }

    #[test]
    fn connections_ramp_up_to_the_limit() {
        let (mut pace, limits) = (Pace::default(), limits(20, None));
        assert_eq!(pace.connections(&limits, at(0)), START);
        for _ in 0..40 {
            pace.succeeded(&limits);
        }
        assert_eq!((pace.connections(&limits, at(0)), pace.gap(&limits, at(0))), (20, None));
        assert_eq!(Pace::default().connections(&super::tests::limits(2, None), at(0)), 2, "a limit below the start");
    }

    #[test]
    fn warnings_halve_then_space_out_and_time_gives_back() {
        let (mut pace, limits) = (Pace::default(), limits(20, Some(100.0)));
        (0..40).for_each(|_| pace.succeeded(&limits));
        let mut now = 1000;
        let mut seen = Vec::new();
        for _ in 0..7 {
            assert!(pace.asked_for_less(at(now), at(now + 1), said()));
            assert!(!pace.asked_for_less(at(now), at(now + 2), said()), "its neighbour was begun before the cut");
            now += 10;
            seen.push((pace.connections(&limits, at(now)), pace.gap(&limits, at(now)).unwrap().as_millis()));
        }
        assert_eq!(seen, [(10, 20), (5, 40), (2, 80), (1, 160), (1, 1000), (1, 2000), (1, 4000)]);
        assert_eq!(pace.said(at(now)), Some(&said()));
        let last = 1000 + 6 * 10 + 1;
        assert_eq!(pace.relents(at(now)), Some(at(last + 300)));
        assert_eq!(pace.connections(&limits, at(last + 4 * 300)), 2);
        assert_eq!(pace.connections(&limits, at(last + 7 * 300)), 20);
        assert_eq!((pace.said(at(last + 7 * 300)), pace.relents(at(last + 7 * 300))), (None, None));
    }

    proptest! {
        /// Whatever is said when: there is always a connection, never more than the limit, and no gap that stops a site.
        #[test]
        fn a_site_is_never_stopped(
            events in prop::collection::vec((any::<bool>(), 0u64..2000), 0..200),
            connections in 1usize..1000,
        ) {
            let (mut pace, limits) = (Pace::default(), limits(connections, None));
            let mut now = 10_000;
            for (success, later) in events {
                now += later;
                if success { pace.succeeded(&limits) } else { pace.asked_for_less(at(now), at(now), said()); }
                let allowed = pace.connections(&limits, at(now));
                prop_assert!((1..=connections).contains(&allowed));
                prop_assert!(pace.gap(&limits, at(now)).is_none_or(|gap| gap <= LONGEST_GAP));
            }
            let end = at(now) + RECOVERY * MOST_STEPS;
            prop_assert_eq!(pace.steps(end), 0);
        }
    }
}
