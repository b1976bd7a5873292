//! Crashes by enumeration on a disk of our own, damage on the real one.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::*;

/// What a cut leaves of what was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Luck {
    /// Nothing of it.
    Nothing,
    /// All of it.
    Everything,
    /// Half of each thing, a batch included (worse than sled promises).
    Half,
}

const LUCK: [Luck; 3] = [Luck::Nothing, Luck::Everything, Luck::Half];

#[derive(Debug, Clone, Default)]
struct PretendFile {
    durable: Vec<u8>,
    written: Vec<u8>,
}

impl PretendFile {
    fn cut(&mut self, luck: Luck) {
        self.durable = match luck {
            Luck::Nothing => std::mem::take(&mut self.durable),
            Luck::Everything => self.written.clone(),
            Luck::Half => {
                self.written[..usize::midpoint(self.durable.len().min(self.written.len()), self.written.len())].to_vec()
            }
        };
        self.written = self.durable.clone();
    }
}

/// What a rename replaced: a file, or nothing.
#[derive(Clone)]
struct Replaced(Option<PretendFile>);

#[derive(Default)]
struct World {
    database: BTreeMap<Vec<u8>, Vec<u8>>,
    pending: Vec<Vec<Write>>,
    snapshot: Option<PretendFile>,
    /// What the name stood for before a rename that was not synced.
    before_rename: Option<Replaced>,
    new_snapshot: PretendFile,
    references: Option<PretendFile>,
    references_before_rename: Option<Replaced>,
    new_references: PretendFile,
    steps: usize,
    /// From this step on every step fails; the failing one happens all the same if the flag says so.
    fail_at: Option<(usize, bool)>,
    damaged: bool,
}

impl World {
    /// Counts a step; `Ok(true)`: do it; `Ok(false)`: do it and then fail.
    fn step(&mut self) -> Result<bool, DiskError> {
        self.steps += 1;
        match self.fail_at {
            Some((at, happens)) if self.steps == at && happens => Ok(false),
            Some((at, _)) if self.steps >= at => Err(dead()),
            _ => Ok(true),
        }
    }

    fn replay(&mut self, writes: &[Write]) {
        for (key, value) in writes {
            match value {
                Some(value) => self.database.insert(key.clone(), value.clone()),
                None => self.database.remove(key),
            };
        }
    }

    fn cut(&mut self, luck: Luck) {
        for batch in std::mem::take(&mut self.pending) {
            match luck {
                Luck::Nothing => {}
                Luck::Everything => self.replay(&batch),
                Luck::Half => self.replay(&batch[..batch.len() / 2]),
            }
        }
        if let Some(Replaced(before)) = self.before_rename.take()
            && luck == Luck::Nothing
        {
            self.snapshot = before;
        }
        if let Some(Replaced(before)) = self.references_before_rename.take()
            && luck == Luck::Nothing
        {
            self.references = before;
        }
        for file in self.snapshot.iter_mut().chain(&mut self.references) {
            file.cut(luck);
        }
        self.new_snapshot.cut(luck);
        self.new_references.cut(luck);
        self.fail_at = None;
        self.steps = 0;
    }
}

fn dead() -> DiskError {
    DiskError::Refused("cut off".to_owned())
}

#[derive(Clone, Default)]
pub(crate) struct PretendDisk(Arc<Mutex<World>>);

impl PretendDisk {
    fn step(&self, act: impl FnOnce(&mut World)) -> Result<(), DiskError> {
        let mut world = self.0.lock();
        let goes_on = world.step()?;
        act(&mut world);
        if goes_on { Ok(()) } else { Err(dead()) }
    }
}

