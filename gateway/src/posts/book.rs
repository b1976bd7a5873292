//! The book: one tenant's posts, authors and rules as indices in memory, so that a list of 100,000 held posts opens
//! without reading them. The shelf has the records; the book has what lists, filters and verdicts ask for.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use super::fingerprint;
use super::rules::Rule;
use super::{Action, Author, AuthorId, Post, PostId, PostState, Source};
use crate::clock::Timestamp;

/// Near duplicates within this time are a campaign, if enough authors wrote them.
const CAMPAIGN_SPAN: Duration = Duration::from_hours(24);
/// Authors from which on near duplicates are a campaign.
const CAMPAIGN_AUTHORS: usize = 3;
/// Posts that similarity is looked up in, newest first; a bound on the time of one look.
const LOOK_BACK: usize = 20_000;
const TIMES: usize = 1000;

/// A post as lists need it.
#[derive(Debug, Clone)]
pub struct Row {
    /// The help center's name.
    pub id: PostId,
    /// The author.
    pub author: AuthorId,
    /// When it came.
    pub received: Timestamp,
    /// Where it is.
    pub state: PostState,
    /// Until then the decision is not told.
    pub settles: Option<Timestamp>,
    /// The classifier's number.
    pub probability: Option<f64>,
    /// Its change number.
    pub change: u64,
    /// Its similarity hash.
    pub fingerprint: u64,
    /// Its language.
    pub lang: Option<Box<str>>,
    /// How it came in.
    pub source: Source,
    /// What a search looks through.
    pub search: Box<str>,
    /// When a person decided last, if that stands.
    pub decided: Option<Timestamp>,
    /// What the filter has learned of it.
    pub learned: Option<bool>,
}

impl Row {
    fn of(post: &Post) -> Self {
        let name = post.byline.name.as_deref().unwrap_or_default();
        let email = post.byline.email.as_deref().unwrap_or_default();
        let search = format!("{}\n{}\n{name}\n{email}\n{}\n{}", post.title, post.excerpt, post.author, post.id);
        Self {
            id: post.id.clone(),
            author: post.author.clone(),
            received: post.received,
            state: post.state,
            settles: post.settles,
            probability: post.probability,
            change: post.change,
            fingerprint: post.fingerprint,
            lang: post.lang.as_deref().map(Into::into),
            source: post.source,
            search: super::rules::normalise(&search).into(),
            decided: post.standing_decision().map(|decision| decision.at),
            learned: post.learned,
        }
    }
}

/// Who looks at a post, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Who.
    pub by: String,
    /// Until when.
    pub until: Timestamp,
}

/// Numbers of posts by time of arrival.
pub enum Numbers<'b> {
    /// A set of them; `None` is empty.
    Of(Option<&'b BTreeSet<u64>>),
    /// All.
    All(&'b BTreeMap<u64, Row>),
}

impl Numbers<'_> {
    /// How many.
    pub fn len(&self) -> usize {
        match self {
            Self::Of(set) => set.map_or(0, BTreeSet::len),
            Self::All(rows) => rows.len(),
        }
    }

    /// `limit` of them after the first `skip`, oldest or newest first.
    pub fn page(&self, newest: bool, skip: usize, limit: usize) -> Vec<u64> {
        match (self, newest) {
            (Self::Of(None), _) => Vec::new(),
            (Self::Of(Some(set)), false) => set.iter().skip(skip).take(limit).copied().collect(),
            (Self::Of(Some(set)), true) => set.iter().rev().skip(skip).take(limit).copied().collect(),
            (Self::All(rows), false) => rows.keys().skip(skip).take(limit).copied().collect(),
            (Self::All(rows), true) => rows.keys().rev().skip(skip).take(limit).copied().collect(),
        }
    }
}

