//! The room as a whole: on a disk in memory that can be cut off, with a classifier that counts words and can fail.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use waxseal_keys::sealing::DataKey;

use super::*;
use crate::clock::{Clock, ManualClock, Timestamp};
use crate::ids::TenantId;
use crate::redact::Policy;
use crate::store::control::{DiskError, Record, Write};
use crate::store::journal::TenantKeys;

type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// Keeps what was synced apart from what was only applied.
#[derive(Default)]
struct MemoryDisk {
    seen: Mutex<Contents>,
    synced: Mutex<Contents>,
    syncs: AtomicUsize,
    broken: AtomicBool,
}

impl MemoryDisk {
    fn after_power_cut(&self) -> Arc<Self> {
        let synced = self.synced.lock().clone();
        Arc::new(Self { seen: Mutex::new(synced.clone()), synced: Mutex::new(synced), ..Self::default() })
    }
}

impl PostDisk for MemoryDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, DiskError> {
        Ok(self.seen.lock().get(key).cloned())
    }

    fn scan(&self, prefix: &[u8], each: &mut dyn FnMut(Record) -> bool) -> Result<(), DiskError> {
        let records: Vec<Record> = {
            let seen = self.seen.lock();
            let from = seen.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
            from.map(|(key, value)| (key.clone(), value.clone())).collect()
        };
        records.into_iter().all(each);
        Ok(())
    }

    fn apply(&self, writes: &[Write]) -> Result<(), DiskError> {
        let mut seen = self.seen.lock();
        for (key, value) in writes {
            match value {
                Some(value) => seen.insert(key.clone(), value.clone()),
                None => seen.remove(key),
            };
        }
        Ok(())
    }

    fn sync(&self) -> Result<(), DiskError> {
        if self.broken.load(Ordering::SeqCst) {
            return Err(DiskError::Refused("no space".into()));
        }
        self.syncs.fetch_add(1, Ordering::SeqCst);
        *self.synced.lock() = self.seen.lock().clone();
        Ok(())
    }
}

type Lessons = BTreeMap<u64, (String, bool)>;

/// Knows the word "casino"; a learned word moves it. Its state is exactly what was learned.
#[derive(Default)]
struct WordCounter {
    learned: Mutex<HashMap<u32, Lessons>>,
    broken: AtomicBool,
}

impl Classifier for WordCounter {
    fn score(&self, tenant: TenantId, facts: &Facts) -> Result<Score, ClassifierError> {
        assert!(!facts.text.contains("panic now"), "asked to");
        if self.broken.load(Ordering::SeqCst) {
            return Err(ClassifierError("broken".into()));
        }
        let mut logit = if facts.text.contains("casino") { 6.0 } else { -6.0 };
        if facts.text.contains("perhaps") {
            logit = 0.0;
        }
        for (text, spam) in self.learned.lock().get(&tenant.0).into_iter().flatten().map(|(_, lesson)| lesson) {
            if *text == facts.text {
                logit += if *spam { 8.0 } else { -8.0 };
            }
        }
        let probability = 1.0 / (1.0 + f64::exp(-logit));
        Ok(Score { probability, reasons: vec![Reason { signal: "word \"casino\"".into(), weight: logit }] })
    }

    fn learn(&self, tenant: TenantId, lesson: &Lesson) {
        let kept = (lesson.facts.text.clone(), lesson.spam);
        self.learned.lock().entry(tenant.0).or_default().insert(lesson.number, kept);
    }

    fn unlearn(&self, tenant: TenantId, number: u64) {
        self.learned.lock().entry(tenant.0).or_default().remove(&number);
    }

    fn save(&self, tenant: TenantId) -> Vec<u8> {
        postcard::to_stdvec(&self.learned.lock().get(&tenant.0).cloned().unwrap_or_default()).unwrap()
    }

    fn load(&self, tenant: TenantId, saved: &[u8]) -> Result<(), ClassifierError> {
        let learned = postcard::from_bytes(saved).map_err(|e| ClassifierError(e.to_string()))?;
        self.learned.lock().insert(tenant.0, learned);
        Ok(())
    }
}

struct Keys(HashMap<u32, Arc<DataKey>>);

impl TenantKeys for Keys {
    fn data_key(&self, tenant: TenantId) -> Option<Arc<DataKey>> {
        self.0.get(&tenant.0).cloned()
    }
}

