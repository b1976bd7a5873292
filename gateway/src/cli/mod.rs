//! The command line: one file a noun, parsing of arguments and printing only.

mod exit;
mod letter_file;
pub mod sign;
pub mod verify;

pub use exit::{CliError, Exit};