/// See the module.
#[derive(Default)]
pub struct Book {
    /// By number, that is by time of arrival.
    pub rows: BTreeMap<u64, Row>,
    ids: HashMap<PostId, u64>,
    states: HashMap<PostState, BTreeSet<u64>>,
    /// Settled changes: what polling reads.
    feed: BTreeMap<u64, u64>,
    unsettled: BTreeSet<(Timestamp, u64)>,
    by_author: HashMap<AuthorId, BTreeSet<u64>>,
    /// Posts whose last decision is a person's and stands, by its time.
    decided: BTreeSet<(Timestamp, u64)>,
    /// The authors.
    pub authors: HashMap<AuthorId, Author>,
    /// The rules.
    pub rules: Vec<Rule>,
    /// Who looks at what.
    pub claims: HashMap<u64, Claim>,
    /// What the filter is yet to learn or to forget, in this order.
    pub lessons: VecDeque<(u64, Option<bool>)>,
    /// The last times from arrival to a person's decision.
    pub times: VecDeque<Duration>,
    /// Similarity hashes in the order of arrival: one look runs over these, not over the rows.
    prints: VecDeque<(u64, u64)>,
    last_number: u64,
    last_change: u64,
    /// Has something been learned since the last saving?
    pub unsaved: bool,
    /// Has a rule matched since the last saving?
    pub unsaved_rules: bool,
}

/// A number that ascends with time and never repeats, restarts included.
fn next(last: &mut u64, now: Timestamp) -> u64 {
    *last = (*last + 1).max(now.millis() << 12);
    *last
}

impl Book {
    /// A number for a new post or operation.
    pub fn next_number(&mut self, now: Timestamp) -> u64 {
        next(&mut self.last_number, now)
    }

    /// A number for a change.
    pub fn next_change(&mut self, now: Timestamp) -> u64 {
        next(&mut self.last_change, now)
    }

    /// Numbers up to this one were given.
    pub fn number_was_given(&mut self, number: u64) {
        self.last_number = self.last_number.max(number);
    }

    /// The number of a post.
    pub fn find(&self, id: &PostId) -> Option<u64> {
        self.ids.get(id).copied()
    }

    /// Takes a post in, or what became of it.
    pub fn insert(&mut self, post: &Post) {
        self.remove(post.number);
        let row = Row::of(post);
        self.last_number = self.last_number.max(post.number);
        self.last_change = self.last_change.max(post.change);
        self.ids.insert(row.id.clone(), post.number);
        self.states.entry(row.state).or_default().insert(post.number);
        self.by_author.entry(row.author.clone()).or_default().insert(post.number);
        match row.settles {
            Some(at) => {
                self.unsettled.insert((at, post.number));
            }
            None => {
                self.feed.insert(row.change, post.number);
            }
        }
        if let Some(at) = row.decided {
            self.decided.insert((at, post.number));
        }
        if row.fingerprint != 0 {
            self.prints.push_back((post.number, row.fingerprint));
            if self.prints.len() > LOOK_BACK {
                self.prints.pop_front();
            }
        }
        self.rows.insert(post.number, row);
    }

    /// Takes a post out.
    pub fn remove(&mut self, number: u64) {
        let Some(row) = self.rows.remove(&number) else { return };
        self.ids.remove(&row.id);
        if let Some(set) = self.states.get_mut(&row.state) {
            set.remove(&number);
        }
        if let Some(set) = self.by_author.get_mut(&row.author) {
            set.remove(&number);
            if set.is_empty() {
                self.by_author.remove(&row.author);
            }
        }
        self.feed.remove(&row.change);
        if let Some(at) = row.decided {
            self.decided.remove(&(at, number));
        }
        if let Some(at) = row.settles {
            self.unsettled.remove(&(at, number));
        }
    }

    /// Takes a post of an author from one state to another in the author's counts.
    pub fn count(&mut self, author: &AuthorId, from: Option<PostState>, to: Option<PostState>) {
        if let Some(author) = self.authors.get_mut(author) {
            if let Some(from) = from {
                author.counts.leave(from);
            }
            if let Some(to) = to {
                author.counts.enter(to);
            }
        }
    }

    /// How many posts are in a state.
    pub fn total(&self, state: PostState) -> usize {
        self.states.get(&state).map_or(0, BTreeSet::len)
    }

