//! What a help center submits, checked, and without card numbers before anything of it is kept.
//!
//! Refuses ids and texts over the limits, and ids that hold a card number: an id cannot be changed, since it is the
//! client's name for the post. Mode `report` and `off` of a tenant's redaction do not apply here: posts are for the
//! public.

use std::borrow::Cow;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{AuthorId, Body, Byline, PostError, PostId, Source};
use crate::clock::Timestamp;
use crate::redact::{self, Mode, Policy};

/// The most octets of a text.
pub const MAX_TEXT: usize = 256 << 10;
const MAX_FIELD: usize = 2000;
const EXCERPT: usize = 240;

/// A post as it is submitted: the body of `POST /v1/posts`. Fields that are not known are ignored.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Submission {
    /// The help center's name for the post; the same id again is the same post. Made up if it is missing.
    pub id: Option<String>,
    /// The text.
    pub text: String,
    /// The title.
    pub title: Option<String>,
    /// The language, as in `<html lang>`.
    pub lang: Option<String>,
    /// The author's id in the help center.
    pub author: Option<String>,
    /// The author's name as it is shown.
    pub author_name: Option<String>,
    /// The author's mail address.
    pub author_email: Option<String>,
    /// The author's web page.
    pub author_url: Option<String>,
    /// Where the author writes from.
    pub author_ip: Option<String>,
    /// Since when the author has an account, in RFC 3339.
    pub author_since: Option<String>,
    /// The post's page.
    pub url: Option<String>,
    /// What it is: `comment`, `forum-post`, `article`…
    pub kind: Option<String>,
    /// What it answers.
    pub context: Option<String>,
    /// The author's browser.
    pub user_agent: Option<String>,
    /// Where the author came from.
    pub referrer: Option<String>,
}

/// A checked submission.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// The post's id.
    pub id: PostId,
    /// The author.
    pub author: AuthorId,
    /// Name, addresses and age of the account.
    pub byline: Byline,
    /// The title.
    pub title: String,
    /// The language.
    pub lang: Option<String>,
    /// The page.
    pub url: Option<String>,
    /// The kind.
    pub kind: Option<String>,
    /// The text and what goes with it.
    pub body: Body,
    /// How it came in.
    pub source: Source,
    /// Card numbers that were struck out.
    pub struck: u32,
    /// Was a hidden field filled in?
    pub honeypot: bool,
    /// Did the mail that brought it fail authentication?
    pub unauthenticated: bool,
}

impl Checked {
    /// The beginning of the text, in one line.
    pub fn excerpt(&self) -> String {
        excerpt(&self.body.text)
    }

    /// What makes a repetition: the words that people see. The rest may differ from one try to the next.
    pub fn identity(&self) -> Vec<u8> {
        [self.title.as_bytes(), b"\0", self.body.text.as_bytes(), b"\0", self.author.as_str().as_bytes()].concat()
    }
}

/// The beginning of a text, in one line.
pub fn excerpt(text: &str) -> String {
    let mut out = String::new();
    let mut count = 0;
    for word in text.split_whitespace() {
        if count > 0 {
            out.push(' ');
            count += 1;
        }
        for c in word.chars() {
            if count >= EXCERPT {
                out.push('…');
                return out;
            }
            out.push(c);
            count += 1;
        }
    }
    out
}

/// Strikes card numbers out, counting them.
struct Pen<'p> {
    policy: &'p Policy,
    struck: u32,
}

