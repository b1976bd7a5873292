//! Changes to accounts.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::{Account, AccountError, AccountId, Accounts, folded, stored};
use crate::ids::TenantId;
use crate::message::Mailbox;
use crate::store::control::{ChangeSet, Namespace};
use crate::tenants::secret;
use crate::web::role::{Grant, Role};

/// How long a password that was made for a person opens the door: they replace it at their first sign-in
/// (ASVS 5.0 §6.4.1).
const INITIAL_PASSWORD_LIVES: Duration = Duration::from_hours(72);

/// A password that was just set.
pub enum FirstPassword {
    /// Chosen by who adds the account; the caller has checked it against the rules.
    Chosen(Zeroizing<String>),
    /// Made here, for the first sign-in only.
    Made,
    /// None: single sign-on.
    None,
}

impl Accounts {
    /// Adds a person. Returns the account and the password that was made for it, if one was.
    pub fn add(
        &self,
        email: &str,
        grant: Grant,
        password: FirstPassword,
        by: &str,
    ) -> Result<(Arc<Account>, Option<Zeroizing<String>>), AccountError> {
        let email: Mailbox =
            email.trim().parse().map_err(|_| AccountError::Address(email.chars().take(80).collect()))?;
        let email = email.to_string();
        let now = self.clock.now();
        let (made, phc, initial_until) = match password {
            FirstPassword::Chosen(password) => (None, Some(hash(&password)?), None),
            FirstPassword::Made => {
                let made = readable_password()?;
                let phc = hash(&made)?;
                (Some(made), Some(phc), Some(now + INITIAL_PASSWORD_LIVES))
            }
            FirstPassword::None => (None, None, None),
        };
        let _changing = self.changing.lock();
        if self.by_email(&email).is_some() {
            return Err(AccountError::Exists(email));
        }
        let account = Account {
            password_set: phc.is_some().then_some(now),
            password: phc,
            initial_until,
            ..Account::new(&email, vec![grant], now)
        };
        let words = format!("added {email} as {} of {}", grant.role, self.place(grant));
        let account = self.write(account, by, vec![words])?;
        Ok((account, made))
    }

    /// Gives an account a new first password and ends its sessions.
    pub fn make_password(&self, id: &AccountId, by: &str) -> Result<(Arc<Account>, Zeroizing<String>), AccountError> {
        let made = readable_password()?;
        let phc = hash(&made)?;
        let now = self.clock.now();
        let account = self.change(id, by, |account| {
            account.password = Some(phc);
            account.password_set = Some(now);
            account.initial_until = Some(now + INITIAL_PASSWORD_LIVES);
            Some(format!("gave {} a new first password", account.email))
        })?;
        self.end_sessions(id, None, by)?;
        Ok((account, made))
    }

    /// Gives an account one more role, or another one in the same tenant.
    pub fn grant(&self, id: &AccountId, grant: Grant, by: &str) -> Result<Arc<Account>, AccountError> {
        let words = format!("{} of {}", grant.role, self.place(grant));
        self.change(id, by, |account| {
            account.grants.retain(|old| old.tenant != grant.tenant);
            account.grants.push(grant);
            Some(format!("made {} {words}", account.email))
        })
    }

    /// Takes an account's role in a tenant away, or the one in all tenants.
    pub fn withdraw(&self, id: &AccountId, tenant: Option<TenantId>, by: &str) -> Result<Arc<Account>, AccountError> {
        let account = self.account(id).ok_or_else(|| AccountError::NoAccount(id.to_string()))?;
        let held = account.grants.iter().find(|grant| grant.tenant == tenant).copied();
        let held = held.ok_or_else(|| AccountError::NoRole(account.email.clone()))?;
        let words = format!("{} of {}", held.role, self.place(held));
        self.change(id, by, |account| {
            account.grants.retain(|grant| grant.tenant != tenant);
            Some(format!("took the role {words} from {}", account.email))
        })
    }

    /// Shuts an account and ends its sessions; all else of it stays, for the day on which it is opened again.
    pub fn disable(&self, id: &AccountId, by: &str) -> Result<Arc<Account>, AccountError> {
        let now = self.clock.now();
        let account = self.change(id, by, |account| {
            account.disabled.get_or_insert(now);
            Some(format!("disabled the account {}", account.email))
        })?;
        self.end_sessions(id, None, by)?;
        Ok(account)
    }

