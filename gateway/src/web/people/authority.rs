//! Who may give which role, and to whom: a pure rule over grants.
//!
//! An owner gives every role where they are one. An admin gives what is below an admin: moderators, and auditors of one
//! tenant; an auditor of all tenants reads the audit, which an admin does not. Nobody gives a role in all tenants who
//! has theirs in one.

use crate::ids::TenantId;
use crate::web::accounts::Account;
use crate::web::role::{Grant, Role};

/// What somebody may do with the roles of others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// The command line: the file system is the authentication there.
    CommandLine,
    /// These roles' worth.
    Of(Vec<Grant>),
}

fn reaches(own: Grant, tenant: Option<TenantId>) -> bool {
    own.tenant.is_none() || own.tenant == tenant
}

impl Authority {
    /// May a role be given, or taken away?
    pub fn may_give(&self, grant: Grant) -> bool {
        let gives = |own: Grant| match own.role {
            Role::Owner => true,
            Role::Admin => grant.role == Role::Moderator || grant.role == Role::Auditor && grant.tenant.is_some(),
            Role::Moderator | Role::Auditor => false,
        };
        match self {
            Self::CommandLine => true,
            Self::Of(own) => own.iter().any(|own| reaches(*own, grant.tenant) && gives(*own)),
        }
    }

    /// May it be known that somebody has this role?
    pub fn sees(&self, grant: Grant) -> bool {
        let looks = |own: &Grant| matches!(own.role, Role::Owner | Role::Admin) && reaches(*own, grant.tenant);
        match self {
            Self::CommandLine => true,
            Self::Of(own) => own.iter().any(looks),
        }
    }

    /// May the account as a whole be changed: shut, signed out, given a new password? Only by who could have given all
    /// of its roles; one without any is the operator's.
    pub fn manages(&self, account: &Account) -> bool {
        let operator = Grant { tenant: None, role: Role::Owner };
        match account.grants.as_slice() {
            [] => self.may_give(operator),
            grants => grants.iter().all(|grant| self.may_give(*grant)),
        }
    }

    /// May it be known that this account is there?
    pub fn sees_account(&self, account: &Account) -> bool {
        account.grants.iter().any(|grant| self.sees(*grant)) || self.manages(account)
    }

    /// The roles that may be given in a tenant, or in all of them.
    pub fn gives(&self, tenant: Option<TenantId>) -> impl Iterator<Item = Role> {
        Role::ALL.into_iter().filter(move |role| self.may_give(Grant { tenant, role: *role }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALPHA: Option<TenantId> = Some(TenantId(1));
    const BRAVO: Option<TenantId> = Some(TenantId(2));

    fn of(tenant: Option<TenantId>, role: Role) -> Authority {
        Authority::Of(vec![Grant { tenant, role }])
    }

    /// The rule once more, as a table: what each role gives in its own tenant, in another, and in all.
    #[test]
    fn every_role_gives_what_is_below_it_where_it_stands() {
        use Role::{Admin, Auditor, Moderator, Owner};
        let all = &Role::ALL[..];
        let nobody = &[][..];
        let below = &[Moderator, Auditor][..];
        for (tenant, role, given) in [
            (ALPHA, Owner, [all, nobody, nobody]),
            (ALPHA, Admin, [below, nobody, nobody]),
            (ALPHA, Moderator, [nobody; 3]),
            (ALPHA, Auditor, [nobody; 3]),
            (None, Owner, [all; 3]),
            (None, Admin, [below, below, &[Moderator]]),
            (None, Moderator, [nobody; 3]),
            (None, Auditor, [nobody; 3]),
        ] {
            let authority = of(tenant, role);
            for (place, expected) in [ALPHA, BRAVO, None].into_iter().zip(given) {
                assert_eq!(authority.gives(place).collect::<Vec<_>>(), expected, "{role} of {tenant:?} in {place:?}");
            }
        }
    }

    #[test]
    fn an_account_is_changed_only_by_who_could_have_given_all_of_its_roles() {
        let grant = |tenant, role| Grant { tenant, role };
        let account = |grants: &[Grant]| Account::for_tests("ben@example.com", grants);
        let both = account(&[grant(ALPHA, Role::Moderator), grant(BRAVO, Role::Moderator)]);
        assert!(!of(ALPHA, Role::Owner).manages(&both) && of(ALPHA, Role::Owner).sees_account(&both));
        assert!(of(None, Role::Owner).manages(&both) && of(None, Role::Admin).manages(&both));
        let operator = account(&[grant(None, Role::Admin)]);
        assert!(!of(ALPHA, Role::Owner).sees_account(&operator) && !of(None, Role::Admin).manages(&operator));
        let none = account(&[]);
        assert!(of(None, Role::Owner).manages(&none) && !of(None, Role::Admin).sees_account(&none));
        assert!(!of(ALPHA, Role::Owner).sees_account(&account(&[grant(BRAVO, Role::Moderator)])));
    }
}