const ACME: (TenantId, &str) = (TenantId(1), "acme");
const OTHER: (TenantId, &str) = (TenantId(2), "other");

struct World {
    posts: Arc<Posts>,
    disk: Arc<MemoryDisk>,
    filter: Arc<WordCounter>,
    clock: Arc<ManualClock>,
    keys: Arc<Keys>,
}

impl World {
    fn new() -> Self {
        let key = || Arc::new(DataKey::generate().unwrap());
        let keys = Arc::new(Keys(HashMap::from([(1, key()), (2, key())])));
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_795_000_000_000)));
        Self::on(Arc::default(), clock, keys)
    }

    fn on(disk: Arc<MemoryDisk>, clock: Arc<ManualClock>, keys: Arc<Keys>) -> Self {
        let filter = Arc::new(WordCounter::default());
        let (posts, opened) =
            Posts::open_on(disk.clone(), keys.clone(), filter.clone(), clock.clone(), Settings::default()).unwrap();
        assert_eq!(opened.damaged, 0);
        Self { posts, disk, filter, clock, keys }
    }

    /// The machine lost power; this is what the next start finds.
    fn after_power_cut(&self) -> Self {
        Self::on(self.disk.after_power_cut(), self.clock.clone(), self.keys.clone())
    }

    async fn submit_as(&self, tenant: (TenantId, &str), id: &str, author: &str, text: &str) -> Answer {
        let submission =
            Submission { id: Some(id.into()), text: text.into(), author: Some(author.into()), ..Submission::default() };
        self.posts.submit(tenant.0, tenant.1, submission, Source::Api, Policy::default()).await.unwrap()
    }

    async fn submit(&self, id: &str, text: &str) -> PostState {
        self.submit_as(ACME, id, "ann", text).await.post.state
    }

    async fn decide(&self, action: Action, id: &str, by: &str) -> Result<Done, PostError> {
        let asked = Asked::Posts(vec![(PostId::parse(id).unwrap(), None)]);
        self.posts.decide(ACME, action, asked, by, None, None).await
    }

    fn show(&self, id: &str) -> Post {
        self.posts.show(ACME.0, &PostId::parse(id).unwrap()).unwrap().0
    }

    fn told(&self, cursor: u64) -> Vec<(String, &'static str)> {
        let posts = self.posts.changes(ACME.0, None, cursor, false, 100).unwrap();
        posts.into_iter().map(|post| (post.id.to_string(), post.state.name())).collect()
    }

    fn pass(&self, span: Duration) {
        self.clock.advance(span);
        let posts = self.posts.clone();
        std::thread::spawn(move || posts.keep_once().unwrap()).join().unwrap();
    }
}

#[tokio::test]
async fn a_verdict_is_durable_and_the_same_id_is_the_same_post() {
    let world = World::new();
    assert_eq!(world.submit("1", "how do I reset my password").await, PostState::Published);
    assert_eq!(world.submit("2", "perhaps fine").await, PostState::Held);
    assert_eq!(world.submit("3", "casino").await, PostState::Spam);
    let again = world.submit_as(ACME, "3", "ann", "casino").await;
    assert!(!again.new && again.post.state == PostState::Spam);
    let later = world.after_power_cut();
    assert_eq!(later.show("2").state, PostState::Held);
    let again = later.submit_as(ACME, "2", "ann", "perhaps fine").await;
    assert!(!again.new && again.post.version == 1);
    assert!(later.posts.show(OTHER.0, &PostId::parse("2").unwrap()).is_err(), "tenants are walls");
}

#[tokio::test]
async fn a_failing_classifier_or_disk_publishes_nothing() {
    let world = World::new();
    assert_eq!(world.submit("1", "panic now").await, PostState::Held);
    world.filter.broken.store(true, Ordering::SeqCst);
    let held = world.submit_as(ACME, "2", "ann", "good").await.post;
    assert_eq!((held.state, held.causes), (PostState::Held, vec![Cause::ClassifierFailed]));
    world.filter.broken.store(false, Ordering::SeqCst);
    world.disk.broken.store(true, Ordering::SeqCst);
    let submission = Submission { id: Some("3".into()), text: "good".into(), ..Submission::default() };
    let failed = world.posts.submit(ACME.0, ACME.1, submission.clone(), Source::Api, Policy::default()).await;
    assert!(matches!(failed, Err(PostError::Store(_))));
    world.disk.broken.store(false, Ordering::SeqCst);
    let closed = world.posts.submit(ACME.0, ACME.1, submission, Source::Api, Policy::default()).await;
    assert!(matches!(closed, Err(PostError::Store(_))), "after a failed sync nothing is taken");
}

