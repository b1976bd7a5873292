//! What delivery is made of: DNS, the ledger, the courier.

use std::sync::Arc;

use super::RunError;
use crate::clock::{Clock, Timestamp};
use crate::config::Config;
use crate::deliver::{Courier, TcpDialer};
use crate::observe::{Event, emit};
use crate::resolver::HickoryResolver;
use crate::store::ledger::LocalLedger;
use crate::tenants::Registry;

pub(super) fn open_courier(
    config: &Config,
    registry: &Registry,
    clock: Arc<dyn Clock>,
) -> Result<Arc<Courier>, RunError> {
    let resolver = HickoryResolver::new(&config.dns, config.delivery.dane);
    let resolver = Arc::new(resolver.map_err(|e| RunError::Dns(e.to_string()))?);
    let ledger = open_ledger(config, registry, clock.now())?;
    let courier = Courier::new(config, resolver, Arc::new(TcpDialer), clock, ledger);
    Ok(Arc::new(courier.map_err(|e| RunError::Tls(e.to_string()))?))
}

fn open_ledger(config: &Config, registry: &Registry, now: Timestamp) -> Result<Arc<LocalLedger>, RunError> {
    let key = registry.derived_key(b"waxseal ledger key v1");
    let opened = LocalLedger::open(&config.data_dir.join("ledger"), key, now);
    let (ledger, told) = opened.map_err(|e| RunError::Store(e.to_string()))?;
    if let Some(detail) = told {
        emit(&Event::Gateway { state: "ledger", detail });
    }
    Ok(Arc::new(ledger))
}
