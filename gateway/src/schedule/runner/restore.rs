//! The board after a start.

use super::Scheduler;

impl Scheduler {
    /// Puts every letter that the store has on the board, a page at a time, by what the store keeps in memory: the
    /// record is read when the event comes, and the event may come a little early.
    pub fn restore(&self) {
        let (warn_after, longest) = {
            let settings = self.settings.read();
            (settings.warn_after, settings.retry.longest())
        };
        let now = self.clock.now();
        let mut after = None;
        loop {
            let page = self.store.agenda(after, 1000);
            let Some(last) = page.last() else { break };
            after = Some(last.id);
            let mut board = self.board.lock();
            for letter in &page {
                let warning = letter.may_warn.then(|| letter.id.accepted_at() + warn_after);
                // An attempt that no policy can have set (the clock went back): the record tells whether it may be so.
                let next = letter.next.map(|next| if next > now + longest { now } else { next });
                let events = [next, warning].into_iter().flatten();
                board.restore_event(letter.id, events.min().unwrap_or(letter.expires).min(letter.expires));
            }
        }
        self.wake.notify_one();
    }
}
