use std::collections::HashMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::deliver::DestinationKind;
use crate::schedule::limit::Limit;

fn destination(name: &str) -> Destination {
    Destination { key: name.to_owned(), kind: DestinationKind::Mx(name.parse().unwrap()), rules: None, site: None }
}

fn limits(connections: usize, rate: Option<f64>) -> DestinationLimits {
    DestinationLimits { connections, messages_per_connection: 100, rate }
}

fn id(n: u64) -> LetterId {
    LetterId::from_bytes(u128::from(n).to_be_bytes())
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

const NOW: Timestamp = Timestamp::from_millis(0);

fn share(tenant: u32, stream: MailStream) -> Share {
    Share { tenant: TenantId(tenant), stream, cost: 1 }
}

fn job(n: u64) -> Job {
    job_of(n, share(1, MailStream::Bulk))
}

fn job_of(n: u64, share: Share) -> Job {
    Job { id: id(n), recipients: vec![0], share }
}

/// Puts letter `n` of a tenant into a lane.
fn enqueue(board: &mut Board, n: u64, to: &str, tenant: u32, allowed: DestinationLimits) -> bool {
    board.set_event(id(n), at(1000));
    board.enqueue(job_of(n, share(tenant, MailStream::Bulk)), &destination(to), NOW, || allowed)
}

#[test]
fn events_come_in_their_order_and_a_letter_has_one() {
    let mut board = Board::new(10);
    let (a, b) = (id(1), id(2));
    board.set_event(a, at(50));
    board.set_event(b, at(20));
    board.set_event(a, at(10));
    assert_eq!(board.due(at(15), 10), [a]);
    assert_eq!(board.due(at(99), 10), [a, b]);
    board.forget(a);
    assert_eq!(board.next_event(), Some(at(20)));
}

#[test]
fn a_destination_gets_no_more_workers_than_its_limit_and_transactional_mail_goes_first() {
    let mut board = Board::new(10);
    let to = destination("example.net");
    let streams = [MailStream::Bulk, MailStream::Bulk, MailStream::Transactional];
    let mut started = 0;
    for (n, stream) in (0..3).zip(streams) {
        board.set_event(id(n), at(1000));
        started += usize::from(board.enqueue(job_of(n, share(1, stream)), &to, NOW, || limits(2, None)));
    }
    assert_eq!((started, board.workers()), (2, 2));
    assert_eq!(board.turn("example.net", NOW), Turn::Job(job_of(2, share(1, MailStream::Transactional))));
    assert_eq!(board.turn("example.net", NOW), Turn::Job(job(0)));
    assert!(board.is_under_way(id(0), 0) && !board.is_under_way(id(1), 0));
    assert_eq!(board.withdraw(id(1), &[0]), [0]);
    assert_eq!(board.withdraw(id(0), &[0]), [] as [u32; 0], "what is under way stays");
    assert_eq!(board.turn("example.net", NOW), Turn::Rest);
    assert_eq!(board.turn("example.net", NOW), Turn::Rest);
    assert_eq!((board.workers(), board.lane("example.net", TenantId(1), NOW)), (0, None));
}

#[test]
fn what_was_withdrawn_and_came_back_is_taken_once() {
    let mut board = Board::new(1);
    enqueue(&mut board, 1, "a.example", 1, limits(1, None));
    assert_eq!(board.withdraw(id(1), &[0]), [0]);
    board.done(id(1), &[0]);
    enqueue(&mut board, 1, "a.example", 1, limits(1, None));
    assert_eq!(board.turn("a.example", NOW), Turn::Job(job(1)));
    assert_eq!(board.turn("a.example", NOW), Turn::Rest);
}

#[test]
fn a_dead_destination_hands_back_what_waits_and_nobody_else_touches_it() {
    let mut board = Board::new(4);
    for n in 0..3 {
        enqueue(&mut board, n, "dead.example", 1, limits(1, None));
    }
    assert_eq!(board.turn("dead.example", NOW), Turn::Job(job(0)));
    board.withdraw(id(2), &[0]);
    assert_eq!(board.unreachable("dead.example"), [job(1)]);
    assert_eq!(board.withdraw(id(1), &[0]), [] as [u32; 0]);
}

#[test]
fn a_domain_whose_site_becomes_known_takes_everything_along() {
    let mut board = Board::new(4);
    for n in 0..3 {
        enqueue(&mut board, n, "a.example", 1, limits(1, None));
    }
    let site = Destination { site: Some("mx/mx.example".into()), ..destination("a.example") };
    let Turn::Job(first) = board.turn("a.example", NOW) else { panic!("no job") };
    board.withdraw(id(2), &[0]);
    assert!(board.relocate(("a.example", true), first, &site, NOW, || limits(2, None)));
    assert_eq!(board.turn("a.example", NOW), Turn::Rest);
    assert_eq!(board.turn("mx/mx.example", NOW), Turn::Job(job(0)));
    assert_eq!(board.turn("mx/mx.example", NOW), Turn::Job(job(1)));
    assert_eq!(board.turn("mx/mx.example", NOW), Turn::Rest);
}

#[test]
fn a_site_that_asks_for_less_gets_less_and_is_remembered() {
    let mut board = Board::new(9);
    for n in 0..9 {
        enqueue(&mut board, n, "a.example", 1, limits(4, None));
    }
    assert_eq!(board.workers(), 4);
    assert!(matches!(board.turn("a.example", at(1)), Turn::Job(_)));
    let said = SlowDown { by: "any".into(), text: "421 slow down".into() };
    let view = board.asked_for_less("a.example", at(1), at(2), said.clone()).unwrap();
    assert_eq!((view.connections, view.limit, view.limit()), (2, 4, Limit::SlowDown));
    assert_eq!(board.asked_for_less("a.example", at(1), at(3), said), None);
    assert_eq!(board.turn("a.example", at(3)), Turn::Rest, "two too many");
    assert_eq!(board.turn("a.example", at(3)), Turn::Rest);
    while board.workers() > 0 {
        board.turn("a.example", at(4));
    }
    assert_eq!(board.slowed(at(5)), 1, "the site is remembered though nothing waits");
    assert_eq!(board.wake(at(2 + 299_999)), [] as [LaneKey; 0]);
    assert_eq!(board.lanes.len(), 1);
    board.wake(at(2 + 300_000));
    assert_eq!((board.lanes.len(), board.sleeping.len()), (0, 0));
}

#[test]
fn a_rate_makes_a_lane_sleep_and_outlives_an_empty_lane() {
    let mut board = Board::new(10);
    for n in 0..2 {
        enqueue(&mut board, n, "example.net", 1, limits(4, Some(10.0)));
    }
    assert_eq!(board.workers(), 2);
    assert!(matches!(board.turn("example.net", NOW), Turn::Job(_)));
    assert_eq!(board.turn("example.net", NOW), Turn::Rest, "nobody waits with a connection's place taken");
    assert_eq!(board.next_event(), Some(at(100)));
    assert_eq!(board.wake(at(99)), [] as [LaneKey; 0]);
    assert_eq!(board.turn("example.net", at(99)), Turn::Rest);
    assert_eq!(board.wake(at(100)).len(), 1);
    assert!(matches!(board.turn("example.net", at(100)), Turn::Job(_)));
    assert_eq!(board.turn("example.net", at(101)), Turn::Rest);
    assert!(!enqueue(&mut board, 2, "example.net", 1, limits(4, Some(10.0))), "the rate is remembered");
    assert_eq!(board.wake(at(200)).len(), 1);
    assert!(matches!(board.turn("example.net", at(200)), Turn::Job(_)));
}

#[test]
fn a_high_rate_is_kept_though_timers_are_late() {
    let mut board = Board::new(10);
    for n in 0..400 {
        enqueue(&mut board, n, "example.net", 1, limits(4, Some(200.0)));
    }
    let (mut sent, mut running) = (0, board.workers());
    for now in (0..1000).step_by(20).map(|millis| at(millis + 1000)) {
        running += board.wake(now).len();
        while running > 0 {
            match board.turn("example.net", now) {
                Turn::Job(_) => sent += 1,
                _ => running -= 1,
            }
        }
    }
    assert!((195..=215).contains(&sent), "{sent}");
}

#[test]
fn at_the_limit_of_all_connections_every_destination_has_its_turn() {
    let mut board = Board::new(2);
    let names: Vec<String> = (0..50).map(|n| format!("d{n}.example")).collect();
    let mut workers: Vec<LaneKey> = Vec::new();
    for n in 0..5000 {
        // One lane has most of the letters.
        let to = &names[if n % 10 == 0 { (n / 10 % 50) as usize } else { 0 }];
        if enqueue(&mut board, n, to, 1, limits(20, None)) {
            workers.push(to.as_str().into());
        }
    }
    let mut order = Vec::new();
    while !workers.is_empty() {
        for place in (0..workers.len()).rev() {
            match board.turn(&workers[place], NOW) {
                Turn::Job(_) => order.push(workers[place].clone()),
                Turn::Move(next) => workers[place] = next,
                Turn::Rest => drop(workers.remove(place)),
            }
        }
    }
    assert_eq!(order.len(), 5000);
    let first = |name: &str| order.iter().position(|lane| &**lane == name).unwrap();
    let latest = names.iter().map(|name| first(name)).max().unwrap();
    assert!(latest < 50 * 8 + 2 * 8, "the last one began after {latest} letters");
}

/// A burst into one lane and a letter of somebody else into another, with all connections in use by the burst: the
/// first connection that ends a letter goes to it.
#[test]
fn a_burst_that_holds_every_connection_gives_one_up_after_its_next_letter() {
    let mut board = Board::new(20);
    for n in 0..100_000 {
        enqueue(&mut board, n, "burst.example", 1, limits(20, None));
    }
    for n in 0..20 {
        assert!(matches!(board.turn("burst.example", NOW), Turn::Job(_)));
        board.reachable("burst.example", true);
        assert_eq!(board.staff("burst.example", NOW), n < 15, "one connection more for each letter that got through");
    }
    assert!(!enqueue(&mut board, 200_000, "quiet.example", 2, limits(20, None)));
    assert!(board.lane("quiet.example", TenantId(2), NOW).unwrap().crowded_out);
    assert_eq!(board.turn("burst.example", NOW), Turn::Move("quiet.example".into()));
    assert_eq!(board.turn("quiet.example", NOW), Turn::Job(job_of(200_000, share(2, MailStream::Bulk))));
    assert_eq!(board.turn("quiet.example", NOW), Turn::Move("burst.example".into()));
}

/// Workers as the runner has them, in an order that chance decides.
struct Crew {
    board: Board,
    workers: Vec<LaneKey>,
    now: Timestamp,
    served: HashMap<(u32, String), usize>,
    under_way: Vec<Job>,
}

impl Crew {
    fn step(&mut self, place: usize) {
        let place = place % self.workers.len();
        let lane = self.workers[place].clone();
        match self.board.turn(&lane, self.now) {
            Turn::Job(job) => {
                self.under_way.push(job);
                if self.board.staff(&lane, self.now) {
                    self.workers.push(lane);
                }
            }
            Turn::Move(next) => self.workers[place] = next,
            Turn::Rest => drop(self.workers.remove(place)),
        }
    }

    fn check(&self, most: usize) -> Result<(), TestCaseError> {
        let board = &self.board;
        prop_assert_eq!(board.workers, self.workers.len());
        prop_assert!(board.workers <= most);
        prop_assert_eq!(board.lanes.values().map(|lane| lane.workers).sum::<usize>(), board.workers);
        for (name, lane) in &board.lanes {
            prop_assert!(lane.workers <= lane.limits.connections);
            prop_assert!(lane.workers > 0 || !lane.jobs.is_empty() || lane.wakes.is_some());
            let waits = lane.workers == 0 && !lane.jobs.is_empty();
            // Whoever has work and no worker is in a line, and nobody is in line while a connection is free.
            prop_assert!(!waits || lane.ticket.is_some() || lane.wakes.is_some(), "{} is forgotten", name);
            prop_assert!(lane.ticket.is_none() || board.workers == most, "{} waits for nothing", name);
            let entry = lane.ticket.map(|ticket| (lane.workers, ticket, name.clone()));
            prop_assert!(entry.is_none_or(|entry| board.wanting.contains(&entry)));
        }
        prop_assert_eq!(board.wanting.len(), board.lanes.values().filter(|lane| lane.ticket.is_some()).count());
        prop_assert_eq!(board.sleeping.len(), board.lanes.values().filter(|lane| lane.wakes.is_some()).count());
        Ok(())
    }
}

proptest! {
    /// Whatever comes in whatever order: limits hold, no lane is forgotten, nothing is taken twice, everything ends.
    #[test]
    fn nobody_is_forgotten(
        most in 1usize..6,
        letters in prop::collection::vec((0usize..8, 0u32..4, any::<bool>()), 1..200),
        order in prop::collection::vec((any::<usize>(), 0u64..40, prop::bool::weighted(0.1)), 1..400),
    ) {
        let names = ["a", "b", "c", "d", "e", "f", "g", "slow"];
        let mut crew =
            Crew { board: Board::new(most), workers: vec![], now: at(0), served: HashMap::new(), under_way: vec![] };
        let mut letters: Vec<_> = letters.into_iter().enumerate().collect();
        let total = letters.len();
        let mut done = 0;
        let mut steps = order.into_iter();
        for round in 0.. {
            let (place, pause, withdraw) = steps.next().unwrap_or((round, 7, false));
            crew.now = crew.now + Duration::from_millis(pause);
            if let Some((n, (to, tenant, transactional))) = letters.pop() {
                let rate = (names[to] == "slow").then_some(100.0);
                let stream = if transactional { MailStream::Transactional } else { MailStream::Bulk };
                crew.board.set_event(id(n as u64), at(1_000_000));
                let lane = destination(&format!("{}.example", names[to]));
                let job = job_of(n as u64, share(tenant, stream));
                let start = crew.board.enqueue(job, &lane, crew.now, || limits(3, rate));
                if start {
                    crew.workers.push(lane.key.as_str().into());
                }
                *crew.served.entry((tenant, lane.key)).or_default() += 1;
                if withdraw {
                    let free = crew.board.withdraw(id(n as u64), &[0]);
                    crew.board.done(id(n as u64), &free);
                    crew.board.forget(id(n as u64));
                    done += free.len();
                }
            }
            for lane in crew.board.wake(crew.now) {
                crew.workers.push(lane);
            }
            if !crew.workers.is_empty() {
                crew.step(place);
            }
            crew.check(most)?;
            for job in crew.under_way.drain(..) {
                prop_assert!(crew.board.is_under_way(job.id, 0));
                crew.board.done(job.id, &job.recipients);
                crew.board.forget(job.id);
                done += 1;
            }
            if done == total && crew.workers.is_empty() && letters.is_empty() {
                break;
            }
            prop_assert!(round < 5000, "{} of {} ended", done, total);
        }
    }
}

/// The figures of ops/bench/README.md: with so many letters waiting, one of them is delivered and another comes, and now
/// and then one is withdrawn.
#[test]
#[ignore = "a bench: cargo nextest run --release -p waxseal --run-ignored only --no-capture the_cost_of_an_event"]
fn the_cost_of_an_event() {
    const EVENTS: u64 = 200_000;
    for letters in [1_000u64, 10_000, 100_000, 1_000_000] {
        let lanes: Vec<Destination> = (0..1000).map(|n| destination(&format!("d{n}.example"))).collect();
        let (mut board, mut workers, mut next) = (Board::new(500), Vec::<LaneKey>::new(), 0);
        let mut come = |board: &mut Board, workers: &mut Vec<LaneKey>| {
            let stream = if next % 3 == 0 { MailStream::Bulk } else { MailStream::Transactional };
            let (to, share) = (&lanes[(next * 7919 % 1000) as usize], share((next % 100) as u32, stream));
            board.set_event(id(next), at(1_000_000 + next * 7919 % 1_000_000));
            if board.enqueue(job_of(next, share), to, NOW, || limits(20, None)) {
                workers.push(to.lane().into());
            }
            next += 1;
        };
        for _ in 0..letters {
            come(&mut board, &mut workers);
        }
        let begun = std::time::Instant::now();
        let (mut done, mut place) = (0, 0);
        while done < EVENTS {
            place = (place + 1) % workers.len();
            match board.turn(&workers[place], NOW) {
                Turn::Job(job) => {
                    board.done(job.id, &job.recipients);
                    board.forget(job.id);
                    board.reachable(&workers[place], true);
                    if board.staff(&workers[place], NOW) {
                        workers.push(workers[place].clone());
                    }
                    done += 1;
                    if done % 10 == 0 {
                        let one = id(done + done * 7919 % letters);
                        let free = board.withdraw(one, &[0]);
                        board.done(one, &free);
                    }
                    come(&mut board, &mut workers);
                    assert!(board.due(NOW, 1).is_empty());
                }
                Turn::Move(lane) => workers[place] = lane,
                Turn::Rest => drop(workers.swap_remove(place)),
            }
            if workers.is_empty() {
                come(&mut board, &mut workers);
            }
        }
        let nanos = begun.elapsed().as_nanos() / u128::from(EVENTS);
        println!("{letters} letters, {} tenants, {} lanes: {nanos} ns an event", 100, lanes.len());
    }
}
