//! The command line: one file a noun, parsing of arguments and printing only.

mod exit;
pub mod redact;

pub use exit::{CliError, Exit};
