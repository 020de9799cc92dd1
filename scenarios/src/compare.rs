//! What two webhooks make of the same reviews, and where they differ.
//!
//! ```text
//! log ──► review ──► baseline  ─┐ answer
//!            └─────► candidate ─┴──► differ ──► general ──► classes ──► allow ──► Comparison
//!                                                              └──► reproduce: a minimal pod, a scenario
//! ```
//! Differences are those of the objects after the patches, not of the patches' text. They are grouped into classes by the
//! thing that changed, so that a new image in four thousand pods is one line, and a new sidecar is one class. Memory does not grow with the log: classes, examples and
//! listed pods have limits, and what is beyond them is counted.

mod allow;
mod answer;
mod classes;
mod differ;
mod gather;
mod general;
mod model;
mod names;
mod reproduce;
mod subject;
#[cfg(test)]
mod tests;
mod title;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use admission::capture::Record;
use tokio::time::Instant;

pub use allow::Allowed;
pub use model::{Change, ChangeKind, Class, Comparison, Example, FORMAT_VERSION, Part, PodRow, Side, Tallies, Values};
pub use reproduce::Backend;

use crate::cluster::Pending;
use crate::replay::{Job, Log, OpenError, Pace, Plan, Progress, Shard, Step, Stop, Webhook, Work, flow};
use crate::secrets;
use answer::{Compared, Differing, Found, Pair};
use classes::Classes;

/// Lines that could not be read and are named; the rest is only counted.
const PROBLEMS: usize = 20;

/// One of the two that are compared.
#[derive(Clone)]
pub struct Contender {
    /// As it was named.
    pub name: String,
    /// How it is asked.
    pub webhook: Webhook,
    /// How a scenario names it; none if a scenario cannot.
    pub backend: Option<Backend>,
}

/// How to compare.
#[derive(Clone, Debug)]
pub struct Options {
    /// Reviews under way at once; at least 1.
    pub concurrency: usize,
    /// Which part of the log is compared.
    pub shard: Shard,
    /// Classes for which a minimal reproduction is sought, the largest first.
    pub minimal: usize,
    /// Differences that are expected.
    pub allowed: Allowed,
    /// Leave secrets in the result; without it they are taken out by the rules of captured logs.
    pub show_values: bool,
    /// Directory in which each minimal reproduction is saved as a scenario, its values as they are.
    pub save: Option<PathBuf>,
    /// Ends it early: what is under way is finished, and the result says that it is not whole.
    pub stop: Stop,
}

/// Why a comparison could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A log cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No random key to take secrets out with.
    #[error("{0}")]
    Random(String),
    /// A scenario cannot be saved.
    #[error("cannot save scenario {file}: {source}")]
    Save {
        /// The file, or the directory.
        file: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
        /// The comparison, which is done all the same.
        comparison: Box<Comparison>,
    },
}

impl Default for Options {
    fn default() -> Self {
        Self {
            concurrency: 8,
            shard: Shard { index: 0, of: 1 },
            minimal: 50,
            allowed: Allowed::default(),
            show_values: false,
            save: None,
            stop: Stop::default(),
        }
    }
}

