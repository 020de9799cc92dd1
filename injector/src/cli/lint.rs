//! `sidecar-injector lint`: a configuration checked before it goes to a cluster.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::{SettingsFlags, input};
use crate::lint::{Level, lint};

/// The flags of `lint`.
#[derive(Args, Debug)]
pub(super) struct Lint {
    /// Pods or workloads that have to be injectable, besides the built-in samples; may be repeated
    #[arg(short, long = "filename", value_name = "FILE")]
    filename: Vec<PathBuf>,
    /// Fail on warnings as well
    #[arg(long)]
    strict: bool,
    /// JSON instead of lines
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsFlags,
}

impl Lint {
    /// Status 1 if there are errors.
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let mut pods = Vec::new();
        for file in &self.filename {
            for pod in input::pods(file, None)? {
                pods.push((format!("{}, {}", file.display(), pod.name), pod.pod, pod.namespace));
            }
        }
        let findings = lint(&self.settings.settings()?, &pods);
        let errors = findings.iter().filter(|f| f.level == Level::Error).count();
        let warnings = findings.len() - errors;
        if self.json {
            input::print(&format!("{}\n", serde_json::to_string_pretty(&findings)?))?;
        } else {
            let mut out = String::new();
            for finding in &findings {
                // Writing to a String cannot fail.
                let _ = writeln!(out, "{}: {}: {}", finding.level.word(), finding.place, finding.message);
            }
            let _ = writeln!(out, "{errors} errors, {warnings} warnings");
            input::print(&out)?;
        }
        Ok(if errors > 0 || self.strict && warnings > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
