//! One budget, in octets, for all messages in flight (`limits.memory_for_messages`).
//!
//! Nobody waits for memory here: a session that cannot have what it needs says so at once (452 4.3.1), since one
//! that waits while holding a part of the budget is how all of them come to wait for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The budget that all sessions share.
#[derive(Debug)]
pub struct Budget {
    total: usize,
    used: AtomicUsize,
}

impl Budget {
    /// A budget of `total` octets.
    pub fn new(total: usize) -> Arc<Self> {
        Arc::new(Self { total, used: AtomicUsize::new(0) })
    }

    /// Octets in use now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// A share of nothing, to be grown.
    pub fn share(self: &Arc<Self>) -> Share {
        Share { budget: Arc::clone(self), octets: 0 }
    }

    fn take(&self, octets: usize) -> bool {
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(octets).filter(|sum| *sum <= self.total)
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
        let granted = more == 0 || self.budget.take(more);
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
        let budget = Budget::new(100);
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
}
