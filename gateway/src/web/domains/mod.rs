//! Domains: what to publish, whether it is there, and the keys that sign. `/domains`, `/domains/{domain}` and the same
//! as JSON. A domain of a tenant out of reach is one that there is not.

mod api;
mod list;
mod one;
pub mod report;

use super::caller::Caller;
use super::route::Route;
use super::state::WebState;
use crate::admin::Problem;
use crate::message::DomainName;
use crate::words;

pub(super) fn routes() -> Vec<Route> {
    [api::ROUTES, list::ROUTES, one::ROUTES].concat()
}

words! {
    /// Texts of the domains' pages.
    DomainWords {
        title: "Domains" | "ドメイン",
        none: "No domain yet. Add the domain that your letters come from." | "ドメインがまだありません。送信元のドメインを追加してください。",
        domain: "Domain" | "ドメイン",
        status: "Records" | "レコード",
        keys_active: "Signing keys" | "署名鍵",
        added: "Added" | "追加日",
        add: "Add a domain" | "ドメインを追加",
        add_button: "Add" | "追加",
        add_hint: "The part after @ of the addresses that you send from, such as example.com." | "差出人アドレスの@より後の部分(例: example.com)。",
        claims: "Waiting for proof" | "所有権の確認待ち",
        claims_text: "Publish this TXT record, so that nobody else can send as the domain. It is looked for again and again by itself; the domain appears above when it was seen." | "他者がこのドメインで送信できないように、次のTXTレコードを公開してください。自動的に繰り返し確認し、見つかると上の一覧に表示されます。",
        required: "Required" | "必須",
        required_text: "Mail of this domain is not sent, or does not pass DMARC, without these." | "これらがないと、このドメインのメールは送信できないか、DMARCに合格しません。",
        recommended: "Recommended" | "推奨",
        recommended_text: "Receivers trust the domain more with these." | "設定すると受信側の信頼が高まります。",
        operators: "The operator's" | "運用者の設定",
        operators_text: "For who runs this gateway; nothing for the domain's owner to do." | "このゲートウェイの運用者が設定します。ドメイン所有者の作業はありません。",
        receivers: "Rules of mailbox providers" | "受信サービスの要件",
        receivers_text: "What Google, Yahoo and Microsoft ask of bulk senders. What nobody can see from here is not checked." | "Google・Yahoo・Microsoftが大量送信者に求める条件です。ここから確認できないものは未確認と表示します。",
        rule: "Rule" | "要件",
        name: "Name" | "名前",
        full_name: "full" | "完全名",
        relative_name: "relative" | "相対名",
        record_type: "Type" | "種類",
        value: "Value" | "値",
        expected: "Expected" | "設定すべき値",
        found: "Found" | "現在の値",
        seen_at: "seen at" | "確認元",
        breaks: "Without it" | "未設定の影響",
        to_do: "To do" | "対処",
        ok: "published" | "設定済み",
        missing: "missing" | "未設定",
        mismatch: "differs" | "不一致",
        duplicate: "more than one" | "重複",
        conflict: "conflict" | "競合",
        dns_error: "DNS fails" | "DNSエラー",
        stale: "old answer" | "古い応答",
        not_checked: "not checked" | "未確認",
        check_now: "Check now" | "今すぐ確認",
        checked_at: "Checked" | "確認日時",
        next_check: "next check by itself" | "次の自動確認",
        never_checked: "Not checked yet." | "まだ確認していません。",
        download: "Download" | "ダウンロード",
        download_text: "All records of this domain, for your DNS host or tool." | "このドメインの全レコードを、お使いのDNSサービスやツールの形式で取得できます。",
        keys: "Keys" | "鍵",
        selector: "Selector" | "セレクター",
        algorithm: "Algorithm" | "アルゴリズム",
        state: "State" | "状態",
        since: "Since" | "開始",
        next_step: "Next step" | "次の段階",
        no_next: "nothing by itself" | "自動の変化なし",
        history: "History" | "履歴",
        activate: "Let it sign" | "署名に使う",
        activate_unseen: "Let it sign although its record was not seen" | "レコード未確認のまま署名に使う",
        retire: "Retire" | "引退させる",
        revoke: "Revoke" | "失効させる",
        revoke_hint: "Revoking destroys the key at once; letters on their way that it signed fail their check." | "失効すると鍵はただちに破棄され、その鍵で署名された配送中のメールは検証に失敗します。",
        rotate: "Rotate keys" | "鍵を更新",
        rotate_text: "Makes new keys now; they sign as soon as their records have been seen, and the old ones retire." | "新しい鍵を作成します。レコードが確認され次第署名に使われ、古い鍵は引退します。",
        generated: "made" | "作成済み",
        published: "published" | "公開確認済み",
        verified: "verified" | "検証済み",
        active: "signs" | "署名中",
        retiring: "retiring" | "引退中",
        retired: "retired" | "引退済み",
        destroyed: "destroyed" | "破棄済み",
        revoked: "revoked" | "失効",
        n_ok: "{} of {} published" | "{} / {} 設定済み",
    }
}

impl DomainWords {
    fn key_state(&self, state: &str) -> (&'static str, &'static str, &'static str) {
        match state {
            "generated" => ("info", "…", self.generated),
            "published" => ("info", "↑", self.published),
            "verified" => ("info", "✓", self.verified),
            "active" => ("good", "✓", self.active),
            "retiring" => ("warn", "↓", self.retiring),
            "revoked" => ("bad", "✕", self.revoked),
            "destroyed" => ("", "–", self.destroyed),
            _ => ("", "–", self.retired),
        }
    }
}

/// The domain of a path, if it is within reach.
fn domain(state: &WebState, caller: &Caller, text: &str) -> Result<DomainName, Problem> {
    let shown: String = text.chars().take(80).collect();
    let unknown = || Problem::not_found(format!("there is no domain {shown}"));
    let name: DomainName = text.parse().map_err(|_| unknown())?;
    let owner = state.directory().owner(&name).filter(|tenant| caller.reach.covers(*tenant));
    owner.map(|_| name).ok_or_else(unknown)
}
