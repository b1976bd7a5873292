//! The simulation: services, pipeline, store, scheduler, delivery, network, DNS and disk under one seed, with faults
//! anywhere and crashes at any operation; then everything is mended, and what was promised is compared with what
//! became of it.
//!
//! One thread, a paused clock, chance from the seed: the same seed does the same again. `WAXSEAL_SEEDS` sets how many
//! run (a night's worth is a million), `WAXSEAL_SEED` runs one alone; a failure prints the command.

mod checks;
mod fairness;
mod gateway;
mod network;
mod world;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::chance::seeded::{self, Dice};
use crate::clock::{Clock, Timestamp};
use crate::ids::SessionId;
use crate::message::{Envelope, Letter, Recipient, ReversePath};
use crate::pipeline::{Acceptor, Submission};
use crate::sign::TraceFacts;
use crate::tenants::Credential;
use gateway::{Running, TENANTS, registry};
use network::{DEAD, FLAKY, HEALTHY, MOODY, NOWHERE, SENDERS};
use world::{Promise, World};

/// What one seed may take of simulated time before it counts as stuck.
const LONGEST: Duration = Duration::from_hours(2);

/// A letter that a service wants to send.
struct Wish {
    number: u64,
    tenant: usize,
    to: Vec<String>,
    at: Duration,
    card: bool,
}

impl Wish {
    fn draw(number: u64, dice: &mut Dice) -> Self {
        let domains = [HEALTHY, HEALTHY, FLAKY, FLAKY, FLAKY, MOODY, DEAD, NOWHERE];
        let mut address = |n| format!("r{number}-{n}@{}", domains[dice.below(domains.len() as u64) as usize]);
        let to: Vec<String> = (0..=number % 3).map(&mut address).collect();
        Self {
            number,
            tenant: dice.below(TENANTS.len() as u64) as usize,
            to,
            at: Duration::from_millis(dice.below(240_000)),
            card: dice.below(3) == 0,
        }
    }

    fn submission(&self) -> Submission {
        let name = TENANTS[self.tenant];
        let tenant = registry().snapshot().tenant_by_name(name).unwrap().id;
        let recipients: Vec<_> = self.to.iter().map(|to| Recipient::new(to.parse().unwrap())).collect();
        let from = ReversePath::Mailbox(format!("box-{name}@{SENDERS}").parse().unwrap());
        let card = if self.card { checks::CARD } else { "" };
        let message = format!(
            "From: shop@{name}.example\r\nTo: {}\r\nSubject: simulated {}\r\nDate: Mon, 23 Nov 2026 14:05:09 +0000\r\n\
             Message-ID: <{}@{name}.example>\r\n\r\n{} {card}\r\n.\r\n",
            self.to[0],
            self.number,
            self.number,
            checks::PLAIN
        );
        Submission {
            credential: Arc::new(Credential::for_tests(name, tenant)),
            letter: Letter::new(Envelope::new(from, recipients), Bytes::from(message)),
            trace: TraceFacts {
                helo: "client.example".into(),
                client: IpAddr::from([192, 0, 2, 200]),
                protocol: "ESMTPSA",
                tls: None,
                session: SessionId::new(),
            },
        }
    }
}

