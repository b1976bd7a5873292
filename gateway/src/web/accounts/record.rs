//! What is kept of a person, a session and a token. Secrets only as hashes, but for the TOTP secret, which the
//! second step must compute with; the control store seals every record.

use std::fmt::{self, Write as _};
use std::net::IpAddr;

use aws_lc_rs::digest;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::web::language::Language;
use crate::web::role::Grant;

/// The id of an account: a ULID. An address can be given to another person later, an id never.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AccountId(pub(super) String);

impl AccountId {
    pub(super) fn new(now: Timestamp) -> Self {
        Self(crate::ids::LetterId::new(now).to_string())
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The SHA-256 of a random secret (cookie, token, recovery code): what is kept instead of it. The secrets have 80
/// random bits and more, so that a slow hash would only cost time; looking one up by its digest compares no secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of `secret`.
    pub fn of(secret: &str) -> Self {
        let mut octets = [0; 32];
        octets.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        Self(octets)
    }

    /// Its octets.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        key.try_into().ok().map(Self)
    }

    /// All of it in hexadecimal.
    pub fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut out, octet| {
            let _ = write!(out, "{octet:02x}");
            out
        })
    }

    /// The first 12 hexadecimal digits: enough to name it in a list, too few to be it.
    pub fn short(&self) -> String {
        self.hex()[..12].to_owned()
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// What a session is kept under.
pub type SessionKey = Digest;

/// A person who may enter the pages.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// The mail address, as it was given.
    pub email: String,
    /// What the person may do.
    pub grants: Vec<Grant>,
    /// The password under argon2id, as a PHC string; `None`: only by single sign-on.
    pub password: Option<String>,
    /// When a password that was made for the person stops working; `None`: the person has chosen it.
    #[serde(default)]
    pub initial_until: Option<Timestamp>,
    /// When the password was set.
    #[serde(default)]
    pub password_set: Option<Timestamp>,
    /// Hashes of earlier passwords, for the rules that forbid using them again.
    #[serde(default)]
    pub earlier_passwords: Vec<String>,
    /// The second factor.
    #[serde(default)]
    pub totp: Option<SecondFactor>,
    /// Digests of the recovery codes that are left.
    #[serde(default)]
    pub recovery: Vec<Digest>,
    /// Who the person is at the identity provider.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// Digests of the cookies of browsers that have signed in before, latest last.
    #[serde(default)]
    pub devices: Vec<Digest>,
    /// The language of mail to the person.
    #[serde(default)]
    pub language: Option<Language>,
    /// Since when it is shut; `None`: it is open.
    #[serde(default)]
    pub disabled: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
}

impl Account {
    /// An account with these roles that nobody can sign in to yet.
    pub fn new(email: &str, grants: Vec<Grant>, created: Timestamp) -> Self {
        Self {
            id: AccountId::new(created),
            email: email.to_owned(),
            grants,
            password: None,
            initial_until: None,
            password_set: None,
            earlier_passwords: Vec::new(),
            totp: None,
            recovery: Vec::new(),
            identity: None,
            devices: Vec::new(),
            language: None,
            disabled: None,
            created,
        }
    }

    /// One for tests.
    #[cfg(test)]
    pub fn for_tests(email: &str, grants: &[Grant]) -> Self {
        Self::new(email, grants.to_vec(), Timestamp::from_millis(1_795_442_709_123))
    }
}

/// A TOTP secret (RFC 6238).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondFactor {
    /// The shared secret, 20 octets.
    pub secret: Vec<u8>,
    /// The last time step that was used: a code is good once (RFC 6238 §5.2).
    pub last_step: u64,
}

/// A subject at an OpenID provider. The pair is what identifies (OpenID Connect Core §5.7); an address is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    /// The issuer.
    pub issuer: String,
    /// The subject.
    pub subject: String,
}

/// How far a sign-in has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// All of it.
    Complete,
    /// The password was right; the second factor is due.
    SecondFactorDue,
    /// A password that was made for the person must be replaced by one of their own.
    PasswordDue,
}

/// A browser that is signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Whose.
    pub account: AccountId,
    /// How far.
    pub stage: Stage,
    /// When it began.
    pub created: Timestamp,
    /// When it was used last, to ten minutes.
    pub seen: Timestamp,
    /// Where it began.
    pub address: IpAddr,
    /// The browser in words, `Firefox on Linux`.
    pub device: String,
    /// How it was signed in: `password`, `password and code`, `single sign-on`.
    pub method: String,
}

/// A token of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiToken {
    /// Its id in lists.
    pub id: String,
    /// What it is for, in the words of who made it.
    pub name: String,
    /// What it may do, where.
    pub grant: Grant,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it was made.
    pub created: Timestamp,
    /// By whom.
    pub by: String,
    /// When it was used last, to ten minutes.
    pub used: Option<Timestamp>,
}
