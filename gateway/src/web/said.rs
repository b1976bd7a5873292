//! Problems and signals in Japanese. The rooms speak English, in texts that stand where the mistake is found; a page
//! looks the Japanese one up here by the English pattern. A text that has none is shown in English and marked so.

use super::language::{Language, fill};

/// English and Japanese; `{}` stands for values, in the same order in both.
type Pair = (&'static str, &'static str);

/// What can go wrong on a page.
const PROBLEMS: &[Pair] = &[
    ("your role does not allow this: ask an owner", "この操作の権限がありません。オーナーに依頼してください。"),
    ("persons may not enter from {}", "{} からはログインできません。"),
    ("your tenant's people may not enter from {}", "{} からは、このテナントのメンバーとしてアクセスできません。"),
    ("there is no such page", "ページが見つかりません。"),
    ("this account is gone", "このアカウントは削除されています。"),
    ("this account is disabled: ask an owner", "このアカウントは無効になっています。オーナーに連絡してください。"),
    ("there is no such session: it has ended already", "このセッションはすでに終了しています。"),
    ("the form asks for nothing", "操作が選択されていません。"),
    ("no post is selected: go back and select some", "投稿が選択されていません。戻って選択してください。"),
    ("which piece of text? select it, or write it", "伏せる文字列を選択するか、入力してください。"),
    (
        "the post does not hold that piece of text: select it again",
        "投稿にその文字列は含まれていません。もう一度選択してください。",
    ),
    ("there is no post \"{}\"", "投稿「{}」は見つかりません。"),
    ("there is no author \"{}\"", "投稿者「{}」は見つかりません。"),
    ("there is no rule \"{}\"", "ルール「{}」は見つかりません。"),
    (
        "post \"{}\" is {} already, by {} at {}: undo that first, or name its version in If-Match",
        "投稿「{}」はすでに {} です(担当: {}、{})。先に元に戻してください。",
    ),
    (
        "post \"{}\" is at version {}, not {}: {} changed it; look again",
        "投稿「{}」は更新されています(現在の版 {}、表示中の版 {}、更新者 {})。もう一度確認してください。",
    ),
    ("nothing was decided about post \"{}\" that could be undone", "投稿「{}」には、元に戻せる判断がありません。"),
    ("post \"{}\" expired: its text is gone", "投稿「{}」は期限切れのため、本文が削除されています。"),
    (
        "{} posts match and {} were confirmed: look at the preview and confirm that number",
        "対象は {} 件ですが、確認された件数は {} 件です。内容を確認し、件数を入力してください。",
    ),
    ("{} is looking at post \"{}\" until {}", "{} さんが投稿「{}」を確認中です({} まで)。"),
    ("a reason has at most {} characters", "理由は {} 文字以内で入力してください。"),
    ("a pattern has 1 to {} characters", "パターンは1〜{}文字で入力してください。"),
    (
        "a link's pattern is a domain, as in \"casino.example\"",
        "リンクのパターンには「casino.example」のようなドメインを入力してください。",
    ),
    (
        "an address is a mail address, \"@domain\", an IP address or a network such as 192.0.2.0/24",
        "メールアドレス、「@ドメイン」、IPアドレス、または 192.0.2.0/24 のようなネットワークを入力してください。",
    ),
    ("there is no account {}", "アカウント {} は見つかりません。"),
    ("there is no token {}", "トークン {} は見つかりません。"),
    ("there is no tenant \"{}\"", "テナント「{}」は見つかりません。"),
    ("there is no tenant yet: waxseal tenant add NAME", "テナントがまだありません(waxseal tenant add NAME)。"),
    ("which tenant? name one with ?tenant=NAME", "テナントを選択してください。"),
    ("there is no such list, or it is not yours", "この設定は存在しないか、変更する権限がありません。"),
    ("\"{}\" is not a mail address such as anna@example.com", "「{}」はメールアドレスではありません。"),
    ("\"{}\" is not a network such as 192.0.2.0/24", "「{}」はネットワーク(例: 192.0.2.0/24)ではありません。"),
    ("\"{}\" is not a role: owner, admin, moderator or auditor", "「{}」という権限はありません。"),
    (
        "{} has an account already: give it another role instead",
        "{} のアカウントはすでにあります。権限を追加してください。",
    ),
    ("{} has no such role", "{} にその権限はありません。"),
    ("{} is the last owner: make another first", "{} は最後のオーナーです。先に別のオーナーを追加してください。"),
    (
        "this address has an account outside of your tenants: an owner of all tenants gives it the role",
        "このアドレスのアカウントは別のテナントにあります。全テナントのオーナーに権限の追加を依頼してください。",
    ),
    (
        "this is your own account: another owner changes it",
        "ご自身のアカウントです。別のオーナーに変更を依頼してください。",
    ),
    (
        "these are your own roles: another owner changes them",
        "ご自身の権限です。別のオーナーに変更を依頼してください。",
    ),
    (
        "{} has a role that you cannot give: an owner of everything it has does this",
        "{} には、あなたが管理できない権限があります。その権限を管理するオーナーに依頼してください。",
    ),
    ("your role does not let you make somebody {} there", "そのテナントで {} の権限を付与することはできません。"),
    (
        "your role does not let you make somebody {} in all tenants: name the tenant",
        "全テナントの {} の権限を付与することはできません。テナントを選択してください。",
    ),
    ("your role does not let you change an {}", "{} の権限を変更することはできません。"),
    ("your role does not let you revoke an {}'s token", "{} のトークンを無効にすることはできません。"),
    ("a token lives 1 to 3660 days", "トークンの有効期間は1〜3660日です。"),
    ("only an owner sets where people may enter from", "接続元の制限はオーナーだけが設定できます。"),
    (
        "you are at {}, which is in none of these networks: you would shut yourself out",
        "現在の接続元 {} がどのネットワークにも含まれていないため、ご自身がログインできなくなります。",
    ),
    ("more than {} networks", "ネットワークは {} 件までです。"),
    ("too many tries: wait {} seconds", "試行回数が多すぎます。{}秒待ってください。"),
    ("this sign-in is over: begin again", "ログインの有効期限が切れました。最初からやり直してください。"),
    (
        "this sign-in was not begun in this browser, or took too long: begin again",
        "このブラウザーで開始されたログインではないか、有効期限が切れています。最初からやり直してください。",
    ),
    (
        "the sign-in at the provider {}: begin again",
        "認証サーバーでのログインに失敗しました({})。最初からやり直してください。",
    ),
    (
        "nobody here has the address that the provider vouches for: ask an owner for an account",
        "認証サーバーが確認したアドレスのアカウントがありません。オーナーに追加を依頼してください。",
    ),
    (
        "single sign-on failed ({}): try again, or sign in with your password",
        "シングルサインオンに失敗しました({})。やり直すか、パスワードでログインしてください。",
    ),
    ("single sign-on is not set up here", "シングルサインオンは設定されていません。"),
    (
        "this request came from another site, or from a browser that does not say from where: open the page here and try again",
        "別のサイトからの要求、または送信元を示さないブラウザーからの要求です。このサイトのページを開いてやり直してください。",
    ),
    (
        "no letter {} in the queue: delivered, bounced, expired, or never accepted here",
        "メッセージ {} は送信キューにありません(配送済み、返送済み、期限切れ、または未受付)。",
    ),
    ("there is no domain {}", "ドメイン {} は見つかりません。"),
    ("{} is a domain of tenant {} already", "{} はすでにテナント {} のドメインです。"),
    (
        "{} is a top-level domain: give the domain that letters are sent from",
        "{} はトップレベルドメインです。送信元のドメインを入力してください。",
    ),
];

