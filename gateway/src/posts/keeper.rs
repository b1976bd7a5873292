//! What happens to posts with time: decisions settle after ten seconds, lessons are saved, held posts expire, old ones
//! are forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::adapt::AT_ONCE;
use super::decide::push;
use super::shelf::{Batch, Kind, Shelf};
use super::{Action, Post, PostError, PostState, Posts};
use crate::ids::TenantId;
use crate::observe::{Event, emit, metrics};

/// The name under which the filter's own actions stand in histories.
pub const FILTER: &str = "waxseal";
const TICK: Duration = Duration::from_millis(500);
/// Posts that expire in one turn, so that nobody waits for the book.
const A_TURN: usize = 500;

impl Posts {
    /// Runs until told to stop; then saves once more.
    pub async fn keep(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        let mut told = false;
        while !told {
            told = tokio::time::timeout(TICK, stop.wait_for(|stop| *stop)).await.is_ok();
            let posts = self.clone();
            let turn = self.on_processor(move || posts.keep_once()).await;
            if let Err(error) | Ok(Err(error)) = turn {
                emit(&Event::Gateway { state: "posts-error", detail: error.to_string() });
            }
            for (state, total) in self.totals() {
                metrics::post_queue(state.name(), total);
            }
        }
    }

    /// One turn over all tenants. Holds a processor and waits for the disk.
    pub fn keep_once(&self) -> Result<(), PostError> {
        for tenant in self.tenants() {
            self.settle(tenant)?;
            self.expire(tenant)?;
            self.save_rule_counts(tenant)?;
            self.learn_lessons_now(tenant, AT_ONCE)?;
            if let Some(durable) = self.save_lessons(tenant)? {
                durable.block()?;
            }
        }
        Ok(())
    }

    fn settle(&self, tenant: TenantId) -> Result<(), PostError> {
        let now = self.clock.now();
        let book = self.book(tenant);
        let mut book = book.lock();
        let mut batch = Batch::default();
        let mut settled: Vec<Post> = Vec::new();
        for number in book.due(now) {
            let Some(mut post) = self.load(tenant, number)? else { continue };
            post.settles = None;
            post.change = book.next_change(now);
            self.put_post(&mut batch, tenant, &post)?;
            settled.push(post);
        }
        if settled.is_empty() {
            return Ok(());
        }
        self.shelf.apply(&batch)?;
        for post in &settled {
            book.insert(post);
        }
        drop(book);
        self.shelf.durable().block()
    }

    /// Held posts run out after the retention time, and tell so for as long again; others are forgotten then.
    fn expire(&self, tenant: TenantId) -> Result<(), PostError> {
        let now = self.clock.now();
        let retention = self.settings().retention;
        let book = self.book(tenant);
        let mut book = book.lock();
        let old = book.rows.iter().take_while(|(_, row)| now.since(row.received) > retention);
        let due = old.filter(|(_, row)| row.state != PostState::Expired || now.since(row.received) > retention * 2);
        let numbers: Vec<u64> = due.map(|(number, _)| *number).take(A_TURN).collect();
        if numbers.is_empty() {
            return Ok(());
        }
        let mut batch = Batch::default();
        let operation = book.next_number(now);
        for number in numbers {
            let Some(mut post) = self.load(tenant, number)? else {
                book.remove(number);
                continue;
            };
            self.shelf.remove_pieces(&mut batch, Kind::Body, tenant, &number.to_be_bytes())?;
            if post.state == PostState::Held {
                push(&mut post, FILTER, Action::Expire, None, operation, now, |_| PostState::Expired);
                book.count(&post.author, Some(PostState::Held), Some(PostState::Expired));
                post.excerpt = String::new();
                post.change = book.next_change(now);
                self.put_post(&mut batch, tenant, &post)?;
                book.insert(&post);
            } else {
                Shelf::remove(&mut batch, Kind::Post, tenant, &number.to_be_bytes());
                book.count(&post.author, Some(post.state), None);
                book.remove(number);
            }
            self.put_author(&mut batch, tenant, &book, &post.author)?;
        }
        self.shelf.apply(&batch)?;
        drop(book);
        self.shelf.durable().block()
    }
}
