//! The rules of a tenant: made in shadow, tried against the last 1,000 posts, enforced, removed.

use super::book::Book;
use super::links;
use super::rules::{MAX_RULES, Subject, TRIAL, normalise};
use super::shelf::{Batch, Kind};
use super::{NewRule, Post, PostError, PostState, Posts, Rule, RuleMode};
use crate::ids::TenantId;

/// What a rule would have matched among the last posts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trial {
    /// How many posts it was tried on.
    pub tried: usize,
    /// How many it matches.
    pub matched: usize,
    /// How many of those people or the filter had published: the likely mistakes.
    pub public: usize,
    /// The first of them, newest first.
    pub posts: Vec<Post>,
}

fn unknown(number: u64) -> PostError {
    PostError::Unknown { what: "rule", name: number.to_string() }
}

impl Posts {
    /// Tries a rule on the last posts. Reads up to 1,000 texts: use the blocking pool.
    pub fn try_rule(&self, tenant: TenantId, rule: &NewRule) -> Result<Trial, PostError> {
        let numbers: Vec<u64> = {
            let book = self.book(tenant);
            let book = book.lock();
            book.rows
                .iter()
                .rev()
                .filter(|(_, row)| row.state != PostState::Expired)
                .take(TRIAL)
                .map(|(n, _)| *n)
                .collect()
        };
        let mut trial = Trial { tried: numbers.len(), ..Trial::default() };
        for number in numbers {
            let (Some(post), Some(body)) = (self.load(tenant, number)?, self.load_body(tenant, number)?) else {
                continue;
            };
            let text = normalise(&format!("{}\n{}", post.title, body.text));
            let found = links::links(&body.text);
            let email = post.byline.email.as_deref();
            if rule.matches(&Subject { text: &text, links: &found, email, ip: post.byline.ip }) {
                trial.matched += 1;
                trial.public += usize::from(post.state.is_public());
                if trial.posts.len() < super::UNCONFIRMED {
                    trial.posts.push(post);
                }
            }
        }
        Ok(trial)
    }

    /// The rules, oldest first.
    pub fn rules(&self, tenant: TenantId) -> Vec<Rule> {
        self.book(tenant).lock().rules.clone()
    }

    /// Makes a rule, in shadow. Blocks on the disk.
    pub fn add_rule(&self, tenant: TenantId, rule: NewRule, by: &str) -> Result<Rule, PostError> {
        let rule = rule.check()?;
        let now = self.clock.now();
        self.change_rules(tenant, |book| {
            if book.rules.len() >= MAX_RULES {
                return Err(PostError::Conflict(format!("there are {MAX_RULES} rules already: remove some")));
            }
            if book.rules.iter().any(|other| other.rule == rule) {
                return Err(PostError::Conflict(format!("there is such a rule already: {}", rule.name())));
            }
            let number = book.next_number(now);
            let rule = Rule { number, rule, mode: RuleMode::Shadow, by: by.to_owned(), at: now, hits: 0 };
            book.rules.push(rule.clone());
            Ok(rule)
        })
    }

    /// Lets a rule bite, or sends it back into shadow. Blocks on the disk.
    pub fn set_rule_mode(&self, tenant: TenantId, number: u64, mode: RuleMode) -> Result<Rule, PostError> {
        self.change_rules(tenant, |book| {
            let rule = book.rules.iter_mut().find(|rule| rule.number == number).ok_or_else(|| unknown(number))?;
            rule.mode = mode;
            Ok(rule.clone())
        })
    }

    /// Removes a rule. Blocks on the disk.
    pub fn remove_rule(&self, tenant: TenantId, number: u64) -> Result<Rule, PostError> {
        self.change_rules(tenant, |book| {
            let at = book.rules.iter().position(|rule| rule.number == number).ok_or_else(|| unknown(number))?;
            Ok(book.rules.remove(at))
        })
    }

    fn change_rules<T>(
        &self,
        tenant: TenantId,
        change: impl FnOnce(&mut Book) -> Result<T, PostError>,
    ) -> Result<T, PostError> {
        let book = self.book(tenant);
        let durable = {
            let mut book = book.lock();
            let result = change(&mut book)?;
            let mut batch = Batch::default();
            self.put_rules(&mut batch, tenant, &book)?;
            self.shelf.apply(&batch)?;
            (result, self.shelf.durable())
        };
        durable.1.block()?;
        Ok(durable.0)
    }

    pub(super) fn save_rule_counts(&self, tenant: TenantId) -> Result<(), PostError> {
        let book = self.book(tenant);
        let unsaved = std::mem::take(&mut book.lock().unsaved_rules);
        if unsaved { self.change_rules(tenant, |_| Ok(())) } else { Ok(()) }
    }

    pub(super) fn put_rules(&self, batch: &mut Batch, tenant: TenantId, book: &Book) -> Result<(), PostError> {
        self.shelf.put_pieces(batch, Kind::Rules, tenant, b"", &book.rules)
    }

    pub(super) fn read_rules(&self, tenant: TenantId) -> Result<(), PostError> {
        if let Some(rules) = self.shelf.get_pieces::<Vec<Rule>>(Kind::Rules, tenant, b"")? {
            let book = self.book(tenant);
            let mut book = book.lock();
            for rule in &rules {
                book.number_was_given(rule.number);
            }
            book.rules = rules;
        }
        Ok(())
    }
}
