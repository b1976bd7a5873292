//! `/`: what there is, and what should be looked at.

use askama::Template;
use axum::extract::State;
use axum::routing::get;
use waxseal_dns::check::Status;

use super::caller::{Caller, Who};
use super::language::fill;
use super::page::{Layout, PageResult, show};
use super::role::{Reach, Role};
use super::route::{Route, SEE};
use super::state::WebState;
use crate::admin::QueueFilter;
use crate::tenants::DkimState;
use crate::words;

pub(super) const ROUTES: &[Route] = &[Route::get("/", SEE, || get(overview))];

/// Waiting recipients are counted up to here; past it the page says "more than".
const COUNTED: usize = 1000;

words! {
    /// Texts of the overview.
    OverviewWords {
        title: "Overview" | "概要",
        waiting: "messages waiting" | "送信待ちのメッセージ",
        deferred: "deferred" | "再試行待ち",
        held: "held" | "保留中",
        domains: "domains" | "ドメイン",
        look: "To look at" | "確認が必要な項目",
        fine: "Nothing needs you." | "対応が必要な項目はありません。",
        no_key: "{} has no key that signs: its mail is refused." | "{} には署名中の鍵がないため、メールを受け付けられません。",
        bad_record: "{}: the record {} is not as it should be." | "{}: レコード {} が正しく設定されていません。",
        held_mail: "{} messages are held and wait for a person." | "{}件のメッセージが保留され、操作を待っています。",
        no_factor: "Your account has no second factor." | "アカウントに二段階認証が設定されていません。",
        unhealthy: "The gateway takes no mail: {}" | "現在メールを受け付けていません: {}",
        no_domain: "No domain yet: add the one that your letters come from." | "ドメインがまだありません。送信元のドメインを追加してください。",
        open: "Open" | "開く",
        more_than: "over {}" | "{}件超",
    }
}

struct Figure {
    value: String,
    text: &'static str,
    path: &'static str,
}

/// Something to look at: class, text, and where.
struct Matter {
    class: &'static str,
    text: String,
    path: String,
}

#[derive(Template)]
#[template(path = "overview.html")]
struct Overview {
    layout: Layout,
    words: &'static OverviewWords,
    figures: Vec<Figure>,
    matters: Vec<Matter>,
}

async fn overview(State(state): State<WebState>, layout: Layout, caller: Caller) -> PageResult {
    let words = OverviewWords::of(layout.language);
    let mut figures = Vec::new();
    let mut matters = Vec::new();
    let mail = Reach::of(&caller.grants, &[Role::Owner, Role::Admin, Role::Auditor]);
    if let Some(reach) = mail {
        let health = state.rooms.admin.gateway.health().await;
        if !health.ok {
            let text = fill(words.unhealthy, &[&health.reasons.join("; ")]);
            matters.push(Matter { class: "bad", text, path: "/queue".to_owned() });
        }
        queue(&state, &reach, words, &mut figures, &mut matters).await?;
        domains(&state, &reach, words, &mut figures, &mut matters);
    }
    if let Who::Person { id, .. } = &caller.who
        && state.rooms.accounts.account(id).is_some_and(|account| account.totp.is_none() && account.identity.is_none())
    {
        let text = words.no_factor.to_owned();
        matters.push(Matter { class: "warn", text, path: "/account/totp".to_owned() });
    }
    show(&Overview { layout, words, figures, matters })
}

async fn queue(
    state: &WebState,
    reach: &Reach,
    words: &OverviewWords,
    figures: &mut Vec<Figure>,
    matters: &mut Vec<Matter>,
) -> Result<(), crate::admin::Problem> {
    let rows = [
        (None, "/queue", words.waiting),
        (Some("deferred"), "/queue?state=deferred", words.deferred),
        (Some("held"), "/queue?state=held", words.held),
    ];
    for (wanted, path, text) in rows {
        let filter = QueueFilter { state: wanted.map(str::to_owned), ..QueueFilter::default() };
        let count = super::mail::list(state, reach, filter, None, COUNTED + 1).await?.len();
        let value = if count > COUNTED { fill(words.more_than, &[&COUNTED]) } else { count.to_string() };
        figures.push(Figure { value, text, path });
        if wanted == Some("held") && count > 0 {
            let text = fill(words.held_mail, &[&count.min(COUNTED)]);
            matters.push(Matter { class: "warn", text, path: path.to_owned() });
        }
    }
    Ok(())
}

fn domains(
    state: &WebState,
    reach: &Reach,
    words: &OverviewWords,
    figures: &mut Vec<Figure>,
    matters: &mut Vec<Matter>,
) {
    let directory = state.directory();
    let mut count = 0;
    for domain in directory.domains().filter(|domain| reach.covers(domain.tenant)) {
        count += 1;
        let path = format!("/domains/{}", domain.name);
        if !directory.dkim_keys(&domain.name).any(|key| key.state() == DkimState::Active) {
            matters.push(Matter {
                class: "bad",
                text: fill(words.no_key, &[&domain.name]),
                path: format!("{path}#keys"),
            });
        }
        let Ok(report) = state.rooms.checks.last(&domain.name) else { continue };
        for record in &report.records {
            if !matches!(record.status, Status::Ok | Status::NotChecked | Status::Stale) {
                let text = fill(words.bad_record, &[&domain.name, &record.name]);
                matters.push(Matter { class: "bad", text, path: path.clone() });
            }
        }
    }
    figures.push(Figure { value: count.to_string(), text: words.domains, path: "/domains" });
    if count == 0 {
        matters.push(Matter { class: "info", text: words.no_domain.to_owned(), path: "/domains".to_owned() });
    }
    // A page of a hundred broken domains helps nobody: the list of domains has them all.
    matters.truncate(20);
}
