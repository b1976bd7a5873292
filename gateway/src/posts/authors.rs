//! Authors: standing, history, and how fast they post.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Action, AuthorId, PostState};
use crate::clock::Timestamp;

/// Posts within an hour from which on an author's posts wait for a person, unless the author is trusted.
pub const POSTS_AN_HOUR: u32 = 10;
const HOUR: Duration = Duration::from_hours(1);
const RECENT: usize = 50;
const HISTORY: usize = 100;

/// How an author is treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// By the filter.
    #[default]
    Normal,
    /// Published unless the filter is sure of spam.
    Trusted,
    /// Everything waits for a person until then.
    Silenced {
        /// When it ends.
        until: Timestamp,
    },
    /// Everything is spam.
    Banned,
}

impl Standing {
    /// The name in JSON and filters.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Trusted => "trusted",
            Self::Silenced { .. } => "silenced",
            Self::Banned => "banned",
        }
    }
}

/// One line of an author's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StandingChange {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// What.
    pub action: Action,
    /// How the author was treated before.
    pub before: Standing,
    /// The reason that was given.
    pub reason: Option<String>,
    /// The operation that it was part of.
    pub operation: u64,
    /// Was it taken back?
    pub undone: bool,
}

/// Where an author's posts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Waiting.
    pub held: u32,
    /// Public on the filter's word.
    pub published: u32,
    /// Public on a person's word.
    pub approved: u32,
    /// Spam.
    pub spam: u32,
    /// Refused.
    pub rejected: u32,
    /// Run out.
    pub expired: u32,
}

impl Counts {
    fn of(&mut self, state: PostState) -> &mut u32 {
        match state {
            PostState::Held => &mut self.held,
            PostState::Published => &mut self.published,
            PostState::Approved => &mut self.approved,
            PostState::Spam => &mut self.spam,
            PostState::Rejected => &mut self.rejected,
            PostState::Expired => &mut self.expired,
        }
    }

    /// A post came into this state.
    pub fn enter(&mut self, state: PostState) {
        *self.of(state) += 1;
    }

    /// A post left this state.
    pub fn leave(&mut self, state: PostState) {
        let count = self.of(state);
        *count = count.saturating_sub(1);
    }
}

/// An author of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The id.
    pub id: AuthorId,
    /// The last name that was shown.
    pub name: Option<String>,
    /// The last mail address.
    pub email: Option<String>,
    /// Since when there is an account.
    pub since: Option<Timestamp>,
    /// The first post that was seen.
    pub first_seen: Timestamp,
    /// The last one.
    pub last_seen: Timestamp,
    /// How the author is treated.
    pub standing: Standing,
    /// Where the posts are.
    pub counts: Counts,
    /// When the last posts came, oldest first.
    pub recent: VecDeque<Timestamp>,
    /// Changes of the standing, oldest first.
    pub history: Vec<StandingChange>,
}

impl Author {
    /// One who is seen for the first time.
    pub fn new(id: AuthorId, now: Timestamp) -> Self {
        Self {
            id,
            name: None,
            email: None,
            since: None,
            first_seen: now,
            last_seen: now,
            standing: Standing::Normal,
            counts: Counts::default(),
            recent: VecDeque::new(),
            history: Vec::new(),
        }
    }

    /// Counts a post and returns how many there were within the last hour, this one included.
    pub fn saw_post(&mut self, now: Timestamp) -> u32 {
        self.last_seen = now;
        self.recent.push_back(now);
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        self.rate(now)
    }

    /// Posts within the last hour.
    pub fn rate(&self, now: Timestamp) -> u32 {
        self.recent.iter().filter(|at| now.since(**at) < HOUR).count() as u32
    }

    /// How the author is treated now: silence ends by itself.
    pub fn standing_at(&self, now: Timestamp) -> Standing {
        match self.standing {
            Standing::Silenced { until } if until <= now => Standing::Normal,
            standing => standing,
        }
    }

    /// Changes the standing and notes what it was.
    pub fn change(&mut self, to: Standing, change: StandingChange) {
        self.standing = to;
        self.history.push(change);
        if self.history.len() > HISTORY {
            self.history.remove(0);
        }
    }

    /// Takes the change of an operation back, if it is the last one that stands.
    pub fn undo(&mut self, operation: u64) -> bool {
        let last = self.history.iter_mut().rev().find(|change| !change.undone);
        match last.filter(|change| change.operation == operation) {
            Some(change) => {
                change.undone = true;
                self.standing = change.before;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_rate_counts_the_last_hour_only() {
        let mut author = Author::new(AuthorId::parse("a").unwrap(), at(0));
        assert_eq!(author.saw_post(at(0)), 1);
        assert_eq!(author.saw_post(at(10)), 2);
        assert_eq!(author.saw_post(at(3605)), 2);
    }

    #[test]
    fn silence_ends_and_an_undo_brings_the_old_standing_back() {
        let mut author = Author::new(AuthorId::parse("a").unwrap(), at(0));
        let change = |before, operation| StandingChange {
            at: at(1),
            by: "k".into(),
            action: Action::Silence,
            before,
            reason: None,
            operation,
            undone: false,
        };
        author.change(Standing::Trusted, change(Standing::Normal, 1));
        author.change(Standing::Silenced { until: at(100) }, change(Standing::Trusted, 2));
        assert_eq!(author.standing_at(at(99)).name(), "silenced");
        assert_eq!(author.standing_at(at(100)), Standing::Normal);
        assert!(!author.undo(1), "a later change stands on it");
        assert!(author.undo(2) && author.undo(1));
        assert_eq!(author.standing, Standing::Normal);
    }
}
