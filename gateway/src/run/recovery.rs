//! Reading what the last run left, while mail is taken already.
//!
//! A short queue is whole before the doors open; a long one is read behind open doors ([`GRACE`]): what it holds is
//! safe on disk either way, and a sender that is turned away is not. If it cannot be read, the gateway ends.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot::{Receiver, channel};

use super::{Gateway, RunError};
use crate::observe::{Event, emit};
use crate::schedule::Scheduler;
use crate::store::{LocalStore, StoreError};

/// How long the doors wait for the queue.
const GRACE: Duration = Duration::from_millis(700);

/// The end of the reading, if it has not ended within the grace.
pub(super) type Reading = Option<Receiver<Result<(), StoreError>>>;

/// Begins to read, and waits for it a little.
pub(super) async fn begin(store: &Arc<LocalStore>, scheduler: &Arc<Scheduler>) -> Result<Reading, RunError> {
    let (done, mut reading) = channel();
    let (store, scheduler) = (store.clone(), scheduler.clone());
    let read = move || {
        // Nobody listens any more if the gateway is ending.
        let _ = done.send(read(&store, &scheduler));
    };
    let thread = std::thread::Builder::new().name("recovery".into()).spawn(read);
    thread.map_err(|e| RunError::Store(format!("starting to read it: {e}")))?;
    match tokio::time::timeout(GRACE, &mut reading).await {
        Err(_) => Ok(Some(reading)),
        Ok(Ok(result)) => result.map(|()| None).map_err(|e| RunError::Store(e.to_string())),
        Ok(Err(_)) => Err(RunError::Store("reading it failed".to_owned())),
    }
}

fn read(store: &LocalStore, scheduler: &Scheduler) -> Result<(), StoreError> {
    let begun = Instant::now();
    let recovery = store.finish()?;
    scheduler.restore();
    emit(&Event::StoreRecovered {
        letters: recovery.letters,
        damaged: recovery.damaged.len(),
        rebuilt: recovery.rebuilt,
        torn_octets: recovery.torn,
        millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
    });
    Ok(())
}

impl Gateway {
    /// Ends the gateway if the rest of the queue cannot be read.
    pub(super) async fn watch_reading(self: Arc<Self>, reading: Receiver<Result<(), StoreError>>) {
        let problem = match reading.await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "reading it failed".to_owned(),
        };
        if *self.stop_doors.borrow() {
            return;
        }
        emit(&Event::Gateway { state: "store-error", detail: format!("the queue cannot be read: {problem}") });
        *self.failure.lock() = Some(RunError::Store(problem));
        self.ending.notify_one();
    }
}
