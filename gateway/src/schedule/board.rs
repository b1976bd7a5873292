//! The board: which letter has its next event when, which recipients wait for a connection or are under way, and
//! whose turn it is at each destination. Pure: times come in, jobs go out; nothing here knows a socket or the store.
//!
//! Every living letter has exactly one entry in the order of events (its next attempt, its delay notice or its
//! expiry, whichever is first), so that an event costs the logarithm of the queue and expiry is enforced wherever a
//! letter rests, also while it waits for a connection (see KumoMTA #539 for what happens otherwise).

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::deliver::{Destination, DestinationLimits};
use crate::ids::LetterId;
use crate::sign::MailStream;

/// Recipients of one letter that go to one destination together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The letter.
    pub id: LetterId,
    /// Its recipients, by their places in the envelope.
    pub recipients: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Busy {
    Ready,
    UnderWay,
}

#[derive(Debug)]
struct Entry {
    event: Timestamp,
    busy: Vec<(u32, Busy)>,
}

/// What a worker gets that asks for its next job.
#[derive(Debug, PartialEq, Eq)]
pub enum Turn {
    /// This one.
    Job(Job),
    /// The destination's rate allows the next one after this time.
    Wait(Duration),
    /// Nothing to do: the worker ends.
    Rest,
}

struct Lane {
    destination: Destination,
    limits: DestinationLimits,
    transactional: VecDeque<Job>,
    bulk: VecDeque<Job>,
    workers: usize,
    failures: usize,
    /// When the next message may begin, by the destination's rate.
    next_start: Timestamp,
}

impl Lane {
    fn ready(&self) -> usize {
        self.transactional.len() + self.bulk.len()
    }
}

/// See the module.
#[derive(Default)]
pub struct Board {
    letters: HashMap<LetterId, Entry>,
    events: BTreeSet<(Timestamp, LetterId)>,
    lanes: HashMap<String, Lane>,
    workers: usize,
    most_workers: usize,
    draining: bool,
}

impl Board {
    /// A board for at most `most_workers` connections in all.
    pub fn new(most_workers: usize) -> Self {
        Self { most_workers, ..Self::default() }
    }

    /// A letter's next event is at `event`; it is on the board from now on.
    pub fn set_event(&mut self, id: LetterId, event: Timestamp) {
        let entry = self.letters.entry(id).or_insert_with(|| Entry { event, busy: Vec::new() });
        self.events.remove(&(entry.event, id));
        entry.event = event;
        self.events.insert((event, id));
    }

    /// The same for a letter that was in the store before this run; one that is on the board stays as it is.
    pub fn restore_event(&mut self, id: LetterId, event: Timestamp) {
        if !self.letters.contains_key(&id) {
            self.set_event(id, event);
        }
    }

    /// A letter has ended.
    pub fn forget(&mut self, id: LetterId) {
        if let Some(entry) = self.letters.remove(&id) {
            self.events.remove(&(entry.event, id));
        }
    }

    /// The letters whose event is due, oldest event first, at most `limit`; the caller sets their next one.
    pub fn due(&self, now: Timestamp, limit: usize) -> Vec<LetterId> {
        self.events.iter().take_while(|(at, _)| *at <= now).take(limit).map(|(_, id)| *id).collect()
    }

    /// When the next event is.
    pub fn next_event(&self) -> Option<Timestamp> {
        self.events.first().map(|(at, _)| *at)
    }

    /// Every letter on the board.
    pub fn ids(&self) -> Vec<LetterId> {
        self.letters.keys().copied().collect()
    }

    /// Does this recipient wait for a connection, or is it under way?
    pub fn is_busy(&self, id: LetterId, recipient: u32) -> bool {
        self.letters.get(&id).is_some_and(|entry| entry.busy.iter().any(|(busy, _)| *busy == recipient))
    }

    /// Is this recipient under way right now?
    pub fn is_under_way(&self, id: LetterId, recipient: u32) -> bool {
        self.letters.get(&id).is_some_and(|entry| entry.busy.contains(&(recipient, Busy::UnderWay)))
    }

