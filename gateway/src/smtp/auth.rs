//! Who a client is: the check of credentials behind AUTH.
//!
//! argon2id runs on a bounded blocking pool, never on the reactor. A secret that was verified lately is known again
//! by an HMAC under a key of this process, so that a client that connects anew for each message does not pay argon2
//! each time; the HMAC covers the stored hash, so a changed credential is checked anew. An unknown user costs what
//! a known one costs and gets a stable made-up salt, so that the two cannot be told apart.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use super::scram::Proof;
use super::scram::mac;
use super::throttle::{Standing, Throttle};
use crate::clock::{Clock, Timestamp};
use crate::config::Limits;
use crate::tenants::secret::{self, SALT_LEN, SCRAM_ITERATIONS, SecretError};
use crate::tenants::{Credential, ScramKeys};

/// Where credentials are found. Implemented by the directory of tenants.
pub trait Credentials: Send + Sync + 'static {
    /// The credential of this user, as it is now.
    fn credential(&self, user: &str) -> Option<Arc<Credential>>;
}

/// The mechanisms that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// RFC 4616.
    Plain,
    /// The old one of some mailers; like PLAIN in two steps.
    Login,
    /// RFC 7677.
    ScramSha256,
}

impl Mechanism {
    /// The mechanism of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Plain, Self::Login, Self::ScramSha256].into_iter().find(|m| m.name().eq_ignore_ascii_case(name))
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::Login => "LOGIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
        }
    }
}

/// An attempt to sign in, ready to be judged.
pub enum Attempt {
    /// By the secret itself.
    Secret {
        /// PLAIN or LOGIN.
        mechanism: Mechanism,
        /// Who.
        user: String,
        /// The secret.
        secret: Zeroizing<String>,
    },
    /// By a SCRAM proof.
    Proof(Box<Proof>),
}

impl Attempt {
    /// Who wants to sign in.
    pub fn user(&self) -> &str {
        match self {
            Self::Secret { user, .. } => user,
            Self::Proof(proof) => &proof.user,
        }
    }

    /// How.
    pub const fn mechanism(&self) -> Mechanism {
        match self {
            Self::Secret { mechanism, .. } => *mechanism,
            Self::Proof(_) => Mechanism::ScramSha256,
        }
    }
}

/// What became of an attempt.
#[derive(Clone)]
pub enum Verdict {
    /// Let in.
    Accepted(Arc<Credential>),
    /// Not let in.
    Refused(AuthRefusal),
    /// Too many failures from this address or for this user; the attempt was not looked at.
    Throttled,
    /// Too many attempts at once; nobody's failure.
    Busy,
}

/// Why an attempt fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthRefusal {
    /// Unknown user or wrong secret: not told apart.
    Wrong,
    /// The secret is right, and the credential has ended.
    Expired,
    /// The secret is right, and the address is outside the credential's networks.
    Network,
}

/// How long a verified secret is known without argon2.
const REMEMBERED: Duration = Duration::from_mins(15);
/// Verified secrets remembered at most.
const REMEMBERED_MOST: usize = 4_096;
/// Attempts that wait for the pool at most; past it clients are told to come back.
const QUEUE: usize = 256;
/// What each failure of an address adds to the wait before its answer, and the longest wait.
const DELAY_STEP: Duration = Duration::from_millis(200);
const DELAY_MOST: Duration = Duration::from_secs(3);

/// Judges attempts.
pub struct Authenticator {
    credentials: Arc<dyn Credentials>,
    clock: Arc<dyn Clock>,
    process_key: hmac::Key,
    decoy_key: [u8; 32],
    decoy: Arc<str>,
    workers: Semaphore,
    queue: Semaphore,
    throttle: Mutex<Throttle>,
    verified: Mutex<HashMap<[u8; 32], Timestamp>>,
}

