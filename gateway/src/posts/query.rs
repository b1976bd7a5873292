//! Looking: lists with filters, polling, one post, similar posts, figures. Everything here answers from memory; only
//! the records of the page that is shown are read.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::book::{Book, Claim, Row};
use super::rules::normalise;
use super::{AuthorId, Band, Body, Post, PostError, PostId, PostState, Posts, Source, Thresholds};
use crate::clock::Timestamp;
use crate::ids::TenantId;

/// The most posts on one page.
pub const MAX_PAGE: usize = 500;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// Those that wait longest first.
    #[default]
    Oldest,
    /// The last that came first.
    Newest,
    /// Most likely spam first.
    Spam,
    /// Least likely spam first.
    Fine,
}

/// Which posts; all given parts must hold.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// Where they are.
    pub state: Option<PostState>,
    /// Which band.
    pub band: Option<Band>,
    /// Whose.
    #[schema(value_type = Option<String>)]
    pub author: Option<AuthorId>,
    /// Their language; `de` covers `de-AT`.
    pub lang: Option<String>,
    /// How they came in.
    pub source: Option<Source>,
    /// Words in title, beginning of the text, author or id.
    pub search: Option<String>,
    /// Nearly equal to this post.
    #[schema(value_type = Option<String>)]
    pub similar: Option<PostId>,
    /// Waiting longer than this many seconds.
    pub older_than_seconds: Option<u64>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The posts.
    pub posts: Vec<Post>,
    /// Who looks at them.
    pub claims: Vec<Option<Claim>>,
    /// How many match in all.
    pub total: usize,
}

/// How the queue stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Backlog {
    /// Posts that wait.
    pub held: usize,
    /// Seconds that the oldest has waited.
    pub oldest_seconds: u64,
    /// Posts that expire within seven days.
    pub expiring: usize,
    /// Median seconds from arrival to decision, of the last 1,000 decisions since the start; `None` before the first.
    pub median_seconds: Option<u64>,
    /// The 95th of a hundred.
    pub slow_seconds: Option<u64>,
    /// Decisions of the last 24 hours that stand.
    pub decided_today: usize,
}

/// Figures for clients of Akismet that ask for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Posts.
    pub calls: usize,
    /// Those that are not public.
    pub spam: usize,
    /// Those that are.
    pub ham: usize,
    /// Spam that the filter thought fine.
    pub missed_spam: usize,
    /// Good posts that the filter thought spam.
    pub false_positives: usize,
}

impl Filter {
    fn holds(&self, row: &Row, search: Option<&str>, thresholds: Thresholds, now: Timestamp) -> bool {
        self.state.is_none_or(|state| row.state == state)
            && self.band.is_none_or(|band| Band::of(row.probability, thresholds) == band)
            && self.author.as_ref().is_none_or(|author| row.author == *author)
            && self.source.is_none_or(|source| row.source == source)
            && self.older_than_seconds.is_none_or(|seconds| now.since(row.received).as_secs() > seconds)
            && self.lang.as_deref().is_none_or(|lang| {
                let of = row.lang.as_deref().unwrap_or_default();
                of.strip_prefix(lang).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
            })
            && search.is_none_or(|words| words.split_whitespace().all(|word| row.search.contains(word)))
    }

    /// The numbers of all that match, oldest first.
    pub(super) fn numbers(&self, book: &Book, thresholds: Thresholds, now: Timestamp) -> Vec<u64> {
        let search = self.search.as_deref().map(normalise);
        let holds = |(_, row): &(u64, &Row)| self.holds(row, search.as_deref(), thresholds, now);
        if let Some(id) = &self.similar {
            let Some(number) = book.find(id) else { return Vec::new() };
            let print = book.rows.get(&number).map_or(0, |row| row.fingerprint);
            let mut found: Vec<u64> =
                book.similar(print, number).into_iter().filter(holds).map(|(number, _)| number).collect();
            found.reverse();
            return found;
        }
        if let Some(author) = &self.author {
            return book.of_author(author).filter(holds).map(|(number, _)| number).collect();
        }
        if let Some(state) = self.state {
            return book.in_state(state).filter(holds).map(|(number, _)| number).collect();
        }
        let all = book.rows.iter().map(|(number, row)| (*number, row));
        all.filter(holds).map(|(number, _)| number).collect()
    }
}

