//! Links between letters: idle for at most 15 seconds, and never lent to a letter with another policy.
//!
//! The key has the MX set (not the recipient domain: domains share servers), the TLS ruling for each of its hosts and
//! the source address, so that one domain's policy never rides on another's connection. A link is given out only if it is
//! still open and silent; whether it is really alive shows at the first reply (see [`super::dialogue::Ending::Stale`]).

use std::collections::HashMap;
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
    /// The route's host and port, or the MX set.
    pub site: String,
    /// The ruling for each host, in the order of their names.
    pub rulings: Arc<[(String, Ruling)]>,
    /// The source address' name.
    pub egress: Option<String>,
}

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
    capacity: usize,
}

impl Pool {
    /// A pool of at most `capacity` idle links.
    pub fn new(capacity: usize) -> Arc<Self> {
        Arc::new(Self { shelves: Mutex::default(), capacity })
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
