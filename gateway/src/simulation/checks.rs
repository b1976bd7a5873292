//! What must hold, whatever happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::network::{HEALTHY, Take};
use super::world::{End, World};
use crate::clock::Clock;
use crate::ids::LetterId;
use crate::store::{LocalStore, RecipientState, Store};

/// A card number that was in mails before they were redacted, and words of their bodies that the disk holds sealed.
pub(super) const CARD: &str = "4111 1111 1111 1111";
pub(super) const PLAIN: &str = "words of a simulated body";

/// After a restart: every promise is in the store, or ended before. Settlements whose answer never came may have
/// happened, then wholly.
pub(super) fn reconcile(world: &Arc<World>, store: &LocalStore) {
    let (run, now) = (world.run(), world.now());
    let mut ledger = world.ledger.lock();
    let attempted = std::mem::take(&mut ledger.attempted);
    let ids: Vec<LetterId> = ledger.promises.keys().copied().collect();
    for id in ids {
        let record = store.find(id);
        let Some(promise) = ledger.promises.get(&id) else { continue };
        if promise.run == run {
            continue;
        }
        let unknown = |at: usize| -> Option<&'static str> {
            let state = record.as_ref().map(|record| &record.states[at]);
            if state.is_some_and(|state| !state.is_final()) {
                return None;
            }
            let fits =
                |other: &RecipientState| other.is_final() && state.is_none_or(|state| state.name() == other.name());
            let of_this = attempted.iter().filter(|attempt| attempt.id == id).flat_map(|attempt| &attempt.transitions);
            let mut found = of_this.filter(|t| t.recipient as usize == at && fits(&t.state)).map(|t| t.state.name());
            Some(found.next_back().unwrap_or("nothing"))
        };
        let mut news = Vec::new();
        for (at, end) in promise.ends.iter().enumerate() {
            match (end, unknown(at)) {
                (Some(end), None) => news.push((at, Err(format!("{id}/{at} came back to life after {end:?}")))),
                (None, Some("nothing")) => news.push((at, Err(format!("{id}/{at} was promised and is lost")))),
                (None, Some(state)) => news.push((at, Ok(End { state, run: run - 1, at: now }))),
                _ => {}
            }
        }
        for (at, new) in news {
            match new {
                Ok(end) => {
                    if let Some(promise) = ledger.promises.get_mut(&id) {
                        promise.ends[at] = Some(end);
                    }
                }
                Err(problem) => ledger.problems.push(problem),
            }
        }
    }
    // A notice stands in one frame with what it tells of.
    for attempt in &attempted {
        for (notice, octets) in &attempt.notices {
            if store.find(notice.id).is_some() && !ledger.promises.contains_key(&notice.id) {
                let promise = super::world::Promise::of(notice, run - 1, now);
                ledger.promises.insert(notice.id, promise);
                ledger.by_octets.insert(octets.clone(), notice.id);
                if let Some(about) = ledger.promises.get_mut(&attempt.id) {
                    about.noticed = true;
                }
            }
        }
    }
}

fn check_recipient(id: LetterId, recipient: &str, end: Option<&End>, takes: &[&Take], problems: &mut Vec<String>) {
    let mut problem = |what: &str| problems.push(format!("{id} to {recipient}: {what}; {end:?}; {takes:?}"));
    let Some(end) = end else { return problem("has not ended") };
    if end.state == "delivered" && !takes.iter().any(|take| take.replied) {
        problem("recorded as delivered, and no host said so");
    }
    if end.state != "delivered" && takes.iter().any(|take| take.replied && take.run == end.run) {
        problem("delivered, and not recorded as such");
    }
    let twice = |pair: &[&Take]| pair[0].replied && pair[0].run == pair[1].run;
    if takes.windows(2).any(twice) {
        problem("delivered again without need");
    }
}

/// At the end of all runs.
pub(super) fn finish(world: &World, store: &LocalStore) -> Vec<String> {
    let ledger = world.ledger.lock();
    let mut problems = ledger.problems.clone();
    if !store.is_empty() {
        let left: Vec<_> = store.scan(None, 5).into_iter().map(|record| (record.id, record.states)).collect();
        problems.push(format!("{} letters are still queued: {left:?}", store.len()));
    }
    let takes = world.takes.lock();
    let mut by_recipient: BTreeMap<(LetterId, &str), Vec<&Take>> = BTreeMap::new();
    for take in takes.iter() {
        match ledger.by_octets.get(take.message.as_slice()) {
            Some(id) => by_recipient.entry((*id, &take.recipient)).or_default().push(take),
            None => {
                problems.push(format!("a host took what nobody sent: {:?}", String::from_utf8_lossy(&take.message)));
            }
        }
        let digits = |text: &[u8]| memchr::memmem::find(text, CARD.as_bytes()).is_some();
        if digits(&take.message) {
            problems.push(format!("a card number was sent to {}", take.recipient));
        }
    }
    for (id, promise) in &ledger.promises {
        for (recipient, end) in promise.recipients.iter().zip(&promise.ends) {
            let takes = by_recipient.get(&(*id, recipient.as_str())).map_or(&[][..], Vec::as_slice);
            check_recipient(*id, recipient, end.as_ref(), takes, &mut problems);
            // Nobody else's trouble holds up mail to a host that is well.
            let prompt = |end: &End| end.run != promise.run || end.at.since(promise.at) < Duration::from_mins(1);
            if recipient.ends_with(HEALTHY) && !end.as_ref().is_none_or(prompt) && !world.disk_was_ill(promise.run) {
                problems.push(format!("{id} to {recipient} starved: promised {}, {end:?}", promise.at));
            }
        }
        let given_up = promise.ends.iter().flatten().any(|end| matches!(end.state, "bounced" | "expired"));
        if given_up && !promise.notice && !promise.noticed {
            problems.push(format!("{id}: given up, and nobody was told"));
        }
    }
    let disk = world.disk.0.lock();
    for clear in [CARD, PLAIN, HEALTHY] {
        if disk.holds(clear.as_bytes()) {
            problems.push(format!("\"{clear}\" stands on the disk in clear"));
        }
    }
    problems
}
