//! A letter whose type says how far it has come.
//!
//! `Letter<Received>` came over the wire; `Letter<redact::Redacted>` went through the redaction stage;
//! `Letter<sign::Sealed>` is signed and its bytes are frozen. The stage values can be made only by the stage
//! that they name (their constructors are private to it), so the compiler holds invariants 1 and 3: signing takes
//! a redacted letter, the store takes a sealed one.

use bytes::Bytes;

use super::Envelope;

/// A stage of a letter's way. Implemented by [`Received`] here, by `redact::Redacted` and by `sign::Sealed`.
pub trait Stage {}

/// As it came: CRLF line ends are checked, nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Received;

impl Stage for Received {}

/// An envelope, the message's bytes, and what is known of them by now.
#[derive(Clone)]
pub struct Letter<S: Stage> {
    envelope: Envelope,
    message: Bytes,
    stage: S,
}

impl Letter<Received> {
    /// A letter as it came; `message` has CRLF line ends only (the SMTP session refuses others).
    pub fn new(envelope: Envelope, message: impl Into<Bytes>) -> Self {
        Self { envelope, message: message.into(), stage: Received }
    }
}

impl<S: Stage> Letter<S> {
    /// The envelope.
    pub fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// The envelope, to be changed by a stage (the reverse-path, for instance).
    pub fn envelope_mut(&mut self) -> &mut Envelope {
        &mut self.envelope
    }

    /// The whole message: header, empty line, body.
    pub fn message(&self) -> &Bytes {
        &self.message
    }

    /// What the stage found out.
    pub fn stage(&self) -> &S {
        &self.stage
    }

    /// The letter with new bytes at a further stage; possible only for who can make a `T`.
    pub fn advance<T: Stage>(self, message: impl Into<Bytes>, stage: T) -> Letter<T> {
        Letter { envelope: self.envelope, message: message.into(), stage }
    }

    /// Takes the letter apart.
    pub fn into_parts(self) -> (Envelope, Bytes, S) {
        (self.envelope, self.message, self.stage)
    }
}
