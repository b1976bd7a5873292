use super::*;
use crate::clock::ManualClock;
use crate::deliver::tls_report::book::{PolicyKind, ReportedPolicy};
use crate::resolver::{DnsFailure, StaticResolver};
use crate::store::ledger::MemoryLedger;

/// Both ways out: what was sent, and whether it is taken.
#[derive(Default)]
struct Ways {
    mailed: Mutex<Vec<(String, String)>>,
    posted: Mutex<Vec<String>>,
    refuse: Mutex<bool>,
    no_sender: bool,
}

#[async_trait::async_trait]
impl ReportMailer for Ways {
    fn sender(&self) -> Option<Mailbox> {
        (!self.no_sender).then(|| "reports@relay.example".parse().unwrap())
    }

    async fn send(&self, _from: &Mailbox, to: &Mailbox, message: Vec<u8>) -> Result<(), String> {
        self.mailed.lock().push((to.to_string(), String::from_utf8(message).unwrap()));
        Ok(())
    }
}

#[async_trait::async_trait]
impl ReportPoster for Ways {
    async fn post(&self, host: &DomainName, _port: Option<u16>, path: &str, _body: Bytes) -> Result<u16, String> {
        if *self.refuse.lock() {
            return Ok(503);
        }
        self.posted.lock().push(format!("{host}{path}"));
        Ok(201)
    }
}

struct World {
    dns: Arc<StaticResolver>,
    clock: Arc<ManualClock>,
    book: Arc<Book>,
    ways: Arc<Ways>,
    reporter: Reporter,
}

impl World {
    fn new(no_sender: bool) -> Self {
        let ledger = Arc::new(MemoryLedger::default());
        let (dns, book) = (Arc::new(StaticResolver::new()), Arc::new(Book::open(ledger.clone())));
        let clock = Arc::new(ManualClock::new(Timestamp::parse_rfc3339("2026-11-24T12:00:00Z").unwrap()));
        let ways = Arc::new(Ways { no_sender, ..Ways::default() });
        let by = Reporting {
            organization: "Relay".into(),
            contact: "postmaster@relay.example".into(),
            submitter: "mx1.relay.example".parse().unwrap(),
        };
        let reporter = Reporter::new(ReporterParts {
            book: book.clone(),
            dead: Arc::new(DeadAddresses::open(ledger)),
            resolver: dns.clone(),
            mailer: ways.clone(),
            poster: ways.clone(),
            clock: clock.clone(),
            by,
        });
        let policy = ReportedPolicy {
            kind: PolicyKind::NoPolicyFound,
            domain: "there.example".into(),
            text: vec![],
            mx: vec![],
        };
        book.count(clock.now(), &"there.example".parse().unwrap(), policy, None);
        dns.set_txt("_smtp._tls.there.example", Ok("v=TLSRPTv1; rua=mailto:tls@there.example,https://r.example/up"));
        clock.advance(Duration::from_hours(17));
        Self { dns, clock, book, ways, reporter }
    }

    fn left(&self) -> usize {
        self.clock.advance(LONGEST_WAIT);
        self.book.due(self.clock.now()).len()
    }
}

#[tokio::test]
async fn a_report_goes_to_every_address_once() {
    let world = World::new(false);
    world.reporter.round().await;
    world.reporter.round().await;
    assert_eq!(*world.ways.posted.lock(), ["r.example/up"]);
    let mailed = world.ways.mailed.lock().clone();
    assert_eq!((mailed.len(), mailed[0].0.as_str()), (1, "tls@there.example"));
    assert_eq!(world.left(), 0);
}

#[tokio::test]
async fn a_way_that_fails_is_tried_again_alone_and_then_rests() {
    let world = World::new(false);
    *world.ways.refuse.lock() = true;
    for _ in 0..40 {
        world.reporter.round().await;
        world.clock.advance(LONGEST_WAIT);
    }
    assert_eq!(world.ways.mailed.lock().len(), 1, "the other way was taken once");
    assert_eq!(world.left(), 0, "given up");
    assert!(
        !world
            .reporter
            .parts
            .dead
            .allows("https://r.example/up", Timestamp::parse_rfc3339("2026-11-27T00:00:00Z").unwrap())
    );
}

#[tokio::test]
async fn a_domain_without_a_record_gets_no_report_and_dns_that_fails_delays_it() {
    let world = World::new(false);
    world.dns.set_txt("_smtp._tls.there.example", Err(DnsFailure::ServFail));
    world.reporter.round().await;
    assert_eq!(world.left(), 1);
    world.dns.set_txt("_smtp._tls.there.example", Err(DnsFailure::NoSuchName));
    world.reporter.round().await;
    assert_eq!((world.left(), world.ways.posted.lock().len()), (0, 0));
}

#[tokio::test]
async fn without_a_domain_to_sign_as_reports_go_by_https_only() {
    let world = World::new(true);
    world.reporter.round().await;
    assert_eq!((world.ways.mailed.lock().len(), world.ways.posted.lock().len(), world.left()), (0, 1, 0));
}
