//! How many connections there are, in all and per client address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts connections.
pub(super) struct Gate {
    most: usize,
    most_per_address: usize,
    counts: Mutex<Counts>,
}

#[derive(Default)]
struct Counts {
    all: usize,
    addresses: HashMap<IpAddr, usize>,
}

/// A place in the whole; given back when dropped.
pub(super) struct Place {
    gate: Arc<Gate>,
    address: Option<IpAddr>,
}

impl Gate {
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, counts: Mutex::default() })
    }

    /// A place for one more connection, if there is one.
    pub(super) fn enter(self: &Arc<Self>) -> Option<Place> {
        let mut counts = self.counts.lock();
        if counts.all >= self.most {
            return None;
        }
        counts.all += 1;
        Some(Place { gate: Arc::clone(self), address: None })
    }
}

impl Place {
    /// Counts the connection for its client's address, which a PROXY header may have to tell first. False: too many.
    pub(super) fn claim(&mut self, address: IpAddr) -> bool {
        let mut counts = self.gate.counts.lock();
        let count = counts.addresses.entry(address).or_default();
        if *count >= self.gate.most_per_address {
            return false;
        }
        *count += 1;
        self.address = Some(address);
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.gate.counts.lock();
        counts.all -= 1;
        if let Some(address) = self.address
            && let Some(count) = counts.addresses.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                counts.addresses.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_counted_and_given_back() {
        let gate = Gate::new(3, 2);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        let mut places: Vec<Place> = (0..3).map(|_| gate.enter().unwrap()).collect();
        assert!(gate.enter().is_none());
        assert!(places[0].claim(address) && places[1].claim(address) && !places[2].claim(address));
        places.clear();
        let mut again = gate.enter().unwrap();
        assert!(again.claim(address));
        assert_eq!(gate.counts.lock().addresses.len(), 1);
    }
}
