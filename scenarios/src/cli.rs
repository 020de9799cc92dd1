//! The command line: what can be asked for, and carrying it out.
//!
//! Exit codes: 0, all went well; 1, a scenario failed, a review got no valid answer, or a line of a log could not be read;
//! 2, the command could not be carried out (flags, files, an injector configuration that does not load).

mod output;
mod replay;
mod run;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use serde_json::json;

use crate::boxed;
use crate::report::render;
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
    Run(RunArgs),
    /// Replay captured AdmissionReviews, through an apiserver or straight at a webhook.
    Replay(ReplayArgs),
}

#[derive(Debug, Default, Args)]
struct RunArgs {
    /// Scenario files, or directories of them.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Use this seed in place of the scenarios' own.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Show each request and what admission did, also of scenarios that go well.
    #[arg(long)]
    trace: bool,
}

#[derive(Debug, Args)]
struct ReplayArgs {
    /// Capture logs: JSON lines, plain, .gz or .zst; `-` is standard input. Default: the log in the box.
    #[arg(value_name = "LOG")]
    logs: Vec<PathBuf>,
    /// Post the recorded bytes straight at the webhook, without an apiserver.
    #[arg(long)]
    direct: bool,
    /// The webhook: an https URL. Default: the sidecar injector in this process.
    #[arg(long, value_name = "URL", conflicts_with = "injector")]
    webhook: Option<String>,
    /// PEM file of the authority that signed the webhook's certificate.
    #[arg(long, value_name = "FILE", requires = "webhook")]
    ca: Option<PathBuf>,
    /// Believe any certificate of the webhook.
    #[arg(long, requires = "webhook", conflicts_with = "ca")]
    insecure_skip_verify: bool,
    /// The injector's ConfigMap (or its `config` text), or one in the box: modern (the default) or 1.0.
    #[arg(long, value_name = "CONFIGMAP")]
    injector: Option<PathBuf>,
    /// The injector's values, if they are not in the ConfigMap.
    #[arg(long, value_name = "FILE", conflicts_with = "webhook")]
    values: Option<PathBuf>,
    /// The mesh configuration.
    #[arg(long, value_name = "FILE", conflicts_with = "webhook")]
    mesh_config: Option<PathBuf>,
    /// Namespaces and webhook configuration of the log. Default: LOG's name with `.meta.json`, if it exists.
    #[arg(long, value_name = "FILE", conflicts_with = "direct")]
    meta: Option<PathBuf>,
    /// Requests under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Replay each log so many times.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    repeat: u64,
    /// Requests a second at most.
    #[arg(long, value_name = "N", value_parser = positive)]
    rate: Option<f64>,
    /// Seconds to wait for an answer (with --direct; an apiserver goes by the webhook's timeoutSeconds).
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = positive)]
    timeout: f64,
}

fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 1e9 => Ok(number),
        _ => Err("want a number above 0".to_owned()),
    }
}

/// Carries a command out; prints what is to be printed.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    let output = Output::new(cli.json);
    let done = match cli.command {
        Some(Command::Run(args)) => scenarios(&args, &output),
        Some(Command::Replay(args)) => replay(&args, &output),
        None => everything(&output),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            output.error(&error);
            ExitCode::from(2)
        }
    }
}

fn scenarios(args: &RunArgs, output: &Output) -> anyhow::Result<bool> {
    let outcomes = run::run(args, output)?;
    if output.json {
        output.print_json(&outcomes.iter().map(Outcome::json).collect());
    }
    Ok(outcomes.iter().all(Outcome::is_ok))
}

fn replay(args: &ReplayArgs, output: &Output) -> anyhow::Result<bool> {
    let replayed = replay::run(args, output)?;
    if output.json {
        output.print_json(&replayed.json());
    } else {
        output.print(&render(&replayed, output.style));
    }
    Ok(replayed.is_ok())
}

/// The main job.
fn everything(output: &Output) -> anyhow::Result<bool> {
    let outcomes = run::run(&RunArgs::default(), output)?;
    if !output.json {
        output.print(&format!("\n{}\n", output.style.strong(boxed::REPLAY_TITLE)));
    }
    let replayed = replay::run(&ReplayArgs::default(), output)?;
    if output.json {
        let scenarios: Vec<_> = outcomes.iter().map(Outcome::json).collect();
        output.print_json(&json!({ "scenarios": scenarios, "replay": replayed.json() }));
    } else {
        output.print(&render(&replayed, output.style));
    }
    Ok(outcomes.iter().all(Outcome::is_ok) && replayed.is_ok())
}

impl Default for ReplayArgs {
    fn default() -> Self {
        Self {
            logs: Vec::new(),
            direct: false,
            webhook: None,
            ca: None,
            insecure_skip_verify: false,
            injector: None,
            values: None,
            mesh_config: None,
            meta: None,
            concurrency: 8,
            repeat: 1,
            rate: None,
            timeout: 30.0,
        }
    }
}
