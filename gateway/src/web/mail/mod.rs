//! The queue: `/queue`, `/messages/{id}` and the same as JSON. A letter of a tenant out of reach is one that there is not.

mod api;
mod message;
mod queue;
mod suspensions;

use super::caller::Caller;
use super::role::Reach;
use super::route::Route;
use super::state::{WebState, blocking};
use crate::admin::view::LetterView;
use crate::admin::{Known, Problem, QueueFilter};
use crate::ids::{LetterId, TenantId};
use crate::store::LetterRecord;
use crate::words;

/// What a recipient in the queue can be; the other states are ends.
const STATES: [&str; 3] = ["queued", "deferred", "held"];

pub(super) fn routes() -> Vec<Route> {
    [api::ROUTES, queue::ROUTES, message::ROUTES].concat()
}

words! {
    /// Texts of the queue's pages.
    MailWords {
        title: "Queue" | "送信キュー",
        message: "Message" | "メッセージ",
        accepted: "Accepted" | "受付",
        from: "From" | "差出人",
        to: "To" | "宛先",
        subject: "Subject" | "件名",
        state: "State" | "状態",
        any_state: "any" | "すべて",
        queued: "queued" | "送信待ち",
        deferred: "deferred" | "再試行待ち",
        held: "held" | "保留中",
        delivered: "delivered" | "配送済み",
        bounced: "bounced" | "不達",
        expired: "expired" | "期限切れ",
        dropped: "dropped" | "破棄",
        unknown: "unknown" | "不明",
        domain: "Recipient domain" | "宛先ドメイン",
        recipient: "Recipient" | "宛先アドレス",
        filter: "Filter" | "絞り込む",
        nothing: "Nothing waits here." | "待機中のメッセージはありません。",
        nothing_matches: "Nothing matches. Delivered and bounced mail is not in the queue any more: its id still opens its page." | "該当するメッセージはありません。配送済み・不達のメッセージはキューに残りませんが、IDで個別ページを開けます。",
        and_more: "and {} more" | "ほか{}件",
        size: "Size" | "サイズ",
        octets: "{} octets" | "{}バイト",
        stream: "Stream" | "種別",
        transactional: "transactional" | "トランザクション",
        bulk: "bulk" | "一括",
        expires: "Given up" | "配送期限",
        timeline: "Timeline" | "経過",
        recipients: "Recipients" | "宛先ごとの状況",
        attempts: "Attempts" | "試行回数",
        next_attempt: "Next attempt" | "次の試行",
        last_reply: "Last answer" | "直近の応答",
        why: "Why" | "理由",
        tls_yes: "encrypted, {}" | "暗号化あり({})",
        tls_verified: "encrypted and verified, {}" | "暗号化・検証済み({})",
        tls_no: "not encrypted" | "暗号化なし",
        event_accepted: "accepted" | "受付",
        event_redacted: "redacted" | "カード番号を伏せ字",
        event_signed: "signed" | "署名",
        event_returned: "came back" | "返送・苦情",
        event_next: "next attempt" | "次の試行予定",
        event_expiry: "given up, with a notice to the sender" | "配送を打ち切り、差出人へ通知",
        again_yes: "trying again helps" | "再試行で解決する見込み",
        again_repair: "helps after a repair on our side" | "送信側の修正が必要",
        again_never: "trying again does not help" | "再試行では解決しない",
        category: "Class" | "分類",
        act: "Act" | "操作",
        reason: "Reason, for the record" | "理由(記録されます)",
        retry: "Attempt now" | "今すぐ再試行",
        hold: "Hold" | "保留",
        release: "Release" | "保留を解除",
        bounce: "Give up, with a notice" | "打ち切って差出人に通知",
        drop: "Drop, without a notice" | "通知せずに破棄",
        drop_hint: "Giving up and dropping cannot be undone." | "打ち切りと破棄は取り消せません。",
        acted: "Done: {} recipients." | "{}件の宛先に適用しました。",
        no_effect: "Nothing changed: no recipient is in a state for this." | "対象となる状態の宛先がなかったため、変更はありません。",
    }
}

