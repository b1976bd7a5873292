//! Links and addresses in running text.

/// Where a link leads, as far as its text tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// In lower case, without `www.`.
    pub host: String,
    /// Path, query and fragment.
    pub path: String,
}

impl Link {
    /// The link that `text` is, scheme or not.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_lowercase();
        let rest = ["https://", "http://", "//"].iter().find_map(|scheme| lower.strip_prefix(scheme)).unwrap_or(&lower);
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let authority = &rest[..end];
        let host = authority.rsplit('@').next().unwrap_or(authority);
        let host = host.split(':').next().unwrap_or(host).trim_matches('.');
        let host = host.strip_prefix("www.").unwrap_or(host);
        (!host.is_empty()).then(|| Self { host: host.to_owned(), path: rest[end..].to_owned() })
    }

    /// The part that was registered: `example.co.uk` of `shop.example.co.uk`.
    pub(crate) fn registrable(&self) -> &str {
        psl::domain_str(&self.host).unwrap_or(&self.host)
    }

    /// The last label.
    pub(crate) fn top(&self) -> &str {
        self.host.rsplit('.').next().unwrap_or_default()
    }

    pub(crate) fn is_shortener(&self) -> bool {
        SHORTENERS.contains(&self.host.as_str())
    }
}

/// Services that hide where a link leads.
const SHORTENERS: &[&str] = &[
    "bit.ly",
    "t.co",
    "goo.gl",
    "tinyurl.com",
    "is.gd",
    "ow.ly",
    "cutt.ly",
    "rebrand.ly",
    "t.ly",
    "buff.ly",
    "rb.gy",
    "shorturl.at",
    "s.id",
    "tiny.cc",
    "lnkd.in",
    "bl.ink",
    "v.gd",
    "adf.ly",
    "clck.ru",
    "vk.cc",
    "u.to",
    "x.gd",
    "wa.me",
    "t.me",
    "linktr.ee",
    "heylink.me",
    "shorturl.asia",
    "line.me",
    "lin.ee",
    "bitly.ws",
    "tny.im",
    "soo.gd",
];

/// Whether `host` ends in a suffix under which names are registered, and has a name before it.
pub(crate) fn is_domain(host: &str) -> bool {
    psl::suffix(host.as_bytes()).is_some_and(|suffix| suffix.is_known()) && psl::domain_str(host).is_some()
}

/// Endings that people write after "dot": a short list, so that "dot in the middle" stays text.
pub(super) const SPOKEN: &[&str] = &[
    "com", "net", "org", "info", "biz", "ru", "id", "th", "co", "io", "me", "xyz", "site", "online", "shop", "top",
    "club", "vip", "app", "dev", "ly", "cc", "tv", "to", "us", "uk", "de", "fr", "jp", "cn", "store", "live", "link",
    "bet", "win",
];

/// Ways in which "." is spoken.
pub(super) const DOTS: &[&str] =
    &["dot", "d0t", "titik", "точка", "тчк", "punkt", "punto", "ponto", "ドット", "点", "點"];

/// The span of a link or mail address in `chars`, which hold no space; `mail` where an `@` stands inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub start: usize,
    pub end: usize,
    pub mail: bool,
}

/// The first link or address at or after `from`.
pub(super) fn find(chars: &[char], from: usize) -> Option<Span> {
    let url = |c: char| {
        c.is_ascii_graphic()
            && !matches!(c, '"' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | '\\' | '|' | '^' | '`')
    };
    let mut at = from;
    while at < chars.len() {
        let dotted = chars[at] == '.'
            && at > from
            && host_char(chars[at - 1])
            && chars.get(at + 1).is_some_and(|&c| host_char(c));
        let schemed = chars[at] == ':' && chars[at..].starts_with(&[':', '/', '/']);
        if schemed && let Some(start) = scheme_start(chars, from, at) {
            let end = trim_end(chars, start, run(chars, at + 3, url));
            if end > at + 3 {
                return Some(Span { start, end, mail: false });
            }
        }
        if dotted {
            let start = (from..at)
                .rev()
                .take_while(|&i| host_char(chars[i]) || matches!(chars[i], '.' | '-'))
                .last()
                .unwrap_or(at);
            let host_end = run(chars, at, |c| host_char(c) || matches!(c, '.' | '-'));
            let host: String = chars[start..host_end].iter().map(char::to_ascii_lowercase).collect();
            let host = host.trim_matches(['.', '-']);
            if host.len() <= 253 && is_domain(host) {
                let mail = start > from && chars[start - 1] == '@';
                let start = if mail { mail_start(chars, from, start - 1) } else { start };
                let end = if matches!(chars.get(host_end), Some('/' | '?' | ':' | '#')) && !mail {
                    trim_end(chars, start, run(chars, host_end, url))
                } else {
                    trim_end(chars, start, host_end)
                };
                return Some(Span { start, end, mail });
            }
            at = host_end;
        }
        at += 1;
    }
    None
}

fn host_char(c: char) -> bool {
    c.is_ascii_alphanumeric()
}

fn run(chars: &[char], from: usize, is: impl Fn(char) -> bool) -> usize {
    chars[from..].iter().position(|&c| !is(c)).map_or(chars.len(), |length| from + length)
}

fn trim_end(chars: &[char], start: usize, mut end: usize) -> usize {
    while end > start && matches!(chars[end - 1], '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '-') {
        end -= 1;
    }
    end
}

fn scheme_start(chars: &[char], from: usize, colon: usize) -> Option<usize> {
    // hxxp, httр with one letter off and friends: four or five letters before "://".
    let start = (from..colon).rev().take(5).take_while(|&i| chars[i].is_ascii_alphabetic()).last()?;
    (colon - start >= 3).then_some(start)
}

fn mail_start(chars: &[char], from: usize, at: usize) -> usize {
    let local = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '+');
    (from..at).rev().take(64).take_while(|&i| local(chars[i])).last().unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Option<(String, bool)> {
        let chars: Vec<char> = text.chars().collect();
        find(&chars, 0).map(|span| (chars[span.start..span.end].iter().collect(), span.mail))
    }

    #[test]
    fn links_and_addresses_are_found_in_running_text() {
        for (text, link, mail) in [
            ("(https://evil.example/a?b=c).", "https://evil.example/a?b=c", false),
            ("はwww.example.jp/です", "www.example.jp/", false),
            ("bit.ly/3rT", "bit.ly/3rT", false),
            ("sales@shop.example.com,", "sales@shop.example.com", true),
            ("example.co.uk!", "example.co.uk", false),
        ] {
            assert_eq!(found(text), Some((link.into(), mail)), "{text}");
        }
        for text in ["3.50", "f.r.e.e", "wait...what", "e.g.", "v1.2.3", "file.rs:", "and/or"] {
            assert!(found(text).is_none_or(|(link, _)| link == "file.rs"), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn a_link_tells_host_and_registered_name() {
        let link = Link::parse("HTTPS://user@www.Shop.Example.co.uk:8080/x?y").unwrap();
        assert_eq!((link.host.as_str(), link.registrable(), link.top()), ("shop.example.co.uk", "example.co.uk", "uk"));
        assert_eq!(link.path, "/x?y");
        assert!(Link::parse("bit.ly/x").unwrap().is_shortener());
        assert_eq!(Link::parse("  "), None);
    }
}
