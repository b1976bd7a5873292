//! Why the gateway does not start; all of it is the operator's to mend.

use std::path::PathBuf;

/// See the module. The texts go to standard error.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Another gateway runs on the same data folder.
    #[error("another gateway runs on {0}: stop it first (waxseal drain), or give this one a data_dir of its own")]
    Taken(PathBuf),
    /// A restore was cut off in the data folder.
    #[error("{0}: a restore of a backup was not finished: run waxseal backup restore again")]
    Unfinished(PathBuf),
    /// The data folder cannot be used.
    #[error("data_dir: {0}")]
    DataDir(String),
    /// The key-encryption key cannot be read.
    #[error("[crypto] kek: {0}")]
    Kek(String),
    /// The control store does not open.
    #[error("control store: {0}")]
    Control(String),
    /// The queue's store does not open.
    #[error("queue: {0}")]
    Store(String),
    /// Certificate or key cannot be used.
    #[error("[tls]: {0}")]
    Tls(String),
    /// The resolver cannot be built.
    #[error("[dns]: {0}")]
    Dns(String),
    /// An address cannot be listened on.
    #[error("{0}")]
    Listen(String),
}