    /// The posts in a state, oldest first.
    pub fn in_state(&self, state: PostState) -> impl DoubleEndedIterator<Item = (u64, &Row)> {
        self.states.get(&state).into_iter().flatten().filter_map(|number| Some((*number, self.rows.get(number)?)))
    }

    /// The numbers of the posts in a state, or of all, without a look at each.
    pub fn numbers_in(&self, state: Option<PostState>) -> Numbers<'_> {
        match state {
            Some(state) => Numbers::Of(self.states.get(&state)),
            None => Numbers::All(&self.rows),
        }
    }

    /// Decisions of persons that stand, latest first.
    pub fn decisions(&self) -> impl Iterator<Item = u64> {
        self.decided.iter().rev().map(|(_, number)| *number)
    }

    /// How many of them there are, and how many since a moment.
    pub fn decisions_since(&self, since: Option<Timestamp>) -> usize {
        match since {
            Some(since) => self.decided.range((since, 0)..).count(),
            None => self.decided.len(),
        }
    }

    /// The posts of an author, oldest first.
    pub fn of_author(&self, author: &AuthorId) -> impl DoubleEndedIterator<Item = (u64, &Row)> {
        self.by_author.get(author).into_iter().flatten().filter_map(|number| Some((*number, self.rows.get(number)?)))
    }

    /// Settled changes after a cursor, in their order.
    pub fn changes_after(&self, cursor: u64) -> impl Iterator<Item = (u64, &Row)> {
        let after = self.feed.range(cursor.saturating_add(1)..);
        after.filter_map(|(_, number)| Some((*number, self.rows.get(number)?)))
    }

    /// Decisions that are not told yet.
    pub fn unsettled(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.unsettled.iter().filter_map(|(_, number)| Some((*number, self.rows.get(number)?)))
    }

    /// Decisions whose time to be taken back at no cost is over.
    pub fn due(&self, now: Timestamp) -> Vec<u64> {
        self.unsettled.iter().take_while(|(at, _)| *at <= now).map(|(_, number)| *number).collect()
    }

    /// Who looks at a post now.
    pub fn claim(&self, number: u64, now: Timestamp) -> Option<&Claim> {
        self.claims.get(&number).filter(|claim| claim.until > now)
    }

    /// Posts nearly equal to one, newest first.
    pub fn similar(&self, fingerprint: u64, but: u64) -> Vec<(u64, &Row)> {
        let near = |(number, print): &(u64, u64)| *number != but && fingerprint::near(fingerprint, *print);
        // A post that changed stands here more than once.
        let numbers: BTreeSet<u64> = self.prints.iter().filter(|entry| near(entry)).map(|entry| entry.0).collect();
        let rows = numbers.into_iter().rev().filter_map(|number| Some((number, self.rows.get(&number)?)));
        rows.filter(|(_, row)| fingerprint::near(fingerprint, row.fingerprint)).collect()
    }

    /// Is a post part of a campaign? How many posts and authors, with this one.
    pub fn campaign(&self, fingerprint: u64, author: &AuthorId, but: u64, now: Timestamp) -> Option<(u32, u32)> {
        let similar = self.similar(fingerprint, but);
        let recent = similar.iter().filter(|(_, row)| now.since(row.received) < CAMPAIGN_SPAN);
        let mut authors: BTreeSet<&AuthorId> = BTreeSet::from([author]);
        let mut posts = 1;
        for (_, row) in recent {
            posts += 1;
            authors.insert(&row.author);
        }
        (authors.len() >= CAMPAIGN_AUTHORS).then_some((posts, authors.len() as u32))
    }

    /// Notes how long a post waited for a person.
    pub fn took(&mut self, span: Duration) {
        self.times.push_back(span);
        if self.times.len() > TIMES {
            self.times.pop_front();
        }
    }

    /// Notes what the filter is to learn of a post, and what it had learned before the action.
    pub fn lesson(&mut self, post: &mut Post, action: Action) {
        let label = match action {
            Action::Approve => Some(false),
            Action::Spam => Some(true),
            // A refusal for another reason says nothing about spam.
            _ => return,
        };
        if post.learned != label {
            post.learned = label;
            self.lessons.push_back((post.number, label));
        }
    }
}
