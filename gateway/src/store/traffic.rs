//! Who changes a letter right now: a letter is not moved while it settles, and does not settle while it moves, since a
//! moved letter is written again with the state that it had when the move began. Nor does its record leave memory
//! while it settles.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::ids::LetterId;

/// See the module.
#[derive(Default)]
pub(super) struct Traffic {
    settling: Mutex<(HashMap<LetterId, usize>, Option<LetterId>)>,
    moved: tokio::sync::Notify,
}

pub(super) struct Settling<'t>(&'t Traffic, LetterId);

impl Traffic {
    /// Waits until the letter does not move; it does not move while the answer lives.
    pub(super) async fn settle(&self, id: LetterId) -> Settling<'_> {
        loop {
            let moved = self.moved.notified();
            {
                let mut state = self.settling.lock();
                if state.1 != Some(id) {
                    *state.0.entry(id).or_default() += 1;
                    return Settling(self, id);
                }
            }
            moved.await;
        }
    }

    /// Does it settle right now?
    pub(super) fn is_settling(&self, id: LetterId) -> bool {
        self.settling.lock().0.contains_key(&id)
    }

    /// May it move now? If so, nothing settles it until [`Traffic::end_move`].
    pub(super) fn begin_move(&self, id: LetterId) -> bool {
        let mut state = self.settling.lock();
        let free = !state.0.contains_key(&id);
        if free {
            state.1 = Some(id);
        }
        free
    }

    /// It has moved.
    pub(super) fn end_move(&self) {
        self.settling.lock().1 = None;
        self.moved.notify_waiters();
    }
}

impl Drop for Settling<'_> {
    fn drop(&mut self) {
        let mut state = self.0.settling.lock();
        if let Some(count) = state.0.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                state.0.remove(&self.1);
            }
        }
    }
}
