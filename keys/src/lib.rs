//! DKIM keys and the sealing of secrets at rest.
//!
//! A [`SigningKey`] signs and shows its public half; it cannot be printed, and its private half leaves only sealed.

pub mod sealing;

/// A key bound to its domain and selector, ready to sign.
pub struct DomainSigner {}