/// The classifier's signals.
const SIGNALS: &[Pair] = &[
    ("number of links", "リンクの数"),
    ("number of sites linked", "リンク先サイトの数"),
    ("link behind a shortener", "短縮URLのリンク"),
    ("link at the start", "冒頭のリンク"),
    ("link at the end", "末尾のリンク"),
    ("share of the text that is links", "本文に占めるリンクの割合"),
    ("link shows another site than it leads to", "表示と異なるサイトへのリンク"),
    ("phone number", "電話番号"),
    ("mail address", "メールアドレス"),
    ("account names or hash tags", "アカウント名・ハッシュタグ"),
    ("sums of money", "金額"),
    ("length of the text", "本文の長さ"),
    ("number of lines", "行数"),
    ("share of capital letters", "大文字の割合"),
    ("share of digits", "数字の割合"),
    ("exclamation marks", "感嘆符"),
    ("one sign many times over", "同じ記号の連続"),
    ("number of emoji", "絵文字の数"),
    ("invisible characters inside words", "単語中の見えない文字"),
    ("letters in another style", "装飾文字"),
    ("marks over or under letters", "文字に重ねた記号"),
    ("letters of another alphabet that look alike", "よく似た別の文字"),
    ("text that readers do not see", "読者に見えない文"),
    ("letters written as character codes", "文字コードで書かれた文字"),
    ("markup inside words", "単語中のタグ"),
    ("images", "画像"),
    ("text in base64", "base64の文字列"),
    ("link spelled out to avoid filters", "フィルターを避けたリンク表記"),
    ("words spelled letter by letter", "一文字ずつ区切った単語"),
    ("the same words over and over", "同じ言葉の繰り返し"),
    ("hardly any different letters", "文字の種類が極端に少ない"),
    ("site that a link leads to", "リンク先のサイト"),
    ("author named like the site linked", "投稿者名がリンク先サイトと同じ"),
    ("one passage is worse than the whole", "全体より疑わしい一節がある"),
    ("earlier decisions of your moderators", "モデレーターのこれまでの判断"),
    ("too long to be read whole", "長すぎて全体を判定できない"),
    ("account made within a day", "作成から1日以内のアカウント"),
    ("account older than a year", "1年以上前からのアカウント"),
    ("twenty posts or more of this author were welcome", "承認された投稿が20件以上ある"),
    ("earlier posts of this author were welcome", "以前の投稿が承認されている"),
    ("twenty posts or more within an hour", "1時間に20件以上の投稿"),
    ("several posts within an hour", "1時間に数件の投稿"),
    ("this author's first link", "この投稿者の最初のリンク"),
    ("sent from an address on a blocklist", "ブロックリストにあるIPアドレスからの投稿"),
    ("links to a site on a blocklist", "ブロックリストにあるサイトへのリンク"),
    ("filled in a field that people do not see", "見えない入力欄への入力"),
    ("nearly the same text from several authors", "複数の投稿者によるほぼ同じ文"),
    ("nearly the same text from another author", "別の投稿者によるほぼ同じ文"),
    ("nearly the same text several times", "ほぼ同じ文の繰り返し投稿"),
];

