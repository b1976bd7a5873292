//! How many recipients wait in each state, and since when the oldest letter does: counted as they change, so that
//! asking costs the same with one letter and with a million.
//!
//! Ages are kept by the second of acceptance, of which a queue of days has some hundred thousand at most.

use std::collections::BTreeMap;

use super::summary::Waits;
use crate::clock::Timestamp;
use crate::ids::LetterId;

/// Recipients of a letter that are queued, deferred and held.
pub(super) type Counts = [u16; 3];

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Tally {
    recipients: [usize; 3],
    /// How many letters of each second have a recipient in the state.
    seconds: [BTreeMap<u64, u32>; 3],
}

impl Tally {
    /// A letter has come.
    pub(super) fn add(&mut self, id: LetterId, counts: Counts) {
        for (place, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            self.recipients[place] += usize::from(count);
            *self.seconds[place].entry(id.accepted_at().seconds()).or_default() += 1;
        }
    }

    /// It goes, with the counts that it was added with.
    pub(super) fn remove(&mut self, id: LetterId, counts: Counts) {
        for (place, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            self.recipients[place] = self.recipients[place].saturating_sub(usize::from(count));
            let second = id.accepted_at().seconds();
            if let Some(letters) = self.seconds[place].get_mut(&second) {
                *letters -= 1;
                if *letters == 0 {
                    self.seconds[place].remove(&second);
                }
            }
        }
    }

    /// Another tally's letters come, all new.
    pub(super) fn absorb(&mut self, other: Self) {
        for (place, seconds) in other.seconds.into_iter().enumerate() {
            self.recipients[place] += other.recipients[place];
            for (second, letters) in seconds {
                *self.seconds[place].entry(second).or_default() += letters;
            }
        }
    }

    /// As gauges show it; ages to the second.
    pub(super) fn waits(&self) -> Waits {
        let oldest = |seconds: &BTreeMap<u64, u32>| {
            seconds.first_key_value().map(|(second, _)| Timestamp::from_millis(second * 1000))
        };
        Waits { recipients: self.recipients, oldest: [0, 1, 2].map(|place| oldest(&self.seconds[place])) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever comes and goes, the tally says what a walk over all letters would.
        #[test]
        fn it_counts_what_is_there(
            changes in prop::collection::vec((0u64..20, prop::array::uniform3(0u16..3), any::<bool>()), 0..100),
        ) {
            let id = |n: u64| LetterId::first_at(Timestamp::from_millis(n * 700));
            let (mut tally, mut letters): (Tally, BTreeMap<LetterId, Counts>) = Default::default();
            for (n, counts, stays) in changes {
                if let Some(old) = letters.remove(&id(n)) {
                    tally.remove(id(n), old);
                }
                if stays {
                    tally.add(id(n), counts);
                    letters.insert(id(n), counts);
                }
            }
            let mut whole = Tally::default();
            whole.absorb(tally);
            let waits = whole.waits();
            for place in 0..3 {
                let with = letters.iter().filter(|(_, counts)| counts[place] > 0);
                let sum: usize = with.clone().map(|(_, counts)| usize::from(counts[place])).sum();
                prop_assert_eq!(waits.recipients[place], sum);
                let oldest = with.map(|(id, _)| id.accepted_at().seconds()).min();
                prop_assert_eq!(waits.oldest[place].map(Timestamp::seconds), oldest);
            }
        }
    }
}
