//! `towtank check`.

use std::path::PathBuf;
use std::time::Duration;

use apimachinery::value::{Value, json, to_value};

use super::output::Output;
use super::{injector, positive, reports, trust};
use crate::boxed;
use crate::check::{Check, Checked, ISTIO, all, render, save};
use crate::https::{Endpoint, Trust};
use crate::replay::Log;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The webhook: an https URL. Default: the sidecar injector in this process.
    #[arg(id = "webhook", value_name = "URL")]
    webhook: Option<String>,
    #[command(flatten)]
    trust: trust::Args,
    #[command(flatten)]
    injector: injector::Args,
    /// A capture log or a directory of them, or a file of AdmissionReviews, one a line; may be given more than once. Default: the
    /// log in the box.
    #[arg(long, value_name = "LOG")]
    reviews: Vec<PathBuf>,
    /// Most reviews that the laws are held against, one of each shape first.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Only these laws.
    #[arg(long, value_name = "LAW", value_delimiter = ',', conflicts_with = "skip")]
    only: Vec<String>,
    /// Not these laws.
    #[arg(long, value_name = "LAW", value_delimiter = ',')]
    skip: Vec<String>,
    /// A place that the webhook may change though others wrote it, such as `spec.containers[*].livenessProbe`; `istio`:
    /// what Istio's injector changes (assumed for the injector in this process).
    #[arg(long, value_name = "PATTERN", value_delimiter = ',')]
    owns: Vec<String>,
    /// Save each law's smallest review that breaks it, and a scenario, in this directory.
    #[arg(long, value_name = "DIR")]
    save: Option<PathBuf>,
    /// Do not make the reviews that break a law as small as they go.
    #[arg(long)]
    no_shrink: bool,
    /// Reviews under way at once.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,
    /// Seconds to wait for an answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0, value_parser = positive)]
    timeout: f64,
    #[command(flatten)]
    reports: reports::Args,
    /// List the laws, and why they matter.
    #[arg(long)]
    list: bool,
}

impl Args {
    pub(super) fn run(&self, output: &Output) -> anyhow::Result<bool> {
        if self.list {
            output.print(&list(output));
            return Ok(true);
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut checked = runtime.block_on(self.checked(output))?;
        if let Some(directory) = &self.save {
            save(&mut checked, directory, &self.scenario_webhook())?;
        }
        // What is saved is meant to be sent; what is shown is not.
        let all = json!({ "checked": to_value(&checked).unwrap_or_default(), "captured": checked.captured() });
        let shown = self.reports.shown(&all)?["checked"].take();
        let checked: Checked = apimachinery::value::from_value(shown.clone())?;
        if !self.reports.takes_stdout() {
            if output.json {
                output.print_json(&shown);
            } else {
                output.print(&render(&checked, output.style));
            }
        }
        self.reports.write(&shown, output)?;
        Ok(checked.is_ok())
    }

    async fn checked(&self, output: &Output) -> anyhow::Result<Checked> {
        let timeout = Duration::from_secs_f64(self.timeout);
        let mut owns: Vec<&str> = Vec::new();
        // The injector in this process, if there is one, serves as long as this.
        let mut serving = None;
        let mut check = if let Some(url) = &self.webhook {
            Check::new(url, Endpoint::new(url, &self.trust.trust()?, timeout)?)
        } else {
            let (handle, certificate) = self.injector.start(&[]).await?;
            let endpoint = Endpoint::new(&format!("https://{}", handle.addr()), &Trust::Pem(certificate.ca), timeout)?;
            serving = Some(handle);
            owns.extend(ISTIO);
            Check::injector(&self.injector_name(), endpoint)
        };
        for pattern in &self.owns {
            if pattern == "istio" { owns.extend(ISTIO) } else { owns.push(pattern) }
        }
        check = check.owns(owns)?.skip(&self.skip)?;
        if !self.only.is_empty() {
            check = check.only(&self.only)?;
        }
        check = check.limit(self.limit as usize).concurrency(self.concurrency.into()).shrink(!self.no_shrink);

        let logs: Vec<Log> = if self.reviews.is_empty() { vec![boxed::LOG] } else { Log::from_paths(&self.reviews)? };
        let mut readers = Vec::new();
        for log in &logs {
            readers.push(log.open()?);
        }
        let bar = output.progress(check.laws() as u64, "laws");
        let checked = check.run_with_progress(readers.into_iter().flatten(), |laws| bar.set_position(laws)).await?;
        bar.finish_and_clear();
        if let Some(handle) = serving {
            handle.shutdown().await;
        }
        if checked.read == 0 {
            let names: Vec<String> = logs.iter().map(Log::name).collect();
            anyhow::bail!("{}: no record in it: there is nothing to hold laws against", names.join(", "));
        }
        Ok(checked)
    }

    fn injector_name(&self) -> String {
        self.injector.injector.as_ref().map_or_else(
            || "the injector in the box".to_owned(),
            |path| format!("the injector with {}", path.display()),
        )
    }

    /// How a saved scenario names the webhook.
    fn scenario_webhook(&self) -> Value {
        // A scenario finds files beside itself, or by whole names.
        let file = |path: &PathBuf| path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string();
        match (&self.webhook, &self.trust.ca) {
            (Some(url), Some(ca)) => json!({ "url": url, "ca": file(ca) }),
            (Some(url), None) => json!({ "url": url, "ca": "ca.pem" }),
            (None, _) => {
                json!({ "injector": self.injector.injector.as_ref().map_or_else(|| "modern".to_owned(), file) })
            }
        }
    }
}

fn list(output: &Output) -> String {
    if output.json {
        let laws: Vec<Value> = all()
            .iter()
            .map(|law| json!({ "name": law.name, "claim": law.claim, "why": law.why, "remedy": law.remedy }))
            .collect();
        return format!("{:#}", Value::from(laws));
    }
    all()
        .iter()
        .map(|law| {
            format!("{}\n  {}\n  {}\n  remedy: {}\n", output.style.strong(law.name), law.claim, law.why, law.remedy)
        })
        .collect()
}
