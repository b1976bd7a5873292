//! Waxseal: the outbound mail gateway of a customer-service platform.
//!
//! The way of a message: [`smtp`] takes it in, [`redact`] strikes out card numbers, [`sign`] seals it,
//! [`store`] makes it durable, [`schedule`] and [`deliver`] bring it to the other side. [`pipeline`] holds the
//! order of the first four; the stage is part of the letter's type ([`message::Letter`]), so that the compiler
//! refuses to store what was not redacted and signed.
//!
//! ARCHITECTURE.md has the map, the invariants and the tests that hold them.

pub mod admin;
mod chance;
pub mod cli;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod demo;
pub mod fault;
pub mod history;
pub mod ids;
pub mod inbound;
pub mod message;
pub mod observe;
pub mod pipeline;
pub mod posts;
pub mod redact;
pub mod resolver;
pub mod returns;
pub mod run;
pub mod schedule;
pub mod sign;
#[cfg(test)]
mod simulation;
pub mod smtp;
pub mod store;
pub mod tenants;
pub mod threads;
pub mod web;
pub mod zones;
