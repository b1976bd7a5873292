//! How a command ends (INTERFACES §1): the exit status and what standard error says.

/// The exit statuses; 0 is `Ok(())`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// It went wrong at run time.
    RunTime = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// A check found problems.
    Problems = 3,
    /// There is no such thing.
    NotFound = 4,
    /// A policy refuses it.
    Refused = 5,
}

/// Why a command failed: what to tell the person, and the status.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CliError {
    /// The exit status.
    pub exit: Exit,
    /// What happened and what to do, for standard error.
    pub message: String,
}

impl CliError {
    /// An error with this status and text.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }
}
