//! `towtank`: the flags, and nothing else.

use std::process::ExitCode;

use clap::Parser;
use scenarios::cli::{Cli, run};

fn main() -> ExitCode {
    run(Cli::parse())
}