impl ControlDisk for PretendDisk {
    fn open_database(&mut self) -> Result<(), DiskError> {
        if self.0.lock().damaged { Err(DiskError::Damaged("pretended".to_owned())) } else { Ok(()) }
    }
    fn set_database_aside(&mut self) -> Result<String, DiskError> {
        self.step(|world| {
            world.damaged = false;
            world.database.clear();
            world.pending.clear();
        })?;
        Ok("aside".to_owned())
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        let world = self.0.lock();
        let pending = world.pending.iter().rev().flat_map(|batch| batch.iter().rev()).find(|(k, _)| k == key);
        Ok(pending.map_or_else(|| world.database.get(key).cloned(), |(_, value)| value.clone()))
    }
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Record>, DiskError> {
        let world = self.0.lock();
        let mut all = World { database: world.database.clone(), ..World::default() };
        world.pending.iter().for_each(|batch| all.replay(batch));
        let wanted = |key: &[u8]| key.starts_with(prefix) && after.is_none_or(|after| key > after);
        Ok(all.database.into_iter().filter(|(key, _)| wanted(key)).take(limit).collect())
    }
    fn apply(&self, writes: &[Write]) -> Result<(), DiskError> {
        self.step(|world| world.pending.push(writes.to_vec()))
    }
    fn sync_database(&self) -> Result<(), DiskError> {
        self.step(|world| std::mem::take(&mut world.pending).iter().for_each(|batch| world.replay(batch)))
    }
    fn read_snapshot(&self) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.0.lock().snapshot.as_ref().map(|file| file.written.clone()))
    }
    fn append_snapshot(&self, octets: &[u8]) -> Result<(), DiskError> {
        self.step(|world| world.snapshot.as_mut().expect("a snapshot").written.extend_from_slice(octets))
    }
    fn sync_snapshot(&self) -> Result<(), DiskError> {
        self.step(|world| {
            let file = world.snapshot.as_mut().expect("a snapshot");
            file.durable = file.written.clone();
        })
    }
    fn write_new_snapshot(&self, octets: &[u8]) -> Result<(), DiskError> {
        self.step(|world| world.new_snapshot = PretendFile { durable: Vec::new(), written: octets.to_vec() })
    }
    fn sync_new_snapshot(&self) -> Result<(), DiskError> {
        self.step(|world| world.new_snapshot.durable = world.new_snapshot.written.clone())
    }
    fn rename_new_snapshot(&self) -> Result<(), DiskError> {
        self.step(|world| {
            let new = Some(std::mem::take(&mut world.new_snapshot));
            let old = std::mem::replace(&mut world.snapshot, new);
            world.before_rename = Some(Replaced(old));
        })
    }
    fn sync_directory(&self) -> Result<(), DiskError> {
        self.step(|world| {
            world.before_rename = None;
            world.references_before_rename = None;
        })
    }
    fn read_references(&self) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.0.lock().references.as_ref().map(|file| file.written.clone()))
    }
    fn write_references(&self, octets: &[u8]) -> Result<(), DiskError> {
        self.step(|world| world.new_references = PretendFile { durable: Vec::new(), written: octets.to_vec() })
    }
    fn sync_references(&self) -> Result<(), DiskError> {
        self.step(|world| world.new_references.durable = world.new_references.written.clone())
    }
    fn rename_references(&self) -> Result<(), DiskError> {
        self.step(|world| {
            let new = Some(std::mem::take(&mut world.new_references));
            let old = std::mem::replace(&mut world.references, new);
            world.references_before_rename = Some(Replaced(old));
        })
    }
    fn remove_references(&self) -> Result<(), DiskError> {
        self.step(|world| {
            let old = world.references.take();
            world.references_before_rename = Some(Replaced(old));
        })
    }
}

fn kek(octet: u8) -> KeyEncryptionKey {
    KeyEncryptionKey::parse(&format!("{octet:02x}").repeat(32)).unwrap()
}

fn open(disk: &PretendDisk, key: &KeyEncryptionKey) -> Result<(ControlStore, OpenReport), ControlError> {
    ControlStore::open_on(Box::new(disk.clone()), key)
}

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

fn contents(store: &ControlStore) -> Contents {
    store.all(Namespace::Domain).unwrap().into_iter().collect()
}

fn changes(of: &[(&str, Option<&str>)]) -> ChangeSet {
    let mut changes = ChangeSet::default();
    for (key, value) in of {
        match value {
            Some(value) => changes.put(Namespace::Domain, key.as_bytes(), value.as_bytes().to_vec()),
            None => changes.remove(Namespace::Domain, key.as_bytes()),
        }
    }
    changes
}

