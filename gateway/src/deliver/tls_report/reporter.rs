//! Sends the reports: once a day for each domain that wants one, by mail through the queue and by HTTPS POST.
//!
//! Promises: a page is kept until every address of the domain has its report or two days have gone by; an address that
//! fails rests, longer each time; each address counts for itself. Reports by mail need a domain of a tenant to be
//! signed as: without one they are sent by HTTPS only, and that is said once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;

use super::address::{self, ReportAddress};
use super::book::{Book, DAY, Day, DeadAddresses, Page};
use super::document::{Document, MEDIA_TYPE, Reporting};
use crate::clock::{Clock, Timestamp};
use crate::deliver::https::{HttpsClient, HttpsError};
use crate::message::{DomainName, Mailbox};
use crate::observe::{Event, emit};
use crate::resolver::Resolver;

/// How often the book is saved and looked through.
const ROUND: Duration = Duration::from_secs(15);
/// The wait after a failed attempt; it doubles each time.
const FIRST_WAIT: Duration = Duration::from_mins(10);
const LONGEST_WAIT: Duration = Duration::from_hours(4);
/// When a report that cannot be sent is given up (RFC 8460 §5.5 asks for a day at least).
const GIVE_UP_AFTER: Duration = Duration::from_hours(48);

/// Who puts a report into the queue.
#[async_trait::async_trait]
pub trait ReportMailer: Send + Sync + 'static {
    /// The address that reports come from; `None` if there is no domain to sign as.
    fn sender(&self) -> Option<Mailbox>;
    /// Seals the message and puts it into the queue.
    async fn send(&self, from: &Mailbox, to: &Mailbox, message: Vec<u8>) -> Result<(), String>;
}

/// Who makes HTTPS requests; an implementation of the courier's, so that reloads hold.
#[async_trait::async_trait]
pub trait ReportPoster: Send + Sync + 'static {
    /// POSTs, and gives back the status.
    async fn post(&self, host: &DomainName, port: Option<u16>, path: &str, body: Bytes) -> Result<u16, String>;
}

#[async_trait::async_trait]
impl ReportPoster for crate::deliver::Courier {
    async fn post(&self, host: &DomainName, port: Option<u16>, path: &str, body: Bytes) -> Result<u16, String> {
        let told = |error: HttpsError| error.to_string();
        self.with_https(async |client: &HttpsClient<'_>| {
            client.post(host, port, path, MEDIA_TYPE, body.clone()).await.map(|answer| answer.status).map_err(told)
        })
        .await
    }
}

/// What a reporter is made of.
pub struct ReporterParts {
    /// The counts.
    pub book: Arc<Book>,
    /// Addresses that rest.
    pub dead: Arc<DeadAddresses>,
    /// DNS.
    pub resolver: Arc<dyn Resolver>,
    /// The way by mail.
    pub mailer: Arc<dyn ReportMailer>,
    /// The way by HTTPS.
    pub poster: Arc<dyn ReportPoster>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who reports.
    pub by: Reporting,
}

/// See the module.
pub struct Reporter {
    parts: ReporterParts,
    told_of_no_sender: Mutex<bool>,
}

impl Reporter {
    /// A reporter; it does nothing before [`Reporter::run`].
    pub fn new(parts: ReporterParts) -> Self {
        Self { parts, told_of_no_sender: Mutex::new(false) }
    }

    /// Runs until `stop` is set; saves the book at the end.
    pub async fn run(self, mut stop: tokio::sync::watch::Receiver<bool>) {
        while !*stop.borrow() {
            self.round().await;
            let _ = tokio::time::timeout(ROUND, stop.wait_for(|stop| *stop)).await;
            self.save().await;
        }
    }

    async fn save(&self) {
        let book = Arc::clone(&self.parts.book);
        let _ = tokio::task::spawn_blocking(move || book.save()).await;
    }

    /// Sends what is due.
    pub async fn round(&self) {
        let now = self.parts.clock.now();
        for (day, domain, page) in self.parts.book.due(now) {
            let page = self.report(day, &domain, page, now).await;
            self.parts.book.settle(day, &domain, page);
        }
    }

    /// Sends one report wherever it has not been sent; the page, if something is left to do.
    async fn report(&self, day: Day, domain: &DomainName, mut page: Page, now: Timestamp) -> Option<Page> {
        let name = format!("_smtp._tls.{domain}").parse::<DomainName>().ok()?;
        let addresses = match self.parts.resolver.txt(&name, false).await {
            Ok(texts) => address::read(&texts),
            Err(failure) if !failure.is_temporary() => return None,
            Err(_) => return later(page, day, now),
        };
        let document = Document::write(day, domain, &page, &self.parts.by).ok()?;
        let mut left = false;
        for address in addresses {
            let shown = address.to_string();
            if page.done.contains(&shown) || !self.parts.dead.allows(&shown, now) {
                continue;
            }
            match self.send(&document, &address).await {
                Ok(true) => {
                    let detail = format!("report {} sent to {shown}", document.id());
                    emit(&Event::Gateway { state: "tls-report", detail });
                    page.done.push(shown);
                }
                Ok(false) => page.done.push(shown),
                Err(problem) => {
                    let last = now + LONGEST_WAIT >= day.ends() + GIVE_UP_AFTER;
                    let detail = format!("report {} to {shown}: {problem}", document.id());
                    emit(&Event::Gateway { state: "tls-report", detail });
                    if last {
                        self.parts.dead.failed(&shown, now);
                    }
                    left = true;
                }
            }
        }
        if left { later(page, day, now) } else { None }
    }

    /// `Ok(false)`: there is no way to send it, now or later.
    async fn send(&self, document: &Document, address: &ReportAddress) -> Result<bool, String> {
        match address {
            ReportAddress::Https { host, port, path } => {
                let body = Bytes::from(document.compressed.clone());
                match self.parts.poster.post(host, *port, path, body).await? {
                    200..=299 => {
                        self.parts.dead.works(&address.to_string());
                        Ok(true)
                    }
                    status => Err(format!("answered with status {status}")),
                }
            }
            ReportAddress::Mail(to) => {
                let Some(from) = self.parts.mailer.sender() else {
                    self.tell_of_no_sender();
                    return Ok(false);
                };
                let message = document.mail(&from, to).map_err(|error| error.to_string())?;
                self.parts.mailer.send(&from, to, message).await.map(|()| true)
            }
        }
    }

    fn tell_of_no_sender(&self) {
        if !std::mem::replace(&mut *self.told_of_no_sender.lock(), true) {
            let detail =
                "reports by mail need [tls_report] from, an address in a tenant's domain with an active DKIM key";
            emit(&Event::Gateway { state: "tls-report", detail: detail.to_owned() });
        }
    }
}

/// The page with its next attempt, unless its time is over.
fn later(mut page: Page, day: Day, now: Timestamp) -> Option<Page> {
    let wait = FIRST_WAIT.saturating_mul(1 << page.attempts.min(10)).min(LONGEST_WAIT);
    page.attempts += 1;
    page.not_before = (now + wait).millis();
    (now + wait < day.ends() + GIVE_UP_AFTER.max(DAY)).then_some(page)
}

#[cfg(test)]
#[path = "reporter_tests.rs"]
mod tests;
