//! Fair turns, with figures: the real scheduler over simulated hosts that take each letter after a tenth of a second.
//! Times are simulated ones, so what is measured is the order of turns and nothing of this machine.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::clock::{Clock, Timestamp};
use crate::deliver::notice::NoticeKind;
use crate::deliver::outcome::{DialogueStage, Evidence, Outcome, RemoteReply, Scene};
use crate::deliver::{Destination, DestinationKind, DestinationLimits, Transaction};
use crate::ids::{LetterId, TenantId};
use crate::message::{DomainName, ReversePath};
use crate::schedule::retry::RetryPolicy;
use crate::schedule::{Delivery, Scheduler, SchedulerParts, Sender, Settings};
use crate::sign::{MailStream, TlsLevel};
use crate::store::{
    Agenda, Census, LetterRecord, NewLetter, RecipientState, Sought, Store, StoreError, Transition, record::apply,
    sample_letter,
};

/// How long a host takes for a letter.
const LATENCY: Duration = Duration::from_millis(100);

struct Ticking(Timestamp, Instant);

impl Clock for Ticking {
    fn now(&self) -> Timestamp {
        self.0 + self.1.elapsed()
    }
}

/// A queue that is a map.
#[derive(Default)]
struct Memory(Mutex<BTreeMap<LetterId, LetterRecord>>);

#[async_trait]
impl Store for Memory {
    async fn accept(&self, letters: Vec<NewLetter>) -> Result<(), StoreError> {
        self.0.lock().extend(letters.into_iter().map(|letter| (letter.record.id, letter.record)));
        Ok(())
    }
    async fn settle(
        &self,
        id: LetterId,
        transitions: Vec<Transition>,
        _: Vec<NewLetter>,
        delay_notified: bool,
    ) -> Result<(), StoreError> {
        let mut letters = self.0.lock();
        let record = letters.get_mut(&id).ok_or(StoreError::Unknown(id))?;
        apply(record, transitions, delay_notified);
        if record.states.iter().all(RecipientState::is_final) {
            letters.remove(&id);
        }
        Ok(())
    }
    async fn message(&self, _: LetterId) -> Result<Bytes, StoreError> {
        Ok(Bytes::new())
    }
    fn find(&self, id: LetterId) -> Option<LetterRecord> {
        self.0.lock().get(&id).cloned()
    }
    fn scan(&self, _: Option<LetterId>, _: usize) -> Vec<LetterRecord> {
        Vec::new()
    }
    fn agenda(&self, _: Option<LetterId>, _: usize) -> Vec<Agenda> {
        Vec::new()
    }
    fn candidates(&self, _: &Sought, _: Option<LetterId>, _: usize) -> Vec<LetterId> {
        Vec::new()
    }
    fn census(&self, _: &dyn Fn(Timestamp) -> usize) -> Census {
        Census::new()
    }
}

/// Hosts that take everything, and when they took it.
struct Hosts {
    connections: usize,
    began: Instant,
    took: Mutex<HashMap<LetterId, Duration>>,
}

#[async_trait]
impl Delivery for Hosts {
    fn destination(&self, domain: &DomainName) -> Destination {
        Destination { key: domain.to_string(), kind: DestinationKind::Mx(domain.clone()), rules: None, site: None }
    }
    fn limits(&self, _: &Destination) -> DestinationLimits {
        DestinationLimits { connections: self.connections, messages_per_connection: 100, rate: None }
    }
    async fn deliver(&self, transaction: &Transaction) -> Vec<Outcome> {
        tokio::time::sleep(LATENCY).await;
        self.took.lock().insert(transaction.id, self.began.elapsed());
        let reply = RemoteReply { code: 250, status: None, text: String::new() };
        let taken = Scene::nowhere(Timestamp::from_millis(0)).by_reply(DialogueStage::FinalReply, reply);
        vec![taken; transaction.recipients.len()]
    }
}

struct Nobody;

impl Sender for Nobody {
    fn notice(
        &self,
        _: NoticeKind,
        _: &LetterRecord,
        _: &[(u32, Evidence)],
        _: Option<&Bytes>,
    ) -> Result<Option<NewLetter>, String> {
        Ok(None)
    }
    fn return_path(&self, _: &LetterRecord, _: u32) -> Option<ReversePath> {
        None
    }
    fn tls(&self, _: &LetterRecord) -> TlsLevel {
        TlsLevel::Opportunistic
    }
    fn tenant_name(&self, record: &LetterRecord) -> String {
        record.tenant.0.to_string()
    }
}