fn text(of: &[(&str, &str)]) -> Contents {
    of.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// Runs `act` with a cut at every step and every kind of luck; `check` gets the disk and whether `act` answered.
pub(crate) fn at_every_cut(
    prepare: impl Fn(&PretendDisk),
    act: impl Fn(&PretendDisk) -> bool,
    check: impl Fn(&PretendDisk, bool, &str),
) {
    for happens in [false, true] {
        for luck in LUCK {
            for at in 1.. {
                let disk = PretendDisk::default();
                prepare(&disk);
                disk.0.lock().steps = 0;
                disk.0.lock().fail_at = Some((at, happens));
                let answered = act(&disk);
                let reached = disk.0.lock().steps >= at;
                disk.0.lock().cut(luck);
                check(&disk, answered, &format!("cut at step {at}, {luck:?}, step happens: {happens}"));
                if !reached {
                    assert!(answered && at > 1, "without a cut the change is made");
                    break;
                }
            }
        }
    }
}

#[test]
fn a_cut_at_any_step_of_a_change_leaves_the_old_or_the_new_state() {
    let before = text(&[("a", "1"), ("b", "2"), ("c", "3")]);
    let after = text(&[("a", "9"), ("c", "3"), ("d", "4")]);
    at_every_cut(
        |disk| {
            let (mut store, _) = open(disk, &kek(1)).unwrap();
            store.change(&changes(&[("a", Some("1")), ("b", Some("2")), ("c", Some("3"))])).unwrap();
        },
        |disk| {
            let (mut store, _) = open(disk, &kek(1)).unwrap();
            let result = store.change(&changes(&[("a", Some("9")), ("b", None), ("d", Some("4"))]));
            if result.is_err() {
                let refused = store.change(&changes(&[("e", Some("5"))]));
                assert!(matches!(refused, Err(ControlError::Closed(_))), "{refused:?}");
            }
            result.is_ok()
        },
        |disk, answered, case| {
            let (mut store, _) = open(disk, &kek(1)).unwrap_or_else(|error| panic!("{case}: {error}"));
            let found = contents(&store);
            assert!(found == after || !answered && found == before, "{case}: {found:?}");
            store.change(&changes(&[("e", Some("5"))])).unwrap();
            drop(store);
            let (store, report) = open(disk, &kek(1)).unwrap();
            assert_eq!(report, OpenReport::default(), "{case}");
            assert_eq!(contents(&store).get(&b"e"[..]), Some(&b"5".to_vec()), "{case}");
        },
    );
}

#[test]
fn a_cut_during_the_first_start_leaves_a_store_that_starts() {
    at_every_cut(
        |_| {},
        |disk| open(disk, &kek(1)).is_ok(),
        |disk, _, case| {
            let (mut store, _) = open(disk, &kek(1)).unwrap_or_else(|error| panic!("{case}: {error}"));
            store.change(&changes(&[("a", Some("1"))])).unwrap();
        },
    );
}

#[test]
fn a_cut_during_a_rebuild_loses_nothing() {
    let expected = text(&[("a", "1"), ("b", "2")]);
    at_every_cut(
        |disk| {
            let (mut store, _) = open(disk, &kek(1)).unwrap();
            store.change(&changes(&[("a", Some("1")), ("b", Some("2"))])).unwrap();
            disk.0.lock().damaged = true;
        },
        |disk| open(disk, &kek(1)).is_ok_and(|(_, report)| report.rebuilt.is_some()),
        |disk, _, case| {
            let (store, _) = open(disk, &kek(1)).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert_eq!(contents(&store), expected, "{case}");
        },
    );
}

/// What a rotation's note refers to in these tests.
fn second_kek(reference: &str) -> Option<KeyEncryptionKey> {
    (reference == "file:second").then(|| kek(2))
}

fn find(disk: &PretendDisk, configured: Option<&KeyEncryptionKey>) -> Result<Found, ControlError> {
    open_found(|| Ok(Box::new(disk.clone())), configured, &second_kek)
}

fn with_a_data_key(disk: &PretendDisk) {
    let (mut store, _) = open(disk, &kek(1)).unwrap();
    let mut changes = changes(&[("a", Some("1"))]);
    let data_key = DataKey::generate().unwrap();
    changes.put(Namespace::DataKey, b"tenant", store.wrap(b"tenant", &data_key).unwrap());
    store.change(&changes).unwrap();
}

#[track_caller]
fn assert_all_opens(store: &ControlStore, case: &str) {
    assert_eq!(contents(store), text(&[("a", "1")]), "{case}");
    let wrapped = store.get(Namespace::DataKey, b"tenant").unwrap().unwrap();
    store.unwrap(b"tenant", &wrapped).unwrap_or_else(|error| panic!("{case}: {error}"));
}

#[test]
fn a_cut_at_any_step_of_a_rotation_leaves_a_store_that_starts_with_the_configuration_as_it_was() {
    at_every_cut(
        with_a_data_key,
        |disk| open(disk, &kek(1)).unwrap().0.rewrap(&kek(2), "file:second").is_ok(),
        |disk, answered, case| {
            let found = find(disk, Some(&kek(1))).unwrap_or_else(|error| panic!("{case}: {error}"));
            assert!(!answered || found.by_reference.is_some(), "{case}: answered is done");
            assert_all_opens(&found.store, case);
            // A second rotation from here, to the same key, ends what the first began.
            let mut store = found.store;
            store.rewrap(&kek(2), "file:second").unwrap();
            drop(store);
            let found = find(disk, Some(&kek(1))).unwrap();
            assert_eq!(found.by_reference.as_deref(), Some("file:second"), "{case}");
            drop(found);
            // The configuration catches up: the note is forgotten, and the old key opens nothing.
            let found = find(disk, Some(&kek(2))).unwrap();
            assert_all_opens(&found.store, case);
            assert_eq!((found.by_reference, disk.0.lock().references.is_none()), (None, true), "{case}");
            assert!(matches!(find(disk, Some(&kek(1))), Err(ControlError::WrongKek { .. })), "{case}");
        },
    );
}

#[test]
fn a_cut_in_a_second_rotation_before_the_configuration_caught_up_starts_too() {
    let third = |reference: &str| if reference == "file:third" { Some(kek(3)) } else { second_kek(reference) };
    at_every_cut(
        |disk| {
            with_a_data_key(disk);
            open(disk, &kek(1)).unwrap().0.rewrap(&kek(2), "file:second").unwrap();
        },
        |disk| open(disk, &kek(2)).unwrap().0.rewrap(&kek(3), "file:third").is_ok(),
        |disk, _, case| {
            for configured in [Some(&kek(1)), None] {
                let found = open_found(|| Ok(Box::new(disk.clone())), configured, &third);
                let found = found.unwrap_or_else(|error| panic!("{case}: {error}"));
                assert_all_opens(&found.store, case);
            }
        },
    );
}

#[test]
fn without_a_key_that_fits_nothing_is_opened_and_nothing_made() {
    let disk = PretendDisk::default();
    assert!(matches!(find(&disk, None), Err(ControlError::NoKek)), "no key makes no store");
    with_a_data_key(&disk);
    assert!(matches!(find(&disk, None), Err(ControlError::NoKek)));
    assert!(matches!(find(&disk, Some(&kek(9))), Err(ControlError::WrongKek { .. })));
    assert_all_opens(&find(&disk, Some(&kek(1))).unwrap().store, "untouched");
}

type Harm = Box<dyn Fn(&mut BTreeMap<Vec<u8>, Vec<u8>>)>;

#[test]
fn a_record_that_is_lost_old_or_moved_is_noticed_and_mended() {
    let disk = PretendDisk::default();
    let (mut store, _) = open(&disk, &kek(1)).unwrap();
    store.change(&changes(&[("a", Some("1")), ("b", Some("2"))])).unwrap();
    let earlier = disk.0.lock().database.clone();
    store.change(&changes(&[("a", Some("3"))])).unwrap();
    drop(store);
    let expected = text(&[("a", "3"), ("b", "2")]);
    let a = raw_key(Namespace::Domain, b"a");
    let b = raw_key(Namespace::Domain, b"b");
    let harms: Vec<(&str, Harm)> = vec![
        (
            "a record is lost",
            Box::new({
                let b = b.clone();
                move |db| {
                    db.remove(&b);
                }
            }),
        ),
        (
            "a record is old",
            Box::new({
                let (a, old) = (a.clone(), earlier[&a].clone());
                move |db| {
                    db.insert(a.clone(), old.clone());
                }
            }),
        ),
        (
            "a record is moved",
            Box::new({
                let (a, b) = (a.clone(), b.clone());
                move |db| {
                    let b = db[&b].clone();
                    db.insert(a.clone(), b);
                }
            }),
        ),
        ("all fell back", Box::new(move |db| *db = earlier.clone())),
        ("a record is changed", Box::new(move |db| db.get_mut(&b).unwrap()[50] ^= 1)),
        (
            "the state is lost",
            Box::new(|db| {
                db.remove(STATE_RECORD);
            }),
        ),
        (
            "the key is lost",
            Box::new(|db| {
                db.remove(KEY_RECORD);
            }),
        ),
        ("all is lost", Box::new(BTreeMap::clear)),
    ];
    for (case, harm) in harms {
        harm(&mut disk.0.lock().database);
        let (store, report) = open(&disk, &kek(1)).unwrap();
        assert!(report.rebuilt.is_some(), "{case}");
        assert_eq!(contents(&store), expected, "{case}");
        drop(store);
        assert_eq!(open(&disk, &kek(1)).unwrap().1, OpenReport::default(), "{case}: mended");
    }
}

#[test]
fn with_both_copies_damaged_nothing_is_touched() {
    let disk = PretendDisk::default();
    open(&disk, &kek(1)).unwrap().0.change(&changes(&[("a", Some("1"))])).unwrap();
    disk.0.lock().damaged = true;
    disk.0.lock().snapshot.as_mut().unwrap().written.truncate(60);
    let steps = disk.0.lock().steps;
    assert!(matches!(open(&disk, &kek(1)), Err(ControlError::Lost { .. })));
    assert_eq!(disk.0.lock().steps, steps, "no step that writes");
}

#[test]
fn the_wrong_kek_is_named_and_nothing_is_touched() {
    let disk = PretendDisk::default();
    open(&disk, &kek(1)).unwrap().0.change(&changes(&[("a", Some("1"))])).unwrap();
    for damaged in [false, true] {
        disk.0.lock().damaged = damaged;
        let steps = disk.0.lock().steps;
        let error = open(&disk, &kek(2)).err().unwrap();
        assert_eq!(error, ControlError::WrongKek { found: kek(1).id(), given: kek(2).id() });
        let told = error.to_string();
        assert!(told.contains(&kek(1).id().to_string()) && told.contains(&kek(2).id().to_string()), "{told}");
        assert_eq!(disk.0.lock().steps, steps, "no step that writes");
    }
    let (store, _) = open(&disk, &kek(1)).unwrap();
    assert_eq!(contents(&store), text(&[("a", "1")]));
}

#[test]
fn the_snapshot_is_written_anew_before_its_changes_outgrow_it() {
    let disk = PretendDisk::default();
    let (mut store, _) = open(&disk, &kek(1)).unwrap();
    let big = "x".repeat(30 << 10);
    for _ in 0..40 {
        store.change(&changes(&[("a", Some(&big))])).unwrap();
    }
    let length = disk.0.lock().snapshot.as_ref().unwrap().durable.len() as u64;
    assert!(length < 2 * MIN_TAIL, "{length}");
    assert!(matches!(
        store.change(&changes(&[("a", Some(&"x".repeat(MAX_VALUE + 1)))])),
        Err(ControlError::TooLarge(_))
    ));
    store.change(&changes(&[("b", Some("still open"))])).unwrap();
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn real_store(folder: &Path) -> Contents {
    let (mut store, report) = ControlStore::open(folder, &kek(1)).unwrap();
    assert!(report.first_start);
    for number in 0..50 {
        let (key, value) = (format!("domain-{number}"), "v".repeat(number * 40));
        store.change(&changes(&[(&key, Some(&value)), ("last", Some(&key))])).unwrap();
    }
    contents(&store)
}

#[test]
fn the_real_store_keeps_what_it_answered_and_refuses_a_second_owner() {
    let folder = tempfile::tempdir().unwrap();
    let expected = real_store(folder.path());
    let (store, report) = ControlStore::open(folder.path(), &kek(1)).unwrap();
    assert_eq!(report, OpenReport::default());
    assert_eq!(contents(&store), expected);
    let second = ControlStore::open(folder.path(), &kek(1)).err().unwrap();
    assert!(second.to_string().contains("in use"), "{second}");
    // Cut off without a shutdown: what was answered is in the files.
    let copy = tempfile::tempdir().unwrap();
    copy_folder(folder.path(), copy.path());
    let (copied, _) = ControlStore::open(copy.path(), &kek(1)).unwrap();
    assert_eq!(contents(&copied), expected);
}

/// The real disk; after each step that writes, the folder is copied as a killed process would leave it.
struct CopiedDisk {
    disk: LocalDisk,
    from: std::path::PathBuf,
    copies: Arc<Mutex<Vec<tempfile::TempDir>>>,
}

impl CopiedDisk {
    fn copied(&self, result: Result<(), DiskError>) -> Result<(), DiskError> {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&self.from, copy.path());
        self.copies.lock().push(copy);
        result
    }
}

impl ControlDisk for CopiedDisk {
    fn open_database(&mut self) -> Result<(), DiskError> {
        self.disk.open_database()
    }
    fn set_database_aside(&mut self) -> Result<String, DiskError> {
        self.disk.set_database_aside()
    }
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        self.disk.get(key)
    }
    fn scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Result<Vec<Record>, DiskError> {
        self.disk.scan(prefix, after, limit)
    }
    fn apply(&self, writes: &[Write]) -> Result<(), DiskError> {
        self.copied(self.disk.apply(writes))
    }
    fn sync_database(&self) -> Result<(), DiskError> {
        self.copied(self.disk.sync_database())
    }
    fn read_snapshot(&self) -> Result<Option<Vec<u8>>, DiskError> {
        self.disk.read_snapshot()
    }
    fn append_snapshot(&self, octets: &[u8]) -> Result<(), DiskError> {
        self.copied(self.disk.append_snapshot(octets))
    }
    fn sync_snapshot(&self) -> Result<(), DiskError> {
        self.copied(self.disk.sync_snapshot())
    }
    fn write_new_snapshot(&self, octets: &[u8]) -> Result<(), DiskError> {
        self.copied(self.disk.write_new_snapshot(octets))
    }
    fn sync_new_snapshot(&self) -> Result<(), DiskError> {
        self.copied(self.disk.sync_new_snapshot())
    }
    fn rename_new_snapshot(&self) -> Result<(), DiskError> {
        self.copied(self.disk.rename_new_snapshot())
    }
    fn sync_directory(&self) -> Result<(), DiskError> {
        self.copied(self.disk.sync_directory())
    }
    fn read_references(&self) -> Result<Option<Vec<u8>>, DiskError> {
        self.disk.read_references()
    }
    fn write_references(&self, octets: &[u8]) -> Result<(), DiskError> {
        self.copied(self.disk.write_references(octets))
    }
    fn sync_references(&self) -> Result<(), DiskError> {
        self.copied(self.disk.sync_references())
    }
    fn rename_references(&self) -> Result<(), DiskError> {
        self.copied(self.disk.rename_references())
    }
    fn remove_references(&self) -> Result<(), DiskError> {
        self.copied(self.disk.remove_references())
    }
}

