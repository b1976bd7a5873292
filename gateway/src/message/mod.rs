//! A letter and its envelope: immutable bytes with CRLF line ends, and the stage that it has reached.

mod address;
mod charset;
mod edit;
mod envelope;
mod fields;
mod letter;
mod transfer;
mod uuencode;
mod view;

pub use address::{AddressError, DomainName, Mailbox, ReversePath};
pub use charset::Charset;
pub use edit::{CharEdit, EditSet, RawOffset, TextOffset, normalise};
pub use envelope::{BodyKind, Envelope, Notify, Recipient, ReturnContent};
pub use fields::{ContentType, Field, Parameter, header, parameters, parts};
pub use letter::{Letter, Received, Stage};
pub use transfer::Transfer;
pub use view::{View, ViewBuilder, wipe};
