//! `towtank merge`.

use std::path::PathBuf;

use anyhow::Context;
use apimachinery::value::Value;

use super::output::Output;
use super::read;
use super::reports;
use crate::replay::Replayed;
use crate::report::render;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Results of `towtank replay --json --shard …`.
    #[arg(value_name = "RESULT", required = true)]
    results: Vec<PathBuf>,
    #[command(flatten)]
    reports: reports::Args,
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let mut merged = Replayed::default();
        for path in &self.results {
            let what = || format!("{}: not a result that `towtank replay --json` printed", path.display());
            let value: Value = serde_json::from_str(&read(path)?).with_context(what)?;
            let part = Replayed::from_json(&value).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))?;
            merged.merge(&part);
        }
        let result = merged.json();
        if !self.reports.takes_stdout() {
            if output.json {
                output.print_json(&result);
            } else {
                output.print(&render(&merged, output.style));
            }
        }
        self.reports.write(&result, output)?;
        Ok(merged.is_ok())
    }
}