#[test]
fn a_process_killed_after_any_step_on_the_real_disk_leaves_the_old_or_the_new_state() {
    let folder = tempfile::tempdir().unwrap();
    let before = real_store(folder.path());
    let copies = Arc::new(Mutex::new(Vec::new()));
    let disk = LocalDisk::new(folder.path()).unwrap();
    let disk = CopiedDisk { disk, from: folder.path().to_owned(), copies: copies.clone() };
    let (mut store, _) = ControlStore::open_on(Box::new(disk), &kek(1)).unwrap();
    store.change(&changes(&[("last", Some("new")), ("domain-3", None)])).unwrap();
    let after = contents(&store);
    let of_change = copies.lock().len();
    store.rewrap(&kek(2), "file:second").unwrap();
    for (number, copy) in copies.lock().iter().enumerate() {
        let disk = || LocalDisk::new(copy.path()).map(|disk| Box::new(disk) as Box<dyn ControlDisk>);
        let found = open_found(disk, Some(&kek(1)), &second_kek);
        let Found { store, report, by_reference } = found.unwrap_or_else(|error| panic!("step {number}: {error}"));
        assert!(number >= of_change || by_reference.is_none(), "step {number}");
        assert_eq!(report.rebuilt, None, "step {number}");
        let found = contents(&store);
        assert!(found == after || number + 1 < of_change && found == before, "step {number}");
    }
    assert!(of_change == 4 && copies.lock().len() == 14, "every step was seen");
}

