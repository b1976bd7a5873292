//! The envelope: what the SMTP dialogue says about a letter, as opposed to what its header says.

use serde::{Deserialize, Serialize};

use super::{Mailbox, ReversePath};

/// How the client declared the body (RFC 6152, RFC 3030).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum BodyKind {
    /// `BODY=7BIT`, or nothing said.
    #[default]
    SevenBit,
    /// `BODY=8BITMIME`.
    EightBitMime,
    /// `BODY=BINARYMIME`, only by BDAT.
    BinaryMime,
}

/// Which part of the message a failure notice returns (RFC 3461 §4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReturnContent {
    /// `RET=FULL`.
    Full,
    /// `RET=HDRS`.
    Headers,
}

/// When a notice about a recipient is wanted (RFC 3461 §4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Notify {
    /// Nothing said: failures, and delays as local policy has it.
    #[default]
    Unspecified,
    /// `NOTIFY=NEVER`.
    Never,
    /// A list of one or more of the three.
    On {
        /// `SUCCESS` was listed.
        success: bool,
        /// `FAILURE` was listed.
        failure: bool,
        /// `DELAY` was listed.
        delay: bool,
    },
}

impl Notify {
    /// Is a failure notice wanted?
    pub const fn failure(self) -> bool {
        match self {
            Self::Unspecified => true,
            Self::Never => false,
            Self::On { failure, .. } => failure,
        }
    }

    /// Is a delay notice wanted? Unasked for, RFC 3461 §4.1 leaves it to us: yes.
    pub const fn delay(self) -> bool {
        match self {
            Self::Unspecified => true,
            Self::Never => false,
            Self::On { delay, .. } => delay,
        }
    }

    /// Is a success notice wanted?
    pub const fn success(self) -> bool {
        matches!(self, Self::On { success: true, .. })
    }
}

/// One `RCPT TO`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recipient {
    /// Where the letter goes.
    pub address: Mailbox,
    /// `ORCPT` as it was given, `type;xtext` (RFC 3461 §4.2).
    pub original: Option<String>,
    /// `NOTIFY`.
    pub notify: Notify,
}

impl Recipient {
    /// A recipient without DSN parameters.
    pub fn new(address: Mailbox) -> Self {
        Self { address, original: None, notify: Notify::Unspecified }
    }
}

/// What the dialogue says of a letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// `MAIL FROM`.
    pub reverse_path: ReversePath,
    /// `RCPT TO`, in the order given; at least one in an accepted letter.
    pub recipients: Vec<Recipient>,
    /// `BODY`.
    pub body: BodyKind,
    /// `SMTPUTF8` was asked for (RFC 6531).
    pub smtputf8: bool,
    /// `REQUIRETLS` was asked for (RFC 8689).
    pub require_tls: bool,
    /// `RET`.
    pub return_content: Option<ReturnContent>,
    /// `ENVID` as it was given, xtext.
    pub envelope_id: Option<String>,
}

impl Envelope {
    /// An envelope with these two parts and nothing else asked for.
    pub fn new(reverse_path: ReversePath, recipients: Vec<Recipient>) -> Self {
        Self {
            reverse_path,
            recipients,
            body: BodyKind::SevenBit,
            smtputf8: false,
            require_tls: false,
            return_content: None,
            envelope_id: None,
        }
    }
}
