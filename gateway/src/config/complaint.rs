//! What is wrong with a configuration: a value with place, key, problem and remedy, never a bare sentence.

use std::fmt;
use std::path::{Path, PathBuf};

/// Where a mistake is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File(PathBuf),
    /// A position in the file; line and column count from 1, the column in characters.
    Position {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A variable of the environment.
    Environment(String),
}

impl Place {
    /// The file as a whole.
    pub fn whole(file: &Path) -> Self {
        Self::File(file.to_owned())
    }

    /// The position of the byte `offset` in `text`, the text of `file`.
    pub(super) fn in_text(file: &Path, text: &str, offset: usize) -> Self {
        let before = text.get(..offset.min(text.len())).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self::Position {
            file: file.to_owned(),
            line: memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    /// The line, if the place has one.
    pub(super) fn line(&self) -> Option<usize> {
        match self {
            Self::Position { line, .. } => Some(*line),
            Self::File(_) | Self::Environment(_) => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Position { file, line, column } => write!(f, "{}:{line}:{column}", file.display()),
            Self::Environment(name) => write!(f, "environment:{name}"),
        }
    }
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Where it is.
    pub place: Place,
    /// The key, with its section; empty where the mistake is not a key's.
    pub key: String,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl Complaint {
    /// A complaint of these parts.
    pub fn at(place: Place, key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place, key: key.into(), problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.problem)?;
        if !self.remedy.is_empty() {
            write!(f, " - {}", self.remedy)?;
        }
        Ok(())
    }
}

/// Every mistake of a configuration, in the order of the file; never empty. The operator's fault; trying again
/// without a change does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    complaints: Vec<Complaint>,
}

impl ConfigErrors {
    pub(super) fn new(mut complaints: Vec<Complaint>) -> Self {
        complaints.sort();
        complaints.dedup();
        Self { complaints }
    }

    pub(super) fn one(complaint: Complaint) -> Self {
        Self { complaints: vec![complaint] }
    }

    /// The mistakes.
    pub fn complaints(&self) -> &[Complaint] {
        &self.complaints
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, complaint) in self.complaints.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            complaint.fmt(f)?;
        }
        Ok(())
    }
}
