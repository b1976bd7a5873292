//! Failed sign-ins, counted per client address and per user inside a window.
//!
//! A success resets nothing: an attacker with one good credential would else wipe the slate between guesses. A pair
//! of user and address that has signed in before is not held up by others' guesses at the same user; else anybody
//! could lock a service out by failing in its name. IPv6 clients count by their /64.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use crate::clock::Timestamp;

/// Entries kept at most, each of the two tables; past it the least worth keeping go.
const ENTRIES: usize = 20_000;

#[derive(Clone, PartialEq, Eq, Hash)]
enum Subject {
    Address(IpAddr),
    User(String),
}

/// How an attempt is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Looked at.
    Free,
    /// From an address with too many failures, but as a user that has signed in from there before: let in if that is
    /// certain without a guess being tried (a remembered secret, a proof). One service with a wrong secret behind a
    /// shared address would else stop all the others there.
    IfKnown,
    /// Not looked at.
    Held,
}

#[derive(Clone, Copy)]
struct Window {
    since: Timestamp,
    failures: u32,
}

/// The counts.
pub(super) struct Throttle {
    most: u32,
    window: Duration,
    failures: HashMap<Subject, Window>,
    known: HashMap<(String, IpAddr), Timestamp>,
}

impl Throttle {
    /// At most `most` failures inside `window`.
    pub(super) fn new(most: u32, window: Duration) -> Self {
        Self { most, window, failures: HashMap::new(), known: HashMap::new() }
    }

    /// How an attempt as `user` from `client` is to be treated.
    pub(super) fn standing(&self, user: &str, client: IpAddr, now: Timestamp) -> Standing {
        let client = network(client);
        let known = self.known.get(&(user.to_owned(), client)).is_some_and(|at| now.since(*at) < KNOWN);
        let address_over = self.over(&Subject::Address(client), now);
        match (known, address_over || self.over(&Subject::User(user.to_owned()), now)) {
            (_, false) => Standing::Free,
            (true, true) if !address_over => Standing::Free,
            (true, true) => Standing::IfKnown,
            (false, true) => Standing::Held,
        }
    }

    /// Counts a failure; how many this address has now.
    pub(super) fn failed(&mut self, user: &str, client: IpAddr, now: Timestamp) -> u32 {
        self.make_room(now);
        let of_address = self.count(Subject::Address(network(client)), now);
        self.count(Subject::User(user.to_owned()), now);
        of_address
    }

    /// Remembers a success.
    pub(super) fn succeeded(&mut self, user: &str, client: IpAddr, now: Timestamp) {
        if self.known.len() >= ENTRIES {
            self.known.retain(|_, at| now.since(*at) < KNOWN / 2);
            if self.known.len() >= ENTRIES {
                self.known.clear();
            }
        }
        self.known.insert((user.to_owned(), network(client)), now);
    }

    fn over(&self, subject: &Subject, now: Timestamp) -> bool {
        self.failures.get(subject).is_some_and(|w| w.failures >= self.most && now.since(w.since) < self.window)
    }

    fn count(&mut self, subject: Subject, now: Timestamp) -> u32 {
        let fresh = Window { since: now, failures: 0 };
        let window = self.failures.entry(subject).or_insert(fresh);
        if now.since(window.since) >= self.window {
            *window = fresh;
        }
        window.failures = window.failures.saturating_add(1);
        window.failures
    }

    fn make_room(&mut self, now: Timestamp) {
        if self.failures.len() < ENTRIES {
            return;
        }
        let span = self.window;
        self.failures.retain(|_, window| now.since(window.since) < span);
        if self.failures.len() >= ENTRIES {
            // Under such an attack those who are over the limit are worth more than those who failed once.
            let most = self.most;
            self.failures.retain(|_, window| window.failures >= most);
        }
        if self.failures.len() >= ENTRIES {
            self.failures.clear();
        }
    }
}

/// How long a pair of user and address counts as known.
const KNOWN: Duration = Duration::from_hours(7 * 24);

fn network(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_in_their_window_and_successes_wipe_nothing() {
        let mut throttle = Throttle::new(3, Duration::from_mins(1));
        let (start, a): (_, IpAddr) = (Timestamp::from_millis(1_000_000), "192.0.2.1".parse().unwrap());
        for _ in 0..3 {
            assert_eq!(throttle.standing("v", a, start), Standing::Free);
            throttle.failed("u", a, start);
            throttle.succeeded("other", a, start);
        }
        assert_eq!(throttle.standing("v", a, start), Standing::Held);
        assert_eq!(throttle.standing("other", a, start), Standing::IfKnown);
        assert_eq!(throttle.standing("v", a, start + Duration::from_mins(1)), Standing::Free);
        assert_eq!(throttle.failed("u", a, start + Duration::from_mins(1)), 1, "a new window");
    }

    #[test]
    fn guesses_of_others_do_not_lock_a_known_client_out() {
        let mut throttle = Throttle::new(2, Duration::from_mins(1));
        let now = Timestamp::from_millis(1_000_000);
        let service: IpAddr = "2001:db8:1:2::5".parse().unwrap();
        let neighbour: IpAddr = "2001:db8:1:2::9".parse().unwrap();
        throttle.succeeded("u", service, now);
        for host in 1..3 {
            throttle.failed("u", IpAddr::V4([198, 51, 100, host].into()), now);
        }
        assert_eq!(throttle.standing("u", "192.0.2.7".parse().unwrap(), now), Standing::Held);
        assert_eq!(throttle.standing("u", service, now), Standing::Free);
        assert_eq!(throttle.standing("u", neighbour, now), Standing::Free, "one /64");
    }

    #[test]
    fn the_tables_stay_bounded() {
        let mut throttle = Throttle::new(2, Duration::from_mins(1));
        let now = Timestamp::from_millis(1_000_000);
        for n in 0..60_000_u32 {
            let client = IpAddr::V4(n.into());
            throttle.failed(&format!("u{n}"), client, now);
            throttle.succeeded("u", client, now);
        }
        assert!(throttle.failures.len() <= ENTRIES + 2 && throttle.known.len() <= ENTRIES);
    }
}
