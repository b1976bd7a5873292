//! One run of the gateway: the real pipeline, store, scheduler and courier on the world's disk and network, watched.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use waxseal_keys::sealing::{DataKey, KeyEncryptionKey};

use super::network::Network;
use super::world::{Attempted, World, octets_of};
use crate::clock::{Clock, Timestamp};
use crate::config::{Config, SecretRef};
use crate::deliver::outcome::Outcome;
use crate::deliver::{Courier, Destination, DestinationLimits, Transaction};
use crate::ids::{LetterId, TenantId};
use crate::message::DomainName;
use crate::pipeline::{Pipeline, Stages};
use crate::schedule::retry::RetryPolicy;
use crate::schedule::{self, Delivery, Scheduler, SchedulerParts};
use crate::store::control::FrozenDisk;
use crate::store::journal::TenantKeys;
use crate::store::{
    self, Agenda, Census, LetterRecord, LocalStore, NewLetter, Sought, Store, StoreError, Transition, WriterPlace,
};
use crate::tenants::Registry;
use crate::threads::Processors;

/// Tenants, each with a domain of its own and an Ed25519 key.
pub(super) const TENANTS: [&str; 3] = ["one", "two", "three"];

/// The tenants' registry is not what is simulated (`store::control::tests` does that): one for all seeds.
pub(super) fn registry() -> &'static Arc<Registry> {
    static REGISTRY: OnceLock<Arc<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        let kek = KeyEncryptionKey::generate().unwrap();
        let clock = Arc::new(crate::clock::ManualClock::new(Timestamp::from_millis(1_794_000_000_000)));
        let registry = Registry::open_on(Box::new(FrozenDisk::empty()), &kek, clock).unwrap();
        registry.set_default_algorithms(vec![waxseal_keys::Algorithm::Ed25519]);
        for name in TENANTS {
            registry.add_tenant(name, "test").unwrap();
            let domain: DomainName = format!("{name}.example").parse().unwrap();
            registry.add_domain(&domain, name, "test").unwrap();
            let directory = registry.snapshot();
            let selectors: Vec<String> = directory.dkim_keys(&domain).map(|key| key.selector.clone()).collect();
            for selector in selectors {
                registry.activate_dkim_key(&domain, &selector, true, "test").unwrap();
            }
        }
        Arc::new(registry)
    })
}

struct Keys(Arc<Registry>);

impl TenantKeys for Keys {
    fn data_key(&self, tenant: TenantId) -> Option<Arc<DataKey>> {
        self.0.data_key(tenant)
    }
}

/// The store as the scheduler uses it, with every settlement written into the ledger.
struct Watched(Arc<World>, Arc<LocalStore>);

#[async_trait]
impl Store for Watched {
    async fn accept(&self, letters: Vec<NewLetter>) -> Result<(), StoreError> {
        self.1.accept(letters).await
    }
    async fn settle(
        &self,
        id: LetterId,
        transitions: Vec<Transition>,
        notices: Vec<NewLetter>,
        delay_notified: bool,
    ) -> Result<(), StoreError> {
        let attempt =
            Attempted { id, transitions: transitions.clone(), notices: notices.iter().map(octets_of).collect() };
        self.0.ledger.lock().attempted.push(attempt.clone());
        let result = self.1.settle(id, transitions, notices, delay_notified).await;
        if result.is_ok() {
            let (run, now) = (self.0.run(), self.0.now());
            self.0.ledger.lock().settled(&attempt, run, now);
        }
        result
    }
    async fn message(&self, id: LetterId) -> Result<Bytes, StoreError> {
        self.1.message(id).await
    }
    fn find(&self, id: LetterId) -> Option<LetterRecord> {
        self.1.find(id)
    }
    fn scan(&self, after: Option<LetterId>, limit: usize) -> Vec<LetterRecord> {
        self.1.scan(after, limit)
    }
    fn agenda(&self, after: Option<LetterId>, limit: usize) -> Vec<Agenda> {
        self.1.agenda(after, limit)
    }
    fn candidates(&self, sought: &Sought, after: Option<LetterId>, limit: usize) -> Vec<LetterId> {
        self.1.candidates(sought, after, limit)
    }
    fn census(&self, class: &dyn Fn(Timestamp) -> usize) -> Census {
        self.1.census(class)
    }
}

