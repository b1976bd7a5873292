//! A command line: parsed or refused, never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use waxseal::smtp::command::Command;
use waxseal::smtp::parameters::{MailParameters, RcptParameters};
use waxseal::smtp::scram::ClientFirst;

fuzz_target!(|line: &[u8]| {
    let _ = Command::parse(line);
    let _ = ClientFirst::parse(line);
    if let Ok(text) = std::str::from_utf8(line) {
        let _ = MailParameters::parse(text);
        let _ = RcptParameters::parse(text);
    }
});
