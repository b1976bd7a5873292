//! Records of other rooms that lie in the control store beside the tenants (accounts, sessions, tokens): written in
//! one commit with their lines in the audit, so that neither is there without the other.

use super::{Registry, RegistryError};
use crate::store::control::{ChangeSet, Namespace, Record};
use crate::tenants::audit::{self, AuditCheckpoint, AuditKey, AuditRecord, AuditReport};
use crate::tenants::read::{number, parsed};

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

/// The name of the seed of the key that signs checkpoints.
const AUDIT_KEY: &[u8] = b"audit-key";

/// Lines that are read from the disk at once.
const PAGE: usize = 1000;

impl Registry {
    /// At most `limit` lines of the audit before the one numbered `before` (or the last ones), latest first.
    pub fn audit_page(&self, before: Option<u64>, limit: usize) -> Result<Vec<(u64, AuditRecord)>, RegistryError> {
        let end = before.unwrap_or(u64::MAX).min(self.snapshot().next_audit);
        let start = end.saturating_sub(limit as u64).max(1);
        let after = start.checked_sub(1).map(u64::to_be_bytes);
        let store = self.store.lock();
        let records = store.page(Namespace::Audit, after.as_ref().map(<[u8; 8]>::as_slice), limit)?;
        let mut lines = Vec::with_capacity(records.len());
        for (key, value) in records {
            lines.push((number(&key)?, parsed(Namespace::Audit, &key, &value)?));
        }
        lines.retain(|(number, _)| *number < end);
        lines.reverse();
        Ok(lines)
    }

    /// The key that signs checkpoints; made at the first call.
    fn audit_key(&self) -> Result<AuditKey, RegistryError> {
        let broken = |why: &str| RegistryError::Record { place: "audit key".to_owned(), why: why.to_owned() };
        let kept = self.store.lock().get(Namespace::WebSetting, AUDIT_KEY)?;
        let seed = if let Some(seed) = kept {
            seed
        } else {
            let mut seed = vec![0; 32];
            aws_lc_rs::rand::fill(&mut seed).map_err(|_| broken("the system's random source failed"))?;
            let mut changes = ChangeSet::default();
            changes.put(Namespace::WebSetting, AUDIT_KEY, seed.clone());
            self.keep("waxseal", Vec::new(), changes)?;
            seed
        };
        AuditKey::from_seed(&zeroize::Zeroizing::new(seed)).ok_or_else(|| broken("it is no Ed25519 seed"))
    }

    /// Signs everything up to the last line, if that is not signed yet.
    pub fn checkpoint_audit(&self) -> Result<Option<AuditCheckpoint>, RegistryError> {
        let directory = self.snapshot();
        let last = directory.next_audit.saturating_sub(1);
        let kept = self.store.lock().get(Namespace::AuditCheckpoint, &last.to_be_bytes())?;
        if last == 0 || kept.is_some() {
            return Ok(None);
        }
        let checkpoint = self.audit_key()?.checkpoint(last, &directory.audit_head, self.clock.now());
        let text = serde_json::to_vec(&checkpoint)
            .map_err(|error| RegistryError::Record { place: "checkpoint".to_owned(), why: error.to_string() })?;
        let mut changes = ChangeSet::default();
        changes.put(Namespace::AuditCheckpoint, &last.to_be_bytes(), text);
        self.keep("waxseal", Vec::new(), changes)?;
        Ok(Some(checkpoint))
    }

    /// The checkpoints, oldest first, and the public half of the key that signed them.
    pub fn audit_checkpoints(&self) -> Result<(Vec<AuditCheckpoint>, String), RegistryError> {
        let key = self.audit_key()?.public();
        let records = self.kept(Namespace::AuditCheckpoint)?;
        let read = records.iter().map(|(key, value)| parsed(Namespace::AuditCheckpoint, key, value));
        Ok((read.collect::<Result<_, _>>()?, key))
    }

    /// Calls `look` with each line, oldest first. The store is free between pages.
    pub fn walk_audit(&self, mut look: impl FnMut(u64, AuditRecord)) -> Result<(), RegistryError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = self.kept_page(Namespace::Audit, after.as_deref(), PAGE)?;
            for (key, value) in &page {
                look(number(key)?, parsed(Namespace::Audit, key, value)?);
            }
            match page.into_iter().last() {
                Some((key, _)) => after = Some(key),
                None => return Ok(()),
            }
        }
    }

    /// Checks the whole audit against itself and its checkpoints. Blocks on the disk.
    pub fn verify_audit(&self) -> Result<AuditReport, RegistryError> {
        // The checkpoints first: a line may come in between, a checkpoint of a line that was not read may not.
        let (checkpoints, key) = self.audit_checkpoints()?;
        let mut lines = Vec::new();
        self.walk_audit(|number, record| lines.push((number, record)))?;
        Ok(audit::verify(lines.into_iter(), &checkpoints, &key))
    }
}
