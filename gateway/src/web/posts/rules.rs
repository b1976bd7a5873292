//! `/v1/post-rules`: made in shadow, tried, enforced, removed.

use axum::Json;
use axum::body::Bytes;
use axum::extract::Path;

use super::desk::Desk;
use super::view::{RuleView, TrialView};
use crate::admin::Problem;
use crate::admin::server::json;
use crate::ids::TenantId;
use crate::posts::{NewRule, PostError, Posts, Rule, RuleMode};
use crate::web::state::blocking;

type Answer<T> = Result<Json<T>, Problem>;

pub(super) async fn list(desk: Desk) -> Json<Vec<RuleView>> {
    Json(desk.posts.rules(desk.tenant).iter().map(RuleView::of).collect())
}

async fn change(
    desk: Desk,
    work: impl FnOnce(&Posts, TenantId) -> Result<Rule, PostError> + Send + 'static,
) -> Answer<RuleView> {
    let (posts, tenant) = (desk.posts, desk.tenant);
    let rule = blocking(move || work(&posts, tenant)).await??;
    Ok(Json(RuleView::of(&rule)))
}

pub(super) async fn add(desk: Desk, body: Bytes) -> Answer<RuleView> {
    let (rule, by): (NewRule, String) = (json(&body)?, desk.by.clone());
    change(desk, move |posts, tenant| posts.add_rule(tenant, rule, &by)).await
}

pub(super) async fn try_on(desk: Desk, body: Bytes) -> Answer<TrialView> {
    let rule: NewRule = json(&body)?;
    let rule = rule.check()?;
    let (posts, tenant) = (desk.posts.clone(), desk.tenant);
    let trial = blocking(move || posts.try_rule(tenant, &rule)).await??;
    Ok(Json(TrialView::of(&trial, desk.posts.settings().thresholds)))
}

fn number(text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::not_found(format!("there is no rule \"{text}\"")))
}

pub(super) async fn enforce(desk: Desk, Path(rule): Path<String>) -> Answer<RuleView> {
    let rule = number(&rule)?;
    change(desk, move |posts, tenant| posts.set_rule_mode(tenant, rule, RuleMode::Enforced)).await
}

pub(super) async fn shadow(desk: Desk, Path(rule): Path<String>) -> Answer<RuleView> {
    let rule = number(&rule)?;
    change(desk, move |posts, tenant| posts.set_rule_mode(tenant, rule, RuleMode::Shadow)).await
}

pub(super) async fn remove(desk: Desk, Path(rule): Path<String>) -> Answer<RuleView> {
    let rule = number(&rule)?;
    change(desk, move |posts, tenant| posts.remove_rule(tenant, rule)).await
}
