//! Wiring, start, drain, stop.

use crate::cli::{CliError, Exit};
use crate::config::Config;

/// Runs the gateway until it is told to stop.
pub fn serve(_config: Config) -> Result<(), CliError> {
    Err(CliError::new(Exit::RunTime, "the gateway is not part of this build"))
}
