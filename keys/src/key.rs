//! A DKIM key pair: made, sealed, and used, never shown.
//!
//! Promises: no `Debug`, no `Serialize`, no way to the private half but [`SigningKey::to_sealed`]; RSA is parsed
//! once and kept; every copy of the private half that passes through here is wiped.
//! Refuses: RSA under 2048 bits. RFC 8301 §3.2 lets signers go down to 1024, but aws-lc-rs, rightly, does not
//! sign with such a key, and no other code here does private-key arithmetic.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{self, Digest};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::EncodePrivateKey;
use zeroize::Zeroizing;

use crate::sealing::{DataKey, SealingError};

/// What is wrong with a key. All but `Signing` and `Random` are the caller's to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file holds no private key that DKIM can use.
    #[error("not a usable private key: {0}")]
    NotAKey(String),
    /// RSA under 2048 bits.
    #[error("RSA keys under 2048 bits are not used: generate a new key under a new selector instead")]
    TooSmall,
    /// RSA over 8192 bits.
    #[error("RSA keys over 8192 bits are not used: verifiers need not accept them (RFC 8301 §3.2)")]
    TooLarge,
    /// The domain or the selector cannot stand in a signature.
    #[error("\"{0}\" cannot be the domain or selector of a signature")]
    Name(String),
    /// The sealed key does not open.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// The message has no From field, so that no signature over it means anything (RFC 6376 §5.4).
    #[error("the message has no From field to sign")]
    NoFrom,
    /// The system gave no randomness, or key generation failed.
    #[error("key generation failed: {0}")]
    Generation(String),
    /// The cryptographic library refused to sign.
    #[error("signing failed")]
    Signing,
}

/// The keys that are made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Algorithm {
    /// RSA with 2048 bits: what every verifier accepts.
    Rsa2048,
    /// RSA with 3072 bits.
    Rsa3072,
    /// RSA with 4096 bits: longer than RFC 8301 asks of verifiers, and its record needs four strings.
    Rsa4096,
    /// Ed25519 (RFC 8463), beside RSA and not instead of it.
    Ed25519,
}

impl Algorithm {
    /// All of them, in the order in which people list them.
    pub const ALL: [Self; 4] = [Self::Rsa2048, Self::Rsa3072, Self::Rsa4096, Self::Ed25519];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa2048 => "rsa2048",
            Self::Rsa3072 => "rsa3072",
            Self::Rsa4096 => "rsa4096",
            Self::Ed25519 => "ed25519",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The text names no algorithm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a key algorithm: rsa2048, rsa3072, rsa4096 or ed25519")]
pub struct UnknownAlgorithm(String);

impl FromStr for Algorithm {
    type Err = UnknownAlgorithm;
    fn from_str(text: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str().eq_ignore_ascii_case(text.trim()))
            .ok_or_else(|| UnknownAlgorithm(text.chars().take(40).collect()))
    }
}

/// What a key is; imported RSA keys may have any length from 2048 to 8192 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// RSA with so many bits.
    Rsa {
        /// The modulus' length.
        bits: usize,
    },
    /// Ed25519.
    Ed25519,
}

impl KeyKind {
    /// The value of `k=` in the record.
    pub const fn record_tag(self) -> &'static str {
        match self {
            Self::Rsa { .. } => "rsa",
            Self::Ed25519 => "ed25519",
        }
    }

    /// The value of `a=` in the signature.
    pub const fn signature_tag(self) -> &'static str {
        match self {
            Self::Rsa { .. } => "rsa-sha256",
            Self::Ed25519 => "ed25519-sha256",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { bits } => write!(f, "rsa{bits}"),
            Self::Ed25519 => f.write_str("ed25519"),
        }
    }
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

/// A key pair. See the module for what it never does.
pub struct SigningKey {
    pair: Pair,
    public: Vec<u8>,
}

const SEALED_RSA: u8 = 1;
const SEALED_ED25519: u8 = 2;

