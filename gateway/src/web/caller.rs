//! Who asks: the value that the guard makes of a session or a token, and that handlers take as an argument.

use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use super::accounts::{AccountId, SessionKey};
use super::role::{Grant, Reach, Role};
use crate::admin::Problem;
use crate::ids::TenantId;
use crate::tenants::Directory;

/// A person at a browser, or a program with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A person.
    Person {
        /// The account.
        id: AccountId,
        /// Its address.
        email: String,
        /// The session.
        session: SessionKey,
    },
    /// A program.
    Token {
        /// The token's id, as lists show it.
        id: String,
    },
}

/// Who asks, and what this request may touch. Only the guard makes one.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who it is.
    pub who: Who,
    /// All roles, whatever the route.
    pub grants: Vec<Grant>,
    /// The tenants for which a role stands that this route admits.
    pub reach: Reach,
    /// Where the request comes from.
    pub address: IpAddr,
}

impl Caller {
    /// The name for records and the audit: the address of a person, `token:ID` of a program.
    pub fn by(&self) -> String {
        match &self.who {
            Who::Person { email, .. } => email.clone(),
            Who::Token { id } => format!("token:{id}"),
        }
    }

    /// Has it one of these roles anywhere?
    pub fn has_any(&self, roles: &[Role]) -> bool {
        self.grants.iter().any(|grant| roles.contains(&grant.role))
    }

    /// Has it one of these roles in this tenant?
    pub fn may(&self, tenant: TenantId, roles: &[Role]) -> bool {
        Reach::of(&self.grants, roles).is_some_and(|reach| reach.covers(tenant))
    }

    /// The one tenant that a request is about: the one that it names, or else the only one there is for the caller.
    /// A tenant out of reach is answered like one that does not exist.
    pub fn tenant(&self, asked: Option<&str>, directory: &Directory) -> Result<TenantId, Problem> {
        if let Some(name) = asked.filter(|name| !name.is_empty()) {
            let found = directory.tenant_by_name(name).map(|tenant| tenant.id).filter(|id| self.reach.covers(*id));
            let shown: String = name.chars().take(80).collect();
            return found.ok_or_else(|| Problem::not_found(format!("there is no tenant \"{shown}\"")));
        }
        let mut reachable = directory.tenants().map(|tenant| tenant.id).filter(|id| self.reach.covers(*id));
        match (reachable.next(), reachable.next()) {
            (Some(only), None) => Ok(only),
            (None, _) => Err(Problem::not_found("there is no tenant yet: waxseal tenant add NAME")),
            _ => Err(Problem::invalid("which tenant? name one with ?tenant=NAME")),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // The guard of every route that is not public has put it there.
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::unauthorized("sign in, or send a token"))
    }
}

/// Who asks on a page that is there without a sign-in too.
#[derive(Debug, Clone)]
pub struct MaybeCaller(pub Option<Caller>);

impl<S: Send + Sync> FromRequestParts<S> for MaybeCaller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self(parts.extensions.get::<Caller>().cloned()))
    }
}
