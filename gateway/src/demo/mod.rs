//! `waxseal demo`: the whole gateway in one process, shown at work.
//!
//! Nothing is pretended: the gateway is the one that `serve` runs, on a temporary folder, with its tenant's DNS
//! records on a loopback DNS server; the client is lettre; the receiving server asks for STARTTLS. What is told is
//! what the gateway's events say and what arrived, verified with the keys that DNS shows.

mod dns;
mod letters;
mod receiver;
mod setup;
mod story;
mod verify;

use std::collections::HashMap;
use std::time::Duration;

use lettre::{AsyncTransport, Message};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;

use crate::cli::{CliError, Exit};
use crate::ids::LetterId;
use crate::observe::Event;
use letters::Notification;
use setup::Stage;
use story::{Chapter, Story};

/// How long the demo waits for its mail.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the demo is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// One JSON object instead of the story.
    pub json: bool,
    /// Leave everything running.
    pub keep_running: bool,
}

/// What can go wrong before there is a story to tell.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// A part does not start on this machine.
    #[error("{what} does not start: {why}")]
    Start {
        /// Which.
        what: &'static str,
        /// Why.
        why: String,
    },
    /// The client could not send.
    #[error("sending {what}: {why}")]
    Send {
        /// Which notification.
        what: &'static str,
        /// What the client says.
        why: String,
    },
    /// A mistake of the demo itself.
    #[error("{0}")]
    Inside(String),
}

impl DemoError {
    /// For `map_err`.
    pub fn start<E: std::fmt::Display>(what: &'static str) -> impl Fn(E) -> Self {
        move |why| Self::Start { what, why: why.to_string() }
    }
}

/// Runs the demo; an error if an expectation did not hold.
pub fn run(options: Options) -> Result<(), CliError> {
    let failed = |e: &dyn std::fmt::Display| CliError::new(Exit::RunTime, e.to_string());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|e| failed(&e))?;
    let result = runtime.block_on(tell(options));
    runtime.shutdown_timeout(Duration::from_secs(2));
    match result {
        Ok(()) => Ok(()),
        Err(error) => Err(failed(&error)),
    }
}

async fn tell(options: Options) -> Result<(), DemoError> {
    let mut events = crate::observe::listen().ok_or_else(|| DemoError::Inside("somebody listens already".into()))?;
    let stage = Stage::build().await?;
    let notifications = letters::all()?;
    let mut sent = Vec::new();
    for notification in &notifications {
        sent.push(send(&stage, notification).await?);
    }
    let log = gather(&mut events, &sent, &stage).await;
    let mut chapters = Vec::new();
    for (notification, id) in notifications.iter().zip(&sent) {
        chapters.push(Chapter::write(&stage, notification, *id, &log).await);
    }
    if let Some(notice) = story::notice_chapter(&stage, &log).await {
        chapters.push(notice);
    }
    let story = Story { chapters, places: stage.places() };
    if options.json {
        println!("{}", story.to_json());
    } else {
        print!("{}", story.to_text());
    }
    if options.keep_running {
        println!("\nStill running; Ctrl-C ends it.\n{}", stage.connection_help());
        // An error means that no signal can be waited for: then the demo ends at once.
        let _ = tokio::signal::ctrl_c().await;
    }
    stage.gateway.stop(Duration::from_secs(10)).await;
    let broken = story.broken_expectations();
    if broken.is_empty() { Ok(()) } else { Err(DemoError::Inside(format!("did not hold: {}", broken.join("; ")))) }
}

/// Sends one notification as a service does; the id is the one in the gateway's final reply.
async fn send(stage: &Stage, notification: &Notification) -> Result<LetterId, DemoError> {
    let what = notification.what;
    let failed = |why: String| DemoError::Send { what, why };
    let message: Message = notification.message.clone();
    let response = stage.client.send(message).await.map_err(|e| failed(e.to_string()))?;
    let said = response.message().collect::<Vec<_>>().join(" ");
    let id = said.rsplit(' ').next().and_then(|id| id.parse().ok());
    id.ok_or_else(|| failed(format!("the reply names no id: {said}")))
}

/// What the gateway's events said of each letter.
pub type EventLog = HashMap<LetterId, Vec<Event>>;

/// Listens until every letter, notices too, has come to its end.
async fn gather(events: &mut UnboundedReceiver<Event>, sent: &[LetterId], stage: &Stage) -> EventLog {
    let mut log = EventLog::new();
    let deadline = Instant::now() + PATIENCE;
    let mut open: Vec<LetterId> = sent.to_vec();
    while !open.is_empty() {
        let Ok(Some(event)) = tokio::time::timeout_at(deadline, events.recv()).await else { break };
        let (id, ended, notice) = match &event {
            Event::Accepted { id, .. } | Event::Redacted { id, .. } | Event::Deferred { id, .. } => (*id, false, None),
            Event::Delivered { id, .. } | Event::Dropped { id, .. } => (*id, true, None),
            Event::Bounced { id, notice, .. } | Event::Expired { id, notice, .. } => (*id, true, *notice),
            _ => continue,
        };
        open.extend(notice);
        if ended {
            open.retain(|waiting| *waiting != id);
        }
        log.entry(id).or_default().push(event);
    }
    // The receiver counts a message before its reply is read here; what it has is there by now.
    let _ = stage.receiver.arrivals();
    log
}
