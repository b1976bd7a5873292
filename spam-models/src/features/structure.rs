//! Structure: counts of the whole post, in buckets that grow, so that no corpus's exact lengths are learned.

use super::hash::{Hash, Kind};
use super::{Feature, Features, Signal, Source, link_hashes};
use crate::post::Post;
use crate::text::{Class, links::Link};

/// 0, 1, 2, 3–4, 5–8, …
fn bucket(count: usize) -> u32 {
    match count {
        0..=2 => count as u32,
        _ => usize::BITS - (count - 1).leading_zeros() + 1,
    }
}

/// Tenths, the first cut in three: 2 % and 8 % capitals differ more than 50 % and 60 %.
fn share(part: usize, whole: usize) -> u32 {
    if part == 0 || whole == 0 {
        return 0;
    }
    let percent = part * 100 / whole;
    match percent {
        0..=2 => 1,
        3..=5 => 2,
        6..=9 => 3,
        _ => 4 + (percent / 10) as u32,
    }
}

/// Adds the structural features.
pub(super) fn emit(features: &mut Features, post: &Post) {
    add(features, Signal::Bias, 0);
    let counts = features.tokens.counts;
    let letters = counts.letters as usize;
    let total = features.tokens.chars.len();
    let folded = counts.folded;
    for (signal, value) in [
        (Signal::Length, bucket(total / 8)),
        (Signal::Capitals, share(counts.capitals as usize, letters)),
        (Signal::Digits, share(counts.digits as usize, total)),
    ] {
        add(features, signal, value);
    }
    for (signal, count) in [
        (Signal::Lines, counts.lines),
        (Signal::Exclamations, counts.exclamations),
        (Signal::LongRun, counts.longest_run.saturating_sub(3)),
        (Signal::Emoji, counts.emoji),
        (Signal::Invisible, folded.invisible),
        (Signal::Styled, folded.styled),
        (Signal::Marks, folded.marks),
        (Signal::LookAlikes, folded.mixed),
        (Signal::SpokenDots, counts.spoken_dots),
        (Signal::SpacedWords, counts.spaced_words),
        (Signal::Hidden, features.extract.hidden.len() as u32 / 4),
        (Signal::Entities, features.extract.entities as u32 / 4),
        (Signal::SplitWords, features.extract.split_words as u32),
        (Signal::Images, features.extract.images as u32),
        (Signal::Encoded, features.extract.encoded as u32),
    ] {
        if count > 0 {
            add(features, signal, bucket(count as usize).min(6));
        }
    }
    emit_links(features, post);
    emit_contacts(features);
    emit_repeats(features);
}

fn add(features: &mut Features, signal: Signal, value: u32) {
    let hash = Hash::new(Kind::Structure).add(signal as u32).add(value).finish();
    push(features, signal, hash);
}

fn push(features: &mut Features, signal: Signal, hash: u32) {
    if features.signals.last() != Some(&signal) {
        features.signals.push(signal);
    }
    features.list.push(Feature { hash, source: Source::Signal(features.signals.len() as u32 - 1) });
}

fn emit_links(features: &mut Features, post: &Post) {
    let anchors: Vec<Link> = features.extract.anchors.iter().filter_map(|anchor| Link::parse(&anchor.href)).collect();
    let differs =
        features.extract.anchors.iter().any(|anchor| match (Link::parse(&anchor.shown), Link::parse(&anchor.href)) {
            (Some(shown), Some(real)) => {
                crate::text::links::is_domain(&shown.host) && shown.registrable() != real.registrable()
            }
            _ => false,
        });
    let links: Vec<Link> = features.tokens.links.iter().chain(&anchors).cloned().collect();
    if links.is_empty() {
        return;
    }
    let mut domains: Vec<&str> = links.iter().map(Link::registrable).collect();
    domains.sort_unstable();
    domains.dedup();
    add(features, Signal::Links, bucket(links.len()).min(7));
    add(features, Signal::Domains, bucket(domains.len()).min(5));
    if links.iter().any(Link::is_shortener) {
        add(features, Signal::Shortener, 0);
    }
    if differs {
        add(features, Signal::LinkTextDiffers, 0);
    }
    let list = &features.tokens.list;
    let is_link = |class: Class| class == Class::Url;
    let first = list.iter().take(2).any(|token| is_link(token.class));
    let last = list.iter().rev().take(2).any(|token| is_link(token.class));
    let in_links: usize =
        list.iter().filter(|token| is_link(token.class)).map(|token| (token.end - token.start) as usize).sum();
    let portion = share(in_links, features.tokens.chars.len());
    add(features, Signal::LinkShare, portion);
    if first {
        add(features, Signal::LinkFirst, 0);
    }
    if last {
        add(features, Signal::LinkLast, 0);
    }
    for link in anchors.iter().take(20) {
        for hash in link_hashes(link) {
            push(features, Signal::Anchor, hash.finish());
        }
    }
    let named = |link: &Link| {
        let label = link.registrable().split('.').next().unwrap_or_default().to_owned();
        let plain =
            |text: &str| text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
        label.len() >= 5 && post.author.as_deref().is_some_and(|author| plain(author).contains(&plain(&label)))
    };
    if links.iter().take(20).any(named) {
        add(features, Signal::AuthorIsSite, 0);
    }
}

fn emit_contacts(features: &mut Features) {
    let (mut mails, mut names, mut money, mut phones, mut digits) = (0, 0, 0, 0, 0);
    let mut loose = 0;
    for token in &features.tokens.list {
        match token.class {
            Class::Mail => mails += 1,
            Class::Handle | Class::Tag => names += 1,
            Class::Money => money += 1,
            _ => {}
        }
        // A phone number: nine digits or more in groups with hardly anything between them.
        match token.class {
            Class::Number => {
                digits += token.end - token.start;
                loose = 0;
            }
            Class::Sign if loose < 2 => loose += 1,
            _ => {
                phones += u32::from((9..=15).contains(&digits));
                digits = 0;
            }
        }
    }
    phones += u32::from((9..=15).contains(&digits));
    for (signal, count) in
        [(Signal::Mail, mails), (Signal::Handles, names), (Signal::Money, money), (Signal::Phone, phones)]
    {
        if count > 0 {
            add(features, signal, bucket(count as usize).min(4));
        }
    }
}

fn emit_repeats(features: &mut Features) {
    let mut words = std::collections::HashMap::new();
    let mut total = 0_usize;
    for token in &features.tokens.list {
        if matches!(token.class, Class::Word | Class::Mixed | Class::Url) && total < 2000 {
            let hash = Hash::new(Kind::Word).chars(features.tokens.letters(token)).finish();
            *words.entry(hash).or_insert(0_usize) += 1;
            total += 1;
        }
    }
    if total >= 12 {
        let repeated = total - words.len();
        add(features, Signal::Repeated, share(repeated, total));
    }
    let mut different: Vec<char> = features.tokens.chars.iter().take(400).copied().collect();
    let read = different.len();
    different.sort_unstable();
    different.dedup();
    if read >= 12 && different.len() * 4 < read.min(60) {
        add(features, Signal::FewLetters, 0);
    }
}