/// A service that sends its letter until somebody takes it, over crashes, at most ten times.
async fn send(world: Arc<World>, running: Arc<Running>, wish: Arc<Wish>, began: Timestamp) -> bool {
    for _ in 0..10 {
        let wait = (began + wish.at).since(world.now());
        tokio::time::sleep(wait).await;
        if let Ok(id) = running.pipeline.accept(wish.submission()).await {
            let now = world.now();
            let run = world.run();
            let mut ledger = world.ledger.lock();
            let (recipients, ends) = (wish.to.clone(), vec![None; wish.to.len()]);
            let promise = Promise { recipients, ends, notice: false, noticed: false, run, at: now };
            // It may have ended before its sender read the 250.
            ledger.promise(id, promise);
            return true;
        }
        let pause = 1000 + world.below(20_000);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    true
}

/// One run: until the disk dies, its time is up, or (the last one) everything has ended. Which letters were sent?
async fn run(
    world: &Arc<World>,
    wishes: &mut Vec<Arc<Wish>>,
    began: Timestamp,
    last: bool,
    at_most: Duration,
) -> Option<Vec<String>> {
    world.begin_run();
    let running = Arc::new(gateway::start(world).ok()?);
    let mut services: Vec<_> = wishes
        .iter()
        .map(|wish| (wish.clone(), tokio::spawn(send(world.clone(), running.clone(), wish.clone(), began))))
        .collect();
    let end = world.now() + at_most;
    loop {
        tokio::time::sleep(Duration::from_millis(if last { 5000 } else { 250 })).await;
        services.retain(|(_, service)| !service.is_finished());
        let over = world.now() >= end;
        if !last && (over || world.disk.0.lock().is_dead() || world.wants_restart()) {
            break;
        }
        if last && (over || services.is_empty() && running.store.is_whole() && running.store.is_empty()) {
            return Some(checks::finish(world, &running.store));
        }
    }
    *wishes = services.into_iter().map(|(wish, _)| wish).collect();
    None
}

/// Runs one seed; what went wrong.
fn simulate(seed: u64) -> Vec<String> {
    seeded::begin(Some(seed ^ 0x5eed));
    let world = World::new(seed);
    let began = world.now();
    let mut wishes: Vec<Arc<Wish>> = {
        let mut dice = world.dice.lock();
        let count = 3 + dice.below(8);
        (0..count).map(|number| Arc::new(Wish::draw(number, &mut dice))).collect()
    };
    let crashes = world.below(4);
    for crash in 0..=crashes {
        let last = crash == crashes;
        world.plan_faults(last);
        let at_most = if last { LONGEST } else { Duration::from_millis(200 + world.below(150_000)) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let verdict = runtime.block_on(async {
            let verdict = run(&world, &mut wishes, began, last, at_most).await;
            world.end_run(Duration::from_millis(world.below(30_000)));
            verdict
        });
        drop(runtime);
        if let Some(problems) = verdict {
            seeded::begin(None);
            let takes = world.takes.lock().iter().map(|take| (take.recipient.clone(), take.run)).collect();
            LAST_TRACE.with(|trace| *trace.borrow_mut() = takes);
            return problems;
        }
        let mut disk = world.disk.0.lock();
        if world.below(2) == 0 {
            disk.restart();
        } else {
            disk.power_cut(world.below(4) as usize, 3);
        }
    }
    vec!["the last run did not start".to_owned()]
}

/// Runs the seeds from `first` on and ends with the first one that fails.
fn simulate_all(first: u64, count: u64) {
    for seed in first..first + count {
        let problems = simulate(seed);
        assert!(
            problems.is_empty(),
            "seed {seed}: {} problems:\n{}\nagain: WAXSEAL_SEED={seed} cargo nextest run -p waxseal simulation",
            problems.len(),
            problems.join("\n")
        );
    }
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// A quarter of the seeds each, so that the quarters run beside each other.
fn quarter(place: u64) {
    if let Some(seed) = number("WAXSEAL_SEED") {
        if place == 0 {
            simulate_all(seed, 1);
        }
        return;
    }
    let count = number("WAXSEAL_SEEDS").unwrap_or(1000).div_ceil(4);
    simulate_all(1 + place * count, count);
}

#[test]
fn nothing_promised_is_lost_in_the_first_quarter_of_the_seeds() {
    quarter(0);
}

#[test]
fn nothing_promised_is_lost_in_the_second_quarter_of_the_seeds() {
    quarter(1);
}

#[test]
fn nothing_promised_is_lost_in_the_third_quarter_of_the_seeds() {
    quarter(2);
}

#[test]
fn nothing_promised_is_lost_in_the_fourth_quarter_of_the_seeds() {
    quarter(3);
}

#[test]
fn the_same_seed_does_the_same_again() {
    let trace = |seed| {
        let problems = simulate(seed);
        (problems, LAST_TRACE.with(|trace| trace.borrow().clone()))
    };
    for seed in [3, 4, 5, 11] {
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
    }
}

thread_local! {
    /// What the hosts took in the last seed: recipient, run.
    static LAST_TRACE: std::cell::RefCell<Vec<(String, usize)>> = const { std::cell::RefCell::new(Vec::new()) };
}
