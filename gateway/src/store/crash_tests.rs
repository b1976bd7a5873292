//! The promise of the store, with every point of failure enumerated: the disk is a pretend one that dies at its
//! n-th operation and then keeps what was synced plus any part of what was not.

use std::collections::BTreeMap;
use std::sync::Arc;

use waxseal_keys::sealing::DataKey;

use super::disk::Disk;
use super::journal::TenantKeys;
use super::pretend::PretendDisk;
use super::shelf::ShelfPlace;
use super::{
    LetterRecord, LocalStore, NewLetter, RecipientState, Recovery, Settings, Sought, Store, StoreError, Transition,
};
use crate::clock::{ManualClock, Timestamp};
use crate::deliver::outcome::{DialogueStage, Evidence};
use crate::ids::{LetterId, TenantId};
use crate::message::Letter;

struct OneKey(Arc<DataKey>);

impl TenantKeys for OneKey {
    fn data_key(&self, _: TenantId) -> Option<Arc<DataKey>> {
        Some(self.0.clone())
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_795_000_000_000)
}

struct Bench {
    disk: PretendDisk,
    keys: Arc<OneKey>,
}

impl Bench {
    fn new() -> Self {
        let keys = Arc::new(OneKey(Arc::new(DataKey::generate().unwrap())));
        Self { disk: PretendDisk::default(), keys }
    }

    fn open(&self) -> Result<(Arc<LocalStore>, Recovery), StoreError> {
        let store = self.begin()?;
        let recovery = store.finish()?;
        Ok((store, recovery))
    }

    fn begin(&self) -> Result<Arc<LocalStore>, StoreError> {
        let settings = Settings { hot_octets: 0, segment_octets: 900, slack_octets: 0, ..Settings::default() };
        let clock = Arc::new(ManualClock::new(now()));
        LocalStore::begin_on(
            Arc::new(self.disk.clone()),
            Box::new(self.disk.clone()),
            self.keys.clone(),
            clock,
            settings,
        )
    }

    fn without_index(&self) {
        self.disk.move_aside(now()).unwrap();
    }
}

fn letter(number: u64, recipients: usize) -> NewLetter {
    super::samples::letter_to(TenantId(1), number, recipients)
}

fn waiting(attempts: u16) -> RecipientState {
    RecipientState::Waiting { next: now(), attempts, last: None }
}

fn delivered() -> RecipientState {
    RecipientState::Delivered(Box::new(Evidence {
        at: now(),
        stage: DialogueStage::FinalReply,
        host: None,
        address: None,
        reply: None,
        tls: None,
        note: String::new(),
        status: (2, 0, 0),
    }))
}

fn step(recipient: u32, state: RecipientState) -> Vec<Transition> {
    vec![Transition { recipient, state }]
}

/// What the outside world was told.
#[derive(Default)]
struct Ledger {
    accepted: BTreeMap<LetterId, String>,
    ended: Vec<LetterId>,
    maybe_ended: Vec<LetterId>,
    deferred: Vec<(LetterId, u16)>,
}

/// A day of a store: letters come, are deferred, delivered, cause a notice, checkpoints and moves happen.
async fn workload(store: &Arc<LocalStore>) -> Ledger {
    let mut ledger = Ledger::default();
    let mut ids = Vec::new();
    for number in 0..6 {
        let new = letter(number, 1 + number as usize % 2);
        let (id, body) = (new.record.id, String::from_utf8(new.letter.message().to_vec()).unwrap());
        ids.push(id);
        if store.accept(vec![new]).await.is_ok() {
            ledger.accepted.insert(id, body);
        }
        if number == 2 {
            let _ = store.tick();
        }
    }
    for (turn, id) in ids.iter().enumerate() {
        if !ledger.accepted.contains_key(id) {
            continue;
        }
        match turn {
            0 | 2 => match store.settle(*id, step(0, delivered()), vec![], false).await {
                Ok(()) => ledger.ended.push(*id),
                Err(_) => ledger.maybe_ended.push(*id),
            },
            1 | 4 if store.settle(*id, step(0, waiting(turn as u16)), vec![], false).await.is_ok() => {
                ledger.deferred.push((*id, turn as u16));
            }
            3 => {
                let notice = letter(100, 1);
                let body = String::from_utf8(notice.letter.message().to_vec()).unwrap();
                let (notice_id, mut all) = (notice.record.id, step(0, delivered()));
                all.extend(step(1, delivered()));
                match store.settle(*id, all, vec![notice], false).await {
                    Ok(()) => {
                        ledger.ended.push(*id);
                        ledger.accepted.insert(notice_id, body);
                    }
                    Err(_) => ledger.maybe_ended.push(*id),
                }
            }
            _ => {}
        }
        let _ = store.tick();
        let _ = store.move_living().await;
    }
    ledger
}

