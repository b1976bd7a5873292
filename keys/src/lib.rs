//! DKIM keys and the sealing of secrets at rest.
//!
//! A [`SigningKey`] signs and shows its public half; it cannot be printed, and its private half leaves only
//! sealed. A [`DomainSigner`] is a key bound to the domain and the selector under which its record is published;
//! [`sign_all`] lets several of them sign one message with one look at it.
//!
//! RSA keys are made and encoded by the `rsa` crate and used by aws-lc-rs only: that crate's private-key
//! arithmetic has a history of timing leaks (RUSTSEC-2023-0071).

mod dkim;
mod import;
mod key;
pub mod life;
pub mod sealing;

pub use dkim::{
    DomainSigner, HeaderField, OVERSIGNED_FIELDS, SIGNED_IF_PRESENT, Signature, has_blank_tail, sign_all, sign_fields,
};
pub use key::{Algorithm, KeyError, KeyKind, SigningKey, UnknownAlgorithm};