impl SigningKey {
    /// Makes a new key. RSA takes from a tenth of a second to several seconds of CPU: call it on a blocking pool.
    pub fn generate(algorithm: Algorithm) -> Result<Self, KeyError> {
        let failed = |why: &dyn fmt::Display| KeyError::Generation(why.to_string());
        let bits = match algorithm {
            Algorithm::Ed25519 => {
                return Ok(Self::of_ed25519(Ed25519KeyPair::generate().map_err(|e| failed(&e))?));
            }
            Algorithm::Rsa2048 => 2048,
            Algorithm::Rsa3072 => 3072,
            Algorithm::Rsa4096 => 4096,
        };
        let key = rsa::PrivateKey::new(&mut rand::rngs::SysRng, bits).map_err(|e| failed(&e))?;
        let pkcs8 = key.to_pkcs8_der().map_err(|e| failed(&e))?;
        Self::from_rsa_pkcs8(pkcs8.as_bytes())
    }

    pub(crate) fn from_rsa_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        Self::kept(RsaKeyPair::from_pkcs8(der))
    }

    pub(crate) fn from_rsa_pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        Self::kept(RsaKeyPair::from_der(der))
    }

    fn kept(parsed: Result<RsaKeyPair, aws_lc_rs::error::KeyRejected>) -> Result<Self, KeyError> {
        match parsed {
            Ok(pair) => {
                let unencodable = |_| KeyError::NotAKey("the public half of the RSA key does not encode".to_owned());
                let der: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(unencodable)?;
                let public = der.as_ref().to_vec();
                Ok(Self { pair: Pair::Rsa(Box::new(pair)), public })
            }
            Err(rejected) => Err(match rejected.description_() {
                "TooSmall" => KeyError::TooSmall,
                "TooLarge" => KeyError::TooLarge,
                _ => KeyError::NotAKey("the RSA key does not parse or is not consistent".to_owned()),
            }),
        }
    }

    pub(crate) fn from_ed25519_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let rejected = |_| KeyError::NotAKey("the Ed25519 key does not parse or is not consistent".to_owned());
        Ok(Self::of_ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(rejected)?))
    }

    pub(crate) fn from_ed25519_seed(seed: &[u8]) -> Result<Self, KeyError> {
        let rejected = |_| KeyError::NotAKey("an Ed25519 seed has 32 octets".to_owned());
        Ok(Self::of_ed25519(Ed25519KeyPair::from_seed_unchecked(seed).map_err(rejected)?))
    }

    fn of_ed25519(pair: Ed25519KeyPair) -> Self {
        let public = pair.public_key().as_ref().to_vec();
        Self { pair: Pair::Ed25519(pair), public }
    }

    /// RSA with its bits, or Ed25519.
    pub fn kind(&self) -> KeyKind {
        match &self.pair {
            Pair::Rsa(pair) => KeyKind::Rsa { bits: pair.public_modulus_len() * 8 },
            Pair::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// The public key as `p=` has it before base64: SubjectPublicKeyInfo for RSA (RFC 6376 §3.6.1), the bare 32
    /// octets for Ed25519 (RFC 8463 §4.2, where an ASN.1 wrapping would be wrong).
    pub fn public_key(&self) -> &[u8] {
        &self.public
    }

    /// The value of `p=` in the record: [`SigningKey::public_key`] in base64.
    pub fn public_record_value(&self) -> String {
        STANDARD.encode(&self.public)
    }

    /// Seals the private half, bound to `context` (tenant, domain and selector, say).
    pub fn to_sealed(&self, key: &DataKey, context: &[u8]) -> Result<Vec<u8>, KeyError> {
        let encoding = |_| KeyError::Generation("the key does not encode".to_owned());
        let mut plain = Zeroizing::new(Vec::with_capacity(2400));
        match &self.pair {
            Pair::Rsa(pair) => {
                let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(encoding)?;
                plain.push(SEALED_RSA);
                plain.extend_from_slice(der.as_ref());
            }
            Pair::Ed25519(pair) => {
                let der = Zeroizing::new(pair.to_pkcs8v1().map_err(encoding)?.as_ref().to_vec());
                plain.push(SEALED_ED25519);
                plain.extend_from_slice(&der);
            }
        }
        Ok(key.seal(context, &plain)?)
    }

    /// The private half as PKCS#8 in PEM (RFC 7468 §10), to give away a key that nobody trusts any more. Never for one
    /// that signs, or whose record is still in DNS.
    pub fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let encoding = |_| KeyError::Generation("the key does not encode".to_owned());
        let der = match &self.pair {
            Pair::Rsa(pair) => {
                let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().map_err(encoding)?;
                Zeroizing::new(der.as_ref().to_vec())
            }
            Pair::Ed25519(pair) => Zeroizing::new(pair.to_pkcs8v1().map_err(encoding)?.as_ref().to_vec()),
        };
        let text = Zeroizing::new(STANDARD.encode(&*der));
        let mut pem = Zeroizing::new(String::with_capacity(text.len() + text.len() / 64 + 64));
        pem.push_str("-----BEGIN PRIVATE KEY-----\n");
        // Base64 is ASCII: every cut is between characters.
        for line in text.as_bytes().chunks(64) {
            pem.push_str(&String::from_utf8_lossy(line));
            pem.push('\n');
        }
        pem.push_str("-----END PRIVATE KEY-----\n");
        Ok(pem)
    }

    /// The inverse of [`SigningKey::to_sealed`]; another key or `context` does not open it.
    pub fn from_sealed(key: &DataKey, context: &[u8], blob: &[u8]) -> Result<Self, KeyError> {
        let plain = Zeroizing::new(key.open(context, blob)?);
        match plain.split_first() {
            Some((&SEALED_RSA, der)) => Self::from_rsa_pkcs8(der),
            Some((&SEALED_ED25519, der)) => Self::from_ed25519_pkcs8(der),
            _ => Err(SealingError::Format.into()),
        }
    }

    /// Signs a SHA-256 digest: RSASSA-PKCS1-v1_5 (RFC 6376 §3.3.1), or Ed25519 over the digest's octets
    /// (RFC 8463 §3).
    pub(crate) fn sign_digest(&self, digest: &Digest) -> Result<Vec<u8>, KeyError> {
        debug_assert_eq!(digest.algorithm(), &digest::SHA256);
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature).map_err(|_| KeyError::Signing)?;
                Ok(signature)
            }
            Pair::Ed25519(pair) => Ok(pair.try_sign(digest.as_ref()).map_err(|_| KeyError::Signing)?.as_ref().to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn algorithms_read_what_they_write() {
        for algorithm in Algorithm::ALL {
            assert_eq!(algorithm.to_string().parse(), Ok(algorithm));
        }
        assert_eq!("RSA2048".parse(), Ok(Algorithm::Rsa2048));
        assert!("rsa1024".parse::<Algorithm>().is_err());
    }

    #[test]
    fn a_key_comes_back_from_its_seal_and_only_with_its_context() {
        let data = DataKey::generate().unwrap();
        for algorithm in [Algorithm::Ed25519, Algorithm::Rsa2048] {
            let key = SigningKey::generate(algorithm).unwrap();
            assert_eq!(key.kind().to_string(), algorithm.to_string());
            let blob = key.to_sealed(&data, b"example.com s1").unwrap();
            let again = SigningKey::from_sealed(&data, b"example.com s1", &blob).unwrap();
            assert_eq!(again.public_record_value(), key.public_record_value());
            assert!(SigningKey::from_sealed(&data, b"example.com s2", &blob).is_err());
            let pem = key.to_pem().unwrap();
            assert_eq!(SigningKey::from_pem(pem.as_bytes()).unwrap().public_key(), key.public_key());
        }
    }

    #[test]
    fn the_public_half_has_the_form_that_its_record_wants() {
        let ed25519 = SigningKey::generate(Algorithm::Ed25519).unwrap();
        assert_eq!(ed25519.public_key().len(), 32);
        let rsa = SigningKey::generate(Algorithm::Rsa2048).unwrap();
        assert!(rsa.public_record_value().starts_with("MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA"));
    }
}
