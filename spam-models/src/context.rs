//! What is known besides the text, as log-odds.
//!
//! Set by hand: no corpus at hand has authors with a history. Each weight is small, the sum is cut to
//! ±[`MOST`], so that a good name clears a doubt and a bad one holds a post, but neither decides alone.

use crate::post::{Context, Reason};

/// The most that all of it together moves the log-odds.
const MOST: f64 = 4.0;

/// The signals of a context.
pub(crate) fn shift(context: &Context) -> Vec<Reason> {
    let mut out: Vec<(&str, f64)> = Vec::new();
    match context.author_age_hours {
        Some(0..24) => out.push(("account made within a day", 0.5)),
        Some(8760..) => out.push(("account older than a year", -0.5)),
        _ => {}
    }
    match context.author_approved {
        Some(20..) => out.push(("twenty posts or more of this author were welcome", -2.0)),
        Some(3..) => out.push(("earlier posts of this author were welcome", -1.0)),
        _ => {}
    }
    match context.posts_last_hour {
        Some(20..) => out.push(("twenty posts or more within an hour", 2.5)),
        Some(5..) => out.push(("several posts within an hour", 1.0)),
        _ => {}
    }
    if context.first_link {
        out.push(("this author's first link", 0.7));
    }
    if context.address_listed {
        out.push(("sent from an address on a blocklist", 1.5));
    }
    if context.domain_listed {
        out.push(("links to a site on a blocklist", 3.0));
    }
    if context.honeypot_filled {
        out.push(("filled in a field that people do not see", 3.0));
    }
    let sighting = context.sighting;
    match (sighting.authors, sighting.posts) {
        (3.., _) => out.push(("nearly the same text from several authors", 2.5)),
        (2, _) => out.push(("nearly the same text from another author", 1.2)),
        (_, 3..) => out.push(("nearly the same text several times", 1.0)),
        _ => {}
    }
    let sum: f64 = out.iter().map(|(_, weight)| weight).sum();
    let scale = if sum.abs() > MOST { MOST / sum.abs() } else { 1.0 };
    out.into_iter().map(|(signal, weight)| Reason { signal: signal.to_owned(), weight: weight * scale }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_known_moves_nothing_and_everything_together_is_bounded() {
        assert!(shift(&Context::default()).is_empty());
        let worst = Context {
            author_age_hours: Some(0),
            posts_last_hour: Some(500),
            first_link: true,
            address_listed: true,
            domain_listed: true,
            honeypot_filled: true,
            ..Context::default()
        };
        let sum: f64 = shift(&worst).iter().map(|reason| reason.weight).sum();
        assert!((sum - MOST).abs() < 1e-9, "{sum}");
    }
}
