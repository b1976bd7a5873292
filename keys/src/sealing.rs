//! Sealing at rest: AES-256-GCM under a data key, the data key wrapped under the key-encryption key (KEK).
//!
//! Promises: a blob names its format version and the key that made it; what it belongs to is bound in as
//! associated data, so that a blob moved to another place does not open; keys are wiped when dropped and cannot
//! be printed. Refuses: any other version, any other key, a single changed bit.
//!
//! Nonces: a blob ([`DataKey::seal`]) is sealed under a key derived from 32 random octets of its own
//! (HKDF-SHA-256), so that no count of blobs comes near GCM's limit for random nonces (NIST SP 800-38D §8.3).
//! A stream of records ([`RecordKey`]) counts its nonces under a key that is derived once a run.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::{digest, rand};
use base64::Engine;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Octets that sealing a record adds.
pub const TAG_LEN: usize = 16;
const VERSION: u8 = 1;
const SALT_LEN: usize = 32;
const ID_LEN: usize = 8;
const HEADER_LEN: usize = 1 + ID_LEN + SALT_LEN;

/// What went wrong with sealing; always the operator's to mend (wrong KEK, damaged file) or the system's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealingError {
    /// The KEK's text is not 32 octets in hex or base64.
    #[error("the key-encryption key must be 32 octets, in 64 hexadecimal digits or in base64; this has {0}")]
    KeyText(String),
    /// Shorter than a sealed blob can be, or of a version that this program does not know.
    #[error("not a sealed blob of a known version")]
    Format,
    /// Sealed under another key.
    #[error("sealed under key {found}, but the key at hand is {expected}")]
    OtherKey {
        /// The key that the blob names.
        found: KeyId,
        /// The key that was tried.
        expected: KeyId,
    },
    /// The tag does not verify: changed, or not what it claims to be.
    #[error("sealed blob does not open: it was changed or belongs elsewhere")]
    Tag,
    /// The system gave no randomness.
    #[error("the system's random source failed")]
    Random,
}

/// The name of a key: the first octets of a hash of it, which give nothing of it away.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; ID_LEN]);