/// The nouns of a token signal, and what may stand around one.
const NOUNS: &[Pair] = &[
    ("words", "語句"),
    ("word", "単語"),
    ("number", "数字"),
    ("link", "リンク"),
    ("mail address", "メールアドレス"),
    ("account name", "アカウント名"),
    ("hash tag", "ハッシュタグ"),
    ("emoji", "絵文字"),
    ("sign", "記号"),
];
const DISGUISES: &[Pair] = &[
    (", written in disguise", "(偽装表記)"),
    (", spelled letter by letter", "(一文字ずつ表記)"),
    (", stretched", "(引き伸ばし表記)"),
];

/// The values that a pattern's places have in a text; `None` if the text is not of that pattern.
fn values<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut pieces = pattern.split("{}");
    let mut rest = text.strip_prefix(pieces.next()?)?;
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, between)) = pieces.split_last() else { return rest.is_empty().then(Vec::new) };
    let mut values = Vec::new();
    for piece in between {
        let (value, after) = rest.split_once(piece)?;
        values.push(value);
        rest = after;
    }
    values.push(rest.strip_suffix(last)?);
    Some(values)
}

fn look_up(table: &[Pair], text: &str) -> Option<String> {
    table.iter().find_map(|(english, japanese)| {
        let values = values(english, text)?;
        let shown: Vec<&dyn std::fmt::Display> = values.iter().map(|value| value as &dyn std::fmt::Display).collect();
        Some(fill(japanese, &shown))
    })
}

/// A text of a page and the language that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The text.
    pub text: String,
    /// Its language.
    pub language: Language,
}

fn said(found: Option<String>, english: &str) -> Said {
    match found {
        Some(text) => Said { text, language: Language::Ja },
        None => Said { text: english.to_owned(), language: Language::En },
    }
}

/// A problem's detail as a page in this language shows it.
pub fn problem(detail: &str, language: Language) -> Said {
    said(look_up(PROBLEMS, detail).filter(|_| language == Language::Ja), detail)
}

/// The title of a problem's page.
pub fn title(title: &str, language: Language) -> String {
    let japanese = match title {
        "Bad Request" | "Unprocessable Content" | "Unprocessable Entity" => "入力内容を確認してください",
        "Unauthorized" => "ログインが必要です",
        "Conflict" | "Precondition Failed" => "ほかの変更と重なりました",
        "Too Many Requests" => "しばらくお待ちください",
        "Misdirected Request" => "このアドレスでは利用できません",
        "Bad Gateway" | "Service Unavailable" | "Internal Server Error" => "処理できませんでした",
        other => other,
    };
    language.pick(title, japanese).to_owned()
}

