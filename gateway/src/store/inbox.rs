//! Where frames wait for the journal's writer, and how long it waits for more of them.
//!
//! Promises: a frame waits only for letters that are being sealed at this very moment ([`Inbox::expect`]) and never
//! longer than [`GATHER`], so a lone client waits for nobody; while the processors are busy anyway, the wait costs
//! nothing and one sync serves more letters. The writer is woken once a batch, not once a frame.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// The longest that a frame waits for others: about four syncs of a good disk.
const GATHER: Duration = Duration::from_millis(2);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// Waits for a first frame.
    Idle,
    /// Has frames and waits for those that are coming.
    Gathering,
    /// Writes; looks by itself when it is done.
    Busy,
}

struct State<T> {
    waiting: Vec<(usize, T)>,
    octets: usize,
    coming: usize,
    writer: Writer,
    closed: bool,
}

impl<T> State<T> {
    fn gathers(&mut self, batch: usize) -> bool {
        self.coming > 0 && !self.closed && self.octets < batch
    }
}

/// See the module. `T` is a frame with whoever waits for it.
pub(super) struct Inbox<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    /// A batch takes no further frame beyond so many octets, so that the first in it do not wait long.
    batch: usize,
}

/// A letter that is on its way to the writer, until this is dropped.
pub struct Expected(Arc<dyn Arrival>);

trait Arrival: Send + Sync {
    fn arrived(&self);
}

impl Drop for Expected {
    fn drop(&mut self) {
        self.0.arrived();
    }
}

impl<T: Send + 'static> Arrival for Inbox<T> {
    fn arrived(&self) {
        let mut state = self.state.lock();
        state.coming -= 1;
        if state.writer == Writer::Gathering && state.coming == 0 {
            self.changed.notify_one();
        }
    }
}

impl<T: Send + 'static> Inbox<T> {
    pub(super) fn new(batch: usize) -> Arc<Self> {
        let state = State { waiting: Vec::new(), octets: 0, coming: 0, writer: Writer::Busy, closed: false };
        Arc::new(Self { state: Mutex::new(state), changed: Condvar::new(), batch })
    }

    /// Says that a frame will come soon.
    pub(super) fn expect(self: &Arc<Self>) -> Expected {
        self.state.lock().coming += 1;
        Expected(self.clone())
    }

    /// Hands a frame of so many octets over; gives it back if the inbox is closed.
    pub(super) fn push(&self, octets: usize, frame: T) -> Result<(), T> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(frame);
        }
        state.waiting.push((octets, frame));
        state.octets += octets;
        let wake = match state.writer {
            Writer::Idle => true,
            Writer::Gathering => !state.gathers(self.batch),
            Writer::Busy => false,
        };
        if wake {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// The next batch, in the order of arrival; `None` when the inbox is closed and empty.
    pub(super) fn take(&self) -> Option<Vec<T>> {
        let mut state = self.state.lock();
        state.writer = Writer::Idle;
        self.changed.wait_while(&mut state, |state| state.waiting.is_empty() && !state.closed);
        state.writer = Writer::Gathering;
        self.changed.wait_while_for(&mut state, |state| state.gathers(self.batch), GATHER);
        state.writer = Writer::Busy;
        let mut octets = 0;
        let within = state.waiting.iter().take_while(|(frame, _)| {
            let fits = octets < self.batch;
            octets += frame;
            fits
        });
        let count = within.count();
        let batch: Vec<(usize, T)> = state.waiting.drain(..count).collect();
        state.octets -= batch.iter().map(|(octets, _)| octets).sum::<usize>();
        (!batch.is_empty()).then(|| batch.into_iter().map(|(_, frame)| frame).collect())
    }

    /// All that waits, without waiting for it.
    pub(super) fn take_now(&self) -> Vec<T> {
        let mut state = self.state.lock();
        state.octets = 0;
        state.waiting.drain(..).map(|(_, frame)| frame).collect()
    }

    /// Takes nothing more; what waits is still handed out.
    pub(super) fn close(&self) {
        self.state.lock().closed = true;
        self.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_frame_waits_for_nobody() {
        let inbox = Inbox::new(100);
        assert!(inbox.push(10, 'a').is_ok());
        assert_eq!(inbox.take(), Some(vec!['a']));
    }

    #[test]
    fn what_is_coming_shares_the_batch() {
        let inbox = Inbox::new(100);
        let expected = inbox.expect();
        assert!(inbox.push(10, 'a').is_ok());
        let writer = std::thread::spawn({
            let inbox = inbox.clone();
            move || inbox.take()
        });
        assert!(inbox.push(10, 'b').is_ok());
        drop(expected);
        let batch = writer.join().expect("the writer's thread");
        // The wait may run out first on a busy machine; then `b` comes with the next batch.
        let rest = if batch == Some(vec!['a']) { inbox.take() } else { Some(vec![]) };
        assert_eq!(batch.into_iter().chain(rest).flatten().collect::<String>(), "ab");
    }

    #[test]
    fn what_never_comes_is_not_waited_for() {
        let inbox = Inbox::new(100);
        let _never = inbox.expect();
        assert!(inbox.push(10, 'a').is_ok());
        assert_eq!(inbox.take(), Some(vec!['a']));
    }

    #[test]
    fn a_batch_is_bounded_and_the_order_kept() {
        let inbox = Inbox::new(100);
        for frame in ['a', 'b', 'c'] {
            assert!(inbox.push(60, frame).is_ok());
        }
        assert_eq!(inbox.take(), Some(vec!['a', 'b']));
        assert_eq!(inbox.take(), Some(vec!['c']));
    }

    #[test]
    fn closing_hands_out_what_waits_and_takes_no_more() {
        let inbox = Inbox::new(100);
        assert!(inbox.push(10, 'a').is_ok());
        inbox.close();
        assert_eq!(inbox.push(10, 'b'), Err('b'));
        assert_eq!(inbox.take(), Some(vec!['a']));
        assert_eq!(inbox.take(), None);
    }
}