impl KeyId {
    fn of(key: &[u8; 32]) -> Self {
        let mut hash = digest::Context::new(&digest::SHA256);
        hash.update(b"waxseal key id v1\0");
        hash.update(key);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&hash.finish().as_ref()[..ID_LEN]);
        Self(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that seals data. Wiped on drop, without `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; 32]);

struct Aes256Length;

impl KeyType for Aes256Length {
    fn len(&self) -> usize {
        32
    }
}

impl DataKey {
    /// A new random key.
    pub fn generate() -> Result<Self, SealingError> {
        let mut key = [0; 32];
        rand::fill(&mut key).map_err(|_| SealingError::Random)?;
        Ok(Self(key))
    }

    /// The key's name.
    pub fn id(&self) -> KeyId {
        KeyId::of(&self.0)
    }

    /// A key for another purpose, named by `label` and `salt`.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
    pub fn derive(&self, salt: &[u8], label: &[u8]) -> Self {
        let mut key = [0; 32];
        let fill =
            |key: &mut [u8]| Salt::new(HKDF_SHA256, salt).extract(&self.0).expand(&[label], Aes256Length)?.fill(key);
        // HKDF fails only for outputs over 255 hashes (RFC 5869 §2.3); ours is one.
        fill(&mut key).expect("HKDF of 32 octets cannot fail");
        Self(key)
    }

    /// HMAC-SHA-256 of `data` under this key.
    pub fn mac(&self, data: &[u8]) -> [u8; 32] {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &self.0);
        let mut mac = [0; 32];
        mac.copy_from_slice(aws_lc_rs::hmac::sign(&key, data).as_ref());
        mac
    }

    /// Seals `plain`, bound to `context` (what the blob belongs to). Version, key name, salt, ciphertext, tag.
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealingError> {
        let mut salt = [0; SALT_LEN];
        rand::fill(&mut salt).map_err(|_| SealingError::Random)?;
        let mut blob = Vec::with_capacity(HEADER_LEN + plain.len() + TAG_LEN);
        blob.push(VERSION);
        blob.extend_from_slice(&self.id().0);
        blob.extend_from_slice(&salt);
        blob.extend_from_slice(plain);
        let key = self.derive(&salt, b"waxseal blob v1").record_key();
        let (header, body) = blob.split_at_mut(HEADER_LEN);
        let tag = key.seal_in_place(0, &[header, context], body)?;
        blob.extend_from_slice(&tag);
        Ok(blob)
    }

    /// Opens what [`DataKey::seal`] made with the same `context`.
    pub fn open(&self, context: &[u8], blob: &[u8]) -> Result<Vec<u8>, SealingError> {
        if blob.len() < HEADER_LEN + TAG_LEN || blob[0] != VERSION {
            return Err(SealingError::Format);
        }
        let (header, body) = blob.split_at(HEADER_LEN);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&header[1..=ID_LEN]);
        if KeyId(id) != self.id() {
            return Err(SealingError::OtherKey { found: KeyId(id), expected: self.id() });
        }
        let key = self.derive(&header[1 + ID_LEN..], b"waxseal blob v1").record_key();
        let mut plain = body.to_vec();
        let length = key.open_in_place(0, &[header, context], &mut plain)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// The key as an AEAD key for records with counted nonces; the caller derives it from a salt of its own first.
    #[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
    pub fn record_key(&self) -> RecordKey {
        // The only error is a wrong length, and the length is in the type.
        let key = UnboundKey::new(&AES_256_GCM, &self.0).expect("AES-256 takes 32 octets");
        RecordKey(LessSafeKey::new(key))
    }
}

/// An AEAD key whose nonces the caller counts: never the same number twice under one key.
pub struct RecordKey(LessSafeKey);

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[NONCE_LEN - 8..].copy_from_slice(&counter.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

/// Joins the pieces of associated data, each after its length, so that no two lists of pieces look the same.
fn associated(pieces: &[&[u8]]) -> Vec<u8> {
    let mut joined = Vec::with_capacity(pieces.iter().map(|piece| piece.len() + 8).sum());
    for piece in pieces {
        joined.extend_from_slice(&(piece.len() as u64).to_be_bytes());
        joined.extend_from_slice(piece);
    }
    joined
}

impl RecordKey {
    /// Encrypts `data` where it lies and returns the tag.
    pub fn seal_in_place(
        &self,
        counter: u64,
        context: &[&[u8]],
        data: &mut [u8],
    ) -> Result<[u8; TAG_LEN], SealingError> {
        let sealed = self.0.seal_in_place_separate_tag(nonce(counter), Aad::from(associated(context)), data);
        let mut tag = [0; TAG_LEN];
        tag.copy_from_slice(sealed.map_err(|_| SealingError::Tag)?.as_ref());
        Ok(tag)
    }

    /// Decrypts `data` (ciphertext and tag) where it lies and returns the plain part.
    pub fn open_in_place<'d>(
        &self,
        counter: u64,
        context: &[&[u8]],
        data: &'d mut [u8],
    ) -> Result<&'d mut [u8], SealingError> {
        self.0.open_in_place(nonce(counter), Aad::from(associated(context)), data).map_err(|_| SealingError::Tag)
    }
}

/// The key-encryption key: wraps data keys and nothing else. Wiped on drop, without `Debug`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct KeyEncryptionKey(DataKey);

impl KeyEncryptionKey {
    /// A new random key.
    pub fn generate() -> Result<Self, SealingError> {
        DataKey::generate().map(Self)
    }

    /// Reads 64 hexadecimal digits or base64 of 32 octets; white space around it is ignored.
    pub fn parse(text: &str) -> Result<Self, SealingError> {
        let text = text.trim();
        let mut key = [0; 32];
        if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            for (octet, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
                let digit = |b: u8| (b as char).to_digit(16).unwrap_or(0) as u8;
                *octet = digit(pair[0]) << 4 | digit(pair[1]);
            }
            return Ok(Self(DataKey(key)));
        }
        let mut decoded = base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|_| SealingError::KeyText(format!("{} characters", text.len())))?;
        let result = if decoded.len() == 32 {
            key.copy_from_slice(&decoded);
            Ok(Self(DataKey(key)))
        } else {
            Err(SealingError::KeyText(format!("{} octets", decoded.len())))
        };
        decoded.zeroize();
        key.zeroize();
        result
    }

    /// The key in hexadecimal, for the file that `config` names; the caller writes it nowhere else.
    pub fn danger_to_hex(&self) -> zeroize::Zeroizing<String> {
        use fmt::Write;
        let mut text = zeroize::Zeroizing::new(String::with_capacity(64));
        for octet in &self.0.0 {
            // Writing to a string cannot fail.
            let _ = write!(text, "{octet:02x}");
        }
        text
    }

    /// The key's name.
    pub fn id(&self) -> KeyId {
        self.0.id()
    }

    /// Octets for another purpose that must be the same at every start, named by `label` and `salt`.
    pub fn derive(&self, salt: &[u8], label: &[u8]) -> [u8; 32] {
        self.0.derive(salt, label).0
    }

    /// Wraps a data key, bound to `context`.
    pub fn wrap(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, SealingError> {
        self.0.seal(context, &key.0)
    }

    /// Unwraps what [`KeyEncryptionKey::wrap`] made with the same `context`.
    pub fn unwrap(&self, blob: &[u8], context: &[u8]) -> Result<DataKey, SealingError> {
        let mut plain = self.0.open(context, blob)?;
        let key = <[u8; 32]>::try_from(plain.as_slice()).map(DataKey).map_err(|_| SealingError::Format);
        plain.zeroize();
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blob_opens_only_where_it_belongs_and_unchanged() {
        let key = DataKey::generate().unwrap();
        let blob = key.seal(b"tenant 1", b"secret").unwrap();
        assert_eq!(key.open(b"tenant 1", &blob).unwrap(), b"secret");
        assert_eq!(key.open(b"tenant 2", &blob), Err(SealingError::Tag));
        for at in 0..blob.len() {
            let mut changed = blob.clone();
            changed[at] ^= 1;
            assert!(key.open(b"tenant 1", &changed).is_err(), "octet {at}");
        }
        let other = DataKey::generate().unwrap();
        assert!(matches!(other.open(b"tenant 1", &blob), Err(SealingError::OtherKey { .. })));
    }

    #[test]
    fn a_kek_reads_both_spellings_and_wraps() {
        let kek = KeyEncryptionKey::generate().unwrap();
        let again = KeyEncryptionKey::parse(&kek.danger_to_hex()).unwrap();
        assert_eq!(kek.id(), again.id());
        let base64 = base64::engine::general_purpose::STANDARD.encode([7u8; 32]);
        assert_eq!(
            KeyEncryptionKey::parse(&base64).unwrap().id(),
            KeyEncryptionKey::parse(&"07".repeat(32)).unwrap().id()
        );
        assert!(matches!(KeyEncryptionKey::parse("short"), Err(SealingError::KeyText(_))));
        let data = DataKey::generate().unwrap();
        let wrapped = kek.wrap(&data, b"tenant 9").unwrap();
        assert_eq!(again.unwrap(&wrapped, b"tenant 9").unwrap().id(), data.id());
        assert!(again.unwrap(&wrapped, b"tenant 8").is_err());
    }

    #[test]
    fn records_open_under_their_own_number_only() {
        let key = DataKey::generate().unwrap().derive(b"run", b"journal").record_key();
        let mut data = b"hello".to_vec();
        let tag = key.seal_in_place(7, &[b"accept"], &mut data).unwrap();
        data.extend_from_slice(&tag);
        assert!(key.open_in_place(8, &[b"accept"], &mut data.clone()).is_err());
        assert_eq!(key.open_in_place(7, &[b"accept"], &mut data).unwrap(), b"hello");
    }
}
