//! `waxseal backup restore`: a backup put in the place of the data, while no gateway runs on it.

use std::path::Path;

use waxseal_keys::sealing::KeyEncryptionKey;

use super::kek::read_configured;
use super::{RunError, lock_data_dir};
use crate::admin::backup::{self, BackupError, Restored};
use crate::cli::{CliError, Exit};
use crate::clock::{Clock, SystemClock};
use crate::config::Config;

/// Takes the data folder's lock and restores; fails while a gateway runs there.
pub fn restore_backup(folder: &Path, data_dir: &Path) -> Result<Restored, CliError> {
    let _lock = lock_data_dir(data_dir).map_err(|error| {
        let exit = if matches!(error, RunError::Taken(_)) { Exit::Refused } else { Exit::RunTime };
        CliError::new(exit, error.to_string())
    })?;
    backup::restore(folder, data_dir, SystemClock.now()).map_err(BackupError::into)
}

/// The key-encryption key that a configuration names.
pub fn read_kek_of(config: &Config) -> Result<KeyEncryptionKey, CliError> {
    read_configured(config).map_err(|error| CliError::new(Exit::Usage, error.to_string()))
}