#[tokio::test]
async fn nothing_readable_lies_on_the_disk() {
    let world = World::new();
    world.submit("secret-id", "perhaps my card is 4111 1111 1111 1111 and a plainword").await;
    let (_, body, _) = world.posts.show(ACME.0, &PostId::parse("secret-id").unwrap()).unwrap();
    assert_eq!(body.text, "perhaps my card is **** **** **** 1111 and a plainword");
    let disk = world.disk.seen.lock();
    let octets: Vec<u8> = disk.iter().flat_map(|(key, value)| key.iter().chain(value).copied()).collect();
    for word in ["plainword", "secret-id", "4111", "ann"] {
        assert!(!octets.windows(word.len()).any(|window| window == word.as_bytes()), "{word}");
    }
}

#[tokio::test]
async fn a_decision_is_told_after_ten_seconds_and_an_undo_before_is_never_told() {
    let world = World::new();
    world.submit("1", "perhaps one").await;
    world.submit("2", "perhaps two").await;
    let cursor = world.posts.changes(ACME.0, None, 0, false, 100).unwrap().last().unwrap().change;
    world.decide(Action::Approve, "1", "kim").await.unwrap();
    world.decide(Action::Spam, "2", "kim").await.unwrap();
    assert_eq!(world.told(cursor), []);
    world.decide(Action::Undo, "2", "kim").await.unwrap();
    world.pass(UNDO_TIME);
    let told = world.told(cursor);
    assert!(told.contains(&("1".into(), "approved")) && !told.contains(&("2".into(), "spam")), "{told:?}");
    world.decide(Action::Undo, "1", "kim").await.unwrap();
    let cursor = world.posts.changes(ACME.0, None, cursor, false, 100).unwrap().last().unwrap().change;
    assert_eq!(world.show("1").state, PostState::Held);
    assert!(world.told(cursor - 1).contains(&("1".into(), "held")), "the help center takes it down again");
}

#[tokio::test]
async fn decisions_teach_at_once_undo_unlearns_exactly_and_both_survive() {
    let world = World::new();
    world.submit("1", "perhaps buy this").await;
    let before = world.filter.save(ACME.0);
    world.decide(Action::Spam, "1", "kim").await.unwrap();
    assert_eq!(world.submit_as(ACME, "2", "bob", "perhaps buy this").await.post.state, PostState::Spam);
    let held = world.submit_as(OTHER, "2", "bob", "perhaps buy this").await;
    assert_eq!(held.post.state, PostState::Held, "another tenant's filter knows nothing of it");
    let later = world.after_power_cut();
    assert_eq!(later.filter.save(ACME.0), world.filter.save(ACME.0), "not saved yet, learned again at the start");
    world.pass(Duration::from_secs(1));
    let later = world.after_power_cut();
    assert_eq!(later.filter.save(ACME.0), world.filter.save(ACME.0));
    later.decide(Action::Undo, "1", "kim").await.unwrap();
    assert_eq!(later.filter.save(ACME.0), before);
    assert_eq!(later.after_power_cut().filter.save(ACME.0), before);
}

#[tokio::test]
async fn two_moderators_cannot_collide() {
    let world = World::new();
    world.submit("1", "perhaps").await;
    let id = PostId::parse("1").unwrap();
    world.posts.claim(ACME.0, &id, "kim").unwrap();
    assert!(matches!(world.posts.claim(ACME.0, &id, "lee"), Err(PostError::Claimed { by, .. }) if by == "kim"));
    world.clock.advance(CLAIM_TIME);
    world.posts.claim(ACME.0, &id, "lee").unwrap();
    world.decide(Action::Approve, "1", "kim").await.unwrap();
    let error = world.decide(Action::Spam, "1", "lee").await.unwrap_err();
    assert!(matches!(&error, PostError::Decided { by, .. } if by == "kim"), "{error}");
    let stale = Asked::Posts(vec![(id.clone(), Some(1))]);
    let error = world.posts.decide(ACME, Action::Spam, stale, "lee", None, None).await.unwrap_err();
    assert!(matches!(error, PostError::Version { found: 2, expected: 1, .. }));
    let again = world.decide(Action::Approve, "1", "lee").await.unwrap();
    assert_eq!((again.posts.len(), again.skipped.len()), (0, 1), "the same decision twice is one");
    let seen = Asked::Posts(vec![(id, Some(2))]);
    world.posts.decide(ACME, Action::Spam, seen, "lee", None, None).await.unwrap();
    assert_eq!(world.show("1").state, PostState::Spam);
}

