//! `waxseal redact` alone, for the checks of tests/redact and ops/bench/redact that need no gateway.

use clap::Parser;
use waxseal::cli::redact::{RedactArgs, run};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: RedactArgs,
}

fn main() {
    if let Err(error) = run(&Line::parse().args) {
        eprintln!("{error}");
        std::process::exit(error.exit as i32);
    }
}
