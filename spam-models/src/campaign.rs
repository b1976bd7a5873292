//! Campaigns: the same text, nearly, again and again, over posts, authors and tenants.
//!
//! MinHash over the character 5-grams of the letters (Broder 1997), 32 values in 16 bands of 2, so that texts that
//! share half of their grams are found nearly always (1 − (1 − ½²)^16 = 0.99). A window of the last posts is kept,
//! fingerprints only; what is old falls out by itself. Sightings say how often, never what or whose: tenants learn
//! nothing of each other.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::features::Features;
use crate::ftrl::Dice;
use crate::post::Post;

const HASHES: usize = 32;
const BAND: usize = 2;
/// Values that must agree: a similarity of about a half.
const ALIKE: usize = 16;
/// Letters below which texts are alike by chance ("thank you").
const LEAST_LETTERS: usize = 24;

/// What of a text stays when a few words change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint([u32; HASHES]);

impl Fingerprint {
    /// The fingerprint of a post; `None` where it is too short to tell.
    pub fn of(post: &Post) -> Option<Self> {
        Self::of_letters(&Features::of(post).tokens.chars)
    }

    fn of_letters(letters: &[char]) -> Option<Self> {
        if letters.len() < LEAST_LETTERS {
            return None;
        }
        let mut least = [u32::MAX; HASHES];
        for gram in letters.windows(5) {
            let seed = gram.iter().fold(0_u64, |hash, &c| {
                (hash.rotate_left(7) ^ u64::from(c as u32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            });
            let mut dice = Dice::new(seed);
            for pair in least.chunks_exact_mut(2) {
                let roll = dice.roll();
                pair[0] = pair[0].min(roll as u32);
                pair[1] = pair[1].min((roll >> 32) as u32);
            }
        }
        Some(Self(least))
    }

    /// The estimated share of 5-grams that two texts have in common, 0 to 1.
    pub fn similarity(&self, other: &Self) -> f64 {
        self.agree(other) as f64 / HASHES as f64
    }

    fn agree(&self, other: &Self) -> usize {
        self.0.iter().zip(&other.0).filter(|(a, b)| a == b).count()
    }
}

/// How often nearly the same text was seen lately, this time not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sighting {
    /// Posts.
    pub posts: u32,
    /// Different authors among them, other than this post's.
    pub authors: u32,
    /// Different tenants among them, other than this post's.
    pub tenants: u32,
}

#[derive(Debug)]
struct Seen {
    fingerprint: Fingerprint,
    author: u64,
    tenant: u64,
}

/// The window of recent posts.
#[derive(Debug)]
pub struct Campaigns {
    most: usize,
    /// Number of the oldest entry of `seen`.
    first: u64,
    seen: VecDeque<Seen>,
    bands: HashMap<(u8, u64), VecDeque<u64>>,
}

/// Entries of one band that are compared at most: a campaign of thousands must not make each of its posts slow.
const MOST_COMPARED: usize = 64;

impl Campaigns {
    /// A window of the last `most` posts; about 600 octets each.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), first: 0, seen: VecDeque::new(), bands: HashMap::new() }
    }

    /// How often nearly this text was seen, and remembers it.
    pub fn sight(&mut self, post: &Post, tenant: &str) -> Sighting {
        let Some(fingerprint) = Fingerprint::of(post) else { return Sighting::default() };
        let author = Dice::of(1, post.author.as_deref().unwrap_or(&post.id)).roll();
        let tenant = Dice::of(2, tenant).roll();
        let sighting = self.look_up(&fingerprint, author, tenant);
        self.remember(Seen { fingerprint, author, tenant });
        sighting
    }

    fn look_up(&self, fingerprint: &Fingerprint, author: u64, tenant: u64) -> Sighting {
        let mut near: HashSet<u64> = HashSet::new();
        for key in keys(fingerprint) {
            near.extend(self.bands.get(&key).into_iter().flatten().rev().take(MOST_COMPARED));
        }
        let alike: Vec<&Seen> = near
            .into_iter()
            .filter_map(|number| self.seen.get(usize::try_from(number.checked_sub(self.first)?).ok()?))
            .filter(|seen| seen.fingerprint.agree(fingerprint) >= ALIKE)
            .collect();
        let authors: HashSet<u64> = alike.iter().map(|seen| seen.author).filter(|&other| other != author).collect();
        let tenants: HashSet<u64> = alike.iter().map(|seen| seen.tenant).filter(|&other| other != tenant).collect();
        Sighting { posts: alike.len() as u32, authors: authors.len() as u32, tenants: tenants.len() as u32 }
    }

    fn remember(&mut self, seen: Seen) {
        let number = self.first + self.seen.len() as u64;
        for key in keys(&seen.fingerprint) {
            self.bands.entry(key).or_default().push_back(number);
        }
        self.seen.push_back(seen);
        if self.seen.len() > self.most
            && let Some(oldest) = self.seen.pop_front()
        {
            for key in keys(&oldest.fingerprint) {
                if let Some(band) = self.bands.get_mut(&key) {
                    band.pop_front();
                    if band.is_empty() {
                        self.bands.remove(&key);
                    }
                }
            }
            self.first += 1;
        }
    }
}

fn keys(fingerprint: &Fingerprint) -> impl Iterator<Item = (u8, u64)> + '_ {
    fingerprint
        .0
        .chunks_exact(BAND)
        .enumerate()
        .map(|(at, band)| (at as u8, u64::from(band[0]) << 32 | u64::from(band[1])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(id: usize, author: &str, text: &str) -> Post {
        Post { id: id.to_string(), author: Some(author.into()), ..Post::of(text) }
    }

    #[test]
    fn a_campaign_is_seen_through_changed_words_and_disguises() {
        let mut campaigns = Campaigns::new(100);
        let text = |name: &str| {
            format!("Call {name} now for the official airline support desk, we refund every ticket within a day")
        };
        assert_eq!(campaigns.sight(&post(1, "ann", &text("Mark")), "a"), Sighting::default());
        let second = campaigns.sight(&post(2, "bob", &text("S\u{200b}usan")), "b");
        assert_eq!(second, Sighting { posts: 1, authors: 1, tenants: 1 });
        let third = campaigns.sight(&post(3, "cy", &text("Tοm").to_uppercase()), "a");
        assert_eq!(third, Sighting { posts: 2, authors: 2, tenants: 1 });
        let other = "Where do I find last month's invoice, and can it be sent to two addresses?";
        assert_eq!(campaigns.sight(&post(4, "dee", other), "a"), Sighting::default());
        assert_eq!(campaigns.sight(&post(5, "ann", "thank you"), "a"), Sighting::default());
    }

    #[test]
    fn the_window_forgets() {
        let mut campaigns = Campaigns::new(3);
        let text = "the very same long sentence is posted over and over by this author here";
        for number in 0..50 {
            let sighting = campaigns.sight(&post(number, "ann", text), "a");
            assert_eq!((sighting.posts, sighting.authors), (number.min(3) as u32, 0));
        }
        assert!(campaigns.bands.values().all(|band| band.len() <= 3) && campaigns.seen.len() == 3);
    }
}