impl Filter {
    /// How many match, and the numbers of one page of them. The plain queue, which everybody looks at all day, costs what
    /// the page costs; a filter or another order looks at each post once.
    fn page(
        &self,
        book: &Book,
        order: Order,
        (skip, limit): (usize, usize),
        thresholds: Thresholds,
        now: Timestamp,
    ) -> (usize, Vec<u64>) {
        let only_state = Self { state: None, ..self.clone() } == Self::default();
        let by_time = matches!(order, Order::Oldest | Order::Newest);
        if only_state && by_time {
            let all = book.numbers_in(self.state);
            return (all.len(), all.page(order == Order::Newest, skip, limit));
        }
        let mut numbers = self.numbers(book, thresholds, now);
        let total = numbers.len();
        let rank = |number: &u64| book.rows.get(number).and_then(|row| row.probability).unwrap_or(0.5);
        let mut ranked = |most_first: bool| {
            let mut ranked: Vec<(f64, u64)> = numbers.iter().map(|number| (rank(number), *number)).collect();
            let compare = |one: &(f64, u64), other: &(f64, u64)| {
                let by_rank = if most_first { other.0.total_cmp(&one.0) } else { one.0.total_cmp(&other.0) };
                by_rank.then(one.1.cmp(&other.1))
            };
            // Only what is shown needs its place.
            let end = skip.saturating_add(limit);
            if end < ranked.len() {
                ranked.select_nth_unstable_by(end, compare);
                ranked.truncate(end);
            }
            ranked.sort_unstable_by(compare);
            numbers = ranked.into_iter().map(|(_, number)| number).collect();
        };
        match order {
            Order::Oldest => {}
            Order::Newest => numbers.reverse(),
            Order::Spam => ranked(true),
            Order::Fine => ranked(false),
        }
        (total, numbers.into_iter().skip(skip).take(limit).collect())
    }
}

impl Posts {
    /// A page of a list: `limit` posts after the first `skip`.
    pub fn list(
        &self,
        tenant: TenantId,
        filter: &Filter,
        order: Order,
        skip: usize,
        limit: usize,
    ) -> Result<Page, PostError> {
        let now = self.clock.now();
        let thresholds = self.settings().thresholds;
        let book = self.book(tenant);
        let book = book.lock();
        let limit = limit.min(MAX_PAGE);
        let (total, numbers) = filter.page(&book, order, (skip, limit), thresholds, now);
        let mut page = Page { total, ..Page::default() };
        for number in numbers {
            if let Some(post) = self.load(tenant, number)? {
                page.claims.push(book.claim(number, now).cloned());
                page.posts.push(post);
            }
        }
        Ok(page)
    }

    /// Changes after a cursor that have settled, in their order: what a help center polls. The last post's `change` is
    /// the next cursor. With `unsettled`, decisions that are not told yet are among them.
    pub fn changes(
        &self,
        tenant: TenantId,
        state: Option<PostState>,
        cursor: u64,
        unsettled: bool,
        limit: usize,
    ) -> Result<Vec<Post>, PostError> {
        let book = self.book(tenant);
        let book = book.lock();
        let limit = limit.min(MAX_PAGE);
        let asked = |row: &Row| state.is_none_or(|state| row.state == state);
        let mut numbers: Vec<(u64, u64)> = book
            .changes_after(cursor)
            .filter(|(_, row)| asked(row))
            .take(limit)
            .map(|(number, row)| (row.change, number))
            .collect();
        if unsettled {
            numbers.extend(book.unsettled().filter(|(_, row)| asked(row)).map(|(number, row)| (row.change, number)));
            numbers.sort_unstable();
        }
        let mut posts = Vec::new();
        for (_, number) in numbers.into_iter().take(limit) {
            posts.extend(self.load(tenant, number)?);
        }
        Ok(posts)
    }