/// Compares what two webhooks make of the reviews in logs.
///
/// # Errors
/// A log cannot be opened, a scenario not be saved. Whatever is wrong inside a log, or with a request, is in the result.
pub async fn compare(
    logs: &[Log],
    baseline: &Contender,
    candidate: &Contender,
    options: &Options,
    progress: impl Fn(Progress) + Send,
) -> Result<Comparison, Error> {
    let side = |contender: &Contender| Side { name: contender.name.clone(), ..Side::default() };
    let mut comparison = Comparison {
        format_version: FORMAT_VERSION,
        logs: logs.iter().map(Log::name).collect(),
        baseline: side(baseline),
        candidate: side(candidate),
        ..Comparison::default()
    };
    let mut classes = Classes::default();
    let redactor = if options.show_values { None } else { Some(secrets::redactor().map_err(Error::Random)?) };
    let bytes = Arc::new(AtomicU64::new(0));
    let plan = Plan {
        concurrency: options.concurrency,
        abreast: 1,
        repeat: 1,
        pace: Pace::Fast,
        shard: options.shard,
        after: None,
        bytes: Arc::clone(&bytes),
        stop: options.stop.clone(),
    };
    let (started, webhooks) = (Instant::now(), (baseline.webhook.clone(), candidate.webhook.clone()));
    let hide = redactor.clone();
    let whole = flow(
        logs,
        &plan,
        move || Worker(Pair::new(&webhooks.0, &webhooks.1, hide.clone())),
        |step: Step<Done>| {
            for item in step.items {
                match item {
                    Ok(done) => comparison.take(done, &mut classes),
                    Err(problem) => comparison.unreadable(&problem.to_string()),
                }
            }
            progress(Progress {
                reviews: comparison.reviews,
                failed: comparison.unanswered,
                unreadable: comparison.unreadable,
                bytes: bytes.load(Ordering::Relaxed),
            });
        },
    )
    .await?;
    comparison.unclassified = classes.unclassified;
    comparison.pods_unlisted = classes.unlisted;
    let (classes, pods) = classes.finish();
    comparison.pods = pods;
    let mut pair = Pair::new(&baseline.webhook, &candidate.webhook, redactor.clone());
    let mut unsaved = None;
    for (index, (mut class, material)) in classes.into_iter().enumerate() {
        let wanted = index < options.minimal && !options.stop.told();
        if let (true, Some(material), Some(example)) = (wanted, material, &mut class.example) {
            let minimal = reproduce::minimal(&mut pair, &material).await;
            example.minimal = minimal.as_ref().map(|object| pair.shown(&material.record, object));
            if let (Some(directory), Some(backend), Some(object)) = (&options.save, &candidate.backend, minimal)
                && unsaved.is_none()
                && let Some((differences, after)) = reproduce::found_in(&mut pair, &material, &object).await
            {
                let text = reproduce::scenario(&class, &object, &differences, &after, backend);
                match (save(directory, &class.id, &text), &mut class.example) {
                    (Ok(file), Some(example)) => example.scenario = Some(file),
                    (Ok(_), None) => {}
                    (Err(error), _) => unsaved = Some(error),
                }
            }
        }
        comparison.classes.push(class);
    }
    options.allowed.mark(&mut comparison);
    comparison.seconds = started.elapsed().as_secs_f64();
    comparison.interrupted = !whole || options.stop.told();
    match unsaved {
        Some((file, source)) => Err(Error::Save { file, source, comparison: Box::new(comparison) }),
        None => Ok(comparison),
    }
}

fn save(directory: &Path, id: &str, text: &str) -> Result<String, (String, std::io::Error)> {
    let path = directory.join(format!("{id}.yaml"));
    let failed = |path: &Path, source| (path.display().to_string(), source);
    std::fs::create_dir_all(directory).map_err(|source| failed(directory, source))?;
    std::fs::write(&path, text).map_err(|source| failed(&path, source))?;
    Ok(path.display().to_string())
}

/// What came of a record, and where it was. The record is kept where it may have to be reproduced.
struct Done {
    log: Option<String>,
    line: u64,
    compared: Compared,
    record: Option<Arc<Record>>,
}

struct Worker(Pair);

impl Work for Worker {
    type Done = Done;

    fn work<'a>(&'a mut self, job: Job<'a>) -> Pending<'a, Done> {
        Box::pin(async move {
            let compared = self.0.compare(job.record, None).await;
            let differs = matches!(compared.found, Found::Different(_));
            // Only the question is needed again.
            let question = || Record {
                path: job.record.path.clone(),
                query: job.record.query.clone(),
                body: job.record.body.clone(),
                ..Record::default()
            };
            Done {
                log: differs.then(|| job.log.to_owned()),
                line: job.line,
                record: differs.then(|| Arc::new(question())),
                compared,
            }
        })
    }
}

impl Comparison {
    fn take(&mut self, done: Done, classes: &mut Classes) {
        self.reviews += 1;
        for (side, (verdict, took)) in [&mut self.baseline, &mut self.candidate].into_iter().zip(&done.compared.sides) {
            side.counts.add(verdict);
            if !took.is_zero() {
                side.latency.add(*took);
            }
        }
        match done.compared.found {
            Found::Equal => self.equal += 1,
            Found::NotRecorded => self.not_recorded += 1,
            Found::Unanswered => self.unanswered += 1,
            Found::NoReview(error) => {
                self.unanswered += 1;
                self.problem(&format!("line {}: {error}", done.line));
            }
            Found::Different(differing) => {
                *if differing.one_sided { &mut self.one_sided } else { &mut self.different } += 1;
                let differing: Differing = *differing;
                if let (Some(log), Some(record)) = (done.log, done.record) {
                    classes.add(&log, done.line, &record, differing);
                }
            }
        }
    }

    fn unreadable(&mut self, problem: &str) {
        self.unreadable += 1;
        self.problem(problem);
    }

    fn problem(&mut self, problem: &str) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(problem.to_owned());
        }
    }
}
