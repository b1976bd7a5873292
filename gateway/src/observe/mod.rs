//! Watching: one JSON event a line on standard output, and Prometheus metrics.
//!
//! Only this room logs. No event type has a field that could hold a message body, a secret or a card's digits.

mod detail;
mod events;
mod evidence;
pub mod metrics;
mod writer;

pub use events::{Event, Level, SessionText, session};
pub use evidence::{ClassView, EvidenceView};
pub use writer::{EventWriter, configure, emit, flush, listen, start};
