use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use waxseal_keys::sealing::DataKey;

use super::*;
use crate::clock::ManualClock;

#[derive(Default)]
struct Memory(Arc<Mutex<BTreeMap<Vec<u8>, Vec<u8>>>>);

impl Place for Memory {
    fn range(&self, prefix: &[u8]) -> Result<Vec<place::Item>, HistoryError> {
        let all = self.0.lock();
        Ok(all.iter().filter(|(key, _)| key.starts_with(prefix)).map(|(k, v)| (k.clone(), v.clone())).collect())
    }
    fn write(&self, items: Vec<place::Item>) -> Result<(), HistoryError> {
        self.0.lock().extend(items);
        Ok(())
    }
    fn remove_before(&self, bound: &[u8], most: usize) -> Result<bool, HistoryError> {
        let mut all = self.0.lock();
        let old: Vec<_> = all.range(..bound.to_vec()).take(most).map(|(key, _)| key.clone()).collect();
        for key in &old {
            all.remove(key);
        }
        Ok(old.len() == most)
    }
}

struct OneKey(Arc<DataKey>);

impl TenantKeys for OneKey {
    fn data_key(&self, tenant: TenantId) -> Option<Arc<DataKey>> {
        (tenant == TenantId(1)).then(|| self.0.clone())
    }
}

fn held(at: Timestamp, reason: &str) -> Moment {
    let to = "a@b.example".parse().unwrap();
    Moment { at, what: Happening::Held { to, by: "anna".into(), reason: reason.into() } }
}

#[test]
fn a_letters_past_is_whole_before_while_and_after_it_is_written() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_795_000_000_000)));
    let place = Memory::default();
    let octets = place.0.clone();
    let room = Arc::new(AtomicBool::new(true));
    let free = room.clone();
    let keys = Arc::new(OneKey(Arc::new(DataKey::generate().unwrap())));
    let day = Duration::from_hours(24);
    let has_room = Box::new(move || free.load(Ordering::Relaxed));
    let history = History::at(Box::new(place), keys, clock.clone(), day, has_room);
    let now = clock.now();
    let (one, other) = (LetterId::new(now), LetterId::new(now));
    assert_eq!(history.of(one).unwrap(), None);
    history.note(TenantId(1), one, vec![held(now, "first")]);
    assert_eq!(history.of(one).unwrap().unwrap().moments, [held(now, "first")]);
    history.write().unwrap();
    history.note(TenantId(1), one, vec![held(now + Duration::from_secs(1), "second")]);
    history.note(TenantId(1), other, vec![held(now, "of another")]);
    let both = [held(now, "first"), held(now + Duration::from_secs(1), "second")];
    assert_eq!(history.of(one).unwrap().unwrap().moments, both);
    history.write().unwrap();
    assert_eq!(history.of(one).unwrap().unwrap().moments, both);
    let open = octets.lock().values().any(|value| value.windows(5).any(|five| five == b"first"));
    assert!(!open, "nothing lies open on the disk");

    clock.advance(day * 2);
    assert!(!history.sweep().unwrap());
    assert_eq!(history.of(one).unwrap(), None, "what is too old goes");

    room.store(false, Ordering::Relaxed);
    history.note(TenantId(1), LetterId::new(clock.now()), vec![held(clock.now(), "no room")]);
    history.write().unwrap();
    assert!(octets.lock().is_empty(), "the queue's room comes first");
}
