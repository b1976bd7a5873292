//! The answers that a check works on, and the questions that it would still ask.
//!
//! A check runs over what is known; each look-up that it misses is noted. The caller asks those questions and runs the
//! check again, until nothing is missing or the time is over. So the check itself stays a pure function.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::answers::{Answer, Reply, VantageKind};
use crate::records::RecordType;

/// Something to look up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Question {
    /// The name, in lower case without a dot at its end.
    pub name: String,
    /// The type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// At the zone's own servers too, or only at the resolvers?
    pub everywhere: bool,
}

/// The answers, by question.
pub(super) struct Heard<'a> {
    answers: HashMap<&'a str, HashMap<RecordType, Vec<&'a Answer>>>,
    wanted: RefCell<BTreeMap<(String, RecordType), bool>>,
}

impl<'a> Heard<'a> {
    pub(super) fn new(answers: &'a [Answer]) -> Self {
        let mut by_question: HashMap<&str, HashMap<RecordType, Vec<&Answer>>> = HashMap::new();
        for answer in answers {
            let by_type = by_question.entry(answer.name.as_str()).or_default();
            by_type.entry(answer.record_type).or_default().push(answer);
        }
        Self { answers: by_question, wanted: RefCell::default() }
    }

    /// All answers to a question; `None`, and a note, if it was not asked yet.
    pub(super) fn all(&self, name: &str, record_type: RecordType, everywhere: bool) -> Option<&[&'a Answer]> {
        let found = self.answers.get(name).and_then(|types| types.get(&record_type)).map(Vec::as_slice);
        if found.is_none() {
            *self.wanted.borrow_mut().entry((name.to_owned(), record_type)).or_default() |= everywhere;
        }
        found
    }

    /// What one look-up gives a receiver: the zone's own answer, followed where it is an alias, else a resolver's.
    pub(super) fn one(&self, name: &str, record_type: RecordType) -> Option<&'a Answer> {
        let answers = self.all(name, record_type, false)?;
        let rank = |answer: &&&Answer| match (&answer.reply, answer.vantage.kind) {
            (Reply::Elsewhere, _) => 3,
            (reply, VantageKind::Authoritative) if reply.is_answer() => 0,
            (reply, VantageKind::Resolver) if reply.is_answer() => 1,
            _ => 2,
        };
        answers.iter().min_by_key(rank).copied()
    }

    /// What is still to be asked.
    pub(super) fn wanted(self) -> Vec<Question> {
        let wanted = self.wanted.into_inner().into_iter();
        wanted.map(|((name, record_type), everywhere)| Question { name, record_type, everywhere }).collect()
    }
}
