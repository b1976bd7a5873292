//! What delivery is made of: DNS, the ledger, the courier, the reporter.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{Gateway, RunError};
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::deliver::tls_report::document::Reporting;
use crate::deliver::tls_report::reporter::{ReportMailer, Reporter, ReporterParts};
use crate::deliver::{Courier, TcpDialer};
use crate::message::Mailbox;
use crate::observe::{Event, emit};
use crate::resolver::HickoryResolver;
use crate::store::Store as _;
use crate::store::ledger::LocalLedger;
use crate::tenants::Registry;

pub(super) fn open_courier(
    config: &Config,
    ledger: Arc<LocalLedger>,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Courier>, RunError> {
    let resolver = HickoryResolver::new(&config.dns, config.delivery.dane);
    let resolver = Arc::new(resolver.map_err(|e| RunError::Dns(e.to_string()))?);
    let courier = Courier::new(config, resolver, Arc::new(TcpDialer), clock, ledger);
    Ok(Arc::new(courier.map_err(|e| RunError::Tls(e.to_string()))?))
}

pub(super) fn open_ledger(config: &Config, registry: &Registry, now: Timestamp) -> Result<Arc<LocalLedger>, RunError> {
    let key = registry.derived_key(b"waxseal ledger key v1");
    let opened = LocalLedger::open(&config.data_dir.join("ledger"), key, now);
    let (ledger, told) = opened.map_err(|e| RunError::Store(e.to_string()))?;
    if let Some(detail) = told {
        emit(&Event::Gateway { state: "ledger", detail });
    }
    Ok(Arc::new(ledger))
}

/// Puts reports into the gateway's own queue.
struct Mailer(Arc<Gateway>);

#[async_trait]
impl ReportMailer for Mailer {
    fn sender(&self) -> Option<Mailbox> {
        let config = self.0.config.read().clone();
        let usual = || format!("tls-reports@{}", config.hostname).parse().ok();
        config.tls_report.from.clone().or_else(usual).filter(|from| self.0.stages.signs_for(from))
    }

    async fn send(&self, from: &Mailbox, to: &Mailbox, message: Vec<u8>) -> Result<(), String> {
        let letter = crate::threads::off_reactor(|| self.0.stages.tls_report(from, to, message))?;
        let record = letter.record.clone();
        self.0.store.accept(vec![letter]).await.map_err(|error| error.to_string())?;
        self.0.scheduler.admit(&record);
        Ok(())
    }
}

/// Starts the daily reports; `None` if they are switched off. Who reports is as it was at the start.
pub(super) fn start_reporter(
    gateway: &Arc<Gateway>,
    clock: Arc<dyn Clock>,
    stop: watch::Receiver<bool>,
) -> Option<JoinHandle<()>> {
    let config = gateway.config.read().clone();
    if !config.tls_report.send {
        return None;
    }
    let mailer = Mailer(gateway.clone());
    let contact =
        config.tls_report.from.as_ref().map_or_else(|| format!("postmaster@{}", config.hostname), ToString::to_string);
    let reporter = Reporter::new(ReporterParts {
        book: gateway.courier.book(),
        dead: gateway.courier.dead_addresses(),
        resolver: gateway.courier.resolver(),
        mailer: Arc::new(mailer),
        poster: gateway.courier.clone(),
        clock,
        by: Reporting {
            organization: config.tls_report.organization.clone().unwrap_or_else(|| config.hostname.to_string()),
            contact,
            submitter: config.hostname.clone(),
        },
    });
    Some(tokio::spawn(reporter.run(stop)))
}
