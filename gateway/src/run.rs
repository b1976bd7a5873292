//! The wiring: opens what is on disk, starts what serves, and ends it in the order that loses nothing.
//!
//! Start: lock on the data folder, key-encryption key, tenants, queue, scheduler, then the doors; a long queue is read
//! behind open doors ([`recovery`]). End: doors shut, sessions end, attempts under way end, the store
//! writes its last checkpoint. A reload changes what can change without a restart and says what cannot.

mod checks;
mod control;
mod delivery;
mod doors;
mod error;
mod examine;
mod kek;
mod keys;
mod posts;
mod recovery;
mod restore;
mod retired;
mod returns;
mod sign;
mod slots;
mod tenancy;
mod tls;
mod web;
mod web_tls;

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::admin::backup::UNFINISHED;
use crate::admin::server as admin;
use crate::cli::{CliError, Exit};
use crate::clock::{Clock, SystemClock};
use crate::config::{self, Config};
use crate::deliver::Courier;
use crate::ids::TenantId;
use crate::observe::{Event, emit};
use crate::pipeline::{Pipeline, Stages};
use crate::posts::Posts;
use crate::schedule::retry::RetryPolicy;
use crate::schedule::{self, Scheduler, SchedulerParts};
use crate::smtp::TlsSlot;
use crate::store::journal::TenantKeys;
use crate::store::{self, LocalStore};
use crate::tenants::Registry;
use crate::tenants::steward::Steward;
use crate::threads::Processors;
use crate::web::accounts::Accounts;
use crate::zones::HickoryZones;

pub use error::RunError;
pub use restore::{read_kek_of, restore_backup};
pub use sign::sign_file;

/// How long attempts under way may take to end on SIGTERM before they are left to the next start.
const PATIENCE: Duration = Duration::from_secs(30);
const LOCK: &str = "lock";

/// A running gateway.
pub struct Gateway {
    config: RwLock<Arc<Config>>,
    config_path: Option<PathBuf>,
    registry: Arc<Registry>,
    store: Arc<LocalStore>,
    scheduler: Arc<Scheduler>,
    stages: Arc<Stages>,
    courier: Arc<Courier>,
    steward: Arc<Steward>,
    posts: Arc<Posts>,
    remembered: returns::Remembered,
    tls: TlsSlot,
    examiner: examine::Examiner,
    accounts: Arc<Accounts>,
    addresses: Vec<(String, SocketAddr)>,
    stop_doors: watch::Sender<bool>,
    stop_rest: watch::Sender<bool>,
    ending: Notify,
    /// Why it ends, if it cannot go on.
    failure: Mutex<Option<RunError>>,
    doors: Mutex<Vec<JoinHandle<()>>>,
    rest: Mutex<Vec<JoinHandle<()>>>,
    _lock: File,
}

struct QueueKeys(Arc<Registry>);

impl TenantKeys for QueueKeys {
    fn data_key(&self, tenant: TenantId) -> Option<Arc<waxseal_keys::sealing::DataKey>> {
        self.0.data_key(tenant)
    }
}

impl Gateway {
    /// Opens and starts everything.
    pub async fn start(config: Config, config_path: Option<PathBuf>) -> Result<Arc<Self>, RunError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let config = Arc::new(config);
        let lock = lock_data_dir(&config.data_dir)?;
        check_finished(&config)?;
        let registry = kek::open_registry(&config, clock.clone())?;
        let accounts = web::open_accounts(&registry, config.web.lifetimes, clock.clone())?;
        let store = open_store(&config, &registry, clock.clone())?;
        let posts = posts::open(&config, &registry, clock.clone())?;
        let tls = tls::slot(&config)?;

