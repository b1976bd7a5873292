//! Posts as pages show them: everything already in words, so that templates only place it. User text is never marked
//! safe: askama escapes it.

use super::words::Texts;
use crate::admin::client::segment;
use crate::clock::Timestamp;
use crate::posts::{Action, Band, Cause, Claim, Post, PostState, Standing, Thresholds};
use crate::web::language::fill;

/// A span in one unit.
pub(super) fn span(seconds: u64, texts: &Texts) -> String {
    match seconds {
        0..60 => fill(texts.seconds, &[&seconds]),
        60..3600 => fill(texts.minutes, &[&(seconds / 60)]),
        3600..172_800 => fill(texts.hours, &[&(seconds / 3600)]),
        _ => fill(texts.days, &[&(seconds / 86_400)]),
    }
}

/// A state in words.
pub(super) fn state(state: PostState, texts: &Texts) -> &'static str {
    match state {
        PostState::Held => texts.held,
        PostState::Published => texts.published,
        PostState::Approved => texts.approved,
        PostState::Spam => texts.spam,
        PostState::Rejected => texts.rejected,
        PostState::Expired => texts.expired,
    }
}

/// A band in words.
pub(super) fn band(band: Band, texts: &Texts) -> &'static str {
    match band {
        Band::LikelyFine => texts.likely_fine,
        Band::Unsure => texts.unsure,
        Band::LikelySpam => texts.likely_spam,
    }
}

/// The class of a band's badge.
fn band_class(band: Band) -> &'static str {
    match band {
        Band::LikelyFine => "good",
        Band::Unsure => "warn",
        Band::LikelySpam => "bad",
    }
}

/// A standing in words.
pub(super) fn standing(standing: Standing, texts: &Texts) -> &'static str {
    match standing {
        Standing::Normal => texts.normal,
        Standing::Trusted => texts.trusted,
        Standing::Silenced { .. } => texts.silenced,
        Standing::Banned => texts.banned,
    }
}

/// An action in words.
pub(super) fn action(action: Action, texts: &Texts) -> &'static str {
    match action {
        Action::Approve => texts.approve,
        Action::Spam => texts.mark_spam,
        Action::Reject => texts.reject,
        Action::Undo => texts.undo,
        Action::Redact => texts.strike_out,
        Action::Trust => texts.trust,
        Action::Silence => texts.silence,
        Action::Ban => texts.ban,
        Action::Unban => texts.unban,
        Action::Expire => texts.expired,
        Action::Edit => texts.edited,
    }
}

fn cause(cause: &Cause, texts: &Texts) -> String {
    match cause {
        Cause::LikelyFine => texts.c_likely_fine.into(),
        Cause::Unsure => texts.c_unsure.into(),
        Cause::LikelySpam => texts.c_likely_spam.into(),
        Cause::ClassifierFailed => texts.c_failed.into(),
        Cause::AuthorTrusted => texts.c_trusted.into(),
        Cause::AuthorSilenced => texts.c_silenced.into(),
        Cause::AuthorBanned => texts.c_banned.into(),
        Cause::Rule { rule } => fill(texts.c_rule, &[rule]),
        Cause::Rate { posts } => fill(texts.c_rate, &[posts]),
        Cause::Campaign { posts, authors } => fill(texts.c_campaign, &[posts, authors]),
        Cause::Edited => texts.c_edited.into(),
        Cause::Honeypot => texts.c_honeypot.into(),
        Cause::Unauthenticated => texts.c_unauthenticated.into(),
        Cause::Sample => texts.c_sample.into(),
    }
}

/// One row of a list.
pub(super) struct Row {
    pub(super) id: String,
    /// The id for a path.
    pub(super) segment: String,
    /// What a form sends for this post: version and id.
    pub(super) token: String,
    pub(super) version: u32,
    pub(super) title: String,
    pub(super) excerpt: String,
    pub(super) lang: Option<String>,
    pub(super) author: String,
    pub(super) author_segment: String,
    pub(super) author_age: String,
    pub(super) age: String,
    pub(super) received: String,
    pub(super) state: &'static str,
    pub(super) band: &'static str,
    pub(super) band_class: &'static str,
    pub(super) number: String,
    pub(super) causes: Vec<String>,
    pub(super) claim: Option<String>,
    pub(super) open: bool,
}

impl Row {
    /// The row of a post. `me` is who looks: one's own claim is not shown.
    pub(super) fn of(
        post: &Post,
        claim: Option<&Claim>,
        me: &str,
        thresholds: Thresholds,
        now: Timestamp,
        texts: &Texts,
    ) -> Self {
        let of = post.band(thresholds);
        let number = match post.probability {
            Some(number) => fill(texts.number, &[&format!("{number:.3}")]),
            None => texts.no_number.to_owned(),
        };
        let name = post.byline.name.clone().unwrap_or_else(|| post.author.to_string());
        let claim = claim.filter(|claim| claim.by != me).map(|claim| fill(texts.looked_at, &[&claim.by]));
        Self {
            id: post.id.to_string(),
            segment: segment(post.id.as_str()),
            token: format!("{} {}", post.version, post.id),
            version: post.version,
            title: if post.title.is_empty() { post.excerpt.chars().take(80).collect() } else { post.title.clone() },
            excerpt: if post.title.is_empty() { String::new() } else { post.excerpt.clone() },
            lang: post.lang.clone(),
            author: name,
            author_segment: segment(post.author.as_str()),
            author_age: post.byline.since.map(|since| span(now.since(since).as_secs(), texts)).unwrap_or_default(),
            age: span(now.since(post.received).as_secs(), texts),
            received: post.received.to_rfc3339(),
            state: state(post.state, texts),
            band: band(of, texts),
            band_class: band_class(of),
            number,
            causes: post.causes.iter().map(|one| cause(one, texts)).collect(),
            claim,
            open: post.state == PostState::Held,
        }
    }
}

/// What was done, and how to take it back: above a page after a form.
pub(super) struct Notice {
    pub(super) text: String,
    pub(super) skipped: Option<String>,
    /// What the undo form sends.
    pub(super) operation: Option<String>,
}

impl Notice {
    /// The notice that an address asks for.
    pub(super) fn of(
        did: Option<&str>,
        count: Option<usize>,
        skipped: Option<usize>,
        operation: Option<&str>,
        texts: &Texts,
    ) -> Option<Self> {
        let pattern = match did? {
            "approve" => texts.done_approve,
            "spam" => texts.done_spam,
            "reject" => texts.done_reject,
            "undo" => texts.done_undo,
            "redact" => texts.done_redact,
            "author" => texts.done_author,
            _ => return None,
        };
        let skipped = skipped.filter(|count| *count > 0).map(|count| fill(texts.skipped, &[&count]));
        let digits = |text: &&str| !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
        let operation = operation.filter(digits).map(str::to_owned);
        Some(Self { text: fill(pattern, &[&count.unwrap_or(1)]), skipped, operation })
    }
}