    /// Puts a job into its destination's queue; `true` if a worker should be started for it.
    pub fn enqueue(
        &mut self,
        job: Job,
        destination: &Destination,
        stream: MailStream,
        limits: impl FnOnce() -> DestinationLimits,
    ) -> bool {
        let Some(entry) = self.letters.get_mut(&job.id) else { return false };
        entry.busy.extend(job.recipients.iter().map(|recipient| (*recipient, Busy::Ready)));
        let lane = self.lanes.entry(destination.key.clone()).or_insert_with(|| Lane {
            destination: destination.clone(),
            limits: limits(),
            transactional: VecDeque::new(),
            bulk: VecDeque::new(),
            workers: 0,
            failures: 0,
            next_start: Timestamp::from_millis(0),
        });
        match stream {
            MailStream::Transactional => lane.transactional.push_back(job),
            MailStream::Bulk => lane.bulk.push_back(job),
        }
        self.wants_worker(&destination.key)
    }

    /// Should one more worker be started for this destination? If so, it is counted as started.
    ///
    /// Not one worker a job: a new connection is worth its handshake only if the queue grows beyond what the
    /// workers that there are take anyway; half their number waiting is the sign of that.
    fn wants_worker(&mut self, key: &str) -> bool {
        let room = self.workers < self.most_workers && !self.draining;
        let Some(lane) = self.lanes.get_mut(key) else { return false };
        let wanted = room && lane.workers < lane.limits.connections && lane.ready() > lane.workers / 2;
        if wanted {
            lane.workers += 1;
            self.workers += 1;
        }
        wanted
    }

    /// A destination that has work but no worker (the limit of all connections stood in the way), its worker
    /// counted as started.
    pub fn starved(&mut self) -> Option<Destination> {
        if self.workers >= self.most_workers || self.draining {
            return None;
        }
        let key =
            self.lanes.iter().find(|(_, lane)| lane.workers == 0 && lane.ready() > 0).map(|(key, _)| key.clone())?;
        let started = self.wants_worker(&key);
        started.then(|| self.lanes[&key].destination.clone())
    }

    /// A worker asks for its next job; on [`Turn::Rest`] it is no longer counted.
    pub fn turn(&mut self, key: &str, now: Timestamp) -> Turn {
        let Some(lane) = self.lanes.get_mut(key) else { return Turn::Rest };
        if !self.draining && lane.ready() > 0 && now < lane.next_start {
            return Turn::Wait(lane.next_start.since(now));
        }
        let job = if self.draining { None } else { lane.transactional.pop_front().or_else(|| lane.bulk.pop_front()) };
        let Some(job) = job else {
            lane.workers -= 1;
            self.workers -= 1;
            if lane.workers == 0 && lane.ready() == 0 {
                self.lanes.remove(key);
            }
            return Turn::Rest;
        };
        if let Some(rate) = lane.limits.rate {
            let begin = lane.next_start.max(now);
            lane.next_start = begin + Duration::from_secs_f64(1.0 / rate.max(0.001));
        }
        if let Some(entry) = self.letters.get_mut(&job.id) {
            for (recipient, busy) in &mut entry.busy {
                if job.recipients.contains(recipient) {
                    *busy = Busy::UnderWay;
                }
            }
        }
        Turn::Job(job)
    }

    /// Recipients are neither waiting for a connection nor under way any more.
    pub fn done(&mut self, id: LetterId, recipients: &[u32]) {
        if let Some(entry) = self.letters.get_mut(&id) {
            entry.busy.retain(|(recipient, _)| !recipients.contains(recipient));
        }
    }

    /// Takes recipients out of their destination's queue (a person or expiry decided otherwise); those that are
    /// under way stay. Returns those that may be changed now, which count as under way until [`Board::done`].
    pub fn withdraw(&mut self, id: LetterId, recipients: &[u32]) -> Vec<u32> {
        let Some(entry) = self.letters.get_mut(&id) else { return recipients.to_vec() };
        let under_way = |recipient: &u32| entry.busy.contains(&(*recipient, Busy::UnderWay));
        let free: Vec<u32> = recipients.iter().copied().filter(|recipient| !under_way(recipient)).collect();
        let was_ready = entry.busy.iter().any(|(recipient, busy)| *busy == Busy::Ready && free.contains(recipient));
        entry.busy.retain(|(recipient, _)| !free.contains(recipient));
        entry.busy.extend(free.iter().map(|recipient| (*recipient, Busy::UnderWay)));
        if was_ready {
            for lane in self.lanes.values_mut() {
                for job in lane.transactional.iter_mut().chain(&mut lane.bulk).filter(|job| job.id == id) {
                    job.recipients.retain(|recipient| !free.contains(recipient));
                }
                lane.transactional.retain(|job| !job.recipients.is_empty());
                lane.bulk.retain(|job| !job.recipients.is_empty());
            }
        }
        free
    }

