//! `/domains/{domain}`: records in three groups, expected against found, and the keys.

use askama::Template;
use axum::extract::{Form, Path, Query, State};
use axum::http::header;
use axum::response::IntoResponse as _;
use axum::routing::{get, post};
use serde::Deserialize;
use waxseal_dns::Format;
use waxseal_dns::check::{Piece, Status};

use super::report::{CheckedRecord, DomainReport, Group, Seen};
use super::{DomainWords, domain};
use crate::admin::Problem;
use crate::admin::client::segment;
use crate::admin::ports::{ApplyReport, KeySummary};
use crate::clock::Timestamp;
use crate::web::caller::Caller;
use crate::web::page::{Layout, PageResult, see_other, show};
use crate::web::role::Role;
use crate::web::route::{CHANGE_MAIL, Route, SEE_MAIL};
use crate::web::state::{WebState, blocking};

pub(super) const ROUTES: &[Route] = &[
    Route::get("/domains/{domain}", SEE_MAIL, || get(page)),
    Route::get("/domains/{domain}/records", SEE_MAIL, || get(download)),
    Route::post("/domains/{domain}/check", CHANGE_MAIL, || post(check)),
    Route::post("/domains/{domain}/rotate", CHANGE_MAIL, || post(rotate)),
    Route::post("/domains/{domain}/keys/{selector}", CHANGE_MAIL, || post(change_key)),
];

struct RecordRow {
    /// Of the page: for labels and copying.
    number: usize,
    record: CheckedRecord,
    /// The name without the domain, `@` for the domain itself.
    relative: String,
    /// Class, sign, word.
    status: (&'static str, &'static str, &'static str),
    expected: Vec<Piece>,
    found: Vec<(Seen, Vec<Piece>)>,
}

struct RecordGroup {
    title: &'static str,
    text: &'static str,
    rows: Vec<RecordRow>,
    /// Rules that are no records: one line each.
    compact: bool,
}

/// What happens to a key next by itself.
struct NextStep {
    /// The state that it leads to, in words.
    to: Option<&'static str>,
    at: Option<(String, String)>,
    /// What it waits for.
    why: String,
}

struct KeyRow {
    key: KeySummary,
    state: (&'static str, &'static str, &'static str),
    created: (String, String),
    since: (String, String),
    next: Option<NextStep>,
    history: Vec<((String, String), &'static str, String)>,
    may_activate: bool,
    may_retire: bool,
    may_revoke: bool,
}

#[derive(Template)]
#[template(path = "domain.html")]
struct DomainPage {
    layout: Layout,
    words: &'static DomainWords,
    name: String,
    path: String,
    tenant: String,
    checked: Option<(String, String)>,
    next: Option<(String, String)>,
    groups: Vec<RecordGroup>,
    keys: Vec<KeyRow>,
    formats: [Format; 12],
    may_change: bool,
}

fn relative(name: &str, domain: &str) -> String {
    if name == domain {
        return "@".to_owned();
    }
    name.strip_suffix(domain).and_then(|name| name.strip_suffix('.')).unwrap_or(name).to_owned()
}

fn standing(status: Status, words: &DomainWords) -> (&'static str, &'static str, &'static str) {
    match status {
        Status::Ok => ("good", "✓", words.ok),
        Status::Missing => ("bad", "✕", words.missing),
        Status::Mismatch => ("bad", "≠", words.mismatch),
        Status::Duplicate => ("bad", "⧉", words.duplicate),
        Status::Conflict => ("bad", "!", words.conflict),
        Status::DnsError => ("warn", "?", words.dns_error),
        Status::Stale => ("warn", "↻", words.stale),
        Status::NotChecked => ("", "–", words.not_checked),
    }
}

/// A text that is compared with nothing.
fn plain(text: &str) -> Vec<Piece> {
    vec![Piece { text: text.to_owned(), same: true }]
}

fn groups(report: &DomainReport, words: &'static DomainWords) -> Vec<RecordGroup> {
    let titles = [
        (Group::Required, words.required, words.required_text),
        (Group::Recommended, words.recommended, words.recommended_text),
        (Group::Operator, words.operators, words.operators_text),
        (Group::Receivers, words.receivers, words.receivers_text),
    ];
    let row = |(number, record): (usize, &CheckedRecord)| {
        let (expected, differing) = match &record.difference {
            Some(difference) => (difference.expected.clone(), difference.found.as_slice()),
            None => (plain(&record.expected), &[][..]),
        };
        let compared: String = differing.iter().map(|piece| piece.text.as_str()).collect();
        let found = record.found.iter().map(|seen| {
            let same = !differing.is_empty() && seen.value == compared;
            (seen.clone(), if same { differing.to_vec() } else { plain(&seen.value) })
        });
        RecordRow {
            number,
            relative: relative(&record.name, &report.domain),
            status: standing(record.status, words),
            expected,
            found: found.collect(),
            record: record.clone(),
        }
    };
    let of = |(group, title, text): (Group, &'static str, &'static str)| RecordGroup {
        title,
        text,
        compact: group == Group::Receivers,
        rows: report.records.iter().enumerate().filter(|(_, record)| record.group == group).map(row).collect(),
    };
    titles.into_iter().map(of).filter(|group| !group.rows.is_empty()).collect()
}

fn key_row(key: KeySummary, layout: &Layout, words: &DomainWords) -> KeyRow {
    let state = key.state.as_str();
    KeyRow {
        state: words.key_state(state),
        created: shown(&key.created, layout),
        since: shown(&key.since, layout),
        next: key.next.as_ref().map(|next| NextStep {
            to: next.to.as_deref().map(|to| words.key_state(to).2),
            at: next.at.as_deref().map(|at| shown(at, layout)),
            why: next.why.clone(),
        }),
        history: key
            .history
            .iter()
            .map(|one| (shown(&one.at, layout), words.key_state(&one.to).2, format!("{}: {}", one.by, one.why)))
            .collect(),
        may_activate: matches!(state, "generated" | "published" | "verified"),
        may_retire: matches!(state, "active" | "retiring"),
        may_revoke: matches!(state, "generated" | "published" | "verified" | "active" | "retiring"),
        key,
    }
}

fn shown(at: &str, layout: &Layout) -> (String, String) {
    Timestamp::parse_rfc3339(at).map_or_else(|| (at.to_owned(), at.to_owned()), |at| layout.moment(at))
}

async fn page(State(state): State<WebState>, layout: Layout, caller: Caller, Path(text): Path<String>) -> PageResult {
    let name = domain(&state, &caller, &text)?;
    let words = DomainWords::of(layout.language);
    let directory = state.directory();
    let owner = directory.owner(&name);
    let report = state.rooms.checks.last(&name)?;
    let tenants = state.rooms.admin.tenants.clone();
    let of = name.clone();
    let keys = blocking(move || tenants.list_keys(&of)).await??;
    show(&DomainPage {
        words,
        path: format!("/domains/{}", segment(&name.to_string())),
        tenant: owner.and_then(|id| directory.tenant_name(id)).unwrap_or_default().to_owned(),
        checked: report.checked.as_deref().map(|at| shown(at, &layout)),
        next: report.next.as_deref().map(|at| shown(at, &layout)),
        groups: groups(&report, words),
        keys: keys.into_iter().map(|key| key_row(key, &layout, words)).collect(),
        formats: Format::ALL,
        may_change: owner.is_some_and(|tenant| caller.may(tenant, &[Role::Owner, Role::Admin])),
        name: name.to_string(),
        layout,
    })
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Wanted {
    pub(super) format: Option<String>,
}

async fn download(
    State(state): State<WebState>,
    caller: Caller,
    Path(text): Path<String>,
    Query(wanted): Query<Wanted>,
) -> PageResult {
    let name = domain(&state, &caller, &text)?;
    let format = wanted.format.unwrap_or_else(|| "text".to_owned());
    let ending = format.parse::<Format>().map_err(|error| Problem::invalid(error.to_string()))?.ending();
    let (tenants, of) = (state.rooms.admin.tenants.clone(), name.clone());
    let records = blocking(move || tenants.domain_records(&of, &format)).await??;
    // A domain name's characters are all fit for a quoted string (RFC 6266 §4.1).
    let file = format!("attachment; filename=\"{name}.{ending}\"");
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, file)], records)
        .into_response())
}

