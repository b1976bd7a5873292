//! What the control surface asks of the gateway as a whole.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::Gateway;
use crate::admin::backup::{self, BackupError};
use crate::admin::ports::{
    AdminError, AdminResult, BackupReport, DamagedRecord, GatewayControl, Health, KekReport, StoreCheck,
    StoreCheckReport,
};
use crate::clock::{Clock, SystemClock};
use crate::message::DomainName;
use crate::observe::{Event, emit, metrics};
use crate::schedule::Scheduler;
use crate::schedule::suspension::{Suspension, SuspensionKeeper, scope_words};
use crate::smtp::Credentials;
use crate::store::control::{ChangeSet, Namespace};
use crate::store::{LocalStore, StoreError};
use crate::tenants::{Credential, Registry};
use crate::zones::ZonePrimary;

impl Credentials for Registry {
    fn credential(&self, user: &str) -> Option<Arc<Credential>> {
        self.snapshot().credential(user)
    }
}

/// The one record that all suspensions stand in: they are few.
const SUSPENSIONS: &[u8] = b"all";

impl SuspensionKeeper for Registry {
    fn load(&self) -> Result<Vec<Suspension>, String> {
        let kept = self.kept(Namespace::Suspension).map_err(|error| error.to_string())?;
        let all = kept.iter().find(|(key, _)| key == SUSPENSIONS);
        all.map_or(Ok(Vec::new()), |(_, value)| serde_json::from_slice(value).map_err(|error| error.to_string()))
    }

    fn save(&self, all: &[Suspension], by: &str, words: String) -> Result<(), String> {
        let mut changes = ChangeSet::default();
        changes.put(Namespace::Suspension, SUSPENSIONS, serde_json::to_vec(all).map_err(|error| error.to_string())?);
        self.keep(by, vec![words], changes).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl GatewayControl for Gateway {
    async fn drain(&self, at_most: Duration) -> bool {
        self.stop_doors.send_replace(true);
        let complete = self.scheduler.drain(at_most).await;
        // The answer is written first; the process ends right after.
        self.ending.notify_one();
        complete
    }

    async fn reload(&self) -> Result<Vec<String>, String> {
        self.reload_files().await
    }

    async fn check_domain(&self, domain: &DomainName) -> AdminResult<waxseal_dns::check::Report> {
        self.examine_domain(domain).await
    }

    async fn check_domain_answers(&self, domain: &DomainName) -> AdminResult<waxseal_dns::check::Fixture> {
        self.examine_answers(domain).await
    }

    async fn zone_of(&self, domain: &DomainName) -> AdminResult<ZonePrimary> {
        self.zone_of_domain(domain).await
    }

    fn rotate_kek(&self, reference: &str, by: &str) -> AdminResult<KekReport> {
        self.rotate_kek_to(reference, by)
    }

    async fn health(&self) -> Health {
        let mut reasons = Vec::new();
        if let Some(why) = self.store.closed() {
            reasons.push(format!("the queue is closed until a restart: {why}"));
        }
        if let Err(error) = self.store.room_for(0) {
            reasons.push(error.to_string());
        }
        if *self.stop_doors.borrow() {
            reasons.push("shutting down".to_owned());
        }
        let ok = reasons.is_empty();
        let suspended = |one: &Suspension| format!("deliveries of {} are {}", scope_words(&one.scope), one.words());
        reasons.extend(self.scheduler.suspended_now().iter().map(suspended));
        Health { ok, reasons }
    }
}

#[async_trait]
impl StoreCheck for Gateway {
    fn is_whole(&self) -> bool {
        self.store.is_whole()
    }

    async fn check(&self) -> Result<StoreCheckReport, StoreError> {
        let store = self.store.clone();
        let checked = tokio::task::spawn_blocking(move || store.check()).await;
        let (records, damaged) = checked.map_err(|e| StoreError::Damaged(e.to_string()))??;
        let damaged = damaged.into_iter().map(|record| DamagedRecord {
            place: match record.letter {
                Some(letter) => format!("segment {} octet {} (letter {letter})", record.segment, record.offset),
                None => format!("segment {} octet {}", record.segment, record.offset),
            },
            why: record.problem,
        });
        Ok(StoreCheckReport { records, damaged: damaged.collect() })
    }

    async fn backup(&self, folder: PathBuf) -> AdminResult<BackupReport> {
        let (store, registry) = (self.store.clone(), self.registry.clone());
        let config = self.config.read().clone();
        let begun = std::time::Instant::now();
        let target = folder.clone();
        let (posts, suppressions, history) =
            (self.posts.clone(), self.remembered.suppressions.clone(), self.remembered.history.clone());
        let work = move || {
            let hostname = config.hostname.to_string();
            let beside: [backup::CopyInto<'_>; 3] = [
                ("posts", &|folder| posts.copy_into(folder)),
                ("suppressions", &|folder| suppressions.copy_into(folder)),
                ("history", &|folder| history.copy_into(folder)),
            ];
            backup::create(&store, &registry, &SystemClock, &hostname, &config.data_dir, &target, &beside)
        };
        let made = tokio::task::spawn_blocking(work).await.map_err(|e| AdminError::Store(e.to_string()))?;
        let made = made.map_err(|error| match error {
            BackupError::NotEmpty(_) => AdminError::Conflict(error.to_string()),
            BackupError::Inside(_) | BackupError::Relative(_) => AdminError::Invalid(error.to_string()),
            error => AdminError::Store(error.to_string()),
        })?;
        let detail = format!("{}: {} letters, {} octets", folder.display(), made.stand.letters, made.octets);
        emit(&Event::Gateway { state: "backup-made", detail });
        Ok(BackupReport {
            folder,
            taken: made.stand.taken,
            letters: made.stand.letters,
            files: made.files,
            octets: made.octets,
            kek: made.stand.kek,
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}

/// Sets the gauges of the queue.
pub(super) fn set_gauges(store: &LocalStore, scheduler: &Scheduler) {
    metrics::sites_slowed(scheduler.sites_slowed());
    let (now, waits) = (SystemClock.now(), store.waits());
    for (place, state) in ["queued", "deferred", "held"].into_iter().enumerate() {
        metrics::queue_messages(state, waits.recipients[place]);
        metrics::queue_oldest_age(state, waits.oldest[place].map_or(Duration::ZERO, |oldest| now.since(oldest)));
    }
}