    /// Opens a disabled account again.
    pub fn enable(&self, id: &AccountId, by: &str) -> Result<Arc<Account>, AccountError> {
        self.change(id, by, |account| {
            account.disabled = None;
            Some(format!("enabled the account {}", account.email))
        })
    }

    /// Takes a lost second factor away and ends the account's sessions.
    pub fn reset_factor(&self, id: &AccountId, by: &str) -> Result<Arc<Account>, AccountError> {
        let account = self.change(id, by, |account| {
            account.totp = None;
            account.recovery.clear();
            Some(format!("removed the second factor of {}", account.email))
        })?;
        self.end_sessions(id, None, by)?;
        Ok(account)
    }

    /// Removes an account and ends its sessions. Never the last owner of everything.
    pub fn remove(&self, id: &AccountId, by: &str) -> Result<(), AccountError> {
        let _changing = self.changing.lock();
        let account = self.account(id).ok_or_else(|| AccountError::NoAccount(id.to_string()))?;
        if is_operator_owner(&account) && self.list().iter().filter(|one| is_operator_owner(one)).count() == 1 {
            return Err(AccountError::LastOwner(account.email.clone()));
        }
        let mut changes = ChangeSet::default();
        changes.remove(Namespace::Account, id.0.as_bytes());
        let sessions = self.keys_of_sessions(id);
        for key in &sessions {
            changes.remove(Namespace::Session, key.as_bytes());
        }
        self.keep(by, vec![format!("removed the account {}", account.email)], changes)?;
        let mut known = self.known.write();
        known.accounts.remove(id);
        known.by_email.remove(&folded(&account.email));
        for key in &sessions {
            known.sessions.remove(key);
        }
        Ok(())
    }

    /// Changes an account under the lock. `act` returns the line for the audit; `None` for what nobody decided (a
    /// used code, a known browser).
    pub fn change(
        &self,
        id: &AccountId,
        by: &str,
        act: impl FnOnce(&mut Account) -> Option<String>,
    ) -> Result<Arc<Account>, AccountError> {
        let _changing = self.changing.lock();
        let account = self.account(id).ok_or_else(|| AccountError::NoAccount(id.to_string()))?;
        let mut changed = Account::clone(&account);
        let words = act(&mut changed);
        if is_operator_owner(&account)
            && !is_operator_owner(&changed)
            && self.list().iter().filter(|one| is_operator_owner(one)).count() == 1
        {
            return Err(AccountError::LastOwner(account.email.clone()));
        }
        self.write(changed, by, words.into_iter().collect())
    }

    fn write(&self, account: Account, by: &str, words: Vec<String>) -> Result<Arc<Account>, AccountError> {
        let mut changes = ChangeSet::default();
        changes.put(Namespace::Account, account.id.0.as_bytes(), stored(&account)?);
        self.keep(by, words, changes)?;
        let account = Arc::new(account);
        let mut known = self.known.write();
        known.by_email.insert(folded(&account.email), account.id.clone());
        known.accounts.insert(account.id.clone(), account.clone());
        Ok(account)
    }

    pub(super) fn place(&self, grant: Grant) -> String {
        let directory = self.registry.snapshot();
        match grant.tenant {
            None => "all tenants".to_owned(),
            Some(id) => format!("tenant {}", directory.tenant_name(id).unwrap_or("that is gone")),
        }
    }
}

/// One who is disabled lets nobody in.
fn is_operator_owner(account: &Account) -> bool {
    account.disabled.is_none() && account.grants.contains(&Grant { tenant: None, role: Role::Owner })
}

/// The PHC string of a password. A password may hold any character, other than a submission secret.
pub fn hash(password: &str) -> Result<String, AccountError> {
    Ok(secret::hash_password(password)?)
}

/// Four groups of five: 100 random bits that can be read out over a telephone.
pub(super) fn readable_password() -> Result<Zeroizing<String>, AccountError> {
    let random = secret::generate()?;
    let groups: Vec<&str> = (0..4).map(|group| &random[group * 5..group * 5 + 5]).collect();
    Ok(Zeroizing::new(groups.join("-")))
}
