//! A whole check: asks what [`waxseal_dns::check`] wants to know until it knows everything or the time is over.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use waxseal_dns::Answer;
use waxseal_dns::check::{Checked, Expectations, Fixture, Question, check};

use super::ZoneReader;
use crate::clock::Clock;

/// The longest that a check takes, whatever the servers do: nobody watches a spinner for ever.
const DEADLINE: Duration = Duration::from_secs(20);
/// Questions that are open at once.
const AT_ONCE: usize = 24;
/// Each answer may raise questions; SPF's limits end the longest chains long before this.
const ROUNDS_MAX: usize = 24;

/// Checks `expectations` now. The fixture replays to the same report.
pub async fn examine(zones: &dyn ZoneReader, expectations: Expectations, clock: &dyn Clock) -> (Fixture, Checked) {
    let at = clock.now().to_rfc3339().parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let mut fixture = Fixture { expectations, answers: Vec::new(), at };
    let end = tokio::time::Instant::now() + DEADLINE;
    let mut checked = check(&fixture.expectations, &fixture.answers, at);
    for _ in 0..ROUNDS_MAX {
        if checked.wanted.is_empty() {
            break;
        }
        let mut questions = stream::iter(checked.wanted).map(|question| ask(zones, question)).buffer_unordered(AT_ONCE);
        let mut in_time = true;
        loop {
            match tokio::time::timeout_at(end, questions.next()).await {
                Ok(Some(answers)) => fixture.answers.extend(answers),
                Ok(None) => break,
                Err(_) => {
                    in_time = false;
                    break;
                }
            }
        }
        checked = check(&fixture.expectations, &fixture.answers, at);
        if !in_time {
            break;
        }
    }
    (fixture, checked)
}

async fn ask(zones: &dyn ZoneReader, question: Question) -> Vec<Answer> {
    let mut answers = if question.everywhere {
        zones.survey(&question.name, question.record_type).await.answers
    } else {
        zones.resolve(&question.name, question.record_type).await
    };
    // The answer stands under the name as it was asked, whatever its case.
    for answer in &mut answers {
        answer.name.clone_from(&question.name);
    }
    answers
}
