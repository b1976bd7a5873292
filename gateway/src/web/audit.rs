//! `/audit`: who changed what, latest first.

use askama::Template;
use axum::extract::{Query, State};
use axum::routing::get;
use serde::Deserialize;

use super::page::{Layout, PageResult, show};
use super::route::{Route, SEE_AUDIT};
use super::state::{WebState, blocking};
use crate::admin::ports::AdminError;
use crate::tenants::AuditRecord;
use crate::words;

pub(super) const ROUTES: &[Route] = &[Route::get("/audit", SEE_AUDIT, || get(page))];

const ROWS: usize = 100;

words! {
    /// Texts of the audit.
    AuditWords {
        title: "Audit" | "監査記録",
        explain: "Every change, latest first. Each line is bound to the one before it; waxseal audit verify finds a line that was changed or taken out." | "すべての変更を新しい順に表示します。各行は直前の行と結び付けられており、改変や削除は waxseal audit verify で検出できます。",
        number: "No." | "番号",
        at: "When" | "日時",
        by: "Who" | "実行者",
        what: "What" | "内容",
        nothing: "Nothing was changed yet." | "まだ変更はありません。",
        signed: "Signed up to line {}." | "{}番まで署名済みです。",
        unsigned: "Not signed yet; that happens within five minutes of a change." | "まだ署名されていません。変更から5分以内に署名されます。",
        older: "Older lines" | "以前の記録",
    }
}

struct Row {
    number: u64,
    at: (String, String),
    record: AuditRecord,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    layout: Layout,
    words: &'static AuditWords,
    rows: Vec<Row>,
    older: Option<u64>,
    signed: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Before {
    before: Option<u64>,
}

async fn page(State(state): State<WebState>, layout: Layout, Query(query): Query<Before>) -> PageResult {
    let words = AuditWords::of(layout.language);
    let registry = state.rooms.registry.clone();
    let read = blocking(move || {
        Ok::<_, AdminError>((registry.audit_page(query.before, ROWS)?, registry.audit_checkpoints()?.0))
    });
    let (lines, checkpoints) = read.await??;
    let older = lines.last().map(|(number, _)| *number).filter(|number| *number > 1);
    let signed = match checkpoints.last() {
        Some(last) => super::language::fill(words.signed, &[&last.number]),
        None => words.unsigned.to_owned(),
    };
    let row = |(number, record): (u64, AuditRecord)| Row { number, at: layout.moment(record.at), record };
    let rows = lines.into_iter().map(row).collect();
    show(&AuditPage { layout, words, rows, older, signed })
}
