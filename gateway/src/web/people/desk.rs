//! The desk: who asks about people, and every change with its rights checked. Pages, the API and the control socket all
//! come through here.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use zeroize::Zeroizing;

use super::Authority;
use super::control::PeopleAdmin;
use super::view::{AccountView, NewUserRequest, TokenView};
use crate::admin::Problem;
use crate::admin::server::by;
use crate::clock::Timestamp;
use crate::ids::TenantId;
use crate::tenants::Directory;
use crate::web::accounts::{Account, AccountError, AccountId, Accounts, ApiToken, FirstPassword, NewToken, Weakness};
use crate::web::caller::{Caller, Who};
use crate::web::language::Language;
use crate::web::notify::{Matter, Notices};
use crate::web::role::{Grant, Role};
use crate::web::state::{WebState, blocking};

/// See the module.
pub struct Desk {
    pub(super) admin: PeopleAdmin,
    pub(super) authority: Authority,
    /// Who asks, for the audit.
    pub(super) by: String,
    /// Where from; `None` on the control socket.
    pub(super) address: Option<IpAddr>,
    /// Whose account it is who asks.
    me: Option<AccountId>,
    notices: Option<Notices>,
}

/// A change of an account as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Disable,
    Enable,
    EndSessions,
    ResetFactor,
    Remove,
}

impl Desk {
    /// The desk of a caller on the web listener.
    pub(super) fn of_caller(state: &WebState, caller: &Caller, headers: &axum::http::HeaderMap) -> Self {
        let me = match &caller.who {
            Who::Person { id, .. } => Some(id.clone()),
            Who::Token { .. } => None,
        };
        let admin = PeopleAdmin {
            rules: state.rooms.settings.password_rules,
            accounts: state.rooms.accounts.clone(),
            registry: state.rooms.registry.clone(),
            clock: state.rooms.clock.clone(),
        };
        Self {
            admin,
            authority: Authority::Of(caller.grants.clone()),
            by: caller.by(),
            address: Some(caller.address),
            me,
            notices: Some(Notices::new(state, headers)),
        }
    }

    pub(super) fn directory(&self) -> Arc<Directory> {
        self.admin.registry.snapshot()
    }

    fn accounts(&self) -> &Arc<Accounts> {
        &self.admin.accounts
    }

