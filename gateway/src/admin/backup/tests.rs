//! A backup gives back what was there; whatever is changed in one is seen before anything is restored.

use std::path::PathBuf;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::clock::{Clock, ManualClock, SystemClock, Timestamp};
use crate::ids::TenantId;
use crate::store::journal::TenantKeys;
use crate::store::{LocalStore, Settings, Store, sample_letter};
use crate::tenants::Registry;
use waxseal_keys::sealing::KeyEncryptionKey;

struct Keys(Arc<Registry>);

impl TenantKeys for Keys {
    fn data_key(&self, tenant: TenantId) -> Option<Arc<waxseal_keys::sealing::DataKey>> {
        self.0.data_key(tenant)
    }
}

struct World {
    folder: TempDir,
    kek: KeyEncryptionKey,
    registry: Arc<Registry>,
    store: Arc<LocalStore>,
    tenant: TenantId,
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_795_000_000_000)))
}

fn open(data_dir: &Path, kek: &KeyEncryptionKey) -> (Arc<Registry>, Arc<LocalStore>) {
    let registry = Arc::new(Registry::open(data_dir, kek, clock()).unwrap());
    let settings = Settings { segment_octets: 2000, ..Settings::default() };
    let keys = Arc::new(Keys(registry.clone()));
    let (store, recovery) = LocalStore::open(&data_dir.join("queue"), keys, clock(), settings).unwrap();
    assert!(recovery.damaged.is_empty() && !recovery.rebuilt);
    (registry, store)
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kek = KeyEncryptionKey::generate().unwrap();
        let (registry, store) = open(&folder.path().join("data"), &kek);
        registry.add_tenant("acme", "test").unwrap();
        let tenant = registry.snapshot().tenant_by_name("acme").unwrap().id;
        Self { folder, kek, registry, store, tenant }
    }

    async fn accept(&self, count: u64) {
        for number in 0..count {
            self.store.accept(vec![sample_letter(self.tenant, number)]).await.unwrap();
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn backup(&self) -> PathBuf {
        let target = self.folder.path().join("backup");
        create(&self.store, &self.registry, &SystemClock, "mx.example", &self.data_dir(), &target, &[]).unwrap();
        target
    }

    fn verify(&self, folder: &Path) -> Vec<Problem> {
        verify(folder, Some(&self.kek), clock()).unwrap().problems
    }
}

#[tokio::test]
async fn a_restored_store_has_every_letter_of_the_backup_and_none_of_later() {
    let world = World::new();
    world.accept(20).await;
    let backup = world.backup();
    let whole = verify(&backup, Some(&world.kek), clock()).unwrap();
    assert_eq!((whole.stand.letters, whole.readable_letters, whole.problems), (20, Some(20), vec![]));
    assert!(whole.records >= 20 && verify(&backup, None, clock()).unwrap().problems.is_empty());
    let before = world.store.scan(None, 100);
    world.accept(5).await;

    let elsewhere = world.folder.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let done = restore(&backup, &elsewhere, Timestamp::from_millis(0)).unwrap();
    assert_eq!((done.stand.letters, done.set_aside), (20, None));
    assert!(!elsewhere.join(UNFINISHED).exists());
    let (registry, store) = open(&elsewhere, &world.kek);
    assert_eq!(registry.snapshot().tenant_name(world.tenant), Some("acme"));
    assert_eq!(store.scan(None, 100), before);
    for record in &before {
        assert_eq!(store.message(record.id).await.unwrap(), world.store.message(record.id).await.unwrap());
    }
}

#[tokio::test]
async fn a_restore_over_data_puts_it_aside() {
    let world = World::new();
    world.accept(3).await;
    let backup = world.backup();
    let (data_dir, kek) = (world.data_dir(), world.kek.clone());
    world.accept(2).await;
    world.store.close().unwrap();
    let World { registry, store, folder: _folder, .. } = world;
    drop((registry, store));
    let done = restore(&backup, &data_dir, Timestamp::from_millis(7000)).unwrap();
    let aside = done.set_aside.unwrap();
    assert_eq!(aside, data_dir.join("replaced-7"));
    assert_eq!(open(&data_dir, &kek).1.len(), 3);
    std::fs::create_dir(aside.join("again")).unwrap();
    assert_eq!(open(&aside, &kek).1.len(), 5, "what was there is whole");
}

#[tokio::test]
async fn every_changed_missing_or_foreign_file_is_named_and_nothing_is_restored() {
    let world = World::new();
    world.accept(8).await;
    let backup = world.backup();
    let names: Vec<String> = files(&backup).unwrap().into_iter().filter(|name| name != "manifest.json").collect();
    assert!(names.len() >= 4, "{names:?}");
    let elsewhere = world.folder.path().join("elsewhere");
    for name in &names {
        let path = backup.join(name);
        let good = std::fs::read(&path).unwrap();
        let mut bad = good.clone();
        match bad.first_mut() {
            Some(octet) => *octet ^= 1,
            None => bad.push(0),
        }
        for broken in [Some(bad), None] {
            match broken {
                Some(octets) => std::fs::write(&path, octets).unwrap(),
                None => std::fs::remove_file(&path).unwrap(),
            }
            let problems = world.verify(&backup);
            assert!(problems.iter().any(|problem| problem.file == *name), "{name}: {problems:?}");
            assert!(matches!(restore(&backup, &elsewhere, Timestamp::from_millis(0)), Err(BackupError::Damaged(_))));
            std::fs::write(&path, &good).unwrap();
        }
    }
    std::fs::write(backup.join("journal/000000000099.journal"), b"").unwrap();
    assert!(matches!(restore(&backup, &elsewhere, Timestamp::from_millis(0)), Err(BackupError::Damaged(_))));
    assert!(!elsewhere.exists());
}

#[tokio::test]
async fn a_manifest_that_somebody_wrote_anew_is_told_by_its_seal() {
    let world = World::new();
    world.accept(2).await;
    let backup = world.backup();
    let path = backup.join("manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("mx.example", "my.example")).unwrap();
    assert!(world.verify(&backup).iter().any(|problem| problem.file == "manifest.json"));
    std::fs::write(&path, text.replace("\"format\": 2", "\"format\": 3")).unwrap();
    assert!(matches!(verify(&backup, None, clock()), Err(BackupError::Newer { found: 3, known: 2 })));
    std::fs::write(&path, text.replace("control.snapshot", "../control.snapshot")).unwrap();
    assert!(matches!(verify(&backup, None, clock()), Err(BackupError::Damaged(_))));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(verify(&backup, None, clock()), Err(BackupError::NoBackup(_))));
}

#[tokio::test]
async fn a_backup_goes_into_a_new_folder_outside_of_the_data_and_needs_its_own_key() {
    let world = World::new();
    world.accept(1).await;
    let make = |target: &Path| {
        create(&world.store, &world.registry, &SystemClock, "mx.example", &world.data_dir(), target, &[]).map(|_| ())
    };
    let backup = world.backup();
    assert!(matches!(make(&backup), Err(BackupError::NotEmpty(_))));
    assert!(matches!(make(&backup.join("manifest.json")), Err(BackupError::NotEmpty(_))));
    assert!(matches!(make(&world.data_dir().join("backup")), Err(BackupError::Inside(_))));
    assert!(!world.data_dir().join("backup").exists());
    assert!(matches!(make(Path::new("backup")), Err(BackupError::Relative(_))));
    let other = KeyEncryptionKey::generate().unwrap();
    assert!(matches!(verify(&backup, Some(&other), clock()), Err(BackupError::OtherKek { .. })));
}

#[tokio::test]
async fn segments_stay_while_a_copy_is_under_way() {
    let world = World::new();
    world.accept(20).await;
    let pinned = world.store.pin();
    let (position, letters) = pinned.copy_index(&world.folder.path().join("index")).unwrap();
    let segments = pinned.segments(position).unwrap();
    assert!(letters == 20 && segments.len() > 1);
    for record in world.store.scan(None, 100) {
        let state = crate::store::RecipientState::Dropped { by: "test".into(), reason: "over".into() };
        let transitions = vec![crate::store::Transition { recipient: 0, state }];
        world.store.settle(record.id, transitions, vec![], false).await.unwrap();
    }
    world.store.tick().unwrap();
    for (number, length) in &segments {
        let mut octets = vec![0; *length as usize];
        world.store.read_raw(*number, 0, &mut octets).unwrap();
    }
    drop(pinned);
    // The next checkpoint with something to write gives the space back.
    world.accept(1).await;
    world.store.tick().unwrap();
    assert!(world.store.read_raw(segments[0].0, 0, &mut [0]).is_err());
}
