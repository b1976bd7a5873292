//! The steward on a registry of its own, a pretended DNS and a clock that the test moves.

use std::collections::BTreeMap;

use crate::tenants::sight::believed;
use crate::zones::{Survey, ZonePrimary};
use async_trait::async_trait;
use waxseal_dns::{RecordType, Reply, SeenRecord, Vantage, VantageKind};
use waxseal_keys::Algorithm;
use waxseal_keys::sealing::KeyEncryptionKey;

use super::*;
use crate::clock::ManualClock;
use crate::tenants::DomainRules;

const DAY: Duration = Duration::from_hours(24);

/// Two authoritative servers; what each has, by name. A silent one answers nothing.
#[derive(Default)]
struct Zone {
    servers: Mutex<[BTreeMap<String, Vec<String>>; 2]>,
    silent: Mutex<bool>,
    forgetful: Mutex<bool>,
}

impl Zone {
    fn publish(&self, at: &[usize], key: &DkimKey) {
        for &server in at {
            self.servers.lock()[server].insert(key.record_name(), vec![key.record_value()]);
        }
    }
}

fn answer(name: &str, server: usize, reply: Reply) -> Answer {
    let vantage = Vantage {
        kind: VantageKind::Authoritative,
        name: format!("ns{server}.example"),
        address: ([192, 0, 2, server as u8], 53).into(),
    };
    Answer { name: name.to_owned(), record_type: RecordType::Txt, vantage, aliases: Vec::new(), reply }
}

fn records(texts: &[String], ttl: u32) -> Reply {
    let records: Vec<_> = texts.iter().map(|value| SeenRecord { value: value.clone(), ttl }).collect();
    if records.is_empty() { Reply::NoSuchName { negative_ttl: None } } else { Reply::Records { records } }
}

#[async_trait]
impl ZoneReader for Zone {
    async fn primary(&self, _: &str) -> Result<ZonePrimary, Reply> {
        Err(Reply::Refused)
    }
    async fn survey(&self, name: &str, _: RecordType) -> Survey {
        let servers = self.servers.lock();
        let has = |server: usize| records(servers[server].get(name).map_or(&[], Vec::as_slice), 300);
        let second = if *self.silent.lock() { Reply::Timeout } else { has(1) };
        let answers = vec![answer(name, 0, has(0)), answer(name, 1, second)];
        Survey { zone: "acme.example".to_owned(), problem: None, answers }
    }
    async fn resolve(&self, name: &str, _: RecordType) -> Vec<Answer> {
        // A resolver that asks the first server, or one that remembers that there was nothing.
        let known = if *self.forgetful.lock() { None } else { self.servers.lock()[0].get(name).cloned() };
        let mut answer = answer(name, 0, records(known.as_deref().unwrap_or_default(), 300));
        answer.vantage.kind = VantageKind::Resolver;
        vec![answer]
    }
}

#[derive(Default)]
struct Queue(Mutex<bool>);

impl Letters for Queue {
    fn waiting(&self, _: &DomainName, _: Timestamp) -> bool {
        *self.0.lock()
    }
}

struct World {
    _folder: tempfile::TempDir,
    registry: Arc<Registry>,
    zone: Arc<Zone>,
    queue: Arc<Queue>,
    clock: Arc<ManualClock>,
    steward: Steward,
    domain: DomainName,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let kek = KeyEncryptionKey::generate().unwrap();
    let clock = Arc::new(ManualClock::new(Timestamp::parse_rfc3339("2026-11-24T12:00:00Z").unwrap()));
    let registry = Arc::new(Registry::open(folder.path(), &kek, clock.clone()).unwrap());
    registry.set_domain_rules(DomainRules { algorithms: vec![Algorithm::Ed25519], ..DomainRules::default() });
    let domain: DomainName = "acme.example".parse().unwrap();
    registry.add_tenant("acme", "root").unwrap();
    registry.add_domain(&domain, "acme", "root").unwrap();
    let (zone, queue) = (Arc::new(Zone::default()), Arc::new(Queue::default()));
    let steward = Steward::new(registry.clone(), zone.clone(), queue.clone(), clock.clone());
    World { _folder: folder, registry, zone, queue, clock, steward, domain }
}

impl World {
    fn key(&self, selector: &str) -> DkimKey {
        self.registry.snapshot().dkim_key(&self.domain, selector).unwrap().clone()
    }

