//! The one binary: prepares the process, reads the command line, tells how it ended.

use std::process::ExitCode;

use clap::Parser;
use waxseal::cli::{Cli, run};

fn main() -> ExitCode {
    // Another crate's feature could bring a second provider along; with one installed nobody has to guess.
    // A failure means that one is installed already, which is as good.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    keep_memory_private();
    match run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("waxseal: {}", error.message);
            ExitCode::from(error.exit as u8)
        }
    }
}

/// Card numbers and keys live in this process's memory: no core dump, no debugger of another process. Where the
/// system refuses, the program still runs; a container may forbid it and have neither.
fn keep_memory_private() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    let none = Rlimit { current: Some(0), maximum: Some(0) };
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
