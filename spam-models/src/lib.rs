//! The classifier of help-center posts: reads a post as a person would see it, and says how likely it is spam, and why.
//!
//! Promises: scoring is pure and bounded in time for any input; the model is immutable and told apart by its digest;
//! the same bytes get the same score. Refuses: to know of tenants, stores, sockets or clocks; the gateway asks, this
//! crate answers. Nothing of a post is logged or kept, except as hashes in a tenant's [`Adaptation`].
//!
//! ```
//! use waxseal_spam::{Model, Post};
//!
//! let verdict = Model::built_in().score(&Post::of("How do I change the address on my invoice?"));
//! assert!(verdict.probability < 0.2);
//! ```

pub mod adaptation;
pub mod attack;
mod calibrate;
mod campaign;
mod context;
#[cfg(test)]
mod corpora_tests;
pub mod corpus;
pub mod evaluate;
mod features;
pub mod ftrl;
mod learn;
mod logits;
pub mod model;
mod post;
pub mod replay;
pub mod report;
mod text;
pub mod train;

pub use adaptation::{Adaptation, Decision, Standing};
pub use calibrate::{Calibration, probability};
pub use campaign::{Campaigns, Fingerprint, Sighting};
pub use logits::Logits;
pub use model::{Card, Model, ModelError};
pub use post::{Context, Label, Post, Reason, Verdict};
pub use text::MOST_OCTETS;
