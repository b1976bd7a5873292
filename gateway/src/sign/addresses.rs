//! Address fields as RFC 5322 §3.4 and RFC 6532 have them: mailboxes, display names, groups (RFC 6854).
//!
//! Strict on purpose: whose domain a From field names decides what a tenant may send and who signs, so a field
//! that two programs could read in two ways is refused. That leaves out source routes, white space or comments
//! inside an address, unquoted `@` in a display name, and empty list elements.

/// What an address field holds, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// One mailbox.
    Mailbox(ListedMailbox),
    /// `name:`.
    GroupStart(String),
    /// `;`.
    GroupEnd,
}

/// One mailbox of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ListedMailbox {
    /// The display name, unquoted; encoded words stay encoded. A comment serves where there is none.
    pub display: Option<String>,
    /// The local part as written, quotes included.
    pub local: String,
    /// The domain as written.
    pub domain: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Atom,
    Quoted,
    Literal,
    Special(char),
}

#[derive(Debug, Clone)]
struct Token<'t> {
    kind: Kind,
    text: &'t str,
    /// Where it starts, so that tokens of one address can be seen to touch.
    at: usize,
}

impl Token<'_> {
    fn is(&self, special: char) -> bool {
        self.kind == Kind::Special(special)
    }

    fn end(&self) -> usize {
        self.at + self.text.len()
    }
}

/// The octets of a quoted string, comment or literal that starts at `text[0]`, or nothing if it does not end.
fn enclosed(text: &str, close: u8) -> Option<usize> {
    let octets = text.as_bytes();
    let open = octets[0];
    let mut depth = 0_usize;
    let mut at = 0;
    while at < octets.len() {
        match octets[at] {
            b'\\' => at += 1,
            octet if octet == close && at > 0 => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            // Only comments nest.
            octet if octet == open && (at == 0 || open == b'(') => depth += 1,
            _ => {}
        }
        at += 1;
    }
    None
}

fn tokens(text: &str) -> Result<(Vec<Token<'_>>, Vec<Token<'_>>), String> {
    let (mut tokens, mut comments) = (Vec::new(), Vec::new());
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let rest = &text[at..];
        let (kind, length) = match first {
            ' ' | '\t' => {
                at += 1;
                continue;
            }
            '"' => (Kind::Quoted, enclosed(rest, b'"').ok_or("has a quoted string that does not end")?),
            '[' => (Kind::Literal, enclosed(rest, b']').ok_or("has a \"[\" without \"]\"")?),
            '(' => {
                let length = enclosed(rest, b')').ok_or("has a comment that does not end")?;
                comments.push(Token { kind: Kind::Quoted, text: &rest[..length], at });
                at += length;
                continue;
            }
            '<' | '>' | '@' | ',' | ';' | ':' | '.' | ')' | ']' | '\\' => (Kind::Special(first), 1),
            c if c.is_control() => return Err("has a control character".to_owned()),
            _ => {
                let special = |c: char| c.is_control() || " \"()<>@,;:.[]\\".contains(c);
                (Kind::Atom, rest.find(special).unwrap_or(rest.len()))
            }
        };
        tokens.push(Token { kind, text: &rest[..length], at });
        at += length;
    }
    Ok((tokens, comments))
}

