//! `towtank report`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use apimachinery::value::Value;

use super::output::Output;
use super::reports::{self, Format};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A result as `--json` prints it, of run, replay, compare or check; `-` is standard input.
    #[arg(value_name = "RESULT")]
    result: PathBuf,
    /// What to write.
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Html)]
    format: Format,
    /// Where to; `-` is standard output.
    #[arg(short, long, value_name = "FILE", default_value = "-")]
    output: PathBuf,
    /// Leave secrets (values of environment variables and the like) in the report.
    #[arg(long)]
    show_values: bool,
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let name = self.result.display();
        let text = if self.result == Path::new("-") {
            std::io::read_to_string(std::io::stdin()).context("cannot read standard input")?
        } else {
            super::read(&self.result)?
        };
        let mut result: Value = serde_json::from_str(&text).with_context(|| format!("{name} is not JSON"))?;
        if !self.show_values {
            result = crate::report::without_secrets(&result).map_err(anyhow::Error::msg)?;
        }
        let text = reports::render(&result, self.format).with_context(|| name.to_string())?;
        reports::write(&text, &self.output, output)?;
        Ok(true)
    }
}
