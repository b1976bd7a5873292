//! The promise of the store, with every point of failure enumerated: the disk is a pretend one that dies at its
//! n-th operation and then keeps what was synced plus any part of what was not.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::Arc;

use parking_lot::Mutex;
use waxseal_keys::sealing::DataKey;

use super::disk::{Disk, Segment};
use super::journal::TenantKeys;
use super::{LetterRecord, LocalStore, NewLetter, RecipientState, Recovery, Settings, Store, StoreError, Transition};
use crate::clock::{ManualClock, Timestamp};
use crate::deliver::outcome::{DialogueStage, Evidence};
use crate::ids::{LetterId, TenantId};
use crate::message::Letter;

#[derive(Default, Clone)]
struct File {
    octets: Vec<u8>,
    synced: usize,
}

#[derive(Default)]
struct Platter {
    files: BTreeMap<u64, File>,
    operations: usize,
    dies_at: Option<usize>,
}

impl Platter {
    fn step(&mut self) -> io::Result<()> {
        self.operations += 1;
        if self.dies_at.is_some_and(|at| self.operations >= at) {
            return Err(io::Error::other("the power is cut"));
        }
        Ok(())
    }
}

#[derive(Clone, Default)]
struct MemoryDisk(Arc<Mutex<Platter>>);

struct MemorySegment(MemoryDisk, u64);

impl MemoryDisk {
    /// What the disk shows after power comes back: `kept` of every `of` unsynced octets survived.
    fn after_power_cut(&self, kept: usize, of: usize) -> Self {
        let mut files = self.0.lock().files.clone();
        for file in files.values_mut() {
            let lost = file.octets.len() - file.synced;
            file.octets.truncate(file.synced + lost * kept / of);
            file.synced = file.octets.len();
        }
        Self(Arc::new(Mutex::new(Platter { files, ..Platter::default() })))
    }
}

impl Disk for MemoryDisk {
    fn list(&self) -> io::Result<Vec<u64>> {
        Ok(self.0.lock().files.keys().copied().collect())
    }
    fn create(&self, number: u64) -> io::Result<Box<dyn Segment>> {
        let mut platter = self.0.lock();
        platter.step()?;
        assert!(platter.files.insert(number, File::default()).is_none(), "segment {number} was there already");
        Ok(Box::new(MemorySegment(self.clone(), number)))
    }
    fn open(&self, number: u64) -> io::Result<Box<dyn Segment>> {
        Ok(Box::new(MemorySegment(self.clone(), number)))
    }
    fn remove(&self, number: u64) -> io::Result<()> {
        let mut platter = self.0.lock();
        platter.step()?;
        platter.files.remove(&number);
        Ok(())
    }
    fn quarantine(&self, _: u64, _: u64, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
    fn free(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }
}

impl Segment for MemorySegment {
    fn append(&self, slices: &[IoSlice<'_>]) -> io::Result<()> {
        let mut platter = self.0.0.lock();
        let result = platter.step();
        let file = platter.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        let all: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        // A write that dies leaves a part of itself behind.
        let part = if result.is_ok() { all.len() } else { all.len() / 2 };
        file.octets.extend_from_slice(&all[..part]);
        result
    }
    fn sync(&self) -> io::Result<()> {
        let mut platter = self.0.0.lock();
        platter.step()?;
        let file = platter.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        file.synced = file.octets.len();
        Ok(())
    }
    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut platter = self.0.0.lock();
        platter.step()?;
        let file = platter.files.get_mut(&self.1).ok_or(io::ErrorKind::NotFound)?;
        file.octets.truncate(length as usize);
        file.synced = file.synced.min(file.octets.len());
        Ok(())
    }
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let platter = self.0.0.lock();
        let file = platter.files.get(&self.1).ok_or(io::ErrorKind::NotFound)?;
        let from = offset as usize;
        let part = file.octets.get(from..from + buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(part);
        Ok(())
    }
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.0.lock().files.get(&self.1).map_or(0, |file| file.octets.len() as u64))
    }
}

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
    disk: MemoryDisk,
    keys: Arc<OneKey>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let keys = Arc::new(OneKey(Arc::new(DataKey::generate().unwrap())));
        Self { disk: MemoryDisk::default(), keys, folder: tempfile::tempdir().unwrap() }
    }

    fn open(&self) -> Result<(Arc<LocalStore>, Recovery), StoreError> {
        let settings = Settings { hot_octets: 0, segment_octets: 900, slack_octets: 0, ..Settings::default() };
        let clock = Arc::new(ManualClock::new(now()));
        let index = self.folder.path().join("index");
        LocalStore::open_on(Arc::new(self.disk.clone()), &index, self.keys.clone(), clock, settings)
    }

    fn without_index(&self) {
        let _ = std::fs::remove_dir_all(self.folder.path().join("index"));
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
                let after = Bench {
                    disk: bench.disk.after_power_cut(kept, of),
                    keys: bench.keys.clone(),
                    folder: tempfile::tempdir().unwrap(),
                };
                if index {
                    copy_folder(&bench.folder.path().join("index"), &after.folder.path().join("index"));
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

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
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
