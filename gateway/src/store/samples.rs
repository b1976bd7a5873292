//! Letters for tests.

use bytes::Bytes;

use super::{LetterRecord, NewLetter, RecipientState};
use crate::clock::Timestamp;
use crate::ids::{LetterId, TenantId};
use crate::message::{Envelope, Recipient, ReversePath};
use crate::sign::SendOptions;

/// A letter of this tenant to one recipient; its text names `number`.
pub(crate) fn sample_letter(tenant: TenantId, number: u64) -> NewLetter {
    letter_to(tenant, number, 1)
}

/// The same to several recipients at `example.net`.
pub(crate) fn letter_to(tenant: TenantId, number: u64, recipients: usize) -> NewLetter {
    let now = Timestamp::from_millis(1_795_000_000_000);
    let recipients: Vec<_> =
        (0..recipients).map(|n| Recipient::new(format!("r{n}@example.net").parse().unwrap())).collect();
    let states = recipients.iter().map(|_| RecipientState::Waiting { next: now, attempts: 0, last: None }).collect();
    let envelope = Envelope::new(ReversePath::Mailbox("s@example.com".parse().unwrap()), recipients);
    let message = format!("Subject: letter {number}\r\n\r\nbody of letter {number}\r\n");
    NewLetter {
        record: LetterRecord {
            id: LetterId::new(Timestamp::from_millis(now.millis() + number)),
            tenant,
            accepted: now,
            expires: now,
            envelope: envelope.clone(),
            states,
            options: SendOptions::default(),
            return_path: None,
            subject: String::new(),
            from_domain: "example.com".into(),
            size: message.len() as u64,
            eight_bit: false,
            delay_notified: false,
            notice: false,
        },
        letter: crate::sign::sealed_for_tests(envelope, Bytes::from(message)),
    }
}
