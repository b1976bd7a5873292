//! The classifier of help-center posts: features, model, training, evaluation.
