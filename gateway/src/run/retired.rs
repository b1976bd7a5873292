//! A folder of retired keys' private halves, for the operator's web server (`[dkim] publish_retired`).
//!
//! Why a key would be given away: a signature proves who sent a letter for as long as only the sender has the key.
//! Published after its last letter has arrived, it proves nothing any more of mail that is stolen later. Off by default.
//! Never by DNS: verifiers must not find it where they look for keys.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use crate::store::disk::sync_directory;
use crate::tenants::DkimKey;
use crate::tenants::steward::Disclosure;

/// The folder.
pub(super) struct RetiredKeys(pub(super) PathBuf);

impl Disclosure for RetiredKeys {
    /// Writes `SELECTOR._domainkey.DOMAIN-DAY.pem`, whole or not at all; the day is the one that the key was made.
    fn publish(&self, key: &DkimKey, pem: &str) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let created = key.created.to_rfc3339();
        let name = format!("{}-{}.pem", key.record_name(), created.split('T').next().unwrap_or_default());
        let unfinished = self.0.join(format!(".{name}"));
        let mut file = fs::File::create(&unfinished)?;
        file.write_all(pem.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, self.0.join(name))?;
        sync_directory(&self.0)
    }
}
