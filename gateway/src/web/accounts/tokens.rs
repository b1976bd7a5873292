//! Tokens of the API: a role in a tenant (or in all), an end, and when they were used last.

use std::time::Duration;

use zeroize::Zeroizing;

use super::{AccountError, Accounts, ApiToken, Digest, stored};
use crate::clock::Timestamp;
use crate::store::control::{ChangeSet, Namespace};
use crate::tenants::secret;
use crate::web::role::Grant;

/// What every token begins with, so that scanners for leaked secrets can know one. Lower-case letters and digits, 43 in
/// all: a token is also the first label of a host name for clients of Akismet (RFC 1035 §2.3.4: 63 octets, no case).
const PREFIX: &str = "wxt";
const NOTE_USE_EVERY: Duration = Duration::from_mins(10);

/// What a new token is made of.
pub struct NewToken<'a> {
    /// What it is for.
    pub name: &'a str,
    /// What it may do.
    pub grant: Grant,
    /// When it ends.
    pub expires: Option<Timestamp>,
}

impl Accounts {
    /// Makes a token. Its secret is in the answer and nowhere else.
    pub fn new_token(&self, new: &NewToken<'_>, by: &str) -> Result<(ApiToken, Zeroizing<String>), AccountError> {
        let now = self.clock.now();
        if new.expires.is_some_and(|end| end <= now) {
            return Err(AccountError::Refused("the token would end before it is made".to_owned()));
        }
        let secret = Zeroizing::new(format!("{PREFIX}{}", secret::generate()?.as_str()));
        let key = Digest::of(&secret);
        let token = ApiToken {
            id: key.short(),
            name: new.name.chars().filter(|c| !c.is_control()).take(80).collect(),
            grant: new.grant,
            expires: new.expires,
            created: now,
            by: by.to_owned(),
            used: None,
        };
        let mut changes = ChangeSet::default();
        changes.put(Namespace::ApiToken, key.as_bytes(), stored(&token)?);
        let words = format!("made token {} as {} of {}", token.id, new.grant.role, self.place(new.grant));
        self.keep(by, vec![words], changes)?;
        self.known.write().tokens.insert(key, token.clone());
        Ok((token, secret))
    }

    /// The living token with this secret. Notes its use in memory.
    pub fn token(&self, secret: &str) -> Option<ApiToken> {
        if !secret.starts_with(PREFIX) {
            return None;
        }
        let key = Digest::of(secret);
        let now = self.clock.now();
        let found = self.known.read().tokens.get(&key).cloned()?;
        if found.expires.is_some_and(|end| end <= now) {
            return None;
        }
        if found.used.is_none_or(|at| now.since(at) >= NOTE_USE_EVERY)
            && let Some(token) = self.known.write().tokens.get_mut(&key)
        {
            token.used = Some(now);
        }
        Some(found)
    }

    /// All tokens, latest first; those of one moment by id, so that pages of the list fit together.
    pub fn tokens(&self) -> Vec<ApiToken> {
        let mut all: Vec<_> = self.known.read().tokens.values().cloned().collect();
        all.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id)));
        all
    }

    /// Ends a token at once.
    pub fn revoke_token(&self, id: &str, by: &str) -> Result<(), AccountError> {
        let unknown = || AccountError::NoToken(id.chars().take(40).collect());
        let key = self.known.read().tokens.iter().find(|(_, token)| token.id == id).map(|(key, _)| *key);
        let key = key.ok_or_else(unknown)?;
        let mut changes = ChangeSet::default();
        changes.remove(Namespace::ApiToken, key.as_bytes());
        self.keep(by, vec![format!("revoked token {id}")], changes)?;
        self.known.write().tokens.remove(&key);
        Ok(())
    }
}
