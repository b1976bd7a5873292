//! Delivery: from a destination to the receiving server's final reply.

pub mod outcome;
mod transaction;

pub use transaction::{Destination, DestinationKind, DestinationLimits, Transaction};
