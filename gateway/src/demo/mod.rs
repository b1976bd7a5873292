//! `waxseal demo`: the whole gateway in one process, shown at work.

use crate::cli::{CliError, Exit};

/// How the demo is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// One JSON object instead of the story.
    pub json: bool,
    /// Leave everything running.
    pub keep_running: bool,
}

/// Runs the demo; an error if an expectation did not hold.
pub fn run(_options: Options) -> Result<(), CliError> {
    Err(CliError::new(Exit::RunTime, "the demo is not part of this build"))
}
