//! The command line: what can be asked for, and carrying it out.
//!
//! Each subcommand is a variant of `Command` and a file here, which holds its `Args` and its `run`: true for exit code 0,
//! false for 1, an error for 2. Flags that several subcommands have are in `injector` and `trust`.
//!
//! Exit codes: 0, all went well; 1, a scenario failed, a review got no valid answer, a law is broken, a problem was found, or a
//! line of a log could not be read;
//! 2, the command could not be carried out (flags, files, an injector configuration that does not load); 130, it was
//! interrupted, and what was shown is the result so far.

mod capture;
mod check;
mod compare;
mod comparison;
mod doctor;
mod import;
mod injector;
mod interrupt;
mod merge;
mod output;
mod progress;
mod replay;
mod report;
mod reports;
mod run;
mod trust;
mod up;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use apimachinery::value::json;
use clap::{Parser, Subcommand};

use crate::boxed;
use crate::run::Outcome;
use output::Output;

/// Tries Kubernetes admission webhooks before they meet a cluster.
///
/// Without a command: runs the scenarios in the box, then replays the captured log in the box through an apiserver in
/// this process, over TLS, into the sidecar injector.
#[derive(Debug, Parser)]
#[command(name = "towtank", version, max_term_width = 100)]
pub struct Cli {
    /// Print the result as JSON on standard output.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios: YAML files, or directories of them. Default: those in the box.
    Run(run::Args),
    /// Replay captured AdmissionReviews, through an apiserver or straight at a webhook.
    Replay(replay::Args),
    /// Stand in front of a webhook and record what it is asked and what it answers, secrets redacted.
    Capture(Box<capture::Args>),
    /// Make a capture log of audit logs, injector logs, single reviews or OPA inputs, secrets redacted.
    Import(import::Args),
    /// Hold laws against a webhook: that it is idempotent, leaves alone what is not its own, answers in time, and more.
    Check(check::Args),
    /// Compare what two webhooks, or two configurations, make of captured reviews.
    Compare(compare::Args),
    /// Put the results of a replay's shards together: files that `towtank replay --json` wrote.
    Merge(merge::Args),
    /// A cluster to work with kubectl: apiserver, controllers, simulated nodes and, if wanted, the sidecar injector.
    Up(up::Args),
    /// Look a cluster through: is sidecar injection well, and if not, why.
    Doctor(doctor::Args),
    /// Make a report from a saved result.
    Report(report::Args),
}

/// Carries a command out; prints what is to be printed.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let output = Output::new(cli.json);
    let done = match cli.command {
        Some(Command::Run(args)) => args.run(&output),
        Some(Command::Replay(args)) => args.run(&output),
        Some(Command::Capture(args)) => args.run(&output),
        Some(Command::Import(args)) => args.run(&output),
        Some(Command::Check(args)) => args.run(&output),
        Some(Command::Compare(args)) => args.run(&output),
        Some(Command::Up(args)) => args.run(&output),
        Some(Command::Doctor(args)) => args.run(&output),
        Some(Command::Merge(args)) => args.run(&output),
        Some(Command::Report(args)) => args.run(&output),
        None => everything(&output),
    };
    match done.and_then(|ok| output.whole().map(|()| ok)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            output.error(&error);
            interrupt::code(&error)
        }
    }
}

/// The main job.
fn everything(output: &Output) -> anyhow::Result<bool> {
    let outcomes = run::Args::default().outcomes(output)?;
    if !output.json {
        output.print(&format!("\n{}\n", output.style.strong(boxed::REPLAY_TITLE)));
    }
    let (replayed, trouble) = replay::Args::default().replayed()?;
    if output.json {
        let scenarios: Vec<_> = outcomes.iter().map(Outcome::json).collect();
        output.print_json(&json!({ "scenarios": scenarios, "replay": replayed.json() }));
    } else {
        output.print(&crate::report::render(&replayed, output.style));
    }
    trouble.map_or_else(|| Ok(outcomes.iter().all(Outcome::is_ok) && replayed.is_ok()), Err)
}

/// A number above 0.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e9 => Ok(number),
        _ => Err("want a number above 0".to_owned()),
    }
}

/// A file as text, named if it cannot be read.
fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_flags_of_all_commands_are_consistent() {
        super::Cli::command().debug_assert();
    }
}
