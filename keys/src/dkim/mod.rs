//! DKIM signatures (RFC 6376, RFC 8301, RFC 8463): `relaxed/relaxed`, over-signed, never `l=`.
//!
//! Promises: one canonicalization and one SHA-256 of the body however many keys sign; `h=` folded at ":" only;
//! the same message, key and time give the same header and body hashes. Why not mail-auth's signer: it hashes
//! the body once a key, and takes the time from the system. It stays the verifier, and the tests hold this
//! module against it.
//!
//! A body that ends in lines of nothing but white space is signed as `relaxed/simple`: deployed verifiers built
//! on mail-auth up to 0.13.3 canonicalize it wrongly under `relaxed` ([`has_blank_tail`]).

mod canonical;
mod signer;

pub use canonical::{HeaderField, has_blank_tail};
pub use signer::{DomainSigner, OVERSIGNED_FIELDS, SIGNED_IF_PRESENT, Signature, sign_all, sign_fields};

#[cfg(test)]
mod tests;
