//! Watching: one JSON event a line on standard output, and Prometheus metrics.
//!
//! Only this room logs. No event type has a field that could hold a message body, a secret or a card's digits.

mod events;

pub use events::{Event, emit, session};