async fn verify(store: &LocalStore, ledger: &Ledger, what: &str) {
    for (id, body) in &ledger.accepted {
        if ledger.ended.contains(id) {
            assert!(store.find(*id).is_none(), "{what}: {id} came back to life");
        } else if let Some(record) = store.find(*id) {
            assert_eq!(store.message(*id).await.unwrap(), body.as_bytes(), "{what}: {id}");
            if let Some((_, attempts)) = ledger.deferred.iter().find(|(deferred, _)| deferred == id) {
                assert_eq!(record.states[0], waiting(*attempts), "{what}: {id} forgot that it was deferred");
            }
        } else {
            assert!(ledger.maybe_ended.contains(id), "{what}: {id} was acknowledged and is lost");
        }
    }
}

#[tokio::test]
async fn nothing_acknowledged_is_lost_whichever_operation_the_power_is_cut_at() {
    let whole = Bench::new();
    let (store, _) = whole.open().unwrap();
    let ledger = workload(&store).await;
    store.close().unwrap();
    assert_eq!((ledger.accepted.len(), ledger.ended.len()), (7, 3));
    let operations = whole.disk.0.lock().operations;
    assert!(operations > 30, "the workload exercises the disk: {operations}");

    for dies_at in 1..=operations + 1 {
        let bench = Bench::new();
        bench.disk.0.lock().dies_at = Some(dies_at);
        let (store, _) = bench.open().unwrap();
        let ledger = workload(&store).await;
        let _ = store.close();
        drop(store);
        for (kept, of) in [(0, 1), (1, 3), (1, 1)] {
            for index in [true, false] {
                let what = format!("cut at {dies_at}, {kept}/{of} of the unsynced kept, index {index}");
                let after = Bench { disk: bench.disk.after_power_cut(kept, of), keys: bench.keys.clone() };
                if !index {
                    after.without_index();
                }
                let (store, recovery) = after.open().unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(recovery.damaged, [], "{what}");
                verify(&store, &ledger, &what).await;
                store.close().unwrap();
                drop(store);
                // And once more: what recovery wrote is itself recoverable.
                let (store, _) = after.open().unwrap();
                verify(&store, &ledger, &what).await;
            }
        }
    }
}

/// Letters come while the last run is not read yet, at once or after a second crash: both runs' letters are there.
#[tokio::test]
async fn what_is_taken_while_the_last_run_is_read_survives_whichever_operation_the_power_is_cut_at() {
    let first = Bench::new();
    let (store, _) = first.open().unwrap();
    let old = workload(&store).await;
    drop(store);
    for dies_at in 1..40 {
        for (kept, of) in [(0, 1), (1, 2), (1, 1)] {
            let bench = Bench { disk: first.disk.after_power_cut(kept, of), keys: first.keys.clone() };
            bench.disk.0.lock().dies_at = Some(dies_at);
            let mut new = Ledger::default();
            let began = bench.begin();
            if let Ok(store) = &began {
                for number in 200..203 {
                    let letter = letter(number, 1);
                    let (id, body) = (letter.record.id, String::from_utf8(letter.letter.message().to_vec()).unwrap());
                    if number == 202 {
                        let _ = store.finish();
                    } else {
                        assert!(!store.is_whole() && store.tick().is_ok(), "no checkpoint before all is read");
                    }
                    if store.accept(vec![letter]).await.is_ok() {
                        new.accepted.insert(id, body);
                    }
                }
                let _ = store.close();
            }
            drop(began);
            for (kept, of) in [(0, 1), (1, 2), (1, 1)] {
                let what = format!("cut at {dies_at}, then {kept}/{of} kept");
                let after = Bench { disk: bench.disk.after_power_cut(kept, of), keys: bench.keys.clone() };
                let (store, recovery) = after.open().unwrap_or_else(|e| panic!("{what}: {e}"));
                assert_eq!(recovery.damaged, [], "{what}");
                verify(&store, &old, &what).await;
                verify(&store, &new, &what).await;
            }
        }
    }
}

