//! `towtank`: the flags, and nothing else.

use std::process::ExitCode;

use clap::Parser;
use scenarios::cli::{Cli, run};

/// Objects are thousands of small maps and texts, made in one thread and let go in another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    run(Cli::parse())
}
