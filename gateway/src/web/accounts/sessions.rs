//! Sessions: begun with a fresh secret at each step of a sign-in, ended by their owner, an operator, or time.

use std::net::IpAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Account, AccountError, AccountId, Accounts, Digest, Session, SessionKey, Stage, stored};
use crate::clock::Timestamp;
use crate::store::control::{ChangeSet, Namespace};
use crate::tenants::secret;

/// How precise "last used" is: each more precise note would cost a sync of the disk.
const NOTE_USE_EVERY: Duration = Duration::from_mins(10);
/// How long the second step of a sign-in may take.
const HALF_SIGNED_IN: Duration = Duration::from_mins(10);

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetimes {
    /// Without a request.
    pub idle: Duration,
    /// In all.
    pub total: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { idle: Duration::from_hours(2), total: Duration::from_hours(12) }
    }
}

/// What a new session is made of.
pub struct NewSession<'a> {
    /// Whose.
    pub account: &'a AccountId,
    /// How far.
    pub stage: Stage,
    /// From where.
    pub address: IpAddr,
    /// The browser in words.
    pub device: String,
    /// How: for the list.
    pub method: &'a str,
    /// The session that this one takes the place of: an earlier step, or an earlier sign-in of the same browser.
    pub replaces: Option<SessionKey>,
}

impl Accounts {
    fn alive(&self, session: &Session, now: Timestamp) -> bool {
        let total = if session.stage == Stage::Complete { self.lifetimes.total } else { HALF_SIGNED_IN };
        now.since(session.created) < total && now.since(session.seen) < self.lifetimes.idle
    }

    /// Begins a session. The secret is for the cookie and nowhere else; a session never keeps the secret of an earlier
    /// step, so that a planted cookie is worth nothing (session fixation).
    pub fn begin(&self, new: NewSession<'_>) -> Result<Zeroizing<String>, AccountError> {
        let secret = secret::generate()?;
        let key = Digest::of(&secret);
        let now = self.clock.now();
        let session = Session {
            account: new.account.clone(),
            stage: new.stage,
            created: now,
            seen: now,
            address: new.address,
            device: new.device,
            method: new.method.to_owned(),
        };
        let mut changes = ChangeSet::default();
        changes.put(Namespace::Session, key.as_bytes(), stored(&session)?);
        if let Some(old) = new.replaces {
            changes.remove(Namespace::Session, old.as_bytes());
        }
        let words = (new.stage == Stage::Complete)
            .then(|| format!("signed in by {} from {}", new.method, new.address))
            .into_iter()
            .collect();
        let by = self.account(new.account).map(|account| account.email.clone()).unwrap_or_default();
        self.keep(&by, words, changes)?;
        let mut known = self.known.write();
        known.sessions.insert(key, session);
        if let Some(old) = new.replaces {
            known.sessions.remove(&old);
        }
        Ok(secret)
    }

    /// The living session of a cookie, and whose it is. Notes its use in memory.
    pub fn session(&self, secret: &str) -> Option<(SessionKey, Session, std::sync::Arc<Account>)> {
        let key = Digest::of(secret);
        let now = self.clock.now();
        let known = self.known.read();
        let session = known.sessions.get(&key).filter(|session| self.alive(session, now))?.clone();
        let account = known.accounts.get(&session.account).filter(|account| account.disabled.is_none())?.clone();
        drop(known);
        if now.since(session.seen) >= NOTE_USE_EVERY
            && let Some(session) = self.known.write().sessions.get_mut(&key)
        {
            session.seen = now;
        }
        Some((key, session, account))
    }

    /// The living sessions of an account, latest first.
    pub fn sessions_of(&self, id: &AccountId) -> Vec<(SessionKey, Session)> {
        let now = self.clock.now();
        let known = self.known.read();
        let mine = known.sessions.iter().filter(|(_, one)| one.account == *id && self.alive(one, now));
        let mut mine: Vec<_> = mine.map(|(key, session)| (*key, session.clone())).collect();
        mine.sort_by_key(|(_, session)| std::cmp::Reverse(session.created));
        mine
    }

    pub(super) fn keys_of_sessions(&self, id: &AccountId) -> Vec<SessionKey> {
        let known = self.known.read();
        known.sessions.iter().filter(|(_, one)| one.account == *id).map(|(key, _)| *key).collect()
    }

    /// Ends one session of an account.
    pub fn end_session(&self, id: &AccountId, key: &SessionKey, by: &str) -> Result<(), AccountError> {
        let mine = self.known.read().sessions.get(key).is_some_and(|session| session.account == *id);
        if !mine {
            return Err(AccountError::NoSession);
        }
        self.end(&[*key], by, format!("ended session {}", key.short()))
    }

    /// Ends all sessions of an account but one; how many.
    pub fn end_sessions(&self, id: &AccountId, but: Option<SessionKey>, by: &str) -> Result<usize, AccountError> {
        let account = self.account(id).ok_or_else(|| AccountError::NoAccount(id.to_string()))?;
        let keys: Vec<_> = self.keys_of_sessions(id).into_iter().filter(|key| Some(*key) != but).collect();
        if !keys.is_empty() {
            self.end(&keys, by, format!("ended {} sessions of {}", keys.len(), account.email))?;
        }
        Ok(keys.len())
    }

    fn end(&self, keys: &[SessionKey], by: &str, words: String) -> Result<(), AccountError> {
        let mut changes = ChangeSet::default();
        for key in keys {
            changes.remove(Namespace::Session, key.as_bytes());
        }
        self.keep(by, vec![words], changes)?;
        let mut known = self.known.write();
        for key in keys {
            known.sessions.remove(key);
        }
        Ok(())
    }

    /// Writes down what was used since the last time and forgets what has ended. Once a few minutes; blocks on the disk.
    pub fn sweep(&self) -> Result<(), AccountError> {
        let now = self.clock.now();
        let mut changes = ChangeSet::default();
        let mut known = self.known.write();
        known.sessions.retain(|key, session| {
            let stays = self.alive(session, now);
            if !stays {
                changes.remove(Namespace::Session, key.as_bytes());
            }
            stays
        });
        for (key, session) in known.sessions.iter().filter(|(_, session)| now.since(session.seen) < NOTE_USE_EVERY) {
            changes.put(Namespace::Session, key.as_bytes(), stored(session)?);
        }
        for (key, token) in known.tokens.iter().filter(|(_, t)| t.used.is_some_and(|at| now.since(at) < NOTE_USE_EVERY))
        {
            changes.put(Namespace::ApiToken, key.as_bytes(), stored(token)?);
        }
        drop(known);
        if changes.is_empty() { Ok(()) } else { self.keep("waxseal", Vec::new(), changes) }
    }
}
