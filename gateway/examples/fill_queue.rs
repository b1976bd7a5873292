//! Puts letters into the queue of a gateway that does not run, as its pipeline would, for `ops/bench/queue`:
//! `fill_queue CONFIG TENANT FROM-DOMAIN TO-DOMAIN COUNT OCTETS`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use waxseal::clock::{Clock, SystemClock};
use waxseal::ids::{LetterId, TenantId};
use waxseal::message::{Envelope, Letter, Recipient, ReversePath};
use waxseal::pipeline::Stages;
use waxseal::store::journal::TenantKeys;
use waxseal::store::{LocalStore, Settings, Store};
use waxseal::tenants::Registry;
use waxseal_keys::sealing::{DataKey, KeyEncryptionKey};

/// Letters that are sealed and synced at the same time.
const AT_ONCE: usize = 128;

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Keys(Arc<Registry>);

impl TenantKeys for Keys {
    fn data_key(&self, tenant: TenantId) -> Option<Arc<DataKey>> {
        self.0.data_key(tenant)
    }
}

struct Filling {
    stages: Stages,
    store: Arc<LocalStore>,
    tenant: TenantId,
    from: String,
    to: String,
    count: u64,
    octets: usize,
    next: AtomicU64,
}

impl Filling {
    fn letter(&self, number: u64) -> Result<waxseal::store::NewLetter, Failure> {
        let sender = format!("sender@{}", self.from);
        let recipient = Recipient::new(format!("someone{number}@{}", self.to).parse()?);
        let envelope = Envelope::new(ReversePath::Mailbox(sender.parse()?), vec![recipient]);
        let line = "A line of a letter that waits for a server which does not answer today.\r\n";
        let body = line.repeat(self.octets / line.len());
        let message = format!(
            "From: {sender}\r\nTo: someone{number}@{}\r\nSubject: number {number}\r\n\
             Date: Mon, 23 Nov 2026 14:05:09 +0000\r\nMessage-ID: <{number}@{}>\r\n\r\n{body}",
            self.to, self.from
        );
        let id = LetterId::new(SystemClock.now());
        Ok(self.stages.prepare(id, self.tenant, Letter::new(envelope, message.into_bytes()), None)?.letter)
    }

    async fn work(self: Arc<Self>) -> Result<(), Failure> {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.count {
                return Ok(());
            }
            let letter = tokio::task::block_in_place(|| self.letter(number))?;
            self.store.accept(vec![letter]).await?;
            if number.is_multiple_of(50_000) {
                let store = self.store.clone();
                tokio::task::spawn_blocking(move || store.tick()).await??;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [config, tenant, from, to, count, octets] = words.as_slice() else {
        return Err("usage: fill_queue CONFIG TENANT FROM-DOMAIN TO-DOMAIN COUNT OCTETS".into());
    };
    let config = Arc::new(waxseal::config::load(config.as_ref())?);
    let kek = KeyEncryptionKey::parse(std::str::from_utf8(&config.kek.read()?)?)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let registry = Arc::new(Registry::open(&config.data_dir, &kek, clock.clone())?);
    let tenant = registry.snapshot().tenant_by_name(tenant).ok_or("no such tenant")?.id;
    let keys = Arc::new(Keys(registry.clone()));
    let (store, _) = LocalStore::open(&config.data_dir.join("queue"), keys, clock.clone(), Settings::default())?;
    let filling = Arc::new(Filling {
        stages: Stages::new(registry, config, clock),
        store,
        tenant,
        from: from.clone(),
        to: to.clone(),
        count: count.parse()?,
        octets: octets.parse()?,
        next: AtomicU64::new(0),
    });
    let tasks: Vec<_> = (0..AT_ONCE).map(|_| tokio::spawn(filling.clone().work())).collect();
    for task in tasks {
        task.await??;
    }
    filling.store.close()?;
    println!("{} letters queued", filling.store.len());
    Ok(())
}