impl Pen<'_> {
    /// The text without card numbers.
    fn text(&mut self, text: &str) -> Result<String, PostError> {
        let clean: String = text.chars().filter(|c| *c != '\0').collect();
        let plain = self.strike(&clean, "text/plain")?;
        if plain.contains(['<', '&']) { self.strike(&plain, "text/html") } else { Ok(plain) }
    }

    fn strike(&mut self, text: &str, kind: &str) -> Result<String, PostError> {
        if !has_digits(text) {
            return Ok(text.to_owned());
        }
        // The redact room works on messages; a message of one part is the smallest that says how to read the text.
        let header = format!("Content-Type: {kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n");
        let message = [header.as_bytes(), text.as_bytes()].concat();
        let failed = |error: &dyn std::fmt::Display| PostError::Store(format!("striking out card numbers: {error}"));
        let (redacted, report) = redact::redact_bytes(&message, self.policy).map_err(|error| failed(&error))?;
        self.struck += report.hits.len() as u32;
        let Cow::Owned(redacted) = redacted else { return Ok(text.to_owned()) };
        let body = redacted.get(header.len()..).ok_or_else(|| failed(&"the header was changed"))?;
        String::from_utf8(body.to_vec()).map_err(|error| failed(&error))
    }

    fn field(&mut self, text: Option<String>) -> Result<Option<String>, PostError> {
        let Some(text) = text else { return Ok(None) };
        let short: String = text.trim().chars().filter(|c| !c.is_control()).take(MAX_FIELD).collect();
        if short.is_empty() { Ok(None) } else { self.text(&short).map(Some) }
    }

    /// An address: the redact room leaves digits in links alone, since a changed link leads nowhere. What is only shown
    /// to a moderator may change, so each piece of it is looked at by itself.
    fn address(&mut self, text: Option<String>) -> Result<Option<String>, PostError> {
        let Some(text) = self.field(text)? else { return Ok(None) };
        let mut clean = String::with_capacity(text.len());
        for piece in text.split_inclusive(['/', '?', '&', '=', '#', ';', ',']) {
            clean += &self.text(piece)?;
        }
        Ok(Some(clean))
    }

    fn refuse(&mut self, what: &str, id: &str) -> Result<(), PostError> {
        let before = self.struck;
        self.text(id)?;
        if self.struck > before {
            return Err(PostError::invalid(format!("the {what}'s id holds a payment card number: give another one")));
        }
        Ok(())
    }
}

fn has_digits(text: &str) -> bool {
    // Every digit of Unicode, and entities that may stand for one; the shortest card number has twelve.
    text.chars().filter(|c| c.is_numeric() || *c == '&').take(12).count() >= 12 || text.contains("&#")
}

impl Submission {
    /// Checks it and strikes card numbers out with the tenant's policy. Holds a processor.
    pub fn check(self, source: Source, policy: &Policy, now: Timestamp) -> Result<Checked, PostError> {
        if self.text.len() > MAX_TEXT {
            return Err(PostError::TooLong { octets: self.text.len(), limit: MAX_TEXT });
        }
        let policy = Policy { mode: Mode::Redact, ..policy.clone() };
        let mut pen = Pen { policy: &policy, struck: 0 };
        let id = match &self.id {
            Some(id) => PostId::parse(id)?,
            None => PostId::parse(&crate::ids::LetterId::new(now).to_string())?,
        };
        pen.refuse("post", id.as_str())?;
        let author_ip = self.author_ip.as_deref().map(str::trim).filter(|ip| !ip.is_empty());
        let author_ip: Option<IpAddr> = author_ip
            .map(str::parse)
            .transpose()
            .map_err(|_| PostError::invalid("author_ip is not an IP address: leave it out if you do not have it"))?;
        let author_since = self.author_since.as_deref().filter(|since| !since.trim().is_empty());
        let author_since = author_since
            .map(|since| Timestamp::parse_rfc3339(since).ok_or("author_since is not a time of RFC 3339"))
            .transpose()
            .map_err(PostError::invalid)?;
        let author_email = pen.field(self.author_email)?;
        let author = author_id(self.author.as_deref(), author_email.as_deref(), author_ip)?;
        pen.refuse("author", author.as_str())?;
        let body = Body {
            text: pen.text(&self.text)?,
            context: pen.field(self.context)?,
            user_agent: pen.field(self.user_agent)?,
            referrer: pen.address(self.referrer)?,
        };
        Ok(Checked {
            id,
            author,
            byline: Byline {
                name: pen.field(self.author_name)?,
                email: author_email,
                url: pen.address(self.author_url)?,
                ip: author_ip.map(|ip| ip.to_canonical()),
                since: author_since,
            },
            title: pen.field(self.title)?.unwrap_or_default(),
            lang: pen.field(self.lang)?.filter(|lang| lang.len() <= 35),
            url: pen.address(self.url)?,
            kind: pen.field(self.kind)?,
            body,
            source,
            struck: pen.struck,
            honeypot: false,
            unauthenticated: false,
        })
    }
}

fn author_id(given: Option<&str>, email: Option<&str>, ip: Option<IpAddr>) -> Result<AuthorId, PostError> {
    if let Some(given) = given.filter(|given| !given.trim().is_empty()) {
        return AuthorId::parse(given);
    }
    if let Some(email) = email {
        return AuthorId::parse(&email.to_lowercase());
    }
    AuthorId::parse(&ip.map_or_else(|| "anonymous".to_owned(), |ip| ip.to_string()))
}

