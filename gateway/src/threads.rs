//! Where work that holds a processor runs: never on the threads that move bytes.

use std::sync::Arc;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;

/// A bounded share of tokio's blocking threads: as many at once as there are processors, so that a burst of
/// signatures queues up instead of starving the sessions.
#[derive(Clone)]
pub struct Processors(Option<Arc<Semaphore>>);

impl Processors {
    /// One place for each processor.
    pub fn all() -> Self {
        let count = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self(Some(Arc::new(Semaphore::new(count))))
    }

    /// None of its own: the work runs where it is asked for, as a simulation wants it.
    #[cfg(test)]
    pub(crate) fn here() -> Self {
        Self(None)
    }

    /// Runs `work` when a place is free; `None` if it panicked or the runtime is going down.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let Some(places) = &self.0 else { return Some(work()) };
        let place = places.clone().acquire_owned().await.ok()?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        })
        .await
        .ok()
    }
}

/// Runs `work` here, but tells the runtime (if there is one with several threads) to move other tasks away first.
pub fn off_reactor<T>(work: impl FnOnce() -> T) -> T {
    let threads = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if threads { tokio::task::block_in_place(work) } else { work() }
}
