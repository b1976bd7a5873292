//! Secrets by reference: `file:PATH`, `env:NAME`, `cred:NAME` (a systemd credential). Read when they are used, into
//! memory that is wiped; the configuration itself can be shown to anybody.

use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::str::FromStr;

use zeroize::Zeroizing;

use super::SecretRef;

/// Why a secret could not be had; the operator's fault. The texts name the reference, never the secret.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The text is not a reference. The text itself is not repeated: it may be the secret.
    #[error("is not a reference to a secret")]
    NotAReference,
    /// The file cannot be read.
    #[error("{reference} cannot be read: {source}")]
    File {
        /// The reference.
        reference: SecretRef,
        /// Why.
        source: std::io::Error,
    },
    /// The variable is not set.
    #[error("{0}: the environment has no such variable")]
    NoVariable(SecretRef),
    /// The process was not started by systemd with credentials.
    #[error("{0}: CREDENTIALS_DIRECTORY is not set; start the gateway by systemd with LoadCredential=")]
    NoCredentials(SecretRef),
}

impl SecretRef {
    /// The file that holds the secret, for references to files; `None` if there is none to look at.
    fn path(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) => {
                std::env::var_os("CREDENTIALS_DIRECTORY").map(|dir| PathBuf::from(dir).join(name))
            }
            Self::Env(_) => None,
        }
    }

    /// Reads the secret as it stands, a final line end included. The memory is wiped when it is dropped.
    pub fn read(&self) -> Result<Zeroizing<Vec<u8>>, SecretError> {
        if let Self::Env(name) = self {
            return std::env::var_os(name)
                .map(|text| Zeroizing::new(std::os::unix::ffi::OsStringExt::into_vec(text)))
                .ok_or_else(|| SecretError::NoVariable(self.clone()));
        }
        let path = self.path().ok_or_else(|| SecretError::NoCredentials(self.clone()))?;
        std::fs::read(path).map(Zeroizing::new).map_err(|source| SecretError::File { reference: self.clone(), source })
    }

    /// A sentence for the log if other users of the machine may read the file.
    pub fn warning(&self) -> Option<String> {
        let Self::File(path) = self else { return None };
        let mode = std::fs::metadata(path).ok()?.permissions().mode();
        (mode & 0o004 != 0)
            .then(|| format!("{self} can be read by every user of this machine: chmod o= {}", path.display()))
    }
}

impl FromStr for SecretRef {
    type Err = SecretError;
    fn from_str(text: &str) -> Result<Self, SecretError> {
        let safe = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(PathBuf::from(path))),
            Some(("env", name)) if !name.is_empty() && name.chars().all(safe) => Ok(Self::Env(name.to_owned())),
            Some(("cred", name)) if !name.is_empty() && !name.starts_with('.') && name.chars().all(safe) => {
                Ok(Self::Credential(name.to_owned()))
            }
            _ => Err(SecretError::NotAReference),
        }
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file:{}", path.display()),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::Credential(name) => write!(f, "cred:{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_survive_their_text_and_a_bare_secret_is_refused_unseen() {
        for good in ["file:/etc/waxseal/kek", "env:WAXSEAL_KEK", "cred:tls-key"] {
            assert_eq!(good.parse::<SecretRef>().unwrap().to_string(), good);
        }
        for bad in ["", "hunter2", "file:", "env:A B", "cred:../../etc/passwd", "cred:a/b", "http://x"] {
            let error = bad.parse::<SecretRef>().unwrap_err().to_string();
            assert!(bad.is_empty() || !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn a_file_is_read_whole_and_one_that_all_may_read_is_warned_of() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, b"s3cret\n").unwrap();
        let reference = SecretRef::File(path.clone());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(reference.read().unwrap().as_slice(), b"s3cret\n");
        assert!(reference.warning().unwrap().contains("chmod o="));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(reference.warning(), None);
        assert!(SecretRef::File(dir.path().join("none")).read().is_err());
        assert!(SecretRef::Env("WAXSEAL_NO_SUCH_VARIABLE".into()).read().is_err());
    }
}