    /// Runs a change outside the threads that move bytes.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Accounts, &str) -> Result<T, AccountError> + Send + 'static,
    ) -> Result<T, Problem> {
        let (accounts, by) = (self.accounts().clone(), self.by.clone());
        Ok(blocking(move || work(&accounts, &by)).await??)
    }

    fn tell(&self, account: &Account, matter: Matter) {
        if let Some(notices) = &self.notices {
            notices.tell(account, matter, &self.by);
        }
    }

    /// A tenant by its name; `None` for all. One out of reach is answered like one that does not exist.
    pub(super) fn tenant(&self, name: Option<&str>) -> Result<Option<TenantId>, Problem> {
        let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return Ok(None) };
        let found = self.directory().tenant_by_name(name).map(|tenant| tenant.id);
        let sees = |tenant: &TenantId| self.authority.sees(Grant { tenant: Some(*tenant), role: Role::Auditor });
        let shown: String = name.chars().take(80).collect();
        let found = found.filter(sees).ok_or_else(|| Problem::not_found(format!("there is no tenant \"{shown}\"")))?;
        Ok(Some(found))
    }

    /// A role that may be given.
    pub(super) fn grant(&self, role: &str, tenant: Option<&str>) -> Result<Grant, Problem> {
        let role: Role = role.trim().parse().map_err(|error| Problem::invalid(format!("{error}")))?;
        let grant = Grant { tenant: self.tenant(tenant)?, role };
        if self.authority.may_give(grant) {
            return Ok(grant);
        }
        let place = if grant.tenant.is_some() { "there" } else { "in all tenants: name the tenant" };
        Err(Problem::forbidden(format!("your role does not let you make somebody {role} {place}")))
    }

    /// An account that the caller may know of.
    pub(super) fn find(&self, email: &str) -> Result<Arc<Account>, Problem> {
        let shown: String = email.chars().take(80).collect();
        let found = self.accounts().by_email(email).filter(|account| self.authority.sees_account(account));
        found.ok_or_else(|| Problem::not_found(format!("there is no account {shown}")))
    }

    /// Is it the caller's own?
    pub(super) fn is_mine(&self, account: &Account) -> bool {
        self.me.as_ref() == Some(&account.id)
    }

    /// May the caller change it as a whole?
    pub(super) fn manages(&self, account: &Account) -> bool {
        !self.is_mine(account) && self.authority.manages(account)
    }

    fn managed(&self, email: &str) -> Result<Arc<Account>, Problem> {
        let account = self.find(email)?;
        if self.is_mine(&account) {
            return Err(Problem::conflict("this is your own account: another owner changes it"));
        }
        if !self.authority.manages(&account) {
            let detail =
                format!("{} has a role that you cannot give: an owner of everything it has does this", account.email);
            return Err(Problem::forbidden(detail));
        }
        Ok(account)
    }

    /// Accounts that the caller may know of, by address; with a tenant, those who may enter it.
    pub(super) fn list(&self, tenant: Option<TenantId>) -> Vec<Arc<Account>> {
        let enters = |account: &Account| {
            let in_it = |grant: &Grant| grant.tenant.is_none() || grant.tenant == tenant;
            tenant.is_none() || account.grants.iter().any(|grant| in_it(grant) && self.authority.sees(*grant))
        };
        let all = self.accounts().list().into_iter();
        all.filter(|account| self.authority.sees_account(account) && enters(account)).collect()
    }

    /// Adds a person: the account, and the password that was made for it.
    pub(super) async fn add(
        &self,
        new: NewUserRequest,
        language: Language,
    ) -> Result<(Arc<Account>, Option<Zeroizing<String>>), Problem> {
        let grant = self.grant(&new.role, new.tenant.as_deref())?;
        let email = new.email;
        if let Some(there) = self.accounts().by_email(&email)
            && !self.authority.sees_account(&there)
        {
            let detail =
                "this address has an account outside of your tenants: an owner of all tenants gives it the role";
            return Err(Problem::conflict(detail));
        }
        let password = match (new.password, new.single_sign_on) {
            (Some(_), true) => return Err(Problem::invalid("a password, or single sign-on only: not both")),
            (Some(password), false) => {
                let weak = |weakness: Weakness| Problem::invalid(weakness.text(language));
                self.admin.rules.check(&password, &email).map_err(weak)?;
                FirstPassword::Chosen(Zeroizing::new(password))
            }
            (None, true) => FirstPassword::None,
            (None, false) => FirstPassword::Made,
        };
        let (account, made) = self.run(move |accounts, by| accounts.add(&email, grant, password, by)).await?;
        self.tell(&account, Matter::Added);
        Ok((account, made))
    }

    /// Gives a role, in place of the one that the account may have there.
    pub(super) async fn give(&self, email: &str, role: &str, tenant: Option<&str>) -> Result<Arc<Account>, Problem> {
        let account = self.find(email)?;
        let grant = self.grant(role, tenant)?;
        self.own_role_stays(&account)?;
        self.may_take(&account, grant.tenant)?;
        let id = account.id.clone();
        let account = self.run(move |accounts, by| accounts.grant(&id, grant, by)).await?;
        self.tell(&account, Matter::Roles);
        Ok(account)
    }

    /// Takes a role away.
    pub(super) async fn withdraw(&self, email: &str, tenant: Option<&str>) -> Result<Arc<Account>, Problem> {
        let account = self.find(email)?;
        let tenant = self.tenant(tenant)?;
        self.own_role_stays(&account)?;
        self.may_take(&account, tenant)?;
        let id = account.id.clone();
        self.run(move |accounts, by| accounts.withdraw(&id, tenant, by)).await
    }

    fn own_role_stays(&self, account: &Account) -> Result<(), Problem> {
        if self.is_mine(account) {
            return Err(Problem::conflict("these are your own roles: another owner changes them"));
        }
        Ok(())
    }

    fn may_take(&self, account: &Account, tenant: Option<TenantId>) -> Result<(), Problem> {
        let held = account.grants.iter().find(|held| held.tenant == tenant);
        match held.filter(|held| !self.authority.may_give(**held)) {
            Some(held) => Err(Problem::forbidden(format!("your role does not let you change an {}", held.role))),
            None => Ok(()),
        }
    }

    /// Changes an account as a whole; what was done.
    pub(super) async fn change(&self, email: &str, change: Change) -> Result<String, Problem> {
        let account = self.managed(email)?;
        let (id, name) = (account.id.clone(), account.email.clone());
        let (done, matter) = match change {
            Change::Disable => {
                self.run(move |accounts, by| accounts.disable(&id, by)).await?;
                (format!("disabled the account {name}; its sessions have ended"), None)
            }
            Change::Enable => {
                self.run(move |accounts, by| accounts.enable(&id, by)).await?;
                (format!("enabled the account {name}"), None)
            }
            Change::EndSessions => {
                let count = self.run(move |accounts, by| accounts.end_sessions(&id, None, by)).await?;
                (format!("ended {count} sessions of {name}"), None)
            }
            Change::ResetFactor => {
                self.run(move |accounts, by| accounts.reset_factor(&id, by)).await?;
                (format!("removed the second factor of {name}; its sessions have ended"), Some(Matter::FactorRemoved))
            }
            Change::Remove => {
                self.run(move |accounts, by| accounts.remove(&id, by)).await?;
                (format!("removed the account {name}"), None)
            }
        };
        if let Some(matter) = matter {
            self.tell(&account, matter);
        }
        Ok(done)
    }

    /// Gives a new first password and ends the account's sessions.
    pub(super) async fn make_password(&self, email: &str) -> Result<(Arc<Account>, Zeroizing<String>), Problem> {
        let id = self.managed(email)?.id.clone();
        let (account, made) = self.run(move |accounts, by| accounts.make_password(&id, by)).await?;
        self.tell(&account, Matter::PasswordReplaced);
        Ok((account, made))
    }

    /// Tokens that the caller may know of, latest first; with a tenant, its own.
    pub(super) fn tokens(&self, tenant: Option<TenantId>) -> Vec<ApiToken> {
        let wanted = |token: &ApiToken| tenant.is_none() || token.grant.tenant == tenant;
        let all = self.accounts().tokens().into_iter();
        all.filter(|token| self.authority.sees(token.grant) && wanted(token)).collect()
    }

    /// Makes a token for a role that the caller may give.
    pub(super) async fn new_token(
        &self,
        name: String,
        grant: Grant,
        expires: Option<Timestamp>,
    ) -> Result<(ApiToken, Zeroizing<String>), Problem> {
        self.run(move |accounts, by| accounts.new_token(&NewToken { name: &name, grant, expires }, by)).await
    }

    /// Ends a token at once.
    pub(super) async fn revoke_token(&self, id: &str) -> Result<(), Problem> {
        let shown: String = id.chars().take(40).collect();
        let token = self.tokens(None).into_iter().find(|token| token.id == id);
        let token = token.ok_or_else(|| Problem::not_found(format!("there is no token {shown}")))?;
        if !self.authority.may_give(token.grant) {
            return Err(Problem::forbidden(format!(
                "your role does not let you revoke an {}'s token",
                token.grant.role
            )));
        }
        self.run(move |accounts, by| accounts.revoke_token(&token.id, by)).await
    }

    /// Whose list of networks is meant; an owner's only. Without a name: everybody's for an owner of all tenants, else the
    /// one tenant's that the caller owns.
    pub(super) fn list_of(&self, name: Option<&str>) -> Result<Option<TenantId>, Problem> {
        let named = self.tenant(name)?;
        if named.is_some() || self.owns(None) {
            let forbidden = || Problem::forbidden("only an owner sets where people may enter from");
            return self.owns(named).then_some(named).ok_or_else(forbidden);
        }
        let directory = self.directory();
        let mut own = directory.tenants().map(|tenant| tenant.id).filter(|tenant| self.owns(Some(*tenant)));
        match (own.next(), own.next()) {
            (Some(only), None) => Ok(Some(only)),
            _ => Err(Problem::invalid("which tenant? name one with ?tenant=NAME")),
        }
    }

    /// Sets where people may enter from. Who is concerned cannot shut themselves out; an owner of all tenants is not
    /// concerned by the list of one.
    pub(super) async fn set_networks(&self, of: Option<TenantId>, networks: Vec<ipnet::IpNet>) -> Result<(), Problem> {
        let from = if of.is_some() && self.owns(None) { None } else { self.address };
        self.run(move |accounts, by| accounts.set_networks(of, &networks, from, by)).await
    }

    /// Is the caller an owner there?
    pub(super) fn owns(&self, of: Option<TenantId>) -> bool {
        self.authority.may_give(Grant { tenant: of, role: Role::Owner })
    }

    /// A tenant's name.
    pub(super) fn name(&self, tenant: TenantId) -> String {
        self.directory().tenant_name(tenant).map_or_else(|| format!("#{}", tenant.0), str::to_owned)
    }

    /// The view of an account, with what the caller may know.
    pub(super) fn view(&self, account: &Account) -> AccountView {
        let role = |grant: &Grant| match grant.tenant {
            None => grant.role.to_string(),
            Some(tenant) => format!("{}@{}", grant.role, self.name(tenant)),
        };
        let sessions = self.authority.manages(account).then(|| self.accounts().sessions_of(&account.id));
        let seen = sessions.as_ref().and_then(|sessions| sessions.iter().map(|(_, one)| one.seen).max());
        AccountView {
            email: account.email.clone(),
            roles: account.grants.iter().filter(|grant| self.authority.sees(**grant)).map(role).collect(),
            totp: account.totp.is_some(),
            password: account.password.is_some(),
            sessions: sessions.map(|sessions| sessions.len()),
            seen: seen.map(Timestamp::to_rfc3339),
            disabled: account.disabled.map(Timestamp::to_rfc3339),
            created: account.created.to_rfc3339(),
        }
    }

    /// The view of a token.
    pub(super) fn token_view(&self, token: &ApiToken) -> TokenView {
        TokenView {
            id: token.id.clone(),
            name: token.name.clone(),
            role: token.grant.role.to_string(),
            tenant: token.grant.tenant.map(|tenant| self.name(tenant)),
            expires: token.expires.map(Timestamp::to_rfc3339),
            used: token.used.map(Timestamp::to_rfc3339),
            created: token.created.to_rfc3339(),
            by: token.by.clone(),
        }
    }
}

impl FromRequestParts<WebState> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Ok(Self::of_caller(state, &caller, &parts.headers))
    }
}

impl FromRequestParts<PeopleAdmin> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &PeopleAdmin) -> Result<Self, Problem> {
        Ok(Self {
            admin: state.clone(),
            authority: Authority::CommandLine,
            by: by(&parts.headers),
            address: None,
            me: None,
            notices: None,
        })
    }
}
