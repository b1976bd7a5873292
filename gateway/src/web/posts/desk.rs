//! The desk: the posts of the one tenant that a request is about, and who asks. Handlers take it as an argument, on the
//! web listener (tenant by the caller's reach) and on the control socket (every tenant) alike.

use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use serde::Deserialize;

use super::control::PostAdmin;
use crate::admin::Problem;
use crate::admin::server::by;
use crate::ids::TenantId;
use crate::posts::{PostError, Posts};
use crate::redact::Policy;
use crate::tenants::Directory;
use crate::web::caller::Caller;
use crate::web::state::WebState;

/// See the module.
pub struct Desk {
    /// The posts of all tenants.
    pub posts: Arc<Posts>,
    /// The tenant.
    pub tenant: TenantId,
    /// Its name.
    pub name: String,
    /// How its card numbers are struck out.
    pub policy: Policy,
    /// Who asks, for histories and events.
    pub by: String,
}

#[derive(Deserialize)]
struct OfTenant {
    tenant: Option<String>,
}

/// The tenant that a request names.
pub fn asked(parts: &Parts) -> Result<Option<String>, Problem> {
    let query = Query::<OfTenant>::try_from_uri(&parts.uri);
    Ok(query.map_err(|error| Problem::invalid(error.body_text()))?.0.tenant)
}

/// The tenant of this name, or the only one there is: for the control socket, which reaches every tenant.
pub fn tenant_of(directory: &Directory, asked: Option<String>) -> Result<TenantId, Problem> {
    if let Some(name) = asked {
        let found = directory.tenant_by_name(&name).map(|tenant| tenant.id);
        return found.ok_or_else(|| Problem::not_found(format!("there is no tenant \"{name}\"")));
    }
    let mut all = directory.tenants();
    match (all.next(), all.next()) {
        (Some(only), None) => Ok(only.id),
        (None, _) => Err(Problem::not_found("there is no tenant yet: waxseal tenant add NAME")),
        _ => Err(Problem::invalid("which tenant? name one with --tenant NAME")),
    }
}

impl Desk {
    /// The desk of a tenant that is in the directory.
    pub fn new(posts: &Arc<Posts>, directory: &Directory, tenant: TenantId, by: String) -> Result<Self, Problem> {
        let found = directory.tenant(tenant).ok_or_else(|| Problem::not_found("there is no such tenant"))?;
        let policy = found.policy.redaction.clone().unwrap_or_else(|| posts.settings().redaction);
        Ok(Self { posts: posts.clone(), tenant, name: found.name.clone(), policy, by })
    }

    /// Number and name of the tenant, as the posts room wants them.
    pub fn of(&self) -> (TenantId, &str) {
        (self.tenant, &self.name)
    }

    /// The desk of a caller on the web listener.
    pub fn of_caller(state: &WebState, caller: &Caller, asked: Option<&str>) -> Result<Self, Problem> {
        let directory = state.directory();
        let tenant = caller.tenant(asked, &directory)?;
        Self::new(&state.rooms.posts, &directory, tenant, caller.by())
    }
}

impl FromRequestParts<WebState> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Self, Problem> {
        let caller = Caller::from_request_parts(parts, state).await?;
        Self::of_caller(state, &caller, asked(parts)?.as_deref())
    }
}

impl FromRequestParts<PostAdmin> for Desk {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &PostAdmin) -> Result<Self, Problem> {
        let directory = state.registry.snapshot();
        let tenant = tenant_of(&directory, asked(parts)?)?;
        Self::new(&state.posts, &directory, tenant, by(&parts.headers))
    }
}

impl From<PostError> for Problem {
    fn from(error: PostError) -> Self {
        let text = error.to_string();
        match error {
            PostError::Invalid(_) | PostError::TooLong { .. } => Self::invalid(text),
            PostError::Unknown { .. } => Self::not_found(text),
            PostError::Version { .. } => Self::precondition_failed(text),
            PostError::Decided { .. }
            | PostError::Claimed { .. }
            | PostError::Conflict(_)
            | PostError::Unconfirmed { .. } => Self::conflict(text),
            PostError::Store(_) => Self::internal(text),
        }
    }
}