        let ledger = delivery::open_ledger(&config, &registry, clock.now())?;
        let courier = delivery::open_courier(&config, ledger.clone(), clock.clone())?;
        let zones = HickoryZones::new(&config.dns).map_err(|e| RunError::Dns(e.to_string()))?;
        let examiner = examine::Examiner::new(Arc::new(zones), clock.clone());
        let steward = keys::open_steward(&config, &registry, &store, clock.clone())?;
        let stages = Arc::new(Stages::new(registry.clone(), config.clone(), clock.clone()));
        let remembered = returns::open(&config, &registry, &store, &stages, &clock)?;
        stages.quotas().keep_in(ledger).map_err(|error| RunError::Store(error.to_string()))?;
        let scheduler = open_scheduler(&config, &store, &courier, &stages, clock.clone())?;
        scheduler.keep_suspensions_in(registry.clone()).map_err(RunError::Store)?;
        let reading = recovery::begin(&store, &scheduler).await?;
        let processors = Processors::all();
        let notices = returns::Notices { stages: stages.clone(), store: store.clone(), scheduler: scheduler.clone() };
        let desks = remembered.desks(&registry, &posts, notices, processors.clone(), &clock);
        let pipeline =
            Arc::new(Pipeline::new(stages.clone(), store.clone(), scheduler.clone(), processors, clock.clone()));

        let (stop_doors, _) = watch::channel(false);
        let (stop_rest, _) = watch::channel(false);
        let smtp = doors::bind(&config, &registry, &pipeline, desks, &tls, &clock).await?;
        let mut addresses = smtp.addresses();
        let mut doors = vec![tokio::spawn(smtp.serve(stop_doors.subscribe(), PATIENCE))];
        let web = web::bind(&config.listeners).await?;
        addresses.extend(web.iter().map(|(listener, _, address)| (listener.name.clone(), *address)));
        let control = admin::bind(&config.data_dir).await.map_err(|e| RunError::Listen(e.to_string()))?;

