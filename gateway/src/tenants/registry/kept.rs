//! Records of other rooms that lie in the control store beside the tenants (accounts, sessions, tokens): written in
//! one commit with their lines in the audit, so that neither is there without the other.

use super::{Registry, RegistryError};
use crate::store::control::{ChangeSet, Namespace, Record};

impl Registry {
    /// Writes records and audit lines, all or nothing; durable when this returns. Without `words` nothing is noted
    /// in the audit. Blocks on the disk.
    pub fn keep(&self, by: &str, words: Vec<String>, changes: ChangeSet) -> Result<(), RegistryError> {
        self.simple_change(by, |draft| {
            draft.changes = changes;
            draft.words = words;
            Ok(())
        })
        .map(drop)
    }

    /// Every record of a namespace, in the order of keys. Blocks on the disk.
    pub fn kept(&self, namespace: Namespace) -> Result<Vec<Record>, RegistryError> {
        Ok(self.store.lock().all(namespace)?)
    }

    /// At most `limit` records of a namespace whose key comes after `after`. Blocks on the disk.
    pub fn kept_page(
        &self,
        namespace: Namespace,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Record>, RegistryError> {
        Ok(self.store.lock().page(namespace, after, limit)?)
    }
}
