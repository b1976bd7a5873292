//! Reading the database through at the start: is it what was written?

use waxseal_keys::sealing::{DataKey, KeyEncryptionKey, SealingError};

use super::change::{State, bound_to};
use super::disk::{ControlDisk, DiskError};
use super::snapshot::CONTROL_KEY_CONTEXT;
use super::{ControlError, KEY_RECORD, PAGE, STATE_RECORD, disk_error, wrong_kek};

/// What the database was found to hold.
pub(super) enum Database {
    Empty,
    Whole { wrapped_key: Vec<u8>, key: DataKey, state: State },
    Damaged(String),
}

/// Damage is a finding, not an error; another KEK and a disk that refuses are errors.
type ReadThrough = Result<Result<Database, SealingError>, DiskError>;

/// Reads the database through: every record must open, and all must add up.
pub(super) fn examine(disk: &mut dyn ControlDisk, kek: &KeyEncryptionKey) -> Result<Database, ControlError> {
    let examined = disk.open_database().and_then(|()| read_through(disk, kek));
    match examined {
        Ok(Ok(database)) => Ok(database),
        Ok(Err(error)) => Err(wrong_kek(error)),
        Err(DiskError::Damaged(why)) => Ok(Database::Damaged(why)),
        Err(error @ DiskError::Refused(_)) => Err(disk_error("open the database")(error)),
    }
}

fn read_through(disk: &dyn ControlDisk, kek: &KeyEncryptionKey) -> ReadThrough {
    let damaged = |why: &str| Ok(Ok(Database::Damaged(why.to_owned())));
    let sealed_state = disk.get(STATE_RECORD)?;
    let no_records = || disk.scan(&[], Some(&[1]), 1).map(|records| records.is_empty());
    let Some(wrapped_key) = disk.get(KEY_RECORD)? else {
        let nothing = sealed_state.is_none() && no_records()?;
        return if nothing { Ok(Ok(Database::Empty)) } else { damaged("its control key is gone") };
    };
    let key = match kek.unwrap(&wrapped_key, CONTROL_KEY_CONTEXT) {
        Ok(key) => key,
        Err(error @ SealingError::OtherKey { .. }) => return Ok(Err(error)),
        Err(error) => return damaged(&format!("its control key does not open: {error}")),
    };
    let Some(sealed_state) = sealed_state else {
        // A first start that was cut off leaves a key that sealed nothing.
        return if no_records()? { Ok(Ok(Database::Empty)) } else { damaged("its state record is gone") };
    };
    let state: Option<State> =
        key.open(&bound_to(STATE_RECORD), &sealed_state).ok().and_then(|plain| postcard::from_bytes(&plain).ok());
    let Some(state) = state else { return damaged("its state record does not open") };
    let mut found = State { generation: state.generation, ..State::default() };
    let mut after = vec![1];
    loop {
        let page = disk.scan(&[], Some(&after), PAGE)?;
        for (raw, sealed) in &page {
            if key.open(&bound_to(raw), sealed).is_err() {
                return damaged("a record does not open");
            }
            found.toggle(&key, raw, sealed);
        }
        match page.last() {
            Some((last, _)) if page.len() == PAGE => after.clone_from(last),
            _ => break,
        }
    }
    if found == state {
        Ok(Ok(Database::Whole { wrapped_key, key, state }))
    } else {
        damaged("its records do not add up")
    }
}