/// Strikes a piece out of a text by hand: every character of it becomes `█`, so that its length still shows.
pub fn strike_out(text: &str, piece: &str) -> Option<String> {
    let piece = piece.trim();
    if piece.is_empty() || !text.contains(piece) {
        return None;
    }
    let mask: String = piece.chars().map(|c| if c.is_whitespace() { c } else { '█' }).collect();
    Some(text.replace(piece, &mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(submission: Submission) -> Result<Checked, PostError> {
        submission.check(Source::Api, &Policy::default(), Timestamp::from_millis(1_795_000_000_000))
    }

    fn with_text(text: &str) -> Submission {
        Submission { id: Some("p1".into()), text: text.into(), ..Submission::default() }
    }

    #[test]
    fn card_numbers_go_in_every_field_and_every_writing() {
        let mut all = with_text(
            "my card 4111 1111 1111 1111, or <b>4111</b>-1111-1111-1111\nor ４１１１１１１１１１１１１１１１",
        );
        all.title = Some("refund to 4111111111111111".into());
        all.author_name = Some("4111-1111-1111-1111".into());
        all.url = Some("https://help.example/?q=4111111111111111".into());
        all.context = Some("card: 4111111111111111".into());
        let checked = check(all).unwrap();
        let shown = format!("{checked:?}");
        let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
        assert!(!digits.contains("41111111"), "{shown}");
        assert!(!shown.contains("４１１１１１１１"), "{shown}");
        assert!(checked.struck >= 7, "{}", checked.struck);
        assert!(checked.body.text.contains("my card"));
    }

    #[test]
    fn text_without_numbers_stays_as_it_is() {
        let text = "line one\nline two\r\n  <b>bold</b> &amp; order 12345, 日本語\u{200b}";
        assert_eq!(check(with_text(text)).unwrap().body.text, text);
    }

    #[test]
    fn what_cannot_be_kept_is_refused() {
        for id in ["", "a\u{7}b", &"x".repeat(201), "4111111111111111"] {
            let wrong = Submission { id: Some((*id).to_owned()), text: "x".into(), ..Submission::default() };
            assert!(matches!(check(wrong), Err(PostError::Invalid(_))), "{id:?}");
        }
        assert!(matches!(check(with_text(&"x".repeat(MAX_TEXT + 1))), Err(PostError::TooLong { .. })));
        let ip = Submission { author_ip: Some("nowhere".into()), ..with_text("x") };
        assert!(check(ip).is_err());
    }

    #[test]
    fn an_author_is_known_by_id_then_address_then_machine() {
        let mut one = with_text("x");
        assert_eq!(check(one.clone()).unwrap().author.as_str(), "anonymous");
        one.author_ip = Some("192.0.2.7".into());
        assert_eq!(check(one.clone()).unwrap().author.as_str(), "192.0.2.7");
        one.author_email = Some("Ann@Mail.example".into());
        assert_eq!(check(one.clone()).unwrap().author.as_str(), "ann@mail.example");
        one.author = Some("u-77".into());
        assert_eq!(check(one).unwrap().author.as_str(), "u-77");
    }

    #[test]
    fn a_piece_is_struck_out_everywhere() {
        assert_eq!(strike_out("call 555 or 555", "555").as_deref(), Some("call ███ or ███"));
        assert_eq!(strike_out("call", "555"), None);
        assert_eq!(strike_out("call", " "), None);
    }

    proptest::proptest! {
        /// What is struck out is gone, and all else stays where it was.
        #[test]
        fn a_struck_piece_is_gone_and_nothing_else(before in "[ab日 \n]{0,20}", piece in "[cé本][cé本 \n]{0,6}", after in "[ab日 \n]{0,20}") {
            let text = format!("{before}{piece}{after}{piece}");
            let struck = strike_out(&text, &piece).unwrap();
            proptest::prop_assert_eq!(struck.chars().count(), text.chars().count());
            proptest::prop_assert!(!struck.contains(['c', 'é', '本']), "{}", struck);
            let kept = |text: &str| text.chars().filter(|c| "ab日".contains(*c)).collect::<String>();
            proptest::prop_assert_eq!(kept(&struck), kept(&text));
        }
    }
}
