//! Rotation under load over simulated months: a letter is accepted every six hours, waits in the queue and at its receiver
//! for as long as letters may, and at every moment of its life every server has the record of every key that signed it.
//!
//! The admin is a bad one: slow to publish, one server at a time, and quick to delete what is no longer asked for.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use parking_lot::Mutex;
use waxseal_dns::{Answer, DkimRecord, RecordType, Reply, SeenRecord, Vantage, VantageKind};
use waxseal_keys::life::{Line, Policy, QUEUE_MARGIN};

use super::*;
use crate::store::control::tests::PretendDisk;
use crate::tenants::delegation::{Delegation, PublishError, SlotPublisher, slots, target};
use crate::tenants::steward::{Letters, Steward};
use crate::zones::{Survey, ZonePrimary, ZoneReader};

const DAY: Duration = Duration::from_hours(24);
const STEP: Duration = Duration::from_hours(6);
/// `[queue] expire_after`.
const LONGEST_WAIT: Duration = Duration::from_hours(5 * 24);

/// Numbers that look random and are the same in every run (xorshift).
struct Luck(u64);

impl Luck {
    fn up_to(&mut self, span: Duration) -> Duration {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Duration::from_secs(self.0 % (span.as_secs() + 1))
    }
}

/// A change that reaches a server at a time: which server, the name, the value or its end.
type Change = (Timestamp, usize, String, Option<String>);

/// Two servers of one zone, the second of which is behind.
#[derive(Default)]
struct Servers {
    records: Mutex<[BTreeMap<String, String>; 2]>,
    aliases: Mutex<BTreeMap<String, String>>,
    coming: Mutex<Vec<Change>>,
    now: Mutex<Option<Timestamp>>,
}

impl Servers {
    fn advance(&self, now: Timestamp) {
        *self.now.lock() = Some(now);
        let mut records = self.records.lock();
        self.coming.lock().retain(|(at, server, name, value)| {
            let due = *at <= now;
            if due {
                match value {
                    Some(value) => records[*server].insert(name.clone(), value.clone()),
                    None => records[*server].remove(name),
                };
            }
            !due
        });
    }

    fn end(&self, name: &str) -> String {
        self.aliases.lock().get(name).cloned().unwrap_or_else(|| name.to_owned())
    }

    fn answer(&self, name: &str, server: usize, kind: VantageKind) -> Answer {
        let value = self.records.lock()[server].get(name).cloned();
        let reply = value.map_or(Reply::NoSuchName { negative_ttl: None }, |value| Reply::Records {
            records: vec![SeenRecord { value, ttl: 300 }],
        });
        let vantage = Vantage { kind, name: format!("ns{server}"), address: ([192, 0, 2, server as u8], 53).into() };
        Answer { name: name.to_owned(), record_type: RecordType::Txt, vantage, aliases: Vec::new(), reply }
    }

    /// Can a receiver check this signature, whichever server it asks?
    fn verify(&self, name: &str, public_key: &str) -> bool {
        let end = self.end(name);
        let fits = |value: &String| value.parse::<DkimRecord>().is_ok() && value.ends_with(&format!("p={public_key}"));
        self.records.lock().iter().all(|records| records.get(&end).is_some_and(fits))
    }
}

#[async_trait]
impl ZoneReader for Servers {
    async fn survey(&self, name: &str, _: RecordType) -> Survey {
        let end = self.end(name);
        let mut answers: Vec<Answer> =
            (0..2).map(|server| self.answer(name, server, VantageKind::Authoritative)).collect();
        if end != name {
            answers.truncate(1);
            answers[0].aliases = vec![end];
            answers[0].reply = Reply::Elsewhere;
        }
        Survey { zone: "acme.example".to_owned(), problem: None, answers }
    }
    async fn primary(&self, _: &str) -> Result<ZonePrimary, Reply> {
        Err(Reply::Refused)
    }
    async fn resolve(&self, name: &str, _: RecordType) -> Vec<Answer> {
        vec![self.answer(&self.end(name), 1, VantageKind::Resolver)]
    }
}

#[async_trait]
impl SlotPublisher for Servers {
    async fn set(&self, name: &str, value: Option<&str>) -> Result<(), PublishError> {
        let now = self.now.lock().unwrap_or(Timestamp::from_millis(0));
        for (server, behind) in [(0, Duration::ZERO), (1, Duration::from_hours(2))] {
            self.coming.lock().push((now + behind, server, name.to_owned(), value.map(str::to_owned)));
        }
        self.advance(now);
        Ok(())
    }
}

/// A letter: accepted, gone from the queue, arrived, and who signed it.
struct Letter {
    accepted: Timestamp,
    gone: Timestamp,
    arrived: Timestamp,
    signatures: Vec<(String, String)>,
}

#[derive(Default)]
struct Queue(Mutex<(Vec<Letter>, Option<Timestamp>)>);

impl Letters for Queue {
    fn waiting(&self, _: &DomainName, accepted_before: Timestamp) -> bool {
        let (letters, now) = &*self.0.lock();
        letters.iter().any(|letter| letter.accepted <= accepted_before && now.is_none_or(|now| now < letter.gone))
    }
}

