//! The texts that all pages share. Each page has a table of its own beside its handlers.

use super::role::Role;
use crate::words;

words! {
    /// Texts of the layout and of errors.
    Words {
        product: "Waxseal" | "Waxseal",
        skip: "Skip to content" | "本文へ移動",
        main_navigation: "Main" | "メイン",
        overview: "Overview" | "概要",
        domains: "Domains" | "ドメイン",
        queue: "Queue" | "送信キュー",
        moderation: "Moderation" | "モデレーション",
        people: "People" | "メンバー",
        audit: "Audit" | "監査記録",
        email: "E-mail address" | "メールアドレス",
        by_password: "password" | "パスワード",
        by_password_and_code: "password and code" | "パスワードとコード",
        by_single_sign_on: "single sign-on" | "シングルサインオン",
        account: "Account" | "アカウント",
        sign_in: "Sign in" | "ログイン",
        sign_out: "Sign out" | "ログアウト",
        other_language: "日本語" | "English",
        forbidden: "Not allowed" | "許可されていません",
        not_found: "Not found" | "見つかりません",
        back_to_overview: "Back to the overview" | "概要に戻る",
        cancel: "Cancel" | "キャンセル",
        save: "Save" | "保存",
        yes: "Yes" | "はい",
        no: "No" | "いいえ",
        never: "never" | "なし",
        all_tenants: "all tenants" | "すべてのテナント",
        tenant: "Tenant" | "テナント",
        more: "Show more" | "さらに表示",
        copy: "Copy" | "コピー",
        copied: "Copied" | "コピーしました",
        owner: "owner" | "オーナー",
        admin: "admin" | "管理者",
        moderator: "moderator" | "モデレーター",
        auditor: "auditor" | "監査者",
    }
}

impl Words {
    /// The name of a role.
    pub fn role(&self, role: Role) -> &'static str {
        match role {
            Role::Owner => self.owner,
            Role::Admin => self.admin,
            Role::Moderator => self.moderator,
            Role::Auditor => self.auditor,
        }
    }

    /// The name of a way of signing in, as sessions keep it.
    pub fn method(&self, method: &str) -> &'static str {
        match method {
            "password and code" => self.by_password_and_code,
            "single sign-on" => self.by_single_sign_on,
            _ => self.by_password,
        }
    }
}
