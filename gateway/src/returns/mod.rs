//! What comes back about mail that has left: bounces, complaints, answers of machines; what remote servers' words mean; and
//! the addresses that get no more mail because of it.
//!
//! MAIL FROM of a tenant with a return-path domain is a signed token for each recipient (`sign::return_path`). The
//! listener of kind `bounce` takes mail for live tokens and for nothing else, so nobody can put words into a recipient's
//! mouth who has not had the letter in hand. [`read()`] says what it is, [`class`] what it means, [`Desk`] what follows:
//! an event, the letter's history, the suppression list, a notice to the sender.

pub mod class;
mod desk;
mod odd;
mod read;
mod rules;
pub mod suppressions;

pub use class::{Again, Category, Class};
pub use desk::{Desk, DeskParts, LateNotices};
pub use read::{About, Comeback, Kind, read};
pub use suppressions::{Reason, Suppression, Suppressions};

use crate::deliver::outcome::Evidence;
use crate::ids::LetterId;
use crate::message::Mailbox;

/// The entry that a failed attempt puts on the list, if it says that nobody is there.
pub fn hard_bounce(to: &Mailbox, letter: LetterId, evidence: &Evidence) -> Option<Suppression> {
    if !class::of_evidence(evidence).is_hard() {
        return None;
    }
    let said = evidence.reply.as_ref().map_or_else(
        || evidence.note.clone(),
        |reply| {
            let host = evidence.host.as_deref().unwrap_or("the server");
            format!("{host}: {} {}", reply.code, reply.text.replace('\n', " "))
        },
    );
    Some(Suppression {
        address: suppressions::compared(to),
        reason: Reason::HardBounce,
        source: crate::smtp::reply::clean(&said).chars().take(300).collect(),
        since: evidence.at,
        expires: Some(evidence.at + suppressions::BOUNCE_COUNTS),
        letter: Some(letter),
    })
}
