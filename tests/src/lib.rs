//! What the tests of the whole program are made of.
//!
//! Scenarios run against the real binary and against mail software that nobody here wrote. Nothing in this crate
//! calls the gateway's library: a scenario sees what a user sees (ports, the command line, files on disk).

pub mod load;
pub mod sink;
pub mod wire;