        let mut rest = background(&store, &scheduler, &posts, &stop_rest);
        rest.push(tokio::spawn(steward.clone().run(stop_rest.subscribe())));
        rest.extend(remembered.keep(&registry, &stop_rest));
        let gateway = Arc::new(Self {
            config: RwLock::new(config),
            config_path,
            registry,
            store,
            scheduler,
            stages,
            courier,
            steward,
            posts,
            remembered,
            tls,
            examiner,
            accounts,
            addresses,
            stop_doors,
            stop_rest,
            ending: Notify::new(),
            failure: Mutex::default(),
            doors: Mutex::default(),
            rest: Mutex::default(),
            _lock: lock,
        });
        doors.extend(gateway.serve_web(web, pipeline, &clock)?);
        rest.push(gateway.serve_control(control, &clock));
        rest.extend(delivery::start_reporter(&gateway, clock.clone(), gateway.stop_rest.subscribe()));
        rest.extend(gateway.watchers());
        if let Some(reading) = reading {
            rest.push(tokio::spawn(gateway.clone().watch_reading(reading)));
        }
        *gateway.doors.lock() = doors;
        *gateway.rest.lock() = rest;
        emit(&Event::Gateway { state: "ready", detail: gateway.describe_addresses() });
        Ok(gateway)
    }

    /// What looks after things by itself until the end.
    fn watchers(self: &Arc<Self>) -> [JoinHandle<()>; 3] {
        let stop = || self.stop_rest.subscribe();
        [
            tokio::spawn(self.clone().sweep_accounts(stop())),
            tokio::spawn(self.clone().watch_domains(stop())),
            tokio::spawn(self.clone().watch_gauges(stop())),
        ]
    }

    /// Listener names and the addresses that they got.
    pub fn addresses(&self) -> &[(String, SocketAddr)] {
        &self.addresses
    }

    /// Tenants, domains, credentials, keys.
    pub fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    /// Who looks after the DKIM keys.
    pub fn steward(&self) -> &Arc<Steward> {
        &self.steward
    }

    /// The queue.
    pub fn store(&self) -> &Arc<LocalStore> {
        &self.store
    }

    /// Posts for help centers.
    pub fn posts(&self) -> &Arc<Posts> {
        &self.posts
    }

    fn describe_addresses(&self) -> String {
        let one = |(name, address): &(String, SocketAddr)| format!("{name} {address}");
        self.addresses.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// Shuts the doors, lets what runs end within `patience`, and closes the store. True if everything ended.
    pub async fn stop(&self, patience: Duration) -> bool {
        emit(&Event::Gateway { state: "stopping", detail: String::new() });
        self.stop_doors.send_replace(true);
        let doors = std::mem::take(&mut *self.doors.lock());
        let mut complete = true;
        for door in doors {
            complete &= tokio::time::timeout(patience, door).await.is_ok();
        }
        complete &= self.scheduler.drain(patience).await;
        self.courier.close_idle().await;
        self.stop_rest.send_replace(true);
        let rest = std::mem::take(&mut *self.rest.lock());
        for task in rest {
            let _ = tokio::time::timeout(Duration::from_secs(5), task).await;
        }
        self.save_quotas();
        let (store, courier) = (self.store.clone(), self.courier.clone());
        let close = move || {
            courier.sweep();
            store.close()
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(close).await {
            emit(&Event::Gateway { state: "store-error", detail: format!("closing: {error}") });
            complete = false;
        }
        // The socket's file goes last: while it answers, a gateway is here.
        let _ = std::fs::remove_file(self.config.read().data_dir.join(admin::SOCKET));
        emit(&Event::Gateway { state: "stopped", detail: format!("{} letters queued", self.store.len()) });
        complete
    }

    /// Reads configuration and certificates again; says what is in force now and what needs a restart.
    pub async fn reload_files(&self) -> Result<Vec<String>, String> {
        let path = self.config_path.as_ref().ok_or("this gateway was started without a configuration file")?;
        let new = config::load(path).map_err(|e| e.to_string())?;
        let settings = schedule_settings(&new).map_err(|e| e.to_string())?;
        let server = tls::server_config(&new).map_err(|e| e.to_string())?;
        let rules = keys::rules(&new).map_err(|e| e.to_string())?;
        let old = self.config.read().clone();
        let mut notes = vec!["configuration read; redaction, queue and delivery policy are in force".to_owned()];
        if let Some(server) = server {
            self.tls.replace(server);
            notes.push("certificate read; new handshakes use it".to_owned());
        }
        let restart = [
            ("hostname", old.hostname != new.hostname),
            ("data_dir", old.data_dir != new.data_dir),
            ("[[listen]]", format!("{:?}", old.listeners) != format!("{:?}", new.listeners)),
            ("[limits]", format!("{:?}", old.limits) != format!("{:?}", new.limits)),
            ("[dns] servers", old.dns.servers != new.dns.servers),
            ("[dns] trust_anchor", old.dns.trust_anchor != new.dns.trust_anchor),
            ("[delivery] dane", old.delivery.dane != new.delivery.dane),
        ];
        notes.extend(
            restart.iter().filter(|(_, changed)| *changed).map(|(key, _)| format!("{key} changed: needs a restart")),
        );
        let new = Arc::new(new);
        self.courier.reconfigure(&new).await.map_err(|e| e.to_string())?;
        self.stages.reconfigure(new.clone());
        self.registry.set_domain_rules(rules);
        self.scheduler.reconfigure(settings);
        self.posts.reconfigure(posts::settings(&new));
        crate::observe::configure(&new.log);
        *self.config.write() = new;
        emit(&Event::ConfigLoaded { path: path.display().to_string(), reload: true });
        Ok(notes)
    }

    fn save_quotas(&self) {
        if let Err(error) = self.stages.quotas().save(SystemClock.now()) {
            emit(&Event::Gateway { state: "ledger", detail: error.to_string() });
        }
    }

    async fn watch_gauges(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            let gateway = self.clone();
            let look = move || {
                control::set_gauges(&gateway.store, &gateway.scheduler);
                gateway.courier.sweep();
                gateway.save_quotas();
                crate::observe::metrics::upkeep();
            };
            let _ = tokio::task::spawn_blocking(look).await;
            let _ = tokio::time::timeout(Duration::from_secs(10), stop.wait_for(|stop| *stop)).await;
        }
    }
}

