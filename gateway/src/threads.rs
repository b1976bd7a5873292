//! Where work that holds a processor runs: never on the threads that move bytes.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;

type Work = Box<dyn FnOnce() + Send>;

/// Threads of their own, one a processor, that take work in the order of its coming.
///
/// Under load they go from one piece of work to the next without sleeping; tokio's blocking threads were woken anew
/// for each (two task switches a letter more). What waits here is bounded by the budget of messages in flight.
///
/// Mail, posts and pages each have a set of their own: the system shares the processors between them, and no queue of
/// password hashes stands before a letter, as it would in one set for all.
#[derive(Clone)]
pub struct Processors(Option<Arc<Owner>>);

/// The last handle tells the threads to end.
struct Owner {
    queue: Arc<Queue>,
    threads: usize,
}

#[derive(Default)]
struct Queue {
    /// What waits; `None` when nobody can hand in more.
    work: Mutex<Option<VecDeque<Work>>>,
    changed: Condvar,
}

impl Queue {
    fn next(&self) -> Option<Work> {
        let mut work = self.work.lock();
        loop {
            match &mut *work {
                Some(waiting) => {
                    if let Some(next) = waiting.pop_front() {
                        return Some(next);
                    }
                }
                None => return None,
            }
            self.changed.wait(&mut work);
        }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.queue.work.lock().take();
        self.queue.changed.notify_all();
    }
}

impl Processors {
    /// One thread for each processor; fewer where the system gives no more threads.
    pub fn all() -> Self {
        let count = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let queue = Arc::new(Queue { work: Mutex::new(Some(VecDeque::new())), changed: Condvar::new() });
        let start = |number: &usize| {
            let queue = queue.clone();
            let thread = std::thread::Builder::new().name(format!("processor-{number}"));
            let run = move || {
                while let Some(work) = queue.next() {
                    // A panic ends this piece of work only: who waits for it sees that it did not come back.
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
            };
            thread.spawn(run).is_ok()
        };
        let threads = (0..count).filter(start).count();
        Self(Some(Arc::new(Owner { queue, threads })))
    }

    /// No threads: the work runs where it is asked for, as a simulation wants it.
    #[cfg(test)]
    pub(crate) fn here() -> Self {
        Self(None)
    }

    /// Runs `work` when a thread is free; `None` if it panicked or no thread could be started.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let Some(owner) = &self.0 else { return Some(work()) };
        let (done, result) = oneshot::channel();
        let work: Work = Box::new(move || {
            // Whoever asked may have gone away.
            let _ = done.send(work());
        });
        if owner.threads == 0 {
            return None;
        }
        let queue = &owner.queue;
        queue.work.lock().as_mut()?.push_back(work);
        queue.changed.notify_one();
        result.await.ok()
    }
}

/// Runs `work` here, but tells the runtime (if there is one with several threads) to move other tasks away first.
pub fn off_reactor<T>(work: impl FnOnce() -> T) -> T {
    let threads = Handle::try_current().is_ok_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    if threads { tokio::task::block_in_place(work) } else { work() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_comes_back_and_a_panic_ends_itself_only() {
        let processors = Processors::all();
        assert_eq!(processors.run(|| 6 * 7).await, Some(42));
        let panicking = processors.run(|| assert_eq!(1, 2, "this panic is part of the test")).await;
        assert_eq!(panicking, None);
        let many = (0..100).map(|number| processors.run(move || number));
        let sum: usize = futures_util::future::join_all(many).await.into_iter().flatten().sum();
        assert_eq!(sum, 4950);
    }

    #[tokio::test]
    async fn the_threads_end_with_the_last_handle() {
        let processors = Processors::all();
        let queue = processors.0.as_ref().unwrap().queue.clone();
        let other = processors.clone();
        drop(processors);
        assert_eq!(other.run(|| 1).await, Some(1));
        drop(other);
        assert!(queue.next().is_none());
    }
}
