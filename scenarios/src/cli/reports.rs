//! `--report FORMAT=FILE`, of every command that has a result.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use apimachinery::value::Value;
use clap::ValueEnum;

use super::output::Output;
use crate::report::{Page, html, junit, markdown, without_secrets};

/// What a report is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// One page that needs nothing else.
    Html,
    /// XML for CI.
    Junit,
    /// For a pull request.
    Markdown,
    /// The result itself.
    Json,
}

#[derive(Clone, Debug)]
struct Wanted {
    format: Format,
    file: PathBuf,
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wanted = "want FORMAT=FILE with one of html, junit, markdown, json, such as html=out.html";
        let (format, file) = text.split_once('=').ok_or(wanted)?;
        let format = Format::from_str(format, true).map_err(|_| wanted.to_owned())?;
        if file.is_empty() { Err(wanted.to_owned()) } else { Ok(Self { format, file: file.into() }) }
    }
}

#[derive(Debug, Default, clap::Args)]
#[group(id = "reports", multiple = true)]
pub(super) struct Args {
    /// Write a report: html, junit, markdown or json, to a file or to `-`, standard output. May be given more than once.
    #[arg(long, value_name = "FORMAT=FILE", value_delimiter = ',')]
    report: Vec<Wanted>,
    /// Leave secrets (values of environment variables and the like) in reports.
    #[arg(long)]
    pub(super) show_values: bool,
}

impl Args {
    /// Writes the reports that are wanted; the result is as `--json` prints it.
    pub(super) fn write(&self, result: &Value, output: &Output) -> anyhow::Result<()> {
        if self.report.is_empty() {
            return Ok(());
        }
        let result = self.shown(result)?;
        for wanted in &self.report {
            write(&render(&result, wanted.format)?, &wanted.file, output)?;
        }
        Ok(())
    }

    /// The result as it may be shown.
    pub(super) fn shown(&self, result: &Value) -> anyhow::Result<Value> {
        if self.show_values { Ok(result.clone()) } else { without_secrets(result).map_err(anyhow::Error::msg) }
    }

    /// Whether a report goes to standard output, where then nothing else belongs.
    pub(super) fn takes_stdout(&self) -> bool {
        self.report.iter().any(|wanted| wanted.file == Path::new("-"))
    }
}

pub(super) fn render(result: &Value, format: Format) -> anyhow::Result<String> {
    if format == Format::Json {
        return Ok(format!("{result:#}\n"));
    }
    let page = Page::of(result)?;
    Ok(match format {
        Format::Html => html(&page),
        Format::Junit => junit(&page),
        _ => markdown(&page),
    })
}

pub(super) fn write(text: &str, file: &Path, output: &Output) -> anyhow::Result<()> {
    if file == Path::new("-") {
        output.print(text);
        return Ok(());
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
