//! The schedule: what is due, whose turn it is, and what an attempt's outcome does to a letter.

pub mod board;
mod control;
mod lane;
pub mod limit;
pub mod pace;
mod report;
pub mod retry;
mod runner;
pub mod suspension;
pub mod turns;

pub use control::Control;
pub use runner::{Delivery, Scheduler, SchedulerParts, Sender, Settings};
