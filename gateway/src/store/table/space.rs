//! The journal's space: which segments hold nothing alive, and which letters are worth moving so that one does not.

use super::{Position, SegmentUse, Table};
use crate::ids::LetterId;

/// Letters that one look for those of an old segment passes.
const LOOK_AT_ONCE: usize = 100_000;

impl Table {
    /// The oldest segments that hold nothing alive and lie before `checkpoint`, to be unlinked in this order.
    ///
    /// Only a prefix: a settlement in a later segment must not go before the letter that it ends.
    pub fn dead_prefix(&self, checkpoint: Position) -> Vec<u64> {
        let dead = |(number, usage): &(&u64, &SegmentUse)| usage.letters == 0 && **number < checkpoint.segment;
        self.segments.iter().take_while(dead).map(|(number, _)| *number).collect()
    }

    /// A segment is gone.
    pub fn forget_segment(&mut self, number: u64) {
        self.segments.remove(&number);
    }

    /// The oldest segment's living letters, if the journal holds more than `slack` dead octets and less than half
    /// of that segment lives: worth moving to the front so that the space comes back. Empty also where the next call looks
    /// on.
    pub fn worth_moving(&mut self, slack: u64, at_most: usize) -> Vec<LetterId> {
        let total: u64 = self.segments.values().map(|usage| usage.length).sum();
        let living: u64 = self.segments.values().map(|usage| usage.octets).sum();
        let Some((number, oldest)) = self.segments.iter().next() else { return Vec::new() };
        if *number == self.position.segment || total - living.min(total) < slack || oldest.octets * 2 > oldest.length {
            return Vec::new();
        }
        // On from where the last look ended: letters that were moved before lie in front, and nobody passes them again.
        let number = *number;
        let after = self.looked.filter(|(segment, _)| *segment == number).map(|(_, id)| id);
        let (mut found, mut passed, mut last) = (Vec::new(), 0, None);
        for (id, live) in self.from(after) {
            if found.len() == at_most || passed == LOOK_AT_ONCE {
                break;
            }
            (passed, last) = (passed + 1, Some(*id));
            if u64::from(live.summary.location.segment) == number {
                found.push(*id);
            }
        }
        self.looked = last.map(|id| (number, id));
        found
    }

    /// Octets of the journal on disk, and of living frames in it.
    pub fn octets(&self) -> (u64, u64) {
        let sum = |f: fn(&SegmentUse) -> u64| self.segments.values().map(f).sum();
        (sum(|usage| usage.length), sum(|usage| usage.octets))
    }
}
