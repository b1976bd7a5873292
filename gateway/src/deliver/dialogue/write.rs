//! What is written: commands, parameters, dot-stuffed content.

use super::*;

pub(super) fn write_path(commands: &mut Vec<u8>, mailbox: &crate::message::Mailbox) {
    let _ = write!(commands, "<{}@{}>", mailbox.local_part(), mailbox.domain().as_str());
}

pub(super) fn write_notify(commands: &mut Vec<u8>, recipient: &Recipient) {
    match recipient.notify {
        Notify::Unspecified => {}
        Notify::Never => commands.extend_from_slice(b" NOTIFY=NEVER"),
        Notify::On { success, failure, delay } => {
            let mut separator = b" NOTIFY=".as_slice();
            for (wanted, word) in [(success, "SUCCESS"), (failure, "FAILURE"), (delay, "DELAY")] {
                if wanted {
                    commands.extend_from_slice(separator);
                    commands.extend_from_slice(word.as_bytes());
                    separator = b",";
                }
            }
        }
    }
}

/// An `esmtp-value` that can stand in a command (RFC 5321 §4.1.2): printable ASCII, no space, no second `=`.
pub(super) fn is_parameter(text: &str, limit: usize) -> bool {
    !text.is_empty() && text.len() <= limit && text.bytes().all(|b| b.is_ascii_graphic() && b != b'=')
}

/// Doubles each dot that begins a line, where a line begins after CRLF and nothing else. Borrowed if there is none.
pub fn stuff_dots(message: &[u8]) -> Cow<'_, [u8]> {
    let finder = memchr::memmem::Finder::new(b"\r\n.");
    if !message.starts_with(b".") && finder.find(message).is_none() {
        return Cow::Borrowed(message);
    }
    let mut stuffed = Vec::with_capacity(message.len() + 64);
    if message.starts_with(b".") {
        stuffed.push(b'.');
    }
    let mut done = 0;
    for at in finder.find_iter(message) {
        stuffed.extend_from_slice(&message[done..at + 3]);
        stuffed.push(b'.');
        done = at + 3;
    }
    stuffed.extend_from_slice(&message[done..]);
    Cow::Owned(stuffed)
}

/// What ends the data: the message's own last CRLF is part of `CRLF.CRLF`.
pub fn terminator(message: &[u8]) -> &'static [u8] {
    if message.ends_with(b"\r\n") || message.is_empty() { b".\r\n" } else { b"\r\n.\r\n" }
}
