//! People, sessions and tokens as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::web::accounts::{Session, SessionKey};

/// A person in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AccountView {
    /// The address.
    pub email: String,
    /// `owner`, or `owner@acme` for one tenant: those that the caller may know of.
    pub roles: Vec<String>,
    /// Is there a second factor?
    pub totp: bool,
    /// Is there a password?
    pub password: bool,
    /// Browsers that are signed in; `null` where the account is not the caller's to change.
    pub sessions: Option<usize>,
    /// When it was used last, in RFC 3339, to ten minutes; `null` if that is not known.
    pub seen: Option<String>,
    /// Since when it is shut, in RFC 3339.
    pub disabled: Option<String>,
    /// When it was made, in RFC 3339.
    pub created: String,
}

/// A session in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// Its short id.
    pub id: String,
    /// When it began, in RFC 3339.
    pub created: String,
    /// When it was used last, in RFC 3339.
    pub seen: String,
    /// From where.
    pub address: String,
    /// The browser in words.
    pub device: String,
    /// How it was signed in.
    pub method: String,
}

/// A token in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TokenView {
    /// Its id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its tenant's name; `null`: all.
    pub tenant: Option<String>,
    /// When it ends, in RFC 3339.
    pub expires: Option<String>,
    /// When it was used last, in RFC 3339, to ten minutes.
    pub used: Option<String>,
    /// When it was made, in RFC 3339.
    pub created: String,
    /// By whom.
    pub by: String,
}

/// The body of `POST /v1/users`.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewUserRequest {
    /// The address.
    pub email: String,
    /// The role.
    pub role: String,
    /// In one tenant; else in all.
    pub tenant: Option<String>,
    /// A chosen password.
    pub password: Option<String>,
    /// No password: only by single sign-on.
    pub single_sign_on: bool,
}

/// What `POST /v1/users` did.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct NewUser {
    /// The person.
    #[serde(flatten)]
    pub user: AccountView,
    /// The first password, where one was made. It cannot be had again.
    pub initial_password: Option<String>,
}

/// A role and where: the body of `:grant`.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GrantRequest {
    /// owner, admin, moderator or auditor.
    pub role: String,
    /// In one tenant; else in all.
    pub tenant: Option<String>,
}

/// Where a role is taken away: the body of `:withdraw`.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WithdrawRequest {
    /// In one tenant; else the role in all.
    pub tenant: Option<String>,
}

/// The body of `POST /v1/tokens`.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NewTokenRequest {
    /// What it is for.
    pub name: String,
    /// The role.
    pub role: String,
    /// In one tenant; else in all.
    pub tenant: Option<String>,
    /// How many seconds it lives.
    pub expires_after_seconds: Option<u64>,
}

/// A token as it is shown once.
#[derive(Serialize, Deserialize, ToSchema)]
pub struct NewTokenAnswer {
    /// The token.
    #[serde(flatten)]
    pub token: TokenView,
    /// Its secret. It cannot be had again.
    pub secret: String,
}

/// What was done, in words.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Done {
    /// One sentence.
    pub done: String,
}

/// Where persons may enter from.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Networks {
    /// Such as `192.0.2.0/24`; empty: anywhere.
    #[schema(value_type = Vec<String>)]
    pub networks: Vec<ipnet::IpNet>,
}

impl SessionView {
    /// A session under its key.
    pub fn new(key: &SessionKey, session: &Session) -> Self {
        Self {
            id: key.short(),
            created: session.created.to_rfc3339(),
            seen: session.seen.to_rfc3339(),
            address: session.address.to_string(),
            device: session.device.clone(),
            method: session.method.clone(),
        }
    }
}
