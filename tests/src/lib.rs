//! waxseal-tests
