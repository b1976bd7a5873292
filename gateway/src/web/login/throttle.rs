//! Failed sign-ins slow down further ones, by source and account together, and never lock a victim out.
//!
//! Three counts, each forgotten an hour after its last failure:
//! - *source and account*: from the fourth failure on each next try waits, doubling from two seconds to fifteen minutes;
//! - *source* (an IPv6 /64, an IPv4 address): from the thirtieth on, whatever the accounts (password spraying);
//! - *account* from browsers that never signed in to it: from the hundredth on. A browser that has (its device cookie
//!   says so) does not take part in this count, nor in the source's: who guesses at an account from a thousand addresses
//!   holds up strangers, not its owner (OWASP's device cookies).

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::Timestamp;
use crate::web::accounts::Digest;

const FORGOTTEN: Duration = Duration::from_hours(1);
const LONGEST: Duration = Duration::from_mins(15);
const FREE_PER_PAIR: u32 = 3;
const FREE_PER_SOURCE: u32 = 30;
const FREE_PER_ACCOUNT: u32 = 100;
/// Counts kept at most; past it the oldest go.
const ENTRIES: usize = 50_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Subject {
    Pair(IpAddr, Digest),
    Device(Digest, Digest),
    Source(IpAddr),
    Account(Digest),
}

impl Subject {
    fn free(self) -> u32 {
        match self {
            Self::Pair(..) | Self::Device(..) => FREE_PER_PAIR,
            Self::Source(_) => FREE_PER_SOURCE,
            Self::Account(_) => FREE_PER_ACCOUNT,
        }
    }
}

#[derive(Clone, Copy)]
struct Count {
    failures: u32,
    last: Timestamp,
}

impl Count {
    /// When the next try may be made.
    fn open_at(self, free: u32) -> Timestamp {
        let over = (self.failures + 1).saturating_sub(free);
        if over == 0 {
            return self.last;
        }
        self.last + Duration::from_secs(1 << over.min(10)).min(LONGEST)
    }
}

/// An attempt at a sign-in.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// From where.
    pub source: IpAddr,
    /// The digest of the address that was typed, whether there is such an account or not.
    pub account: Digest,
    /// The browser, if it has signed in to this account before.
    pub device: Option<Digest>,
}

impl Attempt {
    fn subjects(&self) -> Vec<Subject> {
        if let Some(device) = self.device {
            return vec![Subject::Device(device, self.account)];
        }
        let source = network(self.source);
        vec![Subject::Pair(source, self.account), Subject::Source(source), Subject::Account(self.account)]
    }
}

/// The counts; shared by all listeners.
#[derive(Default)]
pub struct SignInThrottle(Mutex<HashMap<Subject, Count>>);

impl SignInThrottle {
    /// How long an attempt has to wait; `None`: it may be made now. Counts it as failed right away, so that attempts
    /// sent together do not all pass; [`SignInThrottle::succeeded`] takes that back.
    pub fn try_now(&self, attempt: &Attempt, now: Timestamp) -> Option<Duration> {
        let mut counts = self.0.lock();
        make_room(&mut counts, now);
        let subjects = attempt.subjects();
        let wait = subjects.iter().filter_map(|subject| {
            let count = counts.get(subject).filter(|count| now.since(count.last) < FORGOTTEN)?;
            let wait = count.open_at(subject.free()).since(now);
            (!wait.is_zero()).then_some(wait)
        });
        if let Some(wait) = wait.max() {
            return Some(wait);
        }
        for subject in subjects {
            let count = counts.entry(subject).or_insert(Count { failures: 0, last: now });
            if now.since(count.last) >= FORGOTTEN {
                count.failures = 0;
            }
            *count = Count { failures: count.failures + 1, last: now };
        }
        None
    }

    /// The attempt was right: its pair starts afresh, and the wider counts lose this attempt only (an attacker with one
    /// good account would else wipe the slate between guesses).
    pub fn succeeded(&self, attempt: &Attempt) {
        let mut counts = self.0.lock();
        for subject in attempt.subjects() {
            match subject {
                Subject::Pair(..) | Subject::Device(..) => drop(counts.remove(&subject)),
                Subject::Source(_) | Subject::Account(_) => {
                    if let Some(count) = counts.get_mut(&subject) {
                        count.failures = count.failures.saturating_sub(1);
                    }
                }
            }
        }
    }
}

fn make_room(counts: &mut HashMap<Subject, Count>, now: Timestamp) {
    if counts.len() < ENTRIES {
        return;
    }
    counts.retain(|_, count| now.since(count.last) < FORGOTTEN);
    if counts.len() >= ENTRIES {
        let mut times: Vec<Timestamp> = counts.values().map(|count| count.last).collect();
        times.sort_unstable();
        let middle = times[times.len() / 2];
        counts.retain(|_, count| count.last > middle);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_millis(1_795_442_709_123);

    fn attempt(source: &str, device: Option<&str>) -> Attempt {
        Attempt {
            source: source.parse().unwrap(),
            account: Digest::of("anna@example.com"),
            device: device.map(Digest::of),
        }
    }

    #[test]
    fn tries_from_one_source_wait_longer_and_longer_and_are_forgotten_after_an_hour() {
        let throttle = SignInThrottle::default();
        let one = attempt("192.0.2.1", None);
        for _ in 0..3 {
            assert_eq!(throttle.try_now(&one, T0), None);
        }
        assert_eq!(throttle.try_now(&one, T0), Some(Duration::from_secs(2)));
        let later = T0 + Duration::from_secs(2);
        assert_eq!(throttle.try_now(&one, later), None);
        assert_eq!(throttle.try_now(&one, later), Some(Duration::from_secs(4)));
        assert_eq!(throttle.try_now(&one, later + FORGOTTEN), None);
    }

    #[test]
    fn a_thousand_guessing_addresses_hold_up_strangers_and_not_a_known_browser() {
        let throttle = SignInThrottle::default();
        let mut held = 0;
        for n in 0..1000u32 {
            let guess = attempt(&std::net::Ipv4Addr::from(0x0a00_0000 + n).to_string(), None);
            held += u32::from(throttle.try_now(&guess, T0).is_some());
        }
        assert_eq!(held, 900);
        assert!(throttle.try_now(&attempt("198.51.100.1", None), T0).is_some());
        assert_eq!(throttle.try_now(&attempt("198.51.100.1", Some("her laptop")), T0), None);
    }

    #[test]
    fn one_source_may_not_spray_and_a_success_of_its_own_does_not_help_it() {
        let throttle = SignInThrottle::default();
        let at = |n: u32| Attempt { account: Digest::of(&n.to_string()), ..attempt("2001:db8::1", None) };
        assert_eq!(throttle.try_now(&at(0), T0), None);
        throttle.succeeded(&at(0));
        let tried = (1..100).take_while(|n| throttle.try_now(&at(*n), T0).is_none()).count();
        assert_eq!(tried, 30);
        let neighbour = Attempt { account: Digest::of("x"), ..attempt("2001:db8::ffff", None) };
        assert!(throttle.try_now(&neighbour, T0).is_some());
    }
}
