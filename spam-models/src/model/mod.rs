//! The model: immutable, versioned, told apart by its digest; the same bytes always give the same score.

mod file;
mod reasons;

pub(crate) use file::hex;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use crate::adaptation::Adaptation;
use crate::calibrate::{Calibration, probability};
use crate::context;
use crate::features::Features;
use crate::logits::{Logits, Weight, Weights, logits};
use crate::post::{Context, Post, Verdict};

/// Why a model could not be loaded. A retry helps only where the file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The bytes are no model.
    #[error("not a Waxseal model: {0}")]
    Format(&'static str),
    /// A newer or older program made it.
    #[error("model format {found}, this program reads {expected}; train it again or take the program that made it")]
    Version {
        /// The format of the file.
        found: u16,
        /// The format of this program.
        expected: u16,
    },
    /// The bytes changed since they were written.
    #[error("the model is damaged: its digest is {found}, written was {written}")]
    Damaged {
        /// As computed.
        found: String,
        /// As written.
        written: String,
    },
}

/// What a model says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Card {
    /// The model's own version, a date or a number.
    pub version: String,
    /// SHA-256 of the training posts, labels and order.
    pub training_digest: String,
    /// Posts it learned from, spam and ham.
    pub trained_on: [usize; 2],
    /// The corpora by name.
    pub corpora: Vec<String>,
    /// Seed of shuffles and disguises.
    pub seed: u64,
    /// log2 of the number of weights.
    pub bits: u32,
    /// Below this probability a post may be published unseen, unless configured otherwise.
    pub publish_below: f64,
    /// Above this it may be stopped unseen.
    pub spam_above: f64,
    /// From log-odds to probability.
    pub calibration: Calibration,
}

/// A trained classifier.
pub struct Model {
    card: Card,
    /// The card as it was written: numbers read and written again may differ in the last digit, and the digest with them.
    written_card: Vec<u8>,
    digest: String,
    /// The octets of each bucket; [`file::Tables`] says what they weigh.
    codes: Vec<[u8; file::COLUMNS]>,
    tables: file::Tables,
}

impl std::fmt::Debug for Model {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Model").field("card", &self.card).field("digest", &self.digest).finish_non_exhaustive()
    }
}

impl Weights for Model {
    #[inline]
    fn weight(&self, hash: u32) -> Weight {
        self.tables.read(self.codes[(hash >> (32 - self.card.bits)) as usize])
    }
}

static BUILT_IN: &[u8] = include_bytes!("../../models/base.model");

impl Model {
    /// The model shipped with the program, unpacked once a process.
    ///
    /// # Panics
    ///
    /// Never: the shipped bytes are part of the program, and a test loads them.
    pub fn built_in() -> Arc<Self> {
        static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
        Arc::clone(MODEL.get_or_init(|| match Self::load(BUILT_IN) {
            Ok(model) => Arc::new(model),
            Err(error) => unreachable!("the shipped model does not load: {error}"),
        }))
    }

    /// Reads a model from its bytes.
    pub fn load(bytes: &[u8]) -> Result<Self, ModelError> {
        file::read(bytes)
    }

    /// Reads a model from a file.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let bytes = std::fs::read(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
        Self::load(&bytes)
    }

    /// Rounds trained weights into a model; `steps` are those of the contrasts they were learned with.
    pub(crate) fn from_weights(card: Card, weights: &[Weight], steps: &[u8]) -> Self {
        file::round(card, weights, steps)
    }

    /// The model's bytes; [`Model::load`] reads them back.
    pub fn to_bytes(&self) -> Vec<u8> {
        file::write(self)
    }

    /// What the model says of itself.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// SHA-256 over weights and card, in hex.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The verdict on a post of which nothing else is known.
    pub fn score(&self, post: &Post) -> Verdict {
        self.score_in(post, &Context::default(), None)
    }

    /// The verdict on a post, with what is known of its author and what the tenant's moderators decided before.
    ///
    /// Pure: no clock, no network, no chance. Time is linear in the post up to [`crate::MOST_OCTETS`] and constant
    /// beyond.
    pub fn score_in(&self, post: &Post, context: &Context, tenant: Option<&Adaptation>) -> Verdict {
        let features = Features::of(post);
        let mut shares = reasons::Shares::new(&features);
        let (scores, lengths) = logits(self, &features, |source, weight| shares.add(source, weight));
        let base = self.card.calibration.apply(scores);
        let learnt = tenant.map_or(0.0, |tenant| tenant.shift(&features));
        let known = context::shift(context);
        let total = base + learnt + known.iter().map(|reason| reason.weight).sum::<f64>();
        let mut probability = probability(total);
        let mut reasons = shares.reasons(&features, scores, lengths, &self.card.calibration);
        reasons.extend(known);
        reasons.extend(reasons::learnt(learnt));
        if features.extract.cut {
            // What was not read may say anything: a person must look.
            probability = probability.max(0.5);
            reasons.push(reasons::cut());
        }
        reasons::strongest(&mut reasons);
        Verdict { probability, reasons }
    }

    /// The scores of a post before calibration, for evaluation.
    pub fn logits(&self, post: &Post) -> Logits {
        logits(self, &Features::of(post), |_, _| {}).0
    }

    /// P(spam) alone.
    pub fn probability(&self, post: &Post) -> f64 {
        probability(self.card.calibration.apply(self.logits(post)))
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
