//! What the tests of the whole program are made of.
//!
//! Scenarios run against the real binary and against mail software that nobody here wrote. Nothing in this crate
//! calls the gateway's library: a scenario sees what a user sees (ports, the command line, files on disk).

// Parts of tests: a panic is how they say that a test fails.
#![allow(clippy::missing_panics_doc, clippy::return_self_not_must_use)]

pub mod bind;
pub mod client;
pub mod disk;
pub mod dns;
pub mod gateway;
pub mod https;
pub mod load;
pub mod need;
pub mod peers;
pub mod receiver;
pub mod setup;
pub mod sink;
pub mod tidy;
pub mod tls;
pub mod wire;