#[test]
fn a_damaged_sled_folder_is_rebuilt_from_the_snapshot() {
    let original = tempfile::tempdir().unwrap();
    let expected = real_store(original.path());
    let mut rebuilt = 0;
    let mut cases = 0;
    for file in ["db", "conf"] {
        let whole = fs::read(original.path().join("control/database").join(file)).unwrap();
        let mut damages: Vec<Option<Vec<u8>>> = vec![None, Some(Vec::new()), Some(vec![0xff; whole.len()])];
        damages.push(Some(whole[..whole.len() / 2].to_vec()));
        damages.push(Some(whole[..whole.len() / 7].to_vec()));
        for at in (0..whole.len()).step_by((whole.len() / 8).max(1)) {
            let mut garbled = whole.clone();
            garbled.iter_mut().skip(at).take(100).for_each(|octet| *octet ^= 0x5a);
            damages.push(Some(garbled));
        }
        for damage in damages {
            let copy = tempfile::tempdir().unwrap();
            copy_folder(original.path(), copy.path());
            let path = copy.path().join("control/database").join(file);
            match &damage {
                None => fs::remove_file(&path).unwrap(),
                Some(octets) => fs::write(&path, octets).unwrap(),
            }
            let (mut store, report) = ControlStore::open(copy.path(), &kek(1)).unwrap();
            assert_eq!(contents(&store), expected);
            cases += 1;
            if let Some(report) = report.rebuilt {
                rebuilt += 1;
                assert!(copy.path().join("control").join(report.set_aside).is_dir(), "nothing is deleted");
            }
            store.change(&changes(&[("more", Some("1"))])).unwrap();
            drop(store);
            let (store, report) = ControlStore::open(copy.path(), &kek(1)).unwrap();
            assert_eq!(report, OpenReport::default());
            assert!(contents(&store).contains_key(&b"more"[..]));
        }
    }
    assert!(rebuilt * 2 > cases, "{rebuilt} of {cases} damages needed a rebuild");
}

