//! What else an attempt's end says: of the destination, and of reports of our own.

use super::{DialogueStage, Evidence, LetterRecord, Outcome, RecipientState, Scheduler, Transition};

impl Scheduler {
    /// Where a report did not arrive, none is sent for a while.
    pub(super) fn tell_of_report(&self, record: &LetterRecord, transitions: &[Transition]) {
        for transition in transitions.iter().filter(|transition| transition.state.is_final()) {
            if let Some(recipient) = record.envelope.recipients.get(transition.recipient as usize) {
                let arrived = matches!(transition.state, RecipientState::Delivered(_));
                self.delivery.report_ended(&recipient.address, arrived);
            }
        }
    }
}

/// The evidence, if every recipient failed before the server was asked anything about the message.
pub(super) fn never_asked(outcomes: &[(u32, Outcome)]) -> Option<Evidence> {
    let early = |outcome: &Outcome| match outcome {
        Outcome::TryLater(evidence) => {
            matches!(evidence.stage, DialogueStage::Dns | DialogueStage::Connect | DialogueStage::Greeting)
        }
        _ => false,
    };
    let (_, first) = outcomes.first()?;
    outcomes.iter().all(|(_, outcome)| early(outcome)).then(|| first.evidence().clone())
}
