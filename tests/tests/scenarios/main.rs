//! The whole program, told as stories: the real binary between real and scripted peers. One module a story.

// A story's helpers are test code as well, though they bear no `#[test]`.
#![allow(clippy::unwrap_used)]

mod backups;
mod clocks;
mod command_line;
mod crashes;
mod dane;
mod delivery;
mod delivery_faults;
mod domain_records;
mod durability;
mod kek;
mod keys;
mod lifecycle;
mod mails;
mod mta_sts;
mod notices;
mod pages;
mod posts;
mod posts_by_mail;
mod queue;
mod receivers;
mod redaction;
mod redaction_corpus;
mod refusals;
mod returns;
mod senders;
mod shaping;
mod signatures;
mod tenants;
mod tls_reports;
mod world;