    async fn look(&self) -> Vec<String> {
        let change = self.steward.look(&self.domain).await.unwrap();
        let keys = change.events.iter().filter_map(|event| match event {
            Event::DkimKey { state, selector, .. } => Some(format!("{selector} {state}")),
            Event::Gateway { state, .. } => Some((*state).to_owned()),
            _ => None,
        });
        keys.collect()
    }
}

#[tokio::test]
async fn a_key_lives_its_whole_life_by_what_the_servers_say() {
    let world = world();
    let first = world.key("wax202611a");
    assert_eq!(world.look().await, [""; 0]);
    world.zone.publish(&[0], &first);
    assert_eq!(world.look().await, ["wax202611a published"], "seen at one of two");
    world.zone.publish(&[0, 1], &first);
    *world.zone.silent.lock() = true;
    assert_eq!(world.look().await, [""; 0], "a server that says nothing has said nothing");
    *world.zone.silent.lock() = false;
    assert_eq!(world.look().await, ["wax202611a verified", "wax202611a active"]);

    world.clock.advance(170 * DAY);
    assert_eq!(world.look().await, ["wax202705a generated"], "announced, and made in time");
    let second = world.key("wax202705a");
    world.zone.publish(&[0, 1], &second);
    assert_eq!(world.look().await, ["wax202705a published"]);
    *world.zone.forgetful.lock() = true;
    world.clock.advance(DAY);
    assert_eq!(world.look().await, [""; 0], "a resolver that does not see it begins the wait anew");
    *world.zone.forgetful.lock() = false;
    assert_eq!(world.look().await, [""; 0]);
    world.clock.advance(DAY);
    assert_eq!(world.look().await, ["wax202705a verified"]);
    world.clock.advance(8 * DAY);
    assert_eq!(world.look().await, ["wax202705a active", "wax202611a retiring"]);
    *world.queue.0.lock() = true;
    world.clock.advance(60 * DAY);
    assert_eq!(world.look().await, [""; 0], "a letter that it signed waits");
    *world.queue.0.lock() = false;
    assert_eq!(world.look().await, ["wax202611a retired"]);
    world.clock.advance(30 * DAY);
    assert_eq!(world.look().await, ["wax202611a destroyed"]);
    let history: Vec<_> = world.key("wax202611a").history.iter().map(|moved| moved.to.name()).collect();
    assert_eq!(history, ["published", "verified", "active", "retiring", "retired", "destroyed"]);
    let audit = world.registry.audit(None, 100).unwrap();
    let of_key = audit.iter().filter(|(_, record)| record.what.contains("DKIM key wax202611a")).count();
    assert_eq!(of_key, 1 + history.len(), "made, and every move: {audit:#?}");
    assert!(audit.iter().any(|(_, record)| record.by == STEWARD));
}

#[tokio::test]
async fn a_record_that_vanishes_is_told_and_signing_goes_on() {
    let world = world();
    world.zone.publish(&[0, 1], &world.key("wax202611a"));
    world.look().await;
    world.zone.servers.lock()[1].clear();
    assert_eq!(world.look().await, ["dkim-record-lost"]);
    assert_eq!(world.look().await, [""; 0], "once");
    assert_eq!(world.key("wax202611a").state(), DkimState::Active);
    world.zone.publish(&[1], &world.key("wax202611a"));
    assert_eq!(world.look().await, ["dkim-record-back"]);
}

#[tokio::test]
async fn an_emergency_leaves_new_keys_signing_and_old_ones_revoked() {
    let world = world();
    assert!(world.registry.rotate_dkim_keys_now(&world.domain, "stolen", false, "ann").is_err(), "nothing signs yet");
    world.zone.publish(&[0, 1], &world.key("wax202611a"));
    world.look().await;
    let plan = world.registry.rotate_dkim_keys_now(&world.domain, "stolen", true, "ann").unwrap();
    assert!(plan.dry_run && world.key("wax202611a").state() == DkimState::Active);
    let done = world.registry.rotate_dkim_keys_now(&world.domain, "stolen", false, "ann").unwrap();
    assert!(done.changes[0].contains("stolen"), "{:?}", done.changes);
    assert_eq!(world.key("wax202611a").state(), DkimState::Revoked);
    assert_eq!(world.key("wax202611a").record_value(), "v=DKIM1; k=ed25519; p=");
    assert_eq!(world.key("wax202611b").state(), DkimState::Active);
    // Asked for politely: the successor waits for its record and its time.
    world.registry.rotate_dkim_keys(&world.domain, false, "ann").unwrap();
    world.zone.publish(&[0, 1], &world.key("wax202611c"));
    assert_eq!(world.look().await, ["dkim-record-lost", "wax202611c published"]);
    world.clock.advance(DAY);
    assert_eq!(world.look().await, ["wax202611c verified", "wax202611c active", "wax202611b retiring"]);
}

