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

#[test]
fn a_timeline_tells_one_recipients_part_in_the_order_of_what_was_done() {
    let at = |seconds: u64| Timestamp::from_millis(1_795_000_000_000 + seconds * 1_000);
    let record = crate::store::sample_letter(TenantId(1), 0).record;
    let to = record.envelope.recipients[0].address.clone();
    let evidence = |code, text: &str| crate::deliver::outcome::Evidence {
        at: at(2),
        stage: crate::deliver::outcome::DialogueStage::Rcpt,
        host: Some("mx.example.net".into()),
        address: Some([192, 0, 2, 1].into()),
        reply: Some(crate::deliver::outcome::RemoteReply { code, status: None, text: text.into() }),
        tls: None,
        note: String::new(),
        status: ((code / 100) as u8, 0, 0),
    };
    let attempt = |number, end, code, text| {
        Happening::Attempt(Box::new(Attempt { to: to.clone(), number, end, evidence: evidence(code, text) }))
    };
    let acceptance = Acceptance {
        session: None,
        envelope: record.envelope.clone(),
        subject: String::new(),
        from_domain: "example.com".into(),
        size: 7,
        expires: at(900),
        signatures: Vec::new(),
    };
    let moments = [
        (0, Happening::Accepted(Box::new(acceptance))),
        (1, Happening::Redacted { hits: 1, unscanned: 0 }),
        (2, attempt(1, End::Deferred { next: at(60) }, 452, "4.2.2 mailbox full")),
        (60, attempt(0, End::Bounced { notice: None }, 550, "no such user")),
    ];
    let moments = moments.map(|(seconds, what)| Moment { at: at(seconds), what }).to_vec();
    let past = Past { tenant: TenantId(1), moments };
    let told = timeline(record.id, None, &[], Some(&past)).unwrap();
    let steps = &told.recipients[0].steps;
    let events: Vec<_> = steps.iter().map(|step| (step.event.as_str(), step.attempt)).collect();
    let expected =
        [("accepted", None), ("redacted", None), ("signed", None), ("deferred", Some(1)), ("bounced", Some(2))];
    assert_eq!(events, expected);
    assert_eq!((told.queued, told.recipients[0].state.as_str()), (false, "bounced"));
    let category = |at: usize| steps[at].class.as_ref().map(|class| class.category.name());
    assert_eq!((category(3), category(4)), (Some("mailbox-full"), Some("bad-mailbox")));
    assert!(steps[3].next.is_some() && steps[1].text == "1 card number struck out");
    // While it waits, what comes next stands at the end; a letter that nobody knows has no timeline.
    let waiting = timeline(record.id, Some(&record), &[], Some(&past)).unwrap();
    assert_eq!(waiting.recipients[0].steps.last().unwrap().event, "expiry");
    assert!(timeline(record.id, None, &[], None).is_none());
}
