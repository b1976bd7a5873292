//! Policies over time: ids that change, fetches that fail, DNS that is silent, restarts.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::clock::ManualClock;
use crate::resolver::StaticResolver;
use crate::store::ledger::MemoryLedger;

struct Web {
    answer: Mutex<Result<String, PolicyProblem>>,
    asked: AtomicUsize,
}

#[async_trait]
impl PolicyFetcher for Web {
    async fn fetch(&self, domain: &DomainName) -> Result<Bytes, PolicyProblem> {
        assert_eq!(domain.as_str(), "there.example");
        self.asked.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        self.answer.lock().clone().map(Bytes::from)
    }
}

struct World {
    dns: Arc<StaticResolver>,
    clock: Arc<ManualClock>,
    ledger: Arc<MemoryLedger>,
    web: Web,
    sts: MtaSts,
}

const RECORD: &str = "_mta-sts.there.example";

fn text(mode: &str, age: u64) -> String {
    format!("version: STSv1\nmode: {mode}\nmx: mx1.there.example\nmax_age: {age}\n")
}

fn down() -> PolicyProblem {
    PolicyProblem::Fetch("down".into())
}

impl World {
    fn new() -> Self {
        let dns = Arc::new(StaticResolver::new());
        dns.set_txt(RECORD, Ok("v=STSv1; id=one;"));
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
        let ledger = Arc::new(MemoryLedger::default());
        let sts = MtaSts::new(dns.clone(), clock.clone(), ledger.clone());
        let web = Web { answer: Mutex::new(Ok(text("enforce", 600_000))), asked: AtomicUsize::new(0) };
        Self { dns, clock, ledger, web, sts }
    }

    async fn find(&self) -> Finding {
        self.sts.find(&"there.example".parse().unwrap(), &self.web).await
    }

    async fn mode(&self) -> Option<(String, Mode)> {
        match self.find().await {
            Finding::Policy { known, .. } => Some((known.id.clone(), known.policy.mode)),
            _ => None,
        }
    }

    fn web_says(&self, answer: Result<String, PolicyProblem>) {
        *self.web.answer.lock() = answer;
    }

    fn fetches(&self) -> usize {
        self.web.asked.load(Ordering::SeqCst)
    }
}

#[allow(clippy::unnecessary_wraps)] // stands where `World::mode` does
fn enforce(id: &str) -> Option<(String, Mode)> {
    Some((id.to_owned(), Mode::Enforce))
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_fetched_once_and_by_one() {
    let world = World::new();
    let all = futures_util::future::join_all((0..20).map(|_| world.mode())).await;
    assert!(all.iter().all(|mode| *mode == enforce("one")));
    assert_eq!(world.fetches(), 1);
    assert!(world.sts.memory.lock().fetching.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_remembered_policy_wins_over_everything_that_fails_until_its_age_is_over() {
    let world = World::new();
    assert_eq!(world.mode().await, enforce("one"));
    world.web_says(Err(down()));
    world.dns.set_txt(RECORD, Ok("v=STSv1; id=two;"));
    assert_eq!(world.mode().await, enforce("one"), "the new one cannot be fetched");
    world.web_says(Ok("<html>".into()));
    tokio::time::advance(FETCH_PAUSE).await;
    assert_eq!(world.mode().await, enforce("one"), "the new one is no policy");
    for failure in [DnsFailure::NoSuchName, DnsFailure::ServFail, DnsFailure::Timeout, DnsFailure::Bogus] {
        world.dns.set_txt(RECORD, Err(failure.clone()));
        assert_eq!(world.mode().await, enforce("one"), "{failure:?}");
    }
    world.dns.set_txt(RECORD, Ok("v=STSv1"));
    assert_eq!(world.mode().await, enforce("one"), "the record was broken");
    world.clock.advance(Duration::from_mins(10_000));
    assert_eq!(world.mode().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_new_id_brings_the_new_policy_and_a_failed_fetch_rests() {
    let world = World::new();
    world.web_says(Err(down()));
    assert_eq!(world.find().await, Finding::Broken(down()));
    assert_eq!(world.find().await, Finding::Broken(down()));
    assert_eq!(world.fetches(), 1);
    world.web_says(Ok(text("testing", 100)));
    tokio::time::advance(FETCH_PAUSE).await;
    assert_eq!(world.mode().await, Some(("one".into(), Mode::Testing)));
    world.web_says(Ok(text("enforce", 100)));
    world.dns.set_txt(RECORD, Ok("v=STSv1; id=two;"));
    assert_eq!(world.mode().await, enforce("two"));
    assert_eq!(world.fetches(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_policy_outlives_a_restart() {
    let world = World::new();
    assert_eq!(world.mode().await, enforce("one"));
    while world.ledger.all(Shelf::StsPolicies).unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let again = MtaSts::new(world.dns.clone(), world.clock.clone(), world.ledger.clone());
    world.web_says(Err(down()));
    world.dns.set_txt(RECORD, Err(DnsFailure::ServFail));
    let found = again.find(&"there.example".parse().unwrap(), &world.web).await;
    assert!(matches!(found, Finding::Policy { problem: Some(_), .. }), "{found:?}");
    world.clock.advance(Duration::from_mins(10_000));
    again.sweep();
    assert_eq!(world.ledger.all(Shelf::StsPolicies).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn the_id_is_looked_up_anew_before_mail_fails() {
    let world = World::new();
    let domain: DomainName = "there.example".parse().unwrap();
    let Finding::Policy { known, .. } = world.find().await else { panic!() };
    assert!(!world.sts.recheck(&domain, &known, &world.web).await, "nothing new");
    world.dns.set_txt(RECORD, Ok("v=STSv1; id=two;"));
    world.web_says(Ok(text("none", 100)));
    assert!(!world.sts.recheck(&domain, &known, &world.web).await, "not more often than every ten seconds");
    tokio::time::advance(RECHECK_PAUSE).await;
    assert!(world.sts.recheck(&domain, &known, &world.web).await);
    assert_eq!(world.mode().await, Some(("two".into(), Mode::None)));
}

#[tokio::test(start_paused = true)]
async fn silence_of_dns_holds_mail_back_for_a_while_only() {
    let world = World::new();
    world.dns.set_txt(RECORD, Err(DnsFailure::ServFail));
    assert_eq!(world.find().await, Finding::Unknown(DnsFailure::ServFail));
    tokio::time::advance(GRACE).await;
    assert_eq!(world.find().await, Finding::Nothing);
    world.dns.set_txt(RECORD, Ok("v=STSv1; id=one;"));
    assert_eq!(world.mode().await, enforce("one"));
}

#[tokio::test(start_paused = true)]
async fn a_policy_is_fetched_again_after_a_day_and_kept_if_that_fails() {
    let world = World::new();
    assert_eq!(world.mode().await, enforce("one"));
    world.clock.advance(REFRESH_AFTER);
    world.web_says(Err(down()));
    assert_eq!(world.mode().await, enforce("one"));
    assert_eq!(world.mode().await, enforce("one"));
    assert_eq!(world.fetches(), 2);
}