#[tokio::test]
async fn a_record_leaves_memory_with_a_checkpoint_and_comes_back_when_it_changes() {
    let bench = Bench::new();
    let (store, _) = bench.open().unwrap();
    let new = letter(0, 2);
    let (id, record) = (new.record.id, new.record.clone());
    store.accept(vec![new]).await.unwrap();
    for attempts in 1..4 {
        store.tick().unwrap();
        assert!(store.is_in_index_only(id));
        let found = store.find(id).unwrap();
        assert_eq!((&found.envelope, found.states.len()), (&record.envelope, 2));
        assert_eq!(store.agenda(None, 5).len(), 1);
        store.settle(id, step(1, waiting(attempts)), vec![], false).await.unwrap();
        assert!(!store.is_in_index_only(id));
        assert_eq!(store.find(id).unwrap().states, [waiting(0), waiting(attempts)]);
    }
    store.tick().unwrap();
    assert_eq!(store.waits().recipients, [1, 1, 0]);
    let mut all = step(0, delivered());
    all.extend(step(1, delivered()));
    store.settle(id, all, vec![], false).await.unwrap();
    assert!(store.find(id).is_none() && store.scan(None, 10).is_empty());
    store.close().unwrap();
    drop(store);
    assert!(bench.open().unwrap().0.is_empty());
}

