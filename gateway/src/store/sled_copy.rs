//! A copy of a sled database that is open, by what is in it: its files change while they are read.

use std::path::Path;

const CACHE_OCTETS: u64 = 4 << 20;
/// Records that are written at once.
const AT_ONCE: usize = 1_000;

/// Copies every tree of `database` into a new database in `target` and makes it durable. Each record is copied as it is
/// at that moment; who needs several of one moment keeps changes out meanwhile.
pub fn copy(database: &sled::Db, target: &Path) -> Result<(), String> {
    let failed = |error: sled::Error| error.to_string();
    let config = sled::Config::new().path(target).cache_capacity(CACHE_OCTETS).flush_every_ms(None);
    let copy = config.open().map_err(failed)?;
    for name in database.tree_names() {
        let (from, to) = (database.open_tree(&name).map_err(failed)?, copy.open_tree(&name).map_err(failed)?);
        let (mut batch, mut count) = (sled::Batch::default(), 0);
        for item in &from {
            let (key, value) = item.map_err(failed)?;
            batch.insert(key, value);
            count += 1;
            if count == AT_ONCE {
                to.apply_batch(std::mem::take(&mut batch)).map_err(failed)?;
                count = 0;
            }
        }
        to.apply_batch(batch).map_err(failed)?;
    }
    copy.flush().map_err(failed)?;
    Ok(())
}
