//! Running a scenario.
//!
//! ```text
//! Scenario ──► world (fake apiserver, webhooks in memory) ──► steps ──► expectations ──► Outcome
//! ```
//! Each scenario has a runtime of its own with one thread and a paused clock: when nothing is left to do but wait, the
//! clock jumps to the next timer, so that a webhook's timeout of 30 s costs nothing. Only a scenario with a webhook
//! behind a URL runs on the machine's clock, for a real server cannot be hurried.

mod check;
mod matching;
mod steps;
#[cfg(test)]
mod tests;
mod world;

use std::time::Duration;

use apimachinery::value::{Value, json};

use crate::scenario::{Backend, Scenario};

/// What came of a scenario.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its title.
    pub title: String,
    /// Its file.
    pub file: String,
    /// Steps that were carried out.
    pub steps: usize,
    /// How long it took on its own clock.
    pub virtual_time: Duration,
    /// How long it took.
    pub real_time: Duration,
    /// The seed it ran with.
    pub seed: u64,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// Every request, with what admission did.
    pub trace: String,
    /// The same for machines; the first 1000 requests.
    pub requests: Vec<Value>,
}

/// Why a scenario failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Line of the step in the scenario's file; 0 if the cluster could not be set up.
    pub line: usize,
    /// Number of the step, from 1.
    pub step: usize,
    /// What the step does: `expect`, `apply`.
    pub word: String,
    /// What was expected and what was found, one or more lines.
    pub message: String,
}

impl Outcome {
    /// Whether every step went as expected.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.failure.is_none()
    }

    /// For machines.
    #[must_use]
    pub fn json(&self) -> Value {
        let failure = self.failure.as_ref().map(|failure| {
            json!({
                "line": failure.line, "step": failure.step, "word": failure.word, "message": failure.message,
                "trace": self.trace,
            })
        });
        json!({
            "scenario": self.title, "file": self.file, "ok": self.is_ok(), "steps": self.steps, "seed": self.seed,
            "virtualSeconds": self.virtual_time.as_secs_f64(), "seconds": self.real_time.as_secs_f64(),
            "failure": failure,
        })
    }
}

/// Runs a scenario to its end or its first failed step. Blocks; call it outside of any async runtime.
///
/// # Errors
/// No runtime can be made.
pub fn run(scenario: &Scenario) -> std::io::Result<Outcome> {
    let real = scenario.cluster.webhooks.iter().any(|webhook| matches!(webhook.backend, Backend::Url { .. }));
    // The machine's clock, for how long it really takes, runs in a runtime that is never paused.
    let watch = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let started = watch.block_on(async { tokio::time::Instant::now() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(!real).build()?;
    let mut outcome = runtime.block_on(steps::run(scenario));
    drop(runtime);
    outcome.real_time = watch.block_on(async { started.elapsed() });
    Ok(outcome)
}
