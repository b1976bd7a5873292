//! Links between letters: idle for at most 15 seconds, and never lent to a letter with another policy.
//!
//! The key has the MX set (not the recipient domain: domains share servers), the TLS ruling for each of its hosts and
//! the source address, so that one domain's policy never rides on another's connection. So a site may have idle links
//! that the next letter cannot use: at the site's limit one of them is closed first, for the other side counts those
//! too. A link is given out only if it is
//! still open and silent; whether it is really alive shows at the first reply (see [`super::dialogue::Ending::Stale`]).

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::link::Link;
use super::tls_policy::Ruling;

/// How long a link may be idle. Servers wait for minutes, but each waiting link costs them one of few processes.
pub const IDLE_TIME: Duration = Duration::from_secs(15);

/// What a link may be used for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PoolKey {
    /// The site that its limits are counted by.
    pub lane: Arc<str>,
    /// The route's host and port, or the MX set.
    pub site: String,
    /// The ruling for each host, in the order of their names.
    pub rulings: Arc<[(String, Ruling)]>,
    /// The source address' name.
    pub egress: Option<String>,
}

/// The place of one connection among those of its site; free when the link is gone.
#[derive(Debug)]
pub struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// Sites whose counts are kept although no link is open.
const COUNTS_KEPT: usize = 4096;

struct Idle {
    link: Link,
    since: Instant,
}

#[derive(Default)]
struct Shelves {
    by_key: HashMap<PoolKey, Vec<Idle>>,
    count: usize,
    sweeping: bool,
}

impl Shelves {
    /// The longest idle link of a site, whatever its policy.
    fn pop_of(&mut self, lane: &str) -> Option<Link> {
        let of_lane = self.by_key.iter().filter(|(key, _)| &*key.lane == lane);
        let (key, _) = of_lane.min_by_key(|(_, shelf)| shelf.first().map(|idle| idle.since))?;
        let key = key.clone();
        let shelf = self.by_key.get_mut(&key)?;
        let idle = (!shelf.is_empty()).then(|| shelf.remove(0))?;
        if shelf.is_empty() {
            self.by_key.remove(&key);
        }
        self.count -= 1;
        Some(idle.link)
    }

    fn remove_where(&mut self, mut expired: impl FnMut(&Idle) -> bool) -> Vec<Link> {
        let mut removed = Vec::new();
        self.by_key.retain(|_, shelf| {
            let (out, keep): (Vec<Idle>, Vec<Idle>) = shelf.drain(..).partition(&mut expired);
            removed.extend(out.into_iter().map(|idle| idle.link));
            *shelf = keep;
            !shelf.is_empty()
        });
        self.count -= removed.len();
        removed
    }
}

/// The idle links.
pub struct Pool {
    shelves: Mutex<Shelves>,
    open: Mutex<HashMap<Arc<str>, Arc<AtomicUsize>>>,
    capacity: usize,
}

impl Pool {
    /// A pool of at most `capacity` idle links.
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { shelves: Mutex::default(), open: Mutex::default(), capacity })
    }

    /// An idle link for this key that still looks alive.
    pub async fn take(&self, key: &PoolKey) -> Option<Link> {
        loop {
            let mut idle = self.pop(key)?;
            if idle.since.elapsed() < IDLE_TIME && idle.link.is_quiet().await {
                return Some(idle.link);
            }
        }
    }

    fn pop(&self, key: &PoolKey) -> Option<Idle> {
        let mut shelves = self.shelves.lock();
        // The latest first: the others may then grow old and go.
        let shelf = shelves.by_key.get_mut(key)?;
        let idle = shelf.pop();
        if shelf.is_empty() {
            shelves.by_key.remove(key);
        }
        shelves.count -= usize::from(idle.is_some());
        idle
    }

    /// A place for one more connection to a site that may have `limit`. At the limit an idle link that another policy or
    /// source keeps from use is closed first. The scheduler keeps the number of those in use.
    pub async fn make_room(&self, lane: &Arc<str>, limit: usize) -> Place {
        let count = {
            let mut open = self.open.lock();
            if open.len() > COUNTS_KEPT {
                open.retain(|_, count| count.load(Ordering::Acquire) > 0);
            }
            open.entry(lane.clone()).or_default().clone()
        };
        while count.load(Ordering::Acquire) >= limit {
            let Some(idle) = self.shelves.lock().pop_of(lane) else { break };
            idle.quit().await;
        }
        count.fetch_add(1, Ordering::AcqRel);
        Place(count)
    }

    /// Keeps a link for the next letter; over capacity it is closed.
    pub fn put(self: &Arc<Self>, key: PoolKey, link: Link) {
        let mut shelves = self.shelves.lock();
        if shelves.count >= self.capacity {
            drop(shelves);
            tokio::spawn(link.quit());
            return;
        }
        shelves.by_key.entry(key).or_default().push(Idle { link, since: Instant::now() });
        shelves.count += 1;
        let begin = !std::mem::replace(&mut shelves.sweeping, true);
        drop(shelves);
        if begin {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    /// Closes every idle link and waits for the farewells.
    pub async fn close_idle(&self) {
        let links = self.shelves.lock().remove_where(|_| true);
        futures_util::future::join_all(links.into_iter().map(Link::quit)).await;
    }

    /// How many links are idle.
    pub fn idle(&self) -> usize {
        self.shelves.lock().count
    }
}

/// Closes what is too old, and ends when nothing is left: no task outlives the traffic.
async fn sweep(pool: Weak<Pool>) {
    loop {
        tokio::time::sleep(IDLE_TIME / 3).await;
        let Some(pool) = pool.upgrade() else { return };
        let old = {
            let mut shelves = pool.shelves.lock();
            let old = shelves.remove_where(|idle| idle.since.elapsed() >= IDLE_TIME);
            shelves.sweeping = shelves.count > 0;
            (old, shelves.sweeping)
        };
        for link in old.0 {
            tokio::spawn(link.quit());
        }
        if !old.1 {
            return;
        }
    }
}