/// A classifier's signal as a page in this language shows it.
pub fn signal(words: &str, language: Language) -> Said {
    let found = || look_up(SIGNALS, words).or_else(|| token_signal(words));
    said((language == Language::Ja).then(found).flatten(), words)
}

/// `hidden word "casino", stretched`.
fn token_signal(words: &str) -> Option<String> {
    let (hidden, rest) = match words.strip_prefix("hidden ") {
        Some(rest) => ("見えない", rest),
        None => ("", words),
    };
    let (english, noun) = NOUNS.iter().find(|(english, _)| {
        rest.strip_prefix(english).is_some_and(|after| after.is_empty() || after.starts_with([' ', ',']))
    })?;
    let rest = rest.strip_prefix(english)?;
    let (quoted, disguise) = match DISGUISES.iter().find_map(|(tail, ja)| Some((rest.strip_suffix(tail)?, *ja))) {
        Some(found) => found,
        None => (rest, ""),
    };
    if quoted.is_empty() {
        return Some(format!("{hidden}{noun}{disguise}"));
    }
    let letters = quoted.strip_prefix(" \"")?.strip_suffix('"')?;
    Some(format!("{hidden}{noun}「{letters}」{disguise}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_found_by_its_pattern_with_its_values() {
        let shown = problem(
            "you are at 192.0.2.7, which is in none of these networks: you would shut yourself out",
            Language::Ja,
        );
        assert!(shown.text.contains("192.0.2.7") && shown.language == Language::Ja, "{shown:?}");
        let english = problem("there is no such page", Language::En);
        assert_eq!((english.text.as_str(), english.language), ("there is no such page", Language::En));
        assert_eq!(problem("of no pattern", Language::Ja).language, Language::En);
        assert_eq!(title("Conflict", Language::En), "Conflict");
    }

    #[test]
    fn signals_of_words_are_read_in_all_their_forms() {
        for (english, japanese) in [
            ("word \"casino\"", "単語「casino」"),
            ("hidden words \"win now\", written in disguise", "見えない語句「win now」(偽装表記)"),
            ("emoji", "絵文字"),
            ("number, stretched", "数字(引き伸ばし表記)"),
            ("account name \"a\" b\"", "アカウント名「a\" b」"),
            ("number of links", "リンクの数"),
        ] {
            assert_eq!(signal(english, Language::Ja).text, japanese);
        }
        assert_eq!(signal("wording", Language::Ja).language, Language::En);
    }

    #[test]
    fn what_stops_a_decision_is_said_in_japanese() {
        use crate::posts::{PostError, PostState};
        let text = || "x".to_owned();
        for error in [
            PostError::no_post("x"),
            PostError::Decided { id: text(), state: PostState::Spam, by: text(), at: text() },
            PostError::Version { id: text(), found: 2, expected: 1, by: text() },
            PostError::Claimed { id: text(), by: text(), until: text() },
            PostError::Unconfirmed { found: 30, confirmed: 2 },
        ] {
            let shown = problem(&error.to_string(), Language::Ja);
            assert_eq!(shown.language, Language::Ja, "{error}");
        }
    }

    #[test]
    fn both_languages_have_the_same_places() {
        for (english, japanese) in PROBLEMS.iter().chain(SIGNALS) {
            assert_eq!(english.matches("{}").count(), japanese.matches("{}").count(), "{english}");
        }
    }

    #[test]
    fn whatever_the_built_in_model_says_is_said_in_japanese() {
        let model = waxseal_spam::Model::built_in();
        for text in [
            "Buy cheap watches at https://bit.ly/x now!!! $500 😀😀😀 call +1 555 010 0199 or mail a@b.example #win @you",
            "How do I change the address on my invoice? It says 12 Main Street.",
            "今すぐ https://casino.example/ で無料プレゼント！！！ vi\u{200b}agra c a s i n o",
            "<a href='https://evil.example'>www.bank.example</a> <span style='display:none'>pills pills</span> &#118;&#105;&#97;",
        ] {
            for reason in model.score(&waxseal_spam::Post::of(text)).reasons {
                let shown = signal(&reason.signal, Language::Ja);
                assert_eq!(shown.language, Language::Ja, "{}", reason.signal);
            }
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_up_without_panic(text in "\\PC{0,80}", value in "[^\"]{0,20}") {
            let _ = (problem(&text, Language::Ja), signal(&text, Language::Ja), title(&text, Language::Ja));
            let shown = problem(&format!("there is no tenant \"{value}\""), Language::Ja);
            prop_assert!(shown.text.contains(&value));
        }
    }
}