#[tokio::test]
async fn many_at_once_need_their_number_and_one_undo() {
    let world = World::new();
    for n in 0..25 {
        world.submit_as(ACME, &format!("p{n}"), &format!("a{}", n % 3), &format!("perhaps {n}")).await;
    }
    let held = Filter { state: Some(PostState::Held), ..Filter::default() };
    let preview = world.posts.preview(ACME.0, &Asked::Matching(held.clone())).unwrap();
    assert_eq!((preview.matched, preview.authors), (25, 3));
    let all = || Asked::Matching(held.clone());
    let error = world.posts.decide(ACME, Action::Spam, all(), "kim", None, None).await.unwrap_err();
    assert_eq!(error, PostError::Unconfirmed { found: 25, confirmed: 0 });
    let done = world.posts.decide(ACME, Action::Spam, all(), "kim", None, Some(25)).await.unwrap();
    assert_eq!((done.posts.len(), world.posts.backlog(ACME.0).held), (25, 0));
    let undone = world.posts.undo_operation(ACME, done.operation.unwrap(), "kim").await.unwrap();
    assert_eq!((undone.posts.len(), world.posts.backlog(ACME.0).held), (25, 25));
    assert!(world.posts.undo_operation(ACME, done.operation.unwrap(), "kim").await.is_err());
}

#[tokio::test]
async fn a_ban_hides_what_its_preview_said_and_an_undo_unbans() {
    let world = World::new();
    world.submit_as(ACME, "1", "mal", "perhaps").await;
    world.submit_as(ACME, "2", "mal", "good").await;
    world.submit_as(ACME, "3", "ann", "good").await;
    let mal = AuthorId::parse("mal").unwrap();
    let since = Timestamp::from_millis(0);
    let preview = world.posts.preview_ban(ACME.0, &mal, since).unwrap();
    assert_eq!((preview.held, preview.public), (1, 1));
    let ban = StandingAction { posts_since: Some(since), ..StandingAction::new(Action::Ban) };
    let (author, done) = world.posts.change_standing(ACME, &mal, ban, "kim").await.unwrap();
    assert_eq!((author.standing, done.posts.len(), author.counts.spam), (Standing::Banned, 2, 2));
    assert_eq!(world.submit_as(ACME, "4", "mal", "good").await.post.state, PostState::Spam);
    assert_eq!(world.show("3").state, PostState::Published);
    let learned = world.filter.save(ACME.0);
    world.decide(Action::Undo, "1", "kim").await.unwrap();
    let author = world.posts.author(ACME.0, &mal).unwrap();
    assert_eq!((author.standing, world.show("2").state), (Standing::Normal, PostState::Published));
    assert_ne!(world.filter.save(ACME.0), learned);
    assert_eq!(author.counts.published, 1);
    assert_eq!(world.after_power_cut().posts.author(ACME.0, &mal).unwrap(), author);
}

#[tokio::test]
async fn an_edit_is_screened_again_and_what_was_stopped_stays_with_a_person() {
    let world = World::new();
    assert_eq!(world.submit("1", "a good answer").await, PostState::Published);
    assert_eq!(world.submit("1", "a good answer\nvisit my casino").await, PostState::Spam);
    assert_eq!(world.submit("1", "a good answer").await, PostState::Held, "back to the good text is not enough");
    assert_eq!(world.show("1").version, 3);
    world.decide(Action::Approve, "1", "kim").await.unwrap();
    assert_eq!(world.submit("1", "a good answer, longer").await, PostState::Published);
    let error = world.decide(Action::Undo, "1", "kim").await.unwrap_err();
    assert!(matches!(error, PostError::Conflict(_)), "that decision was about another text");
}