    /// What was asked and answered for a tenant, as far as the posts that are kept tell.
    pub fn usage(&self, tenant: TenantId) -> Usage {
        let book = self.book(tenant);
        let book = book.lock();
        let mut usage = Usage { calls: book.rows.len(), ..Usage::default() };
        for row in book.rows.values() {
            match row.state {
                PostState::Published | PostState::Approved => usage.ham += 1,
                _ => usage.spam += 1,
            }
            let sure_spam = row.probability.is_some_and(|probability| probability > 0.5);
            usage.missed_spam += usize::from(row.decided.is_some() && row.state == PostState::Spam && !sure_spam);
            usage.false_positives +=
                usize::from(row.decided.is_some() && row.state == PostState::Approved && sure_spam);
        }
        usage
    }

    /// A post with its text and who looks at it.
    pub fn show(&self, tenant: TenantId, id: &PostId) -> Result<(Post, Body, Option<Claim>), PostError> {
        let book = self.book(tenant);
        let book = book.lock();
        let number = Self::number_of(&book, id)?;
        let post = self.load(tenant, number)?.ok_or_else(|| PostError::no_post(id.as_str()))?;
        let body = self.load_body(tenant, number)?.unwrap_or_default();
        Ok((post, body, book.claim(number, self.clock.now()).cloned()))
    }

    /// The last posts of an author, newest first.
    pub fn posts_of(&self, tenant: TenantId, author: &AuthorId, limit: usize) -> Result<Vec<Post>, PostError> {
        let book = self.book(tenant);
        let book = book.lock();
        let numbers: Vec<u64> = book.of_author(author).rev().take(limit).map(|(number, _)| number).collect();
        let mut posts = Vec::new();
        for number in numbers {
            posts.extend(self.load(tenant, number)?);
        }
        Ok(posts)
    }

    /// How the queue stands.
    pub fn backlog(&self, tenant: TenantId) -> Backlog {
        let now = self.clock.now();
        let retention = self.settings().retention;
        let week = std::time::Duration::from_hours(7 * 24);
        let book = self.book(tenant);
        let book = book.lock();
        let oldest = book.in_state(PostState::Held).next().map_or(0, |(_, row)| now.since(row.received).as_secs());
        let soon = |row: &Row| now.since(row.received) + week > retention;
        let expiring = book.in_state(PostState::Held).take_while(|(_, row)| soon(row)).count();
        let mut times: Vec<u64> = book.times.iter().map(std::time::Duration::as_secs).collect();
        times.sort_unstable();
        let at = |share: usize| times.get((times.len() * share / 100).min(times.len().saturating_sub(1)));
        let yesterday = now.before(std::time::Duration::from_hours(24));
        Backlog {
            held: book.total(PostState::Held),
            oldest_seconds: oldest,
            expiring,
            median_seconds: at(50).copied(),
            slow_seconds: at(95).copied(),
            decided_today: book.decisions_since(Some(yesterday)),
        }
    }

    /// How many posts are in each state, over all tenants.
    pub fn totals(&self) -> Vec<(PostState, usize)> {
        let books: Vec<_> = self.tenants().into_iter().map(|tenant| self.book(tenant)).collect();
        let total = |state| books.iter().map(|book| book.lock().total(state)).sum();
        PostState::ALL.into_iter().map(|state| (state, total(state))).collect()
    }

    /// The last decisions that stand, newest first.
    pub fn decided(&self, tenant: TenantId, skip: usize, limit: usize) -> Result<(Vec<Post>, usize), PostError> {
        let book = self.book(tenant);
        let book = book.lock();
        let numbers: Vec<u64> = book.decisions().skip(skip).take(limit.min(MAX_PAGE)).collect();
        let mut posts = Vec::new();
        for number in numbers {
            posts.extend(self.load(tenant, number)?);
        }
        Ok((posts, book.decisions_since(None)))
    }
}
