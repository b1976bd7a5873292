//! What keeps a recipient that is due: for `queue why` and the message page, in words and as JSON.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::deliver::shaping::SlowDown;

/// How things stand at a site.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LaneView {
    /// Jobs that wait.
    pub ready: usize,
    /// Those of the tenant that was asked for.
    pub of_tenant: usize,
    /// Tenants that wait.
    pub tenants: usize,
    /// Connections in use.
    pub workers: usize,
    /// How many there may be now.
    pub connections: usize,
    /// How many the configuration allows.
    pub limit: usize,
    /// Messages a second that are allowed now.
    pub rate: Option<f64>,
    /// Until when the rate keeps the next message waiting.
    pub until: Option<Timestamp>,
    /// Does it wait for a connection because all are in use elsewhere?
    pub crowded_out: bool,
    /// What the site said when it asked for less, while that is heeded.
    pub slowed: Option<SlowDown>,
    /// When one step of it is taken back.
    pub relents: Option<Timestamp>,
}

/// The one thing that a recipient waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// Its next attempt, by the retry policy or the sender's wish.
    Time,
    /// Its turn on the site's connections.
    Connection,
    /// A connection: all of them are in use for other sites.
    AllConnections,
    /// The site's rate.
    Rate,
    /// The site asked for less, and gets less.
    SlowDown,
    /// Somebody suspended deliveries.
    Suspended,
}

impl LaneView {
    /// What keeps those that are in this lane.
    pub fn limit(&self) -> Limit {
        match (&self.slowed, self.until, self.crowded_out) {
            (Some(_), _, false) => Limit::SlowDown,
            (_, Some(_), _) => Limit::Rate,
            (_, _, true) => Limit::AllConnections,
            _ => Limit::Connection,
        }
    }

    /// The same in words.
    pub fn words(&self, site: &str) -> String {
        let Self { ready, of_tenant, tenants, workers, connections, limit, .. } = self;
        let line = format!("{ready} in line, {of_tenant} of this tenant; {tenants} tenants take turns");
        match self.limit() {
            Limit::SlowDown => {
                let (by, text) = self.slowed.as_ref().map_or(("", ""), |said| (said.by.as_str(), said.text.as_str()));
                let rate = self.rate.map(|rate| format!(", {}", per_time(rate))).unwrap_or_default();
                let until = self.relents.map(|at| format!(", more from {at} on")).unwrap_or_default();
                format!("{by} asked for less (\"{text}\"): {connections} of {limit} connections{rate}{until}; {line}")
            }
            Limit::Rate => {
                let until = self.until.map(|at| at.to_string()).unwrap_or_default();
                format!("the rate of {site} allows the next message at {until}; {line}")
            }
            Limit::AllConnections => {
                format!("all connections are in use; {site} has {workers} and is in line for one; {line}")
            }
            _ => format!("waits for a connection to {site}, {workers} of {connections} in use; {line}"),
        }
    }
}

fn per_time(rate: f64) -> String {
    if rate >= 1.0 { format!("{rate:.0} messages a second") } else { format!("{:.0} messages a minute", rate * 60.0) }
}