#[tokio::test]
async fn campaigns_and_floods_wait_for_a_person() {
    let world = World::new();
    let text = |n: u32| format!("Our lucky wheel brings the best bonus for new players, come and visit us now: {n}");
    for n in 0..2 {
        let answer = world.submit_as(ACME, &format!("c{n}"), &format!("sock{n}"), &text(n)).await;
        assert_eq!(answer.post.state, PostState::Published);
    }
    let third = world.submit_as(ACME, "c2", "sock2", &text(2)).await.post;
    assert_eq!(third.state, PostState::Held);
    assert!(third.causes.contains(&Cause::Campaign { posts: 3, authors: 3 }), "{:?}", third.causes);
    let similar = Filter { similar: Some(third.id), ..Filter::default() };
    assert_eq!(world.posts.list(ACME.0, &similar, Order::Oldest, 0, 10).unwrap().total, 2);
    let words = ["alpha", "beta", "gamma", "delta", "eps", "zeta", "eta", "theta", "iota", "kappa", "lambda"];
    let mut last = PostState::Published;
    for (n, word) in words.iter().enumerate() {
        last = world.submit_as(ACME, &format!("f{n}"), "fast", &word.repeat(5)).await.post.state;
    }
    assert_eq!(last, PostState::Held, "the eleventh post within an hour");
}

#[tokio::test]
async fn a_rule_is_tried_counts_in_shadow_and_bites_when_told() {
    let world = World::new();
    world.submit("1", "see the document").await;
    world.submit("2", "ask your doc about pills").await;
    let posts = world.posts.clone();
    let rule = NewRule { field: Field::Word, pattern: "doc".into(), effect: Effect::Hold };
    let trial = posts.try_rule(ACME.0, &rule).unwrap();
    assert_eq!((trial.tried, trial.matched, trial.public), (2, 1, 1));
    let blocking = posts.clone();
    let made = tokio::task::spawn_blocking(move || blocking.add_rule(ACME.0, rule, "kim")).await.unwrap().unwrap();
    assert_eq!(world.submit("3", "doc again").await, PostState::Published);
    world.pass(Duration::from_secs(1));
    assert_eq!(world.after_power_cut().posts.rules(ACME.0)[0].hits, 1);
    let number = made.number;
    let enforce = move || posts.set_rule_mode(ACME.0, number, RuleMode::Enforced);
    tokio::task::spawn_blocking(enforce).await.unwrap().unwrap();
    let held = world.submit_as(ACME, "4", "bob", "a doc here").await.post;
    assert_eq!(held.causes[0], Cause::Rule { rule: "word \"doc\"".into() });
    assert_eq!(held.state, PostState::Held);
}

#[tokio::test]
async fn a_struck_piece_is_gone_from_the_disk_too() {
    let world = World::new();
    world.submit("1", "perhaps call +81 3 1234 5678 now").await;
    let id = PostId::parse("1").unwrap();
    let post = world.posts.strike_out(ACME, &id, "+81 3 1234 5678", Some(1), "kim").await.unwrap();
    assert_eq!(post.version, 2);
    let (_, body, _) = world.after_power_cut().posts.show(ACME.0, &id).unwrap();
    assert_eq!(body.text, "perhaps call ███ █ ████ ████ now");
    assert!(world.posts.strike_out(ACME, &id, "not there", None, "kim").await.is_err());
}

#[tokio::test]
async fn what_nobody_decides_expires_and_the_rest_is_forgotten() {
    let world = World::new();
    world.submit("1", "perhaps").await;
    world.submit("2", "good").await;
    let day = Duration::from_hours(24);
    world.pass(day * 24);
    assert_eq!(world.posts.backlog(ACME.0).expiring, 1);
    world.pass(day * 7);
    assert_eq!(world.show("1").state, PostState::Expired);
    assert_eq!(world.posts.show(ACME.0, &PostId::parse("1").unwrap()).unwrap().1, Body::default());
    assert!(world.posts.show(ACME.0, &PostId::parse("2").unwrap()).is_err());
    assert!(matches!(world.decide(Action::Approve, "1", "kim").await, Err(PostError::Conflict(_))));
    world.pass(day * 31);
    assert!(world.posts.show(ACME.0, &PostId::parse("1").unwrap()).is_err());
}

