//! Configuration: as written (TOML), checked with every mistake at once, as used.

mod used;

pub use used::*;