#[test]
fn a_damaged_snapshot_is_written_anew_from_the_database() {
    let folder = tempfile::tempdir().unwrap();
    let expected = real_store(folder.path());
    let path = folder.path().join("control/control.snapshot");
    let whole = fs::read(&path).unwrap();
    for damage in [&[][..], &whole[..whole.len() / 2], b"garbage"] {
        fs::write(&path, damage).unwrap();
        let (store, report) = ControlStore::open(folder.path(), &kek(1)).unwrap();
        assert!(report.snapshot_renewed.is_some() && report.rebuilt.is_none());
        assert_eq!(contents(&store), expected);
    }
    fs::remove_dir_all(folder.path().join("control/database")).unwrap();
    let (store, report) = ControlStore::open(folder.path(), &kek(1)).unwrap();
    assert_eq!(report.rebuilt.map(|rebuilt| rebuilt.torn_octets), Some(0));
    assert_eq!(contents(&store), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_changes_with_cuts_agree_with_a_plain_map(
        script in proptest::collection::vec(
            (proptest::collection::vec((0u8..6, proptest::option::of(any::<u16>())), 1..4), 0usize..9, 0usize..3, any::<bool>()),
            1..25,
        )
    ) {
        let disk = PretendDisk::default();
        let mut model: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        let (mut store, _) = open(&disk, &kek(1)).unwrap();
        for (writes, cut_at, luck, happens) in script {
            let mut set = ChangeSet::default();
            let mut next = model.clone();
            for (key, value) in writes {
                if let Some(value) = value {
                    set.put(Namespace::Domain, &[key], value.to_be_bytes().to_vec());
                    next.insert(vec![key], value.to_be_bytes().to_vec());
                } else {
                    set.remove(Namespace::Domain, &[key]);
                    next.remove(&[key][..]);
                }
            }
            {
                let mut world = disk.0.lock();
                world.steps = 0;
                // A change without a new snapshot has four steps: later numbers are changes without a cut.
                world.fail_at = Some((cut_at + 1, happens));
            }
            let answered = store.change(&set).is_ok();
            disk.0.lock().cut(LUCK[luck]);
            store = open(&disk, &kek(1)).unwrap().0;
            let found = contents(&store);
            prop_assert!(found == next || !answered && found == model);
            model = found;
        }
    }
}