    /// An attempt failed before the destination was asked anything. If as many failed in a row as workers are at
    /// it (one refused connection of many is not a dead host), every job that waits there is handed back.
    pub fn unreachable(&mut self, key: &str) -> Vec<Job> {
        let Some(lane) = self.lanes.get_mut(key) else { return Vec::new() };
        lane.failures += 1;
        if lane.failures < lane.workers {
            return Vec::new();
        }
        lane.transactional.drain(..).chain(lane.bulk.drain(..)).collect()
    }

    /// The destination answered.
    pub fn reachable(&mut self, key: &str) {
        if let Some(lane) = self.lanes.get_mut(key) {
            lane.failures = 0;
        }
    }

    /// How many jobs wait at a destination, its workers and their limit; for `queue why`.
    pub fn lane(&self, key: &str) -> Option<(usize, usize, usize)> {
        self.lanes.get(key).map(|lane| (lane.ready(), lane.workers, lane.limits.connections))
    }

    /// No worker takes another job.
    pub fn start_draining(&mut self) {
        self.draining = true;
    }

    /// Workers that run.
    pub fn workers(&self) -> usize {
        self.workers
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deliver::DestinationKind;

    fn destination(name: &str) -> Destination {
        Destination { key: name.to_owned(), kind: DestinationKind::Mx(name.parse().unwrap()), site: None }
    }

    fn limits(connections: usize, rate: Option<f64>) -> DestinationLimits {
        DestinationLimits { connections, messages_per_connection: 100, rate }
    }

    fn id(n: u64) -> LetterId {
        LetterId::new(at(n))
    }

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(millis)
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
        let ids: Vec<_> = (0..3).map(id).collect();
        let streams = [MailStream::Bulk, MailStream::Bulk, MailStream::Transactional];
        let mut started = 0;
        for (id, stream) in ids.iter().zip(streams) {
            board.set_event(*id, at(1000));
            let job = Job { id: *id, recipients: vec![0] };
            started += usize::from(board.enqueue(job, &to, stream, || limits(2, None)));
        }
        assert_eq!((started, board.workers()), (2, 2));
        assert_eq!(board.turn("example.net", at(0)), Turn::Job(Job { id: ids[2], recipients: vec![0] }));
        assert_eq!(board.turn("example.net", at(0)), Turn::Job(Job { id: ids[0], recipients: vec![0] }));
        assert!(board.is_under_way(ids[0], 0) && !board.is_under_way(ids[1], 0));
        assert_eq!(board.withdraw(ids[1], &[0]), [0]);
        assert_eq!(board.withdraw(ids[0], &[0]), [] as [u32; 0], "what is under way stays");
        assert_eq!(board.turn("example.net", at(0)), Turn::Rest);
        assert_eq!(board.turn("example.net", at(0)), Turn::Rest);
        assert_eq!((board.workers(), board.lane("example.net")), (0, None));
    }

    #[test]
    fn a_rate_makes_workers_wait() {
        let mut board = Board::new(10);
        let to = destination("example.net");
        for n in 0..2 {
            board.set_event(id(n), at(1000));
        }
        let ids = board.ids();
        for id in &ids {
            board.enqueue(Job { id: *id, recipients: vec![0] }, &to, MailStream::Bulk, || limits(1, Some(10.0)));
        }
        assert!(matches!(board.turn("example.net", at(500)), Turn::Job(_)));
        assert_eq!(board.turn("example.net", at(500)), Turn::Wait(Duration::from_millis(100)));
        assert!(matches!(board.turn("example.net", at(600)), Turn::Job(_)));
    }

    #[test]
    fn the_limit_of_all_connections_starves_nobody_for_ever() {
        let mut board = Board::new(1);
        for (n, name) in ["a.example", "b.example"].iter().enumerate() {
            board.set_event(id(n as u64), at(1000));
            let letter = *board.letters.keys().find(|id| id.accepted_at() == at(n as u64)).unwrap();
            board.enqueue(Job { id: letter, recipients: vec![0] }, &destination(name), MailStream::Bulk, || {
                limits(5, None)
            });
        }
        assert_eq!(board.workers(), 1);
        assert_eq!(board.starved(), None);
        assert!(matches!(board.turn("a.example", at(0)), Turn::Job(_)));
        assert_eq!(board.turn("a.example", at(0)), Turn::Rest);
        assert_eq!(board.starved().unwrap().key, "b.example");
    }
}
