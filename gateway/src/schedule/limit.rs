//! What keeps a recipient that is due: for `queue why` and the message page, in words and as JSON.

use crate::clock::Timestamp;

/// What `queue why` tells of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LaneView {
    /// Jobs that wait.
    pub ready: usize,
    /// Those of the tenant that was asked for.
    pub of_tenant: usize,
    /// Tenants that wait.
    pub tenants: usize,
    /// Workers at it.
    pub workers: usize,
    /// How many there may be.
    pub connections: usize,
    /// Until when its rate keeps it waiting.
    pub until: Option<Timestamp>,
    /// Does it wait for a worker, because all connections are in use elsewhere?
    pub crowded_out: bool,
}

impl LaneView {
    /// What a recipient in this lane waits for.
    pub fn words(&self, site: &str) -> String {
        let Self { ready, of_tenant, tenants, workers, connections, .. } = self;
        let line = format!("{ready} in line, {of_tenant} of this tenant; {tenants} tenants take turns");
        match self.until {
            Some(until) => format!("the rate of {site} allows the next message at {until}: {line}"),
            None if self.crowded_out => {
                format!("all connections are in use; {site} has {workers} and is in line for one: {line}")
            }
            None => format!("waits for a connection to {site}, {workers} of {connections} in use: {line}"),
        }
    }
}
