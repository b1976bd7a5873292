//! One budget, in octets, for all messages in flight (`limits.memory_for_messages`).
//!
//! Nobody waits for memory here: a session that cannot have what it needs says so at once (452 4.3.1), since one
//! that waits while holding a part of the budget is how all of them come to wait for each other. The last eighth is
//! for small messages alone, so that a few hundred clients that announce large ones and drip them do not keep a password
//! reset out.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A message up to this size is small: nearly every notification is.
const SMALL: usize = 64 << 10;

/// The budget that all sessions share.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    /// What of it only small messages get.
    reserve: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `total` octets that at least one message of `largest` fits into.
    pub fn new(total: usize, largest: usize) -> Arc<Self> {
        let reserve = (total / 8).min(total.saturating_sub(largest));
        Arc::new(Self { total, reserve, used: AtomicUsize::new(0) })
    }

    /// Octets in use now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A share of nothing, to be grown.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), octets: 0 }
    }

    fn take(&self, octets: usize, most: usize) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(octets).filter(|sum| *sum <= most)
            })
            .is_ok()
    }
}

/// A part of the budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Arc<Budget>,
    octets: usize,
}

impl Share {
    /// Grows the share to at least `octets`; false, and no change, if the budget cannot give it.
    pub fn grow_to(&mut self, octets: usize) -> bool {
        let more = octets.saturating_sub(self.octets);
        let reserve = if octets > SMALL { self.budget.reserve } else { 0 };
        let granted = more == 0 || self.budget.take(more, self.budget.total - reserve);
        if granted {
            self.octets += more;
        }
        granted
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.octets, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_never_goes_over_and_comes_back() {
        let budget = Budget::new(100, 100);
        let mut first = budget.share();
        assert!(first.grow_to(60) && first.grow_to(10));
        let mut second = budget.share();
        assert!(!second.grow_to(41));
        assert!(second.grow_to(40));
        drop(first);
        assert_eq!(budget.used(), 40);
        assert!(!second.grow_to(usize::MAX));
        drop(second);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_last_eighth_is_for_small_messages() {
        let budget = Budget::new(8 * SMALL, 2 * SMALL);
        let (mut large, mut larger, mut small) = (budget.share(), budget.share(), budget.share());
        assert!(large.grow_to(6 * SMALL));
        assert!(!larger.grow_to(2 * SMALL), "the reserve is not for it");
        assert!(small.grow_to(SMALL) && larger.grow_to(SMALL));
        assert!(!small.grow_to(SMALL + 1));
        // A message as large as the budget fits when it is alone.
        assert!(Budget::new(8 * SMALL, 8 * SMALL).share().grow_to(8 * SMALL));
    }
}