#[tokio::test]
async fn who_waits_is_looked_at_soon_and_then_less_and_less_often() {
    let world = world();
    assert_eq!(world.steward.due_domains().len(), 1, "new: at once");
    world.look().await;
    assert!(world.steward.due_domains().is_empty());
    let wait = || world.steward.next_look(&world.domain).unwrap().since(world.clock.now());
    assert_eq!(wait(), SHORTEST);
    world.clock.advance(Duration::from_mins(10));
    world.look().await;
    assert_eq!(wait(), Duration::from_mins(1));
    world.clock.advance(DAY);
    world.look().await;
    assert_eq!(wait(), LONGEST);
    world.clock.set(Timestamp::parse_rfc3339("2026-11-01T12:00:00Z").unwrap());
    assert_eq!(world.steward.due_domains().len(), 1, "a clock that jumped back does not put it off");
}

#[test]
fn what_the_servers_have_is_compared_by_value() {
    let world = world();
    let key = world.key("wax202611a");
    let has = |texts: &[&str]| {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        answer("s1", 0, records(&texts, 60))
    };
    let spaced = key.record_value().replace("; ", " ;  ").replace("p=", "p = ");
    let other = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    let value = key.record_value();
    for (answers, expected) in [
        (vec![], Sighting::Unknown),
        (vec![has(&[&value]), answer("s1", 1, Reply::ServFail)], Sighting::Unknown),
        (vec![has(&[&spaced]), has(&[&value, "some note"])], Sighting::Everywhere { ttl: 60 }),
        (vec![has(&[&value]), has(&["some note"])], Sighting::Partly),
        (vec![has(&[]), has(&[])], Sighting::Absent),
        (vec![has(&[other]), has(&[&value])], Sighting::Different),
        (vec![has(&[&value, other])], Sighting::Different),
        (vec![has(&["v=DKIM1; k=ed25519; p="])], Sighting::Different),
    ] {
        assert_eq!(sighting(&key, &answers), expected, "{answers:?}");
    }
}

/// A zone whose key records are aliases into the operator's zone.
struct Delegating(Zone);

#[async_trait]
impl ZoneReader for Delegating {
    async fn primary(&self, _: &str) -> Result<ZonePrimary, Reply> {
        Err(Reply::Refused)
    }
    async fn survey(&self, name: &str, record_type: RecordType) -> Survey {
        let Some(selector) = name.strip_suffix("._domainkey.acme.example") else {
            return self.0.survey(name, record_type).await;
        };
        let mut alias = answer(name, 7, Reply::Elsewhere);
        alias.aliases = vec![format!("{selector}.relay.example")];
        Survey { zone: "acme.example".to_owned(), problem: None, answers: vec![alias.clone(), alias] }
    }
    async fn resolve(&self, _: &str, _: RecordType) -> Vec<Answer> {
        Vec::new()
    }
}

#[tokio::test]
async fn an_alias_is_followed_to_every_server_of_its_target() {
    let zones = Delegating(Zone::default());
    zones.0.servers.lock()[1].insert("s1.relay.example".to_owned(), vec!["v=DKIM1; p=".to_owned()]);
    let found = ask_everywhere(&zones, "s1._domainkey.acme.example").await;
    let values: Vec<_> = found.iter().map(|answer| answer.values().count()).collect();
    assert_eq!(values, [0, 1], "both servers of the target, once: {found:?}");
}

#[test]
fn resolvers_are_believed_only_where_no_zone_is() {
    let survey = |zone: &str, problem: Option<Reply>| {
        let mut resolver = answer("s1", 1, records(&["text".to_owned()], 60));
        resolver.vantage.kind = VantageKind::Resolver;
        believed(Survey { zone: zone.to_owned(), problem, answers: vec![resolver] }).len()
    };
    let failed = || Some(Reply::Failed { reason: "no zone holds the name".to_owned() });
    assert_eq!((survey("", failed()), survey("", Some(Reply::Timeout)), survey("acme.example", failed())), (1, 0, 0));
}