struct Months {
    registry: Arc<Registry>,
    clock: Arc<ManualClock>,
    servers: Arc<Servers>,
    queue: Arc<Queue>,
    steward: Steward,
    /// What the admin has asked the DNS host for.
    ordered: BTreeSet<(String, String)>,
    luck: Luck,
}

fn months(delegated: bool, seed: u64) -> Months {
    let clock = clock();
    let registry = Registry::open_on(Box::new(PretendDisk::default()), &kek(1), clock.clone()).unwrap();
    let registry = Arc::new(registry);
    let policy = Policy { rotate_every: 60 * DAY, notice: 3 * DAY, ..Policy::default() }.for_queue(LONGEST_WAIT);
    let zone: DomainName = domain("dkim.relay.example");
    let delegation = delegated.then(|| Delegation { zone: zone.clone(), policy });
    let algorithms = vec![Algorithm::Ed25519];
    registry.set_domain_rules(DomainRules { algorithms, policy, proof_required: false, delegation });
    registry.add_tenant("acme", "root").unwrap();
    registry.add_domain(&domain("acme.example"), "acme", "root").unwrap();
    let (servers, queue) = (Arc::new(Servers::default()), Arc::new(Queue::default()));
    let mut steward = Steward::new(registry.clone(), servers.clone(), queue.clone(), clock.clone());
    if delegated {
        let owned = registry.snapshot().domain(&domain("acme.example")).unwrap().clone();
        for slot in slots(Line::Ed25519) {
            let end = target(slot, &owned, &zone).unwrap();
            servers.aliases.lock().insert(format!("{slot}._domainkey.acme.example"), end);
        }
        steward = steward.publishing(servers.clone());
    }
    Months { registry, clock, servers, queue, steward, ordered: BTreeSet::new(), luck: Luck(seed) }
}

impl Months {
    /// Orders what `domain records` asks for, some day; has what it does not ask for any more deleted at once.
    fn admin(&mut self, now: Timestamp) {
        let records = self.registry.domain_records(&domain("acme.example"), &Operator::default()).unwrap().records;
        let wanted = records.into_iter().filter(|record| record.purpose == Purpose::DkimKey);
        let wanted: BTreeSet<(String, String)> = wanted.map(|record| (record.owner, record.value)).collect();
        for (name, value) in wanted.difference(&self.ordered) {
            for server in 0..2 {
                let late = self.luck.up_to(10 * DAY);
                self.servers.coming.lock().push((now + late, server, name.clone(), Some(value.clone())));
            }
        }
        for (name, _) in self.ordered.difference(&wanted) {
            self.servers.coming.lock().extend((0..2).map(|server| (now, server, name.clone(), None)));
        }
        self.ordered = wanted;
    }

    /// Who would sign a letter now.
    fn signatures(&self) -> Vec<(String, String)> {
        let (directory, name) = (self.registry.snapshot(), domain("acme.example"));
        let keys = directory.dkim_keys(&name).filter(|key| key.state() == DkimState::Active);
        keys.map(|key| (key.record_name(), key.public_key.clone())).collect()
    }

    async fn step(&mut self) -> usize {
        self.clock.advance(STEP);
        let now = self.clock.now();
        self.servers.advance(now);
        self.queue.0.lock().1 = Some(now);
        let change = self.steward.look(&domain("acme.example")).await.unwrap();
        self.admin(now);
        self.servers.advance(now);
        let signatures = self.signatures();
        let (wait, deferral) = (self.luck.up_to(LONGEST_WAIT), self.luck.up_to(QUEUE_MARGIN));
        let mut queue = self.queue.0.lock();
        if !signatures.is_empty() {
            let gone = now + wait;
            queue.0.push(Letter { accepted: now, gone, arrived: gone + deferral, signatures });
        }
        for letter in &queue.0 {
            for (name, key) in &letter.signatures {
                assert!(self.servers.verify(name, key), "{now:?}: {name} signed a letter of {:?}", letter.accepted);
            }
        }
        queue.0.retain(|letter| letter.arrived > now);
        change.events.iter().filter(|event| matches!(event, Event::DkimKey { state: "destroyed", .. })).count()
    }
}

#[tokio::test]
async fn no_letter_is_unverifiable_at_any_time_of_its_life() {
    for (delegated, seed) in [(false, 7), (false, 0x5eed), (true, 11), (true, 0xfeed)] {
        let mut months = months(delegated, seed);
        let (mut destroyed, mut steps_signed) = (0, 0);
        for step in 0..4 * 400_u32 {
            destroyed += months.step().await;
            steps_signed += usize::from(!months.signatures().is_empty());
            // Now and then a person wants a new key at once.
            if step % 900 == 899 {
                months.registry.rotate_dkim_keys(&domain("acme.example"), false, "root").unwrap();
            }
        }
        assert!(destroyed >= 3, "delegated {delegated}, seed {seed}: {destroyed} keys lived their whole life");
        assert!(steps_signed > 4 * 380, "it signs from its first key on: {steps_signed}");
    }
}