fn open_scheduler(
    config: &Config,
    store: &Arc<LocalStore>,
    courier: &Arc<Courier>,
    stages: &Arc<Stages>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Scheduler>, RunError> {
    Ok(Scheduler::new(SchedulerParts {
        store: store.clone(),
        delivery: courier.clone(),
        sender: stages.clone(),
        clock,
        settings: schedule_settings(config)?,
        connections: config.delivery.connections,
    }))
}

/// `waxseal serve`: runs until SIGTERM, SIGINT or `waxseal drain`.
pub fn serve(config: Config) -> Result<(), CliError> {
    let failed = |e: &dyn std::fmt::Display| CliError::new(Exit::RunTime, e.to_string());
    let hash_key: [u8; 32] = rand::random();
    crate::observe::start(&config.log, &hash_key).map_err(|e| failed(&e))?;
    crate::observe::metrics::install().map_err(|e| failed(&e))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| failed(&e))?;
    let result = runtime.block_on(serve_until_told(config));
    runtime.shutdown_timeout(Duration::from_secs(5));
    crate::observe::flush(Duration::from_secs(5));
    result.map_err(|e| failed(&e))
}

async fn serve_until_told(config: Config) -> Result<(), RunError> {
    use tokio::signal::unix::{SignalKind, signal};
    let unheard = |e: std::io::Error| RunError::Listen(format!("signals: {e}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut hangup = signal(SignalKind::hangup()).map_err(unheard)?;
    let path = config.source.clone();
    if let Some(path) = &path {
        emit(&Event::ConfigLoaded { path: path.display().to_string(), reload: false });
    }
    let gateway = Gateway::start(config, path).await?;
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = gateway.ending.notified() => break,
            _ = hangup.recv() => match gateway.reload_files().await {
                Ok(notes) => emit(&Event::Gateway { state: "reloaded", detail: notes.join("; ") }),
                Err(problem) => emit(&Event::Gateway { state: "reload-failed", detail: problem }),
            },
        }
    }
    gateway.stop(PATIENCE).await;
    gateway.failure.lock().take().map_or(Ok(()), Err)
}

/// What runs beside the doors until the end.
fn background(
    store: &Arc<LocalStore>,
    scheduler: &Arc<Scheduler>,
    posts: &Arc<Posts>,
    stop: &watch::Sender<bool>,
) -> Vec<JoinHandle<()>> {
    vec![
        tokio::spawn(store.clone().keep(stop.subscribe())),
        tokio::spawn(scheduler.clone().run(stop.subscribe())),
        tokio::spawn(posts.clone().keep(stop.subscribe())),
    ]
}

/// A restore that was cut off left part of a backup's data here.
fn check_finished(config: &Config) -> Result<(), RunError> {
    let mark = config.data_dir.join(UNFINISHED);
    if mark.exists() { Err(RunError::Unfinished(mark)) } else { Ok(()) }
}

fn lock_data_dir(path: &Path) -> Result<File, RunError> {
    use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
    let failed = |what: &str, e: std::io::Error| RunError::DataDir(format!("{what} {}: {e}", path.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|e| failed("making", e))?;
    let lock = path.join(LOCK);
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).mode(0o600).open(lock);
    let file = file.map_err(|e| failed("locking", e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(RunError::Taken(path.to_owned())),
        Err(std::fs::TryLockError::Error(e)) => Err(failed("locking", e)),
    }
}

fn open_store(config: &Config, registry: &Arc<Registry>, clock: Arc<dyn Clock>) -> Result<Arc<LocalStore>, RunError> {
    let settings = store::Settings {
        reserve_free: config.queue.reserve_free,
        hot_octets: (config.limits.memory_for_messages / 4).min(64 << 20),
        ..store::Settings::default()
    };
    let keys = Arc::new(QueueKeys(registry.clone()));
    LocalStore::begin(&config.data_dir.join("queue"), keys, clock, settings).map_err(|e| RunError::Store(e.to_string()))
}

fn schedule_settings(config: &Config) -> Result<schedule::Settings, RunError> {
    let retry = RetryPolicy::new(config.queue.retry.clone()).map_err(|e| RunError::Control(e.to_string()))?;
    Ok(schedule::Settings { retry, warn_after: config.queue.warn_after })
}