/// The courier, with the octets of what it carries written into the ledger.
struct Carrying(Arc<World>, Courier);

#[async_trait]
impl Delivery for Carrying {
    fn destination(&self, domain: &DomainName) -> Destination {
        self.1.destination(domain)
    }
    async fn locate(&self, domain: &DomainName) -> Destination {
        self.1.locate(domain).await
    }
    fn limits(&self, destination: &Destination) -> DestinationLimits {
        self.1.limits_for(destination)
    }
    async fn deliver(&self, transaction: &Transaction) -> Vec<Outcome> {
        self.0.ledger.lock().by_octets.insert(transaction.message.clone(), transaction.id);
        self.1.deliver(transaction).await
    }
}

/// A running gateway.
pub(super) struct Running {
    pub(super) store: Arc<LocalStore>,
    pub(super) pipeline: Pipeline,
    _stop: watch::Sender<bool>,
}

fn configuration() -> Arc<Config> {
    static CONFIG: OnceLock<Arc<Config>> = OnceLock::new();
    CONFIG
        .get_or_init(|| {
            let name: DomainName = "gw.relay.example".parse().unwrap();
            let mut config = Config::with_defaults(name, "/nowhere".into(), SecretRef::Env("NONE".into()));
            config.queue.expire_after = Duration::from_mins(12);
            config.delivery.connections = 32;
            config.delivery.connections_per_destination = 2;
            config.delivery.dane = false;
            config.delivery.mta_sts = false;
            Arc::new(config)
        })
        .clone()
}

/// Opens what the last run left on the disk and starts everything, inside of the runtime at hand.
pub(super) fn start(world: &Arc<World>) -> Result<Running, StoreError> {
    let clock: Arc<dyn Clock> = world.clone();
    let settings = store::Settings {
        hot_octets: if world.below(2) == 0 { 0 } else { 1 << 20 },
        segment_octets: 8 << 10,
        slack_octets: 16 << 10,
        writer: WriterPlace::Caller(Duration::from_millis(1 + world.below(10))),
        ..store::Settings::default()
    };
    let keys = Arc::new(Keys(registry().clone()));
    let disk = Arc::new(world.disk.clone());
    let store = LocalStore::begin_on(disk, Box::new(world.disk.clone()), keys, clock.clone(), settings)?;
    let config = configuration();
    let network = Arc::new(Network::new(world.clone()));
    let courier = Courier::of_parts(config.delivery.clone(), vec![], 25, network.clone(), network);
    let stages = Arc::new(Stages::new(registry().clone(), config, clock.clone()));
    let retry = RetryPolicy::new([10, 20, 45, 90].map(Duration::from_secs).to_vec()).unwrap();
    let scheduler = Scheduler::new(SchedulerParts {
        store: Arc::new(Watched(world.clone(), store.clone())),
        delivery: Arc::new(Carrying(world.clone(), courier)),
        sender: stages.clone(),
        clock: clock.clone(),
        settings: schedule::Settings { retry, warn_after: Duration::from_mins(4) },
        connections: 32,
    });
    let processors = Processors::here();
    let pipeline = Pipeline::new(stages, store.clone(), scheduler.clone(), processors, clock);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(scheduler.clone().run(stopped));
    // Reading what the last run left takes a while, and mail is taken meanwhile.
    let (reading, late) = (store.clone(), Duration::from_millis(world.below(3) * world.below(700)));
    let keeper = world.clone();
    tokio::spawn(async move {
        tokio::time::sleep(late).await;
        match reading.finish() {
            Ok(recovery) => {
                if !recovery.damaged.is_empty() {
                    let problem = format!("damaged records after a restart: {:?}", recovery.damaged);
                    keeper.ledger.lock().problems.push(problem);
                }
                super::checks::reconcile(&keeper, &reading);
                scheduler.restore();
            }
            // The disk died meanwhile, or failed: the run ends soon, and the next one reads it.
            Err(_) => keeper.ask_for_restart(),
        }
        loop {
            let nap = 500 + keeper.below(8000);
            tokio::time::sleep(Duration::from_millis(nap)).await;
            // Errors of the disk are simulated; what counts is what is there after the next start.
            let _ = reading.tick();
            let _ = reading.move_living().await;
        }
    });
    Ok(Running { store, pipeline, _stop: stop })
}
