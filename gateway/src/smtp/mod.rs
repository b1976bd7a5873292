//! SMTP in (RFC 5321, RFC 6409): submission by services that sign in, and reception of what comes back or comes in for
//! our own addresses.
//!
//! [`Session`] is the protocol as a pure state machine; [`server`] gives it sockets, TLS, time limits and the
//! pipeline. [`reply`] is the only place where a refusal becomes a reply, [`auth`] the only one where a secret is
//! checked.

pub mod addressees;
pub mod auth;
pub mod budget;
pub mod chunk;
pub mod command;
mod connection;
pub mod content;
pub mod data;
mod gate;
pub mod line;
pub mod parameters;
pub mod proxy;
pub mod reply;
pub mod scram;
pub mod server;
pub mod session;
mod throttle;
mod wire;

pub use auth::{Authenticator, Credentials};
pub use server::{ServerError, SmtpParts, SmtpServer, TlsSlot};
pub use session::Session;
