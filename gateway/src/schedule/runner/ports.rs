//! What the scheduler is made of and what it asks of other rooms.

use super::{
    Arc, Clock, Destination, DestinationLimits, DomainName, Duration, Event, Evidence, LetterRecord, Mailbox,
    NewLetter, NoticeKind, Outcome, RetryPolicy, ReversePath, Store, TlsLevel, Transaction, async_trait,
};

/// What delivers. Implemented by `deliver::Courier`; a pretend one serves tests.
#[async_trait]
pub trait Delivery: Send + Sync + 'static {
    /// Where mail for a domain goes, as far as it is known without waiting.
    fn destination(&self, domain: &DomainName) -> Destination;
    /// The same with its site; without one if it cannot be found out.
    async fn locate(&self, domain: &DomainName) -> Destination {
        self.destination(domain)
    }
    /// What that destination may be asked.
    fn limits(&self, destination: &Destination) -> DestinationLimits;
    /// One attempt; an outcome for each recipient, in order.
    async fn deliver(&self, transaction: &Transaction) -> Vec<Outcome>;
    /// A TLS report of our own arrived, or did not.
    fn report_ended(&self, _to: &Mailbox, _arrived: bool) {}
}

/// What the schedule needs of the rooms that know tenants: notices, return-paths, TLS levels.
pub trait Sender: Send + Sync + 'static {
    /// Writes, redacts and seals a notice about these recipients; `None` if none of them may have one.
    fn notice(
        &self,
        kind: NoticeKind,
        record: &LetterRecord,
        about: &[(u32, Evidence)],
        original: Option<&bytes::Bytes>,
    ) -> Result<Option<NewLetter>, String>;
    /// `MAIL FROM` for one recipient, if the tenant rewrites it.
    fn return_path(&self, record: &LetterRecord, recipient: u32) -> Option<ReversePath>;
    /// The TLS level that the tenant asks for.
    fn tls(&self, record: &LetterRecord) -> TlsLevel;
    /// Something happened to a letter, and is durable.
    fn happened(&self, _record: &LetterRecord, _events: &[Event]) {}
    /// The pool of source addresses that the tenant's letters leave from.
    fn egress_pool(&self, _record: &LetterRecord) -> Option<String> {
        None
    }
    /// The tenant's name, for events.
    fn tenant_name(&self, record: &LetterRecord) -> String;
}

/// Settings that a reload may change.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Retries.
    pub retry: RetryPolicy,
    /// When the sender is told of a delay.
    pub warn_after: Duration,
}

/// What a scheduler is made of.
pub struct SchedulerParts {
    /// The queue.
    pub store: Arc<dyn Store>,
    /// Who delivers.
    pub delivery: Arc<dyn Delivery>,
    /// Who knows tenants.
    pub sender: Arc<dyn Sender>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The policy.
    pub settings: Settings,
    /// Connections in all.
    pub connections: usize,
}
