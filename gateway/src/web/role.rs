//! Roles: what a person or a token may do, and in which tenant.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::TenantId;

/// A role. What each may do stands in the table of routes, not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything, people and tokens included.
    Owner,
    /// Domains, keys, the queue.
    Admin,
    /// Held posts and their authors.
    Moderator,
    /// Sees everything, changes nothing.
    Auditor,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Owner, Self::Admin, Self::Moderator, Self::Auditor];

    /// `owner`, `admin`, `moderator`, `auditor`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Moderator => "moderator",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no role.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a role: owner, admin, moderator or auditor")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        let found = Self::ALL.into_iter().find(|role| role.name() == text);
        found.ok_or_else(|| UnknownRole(text.chars().take(40).collect()))
    }
}

/// A role, in one tenant or (the operator's people) in all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// `None`: every tenant, those that come later too.
    pub tenant: Option<TenantId>,
    /// The role there.
    pub role: Role,
}

/// The tenants whose things a request may see and touch. The guard makes it of the grants whose role the route
/// admits, so that a handler asks only one question: does the reach cover this tenant?
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All tenants, and what belongs to no tenant.
    Everything,
    /// These tenants.
    Tenants(Vec<TenantId>),
}

impl Reach {
    /// What the grants with one of `roles` cover; `None` if there is no such grant.
    pub fn of(grants: &[Grant], roles: &[Role]) -> Option<Self> {
        let mut tenants = Vec::new();
        for grant in grants.iter().filter(|grant| roles.contains(&grant.role)) {
            match grant.tenant {
                None => return Some(Self::Everything),
                Some(tenant) => tenants.push(tenant),
            }
        }
        (!tenants.is_empty()).then_some(Self::Tenants(tenants))
    }

    /// May things of this tenant be seen and touched?
    pub fn covers(&self, tenant: TenantId) -> bool {
        match self {
            Self::Everything => true,
            Self::Tenants(tenants) => tenants.contains(&tenant),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reach_is_made_of_the_grants_that_the_route_admits() {
        let one = |tenant: u32, role| Grant { tenant: Some(TenantId(tenant)), role };
        let grants = [one(1, Role::Admin), one(2, Role::Moderator)];
        let admins = Reach::of(&grants, &[Role::Owner, Role::Admin]).unwrap();
        assert!(admins.covers(TenantId(1)) && !admins.covers(TenantId(2)));
        assert_eq!(Reach::of(&grants, &[Role::Owner]), None);
        let all = [Grant { tenant: None, role: Role::Auditor }];
        assert_eq!(Reach::of(&all, &Role::ALL), Some(Reach::Everything));
        assert!("root".parse::<Role>().is_err() && "auditor".parse() == Ok(Role::Auditor));
    }
}
