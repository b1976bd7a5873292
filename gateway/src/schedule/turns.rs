//! Whose turn it is among those who wait for the same thing. Pure.
//!
//! Two streams: transactional mail goes before bulk, but where both wait every [`BULK_TURN`]th turn is bulk's.
//! Inside a stream the tenants take turns by deficit round robin (Shreedhar and Varghese, 1995): each visit lends a
//! tenant [`QUANTUM`], and it sends when it has saved what its next letter costs. So a tenant's share does not depend
//! on how much it has queued or how large its letters are, and a newcomer waits for one round, not for the queue.
//! Promises: putting in is constant time; taking out is constant but for the visits that a costly letter needs.
//!
//! Rejected: an order by age (a burst delays everybody behind it), and weights by past volume (a quiet tenant's password
//! reset should not pay for being rare).

use std::collections::{HashMap, VecDeque};

use crate::ids::TenantId;
use crate::sign::MailStream;

/// What one visit lends a tenant.
const QUANTUM: u32 = 1;
/// The most that a letter costs, so that one large letter does not end its tenant's turns.
pub const MOST_COST: u32 = 64;
/// Octets that cost as much as a transaction of their own: about what a line of 20 Mbit/s carries in a round trip.
const OCTETS_PER_COST: u64 = 256 << 10;
/// Where both streams wait, one turn of so many is bulk's.
pub const BULK_TURN: u32 = 10;

/// What a job costs its tenant: its transactions, and its size.
pub fn cost(transactions: usize, octets: u64) -> u32 {
    let size = u32::try_from(octets / OCTETS_PER_COST).unwrap_or(MOST_COST);
    u32::try_from(transactions).unwrap_or(MOST_COST).saturating_add(size).clamp(1, MOST_COST)
}

struct Line<T> {
    waiting: VecDeque<(u32, T)>,
    saved: u32,
}

/// The tenants of one stream.
struct Round<T> {
    lines: HashMap<TenantId, Line<T>>,
    /// Those with something to send; the first one is visited next.
    order: VecDeque<TenantId>,
}

