//! `towtank doctor`.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Context;
use apimachinery::clock::Clock;
use apimachinery::value::{json, to_value};

use super::output::Output;
use crate::cluster::{Login, Remote, default_path};
use crate::doctor::{self, Finding, Level, Options};
use crate::report::Style;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The kubeconfig of the cluster; default: as kubectl's, $KUBECONFIG or ~/.kube/config.
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A context of it; default: the current one.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Where a pod is tried (with dryRun); default: the first namespace that has injection.
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        let path = self.kubeconfig.clone().unwrap_or_else(default_path);
        let login = Login::read(&path, self.context.as_deref())?;
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        let findings = runtime.block_on(async {
            let api = Remote::new(&login)?;
            let options = Options { namespace: self.namespace.clone(), now: Clock::system().now() };
            anyhow::Ok(doctor::examine(&api, &options).await)
        })?;
        let problems = findings.iter().filter(|finding| finding.level == Level::Problem).count();
        if output.json {
            output.print_json(&json!({ "server": login.server, "problems": problems, "findings": to_value(&findings).unwrap_or_default() }));
        } else {
            output.print(&render(&findings, output.style));
        }
        Ok(problems == 0)
    }
}

/// A line for each finding, and below it what to do.
fn render(findings: &[Finding], style: Style) -> String {
    let mut out = String::new();
    for finding in findings {
        let word = format!("{:8}", finding.level.word());
        let word = match finding.level {
            Level::Ok => style.good(word),
            Level::Warning => style.strong(word),
            Level::Problem => style.bad(word),
        };
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{word} {}: {}", finding.subject, finding.found);
        if !finding.remedy.is_empty() {
            let _ = writeln!(out, "         {} {}", style.dim("→"), finding.remedy);
        }
    }
    let count = |level: Level| findings.iter().filter(|finding| finding.level == level).count();
    let (problems, warnings, ok) = (count(Level::Problem), count(Level::Warning), count(Level::Ok));
    let _ = writeln!(out, "\n{problems} problems, {warnings} warnings, {ok} ok");
    out
}