/// A quoted string or a comment without its delimiters and backslashes.
fn unquoted(text: &str) -> String {
    let mut chars = text[1..text.len() - 1].chars();
    let mut out = String::with_capacity(text.len());
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

fn phrase(words: &[Token<'_>]) -> String {
    let mut out = String::new();
    for (index, word) in words.iter().enumerate() {
        let touches = index > 0 && words[index - 1].end() == word.at;
        if index > 0 && !touches {
            out.push(' ');
        }
        match word.kind {
            Kind::Quoted => out.push_str(&unquoted(word.text)),
            _ => out.push_str(word.text),
        }
    }
    out
}

struct Parser<'t> {
    tokens: Vec<Token<'t>>,
    comments: Vec<Token<'t>>,
    next: usize,
}

impl<'t> Parser<'t> {
    fn peek(&self, special: char) -> bool {
        self.tokens.get(self.next).is_some_and(|token| token.is(special))
    }

    fn take(&mut self, special: char) -> bool {
        let taken = self.peek(special);
        self.next += usize::from(taken);
        taken
    }

    /// Tokens up to one that ends a phrase or a local part.
    fn words(&mut self) -> Vec<Token<'t>> {
        let rest = &self.tokens[self.next..];
        let count =
            rest.iter().take_while(|token| matches!(token.kind, Kind::Atom | Kind::Quoted) || token.is('.')).count();
        self.next += count;
        rest[..count].to_vec()
    }

    fn list(&mut self) -> Result<Vec<Item>, String> {
        let mut items = Vec::new();
        let mut in_group = false;
        loop {
            let words = self.words();
            if self.take(':') {
                if in_group || words.is_empty() {
                    return Err("has a \":\" where no group starts".to_owned());
                }
                in_group = true;
                items.push(Item::GroupStart(phrase(&words)));
                if self.peek(';') {
                    self.end_group(&mut items, &mut in_group);
                } else {
                    continue;
                }
            } else {
                items.push(Item::Mailbox(self.mailbox(&words)?));
                if in_group && self.peek(';') {
                    self.end_group(&mut items, &mut in_group);
                }
            }
            if self.next == self.tokens.len() && !in_group {
                return Ok(items);
            }
            if !self.take(',') {
                return Err(match self.tokens.get(self.next) {
                    Some(token) => format!("has \"{}\" where a comma or the end belongs", token.text),
                    None => "has a group without its \";\"".to_owned(),
                });
            }
        }
    }

    fn end_group(&mut self, items: &mut Vec<Item>, in_group: &mut bool) {
        self.next += 1;
        *in_group = false;
        items.push(Item::GroupEnd);
    }

    fn mailbox(&mut self, words: &[Token<'t>]) -> Result<ListedMailbox, String> {
        let start = self.tokens.get(self.next.saturating_sub(words.len())).map_or(0, |token| token.at);
        if self.take('<') {
            let local = self.words();
            let (local, domain) = self.address(&local)?;
            if !self.take('>') {
                return Err("has a \"<\" without \">\"".to_owned());
            }
            let display = (!words.is_empty()).then(|| phrase(words));
            return Ok(ListedMailbox { display: display.or_else(|| self.comment(start)), local, domain });
        }
        if self.peek('@') {
            let (local, domain) = self.address(words)?;
            if self.peek('<') {
                return Err("has an \"@\" in a display name: put the name in quotes".to_owned());
            }
            return Ok(ListedMailbox { display: self.comment(start), local, domain });
        }
        Err(if words.is_empty() {
            "has no address where one belongs".to_owned()
        } else {
            format!("has \"{}\" without an address", phrase(words).chars().take(60).collect::<String>())
        })
    }

    /// The comment between `start` and the next token, which some programs use as the display name.
    fn comment(&self, start: usize) -> Option<String> {
        let end = self.tokens.get(self.next).map_or(usize::MAX, |token| token.at);
        let comment = self.comments.iter().find(|comment| (start..end).contains(&comment.at))?;
        Some(unquoted(comment.text).trim().to_owned()).filter(|text| !text.is_empty())
    }

    /// `local@domain` with nothing in between; the `@` is next.
    fn address(&mut self, local: &[Token<'t>]) -> Result<(String, String), String> {
        let shape = || "has an address that is not local-part@domain".to_owned();
        let from = self.next;
        if !self.take('@') {
            return Err(shape());
        }
        let domain = if self.tokens.get(self.next).is_some_and(|token| token.kind == Kind::Literal) {
            self.next += 1;
            self.tokens[self.next - 1..self.next].to_vec()
        } else {
            self.words()
        };
        let all = local.iter().chain(&self.tokens[from..=from]).chain(&domain);
        let touching = all.clone().zip(all.skip(1)).all(|(left, right)| left.end() == right.at);
        let dotted = |words: &[Token<'_>]| {
            words.len() % 2 == 1 && words.iter().enumerate().all(|(n, word)| word.is('.') == (n % 2 == 1))
        };
        let plain = domain.iter().all(|token| token.kind != Kind::Quoted);
        if !touching || !dotted(local) || !dotted(&domain) || !plain {
            return Err(shape());
        }
        let join = |words: &[Token<'_>]| words.iter().map(|word| word.text).collect::<String>();
        Ok((join(local), join(&domain)))
    }
}

/// Reads an unfolded address field. The error completes a sentence: "the From field …".
pub(super) fn parse(value: &[u8]) -> Result<Vec<Item>, String> {
    let text = std::str::from_utf8(value).map_err(|_| "is not UTF-8: encode names by RFC 2047".to_owned())?;
    let (tokens, comments) = tokens(text)?;
    if tokens.is_empty() {
        return Err("is empty".to_owned());
    }
    Parser { tokens, comments, next: 0 }.list()
}

/// The mailboxes alone.
pub(super) fn mailboxes(value: &[u8]) -> Result<Vec<ListedMailbox>, String> {
    let items = parse(value)?;
    Ok(items
        .into_iter()
        .filter_map(|item| if let Item::Mailbox(mailbox) = item { Some(mailbox) } else { None })
        .collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(value: &str) -> Vec<String> {
        let shown = |m: ListedMailbox| format!("{}|{}@{}", m.display.unwrap_or_default(), m.local, m.domain);
        mailboxes(value.as_bytes()).unwrap().into_iter().map(shown).collect()
    }

    #[test]
    fn the_usual_shapes_are_read() {
        for (value, expected) in [
            ("a@b.example", &["|a@b.example"][..]),
            ("<a@b.example>", &["|a@b.example"]),
            ("A. B. Cee <a@b.example>", &["A. B. Cee|a@b.example"]),
            ("\"Cee, \\\"A\\\" @ x\" <a@b.example>", &["Cee, \"A\" @ x|a@b.example"]),
            ("a@b.example (Some (nested) Name)", &["Some (nested) Name|a@b.example"]),
            (
                "=?utf-8?Q?J=C3=B6rg?= <a@b.example>, c@d.example",
                &["=?utf-8?Q?J=C3=B6rg?=|a@b.example", "|c@d.example"],
            ),
            ("Team: a@b.example, C <c@d.example>;", &["|a@b.example", "C|c@d.example"]),
            ("undisclosed recipients:;", &[]),
            ("\"a b\"@c.example", &["|\"a b\"@c.example"]),
            ("Jörg <jörg@bücher.example>", &["Jörg|jörg@bücher.example"]),
            ("a@[192.0.2.1]", &["|a@[192.0.2.1]"]),
        ] {
            assert_eq!(read(value), expected, "{value}");
        }
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_refused() {
        for value in [
            "",
            "a",
            "a b@c.example",
            "a@b.example c@d.example",
            "a@b.example <c@d.example>",
            "a@evil.example@good.example",
            "<@r.example:a@b.example>",
            "a@b.example,",
            ",a@b.example",
            "a@b.example;",
            "G: a@b.example",
            "G: H: a@b.example;;",
            "a @b.example",
            "a@b(x).example",
            "a@b.example.",
            ".a@b.example",
            "\"a@b.example",
            "A <a@b.example",
            "A (x <a@b.example>",
            "A <a@b.example>>",
            "a@\"b.example\"",
            "A <>",
            "a\0@b.example",
        ] {
            assert!(parse(value.as_bytes()).is_err(), "{value:?}: {:?}", parse(value.as_bytes()));
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(value in "[a-c\"()<>@,;:.\\[\\]\\\\ é]{0,40}") {
            let _ = parse(value.as_bytes());
        }

        #[test]
        fn what_is_written_plainly_is_read_back(pairs in prop::collection::vec(("[a-z]{1,8}", "[a-z]{1,8}\\.example"), 1..5)) {
            let text = pairs.iter().map(|(l, d)| format!("\"N {l}\" <{l}@{d}>")).collect::<Vec<_>>().join(",");
            let read = mailboxes(text.as_bytes()).unwrap();
            prop_assert_eq!(read.len(), pairs.len());
            for (mailbox, (local, domain)) in read.iter().zip(&pairs) {
                prop_assert_eq!((&mailbox.local, &mailbox.domain), (local, domain));
            }
        }
    }
}