impl<T> Default for Round<T> {
    fn default() -> Self {
        Self { lines: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Round<T> {
    fn push(&mut self, tenant: TenantId, cost: u32, item: T) {
        let order = &mut self.order;
        let line = self.lines.entry(tenant).or_insert_with(|| {
            order.push_back(tenant);
            Line { waiting: VecDeque::new(), saved: 0 }
        });
        line.waiting.push_back((cost, item));
    }

    fn pop(&mut self) -> Option<(u32, T)> {
        loop {
            let tenant = *self.order.front()?;
            let line = self.lines.get_mut(&tenant)?;
            line.saved += QUANTUM;
            if line.waiting.front().is_some_and(|(cost, _)| *cost > line.saved) {
                self.order.rotate_left(1);
                continue;
            }
            let taken = line.waiting.pop_front();
            line.saved -= taken.as_ref().map_or(0, |(cost, _)| *cost).min(line.saved);
            if line.waiting.is_empty() {
                // What it saved is lost: credit is for those who wait.
                self.lines.remove(&tenant);
                self.order.pop_front();
            } else {
                self.order.rotate_left(1);
            }
            if taken.is_some() {
                return taken;
            }
        }
    }

    fn drain(&mut self) -> impl Iterator<Item = T> {
        self.order.clear();
        std::mem::take(&mut self.lines).into_values().flat_map(|line| line.waiting).map(|(_, item)| item)
    }
}

/// See the module.
pub struct Turns<T> {
    transactional: Round<T>,
    bulk: Round<T>,
    since_bulk: u32,
    len: usize,
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { transactional: Round::default(), bulk: Round::default(), since_bulk: 0, len: 0 }
    }
}

impl<T> Turns<T> {
    /// Puts something at the end of its tenant's line. `cost` is 1 to [`MOST_COST`], see [`cost`].
    pub fn push(&mut self, tenant: TenantId, stream: MailStream, cost: u32, item: T) {
        let round = match stream {
            MailStream::Transactional => &mut self.transactional,
            MailStream::Bulk => &mut self.bulk,
        };
        round.push(tenant, cost.clamp(1, MOST_COST), item);
        self.len += 1;
    }

    /// Takes out whose turn it is, with what it cost.
    pub fn pop(&mut self) -> Option<(u32, T)> {
        let both = !self.transactional.order.is_empty() && !self.bulk.order.is_empty();
        let bulk = both && self.since_bulk + 1 >= BULK_TURN;
        let taken = if bulk { self.bulk.pop() } else { self.transactional.pop().or_else(|| self.bulk.pop()) };
        self.since_bulk = if both && !bulk { self.since_bulk + 1 } else { 0 };
        self.len -= usize::from(taken.is_some());
        taken
    }

    /// Takes everything out, in no order.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        self.len = 0;
        self.transactional.drain().chain(self.bulk.drain())
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Does nobody wait?
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many tenants wait, and how much of it is this tenant's.
    pub fn standing(&self, tenant: TenantId) -> (usize, usize) {
        let rounds = [&self.transactional, &self.bulk];
        let mine = rounds.iter().filter_map(|round| round.lines.get(&tenant)).map(|line| line.waiting.len()).sum();
        let alone = |id: &&TenantId| !self.transactional.lines.contains_key(*id);
        (self.transactional.lines.len() + self.bulk.lines.keys().filter(alone).count(), mine)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tenant(n: u32) -> TenantId {
        TenantId(n)
    }

    #[test]
    fn a_burst_of_a_hundred_thousand_does_not_delay_a_password_reset() {
        let mut turns = Turns::default();
        for n in 0..100_000 {
            turns.push(tenant(1), MailStream::Transactional, 1, n);
        }
        turns.push(tenant(2), MailStream::Transactional, 1, -1);
        assert_eq!(turns.standing(tenant(2)), (2, 1));
        let before = std::iter::from_fn(|| turns.pop()).position(|(_, item)| item == -1);
        assert_eq!(before, Some(1), "one letter of the burst goes first, no more");
    }

    #[test]
    fn transactional_mail_goes_first_and_bulk_gets_its_turn() {
        let mut turns = Turns::default();
        for n in 0..30 {
            turns.push(tenant(1), MailStream::Bulk, 1, ("bulk", n));
            turns.push(tenant(1), MailStream::Transactional, 1, ("now", n));
        }
        let order: Vec<_> = std::iter::from_fn(|| turns.pop()).map(|(_, (stream, _))| stream).collect();
        assert_eq!(order[..10], [["now"; 9].as_slice(), &["bulk"]].concat());
        assert_eq!(order[..30].iter().filter(|stream| **stream == "bulk").count(), 3);
        assert_eq!(order.len(), 60);
    }

    #[test]
    fn large_letters_cost_their_tenant_more() {
        let mut turns = Turns::default();
        for _ in 0..1000 {
            turns.push(tenant(1), MailStream::Bulk, cost(1, 10 << 20), "large");
            turns.push(tenant(2), MailStream::Bulk, cost(1, 2000), "small");
        }
        let first: Vec<_> = std::iter::from_fn(|| turns.pop()).take(420).map(|(_, item)| item).collect();
        assert_eq!(first.iter().filter(|item| **item == "large").count(), 10, "41 for each small one's 1");
    }

    proptest! {
        /// While a tenant has something in a stream, no other tenant of that stream is served more than its own share
        /// and one costly letter; what goes in comes out once, a tenant's own in their order.
        #[test]
        fn no_tenant_starves(
            pushes in prop::collection::vec((0u32..6, prop::bool::weighted(0.3), 1u32..=MOST_COST), 1..400),
            pops in 0usize..200,
        ) {
            let mut turns = Turns::default();
            let stream = |bulk| if bulk { MailStream::Bulk } else { MailStream::Transactional };
            for (n, (who, bulk, cost)) in pushes.iter().enumerate() {
                turns.push(tenant(*who), stream(*bulk), *cost, (*who, *bulk, n));
            }
            prop_assert_eq!(turns.len(), pushes.len());
            let mut served: HashMap<(u32, bool), u32> = HashMap::new();
            let mut last: HashMap<(u32, bool), usize> = HashMap::new();
            for _ in 0..pops.min(pushes.len()) {
                let (cost, (who, bulk, n)) = turns.pop().expect("they wait");
                prop_assert!(last.insert((who, bulk), n).is_none_or(|before| before < n));
                *served.entry((who, bulk)).or_default() += cost;
                for round_bulk in [false, true] {
                    let round = if round_bulk { &turns.bulk } else { &turns.transactional };
                    for waiting in round.lines.keys() {
                        let own = served.get(&(waiting.0, round_bulk)).copied().unwrap_or(0);
                        for (other, theirs) in served.iter().filter(|((_, b), _)| *b == round_bulk) {
                            prop_assert!(*theirs <= own + MOST_COST + QUANTUM, "{other:?} before {waiting:?}");
                        }
                    }
                }
            }
            let rest = turns.len();
            prop_assert_eq!(turns.drain().count(), rest);
            prop_assert!(turns.is_empty() && turns.pop().is_none());
        }

        /// Bulk waits for at most nine transactional letters.
        #[test]
        fn no_stream_starves(order in prop::collection::vec(any::<bool>(), 1..300)) {
            let mut turns = Turns::default();
            for bulk in &order {
                turns.push(tenant(1), if *bulk { MailStream::Bulk } else { MailStream::Transactional }, 1, *bulk);
            }
            let mut waited = 0;
            while let Some((_, bulk)) = turns.pop() {
                waited = if bulk || turns.bulk.order.is_empty() { 0 } else { waited + 1 };
                prop_assert!(waited < BULK_TURN);
            }
        }
    }
}