impl Authenticator {
    /// An authenticator. `decoy_key` makes the salts of unknown users; it should be the same after a restart (derived
    /// from the key-encryption key), else a restart shows which users exist. Costs one argon2: call it off the reactor.
    pub fn new(
        credentials: Arc<dyn Credentials>,
        clock: Arc<dyn Clock>,
        limits: &Limits,
        decoy_key: [u8; 32],
    ) -> Result<Self, SecretError> {
        let random: [u8; 32] = rand::random();
        let (decoy, _) = secret::hash("a secret that nobody has been given")?;
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(2));
        Ok(Self {
            credentials,
            clock,
            process_key: hmac::Key::new(hmac::HMAC_SHA256, &random),
            decoy_key,
            decoy: decoy.into(),
            workers: Semaphore::new(workers),
            queue: Semaphore::new(QUEUE),
            throttle: Mutex::new(Throttle::new(limits.authentication_failures, limits.authentication_window)),
            verified: Mutex::default(),
        })
    }

    /// The SCRAM keys of a user, made up for an unknown one.
    pub fn scram_keys(&self, user: &str) -> ScramKeys {
        let made_up = mac(&self.decoy_key, user.as_bytes());
        let decoy = ScramKeys {
            salt: made_up[..SALT_LEN].to_vec(),
            iterations: SCRAM_ITERATIONS,
            // Nobody can prove these: both would need the preimage of a hash.
            stored_key: mac(&self.decoy_key, &made_up),
            server_key: made_up,
        };
        self.credentials.credential(user).map_or(decoy, |credential| credential.scram.clone())
    }

    /// Is the credential that a session signed in with still what the directory has, and usable?
    pub fn still_valid(&self, credential: &Arc<Credential>, client: IpAddr) -> bool {
        self.credentials.credential(&credential.user).is_some_and(|now| {
            (Arc::ptr_eq(&now, credential) || now == *credential) && self.usable(&now, client).is_ok()
        })
    }

    /// Judges an attempt from `client`. A failure is answered late, by a timer, not by a thread.
    pub async fn judge(&self, attempt: Attempt, client: IpAddr) -> Verdict {
        let now = self.clock.now();
        let credential = self.credentials.credential(attempt.user());
        let user = attempt.user().to_owned();
        let standing = self.throttle.lock().standing(&user, client, now);
        let proven = match attempt {
            // The credential may have changed since its keys were handed out.
            Attempt::Proof(proof) => {
                let proven =
                    proof.proven && credential.as_ref().is_some_and(|credential| credential.scram == proof.keys);
                match standing {
                    Standing::Held => Err(Verdict::Throttled),
                    Standing::IfKnown if !proven => Err(Verdict::Throttled),
                    Standing::IfKnown | Standing::Free => Ok(proven),
                }
            }
            Attempt::Secret { secret, .. } => self.knows(&user, secret, credential.as_deref(), standing).await,
        };
        let proven = match proven {
            Ok(proven) => proven,
            Err(verdict) => {
                tokio::time::sleep(DELAY_STEP).await;
                return verdict;
            }
        };
        let Some(credential) = credential.filter(|_| proven) else {
            let failures = self.throttle.lock().failed(&user, client, now);
            tokio::time::sleep((DELAY_STEP * failures).min(DELAY_MOST)).await;
            return Verdict::Refused(AuthRefusal::Wrong);
        };
        self.throttle.lock().succeeded(&user, client, now);
        match self.usable(&credential, client) {
            Ok(()) => Verdict::Accepted(credential),
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    fn usable(&self, credential: &Credential, client: IpAddr) -> Result<(), AuthRefusal> {
        let now = self.clock.now();
        if credential.usable(client, now) {
            Ok(())
        } else if credential.expires.is_some_and(|end| end <= now) {
            Err(AuthRefusal::Expired)
        } else {
            Err(AuthRefusal::Network)
        }
    }

    async fn knows(
        &self,
        user: &str,
        secret: Zeroizing<String>,
        credential: Option<&Credential>,
        standing: Standing,
    ) -> Result<bool, Verdict> {
        if standing == Standing::Held {
            return Err(Verdict::Throttled);
        }
        let now = self.clock.now();
        let phc: Arc<str> = credential.map_or_else(|| Arc::clone(&self.decoy), |known| known.argon2id.as_str().into());
        let mark = self.mark(user, &secret, &phc);
        if credential.is_some() && self.verified.lock().get(&mark).is_some_and(|at| now.since(*at) < REMEMBERED) {
            return Ok(true);
        }
        if standing != Standing::Free {
            return Err(Verdict::Throttled);
        }
        let _place = self.queue.try_acquire().map_err(|_| Verdict::Busy)?;
        let _worker = self.workers.acquire().await.map_err(|_| Verdict::Busy)?;
        // Many sessions of one service sign in at once: the first one's proof serves those that waited behind it.
        if credential.is_some() && self.verified.lock().contains_key(&mark) {
            return Ok(true);
        }
        let proven = tokio::task::spawn_blocking(move || secret::verify(&secret, &phc)).await.unwrap_or(false);
        if proven && credential.is_some() {
            self.remember(mark, now);
        }
        Ok(proven)
    }

    fn remember(&self, mark: [u8; 32], now: Timestamp) {
        let mut verified = self.verified.lock();
        if verified.len() >= REMEMBERED_MOST {
            verified.retain(|_, at| now.since(*at) < REMEMBERED);
            if verified.len() >= REMEMBERED_MOST {
                verified.clear();
            }
        }
        verified.insert(mark, now);
    }

    /// Stands for user, secret and stored hash together; lengths keep the three apart.
    fn mark(&self, user: &str, secret: &str, phc: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.process_key);
        for part in [user, secret, phc] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut mark = [0; 32];
        mark.copy_from_slice(context.sign().as_ref());
        mark
    }
}

#[cfg(test)]
#[path = "auth_tests.rs"]
mod tests;