impl MailWords {
    fn state(&self, state: &str) -> &'static str {
        match state {
            "queued" => self.queued,
            "deferred" => self.deferred,
            "held" => self.held,
            "delivered" => self.delivered,
            "bounced" => self.bounced,
            "expired" => self.expired,
            "dropped" => self.dropped,
            _ => self.unknown,
        }
    }
}

/// The sign before a state's word, so that colour is never alone.
fn sign(state: &str) -> (&'static str, &'static str) {
    match state {
        "delivered" => ("good", "✓"),
        "queued" => ("info", "…"),
        "deferred" => ("warn", "↻"),
        "held" => ("warn", "‖"),
        _ => ("bad", "✕"),
    }
}

/// Letters within reach, oldest first.
pub(super) async fn list(
    state: &WebState,
    reach: &Reach,
    filter: QueueFilter,
    after: Option<LetterId>,
    limit: usize,
) -> Result<Vec<LetterRecord>, Problem> {
    let (queue, reach) = (state.rooms.admin.queue.clone(), reach.clone());
    blocking(move || match (filter.tenant, &reach) {
        (Some(tenant), _) if !reach.covers(tenant) => Vec::new(),
        (Some(_), _) | (None, Reach::Everything) => queue.list(&filter, after, limit),
        (None, Reach::Tenants(tenants)) => {
            let of = |tenant| queue.list(&QueueFilter { tenant: Some(tenant), ..filter.clone() }, after, limit);
            let mut all: Vec<LetterRecord> = tenants.iter().flat_map(|tenant| of(*tenant)).collect();
            all.sort_by_key(|letter| letter.id);
            all.truncate(limit);
            all
        }
    })
    .await
}

fn find(state: &WebState, caller: &Caller, id: &str) -> Result<LetterRecord, Problem> {
    let id: LetterId = id.parse().map_err(|error| Problem::not_found(format!("{error}")))?;
    let found = state.rooms.admin.queue.find(id).filter(|letter| caller.reach.covers(letter.tenant));
    found.ok_or_else(|| {
        Problem::not_found(format!("no letter {id} in the queue: delivered, bounced, expired, or never accepted here"))
    })
}

fn tenant_name(state: &WebState, tenant: TenantId) -> String {
    state.directory().tenant_name(tenant).map_or_else(|| format!("#{}", tenant.0), str::to_owned)
}

fn view(state: &WebState, letter: &LetterRecord) -> LetterView {
    LetterView::new(letter, tenant_name(state, letter.tenant)).with_suspensions(letter, &*state.rooms.admin.queue)
}

/// A letter within reach with its timelines, whether it waits or has left the queue.
async fn look(state: &WebState, caller: &Caller, id: &str) -> Result<(LetterView, Known), Problem> {
    let id: LetterId = id.parse().map_err(|error| Problem::not_found(format!("{error}")))?;
    let admin = &state.rooms.admin;
    let gone =
        || Problem::not_found(format!("no letter {id}: never accepted here, or longer ago than [queue] history"));
    let known = admin.timeline(id).await?.filter(|known| caller.reach.covers(known.tenant)).ok_or_else(gone)?;
    if let Some(record) = admin.queue.find(id) {
        return Ok((view(state, &record), known));
    }
    let past = admin.past(id).await?.ok_or_else(gone)?;
    Ok((LetterView::of_past(id, &past, tenant_name(state, past.tenant)), known))
}

/// Does a verb to one letter.
async fn act(
    state: &WebState,
    caller: &Caller,
    id: &str,
    verb: &str,
    reason: &str,
    dry_run: bool,
) -> Result<crate::admin::QueueActionReport, Problem> {
    let letter = find(state, caller, id)?;
    let action = crate::admin::view::action(verb)
        .ok_or_else(|| Problem::invalid("the actions are retry, hold, release, bounce and drop"))?;
    let filter = QueueFilter { id: Some(letter.id), ..QueueFilter::default() };
    let reason: String = reason.chars().filter(|c| !c.is_control()).take(200).collect();
    Ok(state.rooms.admin.queue.act(action, &filter, &caller.by(), &reason, dry_run).await?)
}