async fn check(State(state): State<WebState>, caller: Caller, Path(text): Path<String>) -> PageResult {
    let name = domain(&state, &caller, &text)?;
    state.rooms.checks.check(&name).await?;
    Ok(see_other(&format!("/domains/{}", segment(&name.to_string()))))
}

/// Begins a rotation: the same for the page and the API.
pub(super) async fn rotate_keys(state: &WebState, caller: &Caller, text: &str) -> Result<ApplyReport, Problem> {
    let name = domain(state, caller, text)?;
    let (tenants, by) = (state.rooms.admin.tenants.clone(), caller.by());
    Ok(blocking(move || tenants.rotate_keys(&name, None, false, &by)).await??)
}

async fn rotate(State(state): State<WebState>, caller: Caller, Path(text): Path<String>) -> PageResult {
    rotate_keys(&state, &caller, &text).await?;
    Ok(see_other(&format!("/domains/{}#keys", segment(&text))))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Doing {
    action: String,
}

/// Does a verb to a key: the same for the page and the API.
pub(super) async fn act_on_key(
    state: &WebState,
    caller: &Caller,
    text: &str,
    selector: String,
    verb: &str,
) -> Result<KeySummary, Problem> {
    let name = domain(state, caller, text)?;
    let (tenants, by) = (state.rooms.admin.tenants.clone(), caller.by());
    let verb = verb.to_owned();
    let done = blocking(move || match verb.as_str() {
        "activate" => Some(tenants.activate_key(&name, &selector, false, &by)),
        "activate-unseen" => Some(tenants.activate_key(&name, &selector, true, &by)),
        "retire" => Some(tenants.retire_key(&name, &selector, false, &by)),
        "revoke" => Some(tenants.revoke_key(&name, &selector, &by)),
        _ => None,
    });
    Ok(done.await?.ok_or_else(|| Problem::invalid("a key can be activated, retired or revoked"))??)
}

async fn change_key(
    State(state): State<WebState>,
    caller: Caller,
    Path((text, selector)): Path<(String, String)>,
    Form(doing): Form<Doing>,
) -> PageResult {
    act_on_key(&state, &caller, &text, selector, &doing.action).await?;
    Ok(see_other(&format!("/domains/{}#keys", segment(&text))))
}
