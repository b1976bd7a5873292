//! Labelled posts on disk: JSON lines, plain or gzip, one object a line with `id`, `text`, `label` and what a
//! [`Post`] may have; `lang`, `corpus` and `cluster` are used to split and to report.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::post::{Label, Post};

/// Why a corpus could not be read. All of these are the caller's to mend; a retry changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum CorpusError {
    /// The file cannot be opened or read.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A line is no labelled post.
    #[error("{path}:{line}: {reason}; each line is an object with \"text\" and \"label\" (\"spam\" or \"ham\")")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What the parser says.
        reason: String,
    },
}

/// A labelled post.
#[derive(Debug, Clone, Deserialize)]
pub struct Sample {
    /// The post itself.
    #[serde(flatten)]
    pub post: Post,
    /// What it is.
    pub label: Label,
    /// Near duplicates share it; empty where unknown.
    #[serde(default)]
    pub cluster: String,
    /// Where it came from; the folder's or the file's name where the line does not say.
    #[serde(default)]
    pub corpus: String,
}

impl Sample {
    /// The language, `und` where the line does not say.
    pub fn lang(&self) -> &str {
        self.post.lang.as_deref().unwrap_or("und")
    }

    /// What near duplicates have in common.
    pub fn group(&self) -> String {
        if self.cluster.is_empty() { self.post.text.clone() } else { format!("{}/{}", self.corpus, self.cluster) }
    }
}

/// Reads one corpus.
pub fn read(path: &Path) -> Result<Vec<Sample>, CorpusError> {
    let io = |source| CorpusError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    let zipped = path.extension().is_some_and(|end| end == "gz");
    let reader: Box<dyn Read> = if zipped { Box::new(flate2::read::MultiGzDecoder::new(file)) } else { Box::new(file) };
    let name = corpus_name(path);
    let mut out = Vec::new();
    for (number, line) in BufReader::new(reader).lines().enumerate() {
        let line = line.map_err(io)?;
        if line.trim().is_empty() {
            continue;
        }
        let mut sample: Sample = serde_json::from_str(&line).map_err(|error| CorpusError::Line {
            path: path.to_owned(),
            line: number + 1,
            reason: error.to_string(),
        })?;
        if sample.corpus.is_empty() {
            sample.corpus.clone_from(&name);
        }
        out.push(sample);
    }
    Ok(out)
}

/// `…/qa_posts/train.jsonl` is `qa_posts`; `…/own.jsonl` is `own`.
fn corpus_name(path: &Path) -> String {
    let stem =
        path.file_name().and_then(|name| name.to_str()).unwrap_or("corpus").split('.').next().unwrap_or("corpus");
    let generic = ["train", "test", "dev", "data"].contains(&stem);
    let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).filter(|_| generic);
    folder.unwrap_or(stem).to_owned()
}
