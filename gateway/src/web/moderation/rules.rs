//! `/moderation/rules`: tried on the last 1,000 posts, made in shadow, put in force.

use askama::Template;
use axum::body::Bytes;
use axum::extract::{Query, State};
use serde::Deserialize;

use super::Place;
use super::act::Form;
use super::show::Row;
use super::words::Texts;
use crate::admin::Problem;
use crate::admin::client::query;
use crate::posts::{Effect, Field, NewRule, RuleMode};
use crate::web::caller::Caller;
use crate::web::language::fill;
use crate::web::page::{Layout, PageResult, see_other, show};
use crate::web::state::{WebState, blocking};

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RulesQuery {
    tenant: Option<String>,
    field: Option<String>,
    pattern: Option<String>,
    effect: Option<String>,
}

struct Shown {
    number: u64,
    field: &'static str,
    pattern: String,
    effect: &'static str,
    mode: &'static str,
    enforced: bool,
    hits: u64,
    by: String,
}

#[derive(Template)]
#[template(path = "moderation/rules.html")]
struct RulesPage {
    layout: Layout,
    texts: &'static Texts,
    place: Place,
    rules: Vec<Shown>,
    field: String,
    pattern: String,
    effect: String,
    trial: Option<String>,
    rows: Vec<Row>,
    tenant_query: String,
}

fn rule_of(field: Option<&str>, pattern: &str, effect: Option<&str>) -> Result<NewRule, Problem> {
    let field = match field.unwrap_or("word") {
        "word" => Field::Word,
        "link" => Field::Link,
        "address" => Field::Address,
        other => return Err(Problem::invalid(format!("a rule looks at word, link or address, not at \"{other}\""))),
    };
    let effect = if effect == Some("spam") { Effect::Spam } else { Effect::Hold };
    Ok(NewRule { field, pattern: pattern.to_owned(), effect }.check()?)
}

pub(super) async fn page(
    State(web): State<WebState>,
    layout: Layout,
    caller: Caller,
    Query(asked): Query<RulesQuery>,
) -> PageResult {
    let place = Place::of(&web, &caller, asked.tenant.as_deref())?;
    let texts = Texts::of(layout.language);
    let (mut trial, mut rows) = (None, Vec::new());
    if let Some(pattern) = asked.pattern.as_deref().filter(|pattern| !pattern.trim().is_empty()) {
        let rule = rule_of(asked.field.as_deref(), pattern, asked.effect.as_deref())?;
        let (posts, tenant) = (place.desk.posts.clone(), place.desk.tenant);
        let found = blocking(move || posts.try_rule(tenant, &rule)).await??;
        let (now, thresholds) = (place.desk.posts.now(), place.desk.posts.settings().thresholds);
        trial = Some(fill(texts.trial, &[&found.tried, &found.matched, &found.public]));
        rows = found.posts.iter().map(|post| Row::of(post, None, &place.desk.by, thresholds, now, texts)).collect();
    }
    let rules = place.desk.posts.rules(place.desk.tenant).into_iter().map(|rule| Shown {
        number: rule.number,
        field: match rule.rule.field {
            Field::Word => texts.word,
            Field::Link => texts.link,
            Field::Address => texts.rule_address,
        },
        pattern: rule.rule.pattern,
        effect: if rule.rule.effect == Effect::Spam { texts.effect_spam } else { texts.effect_hold },
        mode: if rule.mode == RuleMode::Enforced { texts.enforced } else { texts.shadow },
        enforced: rule.mode == RuleMode::Enforced,
        hits: rule.hits,
        by: rule.by,
    });
    show(&RulesPage {
        rules: rules.collect(),
        field: asked.field.unwrap_or_else(|| "word".into()),
        pattern: asked.pattern.unwrap_or_default(),
        effect: asked.effect.unwrap_or_else(|| "hold".into()),
        trial,
        rows,
        tenant_query: query(&[("tenant", place.tenant())]),
        layout,
        texts,
        place,
    })
}

pub(super) async fn change(State(web): State<WebState>, caller: Caller, body: Bytes) -> PageResult {
    let form = Form::read(&body);
    let place = Place::of(&web, &caller, form.get("tenant"))?;
    let (posts, tenant, by) = (place.desk.posts.clone(), place.desk.tenant, place.desk.by.clone());
    let wish = form.get("do").ok_or_else(|| Problem::invalid("the form asks for nothing"))?.to_owned();
    if wish == "add" {
        let rule = rule_of(form.get("field"), form.get("pattern").unwrap_or_default(), form.get("effect"))?;
        blocking(move || posts.add_rule(tenant, rule, &by)).await??;
    } else {
        let (verb, number) = wish.split_once(' ').unwrap_or_default();
        let number: u64 = number.parse().map_err(|_| Problem::invalid("the form names no rule"))?;
        let verb = verb.to_owned();
        let changed = blocking(move || match verb.as_str() {
            "enforce" => posts.set_rule_mode(tenant, number, RuleMode::Enforced),
            "shadow" => posts.set_rule_mode(tenant, number, RuleMode::Shadow),
            _ => posts.remove_rule(tenant, number),
        });
        changed.await??;
    }
    Ok(see_other(&format!("/moderation/rules{}", query(&[("tenant", place.tenant())]))))
}
