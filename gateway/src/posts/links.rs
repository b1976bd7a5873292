//! The links of a text with their real targets: what a moderator must see before deciding.
//!
//! Reads plain addresses, HTML anchors and Markdown links. Nothing is fetched.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

const MOST: usize = 100;

/// A link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// The text that a reader sees, where it is not the address itself.
    pub shown: Option<String>,
    /// Where it goes, as written.
    pub target: String,
    /// The host in lower case, in its ASCII form (punycode).
    pub host: String,
    /// The path with its slash; may be empty.
    pub path: String,
    /// The host as a reader sees it, where that is not the ASCII form.
    pub host_shown: Option<String>,
    /// Does the text name another host than the target?
    pub deceives: bool,
}

/// The links of a text, in its order, each target once.
pub fn links(text: &str) -> Vec<Link> {
    let mut found: Vec<Link> = Vec::new();
    let mut rest = text;
    let mut before = "";
    while let Some((at, length)) = next_address(rest) {
        let raw = &rest[at..at + length];
        let head = &rest[..at];
        let tail = &rest[at + length..];
        if let Some(mut link) = parse(raw) {
            link.shown = anchor_text(before, head, tail);
            link.deceives = link.shown.as_deref().and_then(host_in).is_some_and(|shown| !same_site(&shown, &link.host));
            if !found
                .iter()
                .any(|other| other.target == link.target && (link.shown.is_none() || other.shown == link.shown))
            {
                found.push(link);
            }
        }
        before = head;
        rest = tail;
        if found.len() >= MOST {
            break;
        }
    }
    found
}

/// Where the next address begins and how long it is.
fn next_address(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = text[from..].find(['h', 'H', 'w', 'W']) {
        let at = from + found;
        let rest = &text[at..];
        let starts = |prefix: &str| rest.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
        let border = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric());
        if border && (starts("http://") || starts("https://") || starts("www.")) {
            let end =
                rest.find(|c: char| c.is_whitespace() || "<>\"'`|\\^{}]）」』】".contains(c)).unwrap_or(rest.len());
            let address = rest[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', '、', '。']);
            // A closing bracket belongs to the sentence unless the address opened one.
            let address = if address.contains('(') { address } else { address.split(')').next().unwrap_or(address) };
            if address.len() > 7 || starts("www.") {
                return Some((at, address.len().max(1)));
            }
        }
        from = at + 1;
    }
    None
}

fn parse(raw: &str) -> Option<Link> {
    let target = raw.replace("&amp;", "&");
    let bare = target.split_once("://").map_or(target.as_str(), |(_, bare)| bare);
    let end = bare.find(['/', '?', '#']).unwrap_or(bare.len());
    let authority = bare[..end].rsplit('@').next()?;
    let host = authority.split(':').next()?.trim_end_matches('.').to_lowercase();
    let ascii = idna::domain_to_ascii(&host).ok().filter(|ascii| !ascii.is_empty()).unwrap_or_else(|| host.clone());
    let (seen, _) = idna::domain_to_unicode(&ascii);
    if !ascii.contains('.') && ascii != "localhost" {
        return None;
    }
    let path = bare[end..].split(['?', '#']).next().unwrap_or_default().to_owned();
    Some(Link { shown: None, host_shown: (seen != ascii).then_some(seen), host: ascii, path, target, deceives: false })
}

/// The text of the anchor or Markdown link around an address.
fn anchor_text(before: &str, head: &str, tail: &str) -> Option<String> {
    let _ = before;
    if let Some(open) = head.rfind("<a").or_else(|| head.rfind("<A"))
        && !head[open..].contains('>')
    {
        let inside = tail.split_once('>')?.1;
        let end = inside.find("</").unwrap_or(inside.len());
        let shown: String = strip_tags(&inside[..end]);
        return Some(shown).filter(|shown| !shown.is_empty());
    }
    let label = head.strip_suffix("](")?;
    let open = label.rfind('[')?;
    Some(label[open + 1..].trim().to_owned()).filter(|shown| !shown.is_empty())
}

fn strip_tags(text: &str) -> String {
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' => inside = false,
            c if !inside => out.push(c),
            _ => {}
        }
    }
    out.trim().chars().take(200).collect()
}

/// A host that a text names.
fn host_in(text: &str) -> Option<String> {
    let word = text.split_whitespace().find(|word| word.contains('.') && !word.ends_with('.'))?;
    let bare = word.split_once("://").map_or(word, |(_, bare)| bare);
    let host = bare.split(['/', '?', '#', ':']).next()?.to_lowercase();
    let label = host.rsplit('.').next()?;
    (label.len() >= 2 && label.chars().all(char::is_alphabetic)).then_some(host)
}

fn same_site(one: &str, other: &str) -> bool {
    let bare = |host: &str| host.trim_start_matches("www.").to_owned();
    let (one, other) = (bare(one), bare(other));
    one == other || one.ends_with(&format!(".{other}")) || other.ends_with(&format!(".{one}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn plain_html_and_markdown_links_tell_where_they_go() {
        let found = links(
            "see https://a.example/x?y=1, <a class=z href=\"http://evil.example/p\">www.bank.example</a> and \
             [my page](https://b.example) (www.c.example).",
        );
        let hosts: Vec<_> = found.iter().map(|link| link.host.as_str()).collect();
        assert_eq!(hosts, ["a.example", "evil.example", "www.bank.example", "b.example", "www.c.example"]);
        assert_eq!(found[1].shown.as_deref(), Some("www.bank.example"));
        assert!(found[1].deceives && !found[0].deceives && !found[3].deceives);
        assert_eq!(found[0].target, "https://a.example/x?y=1");
        assert_eq!(found[3].shown.as_deref(), Some("my page"));
    }

    #[test]
    fn names_in_other_scripts_are_shown_in_both_forms() {
        let found = links("https://аpple.example/");
        assert_eq!(found[0].host, "xn--pple-43d.example");
        assert_eq!(found[0].host_shown.as_deref(), Some("аpple.example"));
        let user = links("https://bank.example@evil.example/");
        assert_eq!(user[0].host, "evil.example");
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "\\PC*", more in "(https?://|www\\.|<a href=|\\]\\(|[a-zé()<>.日]){0,40}") {
            let _ = links(&format!("{text}{more}{text}"));
        }
    }
}