#[tokio::test]
async fn letters_are_found_and_counted_before_and_after_a_restart() {
    let bench = Bench::new();
    let (store, _) = bench.open().unwrap();
    let mut ids = Vec::new();
    for number in 0..5 {
        let new = letter(number, 1 + number as usize % 2);
        ids.push(new.record.id);
        store.accept(vec![new]).await.unwrap();
    }
    store.settle(ids[3], step(1, delivered()), vec![], false).await.unwrap();
    let found = |store: &LocalStore, recipient: &str, after, limit| {
        let sought = Sought { recipient: Some(recipient.into()), ..Sought::default() };
        store.candidates(&sought, after, limit)
    };
    let census = |store: &LocalStore| store.census(&|_| 4).into_iter().collect::<Vec<_>>();
    let expected = vec![(("example.net".to_owned(), 4), 6)];
    assert_eq!(found(&store, "r0@example.net", None, 10).len(), 5);
    assert_eq!(found(&store, "r1@example.net", None, 10).len(), 2, "one of them is delivered and can be found");
    let first = found(&store, "r0@example.net", None, 2);
    assert_eq!(found(&store, "r0@example.net", first.last().copied(), 10).len(), 3);
    assert!(found(&store, "nobody@example.net", None, 10).is_empty());
    assert_eq!(census(&store), expected);
    assert_eq!(store.waits().recipients, [6, 0, 0]);
    store.close().unwrap();
    for noted in [false, true] {
        let (store, _) = bench.open().unwrap();
        assert_eq!(found(&store, "nobody@example.net", None, 10).len(), 5, "what is not known cannot be ruled out");
        if noted {
            store.note_recipients();
        } else {
            assert_eq!(census(&store), expected);
        }
        assert!(found(&store, "nobody@example.net", None, 10).is_empty());
        assert_eq!(found(&store, "r1@example.net", None, 10).len(), 2);
        assert_eq!((census(&store), store.waits().recipients), (expected.clone(), [6, 0, 0]));
        store.close().unwrap();
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_written_says_why_until_the_next_start() {
    let bench = Bench::new();
    let (store, _) = bench.open().unwrap();
    store.accept(vec![letter(0, 1)]).await.unwrap();
    assert_eq!(store.closed(), None);
    bench.disk.0.lock().faults = Some((1000, crate::chance::seeded::Dice::new(1)));
    assert!(store.accept(vec![letter(1, 1)]).await.is_err());
    bench.disk.0.lock().faults = None;
    assert!(matches!(store.accept(vec![letter(2, 1)]).await, Err(StoreError::Closed(_))));
    assert!(store.closed().is_some());
    drop(store);
    let (store, _) = bench.open().unwrap();
    assert_eq!((store.closed(), store.len()), (None, 1));
}

#[tokio::test]
async fn a_damaged_record_is_reported_and_costs_nothing_else() {
    let bench = Bench::new();
    let (store, _) = bench.open().unwrap();
    let new: Vec<_> = (0..3).map(|number| letter(number, 1)).collect();
    let ids: Vec<_> = new.iter().map(|new| new.record.id).collect();
    for new in new {
        store.accept(vec![new]).await.unwrap();
    }
    store.close().unwrap();
    drop(store);
    {
        let mut platter = bench.disk.0.lock();
        let file = platter.files.values_mut().next().unwrap();
        let at = file.octets.len() / 2;
        file.octets[at] ^= 0x20;
    }
    let (store, recovery) = bench.open().unwrap();
    assert_eq!(recovery.damaged, [], "the index spares reading what lies before its checkpoint");
    let (frames, damaged) = store.check().unwrap();
    assert_eq!((frames, damaged.len()), (2, 1));
    let mut readable = 0;
    for id in &ids {
        match store.message(*id).await {
            Ok(_) => readable += 1,
            Err(error) => assert!(matches!(error, StoreError::Damaged(_)), "{error}"),
        }
    }
    assert_eq!(readable, 2);
    store.close().unwrap();
    drop(store);
    bench.without_index();
    let (store, recovery) = bench.open().unwrap();
    assert_eq!((recovery.damaged.len(), store.len()), (1, 2));
}

#[tokio::test]
async fn space_comes_back_and_an_old_letter_moves_to_the_front() {
    let bench = Bench::new();
    let (store, _) = bench.open().unwrap();
    let stays = letter(0, 1);
    let (stays_id, body) = (stays.record.id, stays.letter.message().clone());
    store.accept(vec![stays]).await.unwrap();
    for number in 1..60 {
        let new = letter(number, 1);
        let id = new.record.id;
        store.accept(vec![new]).await.unwrap();
        store.settle(id, step(0, delivered()), vec![], false).await.unwrap();
    }
    for _ in 0..3 {
        store.tick().unwrap();
        store.move_living().await.unwrap();
    }
    store.tick().unwrap();
    assert_eq!(store.message(stays_id).await.unwrap(), body);
    let (octets, living) = store.octets();
    assert!(living > 0 && octets < 4000, "{octets} octets for {living} living");
    assert!(bench.disk.list().unwrap().len() <= 4);
}

#[tokio::test]
async fn an_idempotency_key_is_remembered_over_a_restart_and_a_lost_index() {
    let bench = Bench::new();
    let (store, _) = bench.open().unwrap();
    let mut new = letter(0, 1);
    new.record.options.idempotency_key = Some("order-77".into());
    let id = new.record.id;
    store.accept(vec![new]).await.unwrap();
    store.settle(id, step(0, delivered()), vec![], false).await.unwrap();
    assert_eq!(store.accepted_under(TenantId(1), "order-77"), Some(id));
    store.close().unwrap();
    drop(store);
    let (store, _) = bench.open().unwrap();
    assert_eq!(store.accepted_under(TenantId(1), "order-77"), Some(id));
    assert_eq!(store.accepted_under(TenantId(2), "order-77"), None);
    store.close().unwrap();
    drop(store);
    bench.without_index();
    let (store, _) = bench.open().unwrap();
    assert_eq!(store.accepted_under(TenantId(1), "order-77"), Some(id));
}

#[test]
fn only_a_letter_that_was_sealed_can_be_stored() {
    fn stores<S: crate::message::Stage>(_: fn(LetterRecord, Letter<S>)) {}
    stores::<crate::sign::Sealed>(|record, letter| drop(NewLetter { record, letter }));
}