#[tokio::test]
async fn a_domain_goes_to_the_tenant_whose_token_is_everywhere() {
    let world = world();
    world.registry.set_domain_rules(DomainRules { proof_required: true, ..world.registry.domain_rules() });
    let wanted: DomainName = "shop.example".parse().unwrap();
    world.registry.add_tenant("beta", "root").unwrap();
    for tenant in ["acme", "beta"] {
        let change = world.registry.add_domain(&wanted, tenant, "root").unwrap();
        assert!(change.changes[0].contains("claims domain shop.example"), "{:?}", change.changes);
        assert!(world.registry.add_domain(&wanted, tenant, "root").unwrap().changes.is_empty(), "the same again");
    }
    let directory = world.registry.snapshot();
    assert!(directory.owner(&wanted).is_none() && directory.dkim_keys(&wanted).count() == 0, "a claim gives nothing");
    let beta = directory.tenant_by_name("beta").unwrap().id;
    let claim = directory.claims(&wanted).find(|claim| claim.tenant == beta).unwrap().clone();
    let publish = |server: usize| {
        world.zone.servers.lock()[server].insert(claim.record_name(), vec!["other".to_owned(), claim.record_value()]);
    };
    world.steward.look(&wanted).await;
    publish(0);
    world.steward.look(&wanted).await;
    assert!(world.registry.snapshot().owner(&wanted).is_none(), "one of two servers");
    publish(1);
    assert!(!world.steward.due_domains().contains(&wanted));
    world.clock.advance(SHORTEST);
    assert_eq!(world.steward.due_domains().iter().filter(|domain| **domain == wanted).count(), 1);
    world.steward.look(&wanted).await.unwrap();
    let directory = world.registry.snapshot();
    assert_eq!(directory.owner(&wanted), Some(beta));
    assert_eq!(directory.domain(&wanted).unwrap().proof.name(), "shown");
    assert!(directory.claimed_domains().is_empty(), "the other claim has ended");
    assert_eq!(directory.dkim_keys(&wanted).count(), 1);
    assert!(world.registry.add_domain(&wanted, "acme", "root").is_err());
    // The operator may vouch all the same, and a removed tenant's claims go with it.
    let (third, fourth): (DomainName, DomainName) =
        ("third.example".parse().unwrap(), "fourth.example".parse().unwrap());
    world.registry.vouch_for_domain(&third, "acme", "root").unwrap();
    assert_eq!(world.registry.snapshot().domain(&third).unwrap().proof.name(), "vouched");
    world.registry.add_domain(&fourth, "acme", "root").unwrap();
    world.registry.remove_tenant("acme", false, "root").unwrap();
    assert!(world.registry.snapshot().claimed_domains().is_empty());
}

/// What was published of retired keys, and what was written into the operator's zone.
#[derive(Default)]
struct Published(Mutex<Vec<String>>);

impl Disclosure for Published {
    fn publish(&self, key: &DkimKey, pem: &str) -> std::io::Result<()> {
        let again = waxseal_keys::SigningKey::from_pem(pem.as_bytes()).unwrap();
        assert_eq!(again.public_record_value(), key.public_key);
        self.0.lock().push(key.selector.clone());
        Ok(())
    }
}

#[tokio::test]
async fn a_retired_key_is_given_away_only_where_asked_and_once_its_record_is_gone() {
    for asked in [false, true] {
        let mut world = world();
        let published = Arc::new(Published::default());
        world.steward =
            Steward::new(world.registry.clone(), world.zone.clone(), world.queue.clone(), world.clock.clone())
                .disclosing(published.clone());
        let rules = world.registry.domain_rules();
        let policy = waxseal_keys::life::Policy { disclose_retired: asked, ..rules.policy };
        world.registry.set_domain_rules(DomainRules { policy, ..rules });
        let first = world.key("wax202611a");
        world.zone.publish(&[0, 1], &first);
        world.look().await;
        let (second, _) =
            world.registry.generate_dkim_key(&world.domain, Algorithm::Ed25519, Some("second"), "root").unwrap();
        world.zone.publish(&[0, 1], &world.key(&second));
        world.clock.advance(DAY);
        world.registry.activate_dkim_key(&world.domain, &second, true, "root").unwrap();
        world.look().await;
        world.clock.advance(20 * DAY);
        assert_eq!(world.look().await, ["wax202611a retired"]);
        assert!(world.registry.retired_dkim_key(&world.domain, &second).is_err(), "never a key that signs");
        world.look().await;
        assert!(published.0.lock().is_empty(), "its record still stands");
        for server in world.zone.servers.lock().iter_mut() {
            server.remove(&first.record_name());
        }
        world.look().await;
        world.look().await;
        assert_eq!(published.0.lock().len(), usize::from(asked), "once, and only where asked");
    }
}

