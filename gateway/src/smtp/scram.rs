//! The server's side of SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
//!
//! `n` and `y` in the GS2 header are both served: `y` says that the client could bind but believes that we cannot,
//! and we do not offer `-PLUS`, so it is right. `p` is refused. Whatever goes wrong is one error to the client.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::tenants::ScramKeys;

/// A message of the client that SCRAM does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// It does not follow RFC 5802 §7.
    #[error("not a SCRAM message")]
    Malformed,
    /// The client insists on channel binding.
    #[error("channel binding is not offered")]
    ChannelBinding,
    /// The client wants to act as somebody else.
    #[error("acting for another user is not served")]
    OtherUser,
    /// The GS2 header or the nonce of the last message is not that of the first.
    #[error("the exchange was changed on its way")]
    Mismatch,
}

/// The client's first message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFirst {
    user: String,
    gs2: String,
    bare: String,
    nonce: String,
}

impl ClientFirst {
    /// Reads `gs2-header client-first-message-bare`.
    pub fn parse(message: &[u8]) -> Result<Self, ScramError> {
        use ScramError::Malformed;
        let text = std::str::from_utf8(message).map_err(|_| Malformed)?;
        let (flag, rest) = text.split_once(',').ok_or(Malformed)?;
        match flag {
            "n" | "y" => {}
            _ if flag.starts_with("p=") => return Err(ScramError::ChannelBinding),
            _ => return Err(Malformed),
        }
        let (identity, bare) = rest.split_once(',').ok_or(Malformed)?;
        let mut fields = bare.split(',');
        let user = fields.next().and_then(|field| field.strip_prefix("n=")).ok_or(Malformed)?;
        let user = sasl_name(user).ok_or(Malformed)?;
        let nonce = fields.next().and_then(|field| field.strip_prefix("r=")).ok_or(Malformed)?;
        if nonce.is_empty() || !printable(nonce) || user.is_empty() {
            return Err(Malformed);
        }
        match identity.strip_prefix("a=").map(sasl_name) {
            None if identity.is_empty() => {}
            Some(Some(name)) if name == user => {}
            Some(Some(_)) => return Err(ScramError::OtherUser),
            _ => return Err(Malformed),
        }
        let gs2 = text[..text.len() - bare.len()].to_owned();
        Ok(Self { user, gs2, bare: bare.to_owned(), nonce: nonce.to_owned() })
    }

    /// Who wants to sign in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Our answer, with the keys of the user (or made-up ones) and a fresh printable nonce.
    pub fn challenge(self, keys: ScramKeys, server_nonce: &str) -> Challenge {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let message = format!("r={nonce},s={},i={}", BASE64.encode(&keys.salt), keys.iterations);
        Challenge { first: self, nonce, message, keys }
    }
}

/// Our answer to the first message, and what is needed to check the last.
#[derive(Clone)]
pub struct Challenge {
    first: ClientFirst,
    nonce: String,
    message: String,
    keys: ScramKeys,
}

/// What the client's last message showed.
#[derive(Clone)]
pub struct Proof {
    /// Who wants to sign in.
    pub user: String,
    /// Did the client know the secret that the keys were made from?
    pub proven: bool,
    /// The keys that it was checked against.
    pub keys: ScramKeys,
    /// The server's last message, to be sent only to one who is let in.
    pub server_final: String,
}

impl Challenge {
    /// The server's first message.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Checks the client's last message.
    pub fn check(self, message: &[u8]) -> Result<Proof, ScramError> {
        use ScramError::{Malformed, Mismatch};
        let text = std::str::from_utf8(message).map_err(|_| Malformed)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(Malformed)?;
        let proof: [u8; 32] = BASE64.decode(proof).ok().and_then(|p| p.try_into().ok()).ok_or(Malformed)?;
        let mut fields = without_proof.split(',');
        let binding = fields.next().and_then(|field| field.strip_prefix("c=")).ok_or(Malformed)?;
        let nonce = fields.next().and_then(|field| field.strip_prefix("r=")).ok_or(Malformed)?;
        if BASE64.decode(binding).map_err(|_| Malformed)? != self.first.gs2.as_bytes() || nonce != self.nonce {
            return Err(Mismatch);
        }
        let exchange = format!("{},{},{without_proof}", self.first.bare, self.message);
        let mut client_key = mac(&self.keys.stored_key, exchange.as_bytes());
        client_key.iter_mut().zip(proof).for_each(|(octet, other)| *octet ^= other);
        let proven = verify_slices_are_equal(&sha256(&client_key), &self.keys.stored_key).is_ok();
        let server_final = format!("v={}", BASE64.encode(mac(&self.keys.server_key, exchange.as_bytes())));
        Ok(Proof { user: self.first.user, proven, keys: self.keys, server_final })
    }
}

/// RFC 5802 §5.1 `saslname`: `=2C` and `=3D` stand for a comma and an equals sign, no other `=` may be there.
fn sasl_name(text: &str) -> Option<String> {
    let mut parts = text.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    (!name.chars().any(char::is_control)).then_some(name)
}

fn printable(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic() && b != b',')
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
    use crate::tenants::secret::scram_keys;
    use proptest::prelude::*;

    /// The exchange of RFC 7677 §3.
    fn vector() -> Challenge {
        let first = ClientFirst::parse(b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO").unwrap();
        assert_eq!(first.user(), "user");
        let keys = scram_keys("pencil", &BASE64.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap(), 4096);
        first.challenge(keys, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0")
    }

    #[test]
    fn the_vector_of_rfc_7677() {
        let challenge = vector();
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        assert_eq!(challenge.message(), format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let last = format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let proof = challenge.check(last.as_bytes()).unwrap();
        assert!(proof.proven);
        assert_eq!(proof.server_final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let forged = last.replace("dHzb", "dHzc");
        assert!(!vector().check(forged.as_bytes()).unwrap().proven);
        let error = |text: &str| vector().check(text.as_bytes()).err();
        assert_eq!(error(&last.replace("biws", "eSws")), Some(ScramError::Mismatch), "another GS2 header");
        assert_eq!(error(&last.replace("k0,", "k1,")), Some(ScramError::Mismatch), "another nonce");
        assert_eq!(error("c=biws"), Some(ScramError::Malformed));
    }

    #[test]
    fn first_messages() {
        let parse = |text: &str| ClientFirst::parse(text.as_bytes()).map(|first| first.user);
        assert_eq!(parse("y,,n=a=2Cb=3Dc,r=x"), Ok("a,b=c".into()));
        assert_eq!(parse("n,a=u,n=u,r=x"), Ok("u".into()));
        assert_eq!(parse("n,a=v,n=u,r=x"), Err(ScramError::OtherUser));
        assert_eq!(parse("p=tls-exporter,,n=u,r=x"), Err(ScramError::ChannelBinding));
        for bad in ["", "n", "n,,", "x,,n=u,r=x", "n,,n=u", "n,,n=u,r=", "n,,n=,r=x", "n,,m=1,n=u,r=x", "n,,n=a=2b,r=x"]
        {
            assert_eq!(parse(bad), Err(ScramError::Malformed), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_message_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80), text in "(n|y|p=x),(a=u)?,n=[a=,2C]{0,6},r=.{0,5}") {
            let _ = ClientFirst::parse(&bytes);
            let _ = ClientFirst::parse(text.as_bytes());
            let _ = vector().check(&bytes);
        }
    }
}
