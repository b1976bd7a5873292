//! Delivery: from a destination to the receiving server's final reply.
//!
//! [`Courier`] is the way in. The steps: [`targets`] (hosts and addresses), [`link`] (connection, EHLO, TLS),
//! [`dialogue`] (the transaction), [`outcome`] (what the replies mean), [`notice`] (what senders are told).

mod courier;
pub mod dialogue;
pub mod link;
pub mod notice;
pub mod outcome;
pub mod reply;
mod stream;
pub mod targets;
mod tls;
mod transaction;

pub use courier::{Courier, RouteExplanation};
pub use stream::{Dialer, Stream, TcpDialer};
pub use tls::TlsError;
pub use transaction::{Destination, DestinationKind, DestinationLimits, Transaction};