#[tokio::test]
async fn filters_and_orders_find_what_they_say() {
    let world = World::new();
    world.submit_as(ACME, "1", "ann", "perhaps about Refunds").await;
    world.clock.advance(Duration::from_secs(100));
    world.submit_as(ACME, "2", "bob", "perhaps about logins").await;
    let find = |filter: Filter, order| {
        let page = world.posts.list(ACME.0, &filter, order, 0, 10).unwrap();
        page.posts.into_iter().map(|post| post.id.to_string()).collect::<Vec<_>>()
    };
    let held = || Filter { state: Some(PostState::Held), ..Filter::default() };
    assert_eq!(find(held(), Order::Oldest), ["1", "2"]);
    assert_eq!(find(held(), Order::Newest), ["2", "1"]);
    assert_eq!(find(Filter { search: Some("ＲＥＦＵＮＤＳ".into()), ..held() }, Order::Oldest), ["1"]);
    assert_eq!(find(Filter { author: Some(AuthorId::parse("bob").unwrap()), ..held() }, Order::Oldest), ["2"]);
    assert_eq!(find(Filter { band: Some(Band::Unsure), ..held() }, Order::Oldest), ["1", "2"]);
    assert_eq!(find(Filter { older_than_seconds: Some(50), ..held() }, Order::Oldest), ["1"]);
    assert!(world.clock.now() > Timestamp::from_millis(0));
}

/// Whatever the order and the filter, pages put together are the whole list, in the same order.
#[tokio::test]
async fn pages_are_pieces_of_the_list() {
    let world = World::new();
    for n in 0..23 {
        let text = ["perhaps this", "perhaps that", "good"][n % 3];
        world.submit_as(ACME, &n.to_string(), ["ann", "bob"][n % 2], text).await;
    }
    world.decide(Action::Spam, "0", "kim").await.unwrap();
    world.decide(Action::Approve, "1", "kim").await.unwrap();
    world.decide(Action::Undo, "0", "kim").await.unwrap();
    let find = |filter: &Filter, order, skip, limit| {
        let page = world.posts.list(ACME.0, filter, order, skip, limit).unwrap();
        (page.total, page.posts.into_iter().map(|post| post.id.to_string()).collect::<Vec<_>>())
    };
    let held = Filter { state: Some(PostState::Held), ..Filter::default() };
    let of_ann = Filter { author: Some(AuthorId::parse("ann").unwrap()), ..held.clone() };
    for filter in [Filter::default(), held.clone(), of_ann] {
        for order in [Order::Oldest, Order::Newest, Order::Spam, Order::Fine] {
            let (total, whole) = find(&filter, order, 0, 500);
            assert_eq!(total, whole.len());
            let pieces: Vec<String> = (0..=total / 4).flat_map(|page| find(&filter, order, page * 4, 4).1).collect();
            assert_eq!(pieces, whole, "{filter:?} {order:?}");
            assert_eq!(find(&filter, order, usize::MAX, 4), (total, Vec::new()));
        }
    }
    let (decided, count) = world.posts.decided(ACME.0, 0, 10).unwrap();
    assert_eq!(
        (decided.len(), count, world.posts.backlog(ACME.0).decided_today),
        (1, 1, 1),
        "what was taken back is none"
    );
    assert_eq!(
        world.posts.totals().iter().find(|(state, _)| *state == PostState::Held).unwrap().1,
        find(&held, Order::Oldest, 0, 1).0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_submissions_share_syncs() {
    let world = World::new();
    let mut tasks = Vec::new();
    for n in 0..200 {
        let posts = world.posts.clone();
        let submission = Submission { id: Some(format!("{}", n % 150)), text: "good".into(), ..Submission::default() };
        tasks.push(tokio::spawn(async move {
            posts.submit(ACME.0, ACME.1, submission, Source::Api, Policy::default()).await.unwrap().new
        }));
    }
    let mut new = 0;
    for task in tasks {
        new += usize::from(task.await.unwrap());
    }
    assert_eq!(new, 150, "each id once, however many ask at the same time");
    assert!(world.disk.syncs.load(Ordering::SeqCst) <= 200);
    assert_eq!(
        world.after_power_cut().posts.list(ACME.0, &Filter::default(), Order::Oldest, 0, 500).unwrap().total,
        150
    );
}
