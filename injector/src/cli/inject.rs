//! `sidecar-injector inject`: manifests in, injected manifests out.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use apimachinery::yaml;
use clap::Args;

use super::{SettingsFlags, input};

/// The flags of `inject`.
#[derive(Args, Debug)]
pub(super) struct Inject {
    /// The manifests (YAML or JSON, any number of documents), or - for stdin
    #[arg(short, long = "filename", value_name = "FILE")]
    filename: PathBuf,
    #[command(flatten)]
    settings: SettingsFlags,
}

impl Inject {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let injector = self.settings.injector()?;
        let documents = input::documents(&self.filename)?;
        // All or nothing: half a file is easily applied by mistake.
        let mut out = String::new();
        for document in documents {
            let injected = injector
                .inject_document(document.value)
                .with_context(|| format!("{}: document at line {}", self.filename.display(), document.line))?;
            for warning in injected.warnings {
                input::warn(&format!("warning: {warning}"));
            }
            out.push_str(&yaml::to_string(&injected.object));
            out.push_str("---\n");
        }
        input::print(&out)?;
        Ok(ExitCode::SUCCESS)
    }
}
