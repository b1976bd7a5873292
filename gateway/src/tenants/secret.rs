//! The secrets of submission credentials: made here, shown once, kept only as hashes.
//!
//! Promises: 200 random bits a secret; argon2id with OWASP's parameters for PLAIN and LOGIN, and the two keys of
//! SCRAM-SHA-256 (RFC 5802 §3, RFC 7677), for which the secret itself is not kept. Refuses a secret that is not
//! printable ASCII: ours are, and so SASLprep (RFC 4013) has nothing to do.

use std::num::NonZeroU32;

use argon2::password_hash::PasswordHasher as _;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac, pbkdf2, rand};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::ScramKeys;

/// PBKDF2 iterations of every SCRAM key, decoys included: a count of its own would tell who exists. RFC 7677 §4
/// asks for 4096 at least; the secrets are random, so that more would only cost time.
pub const SCRAM_ITERATIONS: u32 = 8192;
/// Octets of a salt.
pub const SALT_LEN: usize = 16;
/// 32 characters that nobody takes for another: five bits each.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const SECRET_LEN: usize = 40;

/// Why a secret was not hashed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The caller's mistake.
    #[error("a secret must be printable ASCII, at most 512 characters")]
    NotPrintable,
    /// The system gave no randomness; trying again may help.
    #[error("the system's random source failed")]
    Random,
    /// argon2 refused, for instance short of memory; trying again may help.
    #[error("hashing failed: {0}")]
    Argon2(String),
    /// The thread that hashed has panicked.
    #[error("the hashing thread failed")]
    Panicked,
}

fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut octets = [0; N];
    rand::fill(&mut octets).map_err(|_| SecretError::Random)?;
    Ok(octets)
}

fn random_text<const N: usize>() -> Result<String, SecretError> {
    // 256 is a multiple of 32: every character is as likely as any other.
    let octets = Zeroizing::new(random::<N>()?);
    Ok(octets.iter().map(|octet| char::from(ALPHABET[usize::from(octet & 31)])).collect())
}

/// A new secret: 40 characters, wiped when dropped.
pub fn generate() -> Result<Zeroizing<String>, SecretError> {
    random_text::<SECRET_LEN>().map(Zeroizing::new)
}

/// A short random name (8 characters), for the user of a credential.
pub(super) fn short_name() -> Result<String, SecretError> {
    random_text::<8>()
}

/// What is kept of a secret: the PHC string of argon2id and the keys of SCRAM-SHA-256. Takes some 20 ms of CPU
/// and 19 MB: call it on the blocking pool.
pub fn hash(secret: &str) -> Result<(String, ScramKeys), SecretError> {
    if secret.is_empty() || secret.len() > 512 || !secret.bytes().all(|octet| (0x20..0x7f).contains(&octet)) {
        return Err(SecretError::NotPrintable);
    }
    let phc = hash_password(secret)?;
    Ok((phc, scram_keys(secret, &random::<SALT_LEN>()?, SCRAM_ITERATIONS)))
}

/// The PHC string of argon2id for a person's password, which may hold any character. Costs what [`hash`] costs.
pub fn hash_password(password: &str) -> Result<String, SecretError> {
    let failed = |error: &dyn std::fmt::Display| SecretError::Argon2(error.to_string());
    // OWASP's first choice for argon2id: 19 MiB, two passes, one lane.
    let params = Params::new(19_456, 2, 1, None).map_err(|error| failed(&error))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let phc = argon2.hash_password_with_salt(password.as_bytes(), &random::<SALT_LEN>()?);
    Ok(phc.map_err(|error| failed(&error))?.to_string())
}

/// argon2's working memory, used again: a block of 19 MB from a different thread each time would leave as much in
/// every thread's own heap.
static SCRATCH: Mutex<Vec<Vec<Block>>> = Mutex::new(Vec::new());

/// Does the secret belong to the PHC string? An unreadable string belongs to none. Costs what [`hash`] costs.
pub fn verify(secret: &str, phc: &str) -> bool {
    let Ok(parsed) = PasswordHash::new(phc) else { return false };
    let (Ok(params), Some(salt), Some(expected)) = (Params::try_from(&parsed), &parsed.salt, &parsed.hash) else {
        return false;
    };
    let blocks = params.block_count();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut memory = SCRATCH.lock().pop().unwrap_or_default();
    memory.resize(blocks.max(memory.len()), Block::new());
    let mut found = Zeroizing::new(vec![0; expected.as_bytes().len()]);
    let hashed = argon2.hash_password_into_with_memory(secret.as_bytes(), salt.as_ref(), &mut found, &mut memory);
    SCRATCH.lock().push(memory);
    hashed.is_ok() && verify_slices_are_equal(&found, expected.as_bytes()).is_ok()
}

/// `StoredKey` and `ServerKey` of RFC 5802 §3.
pub fn scram_keys(secret: &str, salt: &[u8], iterations: u32) -> ScramKeys {
    let mut salted = Zeroizing::new([0; 32]);
    let rounds = NonZeroU32::new(iterations).unwrap_or(NonZeroU32::MIN);
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, secret.as_bytes(), salted.as_mut());
    let key = hmac::Key::new(hmac::HMAC_SHA256, salted.as_ref());
    let client_key = hmac::sign(&key, b"Client Key");
    let copied = |octets: &[u8]| {
        let mut key = [0; 32];
        key.copy_from_slice(octets);
        key
    };
    ScramKeys {
        salt: salt.to_vec(),
        iterations,
        stored_key: copied(digest::digest(&digest::SHA256, client_key.as_ref()).as_ref()),
        server_key: copied(hmac::sign(&key, b"Server Key").as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    #[test]
    fn the_scram_keys_are_those_of_the_rfc_7677_example() {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let keys = scram_keys("pencil", &salt, 4096);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let messages =
            format!("n=user,r=rOprNGfwEbeRWgbNEkqO,r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r={nonce}");
        let signed = |key: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), messages.as_bytes());
        let proof = STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let signature = signed(&keys.stored_key);
        let client_key: Vec<u8> = proof.iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        assert_eq!(digest::digest(&digest::SHA256, &client_key).as_ref(), keys.stored_key);
        let server = STANDARD.encode(signed(&keys.server_key).as_ref());
        assert_eq!(server, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn a_secret_is_long_never_the_same_and_verifies_against_its_hash_alone() {
        let (one, two) = (generate().unwrap(), generate().unwrap());
        assert!(one.len() == 40 && one.bytes().all(|octet| ALPHABET.contains(&octet)) && *one != *two);
        let (phc, scram) = hash(&one).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(verify(&one, &phc) && !verify(&two, &phc) && !verify(&one, "not a hash"));
        assert!(scram.iterations == 8192 && scram.salt.len() == 16);
        assert!(scram == scram_keys(&one, &scram.salt, 8192) && scram != scram_keys(&two, &scram.salt, 8192));
    }

    #[test]
    fn what_saslprep_could_change_is_refused() {
        for bad in ["", "naïve", "line\nend", &"x".repeat(513)] {
            assert_eq!(hash(bad).err(), Some(SecretError::NotPrintable));
        }
    }
}
