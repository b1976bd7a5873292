//! A letter and its envelope: immutable bytes with CRLF line ends, and the stage that it has reached.

mod address;
mod envelope;
mod letter;

pub use address::{AddressError, DomainName, Mailbox, ReversePath};
pub use envelope::{BodyKind, Envelope, Notify, Recipient, ReturnContent};
pub use letter::{Letter, Received, Stage};
