//! `towtank run`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use apimachinery::value::Value;

use super::output::Output;
use super::reports;
use crate::boxed;
use crate::report::{line, summary};
use crate::run::{Outcome, run as run_scenario};
use crate::scenario::{Files, Scenario, load};

#[derive(Debug, Default, clap::Args)]
pub(super) struct Args {
    /// Scenario files, or directories of them.
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<PathBuf>,
    /// Use this seed in place of the scenarios' own.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Show each request and what admission did, also of scenarios that go well; with --json as `requests`.
    #[arg(long)]
    trace: bool,
    #[command(flatten)]
    reports: reports::Args,
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let outcomes = self.outcomes(output)?;
        let result: Value = {
            let told = outcomes.iter().map(|outcome| {
                let mut json = outcome.json();
                if self.trace {
                    json["requests"] = outcome.requests.clone().into();
                }
                json
            });
            told.collect()
        };
        if output.json && !self.reports.takes_stdout() {
            output.print_json(&result);
        }
        self.reports.write(&result, output)?;
        Ok(outcomes.iter().all(Outcome::is_ok))
    }

    /// Runs scenarios and prints each as it ends, as text.
    pub(super) fn outcomes(&self, output: &Output) -> anyhow::Result<Vec<Outcome>> {
        let mut scenarios = if self.scenarios.is_empty() { in_the_box()? } else { named(&self.scenarios)? };
        if let Some(seed) = self.seed {
            for scenario in &mut scenarios {
                scenario.seed = seed;
            }
        }
        let mut outcomes = Vec::new();
        for scenario in &scenarios {
            let outcome = run_scenario(scenario)?;
            if !output.json && !self.reports.takes_stdout() {
                output.print(&line(&outcome, output.style, self.trace));
            }
            outcomes.push(outcome);
        }
        if !output.json && !self.reports.takes_stdout() {
            output.print(&summary(&outcomes, output.style));
        }
        Ok(outcomes)
    }
}

fn in_the_box() -> anyhow::Result<Vec<Scenario>> {
    boxed::scenarios().map(|(file, text)| Ok(load(file, text, &Files::Embedded(boxed::FILES))?)).collect()
}

fn named(paths: &[PathBuf]) -> anyhow::Result<Vec<Scenario>> {
    let mut scenarios = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut files = files_of(path)?;
            files.sort();
            anyhow::ensure!(!files.is_empty(), "{}: no .yaml or .yml file in it", path.display());
            for file in files {
                scenarios.push(Scenario::from_path(&file)?);
            }
        } else {
            scenarios.push(Scenario::from_path(path)?);
        }
    }
    Ok(scenarios)
}

/// The scenario files of a directory; directories within it hold manifests and configurations.
fn files_of(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_file() && matches!(ending, Some("yaml" | "yml")) {
            files.push(path);
        }
    }
    Ok(files)
}