struct Stage {
    store: Arc<Memory>,
    hosts: Arc<Hosts>,
    scheduler: Arc<Scheduler>,
    clock: Arc<Ticking>,
    _stop: tokio::sync::watch::Sender<bool>,
}

impl Stage {
    fn begin(connections: usize, per_destination: usize) -> Self {
        let began = Instant::now();
        let clock = Arc::new(Ticking(Timestamp::from_millis(1_795_000_000_000), began));
        let store = Arc::new(Memory::default());
        let hosts = Arc::new(Hosts { connections: per_destination, began, took: Mutex::default() });
        let retry = RetryPolicy::new(vec![Duration::from_mins(1)]).unwrap();
        let scheduler = Scheduler::new(SchedulerParts {
            store: store.clone(),
            delivery: hosts.clone(),
            sender: Arc::new(Nobody),
            clock: clock.clone(),
            settings: Settings { retry, warn_after: Duration::from_hours(4) },
            connections,
        });
        let (stop, stopped) = tokio::sync::watch::channel(false);
        tokio::spawn(scheduler.clone().run(stopped));
        Self { store, hosts, scheduler, clock, _stop: stop }
    }

    fn send(&self, tenant: u32, number: u64, domain: &str, stream: MailStream) -> LetterId {
        let mut record = sample_letter(TenantId(tenant), number).record;
        let now = self.clock.now();
        record.id = LetterId::new(now);
        (record.accepted, record.expires) = (now, now + Duration::from_hours(120));
        record.envelope.recipients[0].address = format!("r@{domain}").parse().unwrap();
        record.options.stream = stream;
        self.store.0.lock().insert(record.id, record.clone());
        self.scheduler.admit(&record);
        record.id
    }

    /// How long a letter takes that is sent now.
    async fn time_of(&self, tenant: u32, domain: &str, stream: MailStream) -> Duration {
        let sent = self.hosts.began.elapsed();
        let id = self.send(tenant, 0, domain, stream);
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if let Some(at) = self.hosts.took.lock().get(&id) {
                return at.saturating_sub(sent);
            }
        }
    }

    fn taken(&self) -> usize {
        self.hosts.took.lock().len()
    }
}

fn simulate(work: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work);
}

#[test]
fn a_tenants_burst_of_100_000_does_not_delay_anothers_password_reset() {
    simulate(async {
        let scene = Stage::begin(500, 20);
        for number in 0..100_000 {
            scene.send(1, number, "example.net", MailStream::Transactional);
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let reset = scene.time_of(2, "example.net", MailStream::Transactional).await;
        let taken = scene.taken();
        // Twenty connections take 200 letters a second: behind the burst it would have waited for eight minutes.
        println!("a reset behind 100,000 letters of another tenant: {reset:?}, {taken} letters taken by then");
        assert!(reset <= 2 * LATENCY + Duration::from_millis(5), "{reset:?}");
        assert!(taken > 900, "the burst goes on meanwhile: {taken}");
    });
}

#[test]
fn a_burst_that_holds_every_connection_does_not_delay_another_destination() {
    simulate(async {
        let scene = Stage::begin(40, 20);
        for number in 0..20_000 {
            scene.send(1, number, &format!("d{}.example", number % 60), MailStream::Bulk);
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        let reset = scene.time_of(2, "quiet.example", MailStream::Transactional).await;
        println!("a reset to a quiet host while 60 destinations want all 40 connections: {reset:?}");
        // Sixty destinations, forty connections, shifts of eight letters: its turn comes within one round.
        assert!(reset <= 16 * LATENCY, "{reset:?}");
    });
}

#[test]
fn bulk_mail_gets_through_beside_a_flood_of_transactional_mail() {
    simulate(async {
        let scene = Stage::begin(500, 4);
        for number in 0..4000 {
            scene.send(1, number, "example.net", MailStream::Transactional);
        }
        let bulk = scene.time_of(2, "example.net", MailStream::Bulk).await;
        println!("a bulk letter beside 4,000 transactional ones: {bulk:?}");
        assert!(bulk <= 6 * LATENCY, "{bulk:?}");
    });
}
