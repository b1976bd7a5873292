//! Private keys from elsewhere: PEM of PKCS#1 or PKCS#8 (OpenSSL, opendkim-genkey; version 1 and 2 for Ed25519),
//! and the bare base64 seed that dkimpy's dknewkey writes for Ed25519.
//!
//! Refuses, each with a text of its own: encrypted keys, public keys, certificates, elliptic curves that DKIM
//! does not know, RSA out of range.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::key::{KeyError, SigningKey};

/// The object identifiers that tell a PKCS#8 key's kind, in DER: 1.3.101.112 and 1.2.840.113549.1.1.1.
const OID_ED25519: &[u8] = &[0x06, 0x03, 0x2b, 0x65, 0x70];
const OID_RSA: &[u8] = &[0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
/// The algorithm stands within the first octets: SEQUENCE, version, SEQUENCE, OID.
const OID_WITHIN: usize = 32;

impl SigningKey {
    /// Reads a private key as people have it in files. `text` is wiped by nobody here: it is the caller's.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let not = |why: &str| KeyError::NotAKey(why.to_owned());
        let has = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
        if has(b"ENCRYPTED") {
            return Err(not("the key is encrypted; decrypt it first (openssl pkey -in KEY -out PLAIN)"));
        }
        if !has(b"-----BEGIN") {
            return Self::from_bare_seed(text);
        }
        match PrivateKeyDer::from_pem_slice(text) {
            Ok(PrivateKeyDer::Pkcs1(der)) => Self::from_rsa_pkcs1(&Zeroizing::new(der.secret_pkcs1_der().to_vec())),
            Ok(PrivateKeyDer::Pkcs8(der)) => Self::from_pkcs8(der.secret_pkcs8_der()),
            Ok(_) => Err(not("DKIM knows RSA and Ed25519 keys only, and this is another elliptic curve")),
            Err(_) if has(b"PUBLIC KEY-----") => Err(not("this is the public half; the private one is needed")),
            Err(_) if has(b"CERTIFICATE-----") => Err(not("this is a certificate; its private key is needed")),
            Err(_) => Err(not("the PEM text is damaged or holds no private key")),
        }
    }

    fn from_pkcs8(der: &[u8]) -> Result<Self, KeyError> {
        let head = &der[..der.len().min(OID_WITHIN)];
        let names = |oid: &[u8]| head.windows(oid.len()).any(|window| window == oid);
        if names(OID_ED25519) {
            Self::from_ed25519_pkcs8(der)
        } else if names(OID_RSA) {
            Self::from_rsa_pkcs8(der)
        } else {
            Err(KeyError::NotAKey("DKIM knows RSA and Ed25519 keys only, and this is neither".to_owned()))
        }
    }

    fn from_bare_seed(text: &[u8]) -> Result<Self, KeyError> {
        let trimmed = text.trim_ascii();
        // Anything longer than a seed's 44 characters is not worth a decoding.
        if trimmed.len() <= 44
            && let Ok(seed) = STANDARD.decode(trimmed).map(Zeroizing::new)
            && seed.len() == 32
        {
            return Self::from_ed25519_seed(&seed);
        }
        Err(KeyError::NotAKey("expected PEM (-----BEGIN … PRIVATE KEY-----) or a base64 Ed25519 seed".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Made for this test with `openssl genpkey -algorithm ed25519` (PKCS#8 version 1).
    const ED25519_V1: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";
    /// The key pair of RFC 8463 appendix A.
    const SEED: &str = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=";
    const PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn the_same_ed25519_key_reads_from_pem_and_from_a_bare_seed() {
        assert_eq!(SigningKey::from_pem(SEED.as_bytes()).unwrap().public_record_value(), PUBLIC);
        assert_eq!(SigningKey::from_pem(ED25519_V1.as_bytes()).unwrap().public_record_value(), PUBLIC);
    }

    #[test]
    fn what_is_no_private_key_is_refused_with_its_reason() {
        for (text, reason) in [
            ("-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted"),
            ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "public half"),
            ("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n", "elliptic"),
            ("-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----\n", "RSA key"),
            ("hello", "expected PEM"),
        ] {
            let error = SigningKey::from_pem(text.as_bytes()).err().unwrap().to_string();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn pkcs1_and_pkcs8_are_the_same_rsa_key_and_short_ones_are_refused() {
        use rsa::pkcs1::EncodeRsaPrivateKey;
        use rsa::pkcs8::{EncodePrivateKey, LineEnding};
        let key = rsa::PrivateKey::new(&mut rand::rngs::SysRng, 2048).unwrap();
        let pkcs1 = key.to_pkcs1_pem(LineEnding::CRLF).unwrap();
        let pkcs8 = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let read = |pem: &str| SigningKey::from_pem(pem.as_bytes()).unwrap().public_record_value();
        assert_eq!(read(&pkcs1), read(&pkcs8));
        let short = rsa::PrivateKey::new_unchecked(&mut rand::rngs::SysRng, 1024).unwrap();
        let pem = short.to_pkcs1_pem(LineEnding::LF).unwrap();
        assert_eq!(SigningKey::from_pem(pem.as_bytes()).err(), Some(KeyError::TooSmall));
        let pem = short.to_pkcs8_pem(LineEnding::LF).unwrap();
        assert_eq!(SigningKey::from_pem(pem.as_bytes()).err(), Some(KeyError::TooSmall));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = SigningKey::from_pem(&text);
        }
    }
}
