//! A submission secret, kept so that it can be checked and not had back: argon2id for PLAIN and LOGIN, the keys of
//! RFC 5802 §3 for SCRAM-SHA-256.
//!
//! Both functions cost tens of milliseconds: call them on the blocking pool.

use std::num::NonZeroU32;

use argon2::{Argon2, PasswordHash, PasswordHasher, PasswordVerifier};
use aws_lc_rs::{digest, hmac, pbkdf2, rand};

use crate::tenants::ScramKeys;

/// PBKDF2 iterations of new SCRAM keys. RFC 7677 §4 wants at least 4,096; the client pays them at each sign-in,
/// and our secrets are random, not chosen by people, so that more would buy nothing.
pub const SCRAM_ITERATIONS: u32 = 15_000;

/// Octets of a SCRAM salt.
pub(super) const SALT: usize = 16;

/// A secret could not be hashed: no randomness or no memory; the operator's machine is at fault, try again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the secret could not be hashed: {0}")]
pub struct SecretError(String);

impl SecretError {
    /// The thread that hashed has panicked.
    pub(super) fn panicked() -> Self {
        Self("the hashing thread failed".into())
    }
}

/// Hashes a secret: the argon2id PHC string and the SCRAM-SHA-256 keys.
pub fn hash_secret(secret: &str) -> Result<(String, ScramKeys), SecretError> {
    let phc = Argon2::default().hash_password(secret.as_bytes()).map_err(|e| SecretError(e.to_string()))?.to_string();
    let mut salt = [0; SALT];
    rand::fill(&mut salt).map_err(|_| SecretError("no random numbers".into()))?;
    Ok((phc, scram_keys(secret, &salt, SCRAM_ITERATIONS)))
}

/// Does the secret belong to the PHC string? An unreadable string belongs to none.
pub fn verify_secret(secret: &str, phc: &str) -> bool {
    PasswordHash::new(phc).is_ok_and(|hash| Argon2::default().verify_password(secret.as_bytes(), &hash).is_ok())
}

/// RFC 5802 §3. The secret is taken as it is: SASLprep changes nothing in the ASCII that we hand out.
pub(super) fn scram_keys(secret: &str, salt: &[u8], iterations: u32) -> ScramKeys {
    let mut salted = zeroize::Zeroizing::new([0; 32]);
    let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, secret.as_bytes(), salted.as_mut());
    let client_key = mac(salted.as_ref(), b"Client Key");
    ScramKeys {
        salt: salt.to_vec(),
        iterations,
        stored_key: sha256(&client_key),
        server_key: mac(salted.as_ref(), b"Server Key"),
    }
}

/// HMAC-SHA-256.
pub(super) fn mac(key: &[u8], data: &[u8]) -> [u8; 32] {
    fixed(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref())
}

/// SHA-256.
pub(super) fn sha256(data: &[u8]) -> [u8; 32] {
    fixed(digest::digest(&digest::SHA256, data).as_ref())
}

fn fixed(octets: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(octets);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_again_and_no_other() {
        let (phc, keys) = hash_secret("correct horse").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$"), "{phc}");
        assert!(verify_secret("correct horse", &phc));
        assert!(!verify_secret("correct hors", &phc));
        assert!(!verify_secret("correct horse", "not a hash"));
        assert_eq!(keys.salt.len(), SALT);
        assert!(keys == scram_keys("correct horse", &keys.salt, keys.iterations));
        assert_ne!(hash_secret("correct horse").unwrap().0, phc, "salts are random");
    }
}
