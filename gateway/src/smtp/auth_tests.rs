use super::*;
use crate::clock::ManualClock;
use crate::ids::TenantId;

struct Book(Mutex<Option<Arc<Credential>>>);

impl Credentials for Book {
    fn credential(&self, user: &str) -> Option<Arc<Credential>> {
        self.0.lock().clone().filter(|credential| credential.user == user)
    }
}

struct Rig {
    book: Arc<Book>,
    clock: Arc<ManualClock>,
    authenticator: Authenticator,
}

fn credential(secret: &str) -> Credential {
    let (argon2id, scram) = crate::tenants::secret::hash(secret).unwrap();
    Credential {
        user: "u".into(),
        tenant: TenantId(1),
        argon2id,
        scram,
        networks: vec!["192.0.2.0/24".parse().unwrap()],
        expires: Some(Timestamp::from_millis(10_000_000)),
        created: Timestamp::from_millis(0),
    }
}

fn rig() -> Rig {
    let book = Arc::new(Book(Mutex::new(Some(Arc::new(credential("p"))))));
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let limits = crate::smtp::session::tests::limits();
    let keeper: Arc<dyn Credentials> = Arc::clone(&book) as _;
    let authenticator = Authenticator::new(keeper, Arc::clone(&clock) as _, &limits, [7; 32]).unwrap();
    Rig { book, clock, authenticator }
}

impl Rig {
    async fn judge(&self, user: &str, secret: &str, client: &str) -> &'static str {
        let attempt =
            Attempt::Secret { mechanism: Mechanism::Plain, user: user.into(), secret: Zeroizing::new(secret.into()) };
        match self.authenticator.judge(attempt, client.parse().unwrap()).await {
            Verdict::Accepted(_) => "in",
            Verdict::Refused(AuthRefusal::Wrong) => "wrong",
            Verdict::Refused(AuthRefusal::Expired) => "expired",
            Verdict::Refused(AuthRefusal::Network) => "network",
            Verdict::Throttled => "throttled",
            Verdict::Busy => "busy",
        }
    }
}

#[tokio::test]
async fn a_credential_lets_in_from_its_networks_until_it_ends() {
    let rig = rig();
    assert_eq!(rig.judge("u", "p", "192.0.2.1").await, "in");
    assert_eq!(rig.judge("u", "p", "::ffff:192.0.2.1").await, "in");
    assert_eq!(rig.judge("u", "p", "198.51.100.1").await, "network");
    assert_eq!(rig.judge("u", "q", "192.0.2.2").await, "wrong");
    assert_eq!(rig.judge("v", "p", "192.0.2.3").await, "wrong");
    rig.clock.set(Timestamp::from_millis(10_000_000));
    assert_eq!(rig.judge("u", "p", "192.0.2.1").await, "expired");
}

#[tokio::test]
async fn a_verified_secret_is_remembered_until_the_credential_changes() {
    let rig = rig();
    assert_eq!(rig.judge("u", "p", "192.0.2.1").await, "in");
    assert_eq!(rig.authenticator.verified.lock().len(), 1);
    let signed_in = rig.authenticator.credentials.credential("u").unwrap();
    let client = "192.0.2.1".parse().unwrap();
    assert!(rig.authenticator.still_valid(&signed_in, client));
    *rig.book.0.lock() = Some(Arc::new(credential("another")));
    assert!(!rig.authenticator.still_valid(&signed_in, client));
    assert_eq!(rig.judge("u", "p", "192.0.2.1").await, "wrong");
    assert_eq!(rig.judge("u", "another", "192.0.2.1").await, "in");
    *rig.book.0.lock() = None;
    assert!(!rig.authenticator.still_valid(&signed_in, client));
    assert_eq!(rig.judge("u", "another", "192.0.2.1").await, "wrong");
}

#[tokio::test]
async fn guessing_is_throttled_by_address_and_by_user() {
    let rig = rig();
    for user in ["a", "b", "c"] {
        assert_eq!(rig.judge(user, "x", "192.0.2.9").await, "wrong");
    }
    assert_eq!(rig.judge("u", "p", "192.0.2.9").await, "throttled");
    assert_eq!(rig.judge("u", "p", "192.0.2.1").await, "in");
    for client in ["192.0.2.20", "192.0.2.21", "192.0.2.22"] {
        assert_eq!(rig.judge("u", "x", client).await, "wrong");
    }
    assert_eq!(rig.judge("u", "guess", "192.0.2.23").await, "throttled");
    assert_eq!(rig.judge("u", "p", "192.0.2.1").await, "in", "who was known stays in");
    for _ in 0..3 {
        rig.judge("v", "x", "192.0.2.1").await;
    }
    assert_eq!(rig.judge("u", "p", "192.0.2.1").await, "in", "who is known there stays in beside a guesser");
    assert_eq!(rig.judge("u", "guess", "192.0.2.1").await, "throttled", "and its own secret is not guessed at");
    rig.clock.advance(Duration::from_mins(1));
    assert_eq!(rig.judge("u", "p", "192.0.2.9").await, "in");
}

#[test]
fn unknown_users_have_a_stable_salt_that_looks_like_any_other() {
    let (one, other) = (rig(), rig());
    let known = one.authenticator.scram_keys("u");
    let unknown = one.authenticator.scram_keys("v");
    assert_eq!((known.salt.len(), known.iterations), (unknown.salt.len(), unknown.iterations));
    assert_eq!(unknown.salt, other.authenticator.scram_keys("v").salt, "the same after a restart");
    assert_ne!(unknown.salt, one.authenticator.scram_keys("w").salt);
}