#[async_trait]
impl SlotPublisher for Zone {
    async fn set(&self, name: &str, value: Option<&str>) -> Result<(), delegation::PublishError> {
        for server in self.servers.lock().iter_mut() {
            match value {
                Some(value) => server.insert(name.to_owned(), vec![value.to_owned()]),
                None => server.remove(name),
            };
        }
        Ok(())
    }
}

#[tokio::test]
async fn delegated_keys_take_turns_in_two_slots() {
    let mut world = world();
    let zone: DomainName = "dkim.relay.example".parse().unwrap();
    let rules = world.registry.domain_rules();
    let policy = waxseal_keys::life::Policy { rotate_every: 90 * DAY, notice: 3 * DAY, ..rules.policy };
    let delegation = Some(delegation::Delegation { zone: zone.clone(), policy });
    world.registry.set_domain_rules(DomainRules { delegation, ..rules });
    world.domain = "shop.example".parse().unwrap();
    world.registry.add_domain(&world.domain, "acme", "root").unwrap();
    let owned = world.registry.snapshot().domain(&world.domain).unwrap().clone();
    let zones = Arc::new(Aliases { zone: world.zone.clone(), owned: owned.clone(), target: zone.clone() });
    world.steward = Steward::new(world.registry.clone(), zones, world.queue.clone(), world.clock.clone())
        .publishing(world.zone.clone());
    assert_eq!(world.look().await, [""; 0]);
    let record = |slot: &str| {
        let name = delegation::target(slot, &owned, &zone).unwrap();
        world.zone.servers.lock()[0].get(&name).map(|values| values[0].clone())
    };
    assert_eq!(record("waxe1"), Some(world.key("waxe1").record_value()), "written without anybody's doing");
    assert_eq!(world.look().await, ["waxe1 published", "waxe1 verified", "waxe1 active"]);
    for (before, after, days) in [("waxe1", "waxe2", 86), ("waxe2", "waxe1", 35)] {
        world.clock.advance(days * DAY);
        assert_eq!(world.look().await, [format!("{after} generated")]);
        assert_eq!(world.look().await, [format!("{after} published")]);
        world.clock.advance(DAY);
        assert_eq!(world.look().await, [format!("{after} verified")]);
        world.clock.advance(3 * DAY);
        assert_eq!(world.look().await, [format!("{after} active"), format!("{before} retiring")]);
        assert!(record(before).is_some() && record(after).is_some());
        world.clock.advance(20 * DAY);
        assert_eq!(world.look().await, [format!("{before} retired")]);
        assert_eq!(record(before), None, "the record of a retired key is taken away");
        world.clock.advance(31 * DAY);
        assert_eq!(world.look().await, [format!("{before} destroyed")]);
    }
    let spent = world.registry.generate_dkim_key(&world.domain, Algorithm::Ed25519, Some("waxe2"), "root");
    assert!(spent.is_err(), "nobody takes a slot by hand");
}

/// A zone whose owner published the aliases of its slots.
struct Aliases {
    zone: Arc<Zone>,
    owned: Arc<crate::tenants::TenantDomain>,
    target: DomainName,
}

impl Aliases {
    fn end(&self, name: &str) -> String {
        let slot = name.strip_suffix(&format!("._domainkey.{}", self.owned.name));
        slot.and_then(|slot| delegation::target(slot, &self.owned, &self.target)).unwrap_or_else(|| name.to_owned())
    }
}

#[async_trait]
impl ZoneReader for Aliases {
    async fn primary(&self, _: &str) -> Result<ZonePrimary, Reply> {
        Err(Reply::Refused)
    }
    async fn survey(&self, name: &str, record_type: RecordType) -> Survey {
        let end = self.end(name);
        if end == name {
            return self.zone.survey(name, record_type).await;
        }
        let mut alias = answer(name, 7, Reply::Elsewhere);
        alias.aliases = vec![end];
        Survey { zone: "shop.example".to_owned(), problem: None, answers: vec![alias] }
    }
    async fn resolve(&self, name: &str, record_type: RecordType) -> Vec<Answer> {
        self.zone.resolve(&self.end(name), record_type).await
    }
}
